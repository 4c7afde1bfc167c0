/** Drawing the sides of a picture outwards: how far it grows is seen around it, as the noise that the new part begins with. */

import { grown, NO_SIDES } from '../js/begun.js';
import { $, make } from '../js/dom.js';
import { Grain } from '../js/grain.js';

/** Sides move by so many pixels of the picture, and by so many when they are to move far. */
const STEP = 8;
const FAR = 64;
/** What grows takes so much of the square, which leaves room to draw it farther. */
const SHARE = 0.7;
/** A side grows no farther than so many times the picture's longer side. */
const MOST = 2;
/** Grains along a side. */
const GRAINS = 192;

/** @typedef {import('../js/begun.js').Sides} Sides */

/** Each side: what it is called, along which axis it lies outwards, and which way. */
const SIDES = {
  left: { name: 'On the left', axis: 'x', way: -1 }, top: { name: 'At the top', axis: 'y', way: -1 },
  right: { name: 'On the right', axis: 'x', way: 1 }, bottom: { name: 'At the bottom', axis: 'y', way: 1 },
};
/** The keys that move a side outwards and inwards. */
const OUTWARDS = { left: 'ArrowLeft', top: 'ArrowUp', right: 'ArrowRight', bottom: 'ArrowDown' };
const INWARDS = { left: 'ArrowRight', top: 'ArrowDown', right: 'ArrowLeft', bottom: 'ArrowUp' };

export class SidesView {
  /** @type {Sides} */ #sides = NO_SIDES;
  #size = { width: 1, height: 1 };
  #image = '';
  /** Shares of the square to one pixel of the picture, and where that lies: left and top. */ #place = { scale: 1, left: 0, top: 0 };
  /** The side that is drawn at, from where, and how far it was. @type {{side: string, from: number, was: number} | null} */ #drag = null;

  /** @param {import('../js/begin.js').Begin} begin */
  constructor(begin) {
    this.begin = begin;
    this.sheet = make('div', { className: 'grown' });
    this.picture = make('img', { alt: '', draggable: false });
    this.handles = Object.fromEntries(Object.entries(SIDES).map(([side, { name, axis }]) => [side, this.#handle(side, name, axis)]));
    const noise = new Grain(GRAINS).noise();
    noise.setAttribute('aria-hidden', 'true');
    this.sheet.append(noise);
    $('extend').replaceChildren(this.sheet, this.picture, ...Object.values(this.handles));
    this.words = make('p', { className: 'mask-words quiet', role: 'status' });
    $('sides').replaceChildren(make('div', { className: 'begin-ways' },
      this.#preset('Wider', { left: 1, right: 1 }), this.#preset('Taller', { top: 1, bottom: 1 }),
      this.#preset('All around', { left: 1, right: 1, top: 1, bottom: 1 }), this.#preset('As it is', null)), this.words);
  }

  /** Shows a picture, and how far it grows. @param {{image: string, png: Blob, size: {width: number, height: number}, extend: Sides}} begun */
  async open({ image, png, size, extend }) {
    if (image !== this.#image) {
      this.#image = image;
      URL.revokeObjectURL(this.picture.src);
      this.picture.src = URL.createObjectURL(png);
    }
    this.#size = size;
    this.#sides = extend;
    this.#draw();
  }

  #handle(side, name, axis) {
    const handle = make('div', { className: 'side', tabIndex: 0, role: 'slider' });
    handle.dataset.side = side;
    handle.setAttribute('aria-label', name);
    handle.setAttribute('aria-orientation', axis === 'x' ? 'horizontal' : 'vertical');
    handle.addEventListener('pointerdown', (event) => {
      handle.setPointerCapture(event.pointerId);
      this.#drag = { side, from: this.#along(event, axis), was: this.#sides[side] };
    });
    handle.addEventListener('pointermove', (event) => {
      if (this.#drag?.side !== side) return;
      const way = SIDES[side].way * (this.#along(event, axis) - this.#drag.from);
      this.#set(side, this.#drag.was + way / this.#place.scale);
    });
    for (const type of ['pointerup', 'pointercancel']) {
      handle.addEventListener(type, () => {
        this.#drag = null;
        this.#draw(); // all of it in the middle again
      });
    }
    handle.addEventListener('keydown', (event) => this.#key(event, side));
    return handle;
  }

  /** Has some sides grow by a quarter of the picture, or all be as they were. */
  #preset(label, which) {
    const button = make('button', { type: 'button', className: 'button small ghost', textContent: label });
    button.addEventListener('click', () => {
      const { width, height } = this.#size;
      const more = (side, length) => (which?.[side] ? this.#fitting(this.#sides[side] + length / 4) : which ? this.#sides[side] : 0);
      this.begin.extend = { left: more('left', width), top: more('top', height), right: more('right', width), bottom: more('bottom', height) };
    });
    return button;
  }

  #key(event, side) {
    const now = this.#sides[side];
    const to = { [OUTWARDS[side]]: now + STEP, [INWARDS[side]]: now - STEP, PageUp: now + FAR, PageDown: now - FAR, Home: 0 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#set(side, to);
  }

  #set(side, pixels) {
    const to = this.#fitting(pixels);
    if (to !== this.#sides[side]) this.begin.extend = { ...this.#sides, [side]: to };
  }

  get #most() {
    return Math.ceil((MOST * Math.max(this.#size.width, this.#size.height)) / STEP) * STEP;
  }

  /** The nearest that a side can be. */
  #fitting(pixels) {
    return Math.min(this.#most, Math.max(0, Math.round(pixels / STEP) * STEP));
  }

  /** Where along an axis a point lies, as a share of the square. */
  #along({ clientX, clientY }, axis) {
    const { left, top, width } = $('extend').getBoundingClientRect();
    return (axis === 'x' ? clientX - left : clientY - top) / width;
  }

  #draw() {
    const { left, top, right, bottom } = this.#sides;
    const all = grown(this.#size, this.#sides);
    if (!this.#drag) {
      const scale = SHARE / Math.max(all.width, all.height);
      this.#place = { scale, left: 0.5 + (left - all.width / 2) * scale, top: 0.5 + (top - all.height / 2) * scale };
    }
    const { scale, left: x, top: y } = this.#place;
    put(this.picture, x, y, this.#size.width * scale, this.#size.height * scale);
    put(this.sheet, x - left * scale, y - top * scale, all.width * scale, all.height * scale);
    const middle = [x + (all.width / 2 - left) * scale, y + (all.height / 2 - top) * scale];
    const ends = { left: [x - left * scale, middle[1]], right: [x + (this.#size.width + right) * scale, middle[1]],
      top: [middle[0], y - top * scale], bottom: [middle[0], y + (this.#size.height + bottom) * scale] };
    for (const [side, handle] of Object.entries(this.handles)) {
      put(handle, ...ends[side]);
      const values = { valuemin: 0, valuemax: this.#most, valuenow: this.#sides[side], valuetext: `${this.#sides[side]} pixels` };
      for (const [name, value] of Object.entries(values)) handle.setAttribute(`aria-${name}`, String(value));
    }
    this.words.textContent = all.width === this.#size.width && all.height === this.#size.height
      ? 'Draw a side of the picture outwards, then say what the whole of it shows.'
      : `The picture becomes ${all.width} × ${all.height} pixels; what it was stays as it is, but for a seam.`;
  }
}

/** Places an element in the square, by shares of it. */
function put({ style }, left, top, width, height) {
  Object.assign(style, { left: `${100 * left}%`, top: `${100 * top}%` });
  if (width !== undefined) Object.assign(style, { width: `${100 * width}%`, height: `${100 * height}%` });
}
