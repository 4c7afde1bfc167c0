/** What the strength of a picture that a run begins with means: at which step it begins, and how much noise there is. */

import { $, make } from './dom.js';

/** Of a run whose levels are asked for: what these do not depend on. */
const ANY = { prompt: '', negativePrompt: '', guidance: 1, seed: 0, rng: 'torch', width: 64, height: 64, batch: 1, previews: false };

export class Strength {
  /** The noise level of each step of the run that was asked about last. @type {{key: string, sigmas: number[]}} */
  #known = { key: '', sigmas: [] };
  #words = document.createTextNode('');

  /**
   * @param {object} options
   * @param {import('./session.js').Session} options.session
   * @param {import('./settings.js').Settings} options.settings
   * @param {import('./begin.js').Begin} options.begin
   */
  constructor({ session, settings, begin }) {
    Object.assign(this, { session, settings, begin });
    for (const id of ['steps', 'sampler', 'schedule']) for (const event of ['input', 'put']) $(id).addEventListener(event, () => this.look());
    $('begin-hint').append(this.#words, make('a', { className: 'link', href: '#how-middle', textContent: 'See what that is' }));
    this.look();
  }

  /** Says it of what is set now. Never rejects. */
  async look() {
    const { strength } = this.begin.request;
    const { steps: typed, sampler, schedule } = this.settings.shared();
    const steps = Number(typed);
    const fits = strength !== undefined && this.begin.isThere && Number.isInteger(steps) && steps > 0;
    $('begin-hint').hidden = !fits;
    if (!fits) return;
    const first = firstStep(steps, strength);
    const key = [this.session.model.id, steps, sampler, schedule].join();
    this.#say(first, steps, this.#known.key === key ? this.#known.sigmas[first] : undefined);
    if (this.#known.key === key || this.session.state !== 'ready') return;
    try {
      const request = { ...ANY, steps, sampler, schedule };
      const path = await this.session.og.study({ what: 'begin', request });
      this.#known = { key, sigmas: path.steps.map(({ sigma }) => sigma) };
      this.look();
    } catch {
      // the steps alone are said; what is wrong with the settings is said where a picture is asked for
    }
  }

  /** @param {number} first the step it begins with, from 0 @param {number} steps @param {number} [sigma] √((1 − ᾱ)/ᾱ) there */
  #say(first, steps, sigma) {
    if (first === steps) {
      this.#words.data = 'Less than one step is taken: the picture stays as it is. ';
      return;
    }
    const { noise, picture } = sharesAt(sigma ?? 0);
    const level = sigma === undefined ? '' : `, where noise is ${noise.toFixed(2)} and the picture ${picture.toFixed(2)}`;
    this.#words.data = `Begins at step ${first + 1} of ${steps}${level}. `;
  }
}

/** The step of `steps`, from 0, that a run of this strength begins with, as the engine counts them; `steps` where it takes none. */
export const firstStep = (steps, strength) => steps - Math.min(steps, Math.floor(steps * strength));

/** How much of the picture and of noise there is. @param {number} sigma √((1 − ᾱ)/ᾱ) */
export const sharesAt = (sigma) => ({ noise: sigma / Math.hypot(1, sigma), picture: 1 / Math.hypot(1, sigma) });
