/** The view "How it works": six parts, each taught by what the model in this tab does. */

import { make } from '../js/dom.js';
import { Into } from './into.js';
import { Back } from './back.js';
import { Words } from './words.js';
import { Vary } from './vary.js';
import { own } from './own.js';
import { Training } from './training.js';
import { Lab } from './lab.js';
import { TEXTS } from './texts.js';

export class Learn {
  title = `${TEXTS.title} · OpenGen`;

  /** @param {HTMLElement} root @param {{session: import('../js/session.js').Session, pictures: import('../js/pictures.js').Pictures}} page */
  constructor(root, { session, pictures }) {
    this.model = session.model;
    const lab = new Lab(session, pictures);
    const parts = [['into', new Into(lab).root], ['back', new Back(lab).root], ['words', new Words(lab).root],
      ['vary', new Vary(lab).root], ['training', new Training(lab).root], ['own', own(lab)]];
    const contents = make('ol', { className: 'contents' });
    for (const [name, part] of parts) {
      part.id = `how-${name}`;
      contents.append(make('li', {}, make('a', { href: `#how-${name}`, textContent: TEXTS[name].title })));
    }
    const nav = make('nav', { className: 'contents-box', ariaLabel: TEXTS.contents }, contents);
    root.replaceChildren(make('h1', { textContent: TEXTS.title, tabIndex: -1 }),
      make('p', { className: 'lede', textContent: TEXTS.lede }), nav, ...parts.map(([, part]) => part));
    this.root = root;
  }

  /** Brings a part into view, or the top. */
  reveal(name) {
    const part = name && this.root.querySelector(`#how-${CSS.escape(name)}`);
    if (!part) return scrollTo(0, 0);
    part.scrollIntoView();
    part.querySelector('h2').focus({ preventScroll: true });
  }
}
