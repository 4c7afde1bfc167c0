/** Matrices as products of two thin ones: what a LoRA stores, tried on a picture. */

/** No picture is taken apart at more than so many pixels a side. */
const LARGEST = 128;
/** Rounds until the columns stand at right angles. */
const ROUNDS = 12;

/**
 * The singular value decomposition by one-sided rotations (Hestenes 1958) of a matrix of n columns of n numbers:
 * pairs of columns, the strongest first, whose outer products add up to it.
 * @param {Float64Array[]} columns changed
 * @returns {{left: Float64Array, right: Float64Array, strength: number}[]} `strength`: the squares of its product
 */
export function takeApart(columns) {
  const n = columns.length;
  const turns = columns.map((_, i) => Float64Array.from({ length: n }, (_, k) => Number(i === k)));
  for (let round = 0, turned = true; turned && round < ROUNDS; round++) {
    turned = false;
    for (let i = 0; i < n; i++) for (let k = i + 1; k < n; k++) turned = straighten(columns, turns, i, k) || turned;
  }
  const pairs = columns.map((left, i) => ({ left, right: turns[i], strength: dot(left, left) }));
  return pairs.sort((a, b) => b.strength - a.strength);
}

/** Turns columns i and k until they stand at right angles. Returns whether they did not yet. */
function straighten(columns, turns, i, k) {
  const [a, b, c] = [dot(columns[i], columns[i]), dot(columns[k], columns[k]), dot(columns[i], columns[k])];
  if (Math.abs(c) <= 1e-6 * Math.sqrt(a * b) || c === 0) return false;
  const slant = (b - a) / (2 * c);
  const tangent = (slant < 0 ? -1 : 1) / (Math.abs(slant) + Math.hypot(1, slant));
  const cosine = 1 / Math.hypot(1, tangent);
  for (const [x, y] of [[columns[i], columns[k]], [turns[i], turns[k]]]) {
    for (let row = 0; row < x.length; row++) {
      const [p, q] = [x[row], y[row]];
      x[row] = cosine * (p - tangent * q);
      y[row] = cosine * (tangent * p + q);
    }
  }
  return true;
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** A picture taken apart colour by colour, to be put together of as many pairs as one likes. */
export class Thin {
  /** @param {ImageData} image */
  constructor(image) {
    this.image = square(image);
    const side = this.image.width;
    this.colours = [0, 1, 2].map((colour) => takeApart(Array.from({ length: side }, (_, x) =>
      Float64Array.from({ length: side }, (_, y) => this.image.data[4 * (y * side + x) + colour]))));
  }

  /**
   * How many pairs hold a share of what tells the picture from one flat colour: of the squares of the differences.
   * @param {number} share
   */
  needed(share) {
    const side = this.image.width;
    const sum = (of) => this.colours.reduce((all, pairs) => all + of(pairs), 0);
    const all = sum((pairs) => squares(pairs, 0));
    const left = (1 - share) * (all - sum((pairs) => flat(pairs, side))) + 1e-9 * all; // a flat picture is reckoned nearly flat
    let rank = 1;
    while (rank < side && sum((pairs) => squares(pairs, rank)) > left) rank++;
    return rank;
  }

  /** The picture of the `rank` strongest pairs. */
  of(rank) {
    const side = this.image.width;
    const made = new ImageData(side, side);
    const sum = new Float64Array(side * side);
    for (const [colour, pairs] of this.colours.entries()) {
      sum.fill(0);
      for (const { left, right } of pairs.slice(0, rank)) {
        for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) sum[y * side + x] += left[y] * right[x];
      }
      for (let i = 0; i < sum.length; i++) made.data[4 * i + colour] = sum[i];
    }
    for (let i = 3; i < made.data.length; i += 4) made.data[i] = 255;
    return made;
  }
}

/** The squares of all that is in the pairs from the `from`th on. */
const squares = (pairs, from) => pairs.slice(from).reduce((sum, { strength }) => sum + strength, 0);

/** The squares of a flat picture of the mean colour. */
function flat(pairs, side) {
  const all = pairs.reduce((sum, { left, right }) => sum + total(left) * total(right), 0);
  return (all / side) ** 2;
}

const total = (values) => values.reduce((sum, value) => sum + value, 0);

/** A picture as a square of a size that is quickly taken apart. */
function square(image) {
  const side = Math.min(LARGEST, image.width, image.height);
  const [whole, small] = [new OffscreenCanvas(image.width, image.height), new OffscreenCanvas(side, side)];
  whole.getContext('2d').putImageData(image, 0, 0);
  const context = small.getContext('2d', { willReadFrequently: true });
  context.drawImage(whole, 0, 0, side, side);
  return context.getImageData(0, 0, side, side);
}
