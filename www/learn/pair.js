/** A matrix and the pair beside it, drawn to scale: W + B · A. */

import { shape } from './plot.js';

/** How long the longer side of W is drawn. */
const SIDE = 132;
/** What is thinner would not be seen. */
const THIN = 2;
const GAP = 34;

/** @typedef {{rows: number, columns: number, rank: number}} Pair W has so many rows and columns, B and A the rank between them */

/** Numbers of the pair, and of the matrix that it changes. @param {Pair} pair */
export const numbersOf = ({ rows, columns, rank }) => ({ pair: rank * (rows + columns), whole: rows * columns });

export class PairDrawing {
  root = shape('svg', { class: 'pair-drawing', role: 'img' });

  /** @param {Pair} pair @param {string} words what it shows, for those who cannot see it */
  show({ rows, columns, rank }, words) {
    const scale = SIDE / Math.max(rows, columns);
    const [height, width, thin] = [rows * scale, columns * scale, Math.max(THIN, rank * scale)];
    const top = 30;
    let x = 44;
    const parts = [];
    const box = (/** @type {string} */ name, /** @type {string} */ size, /** @type {number} */ w, /** @type {number} */ h, kind = 'new') => {
      parts.push(shape('rect', { class: kind, x, y: top, width: w, height: h }), text(name, x + w / 2, top - 10, 'name'), text(size, x + w / 2, top + h + 16, 'size'));
      x += w;
    };
    const sign = (/** @type {string} */ mark) => {
      parts.push(text(mark, x + GAP / 2, top + SIDE / 2, 'sign'));
      x += GAP;
    };
    box('W', `${rows} × ${columns}`, width, height, 'old');
    sign('+');
    x += 14; // what stands under B is wider than B
    box('B', `${rows} × ${rank}`, thin, height);
    x += 14;
    sign('·');
    box('A', `${rank} × ${columns}`, width, thin);
    const [whole, tall] = [x + 44, top + SIDE + 28];
    this.root.setAttribute('viewBox', `0 0 ${whole} ${tall}`);
    this.root.setAttribute('aria-label', words);
    this.root.replaceChildren(...parts);
  }
}

/** @param {string} content @param {number} x @param {number} y @param {string} kind */
function text(content, x, y, kind) {
  const element = shape('text', { x, y, class: kind, 'text-anchor': 'middle' });
  element.textContent = content;
  return element;
}

/**
 * The pairs of a LoRA in kohya's names, as its file lists them.
 * @param {Blob} file safetensors
 * @returns {Promise<Pair[]>}
 */
export async function pairsOf(file) {
  const length = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
  const header = JSON.parse(await file.slice(8, 8 + length).text());
  return Object.keys(header).filter((name) => name.endsWith('.lora_down.weight')).map((name) => {
    const [rank, ...columns] = header[name].shape;
    const [rows] = header[name.replace('lora_down', 'lora_up')].shape;
    return { rows, columns: columns.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1), rank };
  });
}
