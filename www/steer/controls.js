/**
 * Control images: maps that steer a run, each read by a ControlNet. A ControlNet's file is brought once and kept in this browser
 * beside the LoRAs; a picture is kept among the visitor's own, by its hash. What is read of the picture is shown as it is set.
 */

import { offered } from '../catalogue/offered.js';
import { $, bytes, keep, make } from '../js/dom.js';
import { plain } from '../js/pictures.js';
import { report } from '../js/report.js';
import { sentence } from '../js/words.js';
import { LIMITS } from '../limits.js';
import { field, select } from './fields.js';

/** How a map is made of a picture. @type {[import('../protocol.d.ts').Preprocessor, string][]} */
const MAPS = [
  ['none', 'It is the map'], ['canny', 'Edges (Canny)'], ['lineart', 'Line drawing'], ['scribble', 'Scribble'],
  ['color', 'Squares of colour'], ['tile', 'The picture (tile)'], ['inpaint', 'Inpaint'],
];
/** What counts more, as A1111 has it. @type {[import('../protocol.d.ts').Importance, string][]} */
const IMPORTANCE = [['balanced', 'Prompt and map alike'], ['prompt', 'My prompt is more important'], ['control', 'The map is more important']];
/** Brightness changes along an edge that Canny finds, and somewhere by more. */
const CANNY = [100, 200];
const MOST_CHANGE = 255;
/** What the names of ControlNets say of their maps. @type {[RegExp, string][]} */
const NAMED = [[/canny/i, 'canny'], [/line_?art/i, 'lineart'], [/scribble|hed|softedge/i, 'scribble'], [/colou?r/i, 'color'], [/tile/i, 'tile'], [/inpaint/i, 'inpaint']];
/** As many as the engine takes. */
const MOST = 4;
/** So long nothing is typed or moved before the map is made again, in ms. */
const PAUSE = 200;

/** @typedef {{model: string, image: string | null, preprocessor: string, strength: number, start: number, end: number, importance: string}} Kept */

/** Where nobody said otherwise. */
const PLAIN = { preprocessor: 'none', strength: 1, start: 0, end: 1, importance: 'balanced' };

export class Controls {
  /** @type {{kept: Kept, card: Card}[]} */ #list = [];
  /** Names of the ControlNets that are kept here. @type {string[]} */ #models = [];

  /**
   * @param {{engine: () => Promise<import('../client.js').OpenGen>, pictures: import('../js/pictures.js').Pictures,
   *   settings: import('../js/settings.js').Settings}} page
   */
  static async begin(page) {
    const controls = new Controls(page);
    await controls.#refresh();
    for (const kept of keep.read('controls')?.list ?? []) controls.#put({ ...PLAIN, ...kept });
    controls.draw();
    return controls;
  }

  constructor({ engine, pictures, settings }) {
    Object.assign(this, { engine, pictures, settings });
    this.#cards = make('ul', { className: 'steer-list' });
    this.#cards.setAttribute('aria-label', 'Control images');
    this.#image = chooser('control-file', 'image/*', 'A picture that steers', (file) => this.begin(file));
    this.#model = chooser('control-model-file', '.safetensors', 'A ControlNet’s file', (file) => this.add(file));
    this.#more = make('button', { type: 'button', className: 'button small ghost', id: 'control-add', textContent: 'Add a control image' });
    this.#more.addEventListener('click', () => this.#image.click());
    const bring = make('button', { type: 'button', className: 'button small ghost', id: 'control-model', textContent: 'Add a ControlNet' });
    bring.addEventListener('click', () => this.#model.click());
    this.#error = make('p', { className: 'field-error', id: 'controls-error', hidden: true });
    this.#hint = make('p', { className: 'quiet hint' });
    this.#having = make('ul', { className: 'steer-models' });
    this.#having.setAttribute('aria-label', 'ControlNets');
    $('controls-box').replaceChildren(
      this.#cards, this.#error, make('div', { className: 'steer-add' }, this.#more, bring), this.#hint, this.#having, offered('controlnet', 'Get a ControlNet', (file) => this.add(file)), this.#image, this.#model,
    );
    for (const id of ['width', 'height']) for (const event of ['input', 'put']) $(id).addEventListener(event, () => this.#list.forEach(({ card }) => card.look()));
    $('reset').addEventListener('click', () => this.take([]));
  }

  #cards;
  #image;
  #model;
  #more;
  #error;
  #hint;
  #having;

  /** What a request says of them. */
  of() {
    const controls = this.#list.map(({ kept }) => kept).filter(({ image, strength }) => image && strength > 0);
    return controls.length ? { controls } : {};
  }

  /** What is missing for one of them. @returns {{field: string, message: string} | null} */
  missing() {
    this.settings.mark('controls', '');
    const strange = this.#list.map(({ kept }) => kept.image && unknown(kept.preprocessor)).find(Boolean);
    if (strange) return { field: 'controls', message: `“${strange}” is not known here: choose what is read of the control image, or remove it.` };
    const without = this.#list.some(({ kept }) => kept.image && !this.#models.includes(kept.model));
    const message = this.#models.length ? 'A control image has no ControlNet that reads it: choose one, or remove the image.'
      : 'A ControlNet has to read the control image: add its file, or remove the image.';
    const backwards = this.#list.some(({ kept: { start, end } }) => start >= end);
    if (backwards) return { field: 'controls', message: 'A control image ends before it begins: set its end later than its start.' };
    return without ? { field: 'controls', message } : null;
  }

  /** What steered a picture; a map is not in its file. @param {any[]} controls */
  take(controls) {
    this.#list = [];
    for (const { model, image = null, ...how } of controls.slice(0, MOST)) {
      const told = Object.entries(PLAIN).map(([name, usual]) => [name, how[name] ?? usual]);
      this.#put({ model: model ?? '', image, .../** @type {typeof PLAIN} */ (Object.fromEntries(told)) });
    }
    this.draw();
  }

  /** A picture that steers from now on. Never rejects. @param {File} file */
  async begin(file) {
    try {
      const image = await this.pictures.keepSource(await plain(file));
      const model = this.#models.length === 1 ? this.#models[0] : '';
      this.#put({ ...PLAIN, model, image, preprocessor: mapOf(model) });
      this.draw();
    } catch {
      report(`“${file.name}” was not taken.`, ['This browser reads no picture in it, or did not keep it. The control images are as they were.']);
    }
  }

  /** Keeps a ControlNet. Never rejects: says how it ended. @param {File} file @returns {Promise<boolean>} whether it is kept */
  async add(file) {
    const name = file.name.replace(/\.[^.]*$/, '').replace(/[<>:\n]/g, ' ').trim() || 'control';
    report(`Keeping “${file.name}”.`, [`${bytes(file.size)} are copied into this browser’s store.`]);
    try {
      const { networks } = await this.engine();
      const { about } = await networks.add(file, { name });
      await this.#refresh();
      $('controls').open = true;
      if (about.kind !== 'controlnet') {
        report(`“${name}” is no ControlNet.`, ['It is kept, and listed under LoRAs and embeddings.']);
        return true;
      }
      for (const { kept } of this.#list) if (!this.#models.includes(kept.model)) Object.assign(kept, { model: name, preprocessor: mapOf(name) });
      this.draw();
      report(`“${name}” reads control images from now on.`, ['It is kept in this browser. Add a picture that shall steer under Control images.']);
      return true;
    } catch (error) {
      report(`“${file.name}” was not added.`, [sentence(error.message.replace(`${name}: `, ''))]);
      return false;
    }
  }

  /** Makes the map of a control image as it is set. @param {Kept} kept @returns {Promise<ImageData | null>} */
  async map({ image, preprocessor }) {
    const png = image && await this.pictures.source(image);
    if (!png) return null;
    const [width, height] = ['width', 'height'].map((side) => Math.min(LIMITS.size.to, Math.max(8, Math.floor(Number($(side).value)) || 8)));
    const { width: w, height: h, data } = await pixelsOf(png);
    const made = await (await this.engine()).study({ what: 'map', image: { width: w, height: h, data }, preprocessor, resize: 'crop', width, height });
    return new ImageData(made.data, made.width, made.height);
  }

  /** @param {Kept} kept */
  #put(kept) {
    if (this.#list.length === MOST) return;
    const one = { kept, card: new Card(this, kept) };
    this.#list.push(one);
  }

  /** @param {Kept} kept */
  leave(kept) {
    this.#list = this.#list.filter((one) => one.kept !== kept);
    this.draw();
    this.#more.focus();
  }

  /** What is kept here, as it is now. */
  async #refresh() {
    const all = await this.engine().then(({ networks }) => networks.list(), () => []).catch(() => []);
    const models = all.filter(({ about }) => about.kind === 'controlnet');
    this.#models = models.map(({ name }) => name);
    this.#having.replaceChildren(...models.map(({ name, bytes: size }) => {
      const remove = make('button', { type: 'button', className: 'link', textContent: 'Delete' });
      remove.setAttribute('aria-label', `Delete ${name}`);
      remove.addEventListener('click', () => this.#remove(name));
      return make('li', {}, make('span', { textContent: name }), make('span', { className: 'quiet', textContent: bytes(size) }), remove);
    }));
  }

  /** @param {string} name */
  async #remove(name) {
    try {
      await (await this.engine()).networks.remove(name);
      await this.#refresh();
      this.draw();
    } catch (error) {
      report(`“${name}” was not deleted.`, [sentence(error.message)]);
    }
  }

  get models() {
    return this.#models;
  }

  /** Shows what is set, on the closed lid too, and keeps it. */
  draw() {
    const list = this.#list.map(({ kept }) => kept);
    const cards = this.#list.map(({ card }) => card.element);
    if (cards.length !== this.#cards.children.length || cards.some((card, i) => card !== this.#cards.children[i])) this.#cards.replaceChildren(...cards);
    this.#list.forEach(({ card }) => card.draw());
    this.#more.disabled = list.length === MOST;
    this.#hint.textContent = this.#models.length
      ? 'The picture’s shapes are followed while the words say what is there. The map below each is what is read of it.'
      : 'A picture’s shapes can be followed: its edges, its lines, its colours. For that a ControlNet made for the model is needed, a safetensors file; it is kept in this browser.';
    const count = list.filter(({ image, strength }) => image && strength > 0).length;
    $('controls-state').textContent = count ? String(count) : 'off';
    $('controls').toggleAttribute('data-on', count > 0);
    this.settings.mark('controls', '');
    keep.write('controls', { on: list.length > 0, list });
  }
}

let cards = 0;

/** One control image: its map, which ControlNet reads it, how much it counts and when. */
class Card {
  /** Counts what was asked for: a map that has been overtaken is passed over. */ #asked = 0;
  #timer = 0;

  /** @param {Controls} controls @param {Kept} kept */
  constructor(controls, kept) {
    Object.assign(this, { controls, kept });
    const id = `control-${++cards}`;
    this.#view = make('canvas', { width: 8, height: 8 });
    this.#view.setAttribute('role', 'img');
    this.#said = make('p', { className: 'quiet', hidden: true });
    const remove = make('button', { type: 'button', className: 'link', textContent: 'Remove' });
    remove.setAttribute('aria-label', `Remove control image ${cards}`);
    remove.addEventListener('click', () => controls.leave(kept));
    this.#model = select([]);
    this.#map = select(MAPS);
    this.#importance = select(IMPORTANCE);
    this.#importance.addEventListener('change', () => {
      kept.importance = this.#importance.value;
      controls.draw();
    });
    const [start, end] = ['start', 'end'].map((name) => number({ to: 1, step: 0.05, usual: PLAIN[name], value: kept[name] }, (share) => {
      kept[name] = share;
      controls.draw();
    }));
    const range = make('input', { type: 'range', min: 0, max: 2, step: 0.05, value: kept.strength });
    this.#strength = make('output', {});
    range.addEventListener('input', () => {
      kept.strength = Number(range.value);
      controls.draw();
    });
    this.#model.addEventListener('change', () => {
      Object.assign(kept, { model: this.#model.value, preprocessor: mapOf(this.#model.value) });
      controls.draw();
      this.look();
    });
    this.#map.addEventListener('change', () => this.#read(this.#map.value));
    this.#edges = CANNY.map((usual) => number({ to: MOST_CHANGE, step: 1, usual, value: usual }, () => {
      this.#read(['canny', ...this.#edges.map(({ value }) => value)].join());
    }));
    const slider = make('div', { className: 'slider' }, range, this.#strength);
    const wide = (element) => (element.classList.add('wide'), element);
    this.#thresholds = [field(`${id}-low`, 'Edges change by', this.#edges[0]), field(`${id}-high`, 'Somewhere by', this.#edges[1])];
    const fields = make('div', { className: 'fields' },
      wide(field(`${id}-model`, 'ControlNet', this.#model)), wide(field(`${id}-map`, 'What is read of it', this.#map)), ...this.#thresholds,
      wide(field(`${id}-strength`, 'Strength', slider, range)),
      field(`${id}-start`, 'From', start), field(`${id}-end`, 'Up to', end),
      wide(field(`${id}-importance`, 'What counts more', this.#importance)));
    this.element = make('li', {}, make('div', { className: 'steer-view' }, this.#view, this.#said, remove), fields);
    this.draw();
    this.look();
  }

  #view;
  #said;
  #model;
  #map;
  #edges;
  #thresholds;
  #importance;
  #strength;

  /** What is read of the picture from now on. @param {string} preprocessor */
  #read(preprocessor) {
    this.kept.preprocessor = preprocessor;
    this.controls.draw();
    this.look();
  }

  draw() {
    const { model, preprocessor, strength, importance } = this.kept;
    const { models } = this.controls;
    const options = models.includes(model) ? models : ['', ...models];
    this.#model.replaceChildren(...options.map((name) => make('option', { value: name, textContent: name || (model ? `${model} is not here` : 'none yet') })));
    this.#model.value = models.includes(model) ? model : '';
    const [map, ...thresholds] = preprocessor.split(',');
    const strange = unknown(preprocessor);
    const maps = strange ? [[map, `${strange} is not known here`], ...MAPS] : MAPS;
    if (maps.length !== this.#map.options.length) this.#map.replaceChildren(...maps.map(([value, textContent]) => make('option', { value, textContent })));
    this.#map.value = map;
    this.#edges.forEach((input, i) => { input.value = thresholds[i] ?? String(CANNY[i]); });
    for (const element of this.#thresholds) element.hidden = map !== 'canny';
    this.#importance.value = importance;
    this.#strength.textContent = strength.toFixed(2);
  }

  /** Has the map made again, once nothing is changed for a moment. */
  look() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), PAUSE);
  }

  async #look() {
    const asked = ++this.#asked;
    let wrong = this.kept.image ? 'The picture is not here any more: remove it, and add it again.' : 'Its picture is not in the file: remove it, and add one.';
    const strange = unknown(this.kept.preprocessor);
    if (strange) wrong = `“${strange}” is not known here: choose what is read of the picture.`;
    const map = strange ? null : await this.controls.map(this.kept).catch((error) => {
      wrong = sentence(error.message);
      return null;
    });
    if (asked !== this.#asked) return;
    this.#said.hidden = map !== null;
    this.#view.hidden = map === null;
    if (!map) {
      this.#said.textContent = wrong;
      return;
    }
    Object.assign(this.#view, { width: map.width, height: map.height });
    this.#view.getContext('2d').putImageData(map, 0, 0);
    this.#view.setAttribute('aria-label', `What is read: ${this.#map.selectedOptions[0]?.textContent ?? 'the map'}`);
  }
}

/** The kind of map that settings of another page or version name, where there is none such here. @param {string} preprocessor */
function unknown(preprocessor) {
  const [map] = preprocessor.split(',');
  return MAPS.some(([name]) => name === map) ? '' : map || 'nothing';
}

/** The map that a ControlNet of this name wants. @param {string} name */
const mapOf = (name) => NAMED.find(([words]) => words.test(name))?.[1] ?? 'none';

/**
 * A field for a number from 0 on: what is typed is brought to its range, and what is none to what is usual.
 * @param {{to: number, step: number, usual: number, value: number}} is @param {(value: number) => void} take
 */
function number({ to, step, usual, value }, take) {
  const input = make('input', { type: 'number', min: 0, max: to, step, inputMode: step < 1 ? 'decimal' : 'numeric', value });
  input.addEventListener('change', () => {
    const given = input.value === '' ? NaN : Number(input.value);
    const whole = step < 1 ? given : Math.round(given);
    const taken = Number.isFinite(whole) ? Math.min(to, Math.max(0, whole)) : usual;
    input.value = String(taken);
    take(taken);
  });
  return input;
}

/** @param {string} id @param {string} accept @param {string} label @param {(file: File) => void} take */
function chooser(id, accept, label, take) {
  const input = make('input', { type: 'file', id, accept, hidden: true, tabIndex: -1 });
  input.setAttribute('aria-label', label);
  input.addEventListener('change', () => {
    const [file] = input.files;
    input.value = ''; // the same file may be chosen again
    if (file) take(file);
  });
  return input;
}

/** @param {Blob} png */
async function pixelsOf(png) {
  const bitmap = await createImageBitmap(png);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
