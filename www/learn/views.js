/** The page's two views: Create, and How it works under the hash `#how`. The second is fetched when first looked at. */

import { $, make } from '../js/dom.js';
import { keepParts, reachable, untilReachable } from '../js/shell.js';

const HASH = '#how';
/** What the second view is dressed in. */
const SHEETS = ['css/learn.css', 'css/machine.css'];

export class Views {
  /** @type {import('./learn.js').Learn | null} */ #learn = null;
  #titles = { create: document.title, how: '' };

  /** @param {import('./lab.js').Page} page */
  constructor(page) {
    this.page = page;
    addEventListener('hashchange', () => this.show());
  }

  /** Shows the view that the address names; from now on that happens whenever it changes. */
  async show() {
    const how = isHow();
    $('create').hidden = how;
    $('learn').hidden = !how;
    $('skip').hidden = how;
    $('view-create').setAttribute('aria-current', how ? 'false' : 'page');
    $('view-how').setAttribute('aria-current', how ? 'page' : 'false');
    if (!how) {
      document.title = this.#titles.create;
      this.#learn?.leave();
      return;
    }
    let Learn;
    try {
      Learn = await fetched();
    } catch {
      return this.#sayMissing();
    }
    $('how-missing').hidden = true;
    keepParts(['how']);
    // Another model has other examples.
    if (this.#learn?.model !== this.page.session.model) this.#learn = new Learn($('learn'), this.page);
    this.#titles.how = this.#learn.title;
    if (!isHow()) return; // left meanwhile
    document.title = this.#learn.title;
    this.#learn.reveal(location.hash.slice(HASH.length + 1));
  }

  /** Without a network: says at its button whether the second view is missing. @param {boolean} offline */
  async markMissing(offline) {
    const here = !offline || this.#learn || (await isKept());
    $('how-missing').hidden = Boolean(here);
  }

  /** The second view did not come. It is shown as soon as it can be. */
  async #sayMissing() {
    const there = await reachable();
    const words = there
      ? 'A part of this page could not be fetched: another version of it may be on the server now.'
      : 'How it works is not kept on this device yet, and there is no network: it comes when the network is back.';
    const again = make('button', { type: 'button', className: 'button', textContent: there ? 'Reload' : 'Try again' });
    again.addEventListener('click', () => (there ? location.reload() : this.show()));
    $('learn').replaceChildren(make('p', { className: 'lede', role: 'status', textContent: words }), again);
    if (!there) untilReachable('how', () => isHow() && this.show());
  }
}

const isHow = () => location.hash === HASH || location.hash.startsWith(`${HASH}-`);

/** Resolves when the second view's modules and style sheets are here. */
function fetched() {
  const sheets = SHEETS.map((href) => new Promise((resolve, reject) => {
    if (document.querySelector(`link[href="${href}"]`)) return resolve();
    const failed = () => {
      link.remove();
      reject(new Error(`${href} did not arrive`));
    };
    const link = make('link', { rel: 'stylesheet', href, onload: resolve, onerror: failed });
    document.head.append(link);
  }));
  return Promise.all([import('./learn.js'), ...sheets]).then(([{ Learn }]) => Learn);
}

/** Whether the second view can be opened without a network. */
const isKept = () => globalThis.caches?.match(new URL('./learn.js', import.meta.url)).then(Boolean, () => false);
