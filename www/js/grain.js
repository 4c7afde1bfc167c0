/** The noise a picture comes out of: a square of grains, drawn from a few numbers per grain. */

/** Grains along one side. */
const SIDE = 152;

/** Warm and cool pigments, as [r, g, b]. */
const PIGMENTS = [[186, 74, 30], [226, 164, 84], [92, 124, 86], [74, 106, 148], [146, 92, 122], [58, 50, 42]];

export class Grain {
  constructor() {
    this.canvas = document.createElement('canvas');
    this.canvas.width = this.canvas.height = SIDE;
    this.context = this.canvas.getContext('2d');
    this.image = this.context.createImageData(SIDE, SIDE);
    this.order = Float32Array.from({ length: SIDE * SIDE }, Math.random);
    this.pigment = Uint8Array.from(this.order, () => Math.floor(Math.random() * PIGMENTS.length));
  }

  /**
   * Dust that leaves the middle free for words.
   * @param {number} fill 0 … 1: how many of the grains have got their colour
   * @param {boolean} dark
   */
  dust(fill, dark) {
    const { data } = this.image;
    const idle = dark ? [190, 178, 158] : [96, 84, 66];
    for (let i = 0; i < this.order.length; i++) {
      const x = ((i % SIDE) + 0.5) / SIDE - 0.5;
      const y = (Math.floor(i / SIDE) + 0.5) / SIDE - 0.5;
      const density = smooth(0.16, 0.62, Math.hypot(x * 0.92, y * 1.3));
      const order = this.order[i];
      const coloured = (order * 7919) % 1 < fill;
      const [r, g, b] = coloured ? PIGMENTS[this.pigment[i]] : idle;
      const alpha = order < density * 0.85 ? (coloured ? 0.9 : 0.28) : 0;
      data.set([r, g, b, alpha * 255], i * 4);
    }
    this.context.putImageData(this.image, 0, 0);
    return this.canvas;
  }

  /** Pure noise, new at each call: three normal values per grain, as the first latents would look. */
  noise() {
    const { data } = this.image;
    for (let i = 0; i < data.length; i += 4) {
      data[i] = 138 + 58 * normal();
      data[i + 1] = 128 + 54 * normal();
      data[i + 2] = 116 + 54 * normal();
      data[i + 3] = 255;
    }
    this.context.putImageData(this.image, 0, 0);
    return this.canvas;
  }
}

/** Near enough to a normal value for the eye. */
const normal = () => (Math.random() + Math.random() + Math.random() - 1.5) * 2;

function smooth(from, to, value) {
  const t = Math.min(1, Math.max(0, (value - from) / (to - from)));
  return t * t * (3 - 2 * t);
}
