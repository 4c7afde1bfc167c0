/** The picture with what is painted over it: noise lies where it will begin with noise. Nearer and farther, and moved. */

import { make } from '../js/dom.js';
import { Grain } from '../js/grain.js';

/** How near the picture can be brought. */
const NEAREST = 16;
/** The side of a grain in CSS pixels. */
const GRAIN = 2;
/** Grains along a side of the pattern that is laid side by side. */
const PATTERN = 160;

/** @typedef {import('./mask.js').Mask} Mask */
/** @typedef {{x: number, y: number}} Point in pixels of the mask */

export class View {
  /** Where the picture lies: enlarged so often, moved so far in CSS pixels. */ #place = { scale: 1, x: 0, y: 0 };
  #asked = 0;
  /** What is drawn with: outlined, not painted yet. @type {Point[]} */ #outline = [];
  /** @type {Mask | null} */ #mask = null;
  /** @type {ImageBitmap | null} */ #picture = null;
  /** What is shown in its place, if anything. @type {HTMLCanvasElement | null} */ #result = null;
  #moved = true;
  #grain = new Grain(PATTERN).noise();

  /** @param {HTMLElement} root the square that it fills */
  constructor(root) {
    this.root = root;
    this.under = make('canvas', { className: 'mask-under' });
    this.over = make('canvas', { className: 'mask-over' });
    this.ring = make('div', { className: 'mask-ring', hidden: true });
    for (const canvas of [this.under, this.over]) canvas.setAttribute('aria-hidden', 'true');
    root.append(this.under, this.over, this.ring);
    /** The mask as what can be drawn: as opaque as it is painted. */
    this.sheet = document.createElement('canvas');
    new ResizeObserver(() => this.draw({ moved: true })).observe(root);
  }

  /** @param {ImageBitmap} picture @param {Mask} mask */
  show(picture, mask) {
    if (picture !== this.#picture) this.#picture?.close();
    this.#picture = picture;
    this.#mask = mask;
    Object.assign(this.sheet, { width: mask.width, height: mask.height });
    this.#outline = [];
    this.whole();
  }

  /** Shows what came of what is painted, through which that is seen faintly; null: the picture itself. @param {ImageData | null} image */
  result(image) {
    this.#result = image && Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
    this.#result?.getContext('2d').putImageData(image, 0, 0);
    this.root.toggleAttribute('data-result', image !== null);
    this.draw({ moved: true });
  }

  /** All of it again. */
  whole() {
    this.#place = { scale: 1, x: 0, y: 0 };
    this.draw({ moved: true });
  }

  get scale() {
    return this.#place.scale;
  }

  /** CSS pixels to one of the mask. */
  get zoom() {
    const mask = this.#mask;
    return mask ? (this.root.clientWidth / Math.max(mask.width, mask.height)) * this.#place.scale : 1;
  }

  /** Where on the mask a point of the window lies. @param {{clientX: number, clientY: number}} event @returns {Point} */
  at({ clientX, clientY }) {
    const { left, top, width, height } = this.root.getBoundingClientRect();
    const { x, y } = this.#place;
    const { zoom } = this;
    return {
      x: (clientX - left - width / 2 - x) / zoom + this.sheet.width / 2,
      y: (clientY - top - height / 2 - y) / zoom + this.sheet.height / 2,
    };
  }

  /** Enlarges so often; what lies at this point of the window stays there. */
  nearer(scale, { clientX, clientY }) {
    const { left, top, width, height } = this.root.getBoundingClientRect();
    const [x, y] = [clientX - left - width / 2, clientY - top - height / 2];
    const to = Math.min(NEAREST, Math.max(1, scale));
    const by = to / this.#place.scale;
    this.#place = { scale: to, x: x - (x - this.#place.x) * by, y: y - (y - this.#place.y) * by };
    this.move(0, 0);
  }

  /** Moves it by CSS pixels, as far as something is hidden there. */
  move(x, y) {
    const { scale } = this.#place;
    const most = (this.root.clientWidth * (scale - 1)) / 2;
    const within = (value) => Math.min(most, Math.max(-most, value));
    this.#place = { scale, x: within(this.#place.x + x), y: within(this.#place.y + y) };
    this.draw({ moved: true });
  }

  /** What a rectangle or a lasso goes around so far. @param {Point[]} points */
  outline(points) {
    this.#outline = points;
    this.draw();
  }

  /** Shows how large the brush is, where it is. @param {{clientX: number, clientY: number} | null} at @param {number} [r] in the mask's pixels */
  point(at, r = 0) {
    this.ring.hidden = at === null;
    if (!at) return;
    const { left, top } = this.root.getBoundingClientRect();
    const side = `${2 * r * this.zoom}px`;
    Object.assign(this.ring.style, {
      width: side, height: side, transform: `translate(${at.clientX - left}px, ${at.clientY - top}px) translate(-50%, -50%)`,
    });
  }

  /** Draws what has changed, with the next frame. */
  draw({ moved = false } = {}) {
    this.#moved ||= moved;
    if (this.#asked) return;
    this.#asked = requestAnimationFrame(() => {
      this.#asked = 0;
      if (this.#mask && this.root.clientWidth) this.#drawNow();
    });
  }

  #drawNow() {
    const dense = Math.min(devicePixelRatio, 2);
    const side = Math.round(this.root.clientWidth * dense);
    const resized = side !== this.over.width;
    if (resized) for (const canvas of [this.under, this.over]) canvas.width = canvas.height = side;
    const { x, y } = this.#place;
    const zoom = this.zoom * dense;
    const { width, height } = this.sheet;
    const [left, top] = [side / 2 + x * dense - (width * zoom) / 2, side / 2 + y * dense - (height * zoom) / 2];
    if (resized || this.#moved) {
      const context = this.under.getContext('2d');
      context.clearRect(0, 0, side, side);
      context.imageSmoothingQuality = 'high';
      context.drawImage(this.#result ?? this.#picture, left, top, width * zoom, height * zoom);
    }
    this.#moved = false;
    this.#takeOver();
    const context = this.over.getContext('2d');
    context.clearRect(0, 0, side, side);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.sheet, left, top, width * zoom, height * zoom);
    context.globalCompositeOperation = 'source-in';
    context.imageSmoothingEnabled = false;
    const pattern = context.createPattern(this.#grain, 'repeat');
    pattern.setTransform(new DOMMatrix().scale(GRAIN * dense));
    context.fillStyle = pattern;
    context.fillRect(0, 0, side, side);
    context.globalCompositeOperation = 'source-over';
    if (this.#outline.length > 1) this.#drawOutline(context, ({ x: px, y: py }) => [left + px * zoom, top + py * zoom], dense);
  }

  /** Light dashes over dark ones: to be seen on anything. */
  #drawOutline(context, at, dense) {
    context.beginPath();
    this.#outline.forEach((point, i) => (i ? context.lineTo(...at(point)) : context.moveTo(...at(point))));
    context.closePath();
    context.lineWidth = 1.5 * dense;
    for (const [colour, dash] of [['#000', []], ['#fff', [5 * dense, 5 * dense]]]) {
      context.setLineDash(dash);
      context.strokeStyle = colour;
      context.stroke();
    }
    context.setLineDash([]);
  }

  /** Takes over what was painted since. */
  #takeOver() {
    const changed = this.#mask.takeChanged();
    if (!changed) return;
    const { left, top, right, bottom } = changed;
    const image = new ImageData(right - left, bottom - top);
    let i = 3;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++, i += 4) image.data[i] = this.#mask.data[y * this.#mask.width + x];
    }
    this.sheet.getContext('2d').putImageData(image, left, top);
  }
}
