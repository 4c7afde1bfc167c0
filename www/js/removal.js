/**
 * Models that were deleted: out of sight at once, off the disk when the tab is closed, or sooner if room is wanted. Until
 * then it can be undone, even for a visitor's own, which no one could fetch again.
 *
 * Which ones they are stands in localStorage, each with the tab it was deleted in. A tab that is open holds a lock; what
 * belongs to none that is held is deleted for good when the page next starts.
 */

import { book } from './book.js';
import { keep } from './dom.js';

const KEY = 'deleting';
const lockOf = (tab) => `opengen-deleting-${tab}`;

export class Removal {
  #tab = crypto.randomUUID();
  /** Lets the lock go. @type {(() => void) | null} */ #release = null;

  constructor() {
    addEventListener('pagehide', () => this.#letGo());
    addEventListener('pageshow', () => this.#marks().some(({ tab }) => tab === this.#tab) && this.#hold());
  }

  /** Whether this model counts as deleted. @param {string} id */
  has(id) {
    return this.#marks().some((mark) => mark.id === id);
  }

  /** @param {string} id of a model that is deleted from now on */
  mark(id) {
    this.#hold();
    keep.write(KEY, [...this.#others(id), { id, tab: this.#tab }]);
  }

  /** @param {string} id of a model that is wanted after all */
  undo(id) {
    keep.write(KEY, this.#others(id));
  }

  /** Deletes a model for good. @param {import('../client.js').OpenGen} og @param {string} id */
  async now(og, id) {
    await og.models.remove(id);
    book.forget(id);
    this.undo(id);
  }

  /** Deletes for good what was deleted in tabs that are closed by now. @param {import('../client.js').OpenGen} og */
  async sweep(og) {
    const marks = this.#marks();
    if (!marks.length) return;
    const held = (await navigator.locks?.query())?.held ?? [];
    for (const { id, tab } of marks) {
      if (tab !== this.#tab && !held.some(({ name }) => name === lockOf(tab))) await this.now(og, id);
    }
  }

  #marks() {
    return keep.read(KEY) ?? [];
  }

  #others(id) {
    return this.#marks().filter((mark) => mark.id !== id);
  }

  #hold() {
    if (this.#release) return;
    const until = new Promise((done) => { this.#release = done; });
    navigator.locks?.request(lockOf(this.#tab), () => until);
  }

  #letGo() {
    this.#release?.();
    this.#release = null;
  }
}
