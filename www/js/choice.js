/** The models there are to choose from: those that come with the page, then the visitor's own, kept in this browser. */

import { DEFAULTS } from '../limits.js';
import { book } from './book.js';
import { keep } from './dom.js';
import { TYPES } from './keptin.js';

/** What a visitor's own model begins with: it says nothing of its own. */
const GENERAL = {
  defaults: DEFAULTS,
  examples: [
    { prompt: 'a red apple on a light blue background', seed: 1 },
    { prompt: 'a lighthouse at dusk', seed: 2 },
    { prompt: 'a fox in the snow', seed: 3 },
    { prompt: 'a bowl of cherries on a wooden table', seed: 4 },
  ],
};

/**
 * A stored model, described as those of models.js are. `bytes` is its size in the store; `fromFile` where this page cannot
 * fetch it again; `general` where it draws whatever it is asked for; `licensed` what is known of its licence; `found` what its
 * file says that its UNet predicts, or that it is asked itself; `prediction` what the visitor says; `weights` what it is kept in,
 * so what it comes in should it have to be fetched again.
 * @typedef {Omit<import('../protocol.d.ts').ModelInfo, 'sha256'> & {own: true, fromFile: boolean, general: boolean,
 *   licensed?: import('../protocol.d.ts').ModelLicense, prediction?: import('../protocol.d.ts').Prediction,
 *   weights?: import('../protocol.d.ts').WeightType,
 *   found: {prediction: import('../protocol.d.ts').Prediction | null, asked: boolean}, files?: {path: string, url: string}[]}} Own
 */

/** Tells of a `change` when there are others, or something is known of one. */
export class Choice extends EventTarget {
  /** As far as the store has been asked; before that, what it said last time. @type {Own[]} */
  #own = [];

  /**
   * @param {object} options
   * @param {readonly import('../protocol.d.ts').ModelInfo[]} options.catalog
   * @param {import('./removal.js').Removal} options.removal
   * @param {() => void} options.onChange
   */
  constructor({ catalog, removal, onChange }) {
    super();
    Object.assign(this, { catalog, removal, onChange });
    this.#own = (keep.read('own') ?? []).map((model) => this.#describe(model));
    addEventListener('storage', ({ key }) => {
      if (key === 'opengen.own' || key === book.key) this.#again(); // another tab has added, removed or renamed one
    });
  }

  get all() {
    return [...this.catalog, ...this.#own];
  }

  /** @param {string} wanted an id or a name */
  find(wanted) {
    const same = (text) => text.toLowerCase() === String(wanted).toLowerCase();
    return this.all.find(({ id }) => same(id)) ?? this.all.find(({ name }) => same(name));
  }

  /**
   * Another name for a stored model.
   * @param {string} id
   * @param {string} name
   * @returns {string} why it cannot have that name; empty where it has it now
   */
  rename(id, name) {
    const wanted = name.trim();
    if (!wanted) return 'A model needs a name.';
    const other = this.all.find((model) => model.id !== id && model.name.toLowerCase() === wanted.toLowerCase());
    if (other) return `There is a model called “${other.name}” already: choose another name.`;
    book.write(id, { name: wanted });
    this.#again();
    return '';
  }

  /** What a model's UNet predicts, as the visitor says; as was found, with nothing. @param {string} id @param {import('../protocol.d.ts').Prediction} [prediction] */
  predict(id, prediction) {
    book.write(id, { prediction });
    this.#again();
  }

  /** Asks the store which models of the visitor's it has. @param {import('../client.js').OpenGen} og */
  async refresh(og) {
    const stored = await og.models.list();
    const usable = ({ id, complete, formatOk }) => complete && formatOk && !this.removal.has(id);
    const own = stored.filter((model) => usable(model) && !this.catalog.some(({ id }) => id === model.id))
      .map(({ id, name, url, bytes, width, height, suggested, license, weights, prediction, asksPrediction: asked }) =>
        ({ id, of: name, url, bytes, width, height, suggested, license, weights, found: { prediction, asked } }));
    if (JSON.stringify(own) === JSON.stringify(keep.read('own') ?? []) && own.length === this.#own.length) return;
    this.#own = own.map((model) => this.#describe(model));
    keep.write('own', own);
    this.#tell();
  }

  /** Describes them anew: something was written about one of them, or there are others. */
  #again() {
    this.#own = (keep.read('own') ?? []).map((model) => this.#describe(model));
    this.#tell();
  }

  #tell() {
    this.onChange();
    this.dispatchEvent(new Event('change'));
  }

  /**
   * A stored file as a model to choose. One that was made of a model of the catalogue, as its own name says, has that one's
   * words and examples. What the page has written about it comes first, then what its maker suggests, then what the
   * catalogue's model takes.
   * @returns {Own}
   */
  #describe({ id, of, url, bytes, width, height, suggested, license, weights, found = { prediction: null, asked: false } }) {
    const file = fileOf(id);
    const fromFile = !/^https?:/.test(url);
    const written = book.of(id);
    const licensed = license ?? written.license; // former versions of the page kept it beside the store alone
    const base = this.catalog.find((model) => model.id === of && model.width === width);
    const { defaults, examples, ...words } = base ? { ...wordsOf(base), defaults: base.defaults, examples: base.examples } : GENERAL;
    const isFolder = !/\.\w+$/.test(file);
    const source = fromFile ? `from the ${isFolder ? 'folder' : 'file'} ${file}` : `fetched from ${new URL(url).host}`;
    return {
      id, url, bytes, width, height, ...words, own: true, fromFile, found,
      weights: TYPES.includes(weights) ? weights : undefined,
      prediction: written.prediction,
      files: written.files,
      examples: written.examples ?? examples,
      defaults: { ...defaults, ...suggested, ...written.defaults },
      general: written.general ?? !base,
      name: written.name ?? file.replace(/\.(gguf|safetensors)(\.index\.json)?$/i, ''),
      about: written.about ?? `Your own model, ${source}. It is kept in this browser alone.`,
      license: licensed?.name ?? 'unknown: yours to check',
      licensed,
    };
  }
}

/** "my-dog.gguf 1700000000000" is the file my-dog.gguf with its date. */
export const fileOf = (id) => id.replace(/ \d+$/, '').split('/').pop();

/** What a model of the catalogue knows by words. */
const wordsOf = ({ knows, synonyms, phrases, emoji, classPrompts }) => ({ knows, synonyms, phrases, emoji, classPrompts });
