/** The page's views: Create, and under hashes of their own those that are fetched when they are first looked at. */

import { $, make } from '../js/dom.js';
import { brought, dressed, keepParts, reachable, untilReachable } from '../js/shell.js';

/**
 * By what stands in the address: what the view is called, its element, what it is dressed in, and what it is; `part` of
 * sw.js has its files.
 */
const OTHERS = {
  models: {
    label: 'Models', root: 'models', sheets: ['css/catalogue.css'],
    load: () => brought(() => import('../catalogue/view.js'), new URL('../catalogue/view.js', import.meta.url))
      .then(({ Catalogue }) => Catalogue),
  },
  teach: {
    label: 'Teach', root: 'teach', sheets: ['css/catalogue.css', 'css/teach.css'],
    load: () => brought(() => import('../teach/view.js'), new URL('../teach/view.js', import.meta.url)).then(({ Teach }) => Teach),
  },
  how: {
    label: 'How it works', root: 'learn', sheets: ['css/learn.css', 'css/machine.css'],
    load: () => brought(() => import('./learn.js'), new URL('./learn.js', import.meta.url)).then(({ Learn }) => Learn),
  },
};

export class Views {
  /** Those that have been looked at, by name. @type {Map<string, any>} */ #made = new Map();
  #title = document.title;

  /** @param {object} page what views are made of; see lab.js and catalogue/view.js */
  constructor(page) {
    this.page = page;
    addEventListener('hashchange', () => this.show());
  }

  /** Shows the view that the address names; from now on that happens whenever it changes. */
  async show() {
    const name = named();
    $('create').hidden = name !== 'create';
    $('skip').hidden = name !== 'create';
    for (const one of ['create', ...Object.keys(OTHERS)]) {
      $(`view-${one}`).setAttribute('aria-current', one === name ? 'page' : 'false');
      if (one === 'create') continue;
      $(OTHERS[one].root).hidden = one !== name;
      if (one !== name) this.#made.get(one)?.leave();
    }
    document.title = this.#made.get(name)?.title ?? this.#title;
    if (name === 'create') return;
    const { root, sheets, load } = OTHERS[name];
    let View;
    try {
      [View] = await Promise.all([load(), ...sheets.map(dressed)]);
    } catch {
      return this.#sayMissing(name);
    }
    $(`${name}-missing`).hidden = true;
    keepParts([name]);
    const view = this.#made.get(name);
    if (!view || view.isStale?.()) this.#made.set(name, new View($(root), this.page));
    if (named() !== name) return; // left meanwhile
    const { title } = this.#made.get(name);
    document.title = title;
    this.#made.get(name).reveal(location.hash.slice(name.length + 2));
  }

  /** Without a network: says at their buttons which views are missing. @param {boolean} offline */
  async markMissing(offline) {
    for (const name of Object.keys(OTHERS)) {
      const here = !offline || this.#made.has(name) || (await isKept(OTHERS[name].sheets.at(-1)));
      $(`${name}-missing`).hidden = Boolean(here);
    }
  }

  /** A view did not come. It is shown as soon as it can be. */
  async #sayMissing(name) {
    const { label, root } = OTHERS[name];
    const there = await reachable();
    const words = there
      ? 'A part of this page could not be fetched: another version of it may be on the server now.'
      : `${label} is not kept on this device yet, and there is no network: it comes when the network is back.`;
    const again = make('button', { type: 'button', className: 'button', textContent: there ? 'Reload' : 'Try again' });
    again.addEventListener('click', () => (there ? location.reload() : this.show()));
    $(root).replaceChildren(make('p', { className: 'lede', role: 'status', textContent: words }), again);
    if (!there) untilReachable(name, () => named() === name && this.show());
  }
}

/** The view that the address names. */
const named = () => Object.keys(OTHERS).find((name) => location.hash === `#${name}` || location.hash.startsWith(`#${name}-`))
  ?? 'create';

/** Whether a file is here without a network. @param {string} path */
const isKept = (path) => globalThis.caches?.match(new URL(`../${path}`, import.meta.url)).then(Boolean, () => false);
