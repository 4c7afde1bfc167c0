/** A model's card: what it is, how far it is, and what can be done with it. */

import { make } from '../js/dom.js';

/**
 * @typedef {object} Shown
 * @property {string} name
 * @property {string} [tag] what is the matter with it, in a word or two
 * @property {'good' | 'plain' | 'bad'} [mood] of the tag
 * @property {string} [about]
 * @property {{term: string, text: string, href?: string}[]} [facts]
 * @property {{mood: 'good' | 'plain' | 'bad', text: string}} [verdict] whether it can be had here
 * @property {{text: string, href?: string}[]} [lines] what is to be read before one presses
 * @property {{value: string, label: string, problem: string, save: (text: string) => void, back: () => void}} [form]
 * @property {{share: number | null, words: string}} [progress] a share from 0 to 1; null where it stands still
 * @property {{label: string, name: string, look?: 'primary' | 'plain', run: () => void}[]} actions
 */

export class Card {
  root = make('li', { className: 'card' });
  /** All but the progress, as it was drawn last. */ #drawn = '';
  #bar = make('div', { className: 'card-bar', role: 'progressbar' }, make('span'));
  #numbers = make('p', { className: 'numbers' });

  /** @param {string} id */
  constructor(id) {
    this.root.dataset.id = id;
    this.#bar.setAttribute('aria-valuemin', '0');
    this.#bar.setAttribute('aria-valuemax', '100');
  }

  /** @param {Shown} shown */
  draw({ progress, ...shown }) {
    const drawn = JSON.stringify([shown, Boolean(progress)]);
    if (drawn !== this.#drawn) this.#build(shown, Boolean(progress));
    this.#drawn = drawn;
    if (progress) this.#advance(progress, shown.name);
  }

  /** @param {Omit<Shown, 'progress'>} shown @param {boolean} moves */
  #build({ name, tag, mood = 'plain', about, facts = [], verdict, lines = [], form, actions }, moves) {
    const held = this.root.contains(document.activeElement) ? document.activeElement.getAttribute('aria-label') : null;
    const head = make('div', { className: 'card-head' }, make('h3', { textContent: name }));
    if (tag) {
      head.append(make('span', { className: 'tag', textContent: tag }));
      head.lastElementChild.dataset.mood = mood;
    }
    const parts = [head];
    if (about) parts.push(make('p', { className: 'card-about', textContent: about }));
    if (facts.length) parts.push(make('dl', { className: 'facts' }, ...facts.map(fact)));
    if (verdict) {
      parts.push(make('p', { className: 'verdict', textContent: verdict.text }));
      parts.at(-1).dataset.mood = verdict.mood;
    }
    const read = lines.map((line) => make('p', {}, linked(line)));
    if (read.length) parts.push(make('div', { className: 'card-lines', tabIndex: -1 }, ...read));
    if (form) parts.push(formOf(form));
    if (moves) parts.push(this.#bar, this.#numbers);
    if (actions.length) parts.push(make('div', { className: 'card-actions' }, ...actions.map(button)));
    this.root.replaceChildren(...parts);
    if (held !== null && !form) {
      const all = [...this.root.querySelectorAll('button')];
      (all.find((one) => one.getAttribute('aria-label') === held) ?? all[0])?.focus();
    }
  }

  #advance({ share, words }, name) {
    this.#bar.hidden = share === null;
    this.#bar.setAttribute('aria-label', name);
    this.#bar.setAttribute('aria-valuenow', String(Math.round((share ?? 0) * 100)));
    this.#bar.style.setProperty('--done', String(share ?? 0));
    this.#numbers.textContent = words;
  }
}

/** @param {{term: string, text: string, href?: string}} fact */
const fact = ({ term, ...line }) => make('div', {}, make('dt', { textContent: term }), make('dd', {}, linked(line)));

/** @param {{text: string, href?: string}} line */
const linked = ({ text, href }) =>
  (href ? make('a', { href, textContent: text, target: '_blank', rel: 'noreferrer' }) : text);

function button({ label, name, look = 'ghost', run }) {
  const element = make('button', { type: 'button', className: `button small ${look}`, textContent: label, ariaLabel: name });
  element.addEventListener('click', run);
  return element;
}

/** One line to fill in; Enter saves, Escape goes back. */
function formOf({ value, label, problem, save, back }) {
  const input = make('input', { type: 'text', value, ariaLabel: label, autocomplete: 'off', maxLength: 80 });
  const said = make('p', { className: 'field-error', textContent: problem, role: 'alert', hidden: !problem });
  input.toggleAttribute('aria-invalid', Boolean(problem));
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') save(input.value);
    else if (event.key === 'Escape') back();
    else return;
    event.preventDefault();
  });
  queueMicrotask(() => input.select());
  const buttons = make('div', { className: 'card-actions' },
    button({ label: 'Save', name: 'Save the name', look: 'primary', run: () => save(input.value) }),
    button({ label: 'Cancel', name: 'Cancel renaming', run: back }));
  return make('div', { className: 'field' }, input, said, buttons);
}
