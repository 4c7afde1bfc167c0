/** A visitor's picture, from a file, a drop or the clipboard, cut to the model's size. */

/** The file of a drop or a paste, if there is a picture in it. @param {DataTransfer | null} transfer */
export const fileOf = (transfer) => [...(transfer?.files ?? [])].find((file) => file.type.startsWith('image/')) ?? transfer?.files?.[0] ?? null;

/**
 * The middle of a picture in the wanted size. Rejects when the browser cannot open the file.
 * @param {Blob} file @returns {Promise<ImageData>}
 */
export async function fitted(file, width, height) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [w, h] = [width / scale, height / scale];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height); // what is transparent shows white
  context.drawImage(bitmap, (bitmap.width - w) / 2, (bitmap.height - h) / 2, w, h, 0, 0, width, height);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}
