/** Pictures as large as the window: one after the other, nearer, or two with a line between them that can be moved. */

import { differences } from './difference.js';
import { $, make } from './dom.js';

/** How near a picture can be brought. */
const NEAREST = 8;
/** A finger that goes this far to the side, in CSS pixels, asks for the next picture. */
const SWIPE = 48;

/** @typedef {import('./gallery.js').Made} Made */

export class Large {
  /** Where the picture lies: enlarged so often, moved so far in CSS pixels. */
  #place = { scale: 1, x: 0, y: 0 };
  /** Fingers on the picture, by pointer. @type {Map<number, {x: number, y: number}>} */ #fingers = new Map();
  /** Where a finger came down, while it may still be a swipe. */ #from = null;
  /** @type {Made | null} */ #look = null;
  /** What it is compared with. @type {Made | null} */ #other = null;
  /** The addresses of the two files. */ #urls = { picture: '', other: '' };
  /** Counts what was asked for: an answer that has been overtaken is dropped. */ #asked = 0;

  /**
   * @param {object} options
   * @param {() => Made | null} options.current what stands on the stage
   * @param {(from: Made, step: -1 | 1) => Promise<Made | null>} options.beside the next newer (-1) or older (1) one
   * @param {(look: Made) => {before: import('./pictures.js').Entry[], after: import('./pictures.js').Entry[]}} options.kin what it was made from, and what from it
   * @param {(entry: import('./pictures.js').Entry) => Promise<Made>} options.read a picture of the strip
   * @param {(look: Made) => void} options.onLeft closed with another picture than it was opened with
   * @param {(look: Made) => void} options.onSave
   * @param {((look: Made) => void) | null} options.onShare null where this browser cannot
   */
  constructor({ current, beside, kin, read, onLeft, onSave, onShare }) {
    Object.assign(this, { current, beside, kin, read, onLeft });
    this.view = $('large-view');
    $('enlarge').addEventListener('click', () => this.open());
    $('picture').addEventListener('click', () => this.open());
    $('large-close').addEventListener('click', () => $('large').close());
    $('large-newer').addEventListener('click', () => this.#step(-1));
    $('large-older').addEventListener('click', () => this.#step(1));
    $('large-save').addEventListener('click', () => onSave(this.#look));
    $('large-share').hidden = !onShare;
    $('large-share').addEventListener('click', () => onShare(this.#look));
    $('large-compare').addEventListener('click', () => this.#compare($('large-line').hidden));
    $('large-line').addEventListener('input', () => this.#drawLine());
    $('large').addEventListener('keydown', (event) => this.#key(event));
    $('large').addEventListener('close', () => this.#left());
    this.view.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    for (const type of ['pointerdown', 'pointermove', 'pointerup', 'pointercancel']) {
      this.view.addEventListener(type, (event) => this.#finger(event));
    }
    this.view.addEventListener('dblclick', (event) => this.#nearer(this.#place.scale > 1 ? 1 : 2, event));
  }

  open() {
    const look = this.current();
    if (!look) return;
    this.opened = look;
    this.#show(look);
    this.#compare(false);
    $('large').showModal();
  }

  #show(look) {
    this.#look = look;
    this.#put('picture', look);
    this.#place = { scale: 1, x: 0, y: 0 };
    this.#draw();
    $('large-words').textContent = wordsOf(look);
    this.#lookBeside();
    this.#showKin();
  }

  /** What it was made from and what was made from it, each a press away. */
  #showKin() {
    const look = this.#look;
    const { before, after } = look.entry ? this.kin(look) : { before: [], after: [] };
    $('large-kin').hidden = !before.length && !after.length;
    if ($('large-kin').hidden) return $('large-kin').replaceChildren();
    const line = [...before, look.entry, ...after];
    const item = (entry, i) => {
      const words = wordsOf({ settings: entry.settings });
      const image = make('img', { src: URL.createObjectURL(entry.thumbnail), alt: '' });
      for (const event of ['load', 'error']) image.addEventListener(event, () => URL.revokeObjectURL(image.src)); // once it is read
      const button = make('button', { type: 'button' }, image);
      const place = i < before.length ? 'before: ' : entry === look.entry ? '' : 'made from it: ';
      button.setAttribute('aria-label', place + words);
      if (entry === look.entry) button.setAttribute('aria-current', 'true');
      else button.addEventListener('click', () => this.#goTo(entry));
      const row = make('li', {}, button);
      // Those that were made from this one stand beside each other.
      row.toggleAttribute('data-from', i > 0 && i <= before.length + 1);
      return row;
    };
    $('large-kin').replaceChildren(...line.map(item));
    $('large-kin').querySelector('[aria-current]').scrollIntoView({ block: 'nearest', inline: 'center' });
    return undefined;
  }

  /** @param {import('./pictures.js').Entry} entry of its kin */
  async #goTo(entry) {
    const look = this.#look;
    const next = await this.read(entry).catch(() => null);
    if (!next || look !== this.#look) return;
    this.#compare(false);
    this.#show(next);
    $('large-kin').querySelector('[aria-current]')?.focus();
  }

  /** Offers only what is there. */
  async #lookBeside() {
    const asked = ++this.#asked;
    const [newer, older] = await Promise.all([this.beside(this.#look, -1), this.beside(this.#look, 1)]);
    if (asked !== this.#asked) return;
    // Not `disabled`: a button that has the focus would lose it, and the keys with it.
    for (const [id, there] of [['newer', newer], ['older', older], ['compare', newer || older]]) {
      $(`large-${id}`).setAttribute('aria-disabled', String(!there));
    }
  }

  #put(which, look) {
    URL.revokeObjectURL(this.#urls[which]);
    this.#urls[which] = look ? URL.createObjectURL(look.png) : '';
    const image = $(`large-${which}`);
    if (look) image.src = this.#urls[which];
    else image.removeAttribute('src');
    image.alt = look ? wordsOf(look) : '';
  }

  async #step(by) {
    const look = this.#look;
    if (this.#other) return this.#against(by);
    const next = await this.beside(look, by);
    if (next && look === this.#look) this.#show(next);
  }

  /** The one next to what this picture is compared with, this one left out. @param {-1 | 1} by */
  async #against(by) {
    const [look, before] = [this.#look, this.#other];
    let other = await this.beside(before, by);
    if (other?.entry?.id === look.entry?.id) other = await this.beside(look, by);
    if (other && look === this.#look && before === this.#other) this.#beside(other);
  }

  /** @param {Made} other */
  #beside(other) {
    this.#other = other;
    this.#put('other', other);
    const told = differences(this.#look, other);
    const how = told.length ? told.join(' · ') : 'the same settings';
    $('large-words').textContent = `${wordsOf(this.#look)} · beside ${wordsOf(other)}: ${how}`;
  }

  /** Lays the next older picture over this one, or the next newer where this is the oldest; steps choose another one then. */
  async #compare(on) {
    if (on) {
      const look = this.#look;
      const other = (await this.beside(look, 1)) ?? (await this.beside(look, -1));
      if (look !== this.#look || !other) return;
      this.#beside(other);
    } else if (this.#look) {
      this.#other = null;
      this.#put('other', null);
      $('large-words').textContent = wordsOf(this.#look);
    }
    $('large-other').hidden = $('large-line').hidden = !on;
    $('large-compare').setAttribute('aria-pressed', String(on));
    this.#drawLine();
  }

  #drawLine() {
    this.view.style.setProperty('--split', `${$('large-line').value}%`);
  }

  #key(event) {
    if (event.target === $('large-line') || event.ctrlKey || event.metaKey || event.altKey) return;
    const { left, top, width, height } = this.view.getBoundingClientRect();
    const middle = { clientX: left + width / 2, clientY: top + height / 2 };
    const { scale } = this.#place;
    const acts = {
      ArrowLeft: () => this.#step(-1), ArrowRight: () => this.#step(1),
      '+': () => this.#nearer(scale * 1.5, middle), '=': () => this.#nearer(scale * 1.5, middle),
      '-': () => this.#nearer(scale / 1.5, middle), 0: () => this.#nearer(1, middle),
    };
    if (!Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    acts[event.key]();
  }

  #wheel(event) {
    event.preventDefault();
    this.#nearer(this.#place.scale * 1.0015 ** -event.deltaY, event);
  }

  /** Enlarges so often; what lies at this point of the window stays there. */
  #nearer(scale, { clientX, clientY }) {
    const { left, top, width, height } = this.view.getBoundingClientRect();
    const [x, y] = [clientX - left - width / 2, clientY - top - height / 2];
    const to = Math.min(NEAREST, Math.max(1, scale));
    const by = to / this.#place.scale;
    this.#place = { scale: to, x: x - (x - this.#place.x) * by, y: y - (y - this.#place.y) * by };
    this.#draw();
  }

  /** One finger moves the picture, or asks for the next one while it is whole; two bring it nearer. */
  #finger(event) {
    const { type, pointerId, clientX: x, clientY: y } = event;
    const before = [...this.#fingers.values()];
    if (type === 'pointerdown') {
      this.view.setPointerCapture(pointerId);
      this.#fingers.set(pointerId, { x, y });
      this.#from = before.length === 0 && this.#place.scale === 1 ? { x, y } : null;
    } else if (type === 'pointermove') {
      if (!this.#fingers.has(pointerId)) return;
      const was = this.#fingers.get(pointerId);
      this.#fingers.set(pointerId, { x, y });
      const now = [...this.#fingers.values()];
      if (now.length === 2) {
        const middle = { clientX: (now[0].x + now[1].x) / 2, clientY: (now[0].y + now[1].y) / 2 };
        this.#nearer(this.#place.scale * apart(now) / Math.max(1, apart(before)), middle);
      } else if (this.#place.scale > 1) {
        this.#place.x += x - was.x;
        this.#place.y += y - was.y;
        this.#draw();
      }
    } else {
      this.#fingers.delete(pointerId);
      const aside = this.#from && type === 'pointerup' ? x - this.#from.x : 0;
      if (Math.abs(aside) > SWIPE && Math.abs(aside) > Math.abs(y - this.#from.y)) this.#step(aside > 0 ? -1 : 1);
      this.#from = null;
    }
  }

  #draw() {
    const { scale } = this.#place;
    const { width, height } = this.view.getBoundingClientRect();
    const within = (value, side) => Math.min(1, Math.max(-1, value / (side * (scale - 1) / 2 || 1))) * side * (scale - 1) / 2;
    this.#place.x = within(this.#place.x, width);
    this.#place.y = within(this.#place.y, height);
    $('large-sheet').style.transform = `translate(${this.#place.x}px, ${this.#place.y}px) scale(${scale})`;
  }

  #left() {
    this.#fingers.clear();
    const look = this.#look;
    this.#look = this.#other = null;
    this.#asked += 1;
    this.#put('picture', null);
    this.#put('other', null);
    if (look && look !== this.opened) this.onLeft(look);
  }
}

/** What a picture shows, to be read and to be heard. @param {Made} made */
const wordsOf = ({ settings }) => settings.typed || settings.prompt || 'Picture without a prompt';

const apart = ([a, b]) => Math.hypot(a.x - b.x, a.y - b.y);
