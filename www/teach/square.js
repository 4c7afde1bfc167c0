/** Which part of a picture is learnt from: a square of it, whatever shape the model draws, or the picture's own. */

/**
 * The middle of that part in shares of the picture's width and height, and how much smaller it is than the largest there is.
 * @typedef {{x: number, y: number, zoom: number}} Crop
 */

/** The middle, as large as can be. @type {Crop} */
export const WHOLE = { x: 0.5, y: 0.5, zoom: 1 };
/** So small a part is still a picture. */
export const CLOSEST = 6;
/** Pictures that keep their shapes are no longer than this times their other side: the engine has none for others. */
const LONGEST = 4;
/** Of those the engine makes the size that it learns at; it is given up to so many times the sides. */
const FINE = 2;

/** The shape of a picture that keeps its own, width by height. @param {{width: number, height: number}} picture */
export const ownAspect = ({ width, height }) => Math.min(LONGEST, Math.max(1 / LONGEST, width / height));

/** A size of a shape whose longer side is given. @param {number} side @param {number} aspect width by height */
export const sizeOf = (side, aspect) => ({
  width: Math.max(1, Math.round(side * Math.min(1, aspect))), height: Math.max(1, Math.round(side * Math.min(1, 1 / aspect))),
});

/**
 * How large the part of a picture that keeps its shape is cut, for a model that learns from so many pixels.
 * @param {{width: number, height: number}} picture @param {Crop} crop @param {number} pixels
 */
export function ownSize(picture, crop, pixels) {
  const part = partOf(picture, crop, ownAspect(picture));
  const scale = Math.min(1, FINE * Math.sqrt(pixels / (part.width * part.height)));
  return { width: Math.max(1, Math.round(part.width * scale)), height: Math.max(1, Math.round(part.height * scale)) };
}

/**
 * The part in pixels, moved to where it lies within the picture.
 * @param {{width: number, height: number}} picture @param {Crop} crop @param {number} aspect width by height
 */
export function partOf({ width, height }, { x, y, zoom }, aspect) {
  const largest = Math.min(width, height * aspect);
  const [w, h] = [largest / zoom, largest / aspect / zoom];
  const within = (/** @type {number} */ middle, /** @type {number} */ length, /** @type {number} */ all) => Math.min(all - length, Math.max(0, middle * all - length / 2));
  return { x: within(x, w, width), y: within(y, h, height), width: w, height: h };
}

/** A crop that is moved by shares of what it shows, and made smaller so many times. @param {{width: number, height: number}} picture @param {Crop} crop */
export function moved(picture, crop, { right = 0, down = 0, closer = 1 }, aspect = 1) {
  const zoom = Math.min(CLOSEST, Math.max(1, crop.zoom * closer));
  const now = partOf(picture, { ...crop, zoom }, aspect);
  const x = (now.x + now.width * (0.5 + right)) / picture.width;
  const y = (now.y + now.height * (0.5 + down)) / picture.height;
  const there = partOf(picture, { x, y, zoom }, aspect);
  return { x: (there.x + there.width / 2) / picture.width, y: (there.y + there.height / 2) / picture.height, zoom };
}

/**
 * Draws a crop of a picture over all of a canvas; what is transparent shows white.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context @param {ImageBitmap} bitmap @param {Crop} crop
 */
export function drawCrop(context, bitmap, crop) {
  const { width, height } = context.canvas;
  const part = partOf(bitmap, crop, width / height);
  context.imageSmoothingQuality = 'high';
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, part.x, part.y, part.width, part.height, 0, 0, width, height);
}

/**
 * What is learnt from, as a file without losses: the same pixels on another day.
 * @param {Blob} image @param {Crop} crop @param {{width: number, height: number}} size @returns {Promise<Blob>}
 */
export async function squareOf(image, crop, { width, height }) {
  const bitmap = await createImageBitmap(image);
  try {
    const canvas = new OffscreenCanvas(width, height);
    drawCrop(/** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true })), bitmap, crop);
    return await canvas.convertToBlob();
  } finally {
    bitmap.close();
  }
}
