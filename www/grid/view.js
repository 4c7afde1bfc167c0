/** A grid of pictures: two or three settings side by side, drawn as one job, a cell at a time; each cell is a picture like any other. */

import { $, bytes, duration, keep, make } from '../js/dom.js';
import { nameOf } from '../js/pictures.js';
import { report } from '../js/report.js';
import { drawSeed } from '../js/settings.js';
import { estimate } from '../js/sizes.js';
import { sentence } from '../js/words.js';
import { AXES, axisOf, besides, cellsOf, fieldsOf, labelOf, valuesOf, written } from './axes.js';

/** More cells than these are drawn only when that is said twice. */
const ASKED = 60;
/** More are not drawn. */
const MOST = 20_000;
const SIDES = ['Columns', 'Rows', 'Tables'];

/** @typedef {{axis: import('./axes.js').Axis, values: any[]}} Side */
/** @typedef {import('../js/gallery.js').Made} Made */
/** @typedef {import('../protocol.d.ts').ModelInfo} Model */

export class Grid {
  /**
   * The grid that is there: what it asks for, of which models where these change, and what is drawn of it.
   * @type {{sides: Side[], cells: any[], models: (Model | null)[], made: (Made | null)[], stopped: boolean} | null}
   */
  #grid = null;
  /** How many cells a person has agreed to. */
  #agreed = 0;

  /**
   * @param {{making: import('../js/making.js').Making, settings: import('../js/settings.js').Settings,
   *   begin: import('../js/begin.js').Begin, session: import('../js/session.js').Session,
   *   gallery: import('../js/gallery.js').Gallery, choice: import('../js/choice.js').Choice, using: import('../js/using.js').Using}} page
   */
  constructor(page) {
    Object.assign(this, page);
    this.#sides = SIDES.map((name, i) => side(name, i, () => this.#tell()));
    this.#cost = make('p', { className: 'quiet hint' });
    this.#cost.setAttribute('aria-live', 'polite');
    this.#go = make('button', { type: 'button', className: 'button small', id: 'grid-go', textContent: 'Draw the grid' });
    this.#go.addEventListener('click', () => this.#draw());
    const hint = make('p', { className: 'quiet hint', textContent: 'Lists: 10, 20, 30 · 1-5 · 1-10 (+3) · 0-1 [5]. Words in quotation marks may hold commas; the first are those that stand in the prompt.' });
    $('grid-box').replaceChildren(...this.#sides.map(({ element }) => element), hint, this.#cost, this.#go);
    this.#sheet = make('section', { id: 'grid-sheet', className: 'grid-sheet', hidden: true });
    this.#sheet.setAttribute('aria-label', 'Grid');
    $('report').parentElement.after(this.#sheet);
    for (const field of ['prompt', 'steps', 'width', 'height', 'guidance', 'sampler']) {
      for (const event of ['input', 'put']) $(field).addEventListener(event, () => $('grid').open && this.#tell());
    }
    $('grid').addEventListener('toggle', () => $('grid').open && this.#tell());
    this.#nameModels();
    this.choice.addEventListener('change', () => this.#nameModels());
    this.#tell();
  }

  #sides;
  #cost;
  #go;
  #sheet;

  /** Models are called as the page calls them. */
  #nameModels() {
    const names = this.choice.all.map(({ name }) => name);
    Object.assign(axisOf('model'), { choices: names, hint: written(names) });
  }

  /** What the fields ask for. @returns {{sides: Side[], cells: any[], models: (Model | null)[]}} @throws {Error} what is wrong with it */
  #asked() {
    const sides = this.#sides.filter(({ axis }) => axis()).map(({ axis, text }) => ({ axis: axis(), values: valuesOf(axis(), text()) }));
    if (!sides.length) throw new Error('Choose what changes from one column to the next.');
    const twice = sides.find(({ axis }, i) => axis.id !== 'words' && sides.findIndex((other) => other.axis === axis) < i);
    if (twice) throw new Error(`${twice.axis.title} cannot be two sides of one grid.`);
    const count = sides.reduce((product, { values }) => product * values.length, 1);
    if (count > MOST) throw new Error(`That would be ${count.toLocaleString('en')} pictures; up to ${MOST.toLocaleString('en')} can be drawn.`);
    const begun = this.begin.request;
    const { batch: _, ...base } = { ...this.settings.glance(), ...begun };
    // Beside the form a cell is told what counts with its own sampler, words and size.
    const all = cellsOf(base, sides);
    const models = all.map(({ model }) => (model === undefined ? null : this.choice.find(model)));
    return { sides, models, cells: besides(all.map(({ model, ...cell }) => ({ ...cell, ...this.making.extras?.of(cell) })), sides) };
  }

  /** Says how many pictures that is and how long it takes, or what is missing. */
  #tell() {
    try {
      const { cells, models } = this.#asked();
      const each = cells.slice(0, 400).map((cell, i) => estimate((models[i] ?? this.session.model)?.id ?? '', cell));
      const ms = each.some((one) => one === null) ? null : (each.reduce((sum, one) => sum + one, 0) / each.length) * cells.length;
      const time = ms === null ? '' : `, about ${duration(ms / 1000)}`;
      const many = cells.length > ASKED && cells.length !== this.#agreed;
      this.#cost.textContent = `${cells.length.toLocaleString('en')} ${cells.length === 1 ? 'picture' : 'pictures'}${time}.${many ? ' That is many: press twice.' : ''}`;
      this.#go.disabled = false;
      $('grid-state').textContent = this.#grid ? 'drawn' : 'set';
    } catch (error) {
      this.#cost.textContent = error.message;
      this.#go.disabled = true;
      $('grid-state').textContent = 'off';
    }
    if (this.#go.textContent !== 'Draw the grid') this.#go.textContent = 'Draw the grid';
  }

  /** Lines the grid up; what was drawn already, here or at another visit, is not drawn again. */
  async #draw() {
    this.settings.fillEmptyPrompt();
    let asked;
    try {
      asked = this.#asked();
    } catch (error) {
      this.#cost.textContent = error.message;
      return;
    }
    const { sides, cells, models } = asked;
    if (cells.length > ASKED && this.#agreed !== cells.length) {
      this.#agreed = cells.length;
      this.#go.textContent = `Draw ${cells.length.toLocaleString('en')} pictures`;
      return;
    }
    const missing = this.begin.missing();
    if (missing) {
      this.#cost.textContent = sentence(missing.message);
      return;
    }
    // One seed for all, unless it is what changes.
    if (this.settings.random.checked && !sides.some(({ axis }) => axis.id === 'seed')) {
      const seed = drawSeed();
      cells.forEach((cell) => {
        cell.seed = seed;
      });
    }
    let chosen = cells;
    try {
      chosen = (await this.making.extras?.chosen(cells)) ?? cells;
    } catch (error) {
      this.#cost.textContent = sentence(error.message);
      return;
    }
    if (!chosen.length) return;
    const grid = { sides, cells: chosen, models, made: chosen.map(() => null), stopped: false };
    this.#grid = grid;
    this.#show();
    this.#sheet.scrollIntoView({ block: 'nearest' });
    await this.#find(grid);
    this.#line(grid);
  }

  /** Cells that are among the visitor's pictures. */
  async #find(grid) {
    const { pictures } = this.making;
    const kept = new Map((await pictures.list()).map((entry) => [nameOf(entry), entry]));
    for (const [i, cell] of grid.cells.entries()) {
      const entry = kept.get(nameOf({ settings: cell, model: (grid.models[i] ?? this.session.model).id }));
      const made = entry && await this.gallery.open(entry).catch(() => null); // deleted in another tab
      if (!made) continue;
      grid.made[i] = made;
      if (this.#grid === grid) this.#put(i);
    }
  }

  /** The cells that are not drawn yet go into the line. */
  #line(grid) {
    const home = this.session.model;
    // One model after the other, the one that is there first: each is loaded once.
    const turn = (/** @type {number} */ i) => [null, home, ...this.choice.all].findIndex((model) => model?.id === grid.models[i]?.id);
    const open = grid.cells.map((_, i) => i).filter((i) => !grid.made[i]).sort((a, b) => turn(a) - turn(b));
    if (!open.length) return this.#end(grid);
    grid.stopped = false;
    this.#foot();
    this.making.line({
      prompt: `Grid: ${grid.cells[0].prompt}`, pictures: open.map((i) => grid.cells[i]),
      prepare: (at) => {
        const model = grid.models[open[at]];
        if (!model || model.id === this.session.model.id) return;
        this.session.start(model);
        this.using.tell(model);
      },
      onMade: (at, made) => {
        grid.made[open[at]] = made;
        if (this.#grid === grid) this.#put(open[at]);
      },
      onEnd: (outcome) => {
        this.#comeHome(home, outcome);
        grid.stopped = outcome !== 'done' || grid.made.some((made) => !made);
        if (this.#grid === grid) this.#end(grid);
      },
    });
  }

  /** The model that was in use is so again, or one that was chosen meanwhile. @param {Model} home @param {'done' | 'cancelled' | 'failed'} outcome */
  #comeHome(home, outcome) {
    const model = (outcome !== 'failed' && this.choice.find(keep.read('model'))) || home; // one that failed to load left another in use
    if (this.session.model.id === model.id) return;
    keep.write('model', model.id);
    this.session.start(model);
    this.using.introduce(model);
    this.using.list();
  }

  #end(grid) {
    this.#foot();
    if (!grid.stopped) report('The grid is drawn.', [`${grid.cells.length} pictures. Each is among yours; a press on a cell shows it.`]);
  }

  /** The grid as tables on the page. */
  #show() {
    const { sides: [columns, rows, tables], cells } = this.#grid;
    const of = (side) => (side ? side.values.map((value) => labelOf(side.axis, value)) : ['']);
    const [across, down, apart] = [of(columns), of(rows), of(tables)];
    const cell = (i) => {
      const button = make('button', { type: 'button', className: 'grid-cell', disabled: true });
      button.dataset.cell = String(i);
      button.setAttribute('aria-label', `${[across[i % across.length], down[Math.floor(i / across.length) % down.length],
        apart[Math.floor(i / across.length / down.length)]].filter(Boolean).join(', ')}: not drawn yet`);
      button.style.aspectRatio = `${cells[i].width} / ${cells[i].height}`;
      button.addEventListener('click', () => this.#grid.made[i] && this.gallery.onPick(this.#grid.made[i]));
      return make('td', {}, button);
    };
    const table = (name, t) => make('table', {}, ...(name ? [make('caption', { textContent: name })] : []),
      make('thead', {}, make('tr', {}, ...(rows ? [make('td', {})] : []), ...across.map((label) => make('th', { scope: 'col', textContent: label })))),
      make('tbody', {}, ...down.map((label, y) => make('tr', {}, ...(rows ? [make('th', { scope: 'row', textContent: label })] : []),
        ...across.map((_, x) => cell((t * down.length + y) * across.length + x))))));
    const box = make('div', { className: 'grid-tables', tabIndex: 0 }, ...apart.map(table));
    box.setAttribute('role', 'group');
    box.setAttribute('aria-label', 'The pictures of the grid');
    this.#labels = [across, down, apart];
    this.#footer = make('p', { className: 'grid-foot' });
    this.#footer.setAttribute('aria-live', 'polite');
    this.#sheet.replaceChildren(make('h2', { textContent: 'Grid' }), box, this.#footer);
    this.#sheet.hidden = false;
    this.#foot();
  }

  #labels;
  #footer;

  /** Puts a picture that is drawn into its cell. @param {number} i */
  #put(i) {
    const { image } = this.#grid.made[i];
    const button = /** @type {HTMLButtonElement} */ (this.#sheet.querySelector(`[data-cell="${i}"]`));
    const canvas = make('canvas', { width: image.width, height: image.height });
    canvas.getContext('2d').putImageData(image, 0, 0);
    button.replaceChildren(canvas);
    button.disabled = false;
    button.setAttribute('aria-label', button.getAttribute('aria-label').replace(': not drawn yet', ''));
    this.#foot();
  }

  /** How far it is, and what can be done with it. */
  #foot() {
    const grid = this.#grid;
    const made = grid.made.filter(Boolean).length;
    const act = (text, run, ghost = true) => {
      const button = make('button', { type: 'button', className: `button small${ghost ? ' ghost' : ''}`, textContent: text });
      button.addEventListener('click', run);
      return button;
    };
    const acts = [];
    if (grid.stopped && made < grid.cells.length) acts.push(act('Go on', () => this.#line(grid), false));
    if (made) acts.push(act('Save as PNG', () => this.#save(grid).catch((error) => report('The grid was not saved.', [sentence(error.message)]))));
    acts.push(act('Close', () => {
      this.#sheet.hidden = true;
    }));
    this.#footer.replaceChildren(make('span', { className: 'quiet', textContent: `${made} of ${grid.cells.length} drawn` }), ...acts);
  }

  async #save(grid) {
    const { sheet, withTexts } = await import('./sheet.js');
    const pictures = await Promise.all(grid.made.map((made) => made && createImageBitmap(made.image)));
    const empty = await createImageBitmap(new ImageData(1, 1));
    const canvas = sheet({ pictures: pictures.map((picture) => picture ?? empty), labels: this.#labels });
    const drawn = await canvas.convertToBlob({ type: 'image/png' });
    const png = keepsTexts() ? await withTexts(drawn, grid.made.find(Boolean).png, fieldsOf(grid.sides)) : drawn;
    const link = make('a', { href: URL.createObjectURL(png), download: `grid-${grid.cells[0].seed}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    report('The grid is saved.', [`${link.download}: ${canvas.width} × ${canvas.height} pixels, ${bytes(png.size)}.`]);
  }
}

/** Whether files that are saved say what they were made with. */
const keepsTexts = () => !$('bare').checked;

/**
 * The fields of one side.
 * @param {string} name @param {number} index @param {() => void} onChange
 */
function side(name, index, onChange) {
  const choice = make('select', { id: `grid-${'xyz'[index]}` }, make('option', { value: '', textContent: index ? 'nothing' : 'choose …' }),
    ...AXES.map(({ id, title }) => make('option', { value: id, textContent: title })));
  const list = make('input', { type: 'text', id: `grid-${'xyz'[index]}-values`, autocomplete: 'off', hidden: true });
  list.setAttribute('aria-label', `Values of the ${name.toLowerCase()}`);
  choice.addEventListener('change', () => {
    list.hidden = !choice.value;
    list.placeholder = axisOf(choice.value)?.hint ?? '';
    onChange();
  });
  list.addEventListener('input', onChange);
  const label = make('label', { textContent: name, htmlFor: choice.id });
  return { element: make('div', { className: 'field grid-side' }, label, choice, list), axis: () => axisOf(choice.value), text: () => list.value };
}
