/** Databases of this browser, each opened when it is first asked, and again where a newer page or its deletion has closed it. */

/** @param {IDBRequest} request @returns {Promise<any>} */
export const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

export class Database {
  /** @type {Promise<IDBDatabase> | null} */ #opened = null;

  /**
   * @param {string} name
   * @param {(database: IDBDatabase, from: number) => void} upgrade makes the stores that version `from` has not, 0 where there was none
   * @param {number} [version]
   */
  constructor(name, upgrade, version = 1) {
    this.name = name;
    this.upgrade = upgrade;
    this.version = version;
  }

  /**
   * What is asked of a store: of a request its result, of several theirs. Rejects where the browser has no database or refuses it.
   * @param {string} store @param {(store: IDBObjectStore) => IDBRequest | IDBRequest[]} ask @returns {Promise<any>}
   */
  async read(store, ask) {
    const asked = ask((await this.#open()).transaction(store).objectStore(store));
    return Array.isArray(asked) ? Promise.all(asked.map(settled)) : settled(asked);
  }

  /**
   * Changes stores, all of them or none; resolves once it is on disk. `work` waits for nothing but these stores' requests.
   * @param {string[]} names @param {(stores: IDBObjectStore[]) => unknown} work
   */
  async change(names, work) {
    const transaction = (await this.#open()).transaction(names, 'readwrite', { durability: 'strict' });
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(undefined);
      transaction.onabort = () => reject(transaction.error);
    });
    done.catch(() => {}); // told below
    try {
      await work(names.map((name) => transaction.objectStore(name)));
    } catch (error) {
      transaction.abort();
      throw error;
    }
    await done;
  }

  #open() {
    this.#opened ??= this.#opening();
    this.#opened.catch(() => { this.#opened = null; });
    return this.#opened;
  }

  /** @returns {Promise<IDBDatabase>} */
  #opening() {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(this.name, this.version);
      request.onupgradeneeded = ({ oldVersion }) => this.upgrade(request.result, oldVersion);
      request.onsuccess = () => {
        const database = request.result;
        const left = () => { this.#opened = null; };
        database.onclose = left;
        database.onversionchange = () => {
          database.close(); // a newer page in another tab goes first
          left();
        };
        resolve(database);
      };
      request.onerror = () => reject(request.error);
      request.onblocked = () => reject(new Error('another tab holds an older version'));
    });
  }
}
