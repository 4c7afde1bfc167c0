/** Part 2, back out of noise: a run step by step, everything of a step beside it, alone or side by side with another. */

import { make } from '../js/dom.js';
import { wrongNumber, wrongSeed } from '../js/settings.js';
import { LIMITS, SAMPLERS } from '../limits.js';
import { Made, onEnter, right } from './fields.js';
import { Figure, Live, Work, button, field, input, number, prose, question, range, row, section, select } from './kit.js';
import { newSeed, toImageData } from './lab.js';
import { calm } from './seen.js';
import { Strange } from './strange.js';
import { TEXTS } from './texts.js';

const T = TEXTS.back;
/** What a step is shown as, in the order of what happens: by what the model answers with. */
const PARTS = {
  epsilon: ['input', 'noise', 'clean', 'after'],
  v_prediction: ['input', 'v', 'noise', 'clean', 'after'],
  sample: ['input', 'clean', 'noise', 'after'],
};
/** No pictures: the decoder has nothing to say about them. */
const NO_PICTURE = ['noise', 'v'];

/** One run: its request, the steps taken so far, and where they are drawn. */
class Lane {
  /** @type {any[]} */ traces = [];
  /** After how many steps what is drawn is. */ shown = 0;
  /** Pictures by the latents they are of. */ #decoded = new Map();

  /** @param {import('./lab.js').Lab} lab @param {string} title @param {keyof typeof PARTS} prediction */
  constructor(lab, title, prediction) {
    this.lab = lab;
    this.prediction = prediction;
    this.parts = PARTS[prediction];
    this.figures = Object.fromEntries(this.parts.map((part) => [part, new Figure(T[part], { pixelated: true, empty: T.start0 })]));
    for (const [part, words] of Object.entries(T.follows[prediction])) this.figures[part].detail.textContent = words;
    this.numbers = make('p', { className: 'numbers' });
    this.formulas = [new Live(), new Live()];
    this.root = make('div', { className: 'lane' });
    this.numbers.textContent = T.start0;
    this.root.append(make('h3', { textContent: title }), this.numbers, row('shots steps', ...this.parts.map((part) => this.figures[part].root)),
      row('beside', ...this.formulas.map(({ root }) => root)));
  }

  async begin(request, from, signal) {
    this.request = request;
    this.path = await this.lab.ask({ what: 'begin', request, ...from }, signal);
    this.latents = this.path.latents;
    this.traces = [];
    this.#decoded.clear();
  }

  get total() {
    return this.path.steps.length - this.path.first;
  }

  get finished() {
    return this.traces.length === this.total;
  }

  async step(signal) {
    const index = this.path.first + this.traces.length;
    const trace = await this.lab.ask({ what: 'step', request: this.request, index, latents: this.latents }, signal);
    if (this.prediction === 'v_prediction') trace.v = await this.#mixture(trace, signal);
    this.latents = trace.next;
    this.traces.push(trace);
  }

  /** The answer of a model of the v kind, from the noise and the picture that follow from it. */
  #mixture({ noise, clean, signal: share, noiseShare }, signal) {
    const latents = noise.latents.map((e, i) => share * e - noiseShare * clean.latents[i]);
    const { width, height } = this.request;
    return this.lab.ask({ what: 'noise', latents, width, height, t: 0, seed: 0 }, signal); // at t = 0 none is added
  }

  /** Draws the state after `count` steps, 0 is the start: as pictures what the decoder has made of it, else as latents. */
  show(count, decode) {
    this.shown = count;
    const trace = this.traces[count - 1];
    if (!trace) {
      this.numbers.textContent = T.start0;
      for (const { root } of this.formulas) root.replaceChildren();
      this.figures.after.caption.firstChild.data = T.after;
      for (const part of this.parts) this.figures[part].clear(T.start0);
      this.figures.input.show(toImageData(this.path.image), T.input, true);
      return;
    }
    this.numbers.textContent = T.numbers(count, this.total, trace);
    this.formulas[0].show(T.guess(trace, this.prediction));
    this.formulas[1].show(T.coefficients(trace, this.prediction));
    this.figures.after.caption.firstChild.data = count === this.total ? T.finished : T.after;
    const pictures = this.#pictures(count, decode);
    for (const part of this.parts) this.#draw(part, count, pictures.includes(part) && this.#decoded.get(this.#latents(part, count)));
  }

  /** Has the decoder make what `show` then draws as pictures: what came out first, for it is looked at first. */
  async decode(count, decode, { signal, only = this.parts } = {}) {
    for (const part of this.#pictures(count, decode).reverse().filter((each) => only.includes(each))) {
      if (this.shown !== count) return; // something else is looked at by now
      const latents = this.#latents(part, count);
      if (!this.#decoded.has(latents)) {
        const { width, height } = this.request;
        this.#decoded.set(latents, await this.lab.ask({ what: 'decode', latents, width, height }, signal));
      }
      if (this.shown === count) this.#draw(part, count, this.#decoded.get(latents));
    }
  }

  /** Which parts of a state are to be pictures. */
  #pictures(count, decode) {
    if (!this.traces[count - 1]) return [];
    if (!decode) return count === this.total ? ['after'] : []; // the end is a picture
    return this.parts.filter((part) => !NO_PICTURE.includes(part));
  }

  /** What comes out of one step goes into the next. */
  #latents(part, count) {
    return part === 'input' && count > 1 ? this.traces[count - 2].after.latents : this.traces[count - 1][part].latents;
  }

  #draw(part, count, picture) {
    const name = part === 'after' && count === this.total ? T.finished : T[part];
    this.figures[part].show(toImageData(picture || this.traces[count - 1][part].image), `${name}, ${this.numbers.textContent}`, !picture);
  }
}

export class Back {
  /** @type {Lane[]} */ #lanes = [];
  /** What the model answers with; until it is here, what the embedded one does. */ #prediction = 'v_prediction';
  #settings = '';
  #pausing = false;
  #looking = Promise.resolve();
  #advancing = Promise.resolve();

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.work = new Work();
    const { examples, defaults, open } = lab.model;
    this.prompt = input({ value: open?.prompt ?? examples[0]?.prompt ?? '' });
    this.other = input({ value: examples[1]?.prompt ?? '' });
    this.start = select([['noise', T.fromNoise], ['picture', T.fromPicture]]);
    this.steps = select(['5', '10', '20', '30'].map((n) => [n, n]), String([5, 10, 20, 30].find((n) => n >= defaults.steps) ?? 30));
    const alone = Object.entries(SAMPLERS).filter(([, sampler]) => sampler.alone);
    this.sampler = select(alone.map(([name, { title }]) => [name, title]));
    this.guidance = number({ min: LIMITS.guidance.from, max: LIMITS.guidance.to, step: 0.5, value: defaults.guidance });
    this.seed = number({ min: 0, value: open?.seed ?? examples[0]?.seed ?? newSeed() });
    this.compare = select([['none', T.compareNone], ['prompts', T.comparePrompts], ['guidance', T.compareGuidance]]);
    this.seedNote = make('p', { className: 'quiet', id: 'learn-seen-noise', textContent: T.seenNoise, hidden: true });
    this.seed.setAttribute('aria-describedby', this.seedNote.id);
    this.otherField = field(T.other, this.other, { wide: true });
    this.guidanceField = field(T.guidance, this.guidance);
    this.decode = make('input', { type: 'checkbox', checked: true });
    this.decode.addEventListener('change', () => this.#showAgain());
    this.scrub = range({ min: 0, max: 0, value: 0, disabled: true });
    this.scrub.addEventListener('input', () => this.#showAgain());
    this.lanes = make('div', { className: 'lanes' });
    this.stepButton = button(T.step, () => this.#advance(1));
    this.runButton = button(T.run, () => this.#advance(Infinity), { primary: true });
    this.resetButton = button(T.reset, () => this.#reset());
    this.resetButton.disabled = true;
    const fields = row('controls', field(TEXTS.prompt, this.prompt, { wide: true }), this.otherField,
      field(T.compare, this.compare), field(T.start, this.start), field(T.steps, this.steps),
      field(T.sampler, this.sampler), this.guidanceField, field(TEXTS.seed, this.seed));
    for (const choice of [this.compare, this.start]) choice.addEventListener('change', () => this.#shape());
    this.prompt.addEventListener('input', () => {
      this.#noteGuidance();
      if (!this.#lanes.length) this.#keepPlace();
    });
    onEnter(fields, () => this.#runAnew());
    this.strange = new Strange(lab, [this.prompt, this.other]);
    this.guidanceNote = make('p', { className: 'quiet', ariaLive: 'polite' });
    const anew = row('controls', button(T.anew, async () => {
      const running = this.#runAnew();
      this.#reveal();
      await running;
    }));
    this.answers = prose([]);
    lab.schedule().then(({ prediction }) => this.#know(prediction)).catch(() => {}); // told when something is asked
    // What happens first; what it is, and what can be changed, behind it.
    this.root = section(T, row('controls', this.runButton, this.stepButton, this.resetButton), this.work.root, this.lanes,
      row('controls', field(T.scrub, this.scrub, { wide: true }), make('label', { className: 'check' }, this.decode, T.decode)),
      question(T.question, (answer) => this.#answer(answer), () => this.work.running), prose(T.seen), this.answers,
      make('h3', { textContent: T.settings }), prose(T.guided), fields, this.strange.root, this.seedNote, this.guidanceNote, anew);
    this.stage = this.lanes;
    this.made = new Made(this.root, this.lanes, this.work, { now: () => this.#key(this.#wanted()), again: T.run });
    lab.addEventListener('subject', () => this.#shape());
    this.#shape();
    this.#keepPlace();
  }

  /** A run of its own accord. */
  arrive() {
    this.#advancing = this.#take(Infinity);
    return this.#advancing;
  }

  leave() {
    this.work.abort();
  }

  /** What is known once the model is here: what it answers with, and so what a step will show. */
  #know(prediction) {
    this.#prediction = prediction;
    this.answers.replaceChildren(...prose(T.kinds[prediction]).children);
    if (!this.#lanes.length) this.#keepPlace(); // with other pictures, where it is of another kind
  }

  /** Empty pictures where a run will be, so that nothing moves when it comes. */
  #keepPlace() {
    const { root } = new Lane(this.lab, T.lane.alone(this.prompt.value), this.#prediction);
    root.className = 'lane-to-come';
    this.lanes.replaceChildren(root);
    this.lanes.dataset.count = 1;
  }

  /** Brings the pictures into view where they are above it. */
  #reveal() {
    if (this.lanes.getBoundingClientRect().top > 0) return;
    this.work.root.scrollIntoView({ behavior: calm.matches ? 'instant' : 'smooth' });
  }

  /** A run without words, at its first step. The fields keep what they say. */
  async #answer(answer) {
    await this.#runAnew({ wordless: true });
    if (!(await this.#advancing)) return undefined;
    this.scrub.value = 1;
    await this.#look();
    return T.nothing(answer);
  }

  /** Shows the fields that matter for what is chosen. */
  #shape() {
    const { subject } = this.lab;
    this.otherField.hidden = this.compare.value !== 'prompts';
    this.guidanceField.hidden = this.compare.value === 'guidance';
    const picture = this.start.options[1];
    picture.disabled = !subject;
    picture.textContent = subject ? T.fromPictureAt(subject.t) : T.fromPicture;
    this.seed.disabled = this.#fromPicture;
    this.seedNote.hidden = !this.#fromPicture;
    this.#noteGuidance();
    this.strange.look();
    this.made.look();
  }

  #noteGuidance() {
    this.guidanceNote.textContent = this.compare.value === 'guidance' && !this.prompt.value.trim() ? T.nothingToEnlarge : '';
  }

  #right() {
    return right(this.work, [
      [this.guidance, this.guidanceField.hidden ? '' : wrongNumber(T.guidance, this.guidance.value, LIMITS.guidance)],
      [this.seed, this.seed.disabled ? '' : wrongSeed(TEXTS.seedName, this.seed.value)],
    ]);
  }

  /** What a run is made of, to tell it from others. */
  #key(wanted) {
    return JSON.stringify([wanted, this.#from()], (key, value) => (key === 'clean' ? this.lab.subjects : value));
  }

  /** The runs that are wanted: one or two requests with their titles. */
  #wanted(wordless = false) {
    const request = this.lab.request({
      prompt: this.prompt.value, steps: Number(this.steps.value), sampler: this.sampler.value,
      guidance: this.guidance.valueAsNumber,
      seed: this.#fromPicture ? this.lab.subject.seed : this.seed.value, // the noise that was seen above
    });
    if (wordless) return [[{ ...request, prompt: '', guidance: 1 }, T.lane.wordless]]; // there is nothing to guide
    switch (this.compare.value) {
      case 'prompts':
        return [[request, T.lane.promptA], [{ ...request, prompt: this.other.value }, T.lane.promptB]];
      case 'guidance':
        return [1, 7].map((guidance) => [{ ...request, guidance }, T.lane.guidance(guidance)]);
      default:
        return [[request, T.lane.alone(request.prompt)]];
    }
  }

  get #fromPicture() {
    return this.start.value === 'picture' && this.lab.subject !== null;
  }

  #from() {
    const { subject } = this.lab;
    return this.#fromPicture ? { clean: subject.latents, t: subject.t } : {};
  }

  /** Lays the runs out anew unless they are still those that are wanted. */
  async #prepare(signal, wordless) {
    const wanted = this.#wanted(wordless);
    const from = wordless ? {} : this.#from();
    const settings = this.#key(wanted);
    if (settings === this.#settings && this.#lanes.length && !this.#lanes[0].finished) return;
    const { prediction } = await this.lab.schedule(signal);
    const lanes = wanted.map(([, title]) => new Lane(this.lab, title, prediction));
    for (const [i, [request]] of wanted.entries()) await lanes[i].begin(request, from, signal);
    this.#lanes = lanes;
    this.#settings = settings;
    this.made.clear();
    this.lanes.replaceChildren(...lanes.map((lane) => lane.root));
    this.lanes.dataset.count = lanes.length;
    Object.assign(this.scrub, { max: 0, value: 0, disabled: true });
    this.resetButton.disabled = false;
    this.#show();
  }

  #advance(count, options) {
    if (this.work.running) { // the button says "pause" then
      this.#pausing = true;
      this.work.abort();
    } else if (this.#right()) {
      this.#advancing = this.#take(count, options);
    }
  }

  /** What is under way gives way to a run with what the fields say. */
  async #runAnew(options) {
    this.work.abort();
    await this.#advancing;
    this.#advance(Infinity, options);
  }

  async #take(count, { wordless = false } = {}) {
    this.#pausing = false;
    this.runButton.textContent = T.pause;
    this.stepButton.disabled = true;
    const done = await this.work.run(async (signal) => {
      await this.lab.ready(signal);
      await this.#prepare(signal, wordless);
      for (let i = 0; i < count && !this.#lanes[0].finished; i++) {
        const [{ traces, total }] = this.#lanes;
        this.work.progress(T.working(traces.length + 1, total));
        for (const lane of this.#lanes) await lane.step(signal);
        Object.assign(this.scrub, { max: traces.length, value: traces.length, disabled: false });
        this.#show();
      }
      // A run is not kept waiting by pictures that nobody has time to look at, nor its end by those of its last step.
      await this.#look({ signal, ...(count === Infinity && { only: ['after'] }) });
      return true;
    });
    if (!done) this.#align();
    if (done || this.#pausing) this.#showAgain();
    this.runButton.textContent = T.run;
    this.stepButton.disabled = false;
    this.#tell(done, wordless);
    return done;
  }

  /** Says how far the run is; why it went no further stands there already. */
  #tell(done, wordless) {
    const [lane] = this.#lanes;
    if (!lane) return;
    const taken = lane.finished ? T.done : T.taken(lane.traces.length, lane.total);
    const words = done ? taken : this.#pausing && T.paused;
    if (!wordless) this.made.set(this.#settings, words);
    else if (words) this.work.say(words); // it is of no fields, and so never old
  }

  /** After a stop in the middle of a step both runs are equally far. */
  #align() {
    const least = Math.min(...this.#lanes.map((lane) => lane.traces.length));
    for (const lane of this.#lanes) {
      lane.traces.length = least;
      lane.latents = lane.traces.at(-1)?.next ?? lane.path?.latents;
    }
    if (this.#lanes.length) Object.assign(this.scrub, { max: least, value: Math.min(this.scrub.valueAsNumber, least) });
  }

  async #reset() {
    this.work.abort();
    await this.#advancing;
    this.#lanes = [];
    this.#keepPlace();
    this.made.clear();
    this.resetButton.disabled = true;
    Object.assign(this.scrub, { max: 0, value: 0, disabled: true });
    this.work.say('');
  }

  /** Draws the step that the slider stands at. */
  #show() {
    const count = this.scrub.valueAsNumber;
    this.scrub.setAttribute('aria-valuetext', T.working(count, this.#lanes[0].total));
    for (const lane of this.#lanes) lane.show(count, this.decode.checked);
  }

  /** Draws it, and then what the decoder makes of it, unless the slider has gone on by then. */
  #look(how) {
    this.#show();
    const [lanes, count, before] = [this.#lanes, this.scrub.valueAsNumber, this.#looking];
    this.#looking = (async () => {
      await before.catch(() => {}); // told where it was looked at
      for (const lane of lanes) await lane.decode(count, this.decode.checked, how);
    })();
    return this.#looking;
  }

  #showAgain() {
    if (!this.#lanes.length) return;
    this.#look().catch((error) => this.work.say(TEXTS.failed(error.message)));
  }
}
