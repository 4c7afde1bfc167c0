/** What the parts do by themselves, once each, when they come into view: in turn, and never beside a run. */

import { calm } from './seen.js';

/**
 * @typedef {object} Part
 * @property {HTMLElement} root
 * @property {HTMLElement} [stage] what comes into view where it begins; without one all of it
 * @property {() => Promise<unknown>} [arrive] what it does by itself; resolves with nothing where that did not come to its end
 * @property {() => void} [leave] stops that
 */
export class Arrivals {
  /** In view, and still to come. @type {Part[]} */ #waiting = [];
  /** @type {Part | null} */ #now = null;
  #done = new Set();
  #away = false;

  /** @param {import('../js/session.js').Session} session @param {Part[]} parts */
  constructor(session, parts) {
    this.session = session;
    const seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#see(parts.find((part) => stageOf(part) === target), isIntersecting);
    }, { rootMargin: '0px 0px -20% 0px' });
    for (const part of parts.filter(({ arrive }) => arrive)) {
      seen.observe(stageOf(part));
      // Whoever touches a part first has it.
      for (const type of ['click', 'input', 'change']) part.root.addEventListener(type, (event) => this.#touched(part, event), true);
    }
    session.runs.addEventListener('run', () => this.#next());
  }

  /** The view is left: what runs by itself stops, and is made good when the view is back. */
  leave() {
    this.#away = true;
    this.#waiting = [];
    this.#now?.leave?.();
  }

  enter() {
    this.#away = false;
  }

  #see(part, inView) {
    this.#waiting = this.#waiting.filter((other) => other !== part);
    if (inView && !this.#done.has(part)) this.#waiting.push(part);
    this.#next();
  }

  #touched(part, { target }) {
    if (!target.closest('button, input, select, textarea')) return;
    this.#done.add(part);
    this.#waiting = this.#waiting.filter((other) => other !== part);
  }

  async #next() {
    const { session } = this;
    if (this.#now || this.#away || calm.matches || session.state !== 'ready' || session.drawing || !this.#waiting.length) return;
    const part = this.#waiting.shift();
    this.#now = part;
    const whole = await part.arrive().catch(() => undefined); // it has told what failed
    if (whole !== undefined || !this.#away) this.#done.add(part);
    this.#now = null;
    this.#next();
  }
}

const stageOf = ({ root, stage = root }) => stage;
