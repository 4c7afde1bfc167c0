/** The view "How it works": the machine as a whole, then part by part, each taught by what the model in this tab does. */

import { make } from '../js/dom.js';
import { Arrivals } from './alive.js';
import { Back } from './back.js';
import { Into } from './into.js';
import { Lab } from './lab.js';
import { Machine } from './machine.js';
import { Middle } from './middle.js';
import { Own } from './own.js';
import { Taught } from './taught.js';
import { TEXTS } from './texts.js';
import { Training } from './training.js';
import { Vary } from './vary.js';
import { Words } from './words.js';

export class Learn {
  title = `${TEXTS.title} · OpenGen`;

  /** @param {HTMLElement} root @param {import('./lab.js').Page} page */
  constructor(root, page) {
    const { session } = page;
    const { model } = session;
    /** Another model has other examples. */
    this.isStale = () => session.model !== model;
    const lab = new Lab(page);
    const machine = new Machine(lab);
    const parts = Object.entries({
      into: new Into(lab), back: new Back(lab), words: new Words(lab), vary: new Vary(lab),
      middle: new Middle(lab), training: new Training(lab), own: new Own(lab), taught: new Taught(lab),
    });
    const href = (name) => `#how-${name}`;
    this.links = parts.map(([name]) => make('a', { href: href(name), textContent: TEXTS[name].title }));
    this.nav = make('nav', { className: 'contents-box', ariaLabel: TEXTS.contents },
      make('ol', { className: 'contents' }, ...this.links.map((link) => make('li', {}, link))), make('div', { className: 'way', ariaHidden: 'true' }));
    for (const [i, [name, part]] of parts.entries()) {
      part.root.id = `how-${name}`;
      const after = parts[i + 1]?.[0];
      part.root.append(make('p', { className: 'next' }, after
        ? make('a', { href: href(after), textContent: TEXTS.next(TEXTS[after].title) })
        : make('a', { href: '#', textContent: TEXTS.toCreate })));
    }
    root.replaceChildren(make('h1', { textContent: TEXTS.title, tabIndex: -1 }),
      make('p', { className: 'lede', textContent: TEXTS.lede }), machine.root, this.nav,
      make('div', { className: 'parts' }, ...parts.map(([, part]) => part.root)));
    this.root = root;
    this.arrivals = new Arrivals(session, [machine, ...parts.map(([, part]) => part)]);
    this.#follow(parts.map(([, part]) => part.root));
  }

  /** Marks in the contents where the reader is, and how far that is. */
  #follow(parts) {
    const look = () => {
      if (!this.nav.isConnected) { // another model's view is here now
        removeEventListener('scroll', look);
        return;
      }
      if (this.root.hidden) return;
      const at = parts.findLastIndex((part) => part.getBoundingClientRect().top <= innerHeight * 0.4);
      if (at !== this.at) this.#mark(at);
    };
    addEventListener('scroll', look, { passive: true });
    const moved = new IntersectionObserver(look, { rootMargin: '-40% 0px -60% 0px' }); // where nobody scrolled
    for (const part of parts) moved.observe(part);
  }

  /** @param {number} at the part that is read; -1 above the first */
  #mark(at) {
    this.at = at;
    for (const [i, link] of this.links.entries()) {
      if (i === at) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
    this.nav.style.setProperty('--way', String((at + 1) / this.links.length));
    if (at < 0) return;
    const item = this.links[at].parentElement;
    item.dataset.seen = '';
    this.nav.firstChild.scrollTo({ left: item.offsetLeft - (this.nav.offsetWidth - item.offsetWidth) / 2 });
  }

  /** Brings a part into view, or the top. */
  reveal(name) {
    this.arrivals.enter();
    const part = name && this.root.querySelector(`#how-${CSS.escape(name)}`);
    if (!part) return scrollTo(0, 0);
    part.scrollIntoView();
    part.querySelector('h2').focus({ preventScroll: true });
  }

  /** Another view is shown: nothing goes on by itself. */
  leave() {
    this.arrivals.leave();
  }
}
