/** Part 1, into noise: a picture and its latents at any time of the model's own schedule. */

import { make } from '../js/dom.js';
import { fileButton, takePictures } from './bring.js';
import { Figure, Work, button, field, latest, range, row, section, select } from './kit.js';
import { newSeed, toImageData } from './lab.js';
import { fitted } from './picture.js';
import { Plot } from './plot.js';
import { TEXTS } from './texts.js';

const T = TEXTS.into;

export class Into {
  #show = latest((subject) => this.#paint(subject));

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.work = new Work();
    this.pixels = new Figure(T.pixels, { empty: T.empty });
    this.latents = new Figure(T.latents, { pixelated: true, empty: T.empty });
    this.plot = new Plot(T);
    this.slider = range({ min: 0, max: 1000, value: 0, disabled: true });
    this.slider.addEventListener('input', () => this.#move({ t: this.slider.valueAsNumber }));
    this.shares = make('output', { className: 'numbers', ariaLive: 'off' }); // the slider speaks for it
    this.again = button(T.again, () => this.#move({ seed: newSeed() }));
    this.again.disabled = true;
    this.examples = select(lab.model.examples.map(({ prompt }, i) => [String(i), prompt]));
    this.sliderField = field(T.t(1000), this.slider, { wide: true });
    const drop = row('bring',
      row('controls', field(T.source, this.examples, { wide: true }),
        button(T.example, () => this.#example(), { primary: true }), ...fileButton(T.own, (file) => this.#take(file))),
      make('p', { className: 'quiet', textContent: T.drop }));
    this.root = section(T, drop, this.work.root, row('shots two', this.pixels.root, this.latents.root),
      row('controls', this.sliderField, this.again), this.shares, this.plot.root);
    takePictures(this.root, drop, (file) => this.#take(file));
    lab.schedule().then((schedule) => this.#useSchedule(schedule)).catch(() => {}); // told when something is asked
    if (lab.session.state !== 'ready') this.work.say(TEXTS.waiting);
  }

  #useSchedule(schedule) {
    this.slider.max = schedule.last;
    this.sliderField.querySelector('label').textContent = T.t(schedule.last);
    this.plot.draw(schedule);
    this.schedule = schedule;
    if (!this.work.running && !this.lab.subject) this.work.say('');
    this.#numbers(0);
  }

  #example() {
    const { prompt, seed } = this.lab.model.examples[Number(this.examples.value)];
    return this.work.run(async (signal) => {
      this.work.say(T.making);
      const { image } = await this.lab.generate({ prompt, seed }, signal);
      await this.#study(image, signal);
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
    this.lab.study({ ...this.lab.subject, ...changes });
    this.#numbers(this.lab.subject.t);
    this.#show(this.lab.subject);
  }

  #numbers(t) {
    const words = T.shares(t, this.schedule.signal[t], this.schedule.noise[t]);
    this.shares.textContent = words;
    this.slider.setAttribute('aria-valuetext', words);
    this.plot.mark(t);
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
