/** The loss as it comes: every step's, faint, and a smooth line through them. */

import { TEXTS as T } from './texts.js';

const NS = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT] = [640, 120];
/** How much of a step the smooth line takes. */
const SHARE = 0.06;

/** @param {string} name @param {Record<string, string>} attributes */
function shape(name, attributes) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export class Curve {
  /** @type {number[]} */ #losses = [];
  #raw = shape('path', { class: 'raw' });
  #smooth = shape('path', { class: 'smooth' });

  constructor() {
    this.root = shape('svg', { viewBox: `0 -4 ${WIDTH} ${HEIGHT + 8}`, role: 'img', 'aria-label': T.curve, class: 'teach-curve' });
    this.root.append(shape('path', { class: 'frame', d: `M0 ${HEIGHT}H${WIDTH}` }), this.#raw, this.#smooth);
  }

  clear() {
    this.#losses = [];
    this.#draw(1);
  }

  /** @param {{loss: number, steps: number}} step */
  add({ loss, steps }) {
    this.#losses.push(loss);
    this.#draw(steps);
  }

  /** @param {number} steps */
  #draw(steps) {
    const highest = Math.max(1e-6, ...this.#losses);
    const place = (/** @type {number} */ loss, /** @type {number} */ at) => `${((at / Math.max(1, steps - 1)) * WIDTH).toFixed(1)} ${(HEIGHT * (1 - loss / highest)).toFixed(1)}`;
    let mean = 0;
    const smooth = this.#losses.map((loss, at) => (mean += Math.max(SHARE, 1 / (at + 1)) * (loss - mean))); // the first ones count alike
    const path = (/** @type {number[]} */ values) => (values.length ? `M${values.map(place).join('L')}` : '');
    this.#raw.setAttribute('d', path(this.#losses));
    this.#smooth.setAttribute('d', path(smooth));
  }
}
