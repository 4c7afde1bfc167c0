/** Pictures of one seed as the model learns, in a row; and the first and the last over each other, with a slider between them. */

import { make } from '../js/dom.js';
import { TEXTS as T } from './texts.js';

export class Samples {
  #row = make('ol', { className: 'teach-samples' });
  #under = make('canvas', { role: 'img' });
  #over = make('canvas', { className: 'over', role: 'img' });
  #slider = make('input', { type: 'range', min: '0', max: '100', value: '50', ariaLabel: T.compare });
  #names = [make('span'), make('span')];
  #compare = make('div', { className: 'teach-compare', hidden: true }, make('div', { className: 'pair' }, this.#under, this.#over), this.#slider,
    make('p', { className: 'quiet ends', ariaHidden: 'true' }, ...this.#names));

  /** @param {{compares?: boolean}} [options] whether the first and the last are shown over each other */
  constructor({ compares = true } = {}) {
    this.root = make('div', {}, this.#row, ...(compares ? [this.#compare] : []));
    const slide = () => {
      this.#compare.style.setProperty('--at', `${this.#slider.value}%`);
      this.#slider.setAttribute('aria-valuetext', T.compared(this.#slider.valueAsNumber));
    };
    this.#slider.addEventListener('input', slide);
    slide();
  }

  clear() {
    this.#row.replaceChildren();
    this.#compare.hidden = true;
  }

  /** @param {ImageData} image @param {string} label what it is called, such as the step */
  add(image, label) {
    const canvas = make('canvas', { role: 'img', ariaLabel: label });
    put(canvas, image);
    this.#row.append(make('li', {}, canvas, make('span', { className: 'quiet', textContent: label })));
    const first = this.#row.children.length === 1;
    put(first ? this.#under : this.#over, image);
    Object.assign(first ? this.#under : this.#over, { ariaLabel: label });
    this.#names[first ? 0 : 1].textContent = label;
    this.#compare.hidden = first;
  }
}

/** @param {HTMLCanvasElement} canvas @param {ImageData} image */
function put(canvas, image) {
  Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext('2d').putImageData(image, 0, 0);
}
