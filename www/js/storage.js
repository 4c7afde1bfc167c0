/** The panel that shows what is kept on this device, how large it is, what room is left, and deletes it. */

import { book } from './book.js';
import { fileOf } from './choice.js';
import { $, bytes, make } from './dom.js';
import { sentence } from './words.js';

/** How long it lasts where the browser promises nothing. Safari, and every browser on an iPhone, has a rule of its own. */
const FLEETING = navigator.vendor.startsWith('Apple')
  ? 'Safari clears it after seven days of use without a visit here, unless the page stands on the home screen.'
  : 'The browser may clear it when the disk runs low; a model of the page is then fetched again.';

export class StoragePanel {
  /**
   * @param {object} options
   * @param {import('./session.js').Session} options.session
   * @param {import('./choice.js').Choice} options.choice
   * @param {import('./removal.js').Removal} options.removal
   * @param {(id: string) => Promise<void> | void} options.onRemoved a model was deleted, or is wanted after all
   */
  constructor({ session, choice, removal, onRemoved }) {
    Object.assign(this, { session, choice, removal, onRemoved });
    $('model-chip').addEventListener('click', () => this.open());
    for (const id of ['storage-close', 'storage-models']) $(id).addEventListener('click', () => $('storage').close());
    $('storage').addEventListener('click', (event) => {
      if (event.target === $('storage')) $('storage').close();
    });
  }

  /** @param {string} [id] a model that is to be deleted: it is asked about at once */
  async open(id) {
    $('storage').showModal();
    await this.refresh();
    if (id) this.#rowOf(id)?.querySelector('button').click();
  }

  async refresh() {
    try {
      if (!this.session.og) throw new Error('the engine is still starting');
      this.#draw(await this.session.og.storage());
    } catch (error) {
      $('stored').replaceChildren(make('li', {}, make('p', { className: 'quiet', textContent: sentence(error.message) })));
      $('room-words').textContent = '';
      $('persist-words').textContent = '';
    }
  }

  /** @param {import('../protocol.d.ts').StorageReport} report */
  #draw(report) {
    const rows = report.models.map((model) => {
      const row = this.#row(model);
      row.dataset.id = model.id;
      return row;
    });
    const nothing = () => make('li', {}, make('p', { className: 'quiet', textContent: 'Nothing is stored yet.' }));
    $('stored').replaceChildren(...(rows.length ? rows : [nothing()]));
    const free = Math.max(0, report.quota - report.usage);
    $('room-bar').style.setProperty('--used', String(report.quota ? report.usage / report.quota : 0));
    $('room-words').textContent = report.quota
      ? `${bytes(report.usage)} used, ${bytes(free)} free for this site.`
      : 'This browser does not say how much room there is.';
    $('persist-words').textContent = report.persisted ? 'The browser has promised to keep it.' : FLEETING;
  }

  #row(model) {
    const name = this.choice.find(model.id)?.name ?? book.of(model.id).name ?? fileOf(model.id).replace(/\.(gguf|safetensors)$/i, '');
    if (this.removal.has(model.id)) return this.#deletedRow(model, name);
    const state = model.damaged ? 'damaged' : !model.formatOk ? 'from an older version' : model.complete ? 'complete' : 'partly here';
    const ask = press('Delete', `Delete ${name}`, () => {
      const question = this.#question(model, name);
      row.replaceWith(question);
      question.querySelector('button').focus();
    });
    const row = line(name, `${bytes(model.bytes)}, ${state}`, ask);
    return row;
  }

  /** Whether a model is really to go, and what that means. */
  #question(model, name) {
    const again = /^https?:/.test(model.url)
      ? 'It is fetched again when it is next used.'
      : 'It came from a file of yours: this page cannot fetch it again.';
    return line(`Delete ${name}, ${bytes(model.bytes)}?`, again,
      press('Keep it', `Keep ${name}`, () => this.#settle(model.id)),
      press('Delete', `Delete ${name} now`, async () => {
        this.removal.mark(model.id);
        await this.onRemoved(model.id);
        await this.#settle(model.id);
      }));
  }

  #deletedRow(model, name) {
    return line(`${name} is deleted`, `It goes when this tab is closed, and takes ${bytes(model.bytes)} until then.`,
      press('Undo', `Undo the deletion of ${name}`, async () => {
        this.removal.undo(model.id);
        await this.onRemoved(model.id);
        await this.#settle(model.id);
      }),
      press('Free the room', `Free the room of ${name}: this cannot be undone`, async () => {
        await this.removal.now(this.session.og, model.id);
        await this.#settle(model.id);
      }));
  }

  /** The list anew, with the focus where it was: at this model, or at the way out. */
  async #settle(id) {
    await this.refresh();
    (this.#rowOf(id)?.querySelector('button') ?? $('storage-close')).focus();
  }

  #rowOf(id) {
    return [...$('stored').children].find((item) => item.dataset.id === id);
  }
}

/** A line of the list. */
function line(title, text, ...buttons) {
  const words = make('div', {}, make('strong', { textContent: title }), make('p', { className: 'quiet', textContent: text }));
  return make('li', {}, words, make('div', { className: 'stored-actions' }, ...buttons));
}

/** A button that is pressed once. */
function press(words, name, act) {
  const button = make('button', { type: 'button', className: 'button small ghost', textContent: words });
  button.setAttribute('aria-label', name);
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await act();
    } finally {
      button.disabled = false;
    }
  });
  return button;
}
