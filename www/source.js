/** Which model is meant by what a program passes as one. */

import { invalid } from './errors.js';
import { MODELS } from './models.js';

/**
 * The model that is meant: an id of MODELS or of the store, an address, a file, or a description with its address.
 * @param {import('./api.d.ts').ModelSource} source
 * @param {() => Promise<import('./protocol.d.ts').StoredModel[]>} stored asked only where nothing else fits
 * @returns {Promise<import('./api.d.ts').FoundModel>}
 */
export async function find(source, stored) {
  if (source instanceof URL) return atAddress({ url: source.href });
  if (source instanceof Blob) return inFile(source);
  if (typeof source === 'string') {
    const known = MODELS.find(({ id }) => id === source);
    if (known) return known;
    if (/^[a-z][a-z\d+.-]*:|\/|\.gguf$/i.test(source)) return atAddress({ url: source });
    const kept = (await stored()).find(({ id }) => id === source);
    if (kept) return { id: kept.id, url: kept.url };
    throw invalid('model', `no model named "${source}"`);
  }
  if (typeof source?.url === 'string') return atAddress(source);
  throw invalid('model', 'must be a name, an address, a file, or an object with an address as `url`');
}

/**
 * The address is also the id, so that files of one name from two places stay apart.
 * @param {{url: string} & Partial<import('./protocol.d.ts').ModelInfo>} description
 */
function atAddress({ url, ...rest }) {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  if (!URL.canParse(url, base)) throw invalid('model', `"${url}" is no address`);
  const { href } = new URL(url, base);
  return { id: href.split('#')[0], ...rest, url: href };
}

/** @param {Blob} file */
function inFile(file) {
  if (!(file instanceof File)) throw invalid('model', 'a Blob has no name: make it a File');
  return { id: `${file.name} ${file.lastModified}`, url: URL.createObjectURL(file), bytes: file.size };
}
