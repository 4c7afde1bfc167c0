/** The strip of pictures that were made, newest first: search, look again, delete, take along. */

import { download, fileName, leaving } from './actions.js';
import { $, make } from './dom.js';
import { report } from './report.js';
import { brought } from './shell.js';
import { seedWords } from './words.js';

/** Thumbnails at once; "Show more" brings as many again. */
const PAGE = 48;

/**
 * @typedef {object} Made a picture that can be shown
 * @property {import('./pictures.js').Entry | null} entry its place in the strip, once it has one
 * @property {ImageData} image
 * @property {Blob} png
 * @property {object} settings
 * @property {string} model
 */

export class Gallery {
  /** @type {import('./pictures.js').Entry[]} */ #entries = [];
  /** Thumbnails that have been made, by id. @type {Map<number, HTMLLIElement>} */ #items = new Map();
  #shown = PAGE;
  #current = null;
  #refreshing = Promise.resolve();

  /**
   * @param {object} options
   * @param {import('./pictures.js').Pictures} options.pictures
   * @param {(made: Made) => void} options.onPick
   * @param {(ids: number[]) => void} options.onDeleted
   * @param {(ids: number[]) => void} options.onRestored
   */
  constructor({ pictures, onPick, onDeleted, onRestored }) {
    Object.assign(this, { pictures, onPick, onDeleted, onRestored });
    $('search').addEventListener('input', () => {
      this.#shown = PAGE;
      this.#draw();
    });
    $('show-more').addEventListener('click', () => this.#more());
    $('export').addEventListener('click', () => this.#export());
    $('delete-all').addEventListener('click', () => this.#askToDeleteAll());
    $('delete-all-no').addEventListener('click', () => $('delete-all-ask').close());
    $('delete-all-yes').addEventListener('click', () => {
      $('delete-all-ask').close();
      this.delete(this.#entries);
    });
  }

  /** Reads the pictures again; calls line up, so that the last one wins. */
  refresh() {
    this.#refreshing = this.#refreshing.then(async () => {
      this.#entries = await this.pictures.list();
      this.#draw();
    });
    return this.#refreshing;
  }

  /** Says which picture stands on the stage. @param {number | null} id */
  mark(id) {
    this.#current = id;
    for (const [other, item] of this.#items) {
      const button = item.querySelector('button');
      if (other === id) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
    this.#markKin();
  }

  /** Marks what the picture on the stage was made from, and what was made from it. */
  #markKin() {
    const entry = this.#entries.find(({ id }) => id === this.#current);
    for (const { id, source, settings } of this.#entries) {
      const button = this.#items.get(id)?.querySelector('button');
      const before = entry?.settings.image !== undefined && source === entry.settings.image;
      const after = entry?.source !== undefined && settings.image === entry.source;
      button?.toggleAttribute('data-kin', before || after);
      if (before || after) button?.setAttribute('aria-description', before ? 'what this was made from' : 'made from this');
      else button?.removeAttribute('aria-description');
    }
  }

  /**
   * What a picture was made from, the first of all first, and what was made from it, the oldest first.
   * @param {Made} made @returns {{before: import('./pictures.js').Entry[], after: import('./pictures.js').Entry[]}}
   */
  kin({ entry }) {
    const before = [];
    for (let one = entry; one?.settings.image !== undefined;) {
      const { image } = one.settings;
      one = this.#entries.find(({ source }) => source === image);
      if (!one || one.id === entry.id || before.includes(one)) break;
      before.unshift(one);
    }
    const source = this.#entries.find(({ id }) => id === entry?.id)?.source;
    const after = source === undefined ? [] : this.#entries.filter(({ id, settings }) => settings.image === source && id !== entry.id);
    return { before, after: after.reverse() };
  }

  /** Picks the picture that others began with under this hash. @param {string} hash @returns {Promise<boolean>} whether it is here */
  async openSource(hash) {
    const entry = this.#entries.find(({ source }) => source === hash);
    if (entry) await this.#pick(entry);
    return entry !== undefined;
  }

  /** The newest picture, to be shown. @returns {Promise<Made | null>} */
  async latest() {
    const [entry] = this.#entries;
    return entry ? this.open(entry) : null;
  }

  /** The next newer (-1) or older (1) picture of those that the search leaves. @returns {Promise<Made | null>} */
  async beside({ entry }, step) {
    const found = this.#found();
    const at = found.findIndex(({ id }) => id === entry?.id);
    const next = at < 0 ? undefined : found[at + step];
    return next ? this.open(next).catch(() => null) : null; // deleted in another tab: as if it had not been there
  }

  /** Deletes pictures and offers to put them back. @param {import('./pictures.js').Entry[]} entries */
  async delete(entries) {
    const many = entries.length > 1;
    try {
      const taken = await this.pictures.remove(entries);
      const ids = entries.map(({ id }) => id);
      await this.refresh();
      this.onDeleted(ids);
      report(many ? `${entries.length} pictures were deleted.` : 'The picture was deleted.', [], {
        label: 'Undo',
        run: async () => {
          await this.pictures.restore(taken);
          await this.refresh();
          this.onRestored(ids);
        },
      });
    } catch (error) {
      report(many ? 'The pictures were not deleted.' : 'The picture was not deleted.', [`The browser says: ${error.message}`]);
    }
  }

  /** What the search leaves over. */
  #found() {
    const words = $('search').value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    return this.#entries.filter(({ settings }) => {
      const prompt = `${settings.prompt} ${settings.typed ?? ''}`.toLocaleLowerCase();
      return words.every((word) => prompt.includes(word));
    });
  }

  #draw() {
    const found = this.#found();
    const all = this.#entries.length;
    const pressed = all > 0 && $('samples').contains(document.activeElement);
    $('strip').hidden = all === 0;
    $('strip-count').textContent = found.length === all ? String(all) : `${found.length} of ${all}`;
    $('strip-none').hidden = found.length > 0 || all === 0;
    $('export').textContent = found.length === all ? 'Export as ZIP' : `Export ${found.length} as ZIP`;
    $('export').disabled = found.length === 0;
    $('show-more').hidden = found.length <= this.#shown;

    const there = new Set(this.#entries.map(({ id }) => id));
    for (const [id, item] of this.#items) {
      if (there.has(id)) continue;
      URL.revokeObjectURL(item.querySelector('img').src);
      this.#items.delete(id);
    }
    const wanted = found.slice(0, this.#shown).map((entry) => this.#item(entry));
    const list = $('earlier');
    for (const item of [...list.children]) if (!wanted.includes(item)) item.remove();
    wanted.forEach((item, i) => list.children[i] !== item && list.insertBefore(item, list.children[i] ?? null));
    this.mark(this.#current);
    // The samples go where the first picture comes: what was pressed there hands the focus on.
    if (pressed) list.querySelector('button')?.focus();
  }

  #item(entry) {
    if (this.#items.has(entry.id)) return this.#items.get(entry.id);
    const { settings } = entry;
    const image = make('img', { src: URL.createObjectURL(entry.thumbnail), alt: '', draggable: false });
    const button = make('button', { type: 'button', title: settings.prompt }, image);
    const kept = this.pictures.isKept(entry);
    button.setAttribute('aria-label', `${settings.prompt}, ${seedWords(settings)}${kept ? '' : ', not kept'}`);
    button.toggleAttribute('data-loose', !kept);
    button.addEventListener('click', () => this.#pick(entry));
    button.addEventListener('keydown', (event) => {
      if (event.key !== 'Delete') return;
      const item = button.parentElement;
      (item.nextElementSibling ?? item.previousElementSibling)?.querySelector('button').focus();
      this.delete([entry]);
    });
    const item = make('li', {}, button);
    this.#items.set(entry.id, item);
    return item;
  }

  async #pick(entry) {
    try {
      this.onPick(await this.open(entry));
    } catch (error) {
      report('This picture could not be opened.', [`The browser says: ${error.message}`]);
      this.refresh();
    }
  }

  /** A kept picture, to be shown. @param {import('./pictures.js').Entry} entry @returns {Promise<Made>} */
  async open(entry) {
    const png = await this.pictures.file(entry.id);
    if (!png) throw new Error('it has been deleted in another tab');
    return { entry, png, image: await pixelsOf(png), settings: entry.settings, model: entry.model };
  }

  #more() {
    const before = $('earlier').children.length;
    this.#shown += PAGE;
    this.#draw();
    $('earlier').children[before]?.querySelector('button').focus();
  }

  async #export() {
    const found = this.#found();
    $('export').disabled = true;
    try {
      const { zip } = await brought(() => import('./zip.js'), new URL('./zip.js', import.meta.url));
      const day = new Date().toLocaleDateString('sv'); // 2026-11-23
      download(await zip(this.#files(found)), `opengen-${day}.zip`);
    } catch (error) {
      report('The pictures could not be exported.', [`${error.message}.`, 'Nothing was changed.']);
    } finally {
      $('export').disabled = false;
    }
  }

  /** Files for an archive, oldest first, numbered so that no two share a name. */
  async* #files(entries) {
    const digits = String(entries.length).length;
    for (const [i, { id, time, settings }] of [...entries].reverse().entries()) {
      const file = await this.pictures.file(id);
      if (file) yield { name: `${String(i + 1).padStart(digits, '0')}-${fileName(settings)}`, time, file: await leaving(file) };
    }
  }

  #askToDeleteAll() {
    const count = this.#entries.length;
    $('delete-all-title').textContent = count === 1 ? 'Delete the picture?' : `Delete all ${count} pictures?`;
    $('delete-all-ask').showModal();
  }
}

/** The exact pixels of a PNG file. @param {Blob} png @returns {Promise<ImageData>} */
async function pixelsOf(png) {
  const bitmap = await createImageBitmap(png, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
