/** Part 7, your own: what a LoRA is, tried on a picture; what there is to bring, and how the embedded model was trained. */

import { bytes, make } from '../js/dom.js';
import { Figure, Work, button, field, prose, question, range, row, section } from './kit.js';
import { difference } from './lab.js';
import { TEXTS } from './texts.js';
import { Thin } from './thin.js';

const T = TEXTS.own;
/** The answers to the question, as ranks. */
const RANKS = [2, 8, 32];
/** The share of a picture that is enough to know it by. */
const ENOUGH = 0.9;

export class Own {
  /** @type {Thin | null} */ #thin = null;

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.work = new Work();
    this.whole = new Figure(T.whole);
    this.product = new Figure(T.product);
    this.rank = range({ min: 1, max: 64, value: 8, disabled: true });
    this.rank.addEventListener('input', () => this.#paint());
    this.rankField = field(T.rank(8), this.rank, { wide: true });
    const terms = T.terms.flatMap(([term, meaning]) => [make('dt', { textContent: term }), make('dd', { textContent: meaning })]);
    const { name, bytes: size } = lab.model;
    this.root = section(T, make('dl', { className: 'terms' }, ...terms),
      make('h3', { textContent: T.tryIt }), prose(T.tryParagraphs), question(T.question, (answer) => this.#answer(answer), () => this.work.running),
      row('controls', button(T.take, () => this.#take(), { primary: true }), this.rankField), this.work.root,
      row('shots two', this.whole.root, this.product.root),
      make('h3', { textContent: T.now }), prose([...T.nowParagraphs, T.here(name, bytes(size))]),
      make('p', {}, make('a', { textContent: T.add, href: '#add-model', className: 'button small primary' })),
      make('pre', { className: 'command', tabIndex: 0, role: 'region', ariaLabel: T.commandLabel }, make('code', { textContent: T.command })),
      make('h3', { textContent: T.trained }), prose(T.trainedParagraphs),
      make('p', {}, make('a', { textContent: T.trainingLink[0], href: T.trainingLink[1] })));
  }

  get stage() {
    return this.whole.root;
  }

  arrive() {
    return this.#take();
  }

  leave() {
    this.work.abort();
  }

  /** Takes the picture of part 1 apart, or an example where there is none yet. */
  #take() {
    const { lab } = this;
    return this.work.run(async (signal) => {
      const [example] = lab.model.examples;
      if (!lab.subject && !example) throw new Error(T.noPicture);
      this.#thin = new Thin(lab.subject?.image ?? await lab.example(example, signal));
      Object.assign(this.rank, { disabled: false, max: this.#thin.image.width / 2 });
      this.whole.show(this.#thin.image, T.whole);
      this.#paint();
      return true;
    });
  }

  /** Shows as many columns as were guessed, beside what the picture takes. */
  async #answer(answer) {
    if (!(this.#thin && !this.work.running) && !(await this.#take())) return undefined;
    this.rank.value = RANKS[answer];
    const off = this.#paint();
    const needed = this.#thin.needed(ENOUGH);
    const best = RANKS.findIndex((rank) => rank >= needed);
    return T.known(Math.sign(answer - (best < 0 ? RANKS.length : best)), needed, this.rank.valueAsNumber, off);
  }

  /** Shows the product, and says what it costs. Returns how far it is off. */
  #paint() {
    const rank = this.rank.valueAsNumber;
    const { width } = this.#thin.image;
    const made = this.#thin.of(rank);
    const off = difference(made, this.#thin.image);
    const words = T.cost(rank, width, off);
    this.rankField.querySelector('label').textContent = T.rank(rank);
    this.product.show(made, `${T.product}, ${words}`);
    this.rank.setAttribute('aria-valuetext', words);
    this.work.say(words);
    return off;
  }
}
