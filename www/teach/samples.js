/** Pictures of one seed as the model learns, in a row; and the first and the last over each other, with a slider between them. */

import { make } from '../js/dom.js';
import { TEXTS as T } from './texts.js';

export class Samples {
  #row = make('ol', { className: 'teach-samples' });
  #hint = make('p', { className: 'quiet', textContent: T.best, hidden: true });
  #under = make('canvas', { role: 'img' });
  #over = make('canvas', { className: 'over', role: 'img' });
  #slider = make('input', { type: 'range', min: '0', max: '100', value: '50', ariaLabel: T.compare });
  #names = [make('span'), make('span')];
  #compare = make('div', { className: 'teach-compare', hidden: true }, make('div', { className: 'pair' }, this.#under, this.#over), this.#slider,
    make('p', { className: 'quiet ends', ariaHidden: 'true' }, ...this.#names));

  /** @param {{compares?: boolean}} [options] whether the first and the last are shown over each other */
  constructor({ compares = true } = {}) {
    this.root = make('div', {}, this.#row, this.#hint, ...(compares ? [this.#compare] : []));
    const slide = () => {
      this.#compare.style.setProperty('--at', `${this.#slider.value}%`);
      this.#slider.setAttribute('aria-valuetext', T.compared(this.#slider.valueAsNumber));
    };
    this.#slider.addEventListener('input', slide);
    slide();
  }

  clear() {
    this.#row.replaceChildren();
    this.#hint.hidden = true;
    this.#compare.hidden = true;
  }

  /**
   * @param {ImageData} image @param {string} label what it is called, such as the step
   * @param {{label: string, take: () => void} | null} [offer] what can be done with what was learnt until then, once `offers` says so
   */
  add(image, label, offer = null) {
    const canvas = make('canvas', { role: 'img', ariaLabel: label });
    put(canvas, image);
    const seen = [canvas, make('span', { className: 'quiet', textContent: label })];
    this.#row.append(make('li', {}, ...(offer ? [this.#offered(offer, seen)] : seen)));
    const first = this.#row.children.length === 1;
    put(first ? this.#under : this.#over, image);
    Object.assign(first ? this.#under : this.#over, { ariaLabel: label });
    this.#names[first ? 0 : 1].textContent = label;
    this.#compare.hidden = first;
  }

  /** Whether the pictures can be pressed. @param {boolean} can */
  offers(can) {
    const all = [...this.#row.querySelectorAll('button')];
    for (const button of all) button.disabled = !can;
    this.#hint.hidden = !can || all.length < 2;
  }

  /** @param {{label: string, take: () => void}} offer @param {Node[]} seen */
  #offered({ label, take }, seen) {
    const button = make('button', { type: 'button', ariaLabel: label, ariaPressed: 'false', disabled: true }, ...seen);
    button.addEventListener('click', () => {
      for (const other of this.#row.querySelectorAll('button')) other.ariaPressed = String(other === button);
      take();
    });
    return button;
  }
}

/** @param {HTMLCanvasElement} canvas @param {ImageData} image */
function put(canvas, image) {
  Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext('2d').putImageData(image, 0, 0);
}
