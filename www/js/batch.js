/** The pictures of one press, side by side on the stage: one is chosen by a click, the arrow keys or its number. */

import { $, make } from './dom.js';

export class Batch {
  /** @type {import('./gallery.js').Made[]} */ #made = [];

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
    this.hide();
    this.#made = made;
    $('batch-grid').style.setProperty('--columns', String(Math.ceil(Math.sqrt(made.length))));
    $('batch-grid').replaceChildren(...made.map(({ png }, i) => {
      const image = make('img', { src: URL.createObjectURL(png), alt: '', draggable: false });
      const button = make('button', { type: 'button' }, image);
      button.setAttribute('aria-label', `Picture ${i + 1} of ${made.length}`);
      button.addEventListener('click', () => this.#choose(i));
      return make('li', {}, button);
    }));
    $('batch-back').textContent = `All ${made.length}`;
    this.#open(true);
  }

  /** Other pictures come. */
  hide() {
    for (const { src } of $('batch-grid').querySelectorAll('img')) URL.revokeObjectURL(src);
    $('batch-grid').replaceChildren();
    this.#made = [];
    this.#open(false);
  }

  #open(on) {
    $('batch-grid').hidden = !on;
    $('batch-back').hidden = on || this.#made.length === 0;
  }

  #choose(i) {
    this.#open(false);
    this.onChoose(this.#made[i]);
    $('batch-back').focus();
  }

  #key(event) {
    const buttons = [...$('batch-grid').querySelectorAll('button')];
    const at = buttons.indexOf(document.activeElement);
    const columns = Math.ceil(Math.sqrt(buttons.length));
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (step) buttons[at + step]?.focus();
    else if (Number(event.key) >= 1 && Number(event.key) <= buttons.length) this.#choose(Number(event.key) - 1);
    else return;
    event.preventDefault();
  }
}
