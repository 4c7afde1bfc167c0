/** Trainings that are not finished, kept in this browser so that they go on after the tab was closed. */

const NAME = 'opengen-teach';
const STORE = 'trainings';

/**
 * @typedef {object} Kept
 * @property {string} id
 * @property {number} begun in ms
 * @property {{image: Blob, square: Blob, caption: string, crop: import('./square.js').Crop, mask?: Blob | null, counts?: Blob | null}[]} pictures
 *   as they were brought, and as they are learnt from; their masks alike
 * @property {{word: string, kind: string, preset: string} & Record<'steps' | 'rank' | 'rate' | 'classImages', number | null>} asked null: the preset's
 * @property {string} model its id
 * @property {string} modelName
 * @property {number} side pixels of what is learnt from; 0: the model's own size
 * @property {number} step
 * @property {Blob | null} checkpoint what is needed to go on
 * @property {Blob | null} file the LoRA as it was then
 */

/** All of them, the newest first. @returns {Promise<Kept[]>} */
export const all = () => using('readonly', (store) => store.getAll()).then((list) => list.filter(({ id }) => id).sort((a, b) => b.begun - a.begun), () => []);
/** @param {Kept} kept */
export const keep = (kept) => using('readwrite', (store) => store.put(kept, kept.id));
/** @param {string} id */
export const forget = (id) => using('readwrite', (store) => store.delete(id));

/** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest} work @returns {Promise<any>} */
async function using(mode, work) {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await settled(opening);
  try {
    const transaction = database.transaction(STORE, mode);
    const asked = work(transaction.objectStore(STORE));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    return asked.result;
  } finally {
    database.close();
  }
}

/** @param {IDBRequest} request */
const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
