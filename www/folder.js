/**
 * A folder in diffusers' layout as one file: a header made of all its headers, then the parts of its files that hold data.
 * The reader is the engine's, the same as natively. Nothing is copied: parts of files are read when the whole is.
 */

/** Texts are looked at whole, weight files as far as their headers go; of others the reader only has to know that they are there. */
const TEXTS = /\.(json|txt|md)$/i;
const WEIGHTS = /\.safetensors$/i;
/** The most that is read of a text and of a header; the engine says what is too much. */
const MOST = 33 << 20;
/** A safetensors file begins with the length of its header, in so many bytes. */
const LENGTH = 8;

/**
 * @typedef {{title: string, header: Uint8Array, parts: {path: string, from: number, to: number}[]}} Joined
 * @typedef {object} Module the engine's, as far as it is needed here
 * @property {(files: {path: string, bytes: Uint8Array, length: number}[], title: string) =>
 *   Joined} joinFolder
 * @property {(file: string, beginning: Uint8Array, length: number) => Record<string, number>} keptSizes bytes by type, or in `more`
 *   how much of the beginning is wanted
 */

/** How much of a file is read first to find its header; of most it is all of it. */
const FIRST = 1 << 16;

/**
 * The bytes that a file's model takes in the store, by the type that it is kept in.
 * @param {Module} module
 * @param {File} file
 */
export async function keptSizes(module, file) {
  for (let most = FIRST; ;) {
    const sizes = module.keptSizes(file.name, new Uint8Array(await file.slice(0, most).arrayBuffer()), file.size);
    if (!sizes.more) return sizes;
    most = Math.max(2 * most, sizes.more);
  }
}

/** Whether a file is a text, which is read whole. @param {string} path */
export const isText = (path) => TEXTS.test(path);

/**
 * @param {Module} module
 * @param {{path: string, file: File}[]} files
 * @returns {Promise<File>} named as the folder is
 */
export async function joined(module, files) {
  return together(module.joinFolder(await seenOf(files), 'model'), files);
}

/** What the reader wants to see of files. @param {{path: string, file: File}[]} files */
export const seenOf = (files) => Promise.all(files.map(async ({ path, file }) => {
  const read = async (/** @type {number} */ most) => new Uint8Array(await file.slice(0, most).arrayBuffer());
  return { path, bytes: await beginning(path, read), length: file.size };
}));

/**
 * One file, put together as the reader says.
 * @param {Joined} how
 * @param {{path: string, file: File}[]} files
 */
export function together({ title, header, parts }, files) {
  const at = new Map(files.map(({ path, file }) => [path, file]));
  const slices = parts.map(({ path, from, to }) => /** @type {File} */ (at.get(path)).slice(from, to));
  return new File([/** @type {BlobPart} */ (header), ...slices], title, { lastModified: Math.max(...files.map(({ file }) => file.lastModified)) });
}

/**
 * As much of a file as the reader wants to see.
 * @param {string} path
 * @param {(most: number) => Promise<Uint8Array>} read so many bytes of its beginning, or all where it has no more
 */
export async function beginning(path, read) {
  if (isText(path)) return read(MOST);
  if (!WEIGHTS.test(path)) return new Uint8Array();
  const first = await read(LENGTH);
  if (first.length < LENGTH) return first;
  const { buffer, byteOffset } = first;
  return read(Math.min(MOST, LENGTH + Number(new DataView(buffer, byteOffset).getBigUint64(0, true))));
}
