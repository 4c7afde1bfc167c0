/** Which model is meant by what a program passes as one, and what of it the worker is told. */

import { invalid } from './errors.js';
import { check } from './options.js';
import { serve } from './through.js';

/**
 * The model that is meant: the id of a stored one, an address, a file, or a description with its address.
 * @param {import('./api.d.ts').OneFile} source
 * @param {() => Promise<{id: string, url: string}[]>} stored asked only where nothing else fits
 * @returns {Promise<import('./api.d.ts').FoundModel>}
 */
export async function find(source, stored) {
  if (source instanceof URL) return atAddress({ url: source.href });
  if (source instanceof Blob) return inFile(source);
  if (typeof source === 'string') {
    if (/^[a-z][a-z\d+.-]*:|\/|\.gguf$/i.test(source)) return atAddress({ url: source });
    const kept = (await stored()).find(({ id }) => id === source);
    if (kept) return { id: kept.id, url: kept.url };
    const mini = source === 'mini' ? ': import { mini } from \'opengen/mini\' and pass that' : '';
    throw invalid('model', `no model named "${source}" is stored in this browser${mini}`);
  }
  if (typeof source?.url !== 'string') {
    throw invalid('model', 'must be a model such as mini of opengen/mini, an address, a file, the id of a stored model, or an '
      + 'object with an address as `url`');
  }
  check('model', source);
  return atAddress(source);
}

/**
 * The address is also the id, so that files of one name from two places stay apart.
 * @param {import('./api.d.ts').ModelDescription} description
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

/**
 * A model as the worker is told of it; `release` lets go of what that holds on this side.
 * @typedef {{file: import('./protocol.d.ts').ModelFile, transfer: Transferable[], release: () => void}} Wired
 */

/**
 * @param {import('./api.d.ts').OneFile} source
 * @param {import('./api.d.ts').FoundModel} found
 * @returns {Wired}
 */
export function wire(source, { id, url, files, bytes, sha256, license, prediction, headers, fetch }) {
  if (source instanceof Blob) {
    return { file: { id, url, bytes, sha256, prediction }, transfer: [], release: () => URL.revokeObjectURL(url) };
  }
  if (fetch !== undefined && typeof fetch !== 'function') throw invalid('fetch', 'must be a function, called as fetch is');
  const served = fetch && serve(fetch);
  return {
    file: {
      id, url, files: files && placesOf(files), bytes, sha256, license: licenseOf(license), prediction, headers: headerList(headers),
      fetch: served?.port,
    },
    transfer: served ? [served.port] : [],
    release: () => served?.close(),
  };
}

/** @param {import('./api.d.ts').ModelDescription['files']} files @returns {{path: string, url: string}[]} */
function placesOf(files) {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  const list = Array.isArray(files) ? files : [];
  if (list.length && list.every(({ path, url }) => typeof path === 'string' && typeof url === 'string' && URL.canParse(url, base))) {
    return list.map(({ path, url }) => ({ path, url: new URL(url, base).href }));
  }
  throw invalid('files', 'must be a list of the files of a folder: { path, url }');
}

/** @param {import('./api.d.ts').ModelDescription['license']} license @returns {import('./protocol.d.ts').ModelLicense | undefined} */
function licenseOf(license) {
  if (license === undefined || license === null) return undefined;
  const given = typeof license === 'string' ? { name: license } : license;
  if (typeof given.name !== 'string' || !given.name) {
    throw invalid('license', 'must be its name, or an object that has one: { name, url, revision, accepted }');
  }
  const { name, url = null, revision = null, accepted = null } = given;
  return { name, url, revision, accepted };
}

/**
 * The files of a folder with their paths in it, or nothing where the source is none.
 * @param {import('./api.d.ts').ModelSource} source
 * @returns {{path: string, file: File}[] | null}
 */
export function filesOf(source) {
  const isList = Array.isArray(source) || (typeof FileList === 'function' && source instanceof FileList);
  if (!isList) return null;
  const files = [.../** @type {Iterable<File>} */ (source)];
  if (files.length && files.every((file) => file instanceof File)) {
    return files.map((file) => ({ path: /** @type {any} */ (file).path ?? (file.webkitRelativePath || file.name), file }));
  }
  throw invalid('model', files.length ? 'a list has to be of the Files of a folder' : 'the folder is empty');
}

/** @param {HeadersInit | undefined} headers */
function headerList(headers) {
  if (headers === undefined) return undefined;
  try {
    return [...new Headers(headers)];
  } catch (error) {
    throw invalid('headers', error instanceof Error ? error.message : String(error));
  }
}
