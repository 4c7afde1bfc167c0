/** The visitor's own lists of lines, of which `__name__` in a prompt becomes one: kept in this browser, in a database of their own. */

const NAME = 'opengen-lists';
/** Larger files are no lists that somebody wrote. */
export const MOST_BYTES = 4e6;

/** A name as prompts can call it, as the engine reads `__name__`: letters, digits, `_ - / .` and spaces within. @param {string} name */
export const isName = (name) => /^[\p{Alphabetic}\p{N}_\-/. ]+$/u.test(name) && name.trim() === name && !name.includes('__') && !name.endsWith('_');

/** The lines that can be chosen of a list. @param {string} text */
export const linesOf = (text) => text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.trim().startsWith('#'));

export class Lists {
  /** Null where the browser refuses. @type {Promise<IDBDatabase | null>} */ #database = open().catch(() => null);
  /** What the browser does not keep, until the tab is closed. @type {Map<string, string>} */ #loose = new Map();

  /** All lists' texts by their names, in the order of these. @returns {Promise<Map<string, string>>} */
  async all() {
    const [names, texts] = await this.#ask('readonly', (store) => [store.getAllKeys(), store.getAll()]).catch(() => [[], []]);
    const kept = names.map((name, i) => /** @type {[string, string]} */ ([name, texts[i]]));
    return new Map([...kept, ...this.#loose].sort(([a], [b]) => a.localeCompare(b)));
  }

  /** Keeps a list. @param {string} name @param {string} text @returns {Promise<boolean>} false where it is kept until the tab is closed only */
  async put(name, text) {
    try {
      await this.#ask('readwrite', (store) => [store.put(text, name)]);
      this.#loose.delete(name);
      return true;
    } catch {
      this.#loose.set(name, text);
      return false;
    }
  }

  /** @param {string} name */
  async remove(name) {
    this.#loose.delete(name);
    await this.#ask('readwrite', (store) => [store.delete(name)]).catch(() => {}); // nothing is kept there
  }

  /** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest[]} act @returns {Promise<any[]>} */
  async #ask(mode, act) {
    const database = await this.#database;
    if (!database) throw new Error('this browser keeps nothing here');
    const transaction = database.transaction('lists', mode);
    const requests = act(transaction.objectStore('lists'));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    return requests.map(({ result }) => result);
  }
}

/** @returns {Promise<IDBDatabase>} */
const open = () => new Promise((resolve, reject) => {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore('lists');
  request.onsuccess = () => {
    request.result.onversionchange = () => request.result.close(); // a newer page in another tab goes first
    resolve(request.result);
  };
  request.onerror = () => reject(request.error);
});
