/** Fields of one's own beside the form: how they are made, put, marked and kept. */

import { $, keep, make } from '../js/dom.js';

/** A group of fields, by their ids; each is as usual until it is set. */
export class Fields {
  #plain;
  #name;
  #settings;
  #changed;

  /**
   * Fills fields that are there already with what was kept of them.
   * @param {string} name of what is kept
   * @param {Record<string, string>} plain each field's usual value
   * @param {{settings: import('../js/settings.js').Settings, changed: () => void}} how what is done whenever one of them changes
   */
  constructor(name, plain, { settings, changed }) {
    [this.#name, this.#plain, this.#settings, this.#changed] = [name, plain, settings, changed];
    const kept = { ...plain, ...keep.read(name)?.values };
    for (const id of this.ids) {
      $(id).value = kept[id];
      for (const event of ['input', 'change']) $(id).addEventListener(event, () => this.write({ [id]: $(id).value }));
    }
    $('reset').addEventListener('click', () => this.write(plain));
  }

  get ids() {
    return Object.keys(this.#plain);
  }

  /** @returns {Record<string, string>} */
  get values() {
    return Object.fromEntries(this.ids.map((id) => [id, $(id).value]));
  }

  /** @param {Record<string, string>} values of some or all */
  write(values) {
    for (const [id, value] of Object.entries(values)) if ($(id).value !== value) $(id).value = value;
    this.unmark(Object.keys(values));
    this.#changed();
  }

  /** Nothing is wrong with them any more. @param {string[]} [ids] */
  unmark(ids = this.ids) {
    for (const id of ids) this.#settings.mark(id, '');
  }

  /** @param {boolean} on whether any of them is set */
  keep(on) {
    keep.write(this.#name, { on, values: this.values });
  }
}

/** A field with its label and the place of what is wrong with it. @param {string} id @param {string} name @param {HTMLElement} holds @param {HTMLElement} [control] in it */
export function field(id, name, holds, control = holds) {
  control.id = id;
  control.setAttribute('aria-describedby', `${id}-error`);
  const label = make('label', { textContent: name, htmlFor: id });
  return make('div', { className: 'field' }, label, holds, make('p', { className: 'field-error', id: `${id}-error`, hidden: true }));
}

/** @param {[string, string][]} options values and what they are called */
export const select = (options) => make('select', {}, ...options.map(([value, textContent]) => make('option', { value, textContent })));
