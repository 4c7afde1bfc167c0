/** Part 1, into noise: a picture and its latents at any time of the model's own schedule. */

import { make } from '../js/dom.js';
import { fileButton, takePictures } from './bring.js';
import { Figure, Live, Work, button, field, latest, prose, question, range, row, section, select } from './kit.js';
import { newSeed, toImageData } from './lab.js';
import { fitted } from './picture.js';
import { Plot } from './plot.js';
import { calm } from './seen.js';
import { TEXTS } from './texts.js';

const T = TEXTS.into;
/** Where the slider stops when it moves by itself, and by how much it goes at a time. */
const HALF_GONE = 300;
const STRIDE = 12;

export class Into {
  #show = latest((subject) => this.#paint(subject));
  /** The way on which the slider moves by itself. */ #way = null;

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.work = new Work();
    this.pixels = new Figure(T.pixels, { empty: T.empty });
    this.latents = new Figure(T.latents, { pixelated: true, empty: T.empty });
    this.plot = new Plot(T);
    this.slider = range({ min: 0, max: 1000, value: 0, disabled: true });
    this.slider.addEventListener('input', () => {
      this.#way = null;
      this.#move({ t: this.slider.valueAsNumber });
    });
    this.live = new Live();
    this.facts = prose([]);
    this.shares = make('output', { className: 'numbers', ariaLive: 'off' }); // the slider speaks for it
    this.again = button(T.again, () => this.#move({ seed: newSeed() }));
    this.again.disabled = true;
    this.examples = select(lab.model.examples.map(({ prompt }, i) => [String(i), prompt]));
    this.sliderField = field(T.t(1000), this.slider, { wide: true });
    const drop = row('bring',
      row('controls', field(T.source, this.examples, { wide: true }),
        button(T.example, () => this.#example(), { primary: true }), ...fileButton(T.own, (file) => this.#take(file))),
      make('p', { className: 'quiet', textContent: T.drop }));
    this.root = section(T, question(T.question, (answer) => this.#answer(answer), () => this.work.running || this.lab.subject !== null), drop, this.work.root,
      row('shots two', this.pixels.root, this.latents.root), row('controls', this.sliderField, this.again), this.shares,
      row('beside', this.plot.root, this.live.root), this.facts);
    this.stage = this.pixels.root;
    takePictures(this.root, drop, (file) => this.#take(file));
    lab.schedule().then((schedule) => this.#useSchedule(schedule)).catch(() => {}); // told when something is asked
    if (lab.session.state !== 'ready') this.work.say(TEXTS.waiting);
  }

  /** The example, on its way into noise. */
  async arrive() {
    const made = await this.#example();
    if (made) await this.#glide(HALF_GONE);
    return made;
  }

  leave() {
    this.#way = null;
    this.work.abort();
  }

  async #answer(answer) {
    if (!this.lab.subject && !(await this.#example())) return undefined;
    const t = this.schedule.last / 2;
    if (!(await this.#glide(t))) return undefined;
    return T.half(answer, this.schedule.signal[t], this.schedule.noise[t]);
  }

  /** Moves the slider, as fast as the pictures come. Resolves to whether it came there. */
  async #glide(to) {
    const way = { step: Math.sign(to - this.slider.valueAsNumber) * (calm.matches ? Infinity : STRIDE) };
    this.#way = way; // one at a time: another one, and a hand on the slider, ends it
    for (let t = this.slider.valueAsNumber; t !== to && this.#way === way;) {
      t = way.step > 0 ? Math.min(t + way.step, to) : Math.max(t + way.step, to);
      this.slider.value = t;
      this.lab.study({ ...this.lab.subject, t });
      await this.#paint(this.lab.subject);
    }
    return this.#way === way;
  }

  #useSchedule(schedule) {
    this.slider.max = schedule.last;
    this.sliderField.querySelector('label').textContent = T.t(schedule.last);
    if (this.schedule !== schedule) {
      this.plot.draw(schedule);
      this.facts.replaceChildren(...prose(T.facts(schedule)).children);
    }
    this.schedule = schedule;
    if (!this.work.running && !this.lab.subject) this.work.say('');
    this.#numbers(this.slider.valueAsNumber);
  }

  #example() {
    const example = this.lab.model.examples[Number(this.examples.value)];
    if (!example) return Promise.resolve(undefined);
    return this.work.run(async (signal) => {
      this.work.say(T.making);
      await this.#study(await this.lab.example(example, signal), signal);
      return true;
    });
  }

  #take(file) {
    return this.work.run(async (signal) => {
      const { width, height } = this.lab.model;
      const image = await fitted(file, width, height).catch(() => {
        throw new Error(T.notAPicture);
      });
      await this.#study(image, signal);
    });
  }

  /** Packs a clean picture into latents and begins with it. */
  async #study(image, signal) {
    this.work.say(T.encoding);
    const schedule = await this.lab.schedule(signal);
    this.#useSchedule(schedule);
    const latents = await this.lab.ask({ what: 'encode', image }, signal);
    const { latentScale, latentChannels } = schedule;
    this.latents.detail.textContent = T.latentsSize(image.width / latentScale, image.height / latentScale, latentChannels);
    this.slider.disabled = false;
    this.again.disabled = false;
    const t = this.slider.valueAsNumber;
    this.lab.study({ image, latents, seed: this.lab.subject?.seed ?? newSeed(), t });
    await this.#show(this.lab.subject);
    this.work.say(T.ready);
  }

  #move(changes) {
    if (!this.lab.subject) return;
    this.#way = null;
    this.lab.study({ ...this.lab.subject, ...changes });
    this.#numbers(this.lab.subject.t);
    this.#show(this.lab.subject);
  }

  #numbers(t) {
    const words = T.shares(t, this.schedule.signal[t], this.schedule.noise[t]);
    this.shares.textContent = words;
    this.slider.setAttribute('aria-valuetext', words);
    this.plot.mark(t);
    this.live.show(T.live(t, this.schedule.signal[t], this.schedule.noise[t]));
  }

  async #paint({ image, latents, t, seed }) {
    const { width, height } = image;
    try {
      const pixels = await this.lab.ask({ what: 'noise', image, t, seed });
      const packed = await this.lab.ask({ what: 'noise', latents, width, height, t, seed });
      this.#numbers(t);
      this.pixels.show(toImageData(pixels.image), T.alt(T.pixels, t));
      this.latents.show(toImageData(packed.image), T.alt(T.latents, t));
    } catch (error) {
      this.work.say(TEXTS.failed(error.message));
    }
  }
}
