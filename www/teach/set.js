/** The pictures that are learnt from: chosen, dropped or taken, each with its words and the part that counts, and what is wrong with them. */

import { make } from '../js/dom.js';
import { takePictures } from './camera.js';
import { askCrop } from './crop.js';
import { askMask, drawMasked } from './mask.js';
import { WHOLE, drawCrop, ownAspect, ownSize, sizeOf, squareOf } from './square.js';
import { TEXTS as T } from './texts.js';

export const LEAST = 3;
const MOST = 40;
/** Pictures smaller than this on a side show too little. */
const SMALL = 96;
/** The mean square of the second differences of a small grey copy below which a picture looks blurred. */
const BLURRED = 3;
/** Larger pictures are made smaller when they come, one after the other: forty from a camera would fill the memory. Pixels of the longer side. */
const LARGEST = 1536;
/** Pixels of the longer side of the small pictures in the list. */
const SHOWN = 296;

/**
 * `mask`: what of it counts, a PNG of its shape; null: all.
 * @typedef {{image: Blob, caption: string, crop: import('./square.js').Crop, mask: Blob | null, own: boolean, width: number, height: number,
 *   hash: string, edges: number, canvas: HTMLCanvasElement}} One
 */

export class PictureSet extends EventTarget {
  /** @type {One[]} */ pictures = [];
  #list = make('ul', { className: 'teach-pictures' });
  #notes = make('ul', { className: 'teach-notes', ariaLive: 'polite' });
  /** @type {string[]} */ #unread = [];
  /** What all are called that were given no words of their own. */ #common = '';
  /** Width by height of what is learnt from; null: each picture keeps its own. @type {number | null} */ #aspect = 1;
  /** Those that came before are looked at first. */ #adding = Promise.resolve();

  constructor() {
    super();
    const file = make('input', { type: 'file', accept: 'image/*', multiple: true, hidden: true, tabIndex: -1, id: 'teach-files', ariaLabel: T.choose });
    file.addEventListener('change', () => {
      this.add([...file.files].map((image) => ({ image })));
      file.value = ''; // the same may be chosen again
    });
    const choose = make('button', { type: 'button', className: 'button small', textContent: T.choose });
    choose.addEventListener('click', () => file.click());
    const camera = make('button', { type: 'button', className: 'button small ghost', id: 'teach-camera', textContent: T.camera, hidden: !navigator.mediaDevices?.getUserMedia });
    camera.addEventListener('click', async () => {
      await takePictures((image) => this.add([{ image }]));
      camera.focus();
    });
    const zone = make('div', { className: 'teach-drop' }, choose, camera, file, make('span', { className: 'quiet', textContent: T.drop }));
    for (const type of ['dragover', 'drop']) {
      zone.addEventListener(type, (event) => {
        event.preventDefault();
        event.stopPropagation();
        if (type === 'drop') this.add([.../** @type {DragEvent} */ (event).dataTransfer.files].map((image) => ({ image })));
      });
    }
    this.root = make('div', {}, zone, this.#list, this.#notes);
  }

  /** How many are not the same as one before. */
  get distinct() {
    return new Set(this.pictures.map(({ hash }) => hash)).size;
  }

  /** What shape is learnt from. @param {number | null} aspect width by height; null: each picture keeps its own */
  shaped(aspect) {
    if (aspect === this.#aspect) return;
    this.#aspect = aspect;
    this.#list.classList.toggle('teach-own', aspect === null);
    for (const one of this.pictures) this.#paint(one);
  }

  /** @param {{image: Blob, caption?: string, crop?: import('./square.js').Crop, mask?: Blob | null}[]} files */
  add(files) {
    this.#adding = this.#adding.then(async () => {
      this.#unread = [];
      for (const { image, caption, crop = WHOLE, mask = null } of files) {
        if (this.pictures.length >= MOST) {
          this.#unread.push(T.many);
          break;
        }
        try {
          const one = { ...(await looked(image)), crop, mask, caption: caption ?? this.#common, own: caption !== undefined, canvas: make('canvas') };
          await this.#paint(one);
          this.pictures.push(one);
          this.#draw();
        } catch {
          this.#unread.push(T.unread(/** @type {File} */ (image).name ?? '?'));
        }
      }
      this.#draw();
    });
    return this.#adding;
  }

  /** The words for all that have none of their own. @param {string} words */
  called(words) {
    this.#common = words;
    for (const one of this.pictures) if (!one.own) one.caption = words;
    for (const [at, field] of [...this.#list.querySelectorAll('input')].entries()) field.value = this.pictures[at].caption;
  }

  clear() {
    this.pictures = [];
    this.#unread = [];
    this.#draw();
  }

  /**
   * All of them as they were brought and as they are learnt from: in pixels of the model, or in their own shapes.
   * @param {number} width @param {number} height
   */
  async cut(width, height) {
    const all = [];
    for (const one of this.pictures) {
      const { image, caption, crop, mask } = one;
      const size = this.#aspect === null ? ownSize(one, crop, width * height) : { width, height };
      const counts = mask && await squareOf(mask, crop, size);
      all.push({ image, caption, crop, mask, square: await squareOf(image, crop, size), counts });
    }
    return all;
  }

  /** @param {One} one */
  #aspectOf(one) {
    return this.#aspect ?? ownAspect(one);
  }

  /** @param {One} one */
  async #paint(one) {
    const bitmap = await createImageBitmap(one.image);
    Object.assign(one.canvas, sizeOf(SHOWN, this.#aspectOf(one)));
    drawCrop(one.canvas.getContext('2d'), bitmap, one.crop);
    bitmap.close();
    if (one.mask) await drawMasked(one.canvas.getContext('2d'), one.mask, one.crop);
  }

  #draw() {
    this.#list.replaceChildren(...this.pictures.map((one, at) => {
      const caption = make('input', { type: 'text', value: one.caption, ariaLabel: T.caption(at + 1) });
      caption.addEventListener('input', () => Object.assign(one, { caption: caption.value, own: true }));
      const button = (/** @type {string} */ textContent, /** @type {string} */ ariaLabel) =>
        make('button', { type: 'button', className: 'button small ghost', textContent, ariaLabel, title: ariaLabel });
      const cut = button(T.cut, T.cutOne(at + 1));
      cut.addEventListener('click', async () => {
        const crop = await askCrop(one, this.#aspectOf(one), T.cutOne(at + 1));
        cut.focus();
        if (!crop) return;
        one.crop = crop;
        await this.#paint(one);
      });
      const mask = button(T.mask, T.maskOne(at + 1));
      mask.setAttribute('aria-pressed', String(one.mask !== null));
      mask.addEventListener('click', async () => {
        const painted = await askMask(one, this.#aspectOf(one), T.maskOne(at + 1));
        mask.focus();
        if (painted === undefined) return;
        one.mask = painted;
        mask.setAttribute('aria-pressed', String(painted !== null));
        one.canvas.ariaLabel = painted ? T.isMasked(at + 1) : T.picture(at + 1);
        await this.#paint(one);
      });
      const remove = button('×', T.off(at + 1));
      remove.addEventListener('click', () => {
        this.pictures.splice(at, 1);
        this.#draw();
        const next = this.#list.children[Math.min(at, this.pictures.length - 1)]?.querySelector('.teach-acts > :last-child');
        (next ?? this.root.querySelector('button')).focus();
      });
      Object.assign(one.canvas, { role: 'img', ariaLabel: one.mask ? T.isMasked(at + 1) : T.picture(at + 1) });
      return make('li', {}, one.canvas, make('div', { className: 'teach-acts' }, cut, mask, remove), caption);
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

/** A picture, no larger than it need be, its size, what tells it from others, and how sharp it is. @param {Blob} file */
async function looked(file) {
  const bitmap = await createImageBitmap(file);
  try {
    const { width, height } = bitmap;
    const image = Math.max(width, height) > LARGEST ? await smaller(bitmap) : file;
    const side = 64;
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true }));
    context.drawImage(bitmap, 0, 0, side, side);
    const { data } = context.getImageData(0, 0, side, side);
    const grey = (/** @type {number} */ x, /** @type {number} */ y) => data[4 * (y * side + x)] * 0.3 + data[4 * (y * side + x) + 1] * 0.6 + data[4 * (y * side + x) + 2] * 0.1;
    let edges = 0;
    for (let y = 1; y + 1 < side; y++) {
      for (let x = 1; x + 1 < side; x++) {
        edges += (4 * grey(x, y) - grey(x - 1, y) - grey(x + 1, y) - grey(x, y - 1) - grey(x, y + 1)) ** 2;
      }
    }
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
    return { image, width, height, hash: digest.join(), edges: edges / (side - 2) ** 2 };
  } finally {
    bitmap.close();
  }
}

/** A copy of at most `LARGEST` pixels a side. @param {ImageBitmap} bitmap */
async function smaller(bitmap) {
  const scale = LARGEST / Math.max(bitmap.width, bitmap.height);
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
  drawCrop(/** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d')), bitmap, WHOLE);
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.95 });
}
