/** A training that is not finished, kept in this browser so that it goes on after the tab was closed: one at a time. */

const NAME = 'opengen-teach';
const STORE = 'trainings';
const KEY = 'current';

/**
 * @typedef {object} Kept
 * @property {{image: Blob, caption: string}[]} pictures
 * @property {{word: string, kind: string, preset: string, steps: number, rank: number, rate: number, classImages: number}} asked
 * @property {string} model its id
 * @property {number} step
 * @property {Blob | null} checkpoint
 */

/** @returns {Promise<Kept | null>} */
export const read = () => using('readonly', (store) => store.get(KEY)).then((kept) => kept ?? null, () => null);
/** @param {Kept} kept */
export const keep = (kept) => using('readwrite', (store) => store.put(kept, KEY));
export const forget = () => using('readwrite', (store) => store.delete(KEY));

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
