/** Whether a model fits a device, told before anything of it is downloaded. */

import { bytes } from '../js/dom.js';
import { TEXTS as T } from './texts.js';

/** A tab on an iPhone or iPad ends at about 1.5 GB, the page's own share included. */
const PHONE = 1.4e9;
/** A graphics processor without memory of its own may use about so much of the machine's. */
const SHARE = 0.6;

/**
 * What is known of the device; null where the browser does not say.
 * @typedef {object} Device
 * @property {boolean} phone an iPhone or iPad
 * @property {number | null} memory of the machine, in bytes, as browsers round it
 * @property {boolean} most whether that is the most that the browser would say
 * @property {number | null} buffer the most bytes that the graphics adapter takes at once; null where the processor draws
 * @property {number | null} free bytes that the browser's store has left
 */

/**
 * @typedef {Pick<import('./entries.js').Entry, 'stored' | 'working' | 'widest'>} Sizes
 * @typedef {{fits: boolean, mood: 'good' | 'plain' | 'bad', text: string}} Fit
 */

/**
 * @param {Sizes} entry
 * @param {Device} device
 * @param {string} type what new models are kept in
 * @returns {Fit}
 */
export function fitOf(entry, device, type) {
  if (!(type in entry.stored)) return fitAt(entry, device);
  const { [type]: size } = entry.stored;
  const fit = fitAt({ ...entry, stored: { [type]: size } }, device);
  return fit.fits || !fitAt(entry, device).fits ? fit : { ...fit, text: `${fit.text} ${T.fewerBits}` };
}

/**
 * Whether it fits in one of its types; in 16 bits only if there is no other.
 * @param {Sizes} entry
 * @param {Device} device
 * @returns {Fit}
 */
function fitAt({ stored, working = 0, widest = 0 }, { phone, memory, most, buffer, free }) {
  if (!Object.keys(stored).length) return { fits: true, mood: 'plain', text: T.sizeUnknown };
  const all = Object.entries(stored);
  const types = all.filter(([type]) => type !== 'f16' || all.length === 1);
  const limit = phone ? PHONE : memory && !most ? memory * SHARE : Infinity;
  const small = types.filter(([, size]) => size + working <= limit);
  const least = (list) => Math.min(...list.map(([, size]) => size));
  if (!small.length) {
    const needs = least(types) + working;
    return { fits: false, mood: 'bad', text: phone ? T.tooLargePhone(needs) : T.tooLarge(needs, memory) };
  }
  const room = small.filter(([, size]) => free === null || size <= free);
  if (!room.length) return { fits: false, mood: 'bad', text: T.noRoomFor(least(small), free) };
  const kept = room.map(([type, size]) => `${bytes(size)} ${T.types[type] ?? ''}`.trim()).join(T.or);
  const words = free === null ? T.fitsUnknown(kept) : T.fits(kept, free);
  // A picture of f16 has values of half the size; whether it is drawn in f16 the engine decides.
  return buffer && widest > buffer
    ? { fits: true, mood: 'plain', text: `${words} ${T.smaller(widest, buffer)}` }
    : { fits: true, mood: 'good', text: words };
}

/**
 * What this browser tells of the device.
 * @param {import('../protocol.d.ts').Capabilities | null} capabilities
 * @param {number | null} free
 * @returns {Device}
 */
export function deviceOf(capabilities, free) {
  const { userAgent, maxTouchPoints, deviceMemory } = /** @type {any} */ (navigator);
  return {
    phone: /iPhone|iPad/.test(userAgent) || (/Mac/.test(userAgent) && maxTouchPoints > 1),
    memory: deviceMemory ? deviceMemory * 1e9 : null,
    most: deviceMemory >= 8, // browsers round more down to it
    buffer: capabilities?.engine === 'webgpu' ? capabilities.maxBufferBytes : null,
    free,
  };
}
