/** The noise a picture comes out of: a square of grains, drawn from a few numbers per grain. */

/** Warm and cool pigments, as [r, g, b]. */
const PIGMENTS = [[186, 74, 30], [226, 164, 84], [92, 124, 86], [74, 106, 148], [146, 92, 122], [58, 50, 42]];

export class Grain {
  /** @param {number} side grains along one side */
  constructor(side) {
    this.side = side;
    this.canvas = document.createElement('canvas');
    this.canvas.width = this.canvas.height = side;
    this.context = this.canvas.getContext('2d');
    this.image = this.context.createImageData(side, side);
    this.order = Float32Array.from({ length: side * side }, Math.random);
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
      const x = ((i % this.side) + 0.5) / this.side - 0.5;
      const y = (Math.floor(i / this.side) + 0.5) / this.side - 0.5;
      const density = 0.72 * smooth(0.88, 1.85, Math.hypot(x / 0.43, y / 0.3));
      const order = this.order[i];
      const coloured = (order * 7919) % 1 < fill;
      const [r, g, b] = coloured ? PIGMENTS[this.pigment[i]] : idle;
      const strength = 0.45 + 0.5 * ((order * 613) % 1);
      const alpha = order < density ? strength * (coloured ? 1 : 0.4) : 0;
      data[i * 4] = r;
      data[i * 4 + 1] = g;
      data[i * 4 + 2] = b;
      data[i * 4 + 3] = alpha * 255;
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
