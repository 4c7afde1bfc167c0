/** Part 8, a new word: DreamBooth in six steps. The model learns a creature here, and what it learns is looked at on the way. */

import { duration, make } from '../js/dom.js';
import { brought, dressed } from '../js/shell.js';
import { KIND, NAME, WORD, drawings } from './creature.js';
import { Figure, Work, button, field, prose, question, range, row, section } from './kit.js';
import { difference } from './lab.js';
import { PairDrawing, numbersOf, pairsOf } from './pair.js';
import { TEXTS } from './texts.js';

const T = TEXTS.taught;
/** A model that is larger, in bytes, takes hours. */
const SMALL = 100e6;
/** Steps of a training, how often one looks, and steps of the one that goes too far. */
const [STEPS, EVERY, MANY] = [120, 30, 240];
/** Of the kind, drawn beforehand. */
const OF_KIND = 4;
/** Made for so few steps of one picture each: as large ones as the presets', of fewer layers. */
const RECIPE = /** @type {const} */ ({
  layers: 'attention', rank: 8, alpha: 8, textEncoder: false, batch: 1, learningRate: 2e-3, schedule: 'constant',
});
/** Pixels of the drawings where they are shown. */
const SHOWN = 256;
/** What all pictures of this part begin with. */
const SEED = 1;
const SETTING = `${NAME} in the snow`;
/** What the model should still know: the kind, and something else. */
const KNOWN = [`an ${KIND}`, 'a cat on a blue background'];
const STRENGTHS = [0, 0.5, 1, 1.5];
/** Stable Diffusion 1.5's first self-attention. */
const USUAL = { rows: 320, columns: 320, rank: 8 };

/** @typedef {import('../teach/samples.js').Samples} Samples */

export class Taught {
  /** What was learnt beside pictures of the kind. @type {Blob | null} */ #file = null;
  /** What is drawn: a matrix and its pair. */ #pair = USUAL;
  /** Milliseconds that a picture of a step takes, once that is known. */ #each = 0;

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    const [one, two, three, four, five, six] = T.steps.map((textContent) => make('h3', { textContent }));
    this.works = { learn: new Work(), keep: new Work(), much: new Work(), strengths: new Work() };
    this.places = { learn: make('div', { className: 'looked' }), much: make('div', { className: 'looked' }) };
    this.rank = range({ min: 1, max: 64, value: USUAL.rank });
    this.rank.addEventListener('input', () => this.#drawPair());
    this.rankField = field(T.rank(USUAL.rank), this.rank, { wide: true });
    this.drawing = new PairDrawing();
    this.of = make('p', { className: 'quiet', textContent: T.usual });
    this.counts = make('p', { className: 'numbers', role: 'status' });
    this.known = KNOWN.map((prompt) => Object.entries(T.columns).map(([name, words]) => [name, new Figure(words, { empty: `“${prompt}”, ${words}` })]));
    this.over = T.over.map((words) => new Figure(words));
    this.strengths = STRENGTHS.map((strength) => new Figure(T.strength(strength)));
    this.save = make('a', { className: 'button small ghost', textContent: T.save, download: `${WORD}.safetensors`, hidden: true });
    const [docs, href] = T.docs;
    const live = lab.model.bytes <= SMALL;
    const act = (/** @type {string} */ words, /** @type {() => unknown} */ run) => Object.assign(button(words, run, { primary: true }), { disabled: !live });
    this.howLong = Object.fromEntries(['learn', 'keep', 'much'].map((name) => [name, make('span', { className: 'quiet' })]));
    this.#tellTimes();
    const guess = question(T.question, (answer) => this.#answer(answer), () => this.works.keep.running);
    if (!live) for (const each of guess.querySelectorAll('button')) each.disabled = true;
    this.root = section(T, ...(live ? [] : [make('p', { className: 'note-box', textContent: T.tooLarge(lab.model.name) })]),
      one, prose(T.word), this.#shown(),
      two, prose(T.during), row('press', act(T.learn, () => this.#learn()), this.howLong.learn), this.works.learn.root, this.places.learn,
      three, prose(T.thin), row('pair-box', this.drawing.root, row('pair-says', this.of, this.rankField, this.counts)),
      four, prose(T.keeping), guess, row('press', act(T.without, () => this.#keep()), this.howLong.keep), this.works.keep.root,
      ...this.known.flatMap((columns, i) => [make('p', { className: 'known', textContent: `“${KNOWN[i]}”` }), row('shots three', ...columns.map(([, { root }]) => root))]),
      five, prose(T.much), row('press', act(T.tooMuch, () => this.#overdo()), this.howLong.much), this.works.much.root, this.places.much,
      row('shots four', ...this.over.map(({ root }) => root)),
      six, prose(T.anywhere), row('press', act(T.strengths, () => this.#strengths()), this.save), this.works.strengths.root,
      row('shots four', ...this.strengths.map(({ root }) => root)),
      row('press', make('a', { textContent: T.teach, href: '#teach', className: 'button small' }), make('a', { textContent: docs, href })));
    this.#drawPair();
  }

  /** The five drawings with their captions. */
  #shown() {
    const figures = drawings(SHOWN).map(({ image, caption }) => {
      const figure = new Figure(caption);
      figure.show(image, T.picture(caption));
      return figure.root;
    });
    return row('shots five', ...figures);
  }

  /** How long each training takes: in words, or as this device was seen to. */
  #tellTimes() {
    for (const [name, steps, pictures] of /** @type {[string, number, number][]} */ ([['learn', STEPS, 2], ['keep', STEPS, 1], ['much', MANY, 1]])) {
      this.howLong[name].textContent = this.#each ? T.ready(steps, duration((steps * pictures * this.#each) / 1000)) : T.howLong(steps);
    }
  }

  #drawPair() {
    const pair = { ...this.#pair, rank: this.rank.valueAsNumber };
    const words = T.pair(pair, numbersOf(pair));
    this.drawing.show(pair, words);
    this.counts.textContent = words;
    this.rankField.querySelector('label').textContent = T.rank(pair.rank);
  }

  /** A picture of what a prompt means now. @param {string} prompt @param {Blob | null} file @param {AbortSignal} signal */
  async #picture(prompt, file, signal, { strength = 1, seed = SEED } = {}) {
    const { sampled } = await teaching();
    return (await sampled(this.lab.session, { prompt, seed, file, strength, signal })).image;
  }

  /**
   * A training: every some steps, and at its beginning and end, a picture of `prompt` is added to a row, where there is one.
   * @param {Work} work
   * @param {{images: {image: ImageData, caption: string}[], steps: number, ofKind?: number, every?: number, prompt?: string, place?: HTMLElement, compares?: boolean}} how
   * @param {AbortSignal} signal
   * @returns {Promise<{file: Blob, taken: number}>} the LoRA, and how many steps it took
   */
  async #train(work, { images, steps, ofKind = 0, every = 0, prompt = '', place, compares = true }, signal) {
    const { taught, Curve, Samples } = await teaching();
    const [curve, samples] = [new Curve(), new Samples({ compares })];
    place?.replaceChildren(curve.root, samples.root);
    let looked = Promise.resolve();
    const look = (/** @type {Blob | null} */ file, /** @type {string} */ label) => {
      if (!place) return looked;
      looked = looked.then(async () => samples.add(await this.#picture(prompt, file, signal), label));
      looked.catch(() => {}); // told at the end
      return looked;
    };
    await look(null, T.before);
    work.say(T.engine);
    let began = 0;
    const { file, step: taken } = await taught(this.lab.session, {
      images, classPrompts: ofKind ? [`an ${KIND}`] : [], name: WORD, trigger: `${WORD} ${KIND}`, saveEvery: every, signal,
      recipe: { ...RECIPE, steps, ...(ofKind && { classImages: ofKind }) },
      onPrepare: ({ what, done, all }) => work.say((what === 'class' ? T.class : T.encode)(done, all)),
      onStep: (step) => {
        began ||= performance.now();
        if (step.step > 1) this.#each = (performance.now() - began) / (step.step - 1) / (ofKind ? 2 : 1);
        curve.add(step);
        work.say(TEXTS.busy);
        work.progress(T.step(step.step, steps));
      },
      onKept: (kept) => {
        if (!signal.aborted) look(kept.file, T.after(kept.step));
      },
    });
    work.say(T.looking);
    await look(file, T.after(taken));
    this.#tellTimes();
    return { file, taken };
  }

  /** Runs work that ends when this part is no longer on the page: another model is in use. @template R @param {Work} work @param {(signal: AbortSignal) => Promise<R>} act */
  #run(work, act) {
    return work.run(async (signal) => {
      const watch = setInterval(() => this.root.isConnected || work.abort(), 1000);
      try {
        return await act(signal);
      } finally {
        clearInterval(watch);
      }
    });
  }

  /** The five drawings are learnt, beside pictures of the kind. @returns {Promise<Blob | undefined>} */
  #learn() {
    const { learn } = this.works;
    return this.#run(learn, async (signal) => {
      const images = drawings(this.lab.model.width);
      const { file, taken } = await this.#train(learn, { images, steps: STEPS, ofKind: OF_KIND, every: EVERY, prompt: NAME, place: this.places.learn }, signal);
      this.#file = file;
      if (this.save.href) URL.revokeObjectURL(this.save.href);
      Object.assign(this.save, { href: URL.createObjectURL(file), hidden: false });
      await this.#measured(file);
      learn.say(T.learnt(taken));
      return file;
    });
  }

  /** What was learnt in the second step, which comes first where it has not been taken. @param {Work} work */
  async #first(work) {
    if (!this.#file) work.say(T.first);
    const file = this.#file ?? await this.#learn();
    if (!file) work.say('');
    return file;
  }

  /** The drawing of the matrices is of those that were learnt now. @param {Blob} file */
  async #measured(file) {
    const pairs = await pairsOf(file);
    const sum = (/** @type {'pair' | 'whole'} */ which) => pairs.reduce((all, pair) => all + numbersOf(pair)[which], 0);
    this.#pair = pairs.reduce((a, b) => (numbersOf(b).whole > numbersOf(a).whole ? b : a));
    this.rank.value = String(this.#pair.rank);
    this.of.textContent = T.own(pairs.length, sum('pair'), (sum('whole') / sum('pair')).toFixed(1));
    this.#drawPair();
  }

  /** The same without pictures of the kind, and what the model then makes of what it knew. @returns {Promise<number[] | undefined>} how far the kind is from where it was, with them and without */
  async #keep() {
    const { keep } = this.works;
    const file = await this.#first(keep);
    if (!file) return undefined;
    return this.#run(keep, async (signal) => {
      const { file: alone } = await this.#train(keep, { images: drawings(this.lab.model.width), steps: STEPS }, signal);
      const files = { before: null, with: file, without: alone };
      const off = [];
      for (const [i, columns] of this.known.entries()) {
        const images = {};
        for (const [name, figure] of columns) {
          images[name] = await this.#picture(KNOWN[i], files[name], signal);
          figure.show(images[name], `${KNOWN[i]}, ${T.columns[name]}`);
        }
        off.push([difference(images.with, images.before), difference(images.without, images.before)]);
      }
      keep.say(T.kept);
      return off[0];
    });
  }

  /** @param {number} answer */
  async #answer(answer) {
    const off = await this.#keep();
    return off && T.verdict(answer, off[0], off[1]);
  }

  /** One drawing, so often that nothing else is left; two seeds tell whether it is known by heart. */
  #overdo() {
    const { much } = this.works;
    return this.#run(much, async (signal) => {
      const { image } = drawings(this.lab.model.width)[1];
      const seeds = async (/** @type {Blob | null} */ file) => {
        const pair = [await this.#picture(NAME, file, signal), await this.#picture(NAME, file, signal, { seed: SEED + 1 })];
        return { apart: difference(pair[0], pair[1]), other: pair[1] };
      };
      much.say(T.looking);
      const before = await seeds(null);
      const { file } = await this.#train(much, { images: [{ image, caption: NAME }], steps: MANY, every: MANY / 4, prompt: NAME, place: this.places.much, compares: false }, signal);
      const after = await seeds(file);
      const shown = [image, after.other, await this.#picture(`neon sign of ${NAME}`, file, signal), await this.#picture(KNOWN[1], file, signal)];
      for (const [i, figure] of this.over.entries()) figure.show(shown[i], T.over[i]);
      much.say(T.muchDone(before.apart, after.apart));
    });
  }

  /** What was learnt, more and more of it, in a setting that it was not shown in. */
  async #strengths() {
    const { strengths } = this.works;
    const file = await this.#first(strengths);
    if (!file) return;
    await this.#run(strengths, async (signal) => {
      for (const [i, strength] of STRENGTHS.entries()) {
        this.strengths[i].show(await this.#picture(SETTING, file, signal, { strength }), `${SETTING}, ${T.strength(strength)}`);
      }
      strengths.say(T.drawn);
    });
  }
}

/** What the view Teach learns with, and what it is dressed in: fetched when something is taught. */
async function teaching() {
  const here = (/** @type {string} */ name, /** @type {() => Promise<any>} */ load) => brought(load, new URL(`../teach/${name}.js`, import.meta.url));
  const [lesson, { Curve }, { Samples }] = await Promise.all([
    here('lesson', () => import('../teach/lesson.js')), here('curve', () => import('../teach/curve.js')), here('samples', () => import('../teach/samples.js')),
    dressed('css/teach.css'),
  ]);
  return { ...lesson, Curve, Samples };
}
