/** What of a picture belongs to the thing, painted by hand over the part that is learnt from: only that is learnt. */

import { make } from '../js/dom.js';
import { pngOf, valuesOf } from '../paint/files.js';
import { Mask } from '../paint/mask.js';
import { button, panel } from './dialog.js';
import { drawCrop, partOf } from './square.js';
import { TEXTS as T } from './texts.js';

/** Pixels of what is shown, and of a mask's longer side. */
const [SIDE, FINE] = [432, 512];
/** How far the brush reaches, as a share of what is shown. */
const SIZES = { from: 0.01, to: 0.4, usual: 0.09 };
/** How much a key moves the brush, in shares of what is shown, and how much one enlarges it. */
const [STEP, GROWTH] = [0.04, 1.2];
/** So much of the brush fades. */
const SOFT = 0.2;
/** How little is seen of what does not count. */
const VEIL = 0.82;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** How large the mask of a picture is. @param {{width: number, height: number}} picture */
function sizeOf({ width, height }) {
  const scale = FINE / Math.max(width, height);
  return [width, height].map((side) => Math.max(1, Math.round(side * scale)));
}

/**
 * Asks for the mask. Resolves with it as a PNG of the picture's shape, with null where all of the picture counts, and with undefined
 * where it is to stay as it is.
 * @param {import('./set.js').One} one @param {number} aspect width by height of what is learnt from @param {string} title
 * @returns {Promise<Blob | null | undefined>}
 */
export async function askMask(one, aspect, title) {
  const bitmap = await createImageBitmap(one.image);
  const [width, height] = sizeOf(bitmap);
  const mask = new Mask(width, height);
  if (one.mask) mask.put((await valuesOf(one.mask, width, height)).values);
  return new Promise((resolve) => new Painting(bitmap, one.crop, mask, aspect, title, resolve));
}

class Painting {
  #erases = false;
  #size = SIZES.usual;
  /** Where the brush is, in shares of what is shown; null: nowhere. @type {{x: number, y: number} | null} */ #at = null;
  /** Where the stroke under way was last. @type {import('../paint/mask.js').Dab | null} */ #last = null;
  /** Something has changed that is not drawn. */ #asked = 0;
  #canvas;
  #veil;
  #said = make('p', { className: 'quiet', role: 'status' });
  #brush = button(T.brush, () => this.#use(false), 'small ghost');
  #eraser = button(T.eraser, () => this.#use(true), 'small ghost');
  #undo = button(T.undo, () => this.#change(() => this.mask.undo(), true), 'small ghost');
  #sizes = make('input', { type: 'range', min: String(Math.sqrt(SIZES.from)), max: String(Math.sqrt(SIZES.to)), step: '0.01', id: 'teach-brush' });

  /**
   * @param {ImageBitmap} bitmap @param {import('./square.js').Crop} crop @param {Mask} mask @param {number} aspect @param {string} title
   * @param {(mask: Blob | null | undefined) => void} answer
   */
  constructor(bitmap, crop, mask, aspect, title, answer) {
    Object.assign(this, { bitmap, crop, mask, aspect });
    this.#canvas = make('canvas', { className: 'teach-mask', width: SIDE, height: Math.round(SIDE / aspect), tabIndex: 0, role: 'application', ariaLabel: T.maskLabel });
    this.#veil = Object.assign(document.createElement('canvas'), { width: mask.width, height: mask.height });
    this.#sizes.addEventListener('input', () => this.#resize(this.#sizes.valueAsNumber ** 2 / this.#size));
    let taken = false;
    const dialog = panel(title, [make('p', { className: 'quiet', textContent: T.maskText }), this.#canvas, this.#said,
      make('div', { className: 'teach-brushes' }, this.#brush, this.#eraser,
        make('div', { className: 'field' }, make('label', { htmlFor: 'teach-brush', textContent: T.brushSize }), this.#sizes)),
      make('div', { className: 'teach-brushes' }, this.#undo,
        button(T.invert, () => this.#change(() => mask.invert()), 'small ghost'),
        button(T.unmasked, () => this.#change(() => mask.clear()), 'small ghost')),
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
    this.#use(false);
    this.#say();
    this.#canvas.focus();
  }

  #listen() {
    const canvas = this.#canvas;
    const moves = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      this.#at = { x: (clientX - left) / width, y: (clientY - top) / height };
    };
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || this.#last) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      moves(event);
      this.mask.begin();
      this.#stroke();
    });
    canvas.addEventListener('pointermove', (event) => {
      const all = event.getCoalescedEvents?.() ?? [];
      for (const each of all.length ? all : [event]) {
        moves(each);
        if (this.#last && event.isPrimary) this.#stroke();
      }
      this.#draw();
    });
    for (const type of ['pointerup', 'pointercancel']) canvas.addEventListener(type, () => this.#finish());
    canvas.addEventListener('pointerleave', () => {
      if (this.#last) return;
      this.#at = null;
      this.#draw();
    });
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.#resize(Math.exp(-event.deltaY / 700));
    }, { passive: false });
    canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { key, ctrlKey, metaKey, altKey, shiftKey } = event;
    const arrow = ARROWS[key];
    let act;
    if (ctrlKey || metaKey) {
      if (key.toLowerCase() === 'z') act = () => this.#change(() => this.mask.undo(), true);
    } else if (altKey) return;
    else if (arrow) act = () => this.#step(arrow, shiftKey);
    else if (key === ' ') act = () => this.#step([0, 0], true);
    else if (key === '[') act = () => this.#resize(1 / GROWTH);
    else if (key === ']') act = () => this.#resize(GROWTH);
    else if (key === 'b' || key === 'e') act = () => this.#use(key === 'e');
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** A key moves the brush; painting on the way, where that is asked for. @param {[number, number]} by @param {boolean} paints */
  #step([right, down], paints) {
    const { x, y } = this.#at ?? { x: 0.5, y: 0.5 };
    this.#at = { x, y };
    if (paints) {
      this.mask.begin();
      this.#stroke();
    }
    const within = (/** @type {number} */ share) => Math.min(1, Math.max(0, share));
    this.#at = { x: within(x + right * STEP), y: within(y + down * STEP) };
    if (paints) {
      this.#stroke();
      this.#finish();
    }
    this.#draw();
  }

  /** The brush comes to where it is. */
  #stroke() {
    const part = partOf(this.mask, this.crop, this.aspect);
    const { x, y } = /** @type {{x: number, y: number}} */ (this.#at);
    const dab = { x: part.x + x * part.width, y: part.y + y * part.height, r: this.#size * part.width };
    this.mask.stroke(this.#last ?? dab, dab, { erase: this.#erases, soft: SOFT });
    this.#last = dab;
    this.#draw();
  }

  #finish() {
    if (!this.#last) return;
    this.#last = null;
    this.mask.end();
    this.#say();
  }

  /** @param {() => void} act @param {boolean} [isBack] it takes back a change, and is none */
  #change(act, isBack = false) {
    this.#finish();
    if (!isBack) this.mask.begin();
    act();
    if (!isBack) this.mask.end();
    this.#say();
  }

  /** @param {boolean} erases */
  #use(erases) {
    this.#erases = erases;
    this.#brush.setAttribute('aria-pressed', String(!erases));
    this.#eraser.setAttribute('aria-pressed', String(erases));
    this.#resize(1);
  }

  /** Makes the brush so many times as large. @param {number} by */
  #resize(by) {
    this.#size = Math.min(SIZES.to, Math.max(SIZES.from, this.#size * by));
    this.#sizes.value = String(Math.sqrt(this.#size));
    this.#sizes.setAttribute('aria-valuetext', T.brushed(this.#size));
    this.#draw();
  }

  /** Says how much counts. */
  #say() {
    this.#said.textContent = T.masked(this.mask.share);
    this.#undo.setAttribute('aria-disabled', String(!this.mask.canUndo));
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
    if (!this.#at) return;
    const { width, height } = this.#canvas;
    context.beginPath();
    context.arc(this.#at.x * width, this.#at.y * height, this.#size * width, 0, 2 * Math.PI);
    for (const [line, colour] of /** @type {[number, string][]} */ ([[3, 'rgb(0 0 0 / 65%)'], [1.5, '#fff']])) {
      Object.assign(context, { lineWidth: line, strokeStyle: colour });
      context.stroke();
    }
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
