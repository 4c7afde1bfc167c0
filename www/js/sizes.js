/**
 * How large pictures may sensibly be, and how long they take: the note at the size fields, and what is offered when a
 * picture brings a size that the model was not made for.
 */

import { LIMITS, SAMPLERS } from '../limits.js';
import { $, duration, keep } from './dom.js';

/** So many times a model's own side is still what it was made for; beyond that it repeats what it knows. */
const FAR = 1.5;

/** @typedef {{width: number, height: number, steps: number, guidance: number, sampler: string}} Asked */

/** Whether a size is far beyond a model's own. @param {{width: number, height: number}} model */
export const isFar = (model, { width, height }) => Math.max(width / model.width, height / model.height) > FAR;

export const sizeWords = ({ width, height }) => `${width}×${height}`;

/** How much work a run's steps are; guidance above 1 doubles it, and some samplers do. @param {Asked} asked */
const work = ({ width, height, steps, guidance, sampler }) =>
  width * height * steps * (guidance > 1 ? 2 : 1) * (SAMPLERS[sampler]?.evaluations ?? 1);

/**
 * Remembers what a run took, as the measure for others of the same model.
 * @param {string} model its id
 * @param {Asked} asked
 * @param {import('../protocol.d.ts').Timings} timings
 */
export function measured(model, asked, { textMs, denoiseMs, decodeMs }) {
  keep.write('pace', { model, text: textMs, step: denoiseMs / work(asked), decode: decodeMs / (asked.width * asked.height) });
}

/**
 * About how long a run would take, after the last one measured.
 * @param {string} model its id
 * @param {Asked} asked
 * @returns {number | null} milliseconds; null before the first picture
 */
export function estimate(model, asked) {
  const pace = keep.read('pace');
  if (pace?.model !== model) return null;
  const ms = pace.text + pace.step * work(asked) + pace.decode * asked.width * asked.height;
  return Number.isFinite(ms) ? ms : null;
}

/** " (about 1 min 10 s)", or nothing before the first picture. */
const about = (ms) => (ms === null ? '' : ` (about ${duration(ms / 1000)})`);

export class Sizes {
  /**
   * @param {object} options
   * @param {import('./settings.js').Settings} options.settings
   * @param {() => import('../protocol.d.ts').ModelInfo | null} options.model the one in use
   */
  constructor({ settings, model }) {
    Object.assign(this, { settings, model });
    for (const field of ['width', 'height', 'steps', 'guidance', 'sampler']) {
      for (const event of ['input', 'put']) $(field).addEventListener(event, () => this.tell());
    }
  }

  /** Says under the size fields when a size is far beyond the model's own. */
  tell() {
    const model = this.model();
    const asked = this.#asked();
    const far = Boolean(model) && isFar(model, asked);
    $('size-note').hidden = !far;
    if (!far) return;
    const ms = estimate(model.id, asked);
    const takes = ms === null ? '' : ` ${sizeWords(asked)} takes about ${duration(ms / 1000)}.`;
    $('size-note').textContent = `${model.name} was made for ${sizeWords(model)}: much beyond that it repeats what it knows.${takes}`;
  }

  /**
   * Judges the size that a picture brings. What the model was made for is taken; of another one is said what it would
   * cost, and it is offered.
   * @param {Record<string, string>} values by field
   * @returns {{values: Record<string, string>, lines: string[], action?: {label: string, run: () => void}}} what is left
   *   to be put into the form, and what to say
   */
  judge({ width, height, ...rest }) {
    const model = this.model();
    const size = { width: Number(width), height: Number(height) };
    // What is no size at all is refused at its field, as anything typed.
    if (!model || !isSide(size.width) || !isSide(size.height)) return { values: { ...rest, ...present({ width, height }) }, lines: [] };
    const same = size.width === model.width && size.height === model.height;
    if (!isFar(model, size) && !isFar(size, model)) {
      return { values: { ...rest, width, height }, lines: same ? [] : [`Its size, ${sizeWords(size)}, was taken.`] };
    }
    const stays = this.#asked();
    const { steps = stays.steps, guidance = stays.guidance, sampler = stays.sampler } = rest;
    const cost = ({ width: w, height: h }) =>
      about(estimate(model.id, { width: w, height: h, steps: Number(steps), guidance: Number(guidance), sampler }));
    return {
      values: rest,
      lines: [`It is ${sizeWords(size)}, and ${model.name} was made for ${sizeWords(model)}: ${sizeWords(stays)} stays${cost(stays)}.`],
      action: {
        label: `Take ${sizeWords(size)}${cost(size)}`,
        run: () => this.settings.take({ width: String(size.width), height: String(size.height) }),
      },
    };
  }

  /** @returns {Asked} */
  #asked() {
    const number = (field) => Number($(field).value);
    return {
      width: number('width'), height: number('height'), steps: number('steps'), guidance: number('guidance'), sampler: $('sampler').value,
    };
  }
}

const { from, to, step } = LIMITS.size;
const isSide = (pixels) => pixels >= from && pixels <= to && pixels % step === 0;
const present = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
