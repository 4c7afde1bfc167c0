/** Making pictures: a press becomes a job of the queue, a job becomes pictures, shown and kept; what goes on is said. */

import { invalid } from '../errors.js';
import { duration, keep, seconds } from './dom.js';
import { nameOf } from './pictures.js';
import { Queue, singles } from './queue.js';
import { hideReport, report } from './report.js';
import { drawSeed } from './settings.js';
import { brought, keepParts, keepRest } from './shell.js';
import { measured } from './sizes.js';
import { banner, bar, hideBanner, notes, say } from './status.js';
import { STAGES, errorWords, foreignWords, keepingWords, seedWords, sentence, translatedWords } from './words.js';

/** How far a variation goes when the form does not say. */
const GENTLE = 0.2;
/** Steps of a picture that is drawn while one paints, or fewer. */
const SKETCH_STEPS = 4;

/** What to say of what a run begins with where the browser has let go of it. */
const GONE = {
  image: 'the picture that it begins with is not here any more: choose one again, or begin from words',
  mask: 'what was painted over the picture is not here any more: paint it again',
};

export class Making {
  /** All that was asked for in this tab, and what was asked for last. @type {Set<string>} */
  #asked = new Set();
  #last = '';
  /** What to say about the job before when the next one begins. */
  #parting = '';
  /** Whether what is reported is that a picture was there already. */
  #saidAgain = false;
  /** Why pictures are not kept, as far as that has been said. @type {Set<string>} */
  #told = new Set();
  /** What is drawn while one paints, and its seed where nobody typed one. @type {AbortController | null} */
  #sketching = null;
  #sketchSeed = drawSeed();
  /** What is asked for beside the form, once that is here. @type {import('./extras.js').Extras | null} */ extras = null;

  /**
   * @param {object} options
   * @param {import('./session.js').Session} options.session
   * @param {import('./settings.js').Settings} options.settings
   * @param {import('./stage.js').Stage} options.stage
   * @param {import('./shown.js').Shown} options.shown
   * @param {import('./pictures.js').Pictures} options.pictures
   * @param {import('./gallery.js').Gallery} options.gallery
   * @param {import('./adding.js').Adding} options.adding
   * @param {import('./reader.js').Reader} options.reader
   * @param {import('./begin.js').Begin} options.begin
   * @param {() => void} options.onBegin a picture is about to be made: the session's state is drawn
   * @param {() => void} options.onQueue what works and what waits has changed
   * @param {() => void} options.onMade a picture was made: another engine may have taken over
   * @param {(made: import('./gallery.js').Made[]) => void} options.onBatch several pictures of one press are made
   * @param {(field: string) => void} options.onFault brings a field at fault into view
   * @param {(action: string) => void} options.onWayOut what the banner offers was pressed
   * @param {() => void} options.onFull the visitor wants to make room
   * @param {() => Promise<any>} options.onExtras what is asked for beside the form shall be here
   */
  constructor({ session, settings, stage, shown, pictures, gallery, adding, reader, begin, ...on }) {
    Object.assign(this, { session, settings, stage, shown, pictures, gallery, adding, reader, begin, on });
    this.queue = new Queue({ draw: (job, signal) => this.#draw(job, signal), onChange: on.onQueue });
  }

  /**
   * Lines up what the form says. A seed that nobody typed makes its picture once; asked again, another is drawn.
   * @param {{seed?: number}} [options] the seed of an example, which shows what it promises the first time
   */
  generate({ seed } = {}) {
    const { settings, begin } = this;
    const settling = begin.settle() ?? this.#furnishing();
    if (settling) return void settling.then((kept) => kept && this.generate({ seed }));
    settings.fillEmptyPrompt();
    const request = settings.read();
    const missing = request && (begin.missing() ?? this.extras?.missing() ?? null);
    if (missing) {
      settings.mark(missing.field, missing.message);
      this.on.onFault(missing.field);
    }
    if (!request || missing) {
      if (!this.queue.running) say('One setting needs a look');
      return;
    }
    Object.assign(request, begin.request, this.extras?.dynamic?.drawn(request));
    Object.assign(request, this.extras?.of(request));
    const example = seed === undefined ? null : { ...request, seed: String(seed) };
    if (example && !this.#asked.has(this.#nameOf(example))) {
      request.seed = example.seed;
    } else if (settings.seedIsBrought && (example || this.#last === this.#nameOf(request))) {
      settings.releaseSeed();
      request.seed = drawSeed();
    }
    this.#last = this.#nameOf(request);
    this.#asked.add(this.#last);
    const pictures = singles(request);
    const chosen = this.extras?.chosen(pictures) ?? pictures;
    if (chosen === pictures) this.#add(request.prompt, pictures);
    else chosen.then((made) => made.length && this.#add(request.prompt, made), (error) => this.#refuse(error));
  }

  /** @param {string} prompt @param {any[]} pictures */
  #add(prompt, pictures) {
    this.line({ prompt, pictures });
    if (this.shown.following) this.stage.bringIntoSight();
  }

  /** A template of which nothing became. @param {any} error */
  #refuse(error) {
    this.settings.mark(error.field === 'negativePrompt' ? error.field : 'prompt', sentence(error.message));
    this.on.onFault('prompt');
    if (!this.queue.running) say('One setting needs a look');
  }

  /** Waits for what was set beside the form at the last visit. @returns {Promise<any> | null} */
  #furnishing() {
    const { prompt, negativePrompt } = this.settings.shared();
    const isWanted = ['sampling', 'second', 'regions', 'controls'].some((id) => keep.read(id)?.on) || /\{|__/.test(prompt + negativePrompt);
    const isHere = this.extras?.isHere || !isWanted;
    return isHere ? null : this.on.onExtras();
  }

  /** Lines up pictures that are one job, whatever the form says. @param {Omit<import('./queue.js').Job, 'id'>} job */
  line(job) {
    hideReport();
    if (!this.queue.running) this.shown.following = true;
    if (this.shown.following) this.begin.runs();
    this.queue.line(job);
  }

  /** The same name for the same pictures. */
  #nameOf(request) {
    return nameOf({ settings: request, model: this.session.model.id });
  }

  /**
   * What comes of a picture as it is painted over now, in few steps and not kept. What is to be kept goes first.
   * @param {ImageData} mask @param {AbortSignal} signal @returns {Promise<ImageData>} of the picture's size
   */
  async sketch(mask, signal) {
    const { session, settings, reader, begin } = this;
    if (session.state !== 'ready') throw new Error('The model is not here yet.');
    if (this.queue.running) throw new Error('A picture is being made.');
    const asked = settings.glance();
    const { mask: _, ...beginning } = begin.request;
    const steps = Math.min(SKETCH_STEPS, asked.steps);
    const seed = settings.random.checked ? this.#sketchSeed : asked.seed;
    const controller = new AbortController();
    const stop = () => controller.abort();
    signal.addEventListener('abort', stop);
    this.#sketching = controller;
    try {
      const chosen = (await this.extras?.inWords({ ...asked, seed })) ?? asked;
      const { typed, ...request } = translated(chosen, await reader.read(session.model, chosen.prompt));
      const image = await this.#sourceOf('image', beginning.image);
      const run = { ...request, ...beginning, image, mask, seed, steps, batch: 1, previews: false };
      return (await session.generate({ ...run, signal: controller.signal })).image;
    } finally {
      signal.removeEventListener('abort', stop);
      if (this.#sketching === controller) this.#sketching = null;
    }
  }

  /** Other pictures like the one on the stage: the same settings, noise a little way towards another seed's. */
  vary() {
    const { batch, variationStrength } = this.settings.shared();
    hideReport();
    this.shown.following = true;
    this.queue.add({
      ...this.shown.current.settings,
      batch: Math.min(8, Math.max(1, Math.floor(Number(batch)) || 1)),
      variationStrength: Number(variationStrength) || GENTLE,
      variationSeed: drawSeed(),
    });
  }

  /**
   * Makes the pictures of a job, one after the other. Never rejects.
   * @param {import('./queue.js').Job} job
   */
  async #draw({ pictures: requests, prepare, onMade }, signal) {
    const { session, stage, shown, adding, reader } = this;
    this.#sketching?.abort();
    hideBanner();
    if (this.#saidAgain) hideReport(); // it was about the job before
    this.#saidAgain = false;
    notes(this.#parting ? [this.#parting] : []);
    this.#parting = '';
    const made = [];
    try {
      for (const [i, asked] of requests.entries()) {
        this.on.onBegin();
        prepare?.(i);
        const [reading] = await Promise.all([reader.read(session.model, asked.prompt), session.ready(signal)]);
        const request = translated(asked, reading);
        if (adding.now) say(`Drawing begins when ${adding.now.name} is added`);
        if (shown.following) stage.begin(request);
        const progress = this.#progressOf(request, i, requests.length);
        const { typed, image, mask, factor, network, hires, controls, regions, ...settings } = request;
        const sources = {
          image: await this.#sourceOf('image', image), mask: await this.#sourceOf('mask', mask),
          ...(hires && { hires: await this.#second(hires) }),
          ...(controls || regions ? await this.#steering(request) : {}),
        };
        const result = network
          ? await (await this.#enlarging()).enlarged(request, sources.image, { session, pictures: this.pictures, signal })
          : await session.generate({ ...settings, ...sources, previews: true, signal, ...progress });
        made.push(await this.#finish(request, reading, result));
        onMade?.(i, made[i]);
      }
      sayDone(made);
      if (made.length > 1 && shown.following && !onMade) this.on.onBatch(made);
      this.begin.ran(true);
      return 'done';
    } catch (error) {
      if (shown.following) stage.restore();
      this.begin.ran(made.length > 0);
      return this.#fail(error, made.length, requests.length);
    } finally {
      bar(null);
    }
  }

  /** The picture that a run begins with, or its mask, where it has one. @param {'image' | 'mask'} field @param {string} [hash] */
  async #sourceOf(field, hash) {
    if (!hash) return undefined;
    const png = await this.pictures.source(hash);
    if (png) return png;
    throw invalid(field, GONE[field]);
  }

  /** Control images and regions with what they name. @param {any} request */
  async #steering(request) {
    const here = await this.#part(() => import('../steer/sources.js'), new URL('../steer/sources.js', import.meta.url));
    return here.steering(request, this.pictures, this.session.og);
  }

  /** A second pass with the file of the network that enlarges before it, where one does. @param {any} hires */
  async #second({ network, ...hires }) {
    return network ? { ...hires, model: await (await this.#enlarging()).fileOf(network, this.pictures) } : hires;
  }

  /** What enlarges by a network. */
  #enlarging() {
    return this.#part(() => import('../paint/enlarging.js'), new URL('../paint/enlarging.js', import.meta.url));
  }

  /** Code that few pictures need. @template T @param {() => Promise<T>} load @param {URL} address @returns {Promise<T>} */
  #part(load, address) {
    return brought(load, address).catch(() => { throw invalid('image', 'the code that it takes did not arrive: try again'); });
  }

  /** Callbacks that turn the engine's events into words, bar and previews; picture `index` of `count`. */
  #progressOf(request, index, count) {
    let started = performance.now();
    const decodeMs = keep.read('decodeMs') ?? 0;
    const which = count > 1 ? `picture ${index + 1} of ${count} · ` : '';
    const advance = (share) => bar((index + share) / count);
    return {
      onStage({ stage: name }) {
        if (name === 'denoise') started = performance.now();
        say(STAGES[name], name === 'denoise' ? `${which}step 1 of ${request.steps}` : '');
        advance(name === 'decode' ? 0.97 : 0);
      },
      onStep: ({ step, steps, preview }) => {
        const each = (performance.now() - started) / step;
        const left = ((steps - step) * each + decodeMs) / 1000;
        say(STAGES.denoise, `${which}step ${step} of ${steps} · ${duration(left)} left`);
        advance((step / steps) * 0.97);
        if (preview && this.shown.following) this.stage.preview(preview);
      },
    };
  }

  /** Shows a picture and keeps it. */
  async #finish(request, reading, { image, png, seed, timings, notices }) {
    const { session, settings, shown } = this;
    const made = { entry: null, image, png: png[0], settings: { ...request, seed: String(seed) }, model: session.model.id };
    if (shown.following) shown.present(made);
    if (settings.random.checked) settings.showSeed(seed);
    if (!request.network && !request.hires) {
      keep.write('decodeMs', timings.decodeMs);
      measured(session.model.id, request, timings);
    }
    // What is still in the box is explained there.
    const translation = reading && settings.shared().prompt !== request.typed ? translatedWords(reading) : [];
    const foreign = reading ? foreignWords(session.model, reading) : [];
    notes([...translation, ...foreign, ...notices.map(sentence)]);
    this.on.onMade();
    keepParts(session.capabilities().fetched); // another engine may have taken over
    keepRest();

    const { entry, problem, again } = await this.pictures.add(made);
    made.entry = entry;
    await this.gallery.refresh();
    if (shown.current === made) shown.showAsKept();
    if (again) this.#sayAgain();
    if (problem && !this.#told.has(problem)) {
      report(...keepingWords(problem), { label: 'Show storage', run: this.on.onFull });
    }
    if (problem) this.#told.add(problem);
    else this.#told.clear();
    return { ...made, totalMs: timings.totalMs };
  }

  /** The picture is one that is kept already: why, and how to get others. */
  #sayAgain() {
    const why = this.settings.seedIsTyped
      ? `The same settings with the same seed make the same picture. The seed is set to ${this.settings.shared().seed}.`
      : 'The same settings with the same seed make the same picture.';
    this.#saidAgain = true;
    report('This picture is among yours already, and was not kept twice.', [why], {
      label: 'Draw a new seed',
      run: () => {
        this.settings.releaseSeed();
        this.generate();
      },
    });
  }

  /** Says why a job ended early. @returns {'cancelled' | 'done' | 'failed'} what that means for the ones that wait */
  #fail(error, made, of) {
    const { session } = this;
    const rest = this.queue.waiting.length;
    const kept = of > 1 ? `${made} of ${of} pictures were made and are kept` : '';
    if (error.code === 'ABORTED') {
      const there = this.shown.current ? 'the one before is here again' : '';
      if (session.state === 'ready') say('Cancelled', kept || there);
      if (rest) this.#parting = `Cancelled${kept && `: ${kept}`}. ${rest} more in the queue ${rest === 1 ? 'goes' : 'go'} on.`;
      return 'cancelled';
    }
    if (error === session.error) return 'failed'; // the banner is up already
    if (error.code === 'INVALID_INPUT' && this.settings.mark(error.field, sentence(error.message))) {
      say('One setting needs a look', kept);
      this.on.onFault(error.field);
      return 'done';
    }
    say('No picture this time', 'your prompt and settings are kept');
    banner(errorWords(error, session.model, session.offline), this.on.onWayOut);
    return 'failed';
  }
}

/**
 * The request with the prompt that is drawn; what was typed, where that is something else, stays beside it as `typed`.
 * @param {object} request
 * @param {import('./knowing.js').Reading | null} reading
 */
function translated(request, reading) {
  if (!reading || reading.drawn === request.prompt) return request;
  return { ...request, prompt: reading.drawn, typed: request.prompt };
}

function sayDone(made) {
  const total = seconds(made.reduce((sum, { totalMs }) => sum + totalMs, 0));
  const [{ settings }] = made;
  const { prompt } = settings;
  const last = made.at(-1).settings;
  if (settings.network) say(`Done in ${total}`, `${settings.factor} times as large, by ${settings.network.name}`, prompt);
  else if (made.length === 1) say(`Done in ${total}`, seedWords(settings), prompt);
  else if (settings.variationStrength > 0) {
    const seeds = `${settings.variationSeed} to ${last.variationSeed}`;
    say(`Done in ${total}`, `${made.length} pictures, variations ${seeds} of seed ${settings.seed}`, prompt);
  } else if (last.seed === settings.seed) say(`Done in ${total}`, `${made.length} pictures`, prompt);
  else say(`Done in ${total}`, `${made.length} pictures, seeds ${settings.seed} to ${last.seed}`, prompt);
}
