/** What a model is asked for in training, and how far its answer is off. */

/**
 * A mixture's picture and noise in the terms of what the model is asked for: its target of the true ones, its answer
 * of those it sees.
 * @param {string} prediction as the schedule names it
 * @param {{signal: number, noise: number}} shares @param {Float32Array} clean @param {Float32Array} noise
 */
export function asked(prediction, shares, clean, noise) {
  switch (prediction) {
    case 'epsilon':
      return noise;
    case 'v_prediction':
      return clean.map((x, i) => shares.signal * noise[i] - shares.noise * x);
    case 'sample':
      return clean;
    default:
      throw new Error(`this page does not know what "${prediction}" asks for`);
  }
}

/** The mixture of a picture and noise. @param {{signal: number, noise: number}} shares @param {Float32Array} clean @param {Float32Array} noise */
export const mixed = (shares, clean, noise) => clean.map((x, i) => shares.signal * x + shares.noise * noise[i]);

/** The mean of the squared differences: what training makes smaller. @param {Float32Array} a @param {Float32Array} b */
export const meanSquare = (a, b) => a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0) / a.length;

/** For each of `cells` cells how far two answers are apart there: the mean square over its numbers. */
export function squaresByCell(a, b, cells) {
  const squares = new Float32Array(cells);
  const channels = a.length / cells;
  a.forEach((x, i) => { squares[i % cells] += (x - b[i]) ** 2 / channels; });
  return squares;
}
