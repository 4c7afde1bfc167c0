/** What the store holds, read without an engine. The store itself is src/store/idb.rs, and nothing is written here. */

import { settled } from './database.js';

/** The id under which an autoencoder is stored that a model was given: `StoredModel::part_of`. @param {string} id */
export const partOf = (id) => `${id}\u0001autoencoder`;

/**
 * The rows of the stored models; none where nothing was ever stored or the browser refuses storage.
 * @returns {Promise<{id: string, url: string, bytes: number, complete: boolean}[]>}
 */
export async function storedRows() {
  const db = await open().catch(() => null);
  if (!db) return [];
  try {
    const rows = await settled(db.transaction('models').objectStore('models').getAll());
    const isModel = (/** @type {{id: string}} */ { id }) => !id.includes('\u0001'); // nor what a model was given
    return rows.filter(isModel).map(({ id, bytes, state, origin }) => ({ id, url: origin.url, bytes, complete: state === 'complete' }));
  } catch {
    return []; // a database of another version: the engine will say so
  } finally {
    db.close();
  }
}

/** The database, if there is one: a look must not make it. @returns {Promise<IDBDatabase>} */
function open() {
  const request = indexedDB.open('opengen');
  request.onupgradeneeded = () => request.transaction.abort();
  return settled(request);
}
