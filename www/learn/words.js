/** Part 3, words into pictures: the prompt's tokens, where each was looked at, and which of them a place looked at. */

import { make } from '../js/dom.js';
import { firstNoun, heat, largest, meanOf, shares, sharesAt } from './attention.js';
import { Made, onEnter } from './fields.js';
import { Figure, Work, button, field, input, range, row, section, select } from './kit.js';
import { toImageData } from './lab.js';
import { Strange } from './strange.js';
import { TEXTS } from './texts.js';

const T = TEXTS.words;
const MEAN = 'mean';
/** Pixels along a token's own map. */
const SMALL = 64;
/** Stands for the tokens that fill up the text, once there are shares to show. */
const FILLING = { text: '' };
/** How a key moves over the picture's places. */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Words {
  /** The maps of every step, oldest first. */ #steps = [];
  /** Their mean over the steps and layers that are chosen. @type {import('./attention.js').Grid | null} */ #grid = null;
  /** The share that is brightest in every map. */ #most = 0;
  #tokens = [];
  #chosen = 0;
  /** A token that is pointed at for the moment. */ #pointed = null;
  /** A place that is pointed at. @type {[number, number] | null} */ #place = null;
  #image = null;
  #drawn = null;
  #asked = 0;

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.work = new Work();
    this.prompt = input({ value: lab.model.examples[0]?.prompt ?? '' });
    this.prompt.addEventListener('input', () => this.#read());
    this.strange = new Strange(lab, [this.prompt]);
    this.tokens = make('div', { className: 'tokens', role: 'group', ariaLabel: T.tokens });
    this.layer = select([[MEAN, T.allLayers]]);
    this.layer.addEventListener('change', () => this.#weighAgain());
    this.step = range({ min: 0, max: 1, value: 0 });
    this.step.addEventListener('input', () => this.#weighAgain());
    this.stepField = field(T.step(T.allSteps), this.step, { wide: true });
    this.heat = new Figure('');
    this.result = new Figure(T.result);
    this.cells = [this.heat, this.result].map((figure) => this.#overlay(figure));
    this.most = make('output', { ariaLive: 'off' });
    this.sizes = make('p', { className: 'numbers quiet' });
    this.here = make('p', { className: 'numbers', ariaLive: 'polite' });
    this.looks = row('looks', row('shots two', this.result.root, this.heat.root), this.here,
      row('scale quiet', make('span', { textContent: percent(0) }), make('i'), this.most), this.sizes,
      make('details', { className: 'fold' }, make('summary', { textContent: T.closer }),
        row('controls', field(T.layer, this.layer), this.stepField)));
    this.looks.hidden = true;
    const fields = row('controls', field(TEXTS.prompt, this.prompt, { wide: true }),
      button(T.draw, () => this.#run(), { primary: true }));
    onEnter(fields, () => this.#run());
    this.root = section(T, fields, this.strange.root, this.tokens, this.work.root, this.looks);
    this.made = new Made(fields, this.looks, this.work, { now: () => this.prompt.value, again: T.draw });
    lab.ready().then(() => this.#read()).catch(() => {}); // told when something is asked
    this.stage = this.tokens;
  }

  /** A picture and its attention of its own accord. */
  arrive() {
    return this.#run();
  }

  leave() {
    this.work.abort();
  }

  /** Lets a picture be asked for the words of its places: by pointer, touch and arrow keys. */
  #overlay(figure) {
    const cell = make('i', { className: 'cell', hidden: true });
    const over = make('button', { type: 'button', className: 'places', ariaLabel: figure === this.result ? T.ask : T.askMap });
    figure.canvas.replaceWith(over);
    over.append(figure.canvas, cell);
    const point = (event) => {
      const { left, top, width, height } = over.getBoundingClientRect();
      this.#ask((event.clientX - left) / width, (event.clientY - top) / height);
    };
    over.addEventListener('pointermove', point);
    over.addEventListener('pointerdown', point);
    over.addEventListener('pointerleave', ({ pointerType }) => pointerType === 'mouse' && this.#leave());
    over.addEventListener('focus', () => over.matches(':focus-visible') && !this.#place && this.#ask(0.5, 0.5, 'polite'));
    over.addEventListener('blur', () => this.#leave());
    over.addEventListener('keydown', (event) => {
      const way = WAYS[event.key];
      if (!way || !this.#grid) return;
      event.preventDefault();
      const [x, y] = this.#place ?? [0, 0];
      const { width, height } = this.#grid;
      this.#ask((x + way[0] + 0.5) / width, (y + way[1] + 0.5) / height, 'polite');
    });
    return cell;
  }

  /** Shows the tokens of what is typed. */
  async #read() {
    const turn = ++this.#asked;
    const tokens = await this.lab.ask({ what: 'tokens', prompt: this.prompt.value });
    if (turn === this.#asked) this.#showTokens(tokens);
  }

  /** Each token as a button; once the prompt is drawn, with its map and its share. */
  #showTokens(tokens) {
    const before = this.#tokens[this.#chosen]?.text;
    if (!before || tokens[this.#chosen]?.text !== before) this.#chosen = firstNoun(tokens, this.lab.model);
    this.#tokens = this.#drawn === this.prompt.value ? [...tokens, FILLING] : tokens;
    this.#pointed = null;
    const names = this.#tokens.map((_, i) => this.#name(i));
    const there = [...this.tokens.children];
    const kept = names.findIndex((name, i) => there[i]?.querySelector('span').textContent !== name);
    const from = kept < 0 ? names.length : kept;
    for (const chip of there.slice(from)) chip.remove(); // the others stay, and with them the focus
    this.tokens.append(...names.slice(from).map((name, i) => this.#chip(name, from + i)));
    this.#showMaps();
  }

  #chip(name, i) {
    const chip = make('button', { type: 'button', className: 'token' },
      make('canvas', { width: SMALL, height: SMALL, ariaHidden: 'true' }), make('span', { textContent: name }),
      make('output', { ariaLive: 'off' }));
    chip.toggleAttribute('data-special', !this.#tokens[i].text);
    chip.addEventListener('click', () => this.#choose(i));
    chip.addEventListener('pointerenter', ({ pointerType }) => pointerType === 'mouse' && this.#look(i));
    chip.addEventListener('focus', () => this.#look(i));
    for (const end of ['pointerleave', 'blur']) chip.addEventListener(end, () => this.#look(null));
    return chip;
  }

  #name(i) {
    if (this.#tokens[i] === FILLING) return T.filling;
    return this.#tokens[i]?.text || (i === 0 ? T.begin : T.end);
  }

  /** Whether the maps are those of the tokens that are shown. */
  get #fits() {
    return this.#tokens.at(-1) === FILLING && this.#drawn === this.prompt.value;
  }

  #choose(i) {
    this.#chosen = i;
    this.#paint();
    if (!this.#fits && !this.work.running) this.#run(); // there is nothing to look at yet
  }

  #look(i) {
    this.#pointed = i;
    this.#paint();
  }

  async #run() {
    const prompt = this.prompt.value;
    const done = await this.work.run(async (signal) => {
      await this.lab.ready(signal);
      const request = this.lab.request({ prompt, seed: this.lab.model.examples[0]?.seed ?? 0 });
      const tokens = await this.lab.ask({ what: 'tokens', prompt }, signal);
      const { latents: start, steps } = await this.lab.ask({ what: 'begin', request }, signal);
      let latents = start;
      const taken = [];
      for (let index = 0; index < steps.length; index++) {
        this.work.progress(T.working(index + 1, steps.length));
        const trace = await this.lab.ask({ what: 'step', request, index, latents, maps: true }, signal);
        latents = trace.next;
        taken.push(trace.maps);
      }
      const { width, height } = request;
      this.#image = toImageData(await this.lab.ask({ what: 'decode', latents, width, height }, signal));
      this.result.show(this.#image, prompt);
      this.#steps = taken;
      this.#drawn = prompt;
      this.#shape();
      if (this.prompt.value === prompt) this.#showTokens(tokens);
      return true;
    });
    if (done) this.made.set(prompt, T.done);
    return done;
  }

  /** The layers and steps there are to choose from. */
  #shape() {
    const layers = this.#steps[0].map((map, i) => [String(i), layerName(map)]);
    const options = [[MEAN, T.allLayers], ...layers];
    this.layer.replaceChildren(...options.map(([value, textContent]) => make('option', { value, textContent })));
    Object.assign(this.step, { max: this.#steps.length, value: 0 });
    this.looks.hidden = false;
    this.#weigh();
  }

  /** Takes the mean of what is chosen. */
  #weigh() {
    const step = this.step.valueAsNumber;
    const steps = step ? [this.#steps[step - 1]] : this.#steps;
    const of = this.layer.value === MEAN ? steps : steps.map((maps) => [maps[Number(this.layer.value)]]);
    this.#grid = meanOf(of);
    this.sizes.textContent = T.sizes([...new Set(of[0].map(({ width, height }) => T.places(width, height)))].join(T.and));
    const words = step ? T.stepOf(step, this.#steps.length) : T.allSteps;
    this.step.setAttribute('aria-valuetext', words);
    this.stepField.querySelector('label').textContent = T.step(words);
  }

  #weighAgain() {
    this.#weigh();
    this.#showMaps();
  }

  /** Every token's map, all on the scale of the words. */
  #showMaps() {
    const fits = this.#fits;
    this.tokens.toggleAttribute('data-maps', fits);
    if (fits) {
      this.#most = largest(this.#grid, this.#tokens.flatMap(({ text }, i) => (text ? [i] : [])));
      this.most.textContent = T.most(percent(this.#most));
      for (const [i, { firstChild: map }] of [...this.tokens.children].entries()) {
        map.getContext('2d').putImageData(heat(this.#image, this.#grid, i, this.#most, SMALL), 0, 0);
      }
    }
    this.#paint();
  }

  /** A point of the picture is asked for its words. */
  #ask(u, v, live = 'off') {
    if (!this.#fits) return;
    const { width, height } = this.#grid;
    const cell = (share, count) => Math.min(Math.max(Math.floor(share * count), 0), count - 1);
    this.#place = [cell(u, width), cell(v, height)];
    this.here.ariaLive = live;
    this.#paint();
  }

  #leave() {
    this.#place = null;
    this.#paint();
  }

  #paint() {
    const now = this.#pointed ?? this.#chosen;
    for (const [i, chip] of [...this.tokens.children].entries()) chip.ariaPressed = String(i === this.#chosen);
    if (!this.#fits) return;
    const over = shares(this.#grid);
    this.#tell(over);
    const words = T.heat(this.#name(now));
    const share = T.share(percent(over[now]), percent(largest(this.#grid, [now])));
    this.heat.show(heat(this.#image, this.#grid, now, this.#most, this.#image.width), `${words}, ${share}`);
    this.heat.caption.replaceChildren(words, ' ', this.heat.detail);
    this.heat.detail.textContent = share;
  }

  /** The shares at the place that is pointed at, or over the whole picture: at the words, and as a sentence. */
  #tell(over) {
    const { width, height } = this.#grid;
    const place = this.#place;
    const found = place ? sharesAt(this.#grid, ...place) : over;
    const words = this.#tokens.flatMap(({ text }, i) => (text ? [found[i]] : []));
    const bright = Math.max(...words);
    for (const [i, chip] of [...this.tokens.children].entries()) {
      chip.lastChild.textContent = percent(found[i]);
      chip.style.setProperty('--share', Math.min(found[i] / this.#most, 1));
      chip.toggleAttribute('data-lit', place !== null && Boolean(this.#tokens[i].text) && found[i] > 0 && found[i] >= bright / 2);
    }
    for (const cell of this.cells) {
      cell.hidden = !place;
      if (!place) continue;
      const [x, y] = place;
      Object.assign(cell.style, { left: `${100 * x / width}%`, top: `${100 * y / height}%`, width: `${100 / width}%`, height: `${100 / height}%` });
    }
    const order = found.map((share, i) => [share, this.#name(i)]).sort(([a], [b]) => b - a);
    const list = order.slice(0, 4).map(([share, name]) => `${name} ${percent(share)}`);
    this.here.textContent = (place ? T.here : T.everywhere)(list.join(', '));
  }
}

/** "12 %", "0.4 %", not to be torn apart */
function percent(share) {
  const value = 100 * share;
  return `${value >= 9.95 || value === 0 ? Math.round(value) : value.toFixed(1)}\u00a0%`;
}

/** "way down 2, layer 1 (16 × 16)" of a module's path. */
function layerName({ layer, width, height }) {
  const [, block, number, index] = /unet\.(down_blocks|mid_block|up_blocks)(?:\.(\d+))?\.attentions\.(\d+)/.exec(layer);
  return T.layerName(T.blocks[block], number === undefined ? '' : ` ${Number(number) + 1}`, Number(index) + 1, T.places(width, height));
}
