/** The form: reads, checks, remembers and restores what the visitor has set. */

import { LIMITS } from '../limits.js';
import { $, keep } from './dom.js';
import { PutBack, insert } from './typing.js';

const FIELDS = ['prompt', 'negativePrompt', 'steps', 'guidance', 'seed', 'sampler', 'schedule', 'rng', 'dialect', 'width', 'height',
  'batch', 'variationStrength', 'variationSeed'];
/** Those that hold words. */
const TEXTS = ['prompt', 'negativePrompt'];
/** What a model has an opinion on. */
const OF_MODEL = ['steps', 'guidance', 'sampler', 'schedule', 'width', 'height'];
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
    dialect: values.dialect,
    width: side('width', 'Width'),
    height: side('height', 'Height'),
    seed: seed('seed', 'The seed', random),
    batch: whole('batch', 'Pictures'),
    variationStrength: number('variationStrength', 'The strength'),
    variationSeed: seed('variationSeed', 'The variation seed', values.variationSeed.trim() === ''),
  };
  return { request: Object.keys(errors).length ? null : request, errors };
}

/** A new seed of 32 bits, as text. */
export const drawSeed = () => String(crypto.getRandomValues(new Uint32Array(1))[0]);

export class Settings {
  #timer = 0;
  /** The page is writing, not the visitor. */ #writing = false;
  /** The seed that is set came with a picture or a link; nobody typed it. */ #brought = false;
  /** Whether the seed was drawn before the page filled one in. */ #wasRandom = true;
  #putBack = new PutBack({ fields: TEXTS, onPutBack: (values) => this.#takeBack(values) });

  /** @param {{onRefused: (field: string) => void}} options called with the first field at fault */
  constructor({ onRefused }) {
    this.onRefused = onRefused;
    this.random = $('random-seed');
    for (const [field, { from, to }] of Object.entries(RANGES)) Object.assign($(field), { min: from, max: to });
    for (const field of TEXTS) $(field).addEventListener('input', () => this.#writing || this.#putBack.settle());
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
    this.#brought = Boolean(values.brought) && !('seed' in early);
    this.#putBack.written = values.written ?? {};
    this.#tellVariation();
  }

  /** Back to the model's own settings; the prompt stays. */
  reset(model) {
    this.#fillIn({ ...valuesOf(model), ...PLAIN, negativePrompt: '', seed: '', variationSeed: '' });
    this.releaseSeed();
    for (const field of FIELDS) this.mark(field, '');
  }

  /**
   * Another model: what it has an opinion on is set to that, all else stays.
   * @returns {Record<string, string>} what these fields held
   */
  fit(model) {
    const before = Object.fromEntries(OF_MODEL.map((field) => [field, $(field).value]));
    this.#fillIn(valuesOf(model));
    return before;
  }

  /** Puts values back where the visitor has not set others since. @param {Record<string, string>} values those of `fit` */
  unfit(values, model) {
    const now = this.#values();
    const untouched = Object.entries(valuesOf(model)).filter(([field, value]) => now[field] === value);
    this.#fillIn(Object.fromEntries(untouched.map(([field]) => [field, values[field]])));
  }

  /** Takes the settings a picture was made with, its seed too. */
  apply(request) {
    const { variationSeed = '', variationStrength = 0, ...rest } = request;
    const varied = { variationStrength, variationSeed: variationStrength > 0 ? variationSeed : '' };
    // Pictures of before there were several say nothing of theirs.
    const values = Object.entries({ dialect: PLAIN.dialect, ...rest, ...varied }).filter(([field]) => FIELDS.includes(field));
    this.#fillIn(Object.fromEntries(values.map(([field, value]) => [field, String(value)])));
    this.#bring();
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
    const taken = {};
    for (const field of wanted) {
      const select = $(field).tagName === 'SELECT';
      const known = !select || [...$(field).options].some(({ value }) => value === values[field]);
      const name = document.querySelector(`label[for="${field}"]`).textContent.toLowerCase();
      const error = known ? errors[field] : `There is no such ${name} here.`;
      if (error) refused[field] = error;
      else taken[field] = values[field];
    }
    this.#fillIn(taken);
    if ('seed' in values) this.#bring();
    return refused;
  }

  /** Whether the visitor has set the seed; one that came with a picture or a link, or was drawn, is let go more easily. */
  get seedIsTyped() {
    return !this.random.checked && !this.#brought;
  }

  /** Whether a seed is set that came with a picture or a link. */
  get seedIsBrought() {
    return !this.random.checked && this.#brought;
  }

  /** A new seed each time from now on. */
  releaseSeed() {
    set('seed', '');
    this.random.checked = true;
    this.#brought = false;
    this.mark('seed', '');
    this.#save();
  }

  /** What the form says, for a link: fields without their random numbers. */
  shared() {
    const values = this.#values();
    if (this.random.checked) values.seed = '';
    if (Number(values.variationStrength) === 0) values.variationSeed = '';
    return values;
  }

  setPrompt(prompt) {
    this.#fillIn({ prompt });
  }

  /** What stands in the empty box as an example is meant when nothing else is said. */
  fillEmptyPrompt() {
    if ($('prompt').value.trim() === '') this.setPrompt($('prompt').placeholder);
  }

  /** Puts words at the end of the prompt. */
  addToPrompt(words) {
    const prompt = $('prompt').value;
    const end = prompt.trimEnd().length;
    this.replaceInPrompt(end, prompt.length, end ? ` ${words}` : words);
  }

  /** Puts words in place of a part of the prompt. @param {number} end beyond the prompt's end is its end */
  replaceInPrompt(start, end, words) {
    const before = this.#values();
    const { length } = before.prompt;
    this.#writing = true;
    insert($('prompt'), words, start, Math.min(end, length));
    this.#writing = false;
    this.mark('prompt', '');
    this.#putBack.replaced(before, this.#values(), { part: start > 0 || end < length });
    this.#save();
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

  /** The same without a word at the fields. @throws {Error} what is wrong with the first of them */
  glance() {
    const { request, errors } = check(this.#values(), this.random.checked);
    const wrong = Object.values(errors).find(Boolean);
    if (wrong) throw new Error(wrong);
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
    for (const [field, value] of Object.entries({ ...valuesOf(model), ...PLAIN })) set(field, value);
  }

  /** Fills fields in and offers to put typed words back that this replaced. @param {Record<string, string>} values */
  #fillIn(values) {
    const before = this.#values();
    this.#wasRandom = this.random.checked;
    this.#write(values);
    this.#putBack.replaced(before, this.#values());
  }

  /** @param {Record<string, string>} values what the fields held before the page filled them in */
  #takeBack(values) {
    this.#write(values);
    if (!('seed' in values)) return;
    this.random.checked = this.#wasRandom;
    this.#brought = false;
    this.#save();
  }

  /** @param {Record<string, string>} values by field */
  #write(values) {
    this.#writing = true;
    for (const [field, value] of Object.entries(values)) {
      if (TEXTS.includes(field)) insert($(field), value);
      else set(field, value);
      this.mark(field, '');
    }
    this.#writing = false;
    this.#save();
  }

  /** The seed in its field came from elsewhere. */
  #bring() {
    this.random.checked = $('seed').value === '';
    this.#brought = !this.random.checked;
    this.#save();
  }

  #changed(field) {
    if (this.#writing) return;
    if (field === 'seed') this.random.checked = $('seed').value === '';
    else if (field !== 'random') this.mark(field, '');
    // Who wants one seed and has none gets one to go on with.
    if (field === 'random' && !this.random.checked && $('seed').value === '') set('seed', drawSeed());
    if (field === 'random' || field === 'seed') {
      this.#brought = false;
      this.mark('seed', '');
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), 250);
  }

  #save() {
    clearTimeout(this.#timer);
    const { written } = this.#putBack;
    keep.write('form', { ...this.#values(), random: this.random.checked, brought: this.#brought, written });
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
  $(field).dispatchEvent(new Event('put')); // whoever explains it looks again
}

/** Settings at which nothing out of the ordinary is done. */
const PLAIN = { rng: 'torch', dialect: 'a1111', batch: '1', variationStrength: '0' };

/** What a model has an opinion on, by field. @returns {Record<string, string>} */
function valuesOf({ defaults, width, height }) {
  const values = { ...defaults, width, height };
  return Object.fromEntries(OF_MODEL.map((field) => [field, String(values[field])]));
}
