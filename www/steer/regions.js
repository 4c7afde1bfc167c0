/**
 * Regions: where in the picture each part of a prompt joined by AND counts. A rectangle is drawn on a small sheet in the picture's
 * shape, chosen from the usual ones, or given by numbers; a part without one is everywhere.
 */

import { $, keep, make } from '../js/dom.js';
import { LIMITS } from '../limits.js';
import { field, select } from './second.js';

/** @typedef {[number, number, number, number]} Rect left, top, width and height in percent */
/** @typedef {{rect: Rect | null, weight: number | null}} Kept */

/** @type {[string, string, Rect | null][]} */
const PLACES = [
  ['all', 'Whole picture', null], ['left', 'Left half', [0, 0, 50, 100]], ['right', 'Right half', [50, 0, 50, 100]],
  ['top', 'Upper half', [0, 0, 100, 50]], ['bottom', 'Lower half', [0, 50, 100, 50]], ['middle', 'Middle', [25, 25, 50, 50]],
];
const OWN = 'own';
const SIDES = ['Left', 'Top', 'Width', 'Height'];
/** As many as the engine draws into one picture. */
const MOST = 8;
/** The longer side of the sheet, in CSS pixels. */
const SHEET = 208;
/** A stroke shorter than this, in percent of the picture, is a press and draws nothing. */
const LEAST = 3;
/** Steps of an arrow key on the sheet, in percent. */
const STEP = 5;

export class Regions {
  /** One for each part, in their order. @type {Kept[]} */ #list;
  #active = 0;
  /** Where a stroke began. @type {[number, number] | null} */ #from = null;
  /** What the prompt has. @type {string[]} */ #parts = [];

  /**
   * @param {{settings: import('../js/settings.js').Settings}} page
   * @param {typeof import('../js/extras.js').partsOf} partsOf handed over, for a file that comes later is not to be asked for by two names
   */
  constructor({ settings }, partsOf) {
    Object.assign(this, { settings, partsOf });
    this.#list = (keep.read('regions')?.list ?? []).slice(0, MOST);
    this.#sheet = make('canvas', { tabIndex: 0, id: 'region-sheet' });
    this.#sheet.setAttribute('role', 'img');
    this.#rows = make('ul', { className: 'region-rows' });
    this.#numbers = SIDES.map((name, side) => this.#number(name, side));
    this.#weight = make('input', { type: 'number', min: 0, max: LIMITS.regionWeight.to, step: 0.1, inputMode: 'decimal', placeholder: 'as in the prompt' });
    this.#weight.addEventListener('change', () => {
      const given = Number(this.#weight.value);
      const isNumber = this.#weight.value !== '' && Number.isFinite(given);
      this.#now.weight = isNumber ? Math.min(LIMITS.regionWeight.to, Math.max(0, given)) : null;
      this.draw();
    });
    const weight = field('region-weight', 'Weight', this.#weight);
    weight.classList.add('wide');
    this.#fields = make('div', { className: 'fields region-fields' }, ...this.#numbers.map((input, i) => field(`region-${SIDES[i].toLowerCase()}`, `${SIDES[i]}, %`, input)), weight);
    this.#error = make('p', { className: 'field-error', id: 'regions-error', hidden: true });
    this.#hint = make('p', { className: 'quiet hint' });
    $('regions-box').replaceChildren(this.#sheet, this.#rows, this.#fields, this.#error, this.#hint);
    for (const type of ['pointerdown', 'pointermove', 'pointerup', 'pointercancel']) this.#sheet.addEventListener(type, (event) => this.#stroke(event));
    this.#sheet.addEventListener('keydown', (event) => this.#key(event));
    for (const id of ['prompt', 'width', 'height', 'dialect']) for (const event of ['input', 'put', 'change']) $(id)?.addEventListener(event, () => this.draw());
    $('regions').addEventListener('toggle', () => this.draw());
    $('reset').addEventListener('click', () => this.take([]));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#paint());
    this.draw();
  }

  #sheet;
  #rows;
  #numbers;
  #weight;
  #fields;
  #error;
  #hint;

  /** What a request says of them. @param {{prompt: string, dialect?: string}} request what it says already */
  of(request) {
    const parts = this.partsOf(request);
    const regions = this.#list.slice(0, parts.length).flatMap(({ rect, weight }, index) => (rect ? [{ part: index + 1, rect: shares(rect), ...(weight !== null && { weight }) }] : []));
    return parts.length > 1 && regions.length ? { regions } : {};
  }

  /**
   * Where parts of a picture's prompt counted; a mask is not in its file.
   * @param {{part: number, rect?: import('../protocol.d.ts').Rectangle | null, weight?: number | null}[]} regions
   */
  take(regions) {
    this.#list = [];
    for (const { part, rect, weight = null } of regions) {
      if (rect && part >= 1 && part <= MOST) this.#at(part - 1, { rect: percent(rect), weight });
    }
    this.#active = 0;
    this.draw();
    if (this.#list.some(({ rect }) => rect)) $('regions').open = true;
  }

  /** @param {number} index @param {Kept} kept */
  #at(index, kept) {
    while (this.#list.length <= index) this.#list.push({ rect: null, weight: null });
    this.#list[index] = kept;
  }

  /** What the active part has. */
  get #now() {
    if (!this.#list[this.#active]) this.#at(this.#active, { rect: null, weight: null });
    return this.#list[this.#active];
  }

  /** Shows what is set, on the closed lid too, and keeps it. */
  draw() {
    this.#parts = this.partsOf({ prompt: $('prompt').value, dialect: $('dialect')?.value }).slice(0, MOST);
    this.#active = Math.min(this.#active, Math.max(0, this.#parts.length - 1));
    const placed = this.#list.slice(0, this.#parts.length).filter(({ rect }) => rect).length;
    $('regions-state').textContent = placed ? `${placed} of ${this.#parts.length}` : 'off';
    $('regions').toggleAttribute('data-on', placed > 0);
    this.#drawRows();
    const { rect, weight } = this.#list[this.#active] ?? { rect: null, weight: null };
    this.#fields.hidden = !rect;
    this.#numbers.forEach((input, side) => { input.value = rect ? String(rect[side]) : ''; });
    this.#weight.value = weight === null ? '' : String(weight);
    const bare = placed === this.#parts.length;
    this.#hint.textContent = !placed ? 'Choose where a part shall be, or draw its rectangle on the sheet. A part without one is everywhere.'
      : bare ? 'Where rectangles meet their parts are mixed by their weights. Where none is, the picture is drawn without a prompt.'
        : 'Where parts meet they are mixed by their weights; a part without a rectangle is everywhere.';
    this.settings.mark('regions', '');
    this.#paint();
    keep.write('regions', { on: this.#list.some((kept) => kept.rect), list: this.#list });
  }

  /** A row for each part: its words, and where it is. Rows that are there stay, so that what has the focus keeps it. */
  #drawRows() {
    while (this.#rows.children.length > this.#parts.length) this.#rows.lastElementChild.remove();
    while (this.#rows.children.length < this.#parts.length) this.#rows.append(this.#row(this.#rows.children.length));
    this.#parts.forEach((words, index) => {
      const row = this.#rows.children[index];
      row.toggleAttribute('data-active', index === this.#active);
      const [name, place] = [row.querySelector('.region-words'), row.querySelector('select')];
      name.textContent = words || 'no words';
      name.title = words;
      place.setAttribute('aria-label', `Where part ${index + 1} is: ${words || 'no words'}`);
      const rect = this.#list[index]?.rect ?? null;
      place.value = PLACES.find(([, , usual]) => String(usual) === String(rect))?.[0] ?? OWN;
    });
  }

  /** @param {number} index */
  #row(index) {
    const place = select([...PLACES.map(([value, name]) => /** @type {[string, string]} */ ([value, name])), [OWN, 'A rectangle']]);
    const activate = () => {
      if (this.#active === index) return;
      this.#active = index;
      this.draw();
    };
    place.addEventListener('focus', activate);
    place.addEventListener('change', () => {
      this.#active = index;
      const usual = PLACES.find(([value]) => value === place.value);
      this.#now.rect = usual ? usual[2] && [...usual[2]] : this.#now.rect ?? [25, 25, 50, 50];
      this.draw();
    });
    const row = make('li', {}, make('span', { className: 'region-number', textContent: String(index + 1) }), make('span', { className: 'region-words' }), make('div', { className: 'field' }, place));
    row.addEventListener('click', activate);
    return row;
  }

  /** @param {string} name @param {number} side */
  #number(name, side) {
    const input = make('input', { type: 'number', min: side < 2 ? 0 : 1, max: side < 2 ? 99 : 100, step: 1, inputMode: 'decimal' });
    input.addEventListener('change', () => {
      const rect = this.#now.rect;
      const given = Number(input.value);
      if (rect && input.value !== '' && Number.isFinite(given)) rect[side] = given;
      if (rect) this.#now.rect = within(rect);
      this.draw();
    });
    return input;
  }

  /** A rectangle of the active part drawn with a pointer. @param {PointerEvent} event */
  #stroke(event) {
    const { left, top, width, height } = this.#sheet.getBoundingClientRect();
    const clamp = (/** @type {number} */ share) => Math.min(100, Math.max(0, Math.round(share * 100)));
    /** @type {[number, number]} */
    const at = [clamp((event.clientX - left) / width), clamp((event.clientY - top) / height)];
    if (event.type === 'pointerdown') {
      if (event.button !== 0) return;
      this.#sheet.setPointerCapture(event.pointerId);
      this.#from = at;
      return;
    }
    if (!this.#from) return;
    const from = this.#from;
    const [w, h] = [0, 1].map((i) => Math.abs(at[i] - from[i]));
    if (w >= LEAST && h >= LEAST && event.type !== 'pointercancel') {
      this.#now.rect = [Math.min(from[0], at[0]), Math.min(from[1], at[1]), w, h];
      this.draw();
    }
    if (event.type !== 'pointermove') this.#from = null;
  }

  /** The arrows move the active part's rectangle, with Shift its size. @param {KeyboardEvent} event */
  #key(event) {
    const { rect } = this.#now;
    const axis = { ArrowLeft: [0, -STEP], ArrowRight: [0, STEP], ArrowUp: [1, -STEP], ArrowDown: [1, STEP] }[event.key];
    if (!rect || !axis) return;
    event.preventDefault();
    const side = axis[0] + (event.shiftKey ? 2 : 0);
    const moved = /** @type {Rect} */ ([...rect]);
    moved[side] += axis[1];
    if (side < 2) moved[side] = Math.min(100 - rect[side + 2], moved[side]); // it stops at the edge, and keeps its size
    this.#now.rect = within(moved);
    this.draw();
  }

  /** The sheet: the picture that is there, faintly, and the rectangles over it. */
  #paint() {
    const [wide, high] = ['width', 'height'].map((id) => Math.max(1, Number($(id).value) || 1));
    const scale = SHEET / Math.max(wide, high);
    const [width, height] = [wide, high].map((side) => Math.max(24, Math.round(side * scale)));
    const dense = Math.max(1, devicePixelRatio || 1);
    Object.assign(this.#sheet, { width: width * dense, height: height * dense });
    Object.assign(this.#sheet.style, { width: `${width}px`, aspectRatio: `${width} / ${height}` });
    const context = this.#sheet.getContext('2d');
    const colour = getComputedStyle(this.#sheet);
    const [ink, accent, sheet] = ['--quiet', '--accent', '--sheet'].map((name) => colour.getPropertyValue(name));
    context.scale(dense, dense);
    context.fillStyle = sheet;
    context.fillRect(0, 0, width, height);
    const there = /** @type {HTMLCanvasElement} */ ($('picture'));
    if ($('frame').dataset.state !== 'empty' && Math.abs(there.width / there.height - wide / high) < 0.01) {
      context.globalAlpha = 0.3;
      context.drawImage(there, 0, 0, width, height);
      context.globalAlpha = 1;
    }
    context.font = `600 13px ${colour.fontFamily}`;
    const order = this.#parts.map((_, index) => index).sort((a, b) => Number(a === this.#active) - Number(b === this.#active));
    for (const index of order) {
      const rect = this.#list[index]?.rect;
      if (!rect) continue;
      const [x, y, w, h] = [rect[0] * width, rect[1] * height, rect[2] * width, rect[3] * height].map((value) => value / 100);
      context.fillStyle = context.strokeStyle = index === this.#active ? accent : ink;
      context.globalAlpha = 0.14;
      context.fillRect(x, y, w, h);
      context.globalAlpha = 1;
      context.lineWidth = index === this.#active ? 2 : 1;
      context.strokeRect(x + 1, y + 1, Math.max(1, w - 2), Math.max(1, h - 2));
      context.fillText(String(index + 1), x + 8, y + 18);
    }
    const said = this.#parts.map((words, index) => {
      const rect = this.#list[index]?.rect;
      return `${index + 1}, ${words || 'no words'}: ${rect ? SIDES.map((side, i) => `${side.toLowerCase()} ${rect[i]} %`).join(', ') : 'everywhere'}`;
    });
    this.#sheet.setAttribute('aria-label', `Where parts are. ${said.join('. ')}. Arrow keys move the rectangle of part ${this.#active + 1}, with Shift its size.`);
  }
}

/** A rectangle, cut off where the picture ends. @param {Rect} rect @returns {Rect} */
function within([left, top, width, height]) {
  const [x, y] = [left, top].map((side) => Math.min(99, Math.max(0, side)));
  return [x, y, Math.min(100 - x, Math.max(1, width)), Math.min(100 - y, Math.max(1, height))];
}

/** @param {Rect} rect @returns {import('../protocol.d.ts').Rectangle} */
const shares = ([left, top, width, height]) => ({ left: left / 100, top: top / 100, width: width / 100, height: height / 100 });

/** @param {import('../protocol.d.ts').Rectangle} rect @returns {Rect} */
function percent({ left, top, width, height }) {
  const [x, y, w, h] = [left, top, width, height].map((share) => Math.round(share * 10000) / 100);
  return [x, y, w, h];
}
