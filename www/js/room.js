/** Whether there is room for a model of the visitor's own: what is counted is what will be kept of it. */

import { bytes } from './dom.js';
import { keptIn } from './keptin.js';

/** An iPhone or iPad closes a tab that passes about 1.5 GB; a model needs its own size and room to work in. */
const PHONE_BYTES = 1e9;
/** The narrower ones last, as `opengen import` calls them. */
const NAMES = { f16: 'F16', q8_0: 'Q8', q5_0: 'small', q4_0: 'Q4' };

const isApplePhone = () => /iPhone|iPad/.test(navigator.userAgent)
  || (/Mac/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);

/** @typedef {Record<import('../protocol.d.ts').WeightType, number>} Sizes */

/**
 * What speaks against keeping a model here.
 * @param {import('../client.js').OpenGen} og
 * @param {File | File[]} source
 * @returns {Promise<{of: 'store' | 'phone', lines: string[]} | null>} also null where it is none: the engine says what it is when it takes it
 */
export async function problemOf(og, source) {
  const sizes = await og.models.sizes(source).catch(() => null);
  if (!sizes) return null;
  const { usage = 0, quota = Infinity } = await navigator.storage?.estimate?.().catch(() => ({})) ?? {};
  return judged(sizes, keptIn.now, Math.max(0, quota - usage), isApplePhone());
}

/**
 * @param {Sizes} sizes bytes of what is kept, by type
 * @param {import('../protocol.d.ts').WeightType} type what is kept
 * @param {number} free bytes
 * @param {boolean} phone whether large tabs are closed here
 * @returns {{of: 'store' | 'phone', lines: string[]} | null}
 */
export function judged(sizes, type, free, phone) {
  const listed = Object.keys(NAMES).filter((name) => name !== 'f16' || type === 'f16');
  const isOne = listed.every((name) => bytes(sizes[name]) === bytes(sizes[type])); // it is in blocks already
  const numbers = isOne ? bytes(sizes[type]) : listed.map((name) => `${NAMES[name]} ${bytes(sizes[name])}`).join(', ');
  const fewer = (/** @type {number} */ limit) =>
    (listed.some((name) => sizes[name] <= limit) ? ['At fewer bits it would fit: what new models are kept at is chosen under Models.'] : []);
  if (sizes[type] > free) {
    const words = isOne ? `It needs ${numbers}, and this browser has ${bytes(free)} left for the page.`
      : `Kept here it needs ${numbers}; ${bytes(free)} free.`;
    return { of: 'store', lines: [words, ...fewer(free), 'Deleting a model or pictures makes room.'] };
  }
  if (phone && sizes[type] > PHONE_BYTES) {
    const words = isOne ? `It has ${numbers}, and iPhones and iPads close a tab that uses more than about 1.5 GB.`
      : `Kept here it takes ${numbers}; iPhones and iPads close a tab that uses more than about 1.5 GB.`;
    return { of: 'phone', lines: [words, ...fewer(PHONE_BYTES)] };
  }
  return null;
}
