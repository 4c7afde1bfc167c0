/** Parts of the settings whose code comes when it is wanted: when theirs is opened, or for what was brought. */

import { $ } from './dom.js';
import { report } from './report.js';
import { brought, dressed, keepParts } from './shell.js';

/** @template T what the part is */
export class Part {
  /** @type {Promise<T | null> | null} */ #coming = null;

  /**
   * @param {object} of
   * @param {string} of.id its `details`, where it has one, whose name in the service worker's list is the same
   * @param {string} of.what as a sentence begins that says that it did not arrive
   * @param {() => Promise<any>} of.load its module, as bundlers find it
   * @param {URL} of.address the same module's
   * @param {(module: any) => T | Promise<T>} of.begin
   * @param {string} [of.kept] how the service worker's list and its style sheet are called, where they serve several
   */
  constructor(of) {
    this.of = of;
    $(of.id)?.addEventListener('toggle', () => $(of.id).open && this.here());
  }

  /** Whether it is here or on its way. */
  get isComing() {
    return this.#coming !== null;
  }

  /** @returns {Promise<T | null>} null where it did not arrive, which is said */
  here() {
    this.#coming ??= this.#fetch();
    return this.#coming;
  }

  async #fetch() {
    const { id, what, load, address, begin, kept = id } = this.of;
    try {
      const [module] = await Promise.all([brought(load, address), dressed(`css/${kept}.css`)]);
      keepParts([kept]);
      return await begin(module);
    } catch {
      this.#coming = null;
      report(`${what} did not arrive.`, ['What you have is kept.'], { label: 'Try again', run: () => this.here() });
      return null;
    }
  }
}
