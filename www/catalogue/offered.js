/** What can be had of a kind, as a list: each with its size, its licence and where it comes from, fetched at a press. */

import { bytes, make } from '../js/dom.js';
import { report } from '../js/report.js';
import { dressed } from '../js/shell.js';
import { sentence } from '../js/words.js';
import { cameOf, fetched, forget } from './arriving.js';
import { LICENSES } from './licenses.js';
import { OFFERS } from './offers.js';
import { readSite } from './site.js';

/** @typedef {import('./offers.js').Offer} Offer */

/**
 * @param {Offer['kind']} kind
 * @param {string} title
 * @param {(file: File) => Promise<boolean>} take puts a file where it belongs; whether that went well
 * @returns {HTMLDetailsElement}
 */
export function offered(kind, title, take) {
  const list = make('ul', { className: 'offers' });
  const root = make('details', { className: 'offered' }, make('summary', { textContent: title }), list);
  root.addEventListener('toggle', async () => {
    if (!root.open || list.children.length) return;
    const [{ hub }] = await Promise.all([readSite(), dressed('css/offers.css').catch(() => {})]);
    const offers = OFFERS.filter((offer) => offer.kind === kind);
    list.before(...terms(offers, hub));
    list.replaceChildren(...offers.map((offer) => (offer.release ? saved(offer) : row(offer, hub, take))));
  });
  return root;
}

/** What holds for all of them: what they are for, where they come from, what their licences say. @param {Offer[]} offers @param {string} hub */
function terms(offers, hub) {
  const said = (/** @type {(string | Node)[]} */ ...words) => make('p', { className: 'quiet' }, ...words);
  const licenses = [...new Set(offers.map(({ license }) => license))].map((license) => {
    const { name, url, free, allows, forbids } = LICENSES[license];
    const under = url ? make('a', { className: 'link', href: url, textContent: name, target: '_blank', rel: 'noopener' }) : name;
    return said('Licence: ', under, free ? '. ' : '. Whoever fetches one agrees to it. ', `${allows} ${forbids}`);
  });
  const suits = [...new Set(offers.map(({ suits: models }) => models).filter(Boolean))].map((models) => `For ${models}. `);
  return [said(...suits, `They come from ${new URL(hub).host}, which sees your address, and are kept in this browser.`), ...licenses];
}

/** @param {Offer} offer @param {(string | Node)[]} go what gets it @param {HTMLElement} said */
const entry = ({ name, about }, go, said) => make('li', {}, make('strong', { textContent: name }), ` ${about}`, make('div', { className: 'offer-go' }, ...go), said);

/** One that no page can read where it lies: saved by hand, and dropped here. @param {Offer} offer */
function saved(offer) {
  const { name, repo, release, path } = offer;
  const url = new URL(`https://github.com/${repo}/releases/download/${release}/${path}`);
  const link = make('a', { className: 'button small', href: url.href, textContent: 'Save', ariaLabel: `Save ${name} from ${url.host}`, target: '_blank', rel: 'noopener noreferrer' });
  const how = `${url.host} lets no page read its files, and sees your address: save this one, then drop it onto this page.`;
  return entry(offer, [link, make('span', { className: 'quiet', textContent: bytes(offer.bytes) })], make('p', { className: 'quiet', textContent: how }));
}

/** @param {Offer} offer @param {string} hub @param {(file: File) => Promise<boolean>} take */
function row(offer, hub, take) {
  const { name, repo, path, file: called = path, license, sha256 } = offer;
  const { free } = LICENSES[license];
  const url = `${hub}/${repo}/resolve/main/${path}`;
  const press = make('button', { type: 'button', className: 'button small' });
  const size = make('span', { className: 'quiet' });
  const said = make('p', { className: 'quiet', role: 'status' });
  const bar = make('progress', { max: 1, hidden: true, ariaLabel: name });
  /** @type {AbortController | null} */
  let stop = null;
  const named = (/** @type {string} */ words) => Object.assign(press, { textContent: words, ariaLabel: `${words} ${name}` });
  const rest = () => {
    named(free ? 'Fetch' : 'Accept and fetch');
    size.textContent = `${sha256 ? '' : 'about '}${bytes(offer.bytes)}`;
    bar.hidden = true;
  };
  rest();
  press.addEventListener('click', async () => {
    if (stop) return stop.abort();
    stop = new AbortController();
    named('Stop');
    bar.hidden = false;
    said.textContent = '';
    try {
      const onProgress = (/** @type {number} */ loaded, /** @type {number} */ total) => {
        bar.value = total ? loaded / total : 0;
        size.textContent = total ? `${bytes(loaded)} of ${bytes(total)}` : bytes(loaded);
      };
      const file = await fetched(url, { name: called, sha256, signal: stop.signal, onProgress });
      if (await take(file)) await forget(url).catch(() => {});
      said.textContent = '';
    } catch (error) {
      const aborted = error.name === 'AbortError';
      said.textContent = aborted ? `${bytes(await cameOf(url))} have come and are kept: press again, and it goes on from there.` : sentence(error.message);
      if (!aborted) report(`“${name}” was not fetched.`, [sentence(error.message)]);
    } finally {
      stop = null;
      rest();
    }
  });
  return entry(offer, [press, size, bar], said);
}
