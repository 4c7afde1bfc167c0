/**
 * Regions: where in the picture each part of a prompt joined by AND counts. A rectangle is drawn on a small sheet in the picture's
 * shape, chosen from the usual ones, or given by numbers; or the place is painted there. A part without one is everywhere.
 */

import { $, keep, make } from '../js/dom.js';
import { LIMITS } from '../limits.js';
import { report } from '../js/report.js';
import { outline } from '../paint/brush.js';
import { KEYS, Painting, brushOf, toolsOf } from './painted.js';
import { field, select } from './fields.js';

/** @typedef {[number, number, number, number]} Rect left, top, width and height in percent */
/**
 * Where a part is: `mask` is the hash of what is painted, where it `isPainted`; null while nothing is.
 * @typedef {{rect: Rect | null, weight: number | null, isPainted?: boolean, mask?: string | null}} Kept
 */

/** @type {[string, string, Rect | null][]} */
const PLACES = [
  ['all', 'Whole picture', null], ['left', 'Left half', [0, 0, 50, 100]], ['right', 'Right half', [50, 0, 50, 100]],
  ['top', 'Upper half', [0, 0, 100, 50]], ['bottom', 'Lower half', [0, 50, 100, 50]], ['middle', 'Middle', [25, 25, 50, 50]],
];
const OWN = 'own';
const PAINTED = 'painted';
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
  /** What is painted, by whose place it is. @type {Map<Kept, Painting>} */ #paintings = new Map();
  /** What was painted is on its way into the store. @type {Promise<any> | null} */ saving = null;
  /** Where a stroke began. @type {[number, number] | null} */ #from = null;
  /** What the prompt has. @type {string[]} */ #parts = [];

  /**
   * @param {{settings: import('../js/settings.js').Settings, pictures: import('../js/pictures.js').Pictures}} page
   * @param {typeof import('../js/extras.js').partsOf} partsOf handed over, for a file that comes later is not to be asked for by two names
   */
  constructor({ settings, pictures }, partsOf) {
    Object.assign(this, { settings, pictures, partsOf });
    this.#brush = brushOf(() => this.#painting, { onDraw: () => this.#paint(), onChange: () => this.#keep() });
    this.#tools = toolsOf(this.#brush);
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
    this.#status = make('p', { className: 'quiet hint' });
    this.#status.setAttribute('role', 'status');
    $('regions-box').replaceChildren(this.#sheet, this.#tools, this.#status, this.#rows, this.#fields, this.#error, this.#hint);
    for (const type of ['pointerdown', 'pointermove', 'pointerup', 'pointercancel', 'pointerleave']) this.#sheet.addEventListener(type, (event) => this.#stroke(event));
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
  #status;
  /** @type {import('../paint/brush.js').Brush | null} none while it is made */ #brush = null;
  #tools;

  /** What a request says of them. @param {{prompt: string, dialect?: string}} request what it says already */
  of(request) {
    const parts = this.partsOf(request);
    const regions = this.#list.slice(0, parts.length).flatMap(({ rect, mask, weight }, index) => {
      const place = rect ? { rect: shares(rect) } : mask ? { mask } : null;
      return place ? [{ part: index + 1, ...place, ...(weight !== null && { weight }) }] : [];
    });
    return parts.length > 1 && regions.length ? { regions } : {};
  }

  /** A part that shall be painted and is not. @returns {{field: string, message: string} | null} */
  missing() {
    const at = this.#parts.findIndex((_, index) => this.#list[index]?.isPainted && !this.#list[index].mask);
    return at < 0 ? null : { field: 'regions', message: `Nothing is painted for part ${at + 1}: paint where it shall be, or choose another place.` };
  }

  /**
   * Where parts of a picture's prompt counted; what was painted is not in its file, but here where the picture was made here.
   * @param {{part: number, rect?: import('../protocol.d.ts').Rectangle | null, mask?: string | null, weight?: number | null}[]} regions
   */
  take(regions) {
    this.#list = [];
    this.#paintings.clear();
    for (const { part, rect, mask, weight = null } of regions) {
      if (part < 1 || part > MOST) continue;
      if (rect) this.#at(part - 1, { rect: percent(rect), weight });
      else if (mask) this.#at(part - 1, { rect: null, weight, isPainted: true, mask });
    }
    this.#active = 0;
    this.draw();
    if (this.#list.some(isPlaced)) $('regions').open = true;
  }

  /** What is painted for the active part, where it is painted; it comes when it is first looked at. */
  get #painting() {
    const kept = this.#list[this.#active];
    return kept?.isPainted ? this.#paintingOf(kept) : null;
  }

  /** @param {Kept} kept */
  #paintingOf(kept) {
    const there = this.#paintings.get(kept);
    if (there) return there;
    const painting = new Painting(...this.#size);
    this.#paintings.set(kept, painting);
    const { mask } = kept;
    if (mask) {
      this.pictures.source(mask).then(async (png) => {
        if (png) await painting.read(png);
        else if (kept.mask === mask) kept.mask = null; // the browser has let go of it
        this.draw();
      }, () => {});
    }
    return painting;
  }

  /** Keeps what is painted; a request names it by its hash. */
  #keep() {
    const kept = this.#now;
    const painting = this.#painting;
    const saving = (this.saving ?? Promise.resolve()).then(async () => {
      const png = await painting.file();
      kept.mask = png && await this.pictures.keepSource(png);
      this.draw();
    }).catch((error) => report('What is painted could not be kept.', [`The browser says: ${error.message}`, 'It is not drawn with until it is.']));
    this.saving = saving;
    saving.then(() => {
      if (this.saving === saving) this.saving = null;
    });
    this.#paint();
  }

  /** The picture's sides, in pixels. @returns {[number, number]} */
  get #size() {
    return /** @type {[number, number]} */ (['width', 'height'].map((id) => Math.max(1, Number($(id).value) || 1)));
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
    const placed = this.#list.slice(0, this.#parts.length).filter(isPlaced).length;
    $('regions-state').textContent = placed ? `${placed} of ${this.#parts.length}` : 'off';
    $('regions').toggleAttribute('data-on', placed > 0);
    this.#drawRows();
    const { rect, weight, isPainted } = this.#list[this.#active] ?? { rect: null, weight: null, isPainted: false };
    this.#fields.hidden = !rect && !isPainted;
    this.#numbers.forEach((input) => { input.closest('.field').hidden = !rect; });
    this.#numbers.forEach((input, side) => { input.value = rect ? String(rect[side]) : ''; });
    this.#weight.value = weight === null ? '' : String(weight);
    const bare = placed === this.#parts.length;
    this.#hint.textContent = !placed ? 'Choose where a part shall be, draw its rectangle on the sheet, or paint it. A part without a place is everywhere.'
      : bare ? 'Where places meet their parts are mixed by their weights. Where none is, the picture is drawn without a prompt.'
        : 'Where parts meet they are mixed by their weights; a part without a place is everywhere.';
    this.settings.mark('regions', '');
    this.#paint();
    keep.write('regions', { on: this.#list.some((kept) => isPlaced(kept) || kept.isPainted), list: this.#list });
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
      const { rect = null, isPainted = false } = this.#list[index] ?? {};
      place.value = isPainted ? PAINTED : PLACES.find(([, , usual]) => String(usual) === String(rect))?.[0] ?? OWN;
    });
  }

  /** @param {number} index */
  #row(index) {
    const place = select([...PLACES.map(([value, name]) => /** @type {[string, string]} */ ([value, name])), [OWN, 'A rectangle'], [PAINTED, 'Painted']]);
    const activate = () => {
      if (this.#active === index) return;
      this.#active = index;
      this.draw();
    };
    place.addEventListener('focus', activate);
    place.addEventListener('change', () => {
      this.#active = index;
      if (place.value === PAINTED) return this.#beginPainting();
      const usual = PLACES.find(([value]) => value === place.value);
      Object.assign(this.#now, { isPainted: false, mask: null });
      this.#paintings.delete(this.#now);
      this.#now.rect = usual ? usual[2] && [...usual[2]] : this.#now.rect ?? [25, 25, 50, 50];
      this.draw();
    });
    const row = make('li', {}, make('span', { className: 'region-number', textContent: String(index + 1) }), make('span', { className: 'region-words' }), make('div', { className: 'field' }, place));
    row.addEventListener('click', activate);
    return row;
  }

  /** The active part is painted from now on: from its rectangle, where it has one. */
  #beginPainting() {
    const { rect } = this.#now;
    Object.assign(this.#now, { rect: null, isPainted: true, mask: null });
    this.draw();
    if (!rect) return;
    const { mask } = this.#painting;
    const [x, y, w, h] = rect.map((value, side) => (value / 100) * (side % 2 ? mask.height : mask.width));
    mask.begin();
    mask.rectangle(x, y, x + w, y + h);
    mask.end();
    this.#keep();
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
    if (this.#painting) return this.#brush.pointer(event, { x: (event.clientX - left) / width, y: (event.clientY - top) / height });
    if (event.type === 'pointerleave') return;
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
    if (this.#painting) {
      if (this.#brush.key(event)) event.preventDefault();
      return;
    }
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
    if (!this.#brush) return; // it is being made
    const [wide, high] = this.#size;
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
      const { rect, isPainted } = this.#list[index] ?? {};
      if (isPainted) {
        const painting = this.#paintingOf(this.#list[index]);
        const colour = index === this.#active ? accent : ink;
        painting.draw(context, width, height, colour, index === this.#active ? 0.5 : 0.25);
        const { middle } = painting;
        context.fillStyle = colour;
        if (middle && index !== this.#active) context.fillText(String(index + 1), middle.x * width - 4, middle.y * height + 5);
        continue;
      }
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
    const painting = this.#painting;
    if (painting && this.#brush.at) {
      outline(context, this.#brush.at.x * width, this.#brush.at.y * height, this.#brush.size * SHEET);
    }
    this.#tools.hidden = !painting;
    this.#brush.draw();
    const status = painting && !this.#brush.isActing ? `${Math.round(painting.mask.share * 100)} % of the picture is painted for part ${this.#active + 1}.` : '';
    if (!this.#brush.isActing && this.#status.textContent !== status) this.#status.textContent = status;
    const said = this.#parts.map((words, index) => {
      const { rect, isPainted } = this.#list[index] ?? {};
      if (isPainted) return `${index + 1}, ${words || 'no words'}: painted`;
      return `${index + 1}, ${words || 'no words'}: ${rect ? SIDES.map((side, i) => `${side.toLowerCase()} ${rect[i]} %`).join(', ') : 'everywhere'}`;
    });
    this.#sheet.setAttribute('aria-label', `Where parts are. ${said.join('. ')}. ${painting ? KEYS : `Arrow keys move the rectangle of part ${this.#active + 1}, with Shift its size.`}`);
  }
}

/** @param {Kept} kept */
const isPlaced = ({ rect, mask }) => Boolean(rect || mask);

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
