/**
 * What sampler and schedule are told beside, how far guided answers are brought back, what brackets do, and which layer reads. All of it is as usual
 * until it is set; what the chosen sampler has no use for is not shown, and waits for one that has.
 */

import { $, make } from '../js/dom.js';
import { wrongNumber } from '../js/settings.js';
import { SAMPLERS } from '../limits.js';
import { Fields, field, select } from './fields.js';
import { MOST, ROWS, bounded, told } from './finer.js';
import { DISCARDS } from './takes.js';

/** @typedef {import('./finer.js').Row} Row */
/** @typedef {import('./finer.js').How} How */

const IDS = ROWS.map(({ id }) => id);
const PLAIN = Object.fromEntries(IDS.map((id) => [id, '']));

export class Sampling {
  /** Elements by their rows' ids. @type {Map<string, HTMLElement>} */ #rows = new Map();
  #fields;
  #hint;

  /** @param {{settings: import('../js/settings.js').Settings}} page */
  constructor({ settings }) {
    this.settings = settings;
    this.#hint = make('p', { className: 'quiet hint' });
    this.#hint.setAttribute('aria-live', 'polite');
    $('sampling-box').replaceChildren(...ROWS.map((row) => this.#field(row)), this.#hint);
    this.#fields = new Fields('sampling', PLAIN, { settings, changed: () => this.#draw() });
    for (const id of ['sampler', 'schedule', 'dialect']) for (const event of ['put', 'change']) $(id).addEventListener(event, () => this.#draw());
    this.#draw();
  }

  /** @param {Row} row */
  #field({ id, name, words, range, step, choices }) {
    const control = choices ? select(choices) : make('input', { type: 'number', min: range[0], max: Math.min(MOST, range[1]), step, inputMode: 'decimal' });
    const told = make('p', { className: 'quiet', id: `${id}-words`, textContent: words });
    const element = field(id, name, control);
    control.setAttribute('aria-describedby', `${id}-words ${id}-error`);
    element.classList.add('option');
    element.toggleAttribute('data-list', Boolean(choices));
    element.insertBefore(told, element.lastElementChild);
    this.#rows.set(id, element);
    return element;
  }

  /** What a request says of it: only what has an effect there. @param {any} request what it says already */
  of(request) {
    const values = this.#fields.values;
    const how = { ...this.#how, ...request };
    return told(Object.fromEntries(IDS.filter((id) => values[id].trim() !== '').map((id) => [id, values[id]])), how);
  }

  /** What cannot be drawn as it is set. @returns {{field: string, message: string} | null} */
  missing() {
    const values = this.#fields.values;
    this.#fields.unmark();
    for (const { id, name, range, whole, takes } of ROWS) {
      if (!range || values[id].trim() === '' || !takes(this.#how)) continue;
      const message = wrongNumber(name, values[id], { from: range[0], to: Math.min(range[1], id === 'etaNoiseSeedDelta' ? range[1] : MOST) }, { whole });
      if (message) return { field: id, message };
    }
    const [low, high] = [values.sigmaMin, values.sigmaMax];
    const crossed = bounded(this.#how) && low.trim() && high.trim() && Number(low) > Number(high);
    return crossed ? { field: 'sigmaMin', message: `The lowest noise level is above the highest, ${high}: give a lower one.` } : null;
  }

  /** What a picture was made with; what it does not say is as usual. @param {{samplerOptions?: any, guidanceRescale?: number | null, emphasis?: string | null, clipSkip?: number | null}} settings */
  take({ samplerOptions, guidanceRescale, emphasis, clipSkip }) {
    const given = { ...samplerOptions, guidanceRescale, clipSkip: clipSkip === 1 ? null : clipSkip, emphasis: emphasis === 'original' ? null : emphasis };
    const said = ([id, value]) => IDS.includes(id) && value !== null && value !== undefined && Number.isFinite(typeof value === 'number' ? value : 0);
    this.#fields.write({ ...PLAIN, ...Object.fromEntries(Object.entries(given).filter(said).map(([id, value]) => [id, String(value)])) });
    if (this.#isOn) $('sampling').open = true;
  }

  /** @returns {How} */
  get #how() {
    return { sampler: $('sampler').value, schedule: $('schedule').value, dialect: $('dialect').value, sChurn: $('sChurn').value, dynamicThresholdingRatio: $('dynamicThresholdingRatio').value };
  }

  get #isOn() {
    return IDS.some((id) => $(id).value.trim() !== '');
  }

  /** Shows what has an effect, and what is set, on the closed lid too, and keeps it. */
  #draw() {
    const [values, how] = [this.#fields.values, this.#how];
    const idle = [];
    let count = 0;
    for (const { id, name, takes, usual, choices } of ROWS) {
      const [isSet, counts] = [values[id].trim() !== '', takes(how)];
      this.#rows.get(id).hidden = !counts;
      if (usual && counts) $(id).placeholder = usual(how);
      if (id === 'discardNextToLastSigma') choices[0][1] = `As the sampler has it: ${DISCARDS.includes(how.sampler) ? 'left out' : 'kept'}`;
      if (choices) $(id).options[0].textContent = choices[0][1];
      if (isSet && counts) count++;
      else if (isSet) idle.push(name);
    }
    const sampler = SAMPLERS[/** @type {keyof typeof SAMPLERS} */ (how.sampler)]?.title ?? how.sampler;
    const hint = idle.length ? `Set, but without an effect now: ${idle.join(', ')}.` : `What ${sampler} has no use for is not listed.`;
    if (this.#hint.textContent !== hint) this.#hint.textContent = hint;
    $('sampling-state').textContent = count ? `${count} set` : 'as usual';
    $('sampling').toggleAttribute('data-on', count > 0);
    this.#fields.keep(this.#isOn);
  }
}
