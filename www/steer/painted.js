/** Where a part of a prompt is, painted by hand on the sheet of the regions: by pointer or by keys, over the mask of *Repaint*. */

import { make } from '../js/dom.js';
import { Brush } from '../paint/brush.js';
import { pngOf, valuesOf } from '../paint/files.js';
import { Mask } from '../paint/mask.js';

/** Pixels of a mask's longer side: more than the latents of any picture have. */
const FINE = 256;
/** How far the brush reaches, as a share of the longer side. */
const SIZES = { from: 0.02, to: 0.5, usual: 0.12 };

/** What keys do, for who does not see it. */
export const KEYS = 'Arrow keys move the brush, with Shift they paint on the way; Space paints, B and E choose brush and eraser, [ and ] its size, Ctrl+Z takes back.';

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

  /** The middle of what is painted. @returns {import('../paint/brush.js').Point | null} */
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

/** A brush for the sheet of the regions. @param {() => Painting | null} painting @param {{onDraw: () => void, onChange: () => void}} on */
export function brushOf(painting, on) {
  const words = {
    brush: 'Brush', eraser: 'Eraser', undo: 'Undo', invert: 'Invert', clear: 'Clear', size: 'Brush size',
    sized: (/** @type {number} */ size) => `${Math.round(size * 200)} % of the picture`,
  };
  const mask = () => painting()?.mask ?? null;
  return new Brush({
    ...on, mask, sizes: SIZES, id: 'region-brush', words,
    aspect: () => mask().width / mask().height,
    dab: ({ x, y }, size) => ({ x: x * mask().width, y: y * mask().height, r: size * Math.max(mask().width, mask().height) }),
  });
}

/** Its buttons. @param {Brush} brush */
export const toolsOf = (brush) => make('div', { className: 'region-brush', hidden: true },
  make('div', { className: 'steer-add' }, ...brush.tools), make('div', { className: 'steer-add' }, ...brush.acts), brush.field);
