/** The pictures that are learnt from: chosen or dropped, each with its words, and what is wrong with them. */

import { make } from '../js/dom.js';
import { TEXTS as T } from './texts.js';

export const LEAST = 3;
const MOST = 40;
/** Pictures smaller than this on a side show too little. */
const SMALL = 96;
/** The mean square of the second differences of a small grey copy below which a picture looks blurred. */
const BLURRED = 3;

/** @typedef {{image: Blob, url: string, caption: string, own: boolean, width: number, height: number, hash: string, edges: number}} One */

export class PictureSet extends EventTarget {
  /** @type {One[]} */ pictures = [];
  #list = make('ul', { className: 'teach-pictures' });
  #notes = make('ul', { className: 'teach-notes', ariaLive: 'polite' });
  /** @type {string[]} */ #unread = [];
  /** What all are called that were given no words of their own. */ #common = '';

  constructor() {
    super();
    const file = make('input', { type: 'file', accept: 'image/*', multiple: true, hidden: true, tabIndex: -1, id: 'teach-files', ariaLabel: T.choose });
    file.addEventListener('change', () => {
      this.add([...file.files]);
      file.value = ''; // the same may be chosen again
    });
    const choose = make('button', { type: 'button', className: 'button small', textContent: T.choose });
    choose.addEventListener('click', () => file.click());
    const zone = make('div', { className: 'teach-drop' }, choose, file, make('span', { className: 'quiet', textContent: T.drop }));
    for (const type of ['dragover', 'drop']) {
      zone.addEventListener(type, (event) => {
        event.preventDefault();
        event.stopPropagation();
        if (type === 'drop') this.add([.../** @type {DragEvent} */ (event).dataTransfer.files]);
      });
    }
    this.root = make('div', {}, zone, this.#list, this.#notes);
  }

  /** @param {Blob[]} files @param {string[]} [captions] */
  async add(files, captions = []) {
    this.#unread = [];
    for (const [at, file] of files.entries()) {
      const one = await looked(file).catch(() => null);
      if (!one) this.#unread.push(T.unread(/** @type {File} */ (file).name ?? '?'));
      else if (this.pictures.length < MOST) {
        const own = captions[at] !== undefined;
        this.pictures.push({ ...one, caption: captions[at] ?? this.#common, own });
      } else this.#unread = [T.many];
    }
    this.#draw();
  }

  /** The words for all that have none of their own. @param {string} words */
  called(words) {
    this.#common = words;
    for (const one of this.pictures) if (!one.own) one.caption = words;
    for (const [at, field] of [...this.#list.querySelectorAll('input')].entries()) field.value = this.pictures[at].caption;
  }

  clear() {
    this.pictures.forEach(({ url }) => URL.revokeObjectURL(url));
    this.pictures = [];
    this.#unread = [];
    this.#draw();
  }

  #draw() {
    this.#list.replaceChildren(...this.pictures.map((one, at) => {
      const caption = make('input', { type: 'text', value: one.caption, ariaLabel: T.caption(at + 1) });
      caption.addEventListener('input', () => Object.assign(one, { caption: caption.value, own: true }));
      const remove = make('button', { type: 'button', className: 'button small ghost', textContent: '×', ariaLabel: T.off(at + 1), title: T.off(at + 1) });
      remove.addEventListener('click', () => {
        URL.revokeObjectURL(one.url);
        this.pictures.splice(at, 1);
        this.#draw();
        (this.#list.querySelectorAll('button')[at] ?? this.root.querySelector('button')).focus();
      });
      return make('li', {}, make('img', { src: one.url, alt: '' }), caption, remove);
    }));
    this.#notes.replaceChildren(...this.#problems().map((textContent) => make('li', { textContent })));
    this.dispatchEvent(new Event('change'));
  }

  #problems() {
    const all = [...this.#unread];
    const { pictures } = this;
    if (pictures.length && pictures.length < LEAST) all.push(T.few(pictures.length));
    pictures.forEach((one, at) => {
      const twin = pictures.findIndex(({ hash }) => hash === one.hash);
      if (twin < at) all.push(T.twice(twin + 1, at + 1));
      if (Math.min(one.width, one.height) < SMALL) all.push(T.small(at + 1, SMALL));
      else if (one.edges < BLURRED) all.push(T.blurred(at + 1));
    });
    return all;
  }
}

/** A picture's size, what tells it from others, and how sharp it is. @param {Blob} image */
async function looked(image) {
  const bitmap = await createImageBitmap(image);
  const { width, height } = bitmap;
  const side = 64;
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true }));
  context.drawImage(bitmap, 0, 0, side, side);
  bitmap.close();
  const { data } = context.getImageData(0, 0, side, side);
  const grey = (/** @type {number} */ x, /** @type {number} */ y) => data[4 * (y * side + x)] * 0.3 + data[4 * (y * side + x) + 1] * 0.6 + data[4 * (y * side + x) + 2] * 0.1;
  let edges = 0;
  for (let y = 1; y + 1 < side; y++) {
    for (let x = 1; x + 1 < side; x++) {
      edges += (4 * grey(x, y) - grey(x - 1, y) - grey(x + 1, y) - grey(x, y - 1) - grey(x, y + 1)) ** 2;
    }
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
  return { image, url: URL.createObjectURL(image), width, height, hash: digest.join(), edges: edges / (side - 2) ** 2 };
}
