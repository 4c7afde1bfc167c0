/** The panel that shows what is kept on this device, how large it is, what room is left, and deletes it. */

import { fileOf } from './choice.js';
import { $, bytes, make } from './dom.js';
import { sentence } from './words.js';

/** How long it lasts where the browser promises nothing. Safari, and every browser on an iPhone, has a rule of its own. */
const FLEETING = navigator.vendor.startsWith('Apple')
  ? 'Safari clears it after seven days of use without a visit here, unless the page stands on the home screen.'
  : 'The browser may clear it when the disk runs low; a model of the page is then fetched again.';

export class StoragePanel {
  /** @param {{session: import('./session.js').Session, choice: import('./choice.js').Choice, onRemoved: (id: string) => void}} o */
  constructor({ session, choice, onRemoved }) {
    Object.assign(this, { session, choice, onRemoved });
    $('model-chip').addEventListener('click', () => this.open());
    $('storage-close').addEventListener('click', () => $('storage').close());
    $('storage').addEventListener('click', (event) => {
      if (event.target === $('storage')) $('storage').close();
    });
  }

  async open() {
    $('storage').showModal();
    await this.refresh();
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
    const rows = report.models.map((model) => this.#row(model));
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
    const state = model.damaged ? 'damaged' : !model.formatOk ? 'from an older version' : model.complete ? 'complete' : 'partly here';
    const name = this.choice.find(model.id)?.name ?? fileOf(model.id);
    const remove = make('button', { type: 'button', className: 'button small ghost', textContent: 'Delete' });
    remove.setAttribute('aria-label', `Delete ${name}`);
    remove.addEventListener('click', async () => {
      remove.disabled = true;
      try {
        await this.session.og.models.remove(model.id);
        this.onRemoved(model.id);
      } finally {
        await this.refresh();
      }
    });
    const text = make('div', {}, make('strong', { textContent: name }),
      make('p', { className: 'quiet', textContent: `${bytes(model.bytes)}, ${state}` }));
    return make('li', {}, text, remove);
  }
}
