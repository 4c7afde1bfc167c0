/** What is typed in a part: checked before it is used, sent by Enter, and held against what was made of it. */

import { TEXTS } from './texts.js';

/**
 * Whether every field is right. Where one is not, the part's line says so and the first of them has the focus.
 * @param {import('./kit.js').Work} work
 * @param {[HTMLInputElement, string][]} fields each with what is wrong with it, if anything
 */
export function right(work, fields) {
  for (const [control, wrong] of fields) {
    if (wrong) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
  }
  const bad = fields.filter(([, wrong]) => wrong);
  if (!bad.length) return true;
  work.say(bad.map(([, wrong]) => wrong).join(' '), { bad: true });
  bad[0][0].focus();
  return false;
}

/** Enter in one of the fields of `place` does what their button does. */
export function onEnter(place, act) {
  place.addEventListener('keydown', (event) => {
    const typed = event.target.matches('input:is([type="text"], [type="number"])');
    if (!typed || event.key !== 'Enter' || event.isComposing) return;
    event.preventDefault();
    act();
  });
}

/** What a part shows, marked as old while its fields say something else than it was made of. */
export class Made {
  #of = null;
  #old = false;
  #words = '';

  /**
   * @param {HTMLElement} part whose fields are watched
   * @param {HTMLElement} shown what was made
   * @param {import('./kit.js').Work} work where it is said
   * @param {{now: () => string, again: string}} options what the fields say; the button that makes it anew
   */
  constructor(part, shown, work, { now, again }) {
    Object.assign(this, { shown, work, now, again });
    for (const type of ['input', 'change']) part.addEventListener(type, () => this.look());
  }

  /** It was made of this, and `words` say how far it is; without them the line says so already. */
  set(of, words) {
    if (words) this.work.say(words);
    this.#of = of;
    this.#old = false;
    this.#words = this.work.line.textContent;
    this.look();
  }

  /** There is nothing to be old. */
  clear() {
    this.#of = null;
    this.shown.removeAttribute('data-old');
  }

  look() {
    if (this.#of === null) return;
    const old = this.now() !== this.#of;
    this.shown.toggleAttribute('data-old', old);
    if (old !== this.#old && !this.work.running) this.work.say(old ? TEXTS.old(this.again) : this.#words);
    this.#old = old;
  }
}
