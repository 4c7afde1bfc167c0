/** Where a part of a prompt is, painted by hand on the sheet of the regions: by pointer or by keys, over the mask of *Repaint*. */

import { make } from '../js/dom.js';
import { pngOf, valuesOf } from '../paint/files.js';
import { Mask } from '../paint/mask.js';

/** Pixels of a mask's longer side: more than the latents of any picture have. */
const FINE = 256;
/** How far the brush reaches, as a share of the longer side. */
const SIZES = { from: 0.02, to: 0.5, usual: 0.12 };
/** How much a key moves the brush, in shares of the longer side, and how much one enlarges it. */
const [STEP, GROWTH] = [0.04, 1.2];
/** So much of the brush fades. */
const SOFT = 0.2;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What keys do, for who does not see it. */
export const KEYS = 'Arrow keys move the brush, with Shift they paint on the way; Space paints, B and E choose brush and eraser, [ and ] its size, Ctrl+Z takes back.';

/** @typedef {{x: number, y: number}} Point in shares of the sheet */

/** A mask that is painted, and as it is shown. */
export class Painting {
  #shown = document.createElement('canvas');

  /** @param {number} width of the picture @param {number} height */
  constructor(width, height) {
    const scale = FINE / Math.max(width, height);
    const [w, h] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
    this.mask = new Mask(w, h);
    Object.assign(this.#shown, { width: w, height: h });
  }

  /** @param {Blob} png */
  async read(png) {
    this.mask.put((await valuesOf(png, this.mask.width, this.mask.height)).values);
  }

  /** @returns {Promise<Blob | null>} a PNG; null where nothing is painted */
  async file() {
    return this.mask.isEmpty ? null : pngOf(this.mask);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} width @param {number} height @param {string} colour @param {number} alpha */
  draw(context, width, height, colour, alpha) {
    const { mask } = this;
    const own = this.#shown.getContext('2d');
    const image = new ImageData(mask.width, mask.height);
    for (let i = 0; i < mask.data.length; i++) image.data[4 * i + 3] = mask.data[i];
    own.putImageData(image, 0, 0);
    own.globalCompositeOperation = 'source-in';
    own.fillStyle = colour;
    own.fillRect(0, 0, mask.width, mask.height);
    own.globalCompositeOperation = 'source-over';
    context.globalAlpha = alpha;
    context.drawImage(this.#shown, 0, 0, width, height);
    context.globalAlpha = 1;
  }

  /** The middle of what is painted. @returns {Point | null} */
  get middle() {
    const { width, data } = this.mask;
    let [sum, x, y] = [0, 0, 0];
    data.forEach((value, i) => {
      sum += value;
      x += value * (i % width);
      y += value * Math.floor(i / width);
    });
    return sum ? { x: (x / sum + 0.5) / width, y: (y / sum + 0.5) / this.mask.height } : null;
  }
}

/** The brush, its buttons, and what hands and keys do with it. */
export class Brush {
  #erases = false;
  #size = SIZES.usual;
  /** Where it is; null: nowhere. @type {Point | null} */ at = null;
  /** Where the stroke under way was last. @type {import('../paint/mask.js').Dab | null} */ #last = null;

  /**
   * @param {object} by
   * @param {() => Painting | null} by.painting what is painted on
   * @param {() => void} by.onDraw it looks otherwise
   * @param {() => void} by.onChange a change is complete
   */
  constructor({ painting, onDraw, onChange }) {
    Object.assign(this, { painting, onDraw, onChange });
    const button = (/** @type {string} */ textContent, /** @type {() => void} */ press) => {
      const made = make('button', { type: 'button', className: 'button small ghost', textContent });
      made.addEventListener('click', press);
      return made;
    };
    this.#brush = button('Brush', () => this.#use(false));
    this.#eraser = button('Eraser', () => this.#use(true));
    this.#undo = button('Undo', () => this.#change((mask) => mask.undo(), true));
    this.#sizes = make('input', { type: 'range', id: 'region-brush', min: Math.sqrt(SIZES.from), max: Math.sqrt(SIZES.to), step: 0.01 });
    this.#sizes.addEventListener('input', () => this.#resize(this.#sizes.valueAsNumber ** 2 / this.#size));
    this.element = make('div', { className: 'region-brush', hidden: true },
      make('div', { className: 'steer-add' }, this.#brush, this.#eraser),
      make('div', { className: 'steer-add' }, this.#undo,
        button('Invert', () => this.#change((mask) => mask.invert())), button('Clear', () => this.#change((mask) => mask.clear()))),
      make('div', { className: 'field' }, make('label', { htmlFor: 'region-brush', textContent: 'Brush size' }), this.#sizes));
    this.#use(false);
  }

  #brush;
  #eraser;
  #undo;
  #sizes;

  /** How far it reaches, as a share of the longer side. */
  get size() {
    return this.#size;
  }

  get isActing() {
    return this.#last !== null;
  }

  /** @param {PointerEvent} event @param {Point} at */
  pointer({ type, button, isPrimary, pointerId, target, altKey }, at) {
    if (type === 'pointerdown') {
      if (button !== 0 || this.#last) return;
      /** @type {HTMLElement} */ (target).setPointerCapture(pointerId);
      this.painting().mask.begin();
      this.at = at;
      this.#stroke(altKey);
    } else if (type === 'pointermove') {
      this.at = at;
      if (this.#last && isPrimary) this.#stroke(altKey);
      else this.onDraw();
    } else {
      if (type === 'pointerleave' && !this.#last) this.at = null;
      this.#finish();
      this.onDraw();
    }
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it is one of the brush's */
  key({ key, ctrlKey, metaKey, altKey, shiftKey }) {
    const arrow = ARROWS[key];
    const letter = key.toLowerCase();
    if (altKey) return false;
    if (ctrlKey || metaKey) {
      if (letter !== 'z') return false;
      this.#change((mask) => (shiftKey ? mask.redo() : mask.undo()), true);
    } else if (arrow) this.#step(arrow, shiftKey);
    else if (key === ' ') this.#step([0, 0], true);
    else if (key === '[' || key === ']') this.#resize(key === ']' ? GROWTH : 1 / GROWTH);
    else if (letter === 'b' || letter === 'e') this.#use(letter === 'e');
    else return false;
    return true;
  }

  /** Shows what can be done. */
  draw() {
    const painting = this.painting();
    this.element.hidden = !painting;
    this.#undo.setAttribute('aria-disabled', String(!painting?.mask.canUndo));
  }

  /** A key moves the brush; painting on the way, where that is asked for. @param {[number, number]} by @param {boolean} paints */
  #step([right, down], paints) {
    const { mask } = this.painting();
    const longer = Math.max(mask.width, mask.height);
    const { x, y } = this.at ??= { x: 0.5, y: 0.5 };
    if (paints) {
      mask.begin();
      this.#stroke();
    }
    const within = (/** @type {number} */ share) => Math.min(1, Math.max(0, share));
    this.at = { x: within(x + (right * STEP * longer) / mask.width), y: within(y + (down * STEP * longer) / mask.height) };
    if (paints) {
      this.#stroke();
      this.#finish();
    }
    this.onDraw();
  }

  /** The brush comes to where it is. @param {boolean} [otherwise] the other of brush and eraser */
  #stroke(otherwise = false) {
    const { mask } = this.painting();
    const { x, y } = this.at;
    const dab = { x: x * mask.width, y: y * mask.height, r: this.#size * Math.max(mask.width, mask.height) };
    mask.stroke(this.#last ?? dab, dab, { erase: this.#erases !== otherwise, soft: SOFT });
    this.#last = dab;
    this.onDraw();
  }

  #finish() {
    if (!this.#last) return;
    this.#last = null;
    if (this.painting()?.mask.end()) this.onChange();
  }

  /** @param {(mask: Mask) => void} act @param {boolean} [isBack] it takes back a change, and is none */
  #change(act, isBack = false) {
    this.#finish();
    const { mask } = this.painting();
    if (!isBack) mask.begin();
    act(mask);
    if (!isBack) mask.end();
    this.onChange();
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
    this.#sizes.setAttribute('aria-valuetext', `${Math.round(this.#size * 200)} % of the picture`);
    this.onDraw();
  }
}
