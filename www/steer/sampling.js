/**
 * What sampler and schedule are told beside, how far guided answers are brought back, what brackets do, and which layer reads. All of it is as usual
 * until it is set; what the chosen sampler has no use for is not shown, and waits for one that has.
 */

import { $, keep, make } from '../js/dom.js';
import { wrongNumber } from '../js/settings.js';
import { LIMITS, SAMPLERS } from '../limits.js';
import { field, select } from './second.js';
import { BENDS, CHURNS, DISCARDS, DRAWS, ENDS, ETA, LEVELS, NUMBERS } from './takes.js';

/** @typedef {{sampler: string, schedule: string, dialect: string, sChurn: string, dynamicThresholdingRatio: string}} How what is chosen */
/**
 * @typedef {object} Row
 * @property {string} id as requests call it
 * @property {string} name
 * @property {string} words what it does
 * @property {[number, number]} [range] of a number
 * @property {boolean} [whole]
 * @property {number} [step] of the field's arrows
 * @property {[string, string][]} [choices] of a list; the first, empty, is as usual
 * @property {(how: How) => boolean} takes whether it has an effect
 * @property {(how: How) => string} [usual] what counts where nothing is set
 */

/** Beyond this a number field is not of use, whatever the engine takes. */
const MOST = 1e6;
const has = (/** @type {readonly string[]} */ list) => (/** @type {How} */ { sampler }) => list.includes(sampler);
const churned = (/** @type {How} */ how) => has(CHURNS)(how) && Number(how.sChurn) > 0;
const bounded = (/** @type {How} */ { sampler, schedule }) => LEVELS.includes(sampler) && ENDS.includes(schedule);

/** @type {Row[]} */
const ROWS = [
  {
    id: 'guidanceRescale', name: 'Guidance rescale', range: [0, 1], step: 0.05, takes: () => true, usual: () => 'model’s',
    words: 'Much guidance makes colours harsh. This brings them back to the range that the prompt alone gives: 0 leaves them, 1 does so wholly.',
  },
  {
    id: 'emphasis', name: 'Brackets', takes: ({ dialect }) => dialect === 'a1111',
    choices: [['', 'Weigh, mean restored'], ['no-norm', 'Weigh'], ['ignore', 'Are read, weigh nothing'], ['none', 'Are text']],
    words: 'What (word:1.2) does: A1111’s emphasis mode, Original, No norm, Ignore or None.',
  },
  {
    id: 'clipSkip', name: 'Clip skip', range: [LIMITS.clipSkip.from, LIMITS.clipSkip.to], whole: true, step: 1, takes: () => true, usual: () => '1',
    words: 'Which layer of the text encoder is read, counted from its last, 1. Anime models and their pictures mostly want 2.',
  },
  {
    id: 'eta', name: 'Eta', range: NUMBERS.eta, step: 0.05, takes: ({ sampler }) => sampler in ETA, usual: ({ sampler }) => String(ETA[sampler]),
    words: 'How much of the noise that a step takes away is drawn anew: 0 none, so that pictures settle; 1 all.',
  },
  {
    id: 'sNoise', name: 'Noise factor', range: NUMBERS.sNoise, step: 0.005, takes: has(DRAWS), usual: () => '1',
    words: 'What fresh noise is multiplied by (s_noise): a little above 1 keeps more detail, below 1 smooths.',
  },
  {
    id: 'etaNoiseSeedDelta', name: 'Noise seed offset', range: [0, 2 ** 32 - 1], whole: true, step: 1, takes: has(DRAWS), usual: () => '0',
    words: 'Added to the seed for the noise that steps draw (ENSD). Pictures made after NovelAI’s habit have 31337.',
  },
  {
    id: 'sChurn', name: 'Churn', range: NUMBERS.sChurn, step: 1, takes: has(CHURNS), usual: () => '0',
    words: 'Noise that is added before the steps, over all of them together (s_churn): what was drawn wrong can be drawn again.',
  },
  {
    id: 'sTmin', name: 'Churn from level', range: NUMBERS.sTmin, step: 0.1, takes: churned, usual: () => '0',
    words: 'The lowest noise level at which that is done (s_tmin).',
  },
  {
    id: 'sTmax', name: 'Churn up to level', range: NUMBERS.sTmax, step: 0.1, takes: churned, usual: () => 'any',
    words: 'The highest (s_tmax).',
  },
  {
    id: 'sigmaMin', name: 'Lowest noise level', range: NUMBERS.sigmaMin, step: 0.01, takes: bounded, usual: () => 'model’s',
    words: 'Where the schedule ends before the clean picture (sigma_min).',
  },
  {
    id: 'sigmaMax', name: 'Highest noise level', range: NUMBERS.sigmaMax, step: 0.1, takes: bounded, usual: () => 'model’s',
    words: 'Where it begins (sigma_max).',
  },
  {
    id: 'rho', name: 'Rho', range: NUMBERS.rho, step: 0.5, takes: ({ sampler, schedule }) => LEVELS.includes(sampler) && schedule in BENDS,
    usual: ({ schedule }) => String(BENDS[schedule]),
    words: 'How far the schedule bends: the higher, the more of the steps are for what is fine.',
  },
  {
    id: 'discardNextToLastSigma', name: 'Last level but one', takes: has(LEVELS),
    choices: [['', 'As the sampler has it'], ['true', 'Leave it out'], ['false', 'Keep it']],
    words: 'Left out, one level more is made in its place: A1111’s “always discard next-to-last sigma”.',
  },
  {
    id: 'sgmNoiseMultiplier', name: 'First noise', takes: has(LEVELS),
    choices: [['', 'As the sampler has it'], ['false', 'σ, as A1111'], ['true', '√(1 + σ²), as ComfyUI']],
    words: 'How much noise a run begins with, σ being its first level.',
  },
  {
    id: 'dynamicThresholdingRatio', name: 'Dynamic thresholding', range: NUMBERS.dynamicThresholdingRatio, step: 0.005, takes: () => true, usual: () => 'off',
    words: 'For models of pictures, not of latents, of which it takes contrast: this share of each estimate, such as 0.995, decides what values are brought within.',
  },
  {
    id: 'sampleMaxValue', name: 'Threshold at most', range: NUMBERS.sampleMaxValue, step: 0.1,
    takes: ({ dynamicThresholdingRatio }) => String(dynamicThresholdingRatio).trim() !== '', usual: () => '1',
    words: 'How high that may be (sample_max_value).',
  },
];
const IDS = ROWS.map(({ id }) => id);
/** What stands beside the options of the sampler in a request. */
const BESIDE = ['guidanceRescale', 'emphasis', 'clipSkip'];
const PLAIN = Object.fromEntries(IDS.map((id) => [id, '']));

export class Sampling {
  /** Fields by their rows' ids. @type {Map<string, HTMLElement>} */ #fields = new Map();
  #hint;

  /** @param {{settings: import('../js/settings.js').Settings}} page */
  constructor({ settings }) {
    this.settings = settings;
    this.#hint = make('p', { className: 'quiet hint' });
    this.#hint.setAttribute('aria-live', 'polite');
    $('sampling-box').replaceChildren(...ROWS.map((row) => this.#field(row)), this.#hint);
    const kept = { ...PLAIN, ...keep.read('sampling')?.values };
    for (const id of IDS) {
      $(id).value = kept[id];
      for (const event of ['input', 'change']) $(id).addEventListener(event, () => this.#changed(id));
    }
    for (const id of ['sampler', 'schedule', 'dialect']) for (const event of ['put', 'change']) $(id).addEventListener(event, () => this.#draw());
    $('reset').addEventListener('click', () => this.#write(PLAIN));
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
    this.#fields.set(id, element);
    return element;
  }

  /** What a request says of it: only what has an effect there. @param {any} request what it says already */
  of(request) {
    const values = this.#values;
    const how = { ...this.#how, ...request };
    const set = ROWS.filter(({ id, takes }) => values[id].trim() !== '' && takes(how)).map(({ id, choices }) => [id, told(values[id], choices)]);
    const beside = Object.fromEntries(set.filter(([id]) => BESIDE.includes(id)));
    const samplerOptions = Object.fromEntries(set.filter(([id]) => !BESIDE.includes(id)));
    return { ...beside, ...(Object.keys(samplerOptions).length > 0 && { samplerOptions }) };
  }

  /** What cannot be drawn as it is set. @returns {{field: string, message: string} | null} */
  missing() {
    const values = this.#values;
    for (const id of IDS) this.settings.mark(id, '');
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
    this.#write({ ...PLAIN, ...Object.fromEntries(Object.entries(given).filter(said).map(([id, value]) => [id, String(value)])) });
    if (this.#isOn) $('sampling').open = true;
  }

  /** @param {Record<string, string>} values */
  #write(values) {
    for (const [id, value] of Object.entries(values)) {
      $(id).value = value;
      this.settings.mark(id, '');
    }
    this.#draw();
  }

  /** @param {string} id */
  #changed(id) {
    this.settings.mark(id, '');
    this.#draw();
  }

  /** @returns {Record<string, string>} */
  get #values() {
    return Object.fromEntries(IDS.map((id) => [id, $(id).value]));
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
    const [values, how] = [this.#values, this.#how];
    const idle = [];
    let count = 0;
    for (const { id, name, takes, usual, choices } of ROWS) {
      const [isSet, counts] = [values[id].trim() !== '', takes(how)];
      this.#fields.get(id).hidden = !counts;
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
    keep.write('sampling', { on: this.#isOn, values });
  }
}

/** A value as requests have it. @param {string} text @param {[string, string][]} [choices] */
const told = (text, choices) => (!choices ? Number(text) : ['true', 'false'].includes(text) ? text === 'true' : text);
