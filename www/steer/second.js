/** A second pass at a larger size (hires fix), and tiles without seams: both off until they are set. */

import { $, keep, make } from '../js/dom.js';
import { wrongNumber } from '../js/settings.js';
import { LIMITS } from '../limits.js';

/** What enlarges in between, as A1111 calls it. @type {[import('../protocol.d.ts').Upscaler, string][]} */
const METHODS = [
  ['latent', 'Latent'], ['latent-antialiased', 'Latent (antialiased)'], ['latent-bicubic', 'Latent (bicubic)'],
  ['latent-bicubic-antialiased', 'Latent (bicubic antialiased)'], ['latent-nearest', 'Latent (nearest)'],
  ['latent-nearest-exact', 'Latent (nearest-exact)'], ['lanczos', 'Lanczos'],
];
/** @type {[import('../protocol.d.ts').Tiling, string][]} */
const TILINGS = [['none', 'Off'], ['both', 'All sides'], ['x', 'Left, right'], ['y', 'Top, bottom']];
/** A factor of 1 is no second pass. */
const FROM = 1;
const MOST = 4;
const PLAIN = { hiresScale: '1', hiresUpscaler: 'latent', hiresStrength: '0.7', hiresSteps: '', tiling: 'none' };
const FIELDS = Object.keys(PLAIN);

export class Second {
  /** @param {{settings: import('../js/settings.js').Settings, begin: import('../js/begin.js').Begin}} page */
  constructor({ settings, begin }) {
    Object.assign(this, { settings, begin });
    const number = (id, name, how) => field(id, name, make('input', { type: 'number', ...how }));
    const scale = number('hiresScale', 'Enlarge by', { min: FROM, max: MOST, step: 0.25, inputMode: 'decimal' });
    const method = field('hiresUpscaler', 'Method', select(METHODS));
    const range = make('input', { type: 'range', min: 0.05, max: 1, step: 0.05 });
    this.#strength = make('output', {});
    this.#strength.setAttribute('for', 'hiresStrength');
    const strength = field('hiresStrength', 'How much may change', make('div', { className: 'slider' }, range, this.#strength), range);
    const steps = number('hiresSteps', 'Its steps', { min: LIMITS.steps.from, max: LIMITS.steps.to, step: 1, inputMode: 'numeric', placeholder: 'the same' });
    this.#later = [method, strength, steps];
    this.#hint = make('p', { className: 'wide quiet hint' });
    this.#hint.setAttribute('aria-live', 'polite');
    const tiling = field('tiling', 'Seamless tile', select(TILINGS));
    $('second-box').replaceChildren(make('div', { className: 'fields' }, scale, tiling, method, steps, strength, this.#hint));
    strength.classList.add('wide');
    const kept = { ...PLAIN, ...keep.read('second')?.values };
    for (const id of FIELDS) {
      $(id).value = kept[id];
      for (const event of ['input', 'change']) $(id).addEventListener(event, () => this.#changed(id));
    }
    for (const id of ['width', 'height']) for (const event of ['input', 'put']) $(id).addEventListener(event, () => this.#draw());
    $('modes').addEventListener('change', () => this.#draw());
    $('reset').addEventListener('click', () => this.#write(PLAIN));
    this.#draw();
  }

  #strength;
  #later;
  #hint;

  /** What a request says of it. @param {any} request what it says already */
  of({ image }) {
    const { hiresScale, hiresUpscaler, hiresStrength, hiresSteps, tiling } = this.#values;
    const steps = hiresSteps.trim() === '' ? {} : { steps: Number(hiresSteps) };
    const hires = { scale: Number(hiresScale), upscaler: hiresUpscaler, strength: Number(hiresStrength), ...steps };
    return { ...(hires.scale > FROM && !image && { hires }), ...(tiling !== 'none' && { tiling }) };
  }

  /** What cannot be drawn as it is set. @returns {{field: string, message: string} | null} */
  missing() {
    const { hiresScale, hiresSteps } = this.#values;
    for (const id of FIELDS) this.settings.mark(id, '');
    const large = wrongNumber('Enlarge by', hiresScale, { from: FROM, to: MOST });
    if (large) return { field: 'hiresScale', message: large };
    const [width, height] = this.#size;
    const { to } = LIMITS.size;
    if (this.begin.mode === 'words' && Math.max(width, height) > to) {
      return { field: 'hiresScale', message: `That would be ${width} × ${height} pixels; up to ${to} on a side are drawn.` };
    }
    const steps = hiresSteps.trim() && wrongNumber('Its steps', hiresSteps, LIMITS.steps, { whole: true });
    return steps ? { field: 'hiresSteps', message: steps } : null;
  }

  /** What a picture was made with; what it does not say is off. @param {{hires?: any, tiling?: any}} settings */
  take({ hires, tiling }) {
    const { scale = 1, upscaler, strength, steps } = hires ?? {};
    this.#write({
      ...PLAIN, hiresScale: String(scale), tiling: tiling ?? 'none', ...(upscaler && { hiresUpscaler: upscaler }),
      ...(strength && { hiresStrength: String(strength) }), ...(steps && { hiresSteps: String(steps) }),
    });
    if (this.#isOn) $('second').open = true;
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

  get #values() {
    return Object.fromEntries(FIELDS.map((id) => [id, $(id).value]));
  }

  get #isOn() {
    const { hiresScale, tiling } = this.#values;
    return Number(hiresScale) > FROM || tiling !== 'none';
  }

  /** How large it becomes: as the engine counts. */
  get #size() {
    const { step } = LIMITS.size;
    return ['width', 'height'].map((side) => Math.floor((Number($(side).value) * Number($('hiresScale').value)) / step) * step);
  }

  /** Shows what is set, on the closed lid too, and keeps it. */
  #draw() {
    const { hiresScale, hiresStrength, tiling } = this.#values;
    const larger = Number(hiresScale) > FROM;
    for (const element of this.#later) element.hidden = !larger;
    this.#strength.textContent = `${Math.round(Number(hiresStrength) * 100)} %`;
    const [width, height] = this.#size;
    const small = `Drawn at ${$('width').value} × ${$('height').value}, enlarged, and drawn on at ${width} × ${height}: more detail, and fewer doubles than drawing large at once.`;
    const hint = !larger ? 'More than 1 draws on at a larger size once the picture is there. A seamless tile can be put beside itself.'
      : this.begin.mode === 'words' ? small : 'A second pass follows on words alone; from a picture there is none.';
    if (this.#hint.textContent !== hint) this.#hint.textContent = hint;
    const words = [larger && `× ${Number(hiresScale)}`, tiling !== 'none' && 'tile'].filter(Boolean).join(', ');
    $('second-state').textContent = words || 'off';
    $('second').toggleAttribute('data-on', this.#isOn);
    keep.write('second', { on: this.#isOn, values: this.#values });
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
