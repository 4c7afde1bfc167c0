/** A picture's file at the size that people look at it: enlarged by a whole number, its settings still inside. */

/** The longer side of a saved picture has at least as many pixels. */
const USEFUL = 1024;

/**
 * @param {Blob} png
 * @param {{crisp?: boolean}} [options] crisp: every pixel a square; otherwise smoothly
 * @returns {Promise<Blob>} the file itself where it is large enough
 */
export async function useful(png, { crisp = false } = {}) {
  const bitmap = await createImageBitmap(png, { colorSpaceConversion: 'none' });
  const times = timesFor(bitmap);
  if (times === 1) {
    bitmap.close();
    return png;
  }
  const canvas = document.createElement('canvas');
  canvas.width = bitmap.width * times;
  canvas.height = bitmap.height * times;
  const context = canvas.getContext('2d');
  context.imageSmoothingEnabled = !crisp;
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const large = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!large) throw new Error(`the browser has no room for ${canvas.width} × ${canvas.height} pixels`);
  const [to, from] = await Promise.all([large, png].map(async (file) => new Uint8Array(await file.arrayBuffer())));
  return new Blob([withTexts(to, from)], { type: 'image/png' });
}

/** The chunks that hold texts. */
const TEXTS = ['tEXt', 'zTXt', 'iTXt'];

/** How often a picture's side is taken. @param {{width: number, height: number}} size */
export const timesFor = ({ width, height }) => Math.max(1, Math.ceil(USEFUL / Math.max(width, height)));

/** The text that says where a picture comes from: that a model made it. It is never left out. */
const ORIGIN = 'XML:com.adobe.xmp';

/** A picture's file without prompt and settings. @param {Blob} png @returns {Promise<Blob>} */
export async function bare(png) {
  const file = new Uint8Array(await png.arrayBuffer());
  const says = (/** @type {Uint8Array} */ bytes) => new TextDecoder().decode(bytes.subarray(8, 8 + ORIGIN.length));
  const kept = chunks(file).filter(({ type, bytes }) => !TEXTS.includes(type) || says(bytes) === ORIGIN).map(({ bytes }) => bytes);
  return new Blob([file.subarray(0, 8), ...kept], { type: 'image/png' });
}

/**
 * The first file with the texts of the second. Chunks go over as they are, checksums included.
 * @param {Uint8Array} png
 * @param {Uint8Array} from
 * @returns {Uint8Array}
 */
export function withTexts(png, from) {
  const texts = chunks(from).filter(({ type }) => TEXTS.includes(type)).map(({ bytes }) => bytes);
  const [header, ...rest] = chunks(png).map(({ bytes }) => bytes); // texts may stand anywhere behind the first chunk
  const parts = [png.subarray(0, 8), header, ...texts, ...rest];
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The chunks of a PNG file: length, type, data and checksum of each together. @param {Uint8Array} png */
function chunks(png) {
  const view = new DataView(png.buffer, png.byteOffset, png.length);
  const found = [];
  for (let at = 8; at + 12 <= png.length;) {
    const end = at + 12 + view.getUint32(at);
    found.push({ type: String.fromCharCode(...png.subarray(at + 4, at + 8)), bytes: png.subarray(at, end) });
    at = end;
  }
  return found;
}
