/** Trainings that are not finished, kept in this browser so that they go on after the tab was closed. */

import { Database } from '../database.js';

const STORE = 'trainings';
const DATABASE = new Database('opengen-teach', (database) => database.createObjectStore(STORE));

/**
 * @typedef {object} Kept
 * @property {string} id
 * @property {number} begun in ms
 * @property {{image: Blob, square: Blob, caption: string, crop: import('./square.js').Crop, mask?: Blob | null, counts?: Blob | null}[]} pictures
 *   as they were brought, and as they are learnt from; their masks alike
 * @property {{word: string, kind: string, preset: string, buckets?: boolean, finer?: import('./finer.js').Asked} & Record<'steps' | 'rank' | 'rate' | 'classImages', number | null>} asked null: the preset's
 * @property {string} model its id
 * @property {string} modelName
 * @property {number} side pixels of what is learnt from; 0: the model's own size
 * @property {number} step
 * @property {Blob | null} checkpoint what is needed to go on
 * @property {Blob | null} file the LoRA as it was then
 */

/** All of them, the newest first. @returns {Promise<Kept[]>} */
export const all = () => DATABASE.read(STORE, (store) => store.getAll()).then((/** @type {Kept[]} */ list) => list.filter(({ id }) => id).sort((a, b) => b.begun - a.begun), () => []);
/** @param {Kept} kept */
export const keep = (kept) => DATABASE.change([STORE], ([store]) => store.put(kept, kept.id));
/** @param {string} id */
export const forget = (id) => DATABASE.change([STORE], ([store]) => store.delete(id));
