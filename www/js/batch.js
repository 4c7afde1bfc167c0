/** The pictures of one press, side by side on the stage: one is chosen by a click, the arrow keys or its number. */

import { $, make } from './dom.js';

export class Batch {
  /** @type {import('./gallery.js').Made[]} */ #made = [];
  /** Of them, by their ids in the strip. @type {Set<number>} */ #deleted = new Set();

  /** @param {{onChoose: (made: import('./gallery.js').Made) => void}} options */
  constructor({ onChoose }) {
    this.onChoose = onChoose;
    $('batch-grid').addEventListener('keydown', (event) => this.#key(event));
    $('batch-back').addEventListener('click', () => {
      this.#open(true);
      $('batch-grid').querySelector('button').focus();
    });
  }

  /** @param {import('./gallery.js').Made[]} made two or more */
  show(made) {
    this.#made = made;
    this.#deleted.clear();
    this.#draw();
    this.#open(true);
  }

  /** Other pictures come. */
  hide() {
    this.#made = [];
    this.#draw();
    this.#open(false);
  }

  /**
   * Deleted pictures leave the grid, which comes back where one of them was looked at.
   * @param {number[]} ids @param {boolean} looked whether the stage has nothing else to show
   */
  forget(ids, looked) {
    if (!this.#made.some(({ entry }) => ids.includes(entry?.id))) return;
    for (const id of ids) this.#deleted.add(id);
    const left = this.#draw();
    this.#open(left.length > 1 && (looked || !$('batch-grid').hidden));
    if (looked && left.length === 1) this.onChoose(left[0]);
  }

  /** They are back. @param {number[]} ids */
  recall(ids) {
    for (const id of ids) this.#deleted.delete(id);
    if (this.#made.length) this.#open(this.#draw().length > 1 && !$('batch-grid').hidden);
  }

  /** Draws what is not deleted, and gives it. */
  #draw() {
    for (const { src } of $('batch-grid').querySelectorAll('img')) URL.revokeObjectURL(src);
    const left = this.#left;
    $('batch-grid').style.setProperty('--columns', String(Math.ceil(Math.sqrt(left.length))));
    $('batch-grid').replaceChildren(...left.map((made, i) => {
      const image = make('img', { src: URL.createObjectURL(made.png), alt: '', draggable: false });
      const button = make('button', { type: 'button' }, image);
      button.setAttribute('aria-label', `Picture ${i + 1} of ${left.length}`);
      button.addEventListener('click', () => this.#choose(made));
      return make('li', {}, button);
    }));
    $('batch-back').textContent = `All ${left.length}`;
    return left;
  }

  get #left() {
    return this.#made.filter(({ entry }) => !this.#deleted.has(entry?.id));
  }

  #open(on) {
    $('batch-grid').hidden = !on;
    $('batch-back').hidden = on || this.#left.length < 2;
  }

  #choose(made) {
    this.#open(false);
    this.onChoose({ ...made, pressed: true });
    $('batch-back').focus();
  }

  #key(event) {
    const buttons = [...$('batch-grid').querySelectorAll('button')];
    const at = buttons.indexOf(document.activeElement);
    const columns = Math.ceil(Math.sqrt(buttons.length));
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (step) buttons[at + step]?.focus();
    else if (Number(event.key) >= 1 && Number(event.key) <= buttons.length) this.#choose(this.#left[Number(event.key) - 1]);
    else return;
    event.preventDefault();
  }
}
