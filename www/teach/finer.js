/** What a training may be asked for beside the usual: each as the preset has it until somebody says otherwise. */

import { make } from '../js/dom.js';
import { TEXTS as T } from './texts.js';

/**
 * By its name in a recipe: what it is called, and whether it is a whole number, any number or one of some values, each with its words.
 * `looks` alone is the view's.
 * @type {[string, string, 'whole' | 'number' | [string, string][]][]}
 */
const FIELDS = [
  ['layers', T.layers, T.ofLayers], ['alpha', T.alpha, 'number'],
  ['textEncoder', T.textEncoder, T.yesNo], ['textLearningRate', T.textRate, 'number'],
  ['schedule', T.schedule, T.schedules], ['warmup', T.warmup, 'whole'],
  ['batch', T.batch, 'whole'], ['classBatch', T.classBatch, 'whole'], ['priorWeight', T.priorWeight, 'number'],
  ['captionDropout', T.captionDropout, 'number'], ['flip', T.flip, T.yesNo],
  ['minSnr', T.minSnr, 'number'], ['noiseOffset', T.noiseOffset, 'number'],
  ['seed', T.seed, 'whole'], ['looks', T.looks, 'whole'],
];
/** Where a word alone is learnt these count for nothing. */
const NOT_OF_WORDS = ['layers', 'alpha', 'textEncoder', 'textLearningRate', 'classBatch', 'priorWeight'];

/** @typedef {Record<string, number | string | boolean>} Asked what was said, by name; the rest is the preset's */

export class Finer {
  #all = FIELDS.map(([name, label, kind]) => ({ name, label, kind, field: fieldOf(name, kind) }));
  root = make('details', { className: 'teach-finer' }, make('summary', { textContent: T.finer }),
    make('div', { className: 'teach-fields' }, ...this.#all.map(({ label, field }) =>
      make('div', { className: 'field' }, make('label', { htmlFor: field.id, textContent: label }), field))));

  /** Only what counts can be asked for. @param {boolean} isWord */
  suit(isWord) {
    for (const { name, field } of this.#all) field.closest('.field').hidden = isWord && NOT_OF_WORDS.includes(name);
  }

  /** What was said that counts. @returns {Asked} */
  get asked() {
    const said = this.#all.filter(({ field }) => field.value !== '' && !field.closest('.field').hidden);
    return Object.fromEntries(said.map(({ name, kind, field }) =>
      [name, kind === T.yesNo ? field.value === 'true' : typeof kind === 'string' ? Number(field.value) : field.value]));
  }

  /** @param {Asked} asked */
  set asked(asked) {
    for (const { name, field } of this.#all) field.value = String(asked[name] ?? '');
    this.root.open ||= Object.keys(asked).length > 0;
  }

  /** The first that is no number, or not a whole one. @returns {{label: string, isWhole: boolean} | null} */
  get wrong() {
    const found = this.#all.find(({ field }) => !field.closest('.field').hidden && !field.validity.valid);
    return found ? { label: found.label, isWhole: found.kind === 'whole' } : null;
  }

  /** What one of a recipe's is called here. @param {string} name */
  labelOf(name) {
    return this.#all.find((one) => one.name === name)?.label;
  }
}

/** @param {string} name @param {'whole' | 'number' | [string, string][]} kind */
function fieldOf(name, kind) {
  const id = `teach-${name}`;
  if (typeof kind === 'string') return make('input', { type: 'number', id, min: '0', step: kind === 'whole' ? '1' : 'any', placeholder: T.presetsOwn });
  return make('select', { id }, ...[['', T.presetsOwn], ...kind].map(([value, textContent]) => make('option', { value, textContent })));
}
