/**
 * The picture that a network's file has of itself: `modelspec.thumbnail` of the header, a data URL, as the Model Metadata Standard has it
 * (<https://github.com/Stability-AI/ModelSpec>). Values, and what is reckoned of them (`sshs_model_hash`), stay as they are.
 */

const FIELD = 'modelspec.thumbnail';
/** The longest header that is read for it, and the longest picture that is shown, in bytes. */
const [MOST_HEADER, MOST] = [8 * 2 ** 20, 2 ** 20];
/** Pixels of one that is made here. */
const SIDE = 128;
/** What it may be: nothing that has a script or an address in it. */
const PICTURE = /^data:image\/(png|jpeg|webp|gif|avif);base64,[\w+/=]+$/;

/** @param {Blob} file @returns {Promise<{texts: any, header: any, from: number} | null>} null where it is no safetensors file of a usual header */
async function headerOf(file) {
  const first = new DataView(await file.slice(0, 8).arrayBuffer());
  const length = first.byteLength === 8 ? Number(first.getBigUint64(0, true)) : 0;
  if (length < 2 || length > MOST_HEADER) return null;
  try {
    const header = JSON.parse(await file.slice(8, 8 + length).text());
    return { header, texts: header.__metadata__ ?? {}, from: 8 + length };
  } catch {
    return null;
  }
}

/** The address of a file's picture; null where it has none. @param {Blob} file @returns {Promise<string | null>} */
export async function thumbnailOf(file) {
  const address = (await headerOf(file))?.texts[FIELD];
  return typeof address === 'string' && address.length <= MOST && PICTURE.test(address) ? address : null;
}

/** The same file with a picture of what it does. @param {Blob} file @param {ImageData} image @returns {Promise<Blob>} */
export async function withThumbnail(file, image) {
  const found = await headerOf(file);
  if (!found) return file;
  const { header, texts, from } = found;
  const text = JSON.stringify({ ...header, __metadata__: { ...texts, [FIELD]: await addressOf(image) } });
  const bytes = new TextEncoder().encode(text);
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8).fill(32); // values stay aligned
  padded.set(bytes);
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(padded.length), true);
  return new Blob([length, padded, file.slice(from)], { type: file.type });
}

/** @param {ImageData} image @returns {Promise<string>} */
async function addressOf(image) {
  const [whole, small] = [new OffscreenCanvas(image.width, image.height), new OffscreenCanvas(SIDE, Math.round((SIDE * image.height) / image.width))];
  whole.getContext('2d').putImageData(image, 0, 0);
  const context = small.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(whole, 0, 0, small.width, small.height);
  const file = await small.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
  const reader = new FileReader();
  return new Promise((resolve, reject) => {
    reader.onload = () => resolve(/** @type {string} */ (reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
