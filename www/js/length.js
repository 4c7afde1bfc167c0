/** How long the prompt is, in the model's own tokens, as it is typed: "12/75". */

import { $ } from './dom.js';

/** After the last key. */
const PAUSE = 400;

export class Length {
  #timer = 0;

  /** @param {{session: import('./session.js').Session}} options */
  constructor({ session }) {
    this.session = session;
    const soon = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.look(), PAUSE);
    };
    for (const event of ['input', 'put']) $('prompt').addEventListener(event, soon);
  }

  /** Asks the model that is in use; while it is away, or draws, what stood there stays away. */
  async look() {
    const prompt = $('prompt').value;
    if (!prompt.trim() || this.session.state !== 'ready') return this.#show(null);
    try {
      const length = await this.session.og.study({ what: 'length', prompt });
      if ($('prompt').value === prompt) this.#show(length);
    } catch {
      this.#show(null); // the engine has ended, say; whoever needs it is told
    }
  }

  #show(length) {
    $('length').textContent = length ? `${length.tokens}/${length.room}` : '';
    $('length').title = length ? `${length.tokens} of the ${length.room} tokens that the model reads` : '';
  }
}
