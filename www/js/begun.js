/** What runs begin with, as it is kept from visit to visit, and what a request says of it. It knows of no page. */

import { LIMITS } from '../limits.js';

/** Pixels of the longer side to each of a mask's soft edge: A1111's 4 at 512. */
const SIDE_PER_BLUR = 128;
/** A picture so many times as large as what is drawn is drawn on a part at a time. */
const LARGE = 1.5;
/** A grown picture is drawn at so many times the pixels that pictures are drawn at, or less: of more, a small model repeats itself. */
const GROWN = 1.5;
/** Pixels of the picture around such a part: A1111's. */
const PADDING = 32;
/** So many pictures keep the mask that was painted over them last. */
const MOST_MASKS = 16;

/** @typedef {'words' | 'picture' | 'repaint' | 'extend' | 'enlarge'} Mode */
/** @typedef {{hash: string | null, name: string, about: string, scale: number}} Network what enlarges pictures by itself: by its hash a file of the visitor's */
/** @typedef {{left: number, top: number, right: number, bottom: number}} Sides how far a picture grows, in its pixels */
/** @typedef {{width: number, height: number}} Size */

/**
 * @typedef {object} Begun
 * @property {Mode} mode
 * @property {string | null} image the picture's hash
 * @property {Size} size the picture's
 * @property {Record<string, string>} masks by a picture's hash that of its mask, the newest last
 * @property {Record<Exclude<Mode, 'words'>, string>} strengths how much may change, as the slider has it
 * @property {number | null} maskBlur null: as fits the picture
 * @property {'original' | 'noise' | 'zero' | 'fill'} maskedContent
 * @property {boolean} differential
 * @property {boolean | null} onlyMasked whether a part alone is drawn, at full size; null: as fits the picture
 * @property {Sides} extend
 * @property {number} factor how many times as large a picture becomes
 * @property {Network | null} network what enlarges it by itself; null: it is drawn on at the larger size
 * @property {boolean} looking whether the stage shows what is begun with, and not what came of it
 * @property {boolean} own whether the visitor brought the picture, so that nothing but another choice takes it away
 */

/** What enlarges without a file, and makes nothing up. @type {Network} */
export const LANCZOS = { hash: null, name: 'Lanczos', about: '', scale: 1 };
/** A picture that does not grow. */
export const NO_SIDES = { left: 0, top: 0, right: 0, bottom: 0 };
/** What another picture begins anew with. */
const OF_PICTURE = { maskBlur: null, onlyMasked: null, extend: NO_SIDES };
/**
 * What is taken where nobody said otherwise: the things stay where they are; what is painted over may become anything; what becomes
 * larger than a model draws gets little of its own, as that repeats itself there.
 */
const PLAIN = /** @type {Begun} */ ({
  mode: 'words', image: null, size: { width: 0, height: 0 }, masks: {}, strengths: { picture: '0.6', repaint: '1', extend: '0.8', enlarge: '0.15' }, factor: 2, network: null,
  maskedContent: 'original', differential: false, ...OF_PICTURE, looking: false, own: false,
});

/** What was kept, whatever an earlier version kept. @param {Partial<Begun> | null} kept @returns {Begun} */
export const begun = (kept) => ({ ...PLAIN, ...kept, strengths: { ...PLAIN.strengths, ...kept?.strengths } });

/** The hash of what is painted over the picture, if anything is. @param {Begun} kept @returns {string | undefined} */
export const maskOf = ({ masks, image }) => masks[image ?? ''];

/** The hashes of all that a later run may begin with. @param {Begun} kept */
export const hashesOf = ({ image, masks, network }) => [image, network?.hash, ...Object.keys(masks), ...Object.values(masks)].filter(Boolean);

/** A picture that is larger or smaller is another one. @param {Begun} kept @param {string | null} image @param {Size} size */
export function another(kept, image, size) {
  Object.assign(kept, { size }, image === kept.image ? {} : { image, ...OF_PICTURE });
}

/** Another mask of a picture, or none. @param {Begun} kept @param {string} image @param {string | undefined} mask */
export function remember(kept, image, mask) {
  const { [image]: _, ...masks } = kept.masks;
  kept.masks = Object.fromEntries([...Object.entries(masks), ...(mask ? [[image, mask]] : [])].slice(-MOST_MASKS));
}

/** How a mask is read. @param {Begun} kept @param {Size} drawn what is drawn */
export function howOf({ size, maskBlur, maskedContent, differential, onlyMasked }, drawn) {
  return {
    maskBlur: maskBlur ?? Math.round(10 * longer(size) / SIDE_PER_BLUR) / 10, maskedContent, differential,
    onlyMasked: onlyMasked ?? isLarge(size, drawn),
  };
}

/** How large a picture becomes. @param {Size} size @param {Sides} sides @returns {Size} */
export const grown = ({ width, height }, { left, top, right, bottom }) => ({ width: width + left + right, height: height + top + bottom });

/**
 * What a request says of its beginning: nothing, where it is noise.
 * @param {Begun} kept @param {Size} drawn what is drawn
 */
export function requestOf(kept, drawn) {
  const { mode, image, size, strengths, extend } = kept;
  if (mode === 'words') return {};
  const start = { image, strength: Number(strengths[mode]) };
  if (mode === 'enlarge') {
    const { factor, network } = kept;
    return network ? { image, factor, network, ...largerSize(kept) } : { ...start, factor, ...largerSize(kept) };
  }
  if (mode === 'picture') return { ...start, ...shaped(size, drawn) };
  if (mode === 'repaint') {
    const { onlyMasked, ...how } = howOf(kept, drawn);
    return { ...start, mask: maskOf(kept), ...how, ...(onlyMasked ? { onlyMasked: PADDING } : shaped(size, drawn)) };
  }
  const all = grown(size, extend);
  // All of it where the model can draw that, else what is new, with what is around it.
  return { ...start, extend, ...(isLarge(all, drawn) ? { onlyMasked: PADDING } : sized(all, Math.min(1, scaleTo(GROWN * drawn.width * drawn.height, all)))) };
}

/**
 * How many times as large a picture can become: what is drawn has a largest side, and every picture so many pixels.
 * @param {Size} size @param {Network | null} network
 */
export const mostTimes = (size, network) => (network
  ? Math.sqrt(LIMITS.pixels.most / Math.max(1, size.width * size.height))
  : LIMITS.size.to / Math.max(1, longer(size)));

/** How large a picture becomes that is enlarged. @param {Pick<Begun, 'size' | 'factor' | 'network'>} kept @returns {Size} */
export function largerSize({ size, factor, network }) {
  const times = Math.min(factor, mostTimes(size, network));
  if (!network) return sized(size, times);
  return { width: Math.round(size.width * times), height: Math.round(size.height * times) };
}

/** What is missing to begin. @param {Begun} kept @returns {{field: string, message: string} | null} */
export function missingOf(kept) {
  const { mode, image, extend } = kept;
  if (mode === 'words') return null;
  if (!image) return { field: 'image', message: 'There is no picture to begin with yet: choose one, or begin from words.' };
  if (mode === 'repaint' && !maskOf(kept)) {
    return { field: 'mask', message: 'Nothing is painted over yet. Paint over what shall become something else.' };
  }
  if (mode === 'extend' && Object.values(extend).every((side) => side === 0)) {
    return { field: 'extend', message: 'The picture does not grow yet. Draw one of its sides outwards.' };
  }
  return null;
}

/** Takes over the beginning of a picture that was made. @param {Begun} kept @param {Record<string, any>} settings */
export function takeOver(kept, { image, mask, strength, maskBlur, maskedContent, differential, onlyMasked, extend, factor, network }) {
  kept.mode = !image ? 'words' : factor ? 'enlarge' : extend ? 'extend' : mask ? 'repaint' : 'picture';
  if (kept.mode === 'words') return;
  if (image !== kept.image) Object.assign(kept, OF_PICTURE, { image });
  if (strength !== undefined) kept.strengths = { ...kept.strengths, [kept.mode]: String(strength) };
  if (factor) Object.assign(kept, { factor, network: network ?? null });
  if (extend) kept.extend = { ...NO_SIDES, ...extend };
  if (!mask) return;
  remember(kept, image, mask);
  Object.assign(kept, { maskBlur, maskedContent, differential, onlyMasked: onlyMasked !== undefined });
}

const longer = ({ width, height }) => Math.max(width, height);

/** @param {Size} size @param {Size} drawn */
const isLarge = (size, drawn) => longer(size) > LARGE * longer(drawn);

/**
 * The size at which all of a picture is drawn: in its shape, at as many pixels as others are. None where they are drawn in that.
 * @param {Size} size @param {Size} drawn @returns {Partial<Size>}
 */
function shaped(size, drawn) {
  const scale = scaleTo(drawn.width * drawn.height, size);
  const isNear = (/** @type {'width' | 'height'} */ side) => Math.abs(scale * size[side] - drawn[side]) < LIMITS.size.step;
  return !longer(size) || (isNear('width') && isNear('height')) ? {} : sized(size, scale);
}

/** How many times as long the sides of a shape are where it has so many pixels. @param {number} pixels @param {Size} shape */
const scaleTo = (pixels, { width, height }) => Math.sqrt(pixels / (width * height));

/** The size at which something of this shape is drawn. @param {Size} shape @param {number} scale of its sides @returns {Size} */
function sized({ width, height }, scale) {
  const { from, to, step } = LIMITS.size;
  const side = (length) => Math.min(to, Math.max(from, Math.round((scale * length) / step) * step));
  return { width: side(width), height: side(height) };
}
