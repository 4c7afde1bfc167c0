/** What a picture was made from, over it up to a line that one drags. */

import { NO_SIDES } from './begun.js';
import { $, make } from './dom.js';

export class Before {
  #root = make('div', { className: 'before', hidden: true });
  #image = make('img', { alt: '', draggable: false });
  #sheet = make('div', { className: 'before-sheet' }, this.#image);
  #line = make('input', { type: 'range', min: 0, max: 100, step: 0.5, value: 50 });

  constructor() {
    this.#line.setAttribute('aria-label', 'Where what was before ends');
    this.#line.addEventListener('input', () => this.#draw());
    this.#root.append(this.#sheet, make('span', { className: 'before-line' }), this.#line);
    $('before').before(this.#root);
  }

  /**
   * Lays a picture over the one on the stage, which has this shape: it was brought to that too, or has grown on its sides.
   * @param {Blob} png @param {{width: number, height: number}} shape
   * @param {object} how
   * @param {import('./begun.js').Sides} [how.sides]
   * @param {() => boolean} how.isWanted whether it still is, once it has been decoded
   * @returns {Promise<boolean>} whether it is shown; rejects where the browser cannot decode it
   */
  async show(png, { width, height }, { sides: { left, top, right, bottom } = NO_SIDES, isWanted }) {
    URL.revokeObjectURL(this.#image.src);
    this.#image.src = URL.createObjectURL(png);
    await this.#image.decode();
    if (!isWanted()) return false;
    const longer = Math.max(width, height);
    Object.assign(this.#root.style, { width: `${(100 * width) / longer}%`, height: `${(100 * height) / longer}%` });
    Object.assign(this.#image.style, {
      left: `${(100 * left) / width}%`, top: `${(100 * top) / height}%`,
      width: `${(100 * (width - left - right)) / width}%`, height: `${(100 * (height - top - bottom)) / height}%`,
    });
    this.#line.value = '50';
    this.#draw();
    this.#root.hidden = false;
    this.#line.focus();
    return true;
  }

  hide() {
    this.#root.hidden = true;
  }

  #draw() {
    this.#root.style.setProperty('--split', `${this.#line.value}%`);
  }
}
