/** What the page keeps of a stored model beside the store: its name, its licence, and what a run with it begins with. */

import { keep } from './dom.js';

const KEY = 'models';

/**
 * @typedef {object} Written
 * @property {string} [name] what the visitor, or a catalogue, calls it
 * @property {string} [about] one or two sentences
 * @property {string} [entry] the id of the catalogue's entry that it is
 * @property {import('../protocol.d.ts').ModelLicense} [license] as it was accepted; once the model is stored, the store has it
 * @property {import('../protocol.d.ts').Prediction} [prediction] what its UNet predicts, where the visitor says so
 * @property {{path: string, url: string}[]} [files] where the files of a folder lie
 * @property {object} [defaults]
 * @property {{prompt: string, seed: number}[]} [examples]
 * @property {boolean} [general] it draws whatever it is asked for
 * @property {{loaded: number, total: number}} [came] how far a download was when it last stopped
 */

export const book = {
  /** The key it is kept under, as the `storage` event names it. */
  key: `opengen.${KEY}`,

  /** @param {string} id @returns {Written} */
  of(id) {
    return keep.read(KEY)?.[id] ?? {};
  },

  /** @param {string} id @param {Written} about what changes; the rest stays */
  write(id, about) {
    keep.write(KEY, { ...keep.read(KEY), [id]: { ...this.of(id), ...about } });
  },

  /** @param {string} id of a model that is gone for good */
  forget(id) {
    const { [id]: _, ...rest } = keep.read(KEY) ?? {};
    keep.write(KEY, rest);
  },
};
