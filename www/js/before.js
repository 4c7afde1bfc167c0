/** What a picture was made from, over it up to a line that one drags: fetched when it is first asked for. */

import { $, make } from './dom.js';

export class Before {
  #root = make('div', { className: 'before', hidden: true });
  #image = make('img', { alt: '', draggable: false });
  #line = make('input', { type: 'range', min: 0, max: 100, step: 0.5, value: 50 });

  constructor() {
    this.#line.setAttribute('aria-label', 'Where what was before ends');
    this.#line.addEventListener('input', () => this.#draw());
    this.#root.append(this.#image, make('span', { className: 'before-line' }), this.#line);
    $('before').before(this.#root);
  }

  /**
   * Lays a picture over the one on the stage, which has this shape: it was brought to that too.
   * @param {Blob} png @param {{width: number, height: number}} shape
   */
  async show(png, { width, height }) {
    URL.revokeObjectURL(this.#image.src);
    this.#image.src = URL.createObjectURL(png);
    await this.#image.decode();
    const longer = Math.max(width, height);
    Object.assign(this.#root.style, { width: `${(100 * width) / longer}%`, height: `${(100 * height) / longer}%` });
    this.#line.value = '50';
    this.#draw();
    this.#root.hidden = false;
    this.#line.focus();
  }

  hide() {
    this.#root.hidden = true;
  }

  #draw() {
    this.#root.style.setProperty('--split', `${this.#line.value}%`);
  }
}
