/** The page's two views: Create, and How it works under the hash `#how`. The second is fetched when first looked at. */

import { $ } from '../js/dom.js';

const HASH = '#how';
const TITLES = { create: document.title };

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
      return;
    }
    const { Learn } = await import('./learn.js');
    if (learn?.model !== page.session.model) learn = new Learn($('learn'), page); // another model, other examples
    const view = learn;
    TITLES.how = view.title;
    document.title = view.title;
    view.reveal(location.hash.slice(HASH.length + 1));
  }
  addEventListener('hashchange', show);
  return show();
}
