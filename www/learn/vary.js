/** Part 4, why it varies: eight seeds of one prompt, and a walk between two seeds or prompts as a small film. */

import { make } from '../js/dom.js';
import { wrongSeed } from '../js/settings.js';
import { Made, onEnter, right } from './fields.js';
import { Figure, Work, button, field, input, number, question, range, row, section, select } from './kit.js';
import { difference } from './lab.js';
import { calm } from './seen.js';
import { Strange } from './strange.js';
import { TEXTS } from './texts.js';

const T = TEXTS.vary;
const SEEDS = 8;
/** Milliseconds a picture of the film is shown. */
const DELAY = 120;

/** @typedef {{frames: ImageData[], count: number, key?: string}} Film `key`: what it was made of */
const NONE = { frames: [], count: 0 };

export class Vary {
  /** What is shown: pictures of a film, and how many it has once it is whole. @type {Film} */ #film = NONE;
  /** The last one that came to its end. @type {Film} */ #whole = NONE;
  #timer = 0;

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    const { examples, open = examples[0] } = lab.model;
    this.prompt = input({ value: open?.prompt ?? '' });
    this.seed = number({ min: 0, value: open?.seed ?? 1 });
    this.seedsWork = new Work();
    this.grid = make('div', { className: 'shots eight', role: 'group', ariaLabel: T.grid });
    this.#place(); // so that nothing moves when they come
    this.between = select([['seeds', T.seeds], ['prompts', T.prompts]]);
    this.toSeed = number({ min: 0, value: open?.toSeed ?? Number(this.seed.value) + 1 });
    this.toPrompt = input({ value: examples[1]?.prompt ?? '' });
    this.toSeedField = field(T.toSeed, this.toSeed);
    this.toPromptField = field(T.toPrompt, this.toPrompt, { wide: true });
    this.between.addEventListener('change', () => this.#shape());
    this.count = select(['8', '12', '16', '24'].map((n) => [n, n]), '12');
    this.filmWork = new Work();
    this.film = new Figure(T.film, { empty: T.empty });
    this.scrub = range({ min: 1, max: 1, value: 1, disabled: true });
    this.scrub.addEventListener('input', () => {
      this.#pause();
      this.#paint();
    });
    this.playButton = button(T.play, () => (this.#timer ? this.#pause() : this.#play()));
    this.playButton.disabled = true;
    this.save = make('a', { className: 'button small ghost', textContent: T.save, download: 'walk.png' });
    this.player = row('player', this.film.root, row('controls', field(T.frame, this.scrub, { wide: true }), this.playButton, this.save));
    const one = row('controls', field(TEXTS.prompt, this.prompt, { wide: true }), field(TEXTS.seed, this.seed),
      button(T.eight, () => this.#eight(), { primary: true }));
    this.strange = [[this.prompt], [this.toPrompt]].map((prompts) => new Strange(lab, prompts));
    const two = row('controls', field(T.between, this.between), this.toSeedField, this.toPromptField,
      field(T.frames, this.count), button(T.make, () => this.#walk(), { primary: true }));
    onEnter(one, () => this.#eight());
    onEnter(two, () => this.#walk());
    this.root = section(T, one, this.strange[0].root, this.seedsWork.root, this.grid, make('h3', { textContent: T.walk }),
      question(T.question, (answer) => this.#answer(answer), () => this.filmWork.running), two, this.strange[1].root,
      this.filmWork.root, this.player);
    this.stage = this.grid;
    this.eightMade = new Made(this.root, this.grid, this.seedsWork, { now: () => this.#seedsKey(), again: T.eight });
    this.filmMade = new Made(this.root, this.player, this.filmWork, { now: () => this.#filmKey(), again: T.make });
    this.#shape();
  }

  /** The eight of its own accord. */
  arrive() {
    return this.#eight();
  }

  leave() {
    this.seedsWork.abort();
  }

  /** The film, at the picture half way. */
  async #answer(answer) {
    if (!(await this.#walk())) return undefined;
    this.#pause();
    const { frames } = this.#film;
    const [first, last] = [frames[0], frames.at(-1)];
    const middle = Math.floor(frames.length / 2);
    this.scrub.value = middle + 1;
    this.#paint();
    const blend = { data: first.data.map((value, i) => (value + last.data[i]) / 2) };
    return T.middle(answer, difference(frames[middle], blend), difference(first, last));
  }

  #seedsKey() {
    return JSON.stringify([this.prompt.value, this.seed.value]);
  }

  #filmKey() {
    const to = this.between.value === 'seeds' ? this.toSeed : this.toPrompt;
    return JSON.stringify([this.#seedsKey(), this.between.value, to.value, this.count.value]);
  }

  #shape() {
    this.toSeedField.hidden = this.between.value !== 'seeds';
    this.toPromptField.hidden = this.between.value !== 'prompts';
    this.strange[1].look();
  }

  /** Empty pictures for the seeds from the field's on. @returns {[string, Figure][]} */
  #place() {
    const first = BigInt(this.seed.value);
    const seeds = Array.from({ length: SEEDS }, (_, i) => String(first + BigInt(i)));
    const figures = seeds.map((seed) => new Figure(T.picture(seed)));
    this.grid.replaceChildren(...figures.map(({ root }) => root));
    return seeds.map((seed, i) => [seed, figures[i]]);
  }

  async #eight() {
    if (!right(this.seedsWork, [[this.seed, wrongSeed(TEXTS.seedName, this.seed.value, SEEDS)]])) return;
    const key = this.#seedsKey();
    const done = await this.seedsWork.run(async (signal) => {
      const prompt = this.prompt.value;
      const images = [];
      for (const [seed, figure] of this.#place()) {
        this.seedsWork.progress(T.working(images.length + 1, SEEDS));
        const { image } = await this.lab.generate({ prompt, seed }, signal);
        figure.show(image, `${prompt}, ${T.picture(seed)}`);
        images.push(image);
      }
      return apart(images);
    });
    if (!this.seedsWork.running) this.eightMade.set(key, done !== undefined && T.apart(SEEDS, done));
    return done;
  }

  async #walk() {
    const wrong = [[this.seed, wrongSeed(TEXTS.seedName, this.seed.value)],
      [this.toSeed, this.toSeedField.hidden ? '' : wrongSeed(T.toSeedName, this.toSeed.value)]];
    if (!right(this.filmWork, wrong)) return;
    this.#pause();
    const key = this.#filmKey();
    const done = await this.filmWork.run(async (signal) => {
      const count = Number(this.count.value);
      const [prompt, seed] = [this.prompt.value, this.seed.value];
      const to = this.between.value === 'seeds' ? { seed: this.toSeed.value } : { prompt: this.toPrompt.value };
      const frames = [];
      for (let i = 0; i < count; i++) {
        this.filmWork.progress(T.working(i + 1, count));
        const { image } = await this.lab.generate({ prompt, seed, walk: { ...to, share: i / (count - 1) } }, signal);
        frames.push(image);
        this.#put({ frames, count }, { working: true });
      }
      // There and back again, so that the film has no jump where it begins anew.
      const loop = [...frames, ...frames.slice(1, -1).reverse()];
      const bytes = await this.lab.ask({ what: 'film', frames: loop.map(plain), delay: DELAY }, signal);
      URL.revokeObjectURL(this.save.href);
      this.save.href = URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
      this.#whole = { frames, count, key };
      this.#put(this.#whole);
      if (!calm.matches) this.#play();
      return count;
    });
    if (done) this.filmMade.set(key, T.done(done));
    else if (!this.filmWork.running) this.#bringBack();
    return done;
  }

  /** After a stop the last whole film is shown again; where there is none, what there is. */
  #bringBack() {
    this.#put(this.#whole.count ? this.#whole : this.#film);
    if (this.#whole.count) this.filmMade.set(this.#whole.key);
  }

  /** Shows a film from its beginning; while it is made, the picture that came last. @param {Film} film */
  #put(film, { working = false } = {}) {
    this.#film = film;
    const made = film.frames.length;
    if (!made) return;
    this.player.toggleAttribute('data-part', made < film.count || working);
    this.playButton.disabled = working || made < 2;
    Object.assign(this.scrub, { disabled: working || made < 2, max: working ? film.count : made, value: working ? made : 1 });
    if (working) this.filmMade.clear();
    this.#paint();
  }

  #paint() {
    const at = this.scrub.valueAsNumber - 1;
    const words = T.alt(at / (this.#film.count - 1));
    this.film.show(this.#film.frames[at], words);
    this.scrub.setAttribute('aria-valuetext', words);
  }

  #play() {
    let [at, way] = [this.scrub.valueAsNumber, 1];
    this.playButton.textContent = T.pause;
    this.#timer = setInterval(() => {
      if (at + way < 1 || at + way > this.#film.frames.length) way = -way;
      at += way;
      this.scrub.value = at;
      this.#paint();
    }, DELAY);
  }

  #pause() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.playButton.textContent = T.play;
  }
}

/** How much pictures differ from each other: the mean over all pairs, of 255. */
function apart(images) {
  const pairs = images.flatMap((a, i) => images.slice(i + 1).map((b) => difference(a, b)));
  return pairs.reduce((sum, each) => sum + each, 0) / pairs.length;
}

/** What the engine reads of an ImageData. */
const plain = ({ width, height, data }) => ({ width, height, data });
