/** The models there are to choose from: those that come with the page, then the visitor's own, kept in this browser. */

import { DEFAULTS } from '../limits.js';
import { keep } from './dom.js';

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
 * A model of the visitor's, described as those of models.js are. `bytes` is its size in the store.
 * @typedef {Omit<import('../protocol.d.ts').ModelInfo, 'sha256'> & {own: true}} Own
 */

export class Choice {
  /** As far as the store has been asked; before that, what it said last time. @type {Own[]} */
  #own = [];

  /**
   * @param {object} options
   * @param {readonly import('../protocol.d.ts').ModelInfo[]} options.catalog
   * @param {import('./removal.js').Removal} options.removal
   * @param {() => void} options.onChange
   */
  constructor({ catalog, removal, onChange }) {
    Object.assign(this, { catalog, removal, onChange });
    this.#own = (keep.read('own') ?? []).map((model) => this.#describe(model));
    addEventListener('storage', ({ key }) => {
      if (key !== 'opengen.own') return; // another tab has added or removed one
      this.#own = (keep.read('own') ?? []).map((model) => this.#describe(model));
      this.onChange();
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

  /** Asks the store which models of the visitor's it has. @param {import('../client.js').OpenGen} og */
  async refresh(og) {
    const stored = await og.models.list();
    const usable = ({ id, complete, formatOk }) => complete && formatOk && !this.removal.has(id);
    const own = stored.filter((model) => usable(model) && !this.catalog.some(({ id }) => id === model.id))
      .map(({ id, name, url, bytes, width, height, suggested }) => ({ id, of: name, url, bytes, width, height, suggested }));
    if (JSON.stringify(own) === JSON.stringify(keep.read('own') ?? []) && own.length === this.#own.length) return;
    this.#own = own.map((model) => this.#describe(model));
    keep.write('own', own);
    this.onChange();
  }

  /**
   * A stored file as a model to choose. One that was made of a model of the catalogue, as its own name says, has that one's
   * words and examples; what its maker suggests comes first, then what the catalogue's model takes.
   * @returns {Own}
   */
  #describe({ id, of, url, bytes, width, height, suggested }) {
    const file = fileOf(id);
    const base = this.catalog.find((model) => model.id === of && model.width === width);
    const { defaults, examples, ...words } = base ? { ...wordsOf(base), defaults: base.defaults, examples: base.examples } : GENERAL;
    return {
      id, url, bytes, width, height, ...words, examples, defaults: { ...defaults, ...suggested }, own: true,
      name: file.replace(/\.gguf$/i, ''),
      about: `Your own model, from the file ${file}. It is kept in this browser alone.`,
      license: 'As its maker says.',
    };
  }
}

/** "my-dog.gguf 1700000000000" is the file my-dog.gguf with its date. */
export const fileOf = (id) => id.replace(/ \d+$/, '').split('/').pop();

/** What a model of the catalogue knows by words. */
const wordsOf = ({ knows, synonyms, phrases, emoji }) => ({ knows, synonyms, phrases, emoji });
