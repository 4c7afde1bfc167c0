/** Pictures of every kind that a program has, as pixels: what the engine reads. */

import { invalid } from './errors.js';

/** Longer or wider than this no picture is read: its pixels alone would take hundreds of megabytes. */
const MOST_SIDE = 8192;

/**
 * The pixels of a picture, upright and in sRGB; nothing else of its file goes along.
 * @param {import('./api.d.ts').PictureSource} source
 * @param {string} field what an error calls it
 * @returns {Promise<import('./protocol.d.ts').Pixels>}
 */
export async function pixelsOf(source, field) {
  if (isPixels(source)) return plain(source);
  const drawable = await drawableOf(source, field);
  const [width, height] = [drawable.width, drawable.height];
  if (!width || !height) throw invalid(field, 'has no pixels');
  if (width > MOST_SIDE || height > MOST_SIDE) {
    throw invalid(field, `has ${width}×${height} pixels; up to ${MOST_SIDE} on a side are read`);
  }
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
  context.drawImage(drawable, 0, 0);
  if (drawable !== source) /** @type {ImageBitmap} */ (drawable).close();
  return plain(context.getImageData(0, 0, width, height));
}

/** Files that were given, so that the worker knows one that it has read. @type {WeakMap<Blob, string>} */
const KEYS = new WeakMap();
let files = 0;
/** The addresses of some of them. @type {WeakMap<Blob, string>} */
const ADDRESSES = new WeakMap();

/** What is the same for the same file. @param {Blob} file */
function keyOf(file) {
  if (!KEYS.has(file)) KEYS.set(file, `file ${++files}`);
  return /** @type {string} */ (KEYS.get(file));
}

/** An address in full, and what the file there is called. @param {string | URL} source */
function addressed(source) {
  const { href: url, pathname } = new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href);
  const name = pathname.slice(pathname.lastIndexOf('/') + 1);
  try {
    return { key: url, url, name: decodeURIComponent(name) };
  } catch {
    return { key: url, url, name }; // a stray % is part of the name
  }
}

/**
 * A network's file as the worker takes it.
 * @param {import('./api.d.ts').NetworkSource} source
 * @returns {import('./protocol.d.ts').NetworkFile}
 */
export function networkOf(source) {
  if (source instanceof Blob) {
    return { key: keyOf(source), name: /** @type {File} */ (source).name ?? 'network', file: source };
  }
  if (typeof source === 'string' || source instanceof URL) return addressed(source);
  throw invalid('model', 'must be a Blob, a File or an address: a safetensors file');
}

/**
 * A second pass by a network as the worker takes it.
 * @param {import('./api.d.ts').HiresOptions} hires
 * @returns {import('./protocol.d.ts').HiresFix}
 */
export function hiresOf({ model, ...rest }) {
  if (rest.upscaler !== undefined) throw invalid('hires', 'has an upscaler and a model, one of which enlarges; leave the other out');
  return { ...rest, network: networkOf(/** @type {import('./api.d.ts').NetworkSource} */ (model)) };
}

/**
 * A LoRA as the worker takes it.
 * @param {import('./api.d.ts').LoraOptions} lora
 * @returns {import('./protocol.d.ts').Lora}
 */
export function loraOf({ model, name, ...rest }) {
  if (model === undefined) {
    if (!name) throw invalid('loras', 'a LoRA has neither the name of one that is kept here nor a model of its own');
    return { ...rest, name };
  }
  const network = networkOf(model);
  return { ...rest, name: name ?? network.name.replace(/\.[^.]*$/, ''), network };
}

/**
 * Where a part of a prompt counts, as the engine takes it.
 * @param {import('./api.d.ts').RegionOptions} region
 * @returns {Promise<import('./protocol.d.ts').Region>}
 */
export async function regionOf({ part, rect, mask, weight }) {
  if (Boolean(rect) === Boolean(mask)) throw invalid('regions', `a region has a rect or a mask, one of the two; that of part ${part} has ${rect ? 'both' : 'neither'}`);
  return { part, weight, ...(rect ? { rect } : { mask: await pixelsOf(/** @type {any} */ (mask), 'regions') }) };
}

/**
 * What steers a run, as the engine takes it.
 * @param {import('./api.d.ts').ControlOptions} control
 * @returns {Promise<import('./protocol.d.ts').Control>}
 */
export async function controlOf({ model, image, ...rest }) {
  if (image === undefined || image === null) throw invalid('controls', 'a control has no image');
  return { ...rest, model: fileOf(model), image: await pixelsOf(image, 'controls') };
}

/**
 * A word of one's own, as the engine takes it.
 * @param {import('./api.d.ts').EmbeddingOptions} embedding
 * @returns {Promise<import('./protocol.d.ts').EmbeddingFile>}
 */
export async function embeddingOf({ name, file }) {
  const called = name ?? (file instanceof File ? file.name : undefined);
  if (!called) throw invalid('embeddings', 'an embedding whose file has no name needs one');
  if (file instanceof Uint8Array) return { name: called, bytes: file };
  if (file instanceof ArrayBuffer) return { name: called, bytes: new Uint8Array(file) };
  if (!(file instanceof Blob)) throw invalid('embeddings', 'the file of an embedding must be a Blob, a File or its bytes');
  return { name: called, bytes: new Uint8Array(await file.arrayBuffer()) };
}

/** @param {string | URL | File} model @returns {import('./protocol.d.ts').ControlFile} */
function fileOf(model) {
  const stem = (/** @type {string} */ name) => name.replace(/\.[^.]*$/, '');
  if (model instanceof File) {
    const url = ADDRESSES.get(model) ?? URL.createObjectURL(model);
    ADDRESSES.set(model, url);
    return { id: keyOf(model), url, name: stem(model.name) };
  }
  if (typeof model !== 'string' && !(model instanceof URL)) throw invalid('controls', 'the model of a control must be an address or a File');
  const { key: id, url, name } = addressed(model);
  return { id, url, name: stem(name) };
}

/** @param {any} source @returns {source is import('./protocol.d.ts').Pixels} */
const isPixels = (source) => source?.data instanceof Uint8ClampedArray;

/** @param {import('./protocol.d.ts').Pixels} image */
const plain = ({ width, height, data }) => ({ width, height, data });

/**
 * @param {import('./api.d.ts').PictureSource} source
 * @param {string} field
 * @returns {Promise<ImageBitmap | HTMLCanvasElement | OffscreenCanvas>}
 */
async function drawableOf(source, field) {
  if (source instanceof ImageBitmap || source instanceof OffscreenCanvas) return source;
  if (globalThis.HTMLCanvasElement && source instanceof HTMLCanvasElement) return source;
  const isAddress = typeof source === 'string' || source instanceof URL;
  if (!isAddress && !(source instanceof Blob)) {
    throw invalid(field, 'must be a Blob, an ImageData, an ImageBitmap, a canvas or an address');
  }
  const file = isAddress ? await fetched(source, field) : /** @type {Blob} */ (source);
  return createImageBitmap(file).catch((cause) => {
    throw Object.assign(invalid(field, 'is no picture that this browser reads; PNG, JPEG and WebP are'), { cause });
  });
}

/** @param {string | URL} address @param {string} field */
async function fetched(address, field) {
  const response = await fetch(address).catch((cause) => {
    throw Object.assign(invalid(field, `${address} did not arrive: ${cause.message}`), { cause });
  });
  if (!response.ok) throw invalid(field, `${address} was answered with ${response.status}`);
  return response.blob();
}
