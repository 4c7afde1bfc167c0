/** What models that come are kept in: 8 bits, unless the visitor chose otherwise. */

import { keep } from './dom.js';

/** @typedef {import('../protocol.d.ts').WeightType} WeightType */

/** @type {readonly WeightType[]} */
export const TYPES = ['f16', 'q8_0', 'q5_0', 'q4_0'];

export const keptIn = {
  /** @returns {WeightType} */
  get now() {
    const kept = keep.read('weights');
    return TYPES.includes(kept) ? kept : 'q8_0';
  },
  set now(type) {
    keep.write('weights', type);
  },
};
