/** What the site that serves this page says of models: `models.json` beside it, which needs no rebuild. */

import { LICENSES } from './licenses.js';
import { TYPES } from '../js/keptin.js';
import { HUB } from './sources.js';

/** @typedef {import('./entries.js').Entry} Entry */

/**
 * @returns {Promise<{hub: string, entries: Entry[], problems: string[]}>} problems: a sentence for each entry that is of no use
 */
export async function readSite() {
  const address = new URL('../models.json', import.meta.url);
  let said;
  try {
    const response = await fetch(address);
    if (!response.ok) return { hub: HUB, entries: [], problems: [] };
    said = await response.json();
  } catch (error) {
    const unread = error instanceof SyntaxError; // else it did not come: nothing is known of a list
    return { hub: HUB, entries: [], problems: unread ? [`models.json cannot be read: ${error.message}.`] : [] };
  }
  const problems = [];
  const entries = [];
  const ids = new Set();
  for (const [index, given] of (Array.isArray(said?.models) ? said.models : []).entries()) {
    const wrong = wrongWith(given, ids);
    if (wrong) problems.push(`models.json: entry ${index + 1} ${wrong}.`);
    else {
      ids.add(given.id);
      entries.push(entryOf(given, address));
    }
  }
  const hub = typeof said?.hub === 'string' && URL.canParse(said.hub) ? said.hub.replace(/\/+$/, '') : HUB;
  return { hub, entries, problems };
}

/** What speaks against an entry; empty where nothing does. */
function wrongWith(given, ids) {
  const isReady = given?.ready !== undefined;
  for (const field of ['id', 'name', ...(isReady ? [] : ['url']), 'license']) if (!given?.[field] || given[field].length === 0) return `has no ${field}`;
  if (ids.has(given.id)) return `has the id "${given.id}" of another one`;
  if (given.url && !isLength(given.bytes)) return 'has no bytes: how long its file is';
  if (isReady && !(Array.isArray(given.ready) && given.ready.length && given.ready.every(isReadyFile))) {
    return `says what is ready otherwise than as a list of { type, url, bytes, sha256 }, the type one of ${TYPES.join(', ')}`;
  }
  return [given.license].flat().map(wrongWithLicense).find(Boolean) ?? '';
}

const isLength = (/** @type {any} */ bytes) => Number.isInteger(bytes) && bytes > 0;

/** @param {any} file */
const isReadyFile = (file) => TYPES.includes(file?.type) && typeof file.url === 'string' && isLength(file.bytes)
  && /^[0-9a-f]{64}$/i.test(file.sha256);

/** @param {any} license */
function wrongWithLicense(license) {
  if (typeof license === 'string' && !Object.hasOwn(LICENSES, license)) {
    return `names a licence that is not known here, "${license}": known are ${Object.keys(LICENSES).join(', ')}, or describe it`;
  }
  if (typeof license !== 'string' && !['name', 'allows', 'forbids'].every((field) => typeof license?.[field] === 'string')) {
    return 'describes a licence without name, allows and forbids';
  }
  return '';
}

/** @returns {Entry} */
function entryOf({ url, bytes, ready = [], license, revision = null, about, family = '', general = true, ...said }, base) {
  const { id, name, sha256, width, height, working, widest, defaults, examples } = said;
  return {
    id, name, sha256, width, height, working, widest, defaults, examples, revision,
    url: url && new URL(url, base).href,
    ready: ready.map((/** @type {any} */ one) => ({ ...one, url: new URL(one.url, base).href })),
    family, general: Boolean(general),
    license: [license].flat().map((one) => (typeof one === 'object' ? { free: false, url: null, ...one } : one)),
    about: about ?? `A model of ${base.host}.`, missing: null, download: bytes ?? ready[0].bytes,
    stored: { ...(url ? { as: bytes } : {}), ...Object.fromEntries(ready.map((/** @type {any} */ one) => [one.type, one.bytes])) },
  };
}
