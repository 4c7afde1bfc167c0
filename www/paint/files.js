/** A mask as a file: white is drawn anew, black stays. */

/** @param {import('./mask.js').Mask} mask */
export function imageOf({ width, height, data }) {
  const image = new ImageData(width, height);
  const pixels = new DataView(image.data.buffer);
  for (let i = 0; i < data.length; i++) pixels.setUint32(4 * i, data[i] * 0x1010100 + 255);
  return image;
}

/** @param {import('./mask.js').Mask} mask @returns {Promise<Blob>} a PNG */
export function pngOf(mask) {
  const canvas = new OffscreenCanvas(mask.width, mask.height);
  canvas.getContext('2d').putImageData(imageOf(mask), 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}

/**
 * What a file says for a mask of this size, as the engine reads it: by how light it is; what is transparent stays.
 * @param {Blob} file @param {number} width @param {number} height
 * @returns {Promise<{values: Uint8Array, stretched: boolean}>} `stretched`: it was of another shape
 */
export async function valuesOf(file, width, height) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' });
  const stretched = Math.abs(bitmap.width * height - bitmap.height * width) > Math.max(bitmap.width * 2, bitmap.height * 2);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const values = new Uint8Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = Math.round((299 * data[4 * i] + 587 * data[4 * i + 1] + 114 * data[4 * i + 2]) / 1000);
  return { values, stretched };
}
