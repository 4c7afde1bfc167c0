/**
 * Reads prompts for the page. What reads them is fetched when a model with a list of words is in use, the words of other
 * languages when a prompt holds a word that may be one; both are kept for visits without a network.
 */

import { brought, keepParts } from './shell.js';

/** A picture is not kept waiting longer for words of other languages. */
const PATIENCE = 10_000;

export class Reader {
  /** @type {Promise<typeof import('./knowing.js')> | null} */ #knowing = null;
  /** @type {Promise<import('./languages.js').Languages | null> | null} null once it has failed: to be asked for again */
  #languages = null;

  /**
   * How a model understands a prompt; null where it has no list of words. Never rejects.
   * @param {import('../protocol.d.ts').ModelInfo} model
   * @param {string} prompt
   * @returns {Promise<(import('./knowing.js').Reading & {untold: boolean}) | null>} `untold` where words of other languages
   *   were wanted and did not come
   */
  async read(model, prompt) {
    if (!model.knows) return null;
    try {
      this.#knowing ??= brought(() => import('./knowing.js'), new URL('./knowing.js', import.meta.url));
      const { read } = await this.#knowing;
      const reading = read(prompt, model);
      if (!reading.foreign) return { ...reading, untold: false };
      const languages = await this.#wanted();
      return { ...(languages ? read(prompt, model, languages) : reading), untold: !languages };
    } catch {
      this.#knowing = null; // the code did not arrive
      return null;
    }
  }

  #wanted() {
    this.#languages ??= fetchLanguages().catch(() => {
      this.#languages = null;
      return null;
    });
    return this.#languages;
  }
}

async function fetchLanguages() {
  const [{ Languages }, response] = await Promise.all([
    brought(() => import('./languages.js'), new URL('./languages.js', import.meta.url)),
    fetch(new URL('../languages.json', import.meta.url), { signal: AbortSignal.timeout(PATIENCE) }),
  ]);
  if (!response.ok) throw new Error(`languages.json: ${response.status}`);
  const languages = new Languages(await response.json(), navigator.languages);
  keepParts(['languages']);
  return languages;
}
