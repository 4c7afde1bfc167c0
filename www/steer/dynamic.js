/**
 * Dynamic prompts: what becomes of `{this|that}` and `__list__` is shown under the prompt before it is drawn. Each picture's own seed
 * chooses, by the engine alone; a seed that is to be drawn is drawn here beforehand, so that what is shown is what comes.
 */

import { invalid } from '../errors.js';
import { $, keep, make } from '../js/dom.js';
import { singles } from '../js/queue.js';
import { drawSeed } from '../js/settings.js';
import { sentence } from '../js/words.js';
import { Listing } from './listing.js';
import { Lists } from './lists.js';

/** So long nothing is typed before it is chosen anew, in ms. */
const PAUSE = 250;
/** A list that an error says is not there. */
const MISSING = /there is no list for __(.+?)__/;

export class Dynamic {
  #lists = new Lists();
  /** The seed that is drawn next, where none is set. */ #seed;
  /** Counts what was asked for: an answer that has been overtaken is passed over. */ #asked = 0;
  #timer = 0;

  /**
   * @param {{engine: () => Promise<import('../client.js').OpenGen>, settings: import('../js/settings.js').Settings}} page
   * @param {typeof import('../js/extras.js').isTemplate} isTemplate handed over, for a file that comes later is not to be asked for by
   *   two names
   */
  constructor({ engine, settings }, isTemplate) {
    Object.assign(this, { engine, settings, isTemplate });
    this.#seed = drawSeed();
    this.#listing = new Listing({ lists: this.#lists, onChange: () => this.look() });
    const way = (/** @type {string} */ id, /** @type {() => void} */ press) => {
      const made = make('button', { type: 'button', className: 'link', id });
      made.addEventListener('click', press);
      return made;
    };
    this.#becomes = make('div', {});
    this.#becomes.setAttribute('aria-live', 'polite');
    this.#error = make('p', { className: 'field-error', hidden: true });
    this.#again = way('becomes-again', () => {
      this.#seed = drawSeed();
      this.#look();
    });
    this.#again.textContent = 'Choose again';
    this.#write = way('becomes-write', () => this.#listing.edit(this.#write.dataset.name));
    this.#open = way('becomes-lists', () => this.#listing.open());
    this.#switch = way('becomes-switch', () => {
      keep.write('dynamic', { off: !this.isOff });
      this.#look();
    });
    this.#box = make('section', { className: 'becomes', id: 'becomes', hidden: true }, this.#becomes, this.#error,
      make('div', { className: 'becomes-ways' }, this.#write, this.#again, this.#open, this.#switch));
    this.#box.setAttribute('aria-label', 'What the prompt becomes');
    $('understood').before(this.#box);
    for (const id of ['prompt', 'negativePrompt', 'seed', 'random-seed', 'batch', 'variationStrength', 'variationSeed']) {
      for (const event of ['input', 'change', 'put']) $(id).addEventListener(event, () => this.look());
    }
    this.#look();
  }

  #listing;
  #becomes;
  #error;
  #again;
  #write;
  #open;
  #switch;
  #box;

  /** Whether braces are text. */
  get isOff() {
    return Boolean(keep.read('dynamic')?.off);
  }

  /** The seed of a request that has none of its own: that by which was chosen what is shown. Others come next. @param {any} request */
  drawn({ prompt, negativePrompt }) {
    if (this.isOff || !this.settings.random.checked || !(this.isTemplate(prompt) || this.isTemplate(negativePrompt))) return {};
    const seed = this.#seed;
    this.#seed = drawSeed();
    this.look();
    return { seed };
  }

  /**
   * Requests with the prompts that their seeds make of their templates, which stand beside them.
   * @param {any[]} requests of one picture each
   * @param {(request: any) => any} [beside] what belongs to a prompt
   * @returns {Promise<any[]>}
   * @throws {import('../errors.js').OpenGenError} INVALID_INPUT what is wrong with a template
   */
  async chosen(requests, beside = () => ({})) {
    if (this.isOff) return requests;
    const all = await this.#lists.all();
    const wildcards = Object.fromEntries([...all].map(([name, text]) => [name, text.split('\n')]));
    const og = await this.engine();
    return Promise.all(requests.map(async ({ regions, ...request }) => {
      const { prompt, negativePrompt = '', seed } = request;
      const made = await og.study({ what: 'expand', prompt, negativePrompt, wildcards, seed });
      if (made.prompt.trim() === '' && prompt.trim() !== '') throw invalid('prompt', 'Nothing is left of the prompt: one of its choices is empty.');
      const templates = { ...(made.prompt !== prompt && { prompt }), ...(made.negativePrompt !== negativePrompt && { negativePrompt }) };
      const told = { ...request, ...made, ...(Object.keys(templates).length > 0 && { templates }) };
      return request.network ? told : { ...told, ...beside(told) };
    }));
  }

  /** Has it chosen anew, once nothing is typed for a moment. */
  look() {
    clearTimeout(this.#timer);
    this.#box.setAttribute('aria-busy', 'true');
    this.#timer = setTimeout(() => this.#look(), PAUSE);
  }

  async #look() {
    const asked = ++this.#asked;
    const texts = ['prompt', 'negativePrompt'].map((id) => $(id).value);
    this.#box.hidden = !texts.some(this.isTemplate);
    if (this.#box.hidden) {
      this.#box.setAttribute('aria-busy', 'false');
      return;
    }
    const off = this.isOff;
    this.#box.toggleAttribute('data-off', off);
    this.#switch.textContent = off ? 'Choose among what is in braces' : 'Take braces as text';
    this.#again.hidden = off || !this.settings.random.checked;
    this.#open.hidden = off;
    this.#open.textContent = `Lists (${(await this.#lists.all()).size})`;
    if (asked !== this.#asked) return;
    if (off) return this.#show([], 'Braces and __names__ are text.');
    try {
      const form = this.settings.glance();
      const made = await this.chosen(singles({ ...form, ...(this.settings.random.checked && { seed: this.#seed }) }));
      if (asked === this.#asked) this.#show(made);
    } catch (error) {
      if (asked === this.#asked) this.#show([], '', error.message);
    }
  }

  /** @param {any[]} made requests with their prompts @param {string} [words] instead @param {string} [error] */
  #show(made, words = '', error = '') {
    this.#box.setAttribute('aria-busy', 'false');
    const missing = MISSING.exec(error)?.[1];
    this.#write.hidden = missing === undefined;
    if (missing !== undefined) Object.assign(this.#write, { textContent: `Write the list “${missing}”` }).dataset.name = missing;
    this.#error.hidden = !error;
    this.#error.textContent = sentence(error);
    const rows = made.map(({ prompt, negativePrompt, templates = {} }) => `${prompt}${templates.negativePrompt === undefined ? '' : ` · not: ${negativePrompt}`}`);
    const same = rows.every((row) => row === rows[0]) ? rows.slice(0, 1) : rows;
    const list = same.length > 1 ? [make('p', { textContent: 'Becomes, a picture each:' }), make('ol', {}, ...same.map((textContent) => make('li', { textContent })))]
      : same.map((row) => make('p', {}, 'Becomes ', make('q', { textContent: row })));
    this.#becomes.replaceChildren(...list, ...(words ? [make('p', { textContent: words })] : []));
    const long = list.find((element) => element.scrollHeight > element.clientHeight);
    if (long) long.tabIndex = 0; // keys scroll it too
  }
}
