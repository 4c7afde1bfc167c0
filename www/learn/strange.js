/** The quiet line under the prompts of a part: which of their words the model does not know. */

import { make } from '../js/dom.js';
import { TEXTS } from './texts.js';

/** After the last key, so that a word is not judged half typed. */
const PAUSE = 400;
/** More words than these are not named. */
const MOST = 3;

export class Strange {
  root = make('p', { className: 'strange quiet', ariaLive: 'polite' });
  #timer = 0;
  #turn = 0;

  /** @param {import('./lab.js').Lab} lab @param {HTMLInputElement[]} prompts */
  constructor(lab, prompts) {
    Object.assign(this, { lab, prompts });
    for (const prompt of prompts) {
      prompt.addEventListener('input', () => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.look(), PAUSE);
      });
    }
  }

  /** Reads what stands there now. */
  async look() {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    const { model, reader } = this.lab;
    const shown = this.prompts.filter((prompt) => !prompt.closest('[hidden]'));
    const readings = await Promise.all(shown.map(({ value }) => (value.trim() ? reader.read(model, value) : null)));
    if (turn !== this.#turn) return;
    const words = [...new Set(readings.flatMap((reading) => (reading ? strangeTo(reading) : [])))];
    const said = words.length ? TEXTS.strange(model.name, words.slice(0, MOST), words.length > MOST) : '';
    if (this.root.textContent !== said) this.root.textContent = said; // nothing new, nothing to be read out
  }
}

/** In this view a prompt goes in as it is typed: a word that Create would translate first is not known either. */
const strangeTo = ({ strange, said }) => [...strange.map(({ text }) => text), ...said.map(([text]) => text)];
