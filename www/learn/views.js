/** The page's two views: Create, and How it works under the hash `#how`. The second is fetched when first looked at. */

import { $, make } from '../js/dom.js';

const HASH = '#how';
const TITLES = { create: document.title };
/** What the second view is dressed in. */
const SHEETS = ['css/learn.css', 'css/machine.css'];

/** Resolves when the second view's modules and style sheets are here. */
function fetched() {
  const sheets = SHEETS.map((href) => new Promise((resolve, reject) => {
    if (document.querySelector(`link[href="${href}"]`)) return resolve();
    const link = make('link', { rel: 'stylesheet', href, onload: resolve, onerror: () => reject(new Error(`${href} did not arrive`)) });
    document.head.append(link);
  }));
  return Promise.all([import('./learn.js'), ...sheets]).then(([{ Learn }]) => Learn);
}

/** Shows the view the address names, now and whenever it changes. @param {{session: import('../js/session.js').Session, pictures: import('../js/pictures.js').Pictures}} page */
export function showViews(page) {
  let learn = null;
  async function show() {
    const how = location.hash === HASH || location.hash.startsWith(`${HASH}-`);
    $('create').hidden = how;
    $('learn').hidden = !how;
    $('skip').hidden = how;
    $('view-create').setAttribute('aria-current', how ? 'false' : 'page');
    $('view-how').setAttribute('aria-current', how ? 'page' : 'false');
    if (!how) {
      document.title = TITLES.create;
      learn?.leave();
      return;
    }
    const Learn = await fetched();
    if (learn?.model !== page.session.model) learn = new Learn($('learn'), page); // another model, other examples
    const view = learn;
    TITLES.how = view.title;
    document.title = view.title;
    view.reveal(location.hash.slice(HASH.length + 1));
  }
  addEventListener('hashchange', show);
  return show();
}
