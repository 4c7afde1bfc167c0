/** The strip of pictures made in this tab, newest first. */

import { $, make } from './dom.js';
import { toCanvas } from './stage.js';

const MOST = 24;

/** @typedef {{image: ImageData, png: Blob, request: object}} Made */

export class Gallery {
  /** @type {Made[]} */ #made = [];

  /** @param {(made: Made) => void} onPick */
  constructor(onPick) {
    this.onPick = onPick;
  }

  /** @param {Made} made */
  add(made) {
    this.#made = [made, ...this.#made].slice(0, MOST);
    const button = make('button', { type: 'button' }, toCanvas(made.image));
    button.setAttribute('aria-label', `${made.request.prompt}, seed ${made.request.seed}`);
    button.addEventListener('click', () => {
      this.#mark(button);
      this.onPick(made);
    });
    $('earlier').prepend(make('li', {}, button));
    while ($('earlier').children.length > MOST) $('earlier').lastElementChild.remove();
    this.#mark(button);
    $('strip').hidden = this.#made.length < 2;
  }

  #mark(current) {
    for (const button of $('earlier').querySelectorAll('button')) {
      if (button === current) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
  }
}
