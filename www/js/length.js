/** How long the prompt is, in the model's own tokens, as it is typed: "12/75"; pressed, which these are, chunk by chunk, with their weights. */

import { $ } from './dom.js';
import { drawTokens } from './tokens.js';

/** After the last key. */
const PAUSE = 400;

export class Length {
  #timer = 0;
  #isOpen = false;

  /** @param {{session: import('./session.js').Session, settings: import('./settings.js').Settings}} options */
  constructor({ session, settings }) {
    Object.assign(this, { session, settings });
    const soon = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.look(), PAUSE);
    };
    for (const event of ['input', 'put']) $('prompt').addEventListener(event, soon);
    $('dialect').addEventListener('change', soon);
    $('length').addEventListener('click', () => {
      this.#isOpen = !this.#isOpen;
      this.look();
    });
  }

  /** Asks the model that is in use; while it is away, or draws, what stood there stays away. */
  async look() {
    const prompt = $('prompt').value;
    if (!prompt.trim() || this.session.state !== 'ready') return this.#show(null);
    const { og } = this.session;
    try {
      const reading = this.#reading();
      const length = await og.study({ what: 'length', prompt, ...reading });
      const read = this.#isOpen ? await og.study({ what: 'understood', prompt, ...reading }) : null;
      if ($('prompt').value === prompt) this.#show(length, read);
    } catch {
      this.#show(null); // the engine has ended, say; whoever needs it is told
    }
  }

  /** How the prompt is read, as far as the settings can be. */
  #reading() {
    try {
      const { dialect, emphasis } = this.settings.glance();
      return { dialect, emphasis };
    } catch {
      return {};
    }
  }

  /** @param {{tokens: number, room: number} | null} length @param {import('../protocol.d.ts').Understood | null} [read] */
  #show(length, read = null) {
    const button = $('length');
    button.textContent = length ? `${length.tokens}/${length.room}` : '';
    button.title = length ? `${length.tokens} of the ${length.room} tokens that the model reads: which they are` : '';
    button.setAttribute('aria-expanded', String(this.#isOpen));
    $('tokens').hidden = !read;
    if (read) drawTokens($('tokens'), read);
  }
}
