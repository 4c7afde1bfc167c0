/** Drawing while one paints: what is painted becomes a picture at once, of the newest state, in few steps; none of it is kept. */

import { make } from '../js/dom.js';
import { imageOf } from './files.js';

/** Fields whose change asks for another picture. */
const WATCHED = new Set(['prompt', 'negativePrompt', 'strength', 'seed', 'guidance', 'sampler', 'schedule', 'maskBlur', 'maskedContent', 'differential', 'onlyMasked']);
/** The rate is that of so many pictures. */
const RECENT = 5;

export class Live {
  on = false;
  /** Counts what was painted, and which of that the last picture is of. */ #newest = 0; #drawn = 0;
  /** The run that goes on. @type {AbortController | null} */ #run = null;
  /** Milliseconds that the last pictures took. @type {number[]} */ #took = [];

  /** @param {import('./editor.js').Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.switch = make('input', { type: 'checkbox', id: 'live' });
    this.words = make('span', { className: 'quiet live-words', id: 'live-words' }); // seen, not spoken with every stroke
    this.switch.setAttribute('aria-describedby', 'live-words');
    this.root = make('div', { className: 'live' },
      make('label', { className: 'switch' }, this.switch, make('span', { textContent: 'Draw while I paint' })), this.words);
    this.switch.addEventListener('change', () => this.#turn(this.switch.checked));
    for (const type of ['input', 'change']) {
      document.addEventListener(type, ({ target }) => WATCHED.has(target.id) && this.offer({ complete: true }));
    }
  }

  /** Something else is painted. @param {{complete?: boolean}} [how] `complete`: it stays so; a run of what was before is of no use */
  offer({ complete = false } = {}) {
    if (!this.on) return;
    this.#newest++;
    if (this.#run) return void (complete && this.#run.abort());
    this.#work();
  }

  /** What it drew belongs to what is not here any more. */
  clear() {
    this.#newest++;
    this.#run?.abort();
    this.editor.view.result(null);
  }

  #turn(on) {
    this.on = on;
    this.words.textContent = '';
    this.#took = [];
    if (on) this.offer();
    else this.clear();
  }

  /** Draws until there is nothing newer. Never rejects. */
  async #work() {
    const { editor } = this;
    while (this.on && this.#drawn !== this.#newest && editor.isOpen) {
      const [at, { mask }] = [this.#newest, editor];
      const run = new AbortController();
      this.#run = run;
      try {
        const began = performance.now();
        const image = mask.isEmpty ? null : await editor.begin.onSketch(imageOf(mask), run.signal);
        if (run.signal.aborted || !this.on) continue; // of something that is not here any more
        editor.view.result(image);
        this.#drawn = at;
        if (image) this.#rate(performance.now() - began);
      } catch (error) {
        if (run.signal.aborted) continue;
        if (error.code !== 'ABORTED') this.words.textContent = error.message; // a picture that is to be kept goes first
        break; // the next change tries again
      } finally {
        this.#run = null;
      }
    }
  }

  #rate(ms) {
    this.#took = [...this.#took, ms].slice(-RECENT);
    const mean = this.#took.reduce((sum, each) => sum + each, 0) / this.#took.length;
    this.words.textContent = `${(1000 / mean).toFixed(1)} pictures a second. Generate draws the whole of it, and keeps it.`;
  }
}
