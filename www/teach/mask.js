/** What of a picture belongs to the thing, painted by hand over the part that is learnt from: only that is learnt. */

import { make } from '../js/dom.js';
import { Brush, outline } from '../paint/brush.js';
import { pngOf, valuesOf } from '../paint/files.js';
import { Mask } from '../paint/mask.js';
import { button, panel } from './dialog.js';
import { drawCrop, partOf, sizeOf } from './square.js';
import { TEXTS as T } from './texts.js';

/** Pixels of what is shown, and of a mask's longer side. */
const [SIDE, FINE] = [432, 512];
/** How far the brush reaches, as a share of what is shown. */
const SIZES = { from: 0.01, to: 0.4, usual: 0.09 };
/** How little is seen of what does not count. */
const VEIL = 0.82;

/**
 * Asks for the mask. Resolves with it as a PNG of the picture's shape, with null where all of the picture counts, and with undefined
 * where it is to stay as it is.
 * @param {import('./set.js').One} one @param {number} aspect width by height of what is learnt from @param {string} title
 * @returns {Promise<Blob | null | undefined>}
 */
export async function askMask(one, aspect, title) {
  const bitmap = await createImageBitmap(one.image);
  const { width, height } = sizeOf(FINE, bitmap.width / bitmap.height);
  const mask = new Mask(width, height);
  if (one.mask) mask.put((await valuesOf(one.mask, width, height)).values);
  return new Promise((resolve) => new Painting(bitmap, one.crop, mask, aspect, title, resolve));
}

class Painting {
  /** Something has changed that is not drawn. */ #asked = 0;
  #canvas;
  #veil;
  #brush;
  #said = make('p', { className: 'quiet', role: 'status' });

  /**
   * @param {ImageBitmap} bitmap @param {import('./square.js').Crop} crop @param {Mask} mask @param {number} aspect @param {string} title
   * @param {(mask: Blob | null | undefined) => void} answer
   */
  constructor(bitmap, crop, mask, aspect, title, answer) {
    Object.assign(this, { bitmap, crop, mask });
    this.#canvas = make('canvas', { className: 'teach-mask', ...sizeOf(SIDE, aspect), tabIndex: 0, role: 'application', ariaLabel: T.maskLabel });
    this.#veil = Object.assign(document.createElement('canvas'), { width: mask.width, height: mask.height });
    const part = partOf(mask, crop, aspect);
    this.#brush = new Brush({
      mask: () => mask, aspect: () => aspect, sizes: SIZES, id: 'teach-brush',
      words: { brush: T.brush, eraser: T.eraser, undo: T.undo, invert: T.invert, clear: T.unmasked, size: T.brushSize, sized: T.brushed },
      dab: ({ x, y }, size) => ({ x: part.x + x * part.width, y: part.y + y * part.height, r: size * part.width }),
      onDraw: () => this.#draw(),
      onChange: () => this.#say(),
    });
    let taken = false;
    const dialog = panel(title, [make('p', { className: 'quiet', textContent: T.maskText }), this.#canvas, this.#said,
      make('div', { className: 'teach-brushes' }, ...this.#brush.tools, this.#brush.field), make('div', { className: 'teach-brushes' }, ...this.#brush.acts),
      make('p', { className: 'quiet', textContent: T.maskHint })], [
      button(T.takeMask, () => {
        taken = true;
        dialog.close();
      }, 'primary'),
      button(T.cancel, () => dialog.close(), 'ghost')]);
    dialog.addEventListener('close', async () => {
      cancelAnimationFrame(this.#asked);
      mask.end();
      answer(taken ? (mask.isEmpty ? null : await pngOf(mask)) : undefined);
      bitmap.close();
    });
    this.#listen();
    this.#say();
    this.#canvas.focus();
  }

  #listen() {
    const canvas = this.#canvas;
    const at = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      return { x: (clientX - left) / width, y: (clientY - top) / height };
    };
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button === 0) event.preventDefault();
      canvas.focus({ preventScroll: true });
      this.#brush.pointer(event, at(event));
    });
    canvas.addEventListener('pointermove', (event) => {
      const all = event.getCoalescedEvents?.() ?? [];
      for (const each of all.length ? all : [event]) this.#brush.pointer(each, at(each));
    });
    for (const type of ['pointerup', 'pointercancel', 'pointerleave']) canvas.addEventListener(type, (event) => this.#brush.pointer(event, at(event)));
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.#brush.resize(Math.exp(-event.deltaY / 700));
    }, { passive: false });
    canvas.addEventListener('keydown', (event) => {
      if (this.#brush.key(event)) event.preventDefault();
    });
  }

  /** Says how much counts. */
  #say() {
    this.#said.textContent = T.masked(this.mask.share);
    this.#brush.draw();
    this.#draw();
  }

  /** With the next frame. */
  #draw() {
    this.#asked ||= requestAnimationFrame(() => {
      this.#asked = 0;
      this.#drawNow();
    });
  }

  #drawNow() {
    const context = this.#canvas.getContext('2d');
    drawCrop(context, this.bitmap, this.crop);
    if (this.mask.takeChanged()) veil(this.#veil, this.mask.data);
    if (!this.mask.isEmpty) drawVeil(context, this.#veil, this.crop);
    const { width, height } = this.#canvas;
    const { at, size } = this.#brush;
    if (at) outline(context, at.x * width, at.y * height, size * width);
  }
}

/** Paper over what does not count. @param {HTMLCanvasElement | OffscreenCanvas} canvas of the mask's size @param {ArrayLike<number>} values */
function veil(canvas, values) {
  const image = new ImageData(canvas.width, canvas.height);
  for (let i = 0; i < values.length; i++) image.data[4 * i + 3] = VEIL * (255 - values[i]);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = 'source-in';
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--paper');
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = 'source-over';
}

/** @param {CanvasRenderingContext2D} context that shows a crop @param {HTMLCanvasElement | OffscreenCanvas} over @param {import('./square.js').Crop} crop */
function drawVeil(context, over, crop) {
  const { width, height } = context.canvas;
  const part = partOf(over, crop, width / height);
  context.drawImage(over, part.x, part.y, part.width, part.height, 0, 0, width, height);
}

/** Draws over a crop of a picture what its mask leaves out. @param {CanvasRenderingContext2D} context @param {Blob} mask @param {import('./square.js').Crop} crop */
export async function drawMasked(context, mask, crop) {
  const bitmap = await createImageBitmap(mask);
  const { width, height } = bitmap;
  bitmap.close();
  const over = new OffscreenCanvas(width, height);
  veil(over, (await valuesOf(mask, width, height)).values);
  drawVeil(context, over, crop);
}
