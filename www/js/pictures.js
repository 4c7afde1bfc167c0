/**
 * The pictures that were made, kept in this browser: a database of their own, apart from the models.
 *
 * What a list needs (settings, thumbnail, time) and the PNG files lie in two stores, so that a long strip is read
 * without touching the files. Pictures that others began with, and masks, lie in a third, by their hash. A picture that the
 * browser refuses to keep lives here in memory until the tab closes.
 * Tabs tell each other when something has changed.
 */

import { Database } from '../database.js';
import { sha256 } from '../hash.js';
import { LIMITS } from '../limits.js';

const NAME = 'opengen-pictures';
/** 1: entries and files. 2: and sources. */
const VERSION = 2;
/** Thumbnails are as large as the strip shows them on a dense screen. */
const THUMBNAIL = 160;

/**
 * @typedef {object} Entry one picture without its file
 * @property {number} id unique here; negative while it could not be kept
 * @property {number} time when it was made, milliseconds since 1970
 * @property {object} settings the request it was made with: one picture, its own seed
 * @property {string} model the id of its model
 * @property {Blob} thumbnail
 * @property {string} [source] the hash under which others began with it
 */

export class Pictures {
  #database = new Database(NAME, upgrade, VERSION);
  /** What could not be kept. @type {Map<number, {entry: Entry, png: Blob}>} */
  #loose = new Map();
  #looseId = 0;
  #channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel(NAME) : null;

  /** @param {{onChange: () => void}} options called when another tab has added or deleted pictures */
  constructor({ onChange }) {
    this.#channel?.addEventListener('message', onChange);
  }

  /** Whether this picture will be there after a reload. @param {Entry} entry */
  isKept(entry) {
    return entry.id > 0;
  }

  /** All pictures, newest first. @returns {Promise<Entry[]>} */
  async list() {
    const kept = (await this.#database.read('entries', (store) => store.getAll()).catch(() => []))
      .map((entry) => ({ ...entry, thumbnail: asBlob(entry.thumbnail) }));
    const loose = [...this.#loose.values()].map(({ entry }) => entry);
    return [...loose, ...kept].sort((a, b) => b.time - a.time || Math.abs(b.id) - Math.abs(a.id));
  }

  /**
   * Keeps a picture, once: `again` says that it was there already. Never fails: `problem` says why it is only in memory.
   * @param {{png: Blob, image: ImageData, settings: object, model: string}} made
   * @returns {Promise<{entry: Entry, problem: null | 'full' | 'refused', again: boolean}>}
   */
  async add({ png, image, settings, model }) {
    const twin = await this.#twin({ png, settings, model });
    if (twin) return { entry: twin, problem: null, again: true };
    const entry = { time: Date.now(), settings, model, thumbnail: await thumbnailOf(image) };
    try {
      entry.id = await this.#write(entry, png);
      return { entry, problem: null, again: false };
    } catch (error) {
      entry.id = --this.#looseId;
      this.#loose.set(entry.id, { entry, png });
      return { entry, problem: error?.name === 'QuotaExceededError' ? 'full' : 'refused', again: false };
    }
  }

  /** The same picture, byte for byte, if there is one: the same settings may draw another one after an update. */
  async #twin({ png, settings, model }) {
    const name = nameOf({ settings, model });
    const bytes = new Uint8Array(await png.arrayBuffer());
    for (const entry of await this.list()) {
      if (nameOf(entry) !== name) continue;
      const file = await this.file(entry.id).catch(() => null);
      if (file?.size !== bytes.length) continue;
      const other = new Uint8Array(await file.arrayBuffer());
      if (other.every((byte, i) => byte === bytes[i])) return entry;
    }
    return null;
  }

  /** The PNG file; null when it has been deleted meanwhile. @returns {Promise<Blob | null>} */
  async file(id) {
    if (this.#loose.has(id)) return this.#loose.get(id).png;
    const file = await this.#database.read('files', (store) => store.get(id));
    return file ? asBlob(file) : null;
  }

  /** Keeps a picture that others begin with, or a mask, once. @param {Blob} png @returns {Promise<string>} its hash */
  async keepSource(png) {
    const bytes = await png.arrayBuffer();
    const hash = await hashOf(bytes);
    await this.#change(([sources]) => sources.put(bytes, hash), ['sources']);
    return hash;
  }

  /** A picture that others began with, or a mask; null when it is not here. @param {string} hash @returns {Promise<Blob | null>} */
  async source(hash) {
    const bytes = await this.#database.read('sources', (store) => store.get(hash));
    return bytes ? asBlob(bytes) : null;
  }

  /** Remembers that others begin with a picture that was made here. @param {Entry} entry @param {string} hash */
  async markSource(entry, hash) {
    const loose = this.#loose.get(entry.id);
    if (loose) loose.entry.source = hash;
    else {
      await this.#change(([entries]) => {
        entries.get(entry.id).onsuccess = ({ target }) => target.result && entries.put({ ...target.result, source: hash });
      }, ['entries']);
    }
  }

  /** Deletes what no picture here began with and is not in use either. @param {string[]} used hashes */
  async sweepSources(used) {
    const known = await this.#database.read('sources', (store) => store.getAllKeys());
    if (!known.length) return;
    const named = new Set([...used, ...(await this.list()).flatMap(({ settings: { image, mask, controls = [], regions = [] } }) => [image, mask, ...controls.map((one) => one.image), ...regions.map((one) => one.mask)])]);
    const left = known.filter((hash) => !named.has(hash));
    if (left.length) await this.#change(([sources]) => left.forEach((hash) => sources.delete(hash)), ['sources']);
  }

  /** Deletes pictures and returns what was deleted, for `restore`. @param {Entry[]} entries */
  async remove(entries) {
    const taken = [];
    for (const entry of entries) taken.push({ entry, png: await this.file(entry.id) });
    const kept = entries.filter((entry) => this.isKept(entry));
    if (kept.length) {
      await this.#change((stores) => {
        for (const { id } of kept) for (const store of stores) store.delete(id);
      });
    }
    for (const { id } of entries) this.#loose.delete(id);
    return taken;
  }

  /** Puts deleted pictures back. @param {{entry: Entry, png: Blob}[]} taken */
  async restore(taken) {
    for (const { entry, png } of taken) {
      if (!this.isKept(entry)) this.#loose.set(entry.id, { entry, png });
      else await this.#write(entry, png);
    }
  }

  /** Stores entry and file, both or neither. Resolves with the id once they are on disk. */
  async #write(entry, png) {
    const [thumbnail, file] = await Promise.all([entry.thumbnail.arrayBuffer(), png.arrayBuffer()]);
    let id;
    await this.#change(([entries, files]) => {
      entries.put({ ...entry, thumbnail }).onsuccess = ({ target }) => {
        id = target.result;
        files.put(file, id);
      };
    });
    return id;
  }

  async #change(work, names = ['entries', 'files']) {
    await this.#database.change(names, work);
    this.#channel?.postMessage('changed');
  }
}

/** One name for all that settings and a model determine. @param {{settings: object, model: string}} made */
export function nameOf({ settings, model }) {
  const { variationStrength = 0, variationSeed, ...rest } = settings;
  const all = variationStrength > 0 ? { ...rest, variationStrength, variationSeed } : rest;
  return JSON.stringify([model, ...Object.entries(all).map(([field, value]) => [field, textOf(value)]).sort()]);
}

const textOf = (value) => (typeof value === 'object' ? JSON.stringify(value) : String(value));

/** @param {IDBDatabase} database @param {number} from */
function upgrade(database, from) {
  if (from < 1) {
    database.createObjectStore('entries', { keyPath: 'id', autoIncrement: true });
    database.createObjectStore('files');
  }
  database.createObjectStore('sources');
}

/** A picture's SHA-256; a name by chance where the browser hashes nothing. @param {ArrayBuffer} bytes */
const hashOf = async (bytes) => (await sha256(bytes)) ?? crypto.getRandomValues(new Uint8Array(32)).join('');

/** Files lie as bytes in the database, where Safari's private windows refuse blobs; earlier ones may be blobs. */
const asBlob = (/** @type {ArrayBuffer | Blob} */ kept) => (kept instanceof Blob ? kept : new Blob([kept], { type: 'image/png' }));

/** A small PNG of a picture, its longer side at most THUMBNAIL pixels. @param {ImageData} image */
async function thumbnailOf(image) {
  const scale = Math.min(1, THUMBNAIL / Math.max(image.width, image.height));
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * scale)));
  const bitmap = await createImageBitmap(image, { resizeWidth: width, resizeHeight: height, resizeQuality: 'high' });
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}

/**
 * A picture as it is kept to begin with: upright, no larger than pictures are drawn, and without anything else that its file says,
 * such as where it was taken.
 * @param {Blob} file @param {{paper?: boolean}} [options] `paper`: what is transparent shows it
 * @returns {Promise<Blob>} a PNG
 */
export async function plain(file, { paper = false } = {}) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LIMITS.size.to / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.fillStyle = '#fff';
  if (paper) context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/png' });
}
