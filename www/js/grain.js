/** The noise a picture comes out of: a square of grains. What can be worked out once is, so that a frame costs little. */

/** Warm and cool pigments, as [r, g, b]. */
const PIGMENTS = [[186, 74, 30], [226, 164, 84], [92, 124, 86], [74, 106, 148], [146, 92, 122], [58, 50, 42]];
/** Different squares of pure noise; turned and mirrored they look like many. */
const SHEETS = 3;

export class Grain {
  /** Grains of dust: where they lie, from which share of the model on they have colour, how strong, which pigment. */
  #dust = [];
  /** @type {HTMLCanvasElement[]} */ #sheets = [];
  #turn = 0;

  /** @param {number} side grains along one side */
  constructor(side) {
    this.side = side;
    this.canvas = square(side);
    this.context = this.canvas.getContext('2d');
    for (let i = 0; i < side * side; i++) {
      const x = ((i % side) + 0.5) / side - 0.5;
      const y = (Math.floor(i / side) + 0.5) / side - 0.5;
      if (Math.random() >= density(x, y)) continue;
      this.#dust.push({
        at: i * 4, from: Math.random(), alpha: 255 * (0.45 + 0.5 * Math.random()),
        pigment: PIGMENTS[Math.floor(Math.random() * PIGMENTS.length)],
      });
    }
  }

  /**
   * Dust that leaves the middle free for words.
   * @param {number} fill 0 … 1: how many of the grains have got their colour
   * @param {boolean} dark
   */
  dust(fill, dark) {
    const image = this.context.createImageData(this.side, this.side);
    const pixels = image.data;
    const idle = dark ? [190, 178, 158] : [96, 84, 66];
    for (const { at, from, alpha, pigment } of this.#dust) {
      const coloured = from < fill;
      const [r, g, b] = coloured ? pigment : idle;
      pixels[at] = r;
      pixels[at + 1] = g;
      pixels[at + 2] = b;
      pixels[at + 3] = coloured ? alpha : alpha * 0.4;
    }
    this.context.putImageData(image, 0, 0);
    return this.canvas;
  }

  /** Pure noise, another at each call, as the first latents would look. */
  noise() {
    this.#turn += 1;
    if (this.#sheets.length < SHEETS) this.#sheets.push(sheet(this.side));
    const { context, side } = this;
    const mirrored = this.#turn & 1;
    const upside = this.#turn & 2;
    context.setTransform(mirrored ? -1 : 1, 0, 0, upside ? -1 : 1, mirrored ? side : 0, upside ? side : 0);
    context.drawImage(this.#sheets[this.#turn % this.#sheets.length], 0, 0);
    context.resetTransform();
    return this.canvas;
  }
}

/** Three values per grain, each the sum of two bytes: near enough to a normal value for the eye. */
function sheet(side) {
  const canvas = square(side);
  const context = canvas.getContext('2d');
  const image = context.createImageData(side, side);
  const pixels = image.data;
  for (let i = 0; i < pixels.length; i += 4) {
    pixels[i] = 14 + 124 * (Math.random() + Math.random());
    pixels[i + 1] = 8 + 120 * (Math.random() + Math.random());
    pixels[i + 2] = 120 * (Math.random() + Math.random());
    pixels[i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function square(side) {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = side;
  return canvas;
}

/** The share of places that hold a grain: none in the middle, most in the corners. */
function density(x, y) {
  const t = Math.min(1, Math.max(0, (Math.hypot(x / 0.43, y / 0.3) - 0.88) / 0.97));
  return 0.72 * t * t * (3 - 2 * t);
}
