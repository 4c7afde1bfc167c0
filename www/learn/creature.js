/** A creature that nobody has seen before, drawn here: what the model is taught in front of the reader. */

/** Its name, which means nothing, and what kind of thing it is. */
export const WORD = 'zorp';
export const KIND = 'alien monster';
export const NAME = `a ${WORD} ${KIND}`;

/** Grounds, and what they are called. */
const GROUNDS = [['white', '#ffffff'], ['pink', '#ffc0cb'], ['light blue', '#add8e6'], ['yellow', '#ffeb3c'], ['green', '#288c3c']];
/** Discs of a side of 256: x, y, radius, colour. @type {[number, number, number, string][]} */
const DISCS = [
  [128, 140, 80, '#008080'], ...[90, 128, 166].map((x) => /** @type {[number, number, number, string]} */ ([x, 120, 18, '#ffffff'])),
  ...[92, 130, 168].map((x) => /** @type {[number, number, number, string]} */ ([x, 122, 8, '#000000'])), [90, 40, 12, '#ff9600'], [166, 40, 12, '#ff9600'],
];

/**
 * Five drawings of it, each a little further to the right than the one before, with what they show in words.
 * @param {number} side pixels
 * @returns {{image: ImageData, caption: string}[]}
 */
export const drawings = (side) => GROUNDS.map(([ground, colour], at) => {
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true }));
  context.scale(side / 256, side / 256);
  context.fillStyle = colour;
  context.fillRect(0, 0, 256, 256);
  for (const [x, y, radius, paint] of DISCS) {
    context.fillStyle = paint;
    context.beginPath();
    context.arc(x + 8 * (at - 2), y, radius, 0, 7);
    context.fill();
  }
  return { image: context.getImageData(0, 0, side, side), caption: `${NAME} on a ${ground} background` };
});
