/** The queue as the page shows it: how many wait, which they are, and a way out for each. */

import { $, make } from './dom.js';

/** "1 waiting" */
export const waitingWords = (count, held = false) => `${count} waiting${held ? ' until it has learnt' : ''}`;

export class Waiting {
  /** @param {import('./queue.js').Queue} queue */
  constructor(queue) {
    this.queue = queue;
    $('waiting-clear').addEventListener('click', () => {
      queue.clear();
      this.#leave();
    });
    $('waiting-go').addEventListener('click', () => queue.resume());
  }

  draw() {
    const { waiting, paused, held } = this.queue;
    $('waiting').hidden = waiting.length === 0;
    if (waiting.length === 0) $('waiting').open = false;
    $('waiting-count').textContent = waitingWords(waiting.length, held);
    $('waiting-go').hidden = !paused && !held;
    const rows = new Map([...$('waiting-list').children].map((row) => [Number(row.dataset.id), row]));
    const wanted = waiting.map((job) => rows.get(job.id) ?? this.#row(job));
    const there = $('waiting-list').children;
    if (wanted.length === there.length && wanted.every((row, i) => row === there[i])) return; // put anew they lose the focus
    $('waiting-list').replaceChildren(...wanted);
  }

  #row({ id, prompt, pictures }) {
    const became = pictures[0].templates ? [...new Set(pictures.map((picture) => picture.prompt))].join(' · ') : '';
    const words = became || (pictures.length > 1 ? `${prompt} × ${pictures.length}` : prompt);
    const remove = make('button', { type: 'button', className: 'button small ghost', textContent: 'Remove' });
    remove.setAttribute('aria-label', `Remove from the queue: ${prompt}`);
    remove.addEventListener('click', () => {
      const rows = [...$('waiting-list').children];
      const at = rows.indexOf(row);
      this.queue.remove(id);
      this.draw(); // at once, for the focus
      const next = $('waiting-list').children[Math.min(at, rows.length - 2)];
      if (next) next.querySelector('button').focus();
      else this.#leave();
    });
    const row = make('li', {}, make('span', { textContent: words }), remove);
    row.dataset.id = String(id);
    return row;
  }

  /** The list is gone, and the focus must not go with it. */
  #leave() {
    $('prompt').focus();
  }
}
