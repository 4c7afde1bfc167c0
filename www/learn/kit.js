/** The pieces the parts are built of: sections, fields, figures, and work that can be stopped. */

import { make } from '../js/dom.js';
import { math } from './math.js';
import { TEXTS } from './texts.js';

let ids = 0;

/** A part: its heading, its sentences, what can be touched, the formula folded away, the papers. */
export function section(texts, ...content) {
  const heading = make('h2', { textContent: texts.title, tabIndex: -1 });
  return make('section', { className: 'part' }, heading, prose(texts.paragraphs ?? []), ...content, formula(texts), papers(texts));
}

/** What is no sentence is a formula, in the notation of math.js. */
function formula({ formula: lines }) {
  const line = (words) => (/[.:]$/.test(words) ? make('p', { textContent: words }) : make('p', { className: 'formula' }, math(words)));
  return make('details', { className: 'fold' }, make('summary', { textContent: TEXTS.formula }), ...lines.map(line));
}

/** A formula with numbers that change. */
export class Live {
  root = make('p', { className: 'formula live' });

  /** @param {string} line in the notation of math.js */
  show(line) {
    this.root.replaceChildren(math(line));
  }
}

/**
 * A question to the reader before something is shown. Which answer was pressed is remembered as long as the tab lives.
 * @param {{ask: string, answers: string[]}} texts
 * @param {(answer: number) => Promise<string | undefined>} tell shows it, and says how it is; nothing where it did not come to that
 * @param {() => boolean} changed whether something else is shown then, or on its way
 */
export function question({ ask, answers }, tell, changed) {
  const verdict = make('p', { className: 'verdict', role: 'status' });
  let turn = 0;
  const press = (pressed) => {
    for (const [i, each] of buttons.entries()) each.ariaPressed = String(i === pressed);
  };
  const guess = async (i) => {
    const now = ++turn;
    press(i);
    verdict.textContent = TEXTS.see;
    const words = await tell(i);
    if (now !== turn) return; // another guess was made meanwhile
    if (words === undefined) press(null);
    verdict.textContent = words ?? (changed() ? TEXTS.changed : TEXTS.unanswered);
  };
  const buttons = answers.map((answer, i) => button(answer, () => guess(i)));
  press(null);
  return make('div', { className: 'guess', role: 'group', ariaLabel: ask }, make('p', { textContent: ask }),
    row('answers', ...buttons), verdict);
}

function papers({ papers: list }) {
  const link = ([textContent, href]) => make('li', {}, `${TEXTS.paper}: `, make('a', { textContent, href, rel: 'noopener' }));
  return make('ul', { className: 'papers' }, ...list.map(link));
}

/** A labelled control. */
export function field(label, control, { wide = false } = {}) {
  control.id ||= `learn-${++ids}`;
  return make('div', { className: wide ? 'field wide' : 'field' },
    make('label', { htmlFor: control.id, textContent: label }), control);
}

export const input = (properties) => make('input', { type: 'text', autocomplete: 'off', ...properties });
export const number = (properties) => make('input', { type: 'number', step: 1, inputMode: 'numeric', ...properties });
export const range = (properties) => make('input', { type: 'range', step: 1, ...properties });

/** @param {[string, string][]} options value and label */
export function select(options, value) {
  const element = make('select', {}, ...options.map(([v, textContent]) => make('option', { value: v, textContent })));
  if (value !== undefined) element.value = value;
  return element;
}

export function button(textContent, onClick, { primary = false } = {}) {
  const element = make('button', { type: 'button', textContent, className: `button small${primary ? ' primary' : ' ghost'}` });
  element.addEventListener('click', onClick);
  return element;
}

export const row = (className, ...children) => make('div', { className }, ...children);

/** Sentences. */
export const prose = (sentences) => make('div', { className: 'prose' }, ...sentences.map((textContent) => make('p', { textContent })));

/** A captioned picture of exact pixels. */
export class Figure {
  constructor(caption, { pixelated = false, empty = '' } = {}) {
    this.canvas = make('canvas', { width: 1, height: 1, role: 'img', ariaLabel: empty || caption });
    this.canvas.className = pixelated ? 'cells' : '';
    this.caption = make('figcaption', { textContent: caption });
    this.detail = make('span', { className: 'quiet' });
    this.caption.append(' ', this.detail);
    this.root = make('figure', { className: 'shot' }, this.canvas, this.caption);
    this.root.dataset.empty = '';
  }

  /** @param {ImageData} image @param {string} alt what it shows, for those who cannot see it */
  show(image, alt, pixelated) {
    delete this.root.dataset.empty;
    Object.assign(this.canvas, { width: image.width, height: image.height, ariaLabel: alt });
    if (pixelated !== undefined) this.canvas.className = pixelated ? 'cells' : '';
    this.canvas.getContext('2d').putImageData(image, 0, 0);
  }

  clear(alt) {
    this.root.dataset.empty = '';
    Object.assign(this.canvas, { width: 1, height: 1, ariaLabel: alt });
  }
}

/** One piece of work at a time, with a line that says how it goes; the next one stops the one before. */
export class Work {
  #controller = null;

  constructor() {
    this.line = make('p', { className: 'work quiet', role: 'status' });
    this.stop = button(TEXTS.cancel, () => this.abort());
    this.stop.hidden = true;
    this.count = make('span', { className: 'quiet' }); // seen, not spoken at every step
    this.root = row('work-row', this.line, this.count, this.stop);
  }

  get running() {
    return this.#controller !== null;
  }

  say(words, { bad = false } = {}) {
    this.count.textContent = '';
    this.line.classList.toggle('bad', bad);
    if (this.line.textContent !== words) this.line.textContent = words;
  }

  /** How far it is: for the eye alone. */
  progress(words) {
    this.count.textContent = words;
  }

  abort() {
    this.#controller?.abort();
  }

  /**
   * Runs work; gives what it gave, or undefined when it failed or was stopped.
   * @template T @param {(signal: AbortSignal) => Promise<T>} work @returns {Promise<T | undefined>}
   */
  async run(work) {
    this.abort();
    const controller = new AbortController();
    this.#controller = controller;
    this.stop.hidden = false;
    this.say(TEXTS.busy);
    try {
      return await work(controller.signal);
    } catch (error) {
      if (this.#controller !== controller) return undefined; // another has taken over
      const stopped = error.code === 'ABORTED';
      this.say(stopped ? TEXTS.stopped : TEXTS.failed(error.message), { bad: !stopped });
      return undefined;
    } finally {
      if (this.#controller === controller) {
        this.#controller = null;
        this.stop.hidden = true;
      }
    }
  }
}

/** Calls `work` with the newest value only: while one call runs, those that come are replaced by the last. */
export function latest(work) {
  let running = false;
  let next = null;
  return async function offer(...values) {
    next = values;
    if (running) return;
    running = true;
    try {
      while (next) {
        const now = next;
        next = null;
        await work(...now);
      }
    } finally {
      running = false;
    }
  };
}
