/**
 * The picture: exact pixels on one canvas (role img), their smooth enlargement on another above it.
 * It knows four things to show: dust (nothing made yet), noise (work has begun), a preview, a picture.
 */

import { Grain } from './grain.js';

/** The side of a grain of noise in CSS pixels. */
const GRAIN = 2.5;

const calm = matchMedia('(prefers-reduced-motion: reduce)');
const dark = matchMedia('(prefers-color-scheme: dark)');

export class Stage {
  /** @param {HTMLElement} frame @param {HTMLCanvasElement} picture @param {HTMLCanvasElement} screen */
  constructor(frame, picture, screen) {
    Object.assign(this, { frame, picture, screen });
    this.grain = new Grain(1);
    this.fill = 0;
    this.shown = null;
    this.noiseTimer = 0;
    this.fade = 0;
    /** What was there and what comes, while one fades into the other. */
    this.layers = [document.createElement('canvas'), document.createElement('canvas')];
    new ResizeObserver(() => this.#fit()).observe(frame);
    dark.addEventListener('change', () => this.#redraw());
  }

  /** Brings the picture into sight for who pressed something far from it; where half of it is seen nothing moves. */
  bringIntoSight() {
    const { top, bottom, height } = this.frame.getBoundingClientRect();
    const seen = Math.min(bottom, innerHeight) - Math.max(top, 0);
    if (seen < height / 2) this.frame.scrollIntoView({ block: 'nearest', behavior: calm.matches ? 'auto' : 'smooth' });
  }

  /** How much of the model is here, 0 … 1: the dust gets its colours with it. */
  setFill(fill) {
    const changed = Math.round(fill * 100) !== Math.round(this.fill * 100);
    this.fill = fill;
    if (changed && this.frame.dataset.state === 'empty') this.#redraw();
  }

  /** Work on a picture begins: noise until the first preview. */
  begin({ prompt, width, height }) {
    this.frame.dataset.state = 'working';
    this.frame.removeAttribute('data-seen');
    this.picture.setAttribute('aria-label', prompt);
    this.picture.width = width;
    this.picture.height = height;
    this.picture.getContext('2d').drawImage(this.grain.noise(), 0, 0, width, height);
    this.#paint(this.grain.noise(), { pixelated: true, over: 250 });
    clearInterval(this.noiseTimer);
    if (!calm.matches) {
      this.noiseTimer = setInterval(() => this.#paint(this.grain.noise(), { pixelated: true, over: 0 }), 120);
    }
  }

  /** @param {ImageData} image the latents after a step, as a small picture */
  preview(image) {
    clearInterval(this.noiseTimer);
    const small = toCanvas(image);
    this.picture.getContext('2d').drawImage(small, 0, 0, this.picture.width, this.picture.height);
    this.#paint(small, { over: 160 });
  }

  /** @param {ImageData} image */
  show(image, prompt, { over = 300 } = {}) {
    clearInterval(this.noiseTimer);
    this.shown = { image, prompt };
    this.frame.dataset.state = 'done';
    this.picture.width = image.width;
    this.picture.height = image.height;
    this.picture.getContext('2d').putImageData(image, 0, 0);
    this.picture.setAttribute('aria-label', prompt || 'Picture without a prompt');
    this.#paint(this.picture, { over });
  }

  /** The picture is let go: the dust again, unless work is under way. */
  clear() {
    this.shown = null;
    if (this.frame.dataset.state === 'done') this.restore();
  }

  /** Work stopped without a picture: back to the last one, or to the dust. */
  restore() {
    clearInterval(this.noiseTimer);
    if (this.shown) {
      this.show(this.shown.image, this.shown.prompt, { over: 200 });
      return;
    }
    this.frame.dataset.state = 'empty';
    this.picture.getContext('2d').clearRect(0, 0, this.picture.width, this.picture.height); // the dust lets it through
    this.picture.setAttribute('aria-label', 'No picture yet');
    this.#redraw();
  }

  #fit() {
    const side = Math.round(this.frame.clientWidth * Math.min(devicePixelRatio, 2));
    if (!side || side === this.screen.width) return;
    this.screen.width = this.screen.height = side;
    this.grain = new Grain(Math.ceil(side / Math.round(GRAIN * Math.min(devicePixelRatio, 2))));
    this.#redraw();
  }

  #redraw() {
    const state = this.frame.dataset.state;
    if (state === 'empty') this.#paint(this.grain.dust(this.fill, dark.matches), { pixelated: true, over: 0 });
    else if (state === 'done') this.#paint(this.picture, { over: 0 });
  }

  /** Draws `source` to fit, fading over from what is there. */
  #paint(source, { pixelated = false, over = 0 }) {
    cancelAnimationFrame(this.fade);
    const context = this.screen.getContext('2d');
    if (over === 0 || calm.matches) {
      context.clearRect(0, 0, this.screen.width, this.screen.height);
      enlarge(source, this.screen, pixelated);
      return;
    }
    const [before, next] = this.layers;
    for (const layer of this.layers) layer.width = layer.height = this.screen.width;
    before.getContext('2d').drawImage(this.screen, 0, 0);
    enlarge(source, next, pixelated);
    const start = performance.now();
    const frame = (now) => {
      const t = Math.min(1, Math.max(0, (now - start) / over));
      context.clearRect(0, 0, this.screen.width, this.screen.height);
      if (t < 1) context.drawImage(before, 0, 0);
      context.globalAlpha = t;
      context.drawImage(next, 0, 0);
      context.globalAlpha = 1;
      if (t < 1) this.fade = requestAnimationFrame(frame);
    };
    this.fade = requestAnimationFrame(frame);
  }
}

/** Draws `source` to fill the square `target` as far as its shape allows. */
function enlarge(source, target, pixelated) {
  const context = target.getContext('2d');
  context.imageSmoothingEnabled = !pixelated;
  context.imageSmoothingQuality = 'high';
  const fit = target.width / Math.max(source.width, source.height);
  const scale = pixelated ? Math.ceil(fit) : fit; // grains are whole pixels, all of one size
  const [w, h] = [source.width * scale, source.height * scale];
  context.drawImage(source, (target.width - w) / 2, (target.height - h) / 2, w, h);
}

/** @param {ImageData} image */
export function toCanvas(image) {
  const canvas = document.createElement('canvas');
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext('2d').putImageData(image, 0, 0);
  return canvas;
}
