/**
 * Networks that were brought to change models (LoRA and its family), ControlNets, and embeddings, words of one's own, kept in this browser: a
 * database of their own, apart from the models. What a list needs and the files lie in two stores, so that a long list is read without touching the files.
 */

import { Database, settled } from './database.js';
import { invalid } from './errors.js';
import { sha256 } from './hash.js';

const DATABASE = new Database('opengen-networks', (database) => ['entries', 'files'].forEach((name) => database.createObjectStore(name)));
/** The longest header that is read: a safetensors file's table of contents. */
const MOST_HEADER = 32 * 2 ** 20;
/** Files up to this size are looked at whole: an embedding is smaller. */
const SMALL = 4 * 2 ** 20;
/** The largest file that is taken: it is held in memory while it is in use, but for a ControlNet, which is read where it lies. */
const LARGEST = 2 ** 30;
const LARGEST_CONTROL = 2 ** 31;

/** @typedef {import('./protocol.d.ts').StoredNetwork} StoredNetwork */

/** All of them, by name. @returns {Promise<StoredNetwork[]>} */
export async function list() {
  const rows = /** @type {StoredNetwork[]} */ (await DATABASE.read('entries', (store) => store.getAll()));
  return rows.sort((a, b) => a.name.localeCompare(b.name));
}

/**
 * The embeddings whose names stand in a text and whose vectors are as wide as a model's.
 * @param {string} text
 * @param {number} width
 * @returns {Promise<{name: string, bytes: Uint8Array}[]>}
 */
export async function wordsIn(text, width) {
  const low = text.toLowerCase();
  const stands = (/** @type {string | null} */ word) => word && low.includes(word.toLowerCase());
  const found = (await list().catch(() => [])) // without storage there are none
    .filter(({ name, about }) => about.kind === 'embedding' && about.width === width && (stands(name) || stands(about.token)));
  return Promise.all(found.map(async ({ name }) => ({ name, bytes: new Uint8Array(await (await fileOf(name)).arrayBuffer()) })));
}

/**
 * The LoRA among these that a prompt calls so: by its name, else by its title, else whatever the capitals.
 * @param {StoredNetwork[]} all
 * @param {string} name
 */
export function meant(all, name) {
  const low = name.toLowerCase();
  const loras = all.filter(({ about }) => about.kind === 'lora');
  return loras.find((row) => row.name === name) ?? loras.find(({ about }) => about.title === name)
    ?? loras.find((row) => row.name.toLowerCase() === low);
}

/** What embeddings among these are called in a prompt, in small letters: their names and their tokens. @param {StoredNetwork[]} all */
export const words = (all) => all.filter(({ about }) => about.kind === 'embedding')
  .flatMap(({ name, about }) => [name, /** @type {any} */ (about).token ?? []].flat()).map((word) => word.toLowerCase());

/** Its file. @param {string} name @returns {Promise<Blob>} */
export async function fileOf(name) {
  const file = await DATABASE.read('files', (store) => store.get(name));
  if (!file) throw invalid('networks', `there is no network ${name} any more`);
  return file;
}

/**
 * Looks at a file and keeps it under a name.
 * @param {Blob} file
 * @param {{name: string, replace?: boolean, look: (name: string, beginning: Uint8Array, bytes: number) => StoredNetwork['about']}} how
 *   `look` refuses what is no network
 * @returns {Promise<StoredNetwork>}
 */
export async function add(file, { name, replace = false, look }) {
  check(name);
  const about = look(name, await beginning(file), file.size);
  const most = about.kind === 'controlnet' ? LARGEST_CONTROL : LARGEST;
  if (file.size > most) throw invalid('networks', `${name} has ${(file.size / 1e9).toFixed(1)} GB; one of up to ${most / LARGEST} GB is taken`);
  const hash = await hashOf(file);
  const row = { name, bytes: file.size, hash, added: Date.now(), about };
  await change(async ([entries, files]) => {
    const there = await settled(entries.get(name));
    if (there && !replace) {
      if (hash && there.hash === hash && there.bytes === file.size) return;
      throw invalid('name', `there is another network of the name ${name} already; give this one another name, or replace that one`);
    }
    entries.put(row, name);
    files.put(file, name);
  });
  return row;
}

/** @param {string} from @param {string} to */
export async function rename(from, to) {
  check(to);
  await change(async ([entries, files]) => {
    const [row, file, there] = [await settled(entries.get(from)), await settled(files.get(from)), await settled(entries.get(to))];
    if (!row) throw invalid('networks', `there is no network ${from}`);
    if (there) throw invalid('name', `there is a network of the name ${to} already`);
    entries.put({ ...row, name: to }, to);
    files.put(file, to);
    entries.delete(from);
    files.delete(from);
  });
}

/** @param {string} name */
export const remove = (name) => change(([entries, files]) => {
  entries.delete(name);
  files.delete(name);
});

/** What a tag can name. @param {string} name */
function check(name) {
  if (name && name.length <= 200 && !/[<>:\n]/.test(name)) return;
  throw invalid('name', `a network cannot be called “${name}”: take up to 200 characters, none of them < > or :`);
}

/** A file's beginning, up to its first value. @param {Blob} file */
async function beginning(file) {
  const first = new DataView(await file.slice(0, 8).arrayBuffer());
  const header = first.byteLength === 8 ? Number(first.getBigUint64(0, true)) : 0;
  // Whatever is no safetensors file shows by its first bytes.
  const bytes = file.size <= SMALL ? file.size : header <= MOST_HEADER ? 8 + header : 4096;
  return new Uint8Array(await file.slice(0, bytes).arrayBuffer());
}

/** The first twelve digits of the SHA-256 of what follows the header, by which A1111 knows files; null where none is to be had. @param {Blob} file */
async function hashOf(file) {
  if (file.size > LARGEST) return null; // it would all lie in memory
  const first = new DataView(await file.slice(0, 8).arrayBuffer());
  const values = file.slice(8 + Number(first.getBigUint64(0, true)));
  return (await sha256(await values.arrayBuffer()))?.slice(0, 12) ?? null;
}

/** Changes both stores, or neither. @param {(stores: IDBObjectStore[]) => unknown} work */
const change = (work) => DATABASE.change(['entries', 'files'], work).catch((error) => { throw error instanceof DOMException ? full(error) : error; });

/** @param {DOMException | null} error */
function full(error) {
  const message = error?.name === 'QuotaExceededError' ? 'there is not enough room in the browser to keep it'
    : `the browser did not keep it (${error?.message ?? 'no reason given'})`;
  return Object.assign(new Error(message), { code: error?.name === 'QuotaExceededError' ? 'QUOTA' : 'STORAGE', retryable: true });
}
