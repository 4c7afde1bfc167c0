/** The view "Models": a card for each that is here or can be had, one's own among them, and what room there is. */

import { book } from '../js/book.js';
import { $, make } from '../js/dom.js';
import { keptIn } from '../js/keptin.js';
import { Card } from './card.js';
import { ENTRIES } from './entries.js';
import { Fetching } from './fetching.js';
import { deviceOf } from './fit.js';
import { LICENSES, licenseOf } from './licenses.js';
import { offered } from './offered.js';
import { HUB, addressOf, fileName, filesOf, readyOf, understand } from './sources.js';
import { veilSwitch } from './once.js';
import { readSite } from './site.js';
import { shownAdding, shownEntry, shownModel, shownRow } from './shown.js';
import { TEXTS as T } from './texts.js';

/**
 * What the view is made of.
 * @typedef {object} Page
 * @property {import('../js/session.js').Session} session
 * @property {import('../js/choice.js').Choice} choice
 * @property {import('../js/removal.js').Removal} removal
 * @property {(id?: string) => void} openStorage
 * @property {import('../js/adding.js').Adding} adding
 * @property {import('../js/using.js').Using} using
 */

/** @typedef {import('../protocol.d.ts').StoredModel} Row */
/** @typedef {import('./entries.js').Entry} Entry */
/** @typedef {import('./card.js').Shown} Shown */
/** @typedef {{id: string, value: string, problem: string}} Naming */

/** A model whose file is larger than this takes the processor minutes for a picture. */
const LARGE = 3e8;

export class Catalogue {
  title = `${T.title} · OpenGen`;
  /** Rows of the store, by id; empty until the engine has told. @type {Map<string, Row>} */ #rows = new Map();
  /** @type {Map<string, Card>} */ #cards = new Map();
  /** What can be had: the site's own, then those of entries.js. @type {Entry[]} */ #entries = [...ENTRIES];
  /** Files by addresses of the visitor's. @type {Entry[]} */ #asked = [];
  #hub = HUB;
  /** Bytes that the store has left. @type {number | null} */ #free = null;
  /** The entry whose licence is being read. */ #asking = '';
  /** The model that is being renamed, and what is wrong with the name. @type {Naming | null} */
  #naming = null;
  /** The model of which something is being chosen, and what: a smaller type, or what it predicts. */ #step = { id: '', what: '' };
  /** What was drawn of the session. */ #session = '';
  /** Where the page's report stands in Create. */ #place = document.createComment('report');
  #shown = false;
  #here = make('ul', { className: 'cards' });
  #had = make('ul', { className: 'cards' });
  #later = make('ul', { className: 'cards' });
  #said = make('div', { className: 'said' });
  #problems = make('p', { className: 'field-error', hidden: true });
  #slow = make('p', { textContent: T.slow, hidden: true });
  #hadShelf = section(T.had, make('p', { textContent: T.hadText }), this.#slow, this.#problems, this.#had);
  #bar = make('span');
  #roomWords = make('p', { className: 'quiet' });

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    Object.assign(this, { root, page });
    root.replaceChildren(make('h1', { textContent: T.title, tabIndex: -1 }),
      make('p', { className: 'lede', textContent: T.lede }), this.#said, section(T.here, this.#here), this.#kept(), this.#hadShelf,
      this.#decoders(), this.#own(), section(T.notYet, make('p', { textContent: T.notYetText }), this.#later),
      section(T.care, make('p', { textContent: T.careText }), veilSwitch()), this.#room());
    const { session, choice, adding } = page;
    this.fetching = new Fetching(session);
    const when = (target, event, act) => target.addEventListener(event, () => this.#shown && act());
    when(session.runs, 'run', () => this.#sessionKey() !== this.#session && this.refresh());
    when(choice, 'change', () => this.refresh());
    when(adding, 'change', () => this.#draw());
    when($('storage'), 'close', () => this.refresh());
    when(this.fetching, 'change', () => this.#draw());
    when(adding, 'given', () => this.refresh());
    adding.addEventListener('added', (event) => this.#added(/** @type {any} */ (event).detail));
    adding.expects = (file) => this.#entryOf(file)?.sha256;
    this.fetching.addEventListener('done', (event) => this.#arrived(/** @type {any} */ (event).detail));
    this.ready = readSite().then(({ hub, entries, problems }) => {
      this.#hub = hub;
      this.#entries = [...entries, ...ENTRIES.filter(({ id }) => !entries.some((entry) => entry.id === id))];
      this.#problems.textContent = problems.join(' ');
      this.#problems.hidden = !problems.length;
      this.#draw();
    });
  }

  /** It is looked at. @param {string} part what stands in the address behind the view's name */
  reveal(part) {
    if (!this.#shown) {
      this.#shown = true;
      const report = $('report').parentElement; // what happens to a model is said where one looks
      report.replaceWith(this.#place);
      this.#said.append(report);
    }
    this.refresh();
    const target = part && this.root.querySelector(`#models-${CSS.escape(part)}`);
    if (target) target.scrollIntoView();
    else scrollTo(0, 0);
  }

  leave() {
    if (!this.#shown) return;
    this.#shown = false;
    this.#place.replaceWith($('report').parentElement);
  }

  /** Asks what is stored, and draws it. */
  async refresh() {
    this.#session = this.#sessionKey();
    this.#draw();
    const { og } = this.page.session;
    if (!og) return;
    try {
      const { models, usage, quota } = await og.storage();
      this.#rows = new Map(models.map((row) => [row.id, row]));
      this.#free = quota ? Math.max(0, quota - usage) : null;
      this.#bar.style.setProperty('--used', String(quota ? usage / quota : 0));
      this.#roomWords.textContent = this.#free === null ? T.noRoom : T.roomText(usage, this.#free);
    } catch (error) {
      this.#roomWords.textContent = error.message;
    }
    this.#draw();
  }

  /** What of the session the cards tell of. */
  #sessionKey() {
    const { model, state, former, og } = this.page.session;
    return JSON.stringify([model?.id, former?.id, state, Boolean(og)]);
  }

  #draw() {
    const { choice, removal, adding, session } = this.page;
    const models = choice.all.filter(({ id }) => !removal.has(id));
    const inUse = (session.former ?? session.model)?.id;
    const here = models.map((model) => [model.id, shownModel(this, model, {
      row: this.#rows.get(model.id), inUse: model.id === inUse, naming: this.#naming?.id === model.id ? this.#naming : null,
      now: this.fetching.now.get(model.id), error: this.fetching.failed.get(model.id), step: this.#step.id === model.id ? this.#step.what : '',
    })]);
    const coming = adding.now ? [['adding', shownAdding(this, adding.now)]] : [];
    const known = new Set(models.flatMap(({ id }) => [id, book.of(id).entry]));
    const rest = [...this.#rows.values()].filter(({ id }) => !known.has(id) && !removal.has(id));
    const begun = (row) => !row.complete && !row.damaged && row.formatOk && /^https?:/.test(row.url);
    const broken = rest.filter((row) => !begun(row)).map((row) => [row.id, shownRow(this, row)]);
    this.#lay(this.#here, [...here, ...coming, ...broken]);

    const listed = [...this.#asked, ...this.#entries];
    const others = rest.filter((row) => begun(row) && !listed.some(({ id }) => id === row.id)).map(entryOfRow);
    const entries = [...others, ...listed].filter(({ id }) => !known.has(id) && !broken.some(([other]) => other === id));
    const device = deviceOf(session.capabilities(), this.#free);
    const shown = (entry) => [entry.id, shownEntry(this, entry, {
      hub: this.#hub, url: this.#address(entry), device, type: keptIn.now, all: entries, row: this.#rows.get(entry.id), written: book.of(entry.id),
      now: this.fetching.now.get(entry.id), error: this.fetching.failed.get(entry.id), asking: this.#asking === entry.id,
      asked: this.#asked.includes(entry),
    })];
    const had = entries.filter(({ missing }) => !missing);
    this.#hadShelf.hidden = !had.length && this.#problems.hidden;
    this.#slow.hidden = session.capabilities()?.engine !== 'cpu' || !had.some(({ download }) => (download ?? 0) > LARGE);
    this.#lay(this.#had, had.map(shown));
    this.#lay(this.#later, entries.filter(({ missing }) => missing).map(shown));
  }

  /** Draws cards into a list, each one kept as long as it is there. @param {HTMLElement} list @param {[string, Shown][]} shown */
  #lay(list, shown) {
    const cards = shown.map(([id, what]) => {
      const card = this.#cards.get(id) ?? new Card(id);
      this.#cards.set(id, card);
      card.draw(what);
      return card.root;
    });
    const there = [...list.children];
    if (cards.length !== there.length || cards.some((card, i) => there[i] !== card)) list.replaceChildren(...cards);
  }

  /** Where an entry is fetched from, as new models are kept now. */
  #address(entry) {
    return readyOf(entry, keptIn.now)?.url ?? addressOf(entry, this.#hub, document.baseURI);
  }

  // ---- what the cards' buttons do --------------------------------------------------------------------------

  use(model) {
    this.page.using.use(model);
    this.toCreate();
  }

  toCreate() {
    location.hash = '';
    $('prompt').focus();
  }

  /** Begins to rename a model, tells what is wrong with its new name, or ends. @param {Naming | null} naming */
  name(naming) {
    const was = this.#naming?.id;
    this.#naming = naming;
    this.#draw();
    this.#cards.get(naming?.id ?? was)?.root.querySelector(naming ? 'input' : 'button')?.focus();
  }

  rename(id, text) {
    const problem = this.page.choice.rename(id, text);
    this.name(problem ? { id, value: text, problem } : null);
  }

  /** Asks something of a model, into which type it is to go or what it predicts; with no id, nothing. @param {string} [id] @param {'' | 'shrink' | 'predict'} [what] */
  step(id = '', what = '') {
    const was = this.#step.id;
    this.#step = { id, what };
    this.fetching.forget(id);
    this.#draw();
    this.#cards.get(id || was)?.root.querySelector('button')?.focus();
  }

  quantize(id, to, total) {
    this.#step = { id: '', what: '' };
    this.fetching.quantize(id, to, total);
  }

  /** What a model predicts, from its next picture on. @param {string} id @param {import('../protocol.d.ts').Prediction} [prediction] as found, if left out */
  predict(id, prediction) {
    const { session, choice } = this.page;
    choice.predict(id, prediction);
    if (session.model?.id === id) session.start(choice.find(id));
    this.step();
  }

  /** A model draws with its own autoencoder again. */
  async takePart(id) {
    const og = await this.page.session.started();
    await og.models.setAutoencoder(id, null);
    await this.page.using.given(id);
    this.refresh();
  }

  remove(id) {
    this.page.openStorage(id);
  }

  /** The licence is read first, where it asks for something, or was not accepted in this revision. @param {Entry} entry */
  fetch(entry) {
    const { license } = book.of(entry.id);
    const accepted = license?.accepted && license.revision === (entry.revision ?? null);
    if (licenseOf(entry.license).free || accepted) return this.begin(entry);
    return this.ask(entry.id);
  }

  /** Shows the licence of an entry; with no id, of none. */
  ask(id) {
    const was = this.#asking;
    this.#asking = id;
    this.#draw();
    const card = this.#cards.get(id || was)?.root;
    (card?.querySelector('.card-lines') ?? card?.querySelector('button'))?.focus(); // it is to be read from its beginning
  }

  /**
   * The visitor has accepted the licence, or need not.
   * @param {Entry} entry
   * @param {string | null} [accepted] when
   * @param {boolean} [allowNonFinite] weights that are no numbers are taken too
   */
  begin(entry, accepted = book.of(entry.id).license?.accepted ?? null, allowNonFinite = false) {
    this.#asking = '';
    const ready = readyOf(entry, keptIn.now);
    const files = ready ? undefined : filesOf(entry, this.#hub);
    const record = { ...recordOf(entry, accepted), files };
    book.write(entry.id, record);
    this.page.removal.undo(entry.id);
    const { id, url, download } = entry;
    const original = { sha256: entry.sha256, bytes: url ? download ?? undefined : undefined }; // of the catalogue's own it is not known to the byte
    const { sha256, bytes } = ready ?? original;
    const isKnown = record.license?.name !== LICENSES.unknown.name; // else what its file states counts
    const license = isKnown ? record.license : undefined;
    this.fetching.start({ id, url: /** @type {string} */ (this.#address(entry)), files, bytes, sha256, license, weights: keptIn.now, allowNonFinite });
  }

  accept(entry) {
    this.begin(entry, new Date().toISOString());
  }

  /**
   * The file at an address of the visitor's gets a card.
   * @param {string} text
   * @returns {{text: string, href?: string} | null} what to press to find a file, where it is no file's
   */
  look(text) {
    const meant = understand(text, this.#hub);
    if ('problem' in meant) return { text: meant.problem, href: meant.href };
    const { url, source } = meant;
    if (!this.#entries.some((entry) => this.#address(entry) === url) && !this.page.choice.find(url)) {
      const name = source ? source.repo : fileName(url).replace(/\.(gguf|safetensors)(\.index\.json)?$/i, '') || new URL(url).host;
      this.#asked = [{
        id: url, ...(source ? { sources: [source] } : { url }), name, about: T.asked(new URL(url).host), family: '', license: 'unknown', missing: null, download: null,
        stored: {}, general: true,
      }, ...this.#asked.filter(({ id }) => id !== url)];
      this.ask(url);
    }
    [...this.#cards].find(([id]) => id === url)?.[1].root.scrollIntoView({ block: 'nearest' });
    return null;
  }

  /** An address that is not wanted any more. @param {string} id */
  dismiss(id) {
    this.#asked = this.#asked.filter((entry) => entry.id !== id);
    this.fetching.forget(id);
    book.forget(id);
    this.#asking = '';
    this.#draw();
    this.root.querySelector('#models-address')?.focus();
  }

  /** The entry whose file this is, by name and size. @param {{name: string, size: number}} file @returns {Entry | undefined} */
  #entryOf({ name, size }) {
    return [...this.#asked, ...this.#entries].find((entry) => {
      const address = entry.missing ? null : addressOf(entry, this.#hub, document.baseURI);
      return address && fileName(address) === name && (!entry.download || entry.download === size);
    });
  }

  /** A file was added that is an entry's, saved by hand where it could not be fetched: it goes on as that one. */
  #added({ stored, file }) {
    const entry = this.#entryOf(file);
    if (!entry) return;
    const { license } = book.of(entry.id);
    this.drop(entry.id);
    const record = recordOf(entry, license?.accepted ?? null);
    book.write(stored.id, record);
    this.#license(stored, record.license);
  }

  /** Writes down a licence with a model that is stored already. @param {Row} stored @param {import('../protocol.d.ts').ModelLicense} license */
  async #license({ id, url }, license) {
    const { session, choice } = this.page;
    const og = await session.started();
    await og.models.import({ id, url, license });
    await choice.refresh(og);
  }

  pause(id) {
    this.fetching.stop(id);
  }

  /** What has come of it is deleted, and with it what was written. */
  async drop(id) {
    await this.fetching.stop(id);
    this.fetching.forget(id);
    const og = await this.page.session.started();
    await this.page.removal.now(og, id);
    this.refresh();
  }

  /** A model has arrived whole. @param {Row} stored */
  async #arrived({ id }) {
    const { session, choice } = this.page;
    book.write(id, { came: undefined });
    const og = await session.started();
    og.requestPersist().catch(() => {});
    await choice.refresh(og);
    if (this.#shown) this.refresh();
  }

  #own() {
    const choose = make('button', { type: 'button', className: 'button', textContent: T.choose });
    choose.addEventListener('click', () => this.page.adding.pick());
    const folder = make('button', { type: 'button', className: 'button', textContent: T.chooseFolder });
    folder.addEventListener('click', () => this.page.adding.pickFolder());
    folder.hidden = !('webkitdirectory' in HTMLInputElement.prototype);
    const address = make('input', {
      type: 'text', id: 'models-address', inputMode: 'url', autocomplete: 'off', placeholder: T.addressHint,
    });
    const problem = make('p', { className: 'field-error', role: 'alert', hidden: true });
    const look = () => {
      const wrong = this.look(address.value);
      problem.hidden = !wrong;
      problem.textContent = wrong?.text ?? '';
      if (wrong?.href) {
        problem.append(' ', make('a', { href: wrong.href, target: '_blank', rel: 'noreferrer', textContent: T.there }));
      }
      address.toggleAttribute('aria-invalid', Boolean(wrong));
      if (!wrong) address.value = '';
    };
    const press = make('button', { type: 'button', className: 'button', textContent: T.look });
    press.addEventListener('click', look);
    address.addEventListener('keydown', (event) => event.key === 'Enter' && (event.preventDefault(), look()));
    const byAddress = make('div', { className: 'field by-address' },
      make('label', { htmlFor: address.id, textContent: T.address }), make('div', { className: 'joined' }, address, press), problem);
    const own = section(T.own, make('p', { textContent: T.ownText }),
      make('pre', { className: 'command', tabIndex: 0, role: 'region', ariaLabel: T.commandLabel },
        make('code', { textContent: T.command })),
      make('div', { className: 'card-actions' }, choose, folder), byAddress);
    own.id = 'models-own';
    return own;
  }

  /** Autoencoders that are given to a model that is here. */
  #decoders() {
    const get = offered('autoencoder', T.getDecoder, (file) => this.page.adding.addPart(file));
    const decoders = section(T.decoders, make('p', { textContent: T.decodersText }), get);
    decoders.id = 'models-decoders';
    return decoders;
  }

  /** What new models are kept in: one choice for all that come. */
  #kept() {
    const select = make('select', { id: 'models-kept' },
      ...Object.entries(T.keptIn).map(([value, textContent]) => make('option', { value, textContent, selected: value === keptIn.now })));
    select.addEventListener('change', () => {
      keptIn.now = /** @type {import('../protocol.d.ts').WeightType} */ (select.value);
      this.#draw();
    });
    return make('div', { className: 'field kept' }, make('label', { htmlFor: select.id, textContent: T.keptLabel }), select,
      make('p', { className: 'quiet', textContent: T.keptText }));
  }

  #room() {
    const kept = make('button', { type: 'button', className: 'button small ghost', textContent: T.keeping });
    kept.setAttribute('aria-haspopup', 'dialog');
    kept.addEventListener('click', () => this.page.openStorage());
    return section(T.room, make('div', { className: 'room', ariaHidden: 'true' }, this.#bar), this.#roomWords, kept);
  }
}

function section(title, ...children) {
  return make('section', { className: 'shelf' }, make('h2', { textContent: title }), ...children);
}

/**
 * What is kept of an entry beside the store.
 * @param {Entry} entry
 * @param {string | null} accepted
 * @returns {import('../js/book.js').Written}
 */
function recordOf({ id, name, about, license, revision = null, defaults, examples, general }, accepted) {
  const { name: called, url } = licenseOf(license);
  return { name, about, entry: id, license: { name: called, url, revision, accepted }, defaults, examples, general };
}

/** A download that was begun, of which no catalogue knows any more. @param {Row} row @returns {Entry} */
function entryOfRow({ id, url, bytes }) {
  const { name, about } = book.of(id);
  return {
    id, url, name: name ?? fileName(url), about: about ?? '', family: '', license: 'unknown', missing: null, download: null,
    stored: { as: bytes }, general: true,
  };
}
