/** The form: reads, checks, remembers and restores what the visitor has set. */

import { LIMITS } from '../limits.js';
import { $, keep } from './dom.js';

const FIELDS = ['prompt', 'negativePrompt', 'steps', 'guidance', 'seed', 'sampler', 'schedule', 'rng', 'width', 'height',
  'batch', 'variationStrength', 'variationSeed'];
const MOST_SEED = 2n ** 64n - 1n;
/** What the number fields take. @type {Record<string, {from: number, to: number, step?: number}>} */
const RANGES = {
  steps: LIMITS.steps, guidance: LIMITS.guidance, width: LIMITS.size, height: LIMITS.size, batch: LIMITS.batch,
  variationStrength: LIMITS.variationStrength,
};

/** What to say of a number as typed; nothing when it fits. */
export function wrongNumber(name, text, { from, to }, { whole = false } = {}) {
  const value = Number(text);
  const fits = text.trim() !== '' && value >= from && value <= to && (!whole || Number.isInteger(value));
  return fits ? '' : `${name} takes a ${whole ? 'whole ' : ''}number from ${from} to ${to}.`;
}

/** What to say of seeds as typed, of which `count` in a row are used; nothing when they fit. */
export function wrongSeed(name, text, count = 1) {
  const most = MOST_SEED - BigInt(count - 1);
  return isWhole(text) && BigInt(text) <= most ? '' : `${name} takes a whole number from 0 to ${most}.`;
}

const isWhole = (text) => /^\d+$/.test(text.trim());

/**
 * Checks what the fields hold.
 * @param {Record<string, string>} values as typed
 * @param {boolean} random whether the seed is drawn anew
 * @returns {{request: object | null, errors: Record<string, string>}} messages by field name
 */
export function check(values, random) {
  const errors = {};
  const number = (field, name, kind) => {
    const wrong = wrongNumber(name, values[field], RANGES[field], kind);
    if (wrong) errors[field] = wrong;
    return Number(values[field]);
  };
  const whole = (field, name) => number(field, name, { whole: true });
  const text = (field, name) => {
    const length = [...values[field]].length;
    if (length > LIMITS.prompt.most) {
      errors[field] = `${name} has ${length.toLocaleString('en')} characters; `
        + `up to ${LIMITS.prompt.most.toLocaleString('en')} fit.`;
    }
    return values[field];
  };
  const side = (field, name) => {
    const value = whole(field, name);
    const { step } = LIMITS.size;
    if (!errors[field] && value % step !== 0) {
      errors[field] = `${name} has to be a multiple of ${step}, such as ${Math.round(value / step) * step}.`;
    }
    return value;
  };

  const seed = (field, name, drawn) => {
    const value = drawn ? drawSeed() : values[field].trim();
    if (!isWhole(value) || BigInt(value) > MOST_SEED) {
      errors[field] = `${name} is a whole number, 0 or more; or ${field === 'seed' ? 'switch Random on' : 'leave it empty'}.`;
    }
    return value;
  };

  const request = {
    prompt: text('prompt', 'The prompt'),
    negativePrompt: text('negativePrompt', 'The negative prompt'),
    steps: whole('steps', 'Steps'),
    guidance: number('guidance', 'Guidance'),
    sampler: values.sampler,
    schedule: values.schedule,
    rng: values.rng,
    width: side('width', 'Width'),
    height: side('height', 'Height'),
    seed: seed('seed', 'The seed', random),
    batch: whole('batch', 'Pictures'),
    variationStrength: number('variationStrength', 'The strength'),
    variationSeed: seed('variationSeed', 'The variation seed', values.variationSeed.trim() === ''),
  };
  if (!errors.prompt && request.prompt.trim() === '') {
    errors.prompt = 'Say what you would like to see, or pick an example.';
  }
  return { request: Object.keys(errors).length ? null : request, errors };
}

/** A new seed of 32 bits, as text. */
export const drawSeed = () => String(crypto.getRandomValues(new Uint32Array(1))[0]);

export class Settings {
  #timer = 0;

  /** @param {{onRefused: (field: string) => void}} options called with the first field at fault */
  constructor({ onRefused }) {
    this.onRefused = onRefused;
    this.random = $('random-seed');
    for (const [field, { from, to }] of Object.entries(RANGES)) Object.assign($(field), { min: from, max: to });
    for (const field of FIELDS) {
      $(field).addEventListener('input', () => this.#changed(field));
      $(field).addEventListener('change', () => this.#changed(field));
    }
    $('random-seed').addEventListener('change', () => this.#changed('random'));
    addEventListener('pagehide', () => this.#save());
    this.#growText();
  }

  /**
   * Brings back what was typed last time; what is missing comes from the model.
   * @param {string[]} typed fields that the visitor has changed already: they stay as they are
   */
  restore(model, typed = []) {
    const early = Object.fromEntries(typed.filter((field) => FIELDS.includes(field)).map((field) => [field, $(field).value]));
    const random = 'seed' in early ? early.seed === '' : typed.includes('random-seed') ? this.random.checked : null;
    this.#fill(model);
    const values = { ...keep.read('form'), ...early };
    for (const field of FIELDS) {
      if (typeof values[field] === 'string' && $(field).value !== values[field]) set(field, values[field]);
    }
    this.random.checked = random ?? values.random !== false;
    this.#tellVariation();
  }

  /** Back to the model's own settings; the prompt stays. */
  reset(model) {
    this.#fill(model);
    set('negativePrompt', '');
    set('seed', '');
    set('variationSeed', '');
    this.random.checked = true;
    for (const field of FIELDS) this.mark(field, '');
    this.#save();
  }

  /** Shows the settings a picture was made with. */
  apply(request) {
    const { variationSeed = '', variationStrength = 0, ...rest } = request;
    const varied = { variationStrength, variationSeed: variationStrength > 0 ? variationSeed : '' };
    for (const [field, value] of Object.entries({ ...rest, ...varied })) {
      if (!FIELDS.includes(field)) continue;
      set(field, String(value));
      this.mark(field, '');
    }
    this.random.checked = false;
    this.#save();
  }

  /**
   * Takes values that come from elsewhere, a link or a picture: those that can be are filled in, the others stay.
   * @param {Record<string, string>} values by field
   * @returns {Record<string, string>} for each value that was refused, why
   */
  take(values) {
    const wanted = FIELDS.filter((field) => field in values);
    const { errors } = check({ ...this.#values(), ...values }, !values.seed);
    const refused = {};
    for (const field of wanted) {
      const select = $(field).tagName === 'SELECT';
      const known = !select || [...$(field).options].some(({ value }) => value === values[field]);
      const name = document.querySelector(`label[for="${field}"]`).textContent.toLowerCase();
      const error = known ? errors[field] : `There is no such ${name} here.`;
      if (error && !(field === 'prompt' && values.prompt.trim() === '')) {
        refused[field] = error;
      } else {
        set(field, values[field]);
        this.mark(field, '');
      }
    }
    if ('seed' in values) this.random.checked = $('seed').value === '';
    this.#save();
    return refused;
  }

  /** What the form says, for a link: fields without their random numbers. */
  shared() {
    const values = this.#values();
    if (this.random.checked) values.seed = '';
    if (Number(values.variationStrength) === 0) values.variationSeed = '';
    return values;
  }

  setPrompt(prompt) {
    set('prompt', prompt);
    this.#changed('prompt');
  }

  /** Puts words at the end of the prompt. */
  addToPrompt(words) {
    const prompt = $('prompt').value.trimEnd();
    this.setPrompt(prompt ? `${prompt} ${words}` : words);
  }

  /** The seed that was drawn, shown without giving up on drawing. */
  showSeed(seed) {
    set('seed', String(seed));
  }

  /** @returns {object | null} the request, or null after saying at each field what is wrong */
  read() {
    const { request, errors } = check(this.#values(), this.random.checked);
    for (const field of FIELDS) this.mark(field, errors[field] ?? '');
    const first = FIELDS.find((field) => errors[field]);
    if (first) this.onRefused(first);
    return request;
  }

  /** Says at the field what is wrong with it; an empty message takes that back. */
  mark(field, message) {
    const error = $(`${field}-error`);
    if (!error) return false;
    error.textContent = message;
    error.hidden = !message;
    if (message) $(field).setAttribute('aria-invalid', 'true');
    else $(field).removeAttribute('aria-invalid');
    return true;
  }

  #fill(model) {
    const { steps, guidance, sampler, schedule } = model.defaults;
    const { width, height } = model;
    const values = { steps, guidance, sampler, schedule, width, height, rng: 'torch', batch: 1, variationStrength: 0 };
    for (const [field, value] of Object.entries(values)) set(field, String(value));
  }

  #changed(field) {
    if (field === 'seed') this.random.checked = $('seed').value === '';
    else if (field !== 'random') this.mark(field, '');
    if (field === 'random' || field === 'seed') this.mark('seed', '');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), 250);
  }

  #save() {
    clearTimeout(this.#timer);
    keep.write('form', { ...this.#values(), random: this.random.checked });
    this.#tellVariation();
  }

  /** As typed, by field. @returns {Record<string, string>} */
  #values() {
    return Object.fromEntries(FIELDS.map((field) => [field, $(field).value]));
  }

  /** A variation that is on shows on its closed lid, for it changes every picture. */
  #tellVariation() {
    const strength = Number($('variationStrength').value);
    $('variation-state').textContent = strength > 0 ? `${strength}` : 'off';
    $('variation').toggleAttribute('data-on', strength > 0);
  }

  /** The prompt grows with its text where CSS alone cannot do it. */
  #growText() {
    if (CSS.supports('field-sizing', 'content')) return;
    for (const field of ['prompt', 'negativePrompt']) {
      const grow = () => {
        $(field).style.height = 'auto';
        $(field).style.height = `${$(field).scrollHeight}px`;
      };
      $(field).addEventListener('input', grow);
      requestAnimationFrame(grow);
    }
  }
}

function set(field, value) {
  $(field).value = value;
  if (field === 'prompt') $(field).dispatchEvent(new Event('put')); // whoever explains it looks again
}
