/** The visitor's own lists of lines, of which `__name__` in a prompt becomes one: kept in this browser, in a database of their own. */

import { Database } from '../database.js';

const DATABASE = new Database('opengen-lists', (database) => database.createObjectStore('lists'));
/** Larger files are no lists that somebody wrote. */
export const MOST_BYTES = 4e6;

/** A name as prompts can call it, as the engine reads `__name__`: letters, digits, `_ - / .` and spaces within. @param {string} name */
export const isName = (name) => /^[\p{Alphabetic}\p{N}_\-/. ]+$/u.test(name) && name.trim() === name && !name.includes('__') && !name.endsWith('_');

/** The lines that can be chosen of a list. @param {string} text */
export const linesOf = (text) => text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.trim().startsWith('#'));

export class Lists {
  /** What the browser does not keep, until the tab is closed. @type {Map<string, string>} */ #loose = new Map();

  /** All lists' texts by their names, in the order of these. @returns {Promise<Map<string, string>>} */
  async all() {
    const [names, texts] = await DATABASE.read('lists', (store) => [store.getAllKeys(), store.getAll()]).catch(() => [[], []]);
    const kept = names.map((name, i) => /** @type {[string, string]} */ ([name, texts[i]]));
    return new Map([...kept, ...this.#loose].sort(([a], [b]) => a.localeCompare(b)));
  }

  /** Keeps a list. @param {string} name @param {string} text @returns {Promise<boolean>} false where it is kept until the tab is closed only */
  async put(name, text) {
    try {
      await DATABASE.change(['lists'], ([lists]) => lists.put(text, name));
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
    await DATABASE.change(['lists'], ([lists]) => lists.delete(name)).catch(() => {}); // nothing is kept there
  }
}
