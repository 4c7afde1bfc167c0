/** A brush over a mask: its buttons, and what hands and keys do with it, wherever a mask is painted that is no canvas of its own. */

import { make } from '../js/dom.js';

/** How much a key moves the brush, in shares of the longer side of what is shown, and how much one enlarges it. */
const [STEP, GROWTH] = [0.04, 1.2];
/** So much of the brush fades. */
const SOFT = 0.2;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {{x: number, y: number}} Point in shares of what is shown */

/** Shows where it is and how far it reaches. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} r */
export function outline(context, x, y, r) {
  context.beginPath();
  context.arc(x, y, r, 0, 2 * Math.PI);
  for (const [line, colour] of /** @type {[number, string][]} */ ([[3, 'rgb(0 0 0 / 65%)'], [1.5, '#fff']])) {
    Object.assign(context, { lineWidth: line, strokeStyle: colour });
    context.stroke();
  }
}

export class Brush {
  #erases = false;
  #size;
  /** Where it is; null: nowhere. @type {Point | null} */ at = null;
  /** Where the stroke under way was last. @type {import('./mask.js').Dab | null} */ #last = null;

  /**
   * @param {object} by
   * @param {() => import('./mask.js').Mask | null} by.mask what is painted on
   * @param {(at: Point, size: number) => import('./mask.js').Dab} by.dab what the brush covers of the mask
   * @param {() => number} by.aspect width by height of what is shown
   * @param {{from: number, to: number, usual: number}} by.sizes how far it reaches, in shares
   * @param {string} by.id of the field of its size
   * @param {{brush: string, eraser: string, undo: string, invert: string, clear: string, size: string, sized: (size: number) => string}} by.words
   * @param {() => void} by.onDraw it looks otherwise
   * @param {() => void} by.onChange a change is complete, or was taken back
   */
  constructor({ sizes, id, words, ...by }) {
    Object.assign(this, { by, sizes, words });
    this.#size = sizes.usual;
    const button = (/** @type {string} */ textContent, /** @type {() => void} */ press) => {
      const made = make('button', { type: 'button', className: 'button small ghost', textContent });
      made.addEventListener('click', press);
      return made;
    };
    this.#brush = button(words.brush, () => this.#use(false));
    this.#eraser = button(words.eraser, () => this.#use(true));
    this.#undo = button(words.undo, () => this.#change((mask) => mask.undo(), true));
    this.#sizes = make('input', { type: 'range', id, min: Math.sqrt(sizes.from), max: Math.sqrt(sizes.to), step: 0.01 });
    this.#sizes.addEventListener('input', () => this.resize(this.#sizes.valueAsNumber ** 2 / this.#size));
    /** Which of the two it is. */
    this.tools = [this.#brush, this.#eraser];
    /** What is done to all of the mask. */
    this.acts = [this.#undo, button(words.invert, () => this.#change((mask) => mask.invert())), button(words.clear, () => this.#change((mask) => mask.clear()))];
    this.field = make('div', { className: 'field' }, make('label', { htmlFor: id, textContent: words.size }), this.#sizes);
    this.#use(false);
  }

  #brush;
  #eraser;
  #undo;
  #sizes;

  /** How far it reaches, in shares. */
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
      this.by.mask().begin();
      this.at = at;
      this.#stroke(altKey);
    } else if (type === 'pointermove') {
      this.at = at;
      if (this.#last && isPrimary) this.#stroke(altKey);
      else this.by.onDraw();
    } else {
      if (type === 'pointerleave' && !this.#last) this.at = null;
      this.#finish();
      this.by.onDraw();
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
    else if (key === '[' || key === ']') this.resize(key === ']' ? GROWTH : 1 / GROWTH);
    else if (letter === 'b' || letter === 'e') this.#use(letter === 'e');
    else return false;
    return true;
  }

  /** Shows what can be done. */
  draw() {
    this.#undo.setAttribute('aria-disabled', String(!this.by.mask()?.canUndo));
  }

  /** Makes the brush so many times as large. @param {number} by */
  resize(by) {
    this.#size = Math.min(this.sizes.to, Math.max(this.sizes.from, this.#size * by));
    this.#sizes.value = String(Math.sqrt(this.#size));
    this.#sizes.setAttribute('aria-valuetext', this.words.sized(this.#size));
    this.by.onDraw();
  }

  /** A key moves the brush; painting on the way, where that is asked for. @param {[number, number]} by @param {boolean} paints */
  #step([right, down], paints) {
    const { x, y } = this.at ??= { x: 0.5, y: 0.5 };
    if (paints) {
      this.by.mask().begin();
      this.#stroke();
    }
    const within = (/** @type {number} */ share) => Math.min(1, Math.max(0, share));
    const aspect = this.by.aspect();
    this.at = { x: within(x + right * STEP * Math.max(1, 1 / aspect)), y: within(y + down * STEP * Math.max(1, aspect)) };
    if (paints) {
      this.#stroke();
      this.#finish();
    }
    this.by.onDraw();
  }

  /** The brush comes to where it is. @param {boolean} [otherwise] the other of brush and eraser */
  #stroke(otherwise = false) {
    const dab = this.by.dab(this.at, this.#size);
    this.by.mask().stroke(this.#last ?? dab, dab, { erase: this.#erases !== otherwise, soft: SOFT });
    this.#last = dab;
    this.by.onDraw();
  }

  #finish() {
    if (!this.#last) return;
    this.#last = null;
    if (this.by.mask()?.end()) this.by.onChange();
  }

  /** @param {(mask: import('./mask.js').Mask) => void} act @param {boolean} [isBack] it takes back a change, and is none */
  #change(act, isBack = false) {
    this.#finish();
    const mask = this.by.mask();
    if (!isBack) mask.begin();
    act(mask);
    if (!isBack) mask.end();
    this.by.onChange();
  }

  /** @param {boolean} erases */
  #use(erases) {
    this.#erases = erases;
    this.#brush.setAttribute('aria-pressed', String(!erases));
    this.#eraser.setAttribute('aria-pressed', String(erases));
    this.resize(1);
  }
}
