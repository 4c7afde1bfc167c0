/** A training step: one picture and one noise at three times; what the model answers, should have, and by how much it is off. */

import { make } from '../js/dom.js';
import { wrongSeed } from '../js/settings.js';
import { asked, meanSquare, mixed, squaresByCell } from './asked.js';
import { fileButton, takePictures } from './bring.js';
import { Made, onEnter, right } from './fields.js';
import { Figure, Work, button, field, input, number, question, row, section, select } from './kit.js';
import { newSeed, toImageData } from './lab.js';
import { fitted } from './picture.js';
import { Strange } from './strange.js';
import { TEXTS } from './texts.js';

const T = TEXTS.training;
/** Where the three times lie on the way into noise. */
const TIMES = [0.1, 0.5, 0.9];
/** As many steps as lay out a path with those times on it. */
const STEPS = 20;
/** What a level is shown as, from top to bottom. */
const PARTS = ['noised', 'answer', 'target', 'off'];
/** The colours of the smallest and the largest difference. */
const COLOURS = [[26, 22, 18], [255, 196, 64]];

/**
 * @typedef {{values: Float32Array, image: ImageData, error: number, squares: Float32Array}} Answer
 * @typedef {{t: number, signal: number, noise: number, noised: ImageData, target: ImageData, with: Answer, without: Answer}} Level
 */

export class Training {
  /** @type {Level[]} */ #levels = [];
  /** The clean picture at hand. */ #clean = { key: '' };
  /** The visitor's own, and how many there have been. */ #own = { image: null, count: 0 };
  /** Whether the caption has been taken away yet: until then its worth is left to be guessed. */ #told = false;
  /** The newest under Create. @type {import('../js/pictures.js').Entry | undefined} */ #last;

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.work = new Work();
    const { examples } = lab.model;
    this.picture = select([...examples.map(({ prompt }, i) => [String(i), prompt]),
      ['above', T.above], ['last', T.last], ['own', T.ownPicture]]);
    this.caption = input({ value: examples[0]?.prompt ?? '' });
    this.strange = new Strange(lab, [this.caption]);
    this.seed = number({ min: 0, value: 1 });
    this.picture.addEventListener('change', () => this.#chosen());
    lab.addEventListener('subject', () => this.#offer());
    const take = (file) => this.#bring(file);
    const box = row('bring', row('controls', field(TEXTS.into.source, this.picture, { wide: true }), ...fileButton(TEXTS.into.own, take)),
      make('p', { className: 'quiet', textContent: TEXTS.into.drop }));
    const fields = row('controls', field(T.caption, this.caption, { wide: true }), field(TEXTS.seed, this.seed),
      button(T.take, () => this.#run(), { primary: true }), button(T.again, () => {
        this.seed.value = newSeed();
        this.#run();
      }));
    onEnter(fields, () => this.#run());
    this.given = make('input', { type: 'checkbox', checked: true });
    this.given.addEventListener('change', () => this.#show());
    this.levels = make('div', { className: 'levels' });
    this.verdict = make('p');
    this.shown = row('looks', make('label', { className: 'check' }, this.given, T.given), this.levels,
      row('prose', this.verdict));
    this.shown.hidden = true;
    this.asks = make('p');
    this.root = section(T, row('prose', this.asks), question(T.question, (answer) => this.#answer(answer), () => this.work.running),
      box, fields, this.strange.root, this.work.root, this.shown, row('prose', make('p', { textContent: T.then })));
    takePictures(this.root, box, take);
    for (const type of ['pointerenter', 'focusin']) this.root.addEventListener(type, () => this.#offer());
    this.made = new Made(this.root, this.levels, this.work, { now: () => this.#key(), again: T.take });
    lab.schedule().then(({ prediction }) => { this.asks.textContent = T.asks[prediction]; }).catch(() => {}); // told when something is asked
    this.#offer();
    this.stage = this.work.root;
  }

  /** By itself, once it is in view. */
  arrive() {
    return this.#run();
  }

  leave() {
    this.work.abort();
  }

  /** Makes those pictures a choice that there are. */
  async #offer() {
    const option = (value) => [...this.picture.options].find((each) => each.value === value);
    option('above').disabled = !this.lab.subject;
    option('own').disabled = !this.#own.image;
    [this.#last] = await this.lab.pictures.list();
    option('last').disabled = !this.#last;
  }

  /** Another picture, another caption. */
  #chosen() {
    const prompts = { above: '', own: '', last: this.#last?.settings.prompt };
    this.caption.value = prompts[this.picture.value] ?? this.lab.model.examples[Number(this.picture.value)].prompt;
    this.made.look();
    this.strange.look();
  }

  /** Takes the caption away, and looks where that did the most harm. */
  async #answer(answer) {
    const stands = this.#levels.length && !this.levels.hasAttribute('data-old') && !this.work.running;
    if (!stands && !(await this.#run())) return undefined;
    this.given.checked = false;
    this.#show();
    const errors = this.#levels.map((level) => level.without.error);
    const at = errors.indexOf(Math.max(...errors));
    return T.most(answer, at, T.names[at], errors[at], this.#levels[at].with.error);
  }

  async #bring(file) {
    const image = await this.work.run(async () => {
      const { width, height } = this.lab.model;
      const opened = await fitted(file, width, height).catch(() => {
        throw new Error(TEXTS.into.notAPicture);
      });
      this.work.say('');
      return opened;
    });
    if (!image) return;
    this.#own = { image, count: this.#own.count + 1 };
    await this.#offer();
    this.picture.value = 'own';
    this.#chosen();
    await this.#run();
  }

  #key() {
    const which = { above: this.lab.subjects, own: this.#own.count, last: this.#last?.id }[this.picture.value];
    return JSON.stringify([this.picture.value, which, this.caption.value, this.seed.value]);
  }

  async #run() {
    if (!right(this.work, [[this.seed, wrongSeed(TEXTS.seedName, this.seed.value)]])) return undefined;
    const key = this.#key();
    const done = await this.work.run(async (signal) => {
      const [caption, seed] = [this.caption.value, this.seed.value];
      this.work.say(T.working);
      const clean = await this.#picture(signal);
      const levels = await this.#step(clean, caption, seed, signal);
      this.#lay(levels);
      return true;
    });
    if (done) this.made.set(key, T.done);
    return done;
  }

  /** The chosen picture and its latents. */
  async #picture(signal) {
    const key = JSON.stringify(JSON.parse(this.#key()).slice(0, 2));
    if (this.#clean.key === key) return this.#clean;
    const { value } = this.picture;
    const { width, height, examples } = this.lab.model;
    const images = {
      above: () => this.lab.subject.image,
      own: () => this.#own.image,
      last: async () => {
        const png = await this.lab.pictures.file(this.#last.id);
        if (!png) throw new Error(T.gone);
        return fitted(png, width, height);
      },
    };
    const image = await (images[value] ?? (() => this.lab.example(examples[Number(value)], signal)))();
    const latents = await this.lab.ask({ what: 'encode', image }, signal);
    this.#clean = { key, image, latents };
    return this.#clean;
  }

  /** The step at each of the three times, with the caption and without. @returns {Promise<Level[]>} */
  async #step({ latents }, caption, seed, signal) {
    const { last, prediction } = await this.lab.schedule(signal);
    const request = this.lab.request({ seed, prompt: caption, steps: STEPS, sampler: 'ddim', guidance: 1 });
    const { width, height } = request;
    const { latents: noise, steps } = await this.lab.ask({ what: 'begin', request }, signal);
    const shown = async (values) => // at t = 0 nothing is added
      toImageData((await this.lab.ask({ what: 'noise', latents: values, width, height, t: 0, seed: 0 }, signal)).image);
    const levels = [];
    for (const time of TIMES) {
      this.work.progress(T.level(levels.length + 1, TIMES.length));
      const index = nearest(steps.map(({ timestep }) => timestep + 1), time * last);
      const t = Math.round(steps[index].timestep) + 1;
      const shares = sharesOf(steps[index]);
      const input = mixed(shares, latents, noise);
      const target = asked(prediction, shares, latents, noise);
      const answer = async (prompt) => {
        const trace = await this.lab.ask({ what: 'step', request: { ...request, prompt }, index, latents: input }, signal);
        const values = asked(prediction, shares, trace.clean.latents, trace.noise.latents);
        const { image } = trace.clean;
        return { image: await shown(values), error: meanSquare(values, target), squares: squaresByCell(values, target, image.width * image.height) };
      };
      levels.push({ t, ...shares, with: await answer(caption), without: await answer(''), target: await shown(target),
        noised: toImageData(await this.lab.ask({ what: 'decode', latents: input, width, height }, signal)) });
    }
    return levels;
  }

  #lay(levels) {
    this.#levels = levels;
    this.columns = levels.map(({ t, signal, noise }, i) => {
      const figures = Object.fromEntries(PARTS.map((part) => [part, new Figure(T[part], { pixelated: part !== 'noised' })]));
      const error = make('p', { className: 'error' });
      const other = make('p', { className: 'numbers quiet' });
      const heading = make('h3', { textContent: T.names[i], id: `learn-level-${i}` });
      const root = make('div', { className: 'level', role: 'group' }, heading,
        make('p', { className: 'numbers quiet', textContent: TEXTS.into.shares(t, signal, noise) }),
        ...PARTS.map((part) => figures[part].root), error, other);
      root.setAttribute('aria-labelledby', heading.id);
      return { root, figures, error, other };
    });
    this.levels.replaceChildren(...this.columns.map(({ root }) => root));
    this.shown.hidden = false;
    const better = levels.filter((level) => level.with.error < level.without.error).length;
    this.verdict.textContent = T.verdict(better, levels.length);
    this.#show();
  }

  /** The answer with the caption or without; all differences on one scale. */
  #show() {
    const both = this.#levels.flatMap((level) => [...level.with.squares, ...level.without.squares]);
    const most = both.reduce((a, b) => Math.max(a, b), 0);
    this.#told ||= !this.given.checked;
    for (const [i, level] of this.#levels.entries()) {
      const { figures, error, other } = this.columns[i];
      const [now, then] = this.given.checked ? [level.with, level.without] : [level.without, level.with];
      const where = `${T.names[i]}, t = ${level.t}`;
      figures.noised.show(level.noised, `${T.noised}, ${where}`);
      figures.answer.show(now.image, `${T.answer}, ${where}`);
      figures.target.show(level.target, `${T.target}, ${where}`);
      figures.off.show(coloured(now.squares, most, now.image), `${T.off}, ${where}: ${T.error(now.error)}`);
      error.textContent = T.error(now.error);
      other.hidden = !this.#told;
      other.textContent = (this.given.checked ? T.without : T.with)(then.error);
    }
  }
}

/** Where in a list the value is that comes nearest. */
function nearest(values, wanted) {
  return values.reduce((best, value, i) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? i : best), 0);
}

/** The shares of signal and noise at a step's noise level σ = noise / signal. */
function sharesOf({ sigma }) {
  const signal = 1 / Math.hypot(1, sigma);
  return { signal, noise: sigma * signal };
}

/** The differences of the cells as colours, from none to the most. */
function coloured(squares, most, { width, height }) {
  const image = new ImageData(width, height);
  squares.forEach((square, i) => {
    const share = most > 0 ? Math.sqrt(square / most) : 0;
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = COLOURS[0][c] * (1 - share) + COLOURS[1][c] * share;
    image.data[4 * i + 3] = 255;
  });
  return image;
}
