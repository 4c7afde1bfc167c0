/** Part 5, begin in the middle: one picture, noised a part of the way and drawn anew, at five strengths side by side. */

import { make } from '../js/dom.js';
import { wrongSeed } from '../js/settings.js';
import { firstStep, sharesAt } from '../js/strength.js';
import { Made, onEnter, right } from './fields.js';
import { Figure, Work, button, field, input, number, question, row, section } from './kit.js';
import { difference } from './lab.js';
import { Strange } from './strange.js';
import { TEXTS } from './texts.js';

const T = TEXTS.middle;
const STRENGTHS = [0.2, 0.4, 0.6, 0.8, 1];
/** The one that the question is about. */
const ASKED = 0.2;

/** How far pictures are from the one that they began with, by strength, of 255. @typedef {Map<number, number>} Distances */

export class Middle {
  /** The picture that the last ones began with. @type {ImageData | null} */ #from = null;

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    const { examples, open } = lab.model;
    this.prompt = input({ value: open?.change ?? examples[1]?.prompt ?? '' });
    this.seed = number({ min: 0, value: examples[0]?.seed ?? 1 });
    this.work = new Work();
    this.begun = new Figure(T.begun, { empty: T.empty });
    this.figures = STRENGTHS.map((strength) => new Figure(T.strength(strength)));
    this.grid = make('div', { className: 'shots six', role: 'group', ariaLabel: T.grid }, this.begun.root, ...this.figures.map(({ root }) => root));
    this.strange = new Strange(lab, [this.prompt]);
    const controls = row('controls', field(TEXTS.prompt, this.prompt, { wide: true }), field(TEXTS.seed, this.seed),
      button(T.draw, () => this.#draw(), { primary: true }));
    onEnter(controls, () => this.#draw());
    this.root = section(T, question(T.question, (answer) => this.#answer(answer), () => this.work.running), controls,
      this.strange.root, this.work.root, this.grid);
    this.stage = this.grid;
    this.made = new Made(this.root, this.grid, this.work, { now: () => this.#key(), again: T.draw });
    lab.addEventListener('subject', () => this.made.look());
  }

  arrive() {
    return this.#draw();
  }

  leave() {
    this.work.abort();
  }

  async #answer(answer) {
    const distances = await this.#draw();
    return distances && T.verdict(answer, ASKED, distances.get(ASKED), distances.get(1));
  }

  #key() {
    return JSON.stringify([this.prompt.value, this.seed.value, this.lab.subjects]);
  }

  /** The picture of part 1; where there is none yet, the first example. @param {AbortSignal} signal */
  #beginning(signal) {
    const [example] = this.lab.model.examples;
    const { subject } = this.lab;
    if (!subject && !example) throw new Error(T.nothing);
    return subject?.image ?? this.lab.example(example, signal);
  }

  /** Says at which step each strength begins, and how much of the picture and of noise there is. */
  async #levels(signal) {
    const { sampler, schedule } = this.lab.model.defaults;
    const request = this.lab.request({ prompt: '', seed: 0, sampler, schedule });
    const { steps } = await this.lab.ask({ what: 'begin', request }, signal);
    for (const [i, strength] of STRENGTHS.entries()) {
      const first = firstStep(request.steps, strength);
      this.figures[i].detail.textContent = T.level(first + 1, request.steps, sharesAt(steps[first].sigma));
    }
  }

  /** @returns {Promise<Distances | undefined>} */
  async #draw() {
    if (!right(this.work, [[this.seed, wrongSeed(TEXTS.seedName, this.seed.value)]])) return undefined;
    let key = this.#key();
    const done = await this.work.run(async (signal) => {
      const image = await this.#beginning(signal);
      key = this.#key(); // which may have come meanwhile
      if (image !== this.#from) {
        this.#from = image;
        this.begun.show(image, T.begun);
        for (const [i, figure] of this.figures.entries()) figure.clear(T.strength(STRENGTHS[i]));
      }
      await this.#levels(signal);
      const [prompt, seed] = [this.prompt.value, this.seed.value];
      /** @type {Distances} */ const distances = new Map();
      for (const [i, strength] of STRENGTHS.entries()) {
        this.work.progress(T.working(i + 1, STRENGTHS.length));
        const { image: drawn } = await this.lab.generate({ prompt, seed, image, strength }, signal);
        this.figures[i].show(drawn, `${prompt}, ${T.strength(strength)}`);
        distances.set(strength, difference(drawn, image));
      }
      return distances;
    });
    if (!this.work.running) this.made.set(key, done && T.done(STRENGTHS.map((strength) => done.get(strength))));
    return done;
  }
}
