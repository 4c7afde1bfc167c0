/** The view "Teach": pictures of something of one's own in, a LoRA that draws it out, learnt on this device. */

import { OpenGen } from '../client.js';
import { $, duration, make } from '../js/dom.js';
import { sentence } from '../js/words.js';
import { Curve } from './curve.js';
import { forget, keep, read } from './keeping.js';
import { LEAST, PictureSet } from './set.js';
import { TEXTS as T } from './texts.js';

/** Steps after which what is learnt is kept and looked at, and how often that is where the number of steps is given. */
const EVERY = 50;
const LOOKS = 6;
/** What the samples begin with. */
const SEED = 1;

/** @typedef {import('./keeping.js').Kept} Kept */

/**
 * @typedef {object} Page
 * @property {import('../js/session.js').Session} session
 */

export class Teach {
  title = `${T.title} · OpenGen`;
  #set = new PictureSet();
  #curve = new Curve();
  /** Stops the training under way. @type {AbortController | null} */ #stop = null;
  /** Everything of the last training was deleted. */ #gone = false;
  #word = text('teach-word', 'zorp');
  #kind = text('teach-kind', '');
  #preset = make('select', { id: 'teach-preset' }, ...T.presets.map(([value, textContent]) => make('option', { value, textContent })));
  #numbers = Object.fromEntries([['steps', T.steps], ['rank', T.rank], ['rate', T.rate], ['classImages', T.classImages]].map(([name, label]) =>
    [name, { label, field: make('input', { type: 'number', id: `teach-${name}`, min: '0', step: 'any', placeholder: 'the preset’s' }) }]));
  #go = make('button', { type: 'button', className: 'button primary', id: 'teach-go', textContent: T.start });
  #status = make('p', { className: 'teach-status', role: 'status' });
  #problem = make('p', { className: 'field-error', hidden: true });
  #again = make('div', { className: 'teach-again', hidden: true });
  #samples = make('ol', { className: 'teach-samples' });
  #after = make('section', { className: 'shelf', id: 'teach-use', hidden: true });
  #seen = make('div', { hidden: true }, make('h3', { textContent: T.curve }), this.#curve.root, make('p', { className: 'quiet', textContent: T.curveText }),
    make('h3', { textContent: T.samples }), this.#samples);

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    Object.assign(this, { root, page });
    this.#kind.setAttribute('list', 'teach-kinds');
    const kinds = make('datalist', { id: 'teach-kinds' });
    const { knows, synonyms = {} } = page.session.model ?? {};
    const things = Object.values(knows?.things ?? {}).flat();
    kinds.append(...things.map((value) => make('option', { value })));
    this.known = new Set([...things.flatMap((thing) => thing.split(' ')), ...Object.entries(synonyms).flat(2)]);
    const remove = make('button', { type: 'button', className: 'button small ghost', id: 'teach-forget', textContent: T.remove });
    remove.addEventListener('click', () => this.#forget());
    this.#go.addEventListener('click', () => (this.#stop ? this.#stop.abort() : this.#start(null)));
    const numbers = Object.values(this.#numbers).map(({ label, field }) => labelled(label, field));
    root.replaceChildren(make('h1', { textContent: T.title, tabIndex: -1 }), make('p', { className: 'lede', textContent: T.lede }), this.#again,
      section(T.pictures, make('p', { textContent: T.picturesText }), this.#set.root, make('p', { className: 'quiet', textContent: T.captionHint }),
        make('p', { className: 'quiet', textContent: `${T.home} ${T.person}` })),
      section(T.what, make('div', { className: 'teach-fields' }, labelled(T.word, this.#word, T.wordHint), labelled(T.kind, this.#kind, T.kindHint), kinds)),
      section(T.learn, make('div', { className: 'teach-fields' }, labelled(T.preset, this.#preset)),
        make('details', { className: 'teach-details' }, make('summary', { textContent: T.details }), make('div', { className: 'teach-fields' }, ...numbers)),
        make('p', { className: 'quiet', textContent: T.model(page.session.model?.name ?? 'The model') }),
        this.#problem, make('div', { className: 'teach-go' }, this.#go, this.#status), this.#seen),
      this.#after, make('p', { className: 'teach-forget' }, remove));
    for (const field of [this.#word, this.#kind]) field.addEventListener('input', () => this.#named());
    this.#set.addEventListener('change', () => this.#say(''));
    addEventListener('beforeunload', (event) => this.#stop && event.preventDefault());
    this.#named();
    this.ready = this.#offer();
  }

  /** It is looked at. */
  reveal() {
    scrollTo(0, 0);
  }

  /** It learns on while one looks elsewhere. */
  leave() {}

  /** The words for pictures that have none of their own. */
  #named() {
    const word = this.#word.value.trim();
    this.#set.called([word && 'a', word, this.#kind.value.trim()].filter(Boolean).join(' '));
    this.#say(this.known.has(word.toLowerCase()) ? T.common(word) : '');
  }

  /** Says what is wrong. @param {string} words */
  #say(words) {
    Object.assign(this.#problem, { textContent: words, hidden: !words });
  }

  /** A training that was interrupted can go on. */
  async #offer() {
    const kept = await read();
    if (this.#stop) return;
    this.#again.hidden = !kept;
    if (!kept) return;
    const go = make('button', { type: 'button', className: 'button small primary', id: 'teach-go-on', textContent: T.goOn });
    go.addEventListener('click', () => this.#goOn(kept));
    this.#again.replaceChildren(make('p', { textContent: T.kept(kept.asked.word, kept.step) }), go);
  }

  /** @param {Kept} kept */
  async #goOn(kept) {
    const { word, kind, preset, ...numbers } = kept.asked;
    Object.assign(this.#word, { value: word });
    Object.assign(this.#kind, { value: kind });
    this.#preset.value = preset;
    for (const [name, value] of Object.entries(numbers)) this.#numbers[name].field.value = value || '';
    this.#set.clear();
    await this.#set.add(kept.pictures.map(({ image }) => image), kept.pictures.map(({ caption }) => caption));
    await this.#start(kept);
  }

  /** Learns; from where it stopped if there is something. @param {Kept | null} from */
  async #start(from) {
    const { session } = this.page;
    const [word, kind] = [this.#word.value.trim(), this.#kind.value.trim()];
    if (this.#set.pictures.length < LEAST) return this.#say(T.few(this.#set.pictures.length));
    if (!word || !kind) return this.#say(T.noWords);
    this.#say('');
    const number = (/** @type {string} */ name) => Number(this.#numbers[name].field.value) || 0;
    const asked = { word, kind, preset: this.#preset.value, steps: number('steps'), rank: number('rank'), rate: number('rate'), classImages: number('classImages') };
    const pictures = this.#set.pictures.map(({ image, caption }) => ({ image, caption }));
    const given = from ?? { pictures, asked, model: session.model.id, step: 0, checkpoint: null };
    this.#gone = false;
    const stop = (this.#stop = new AbortController());
    this.#go.textContent = T.stop;
    this.#again.hidden = true;
    this.#after.hidden = true;
    this.#seen.hidden = false;
    this.#curve.clear();
    this.#times = [];
    this.#samples.replaceChildren();
    this.#status.textContent = T.preparing;
    let og = null;
    try {
      await keep(given).catch(() => {}); // without storage it is lost with the tab
      if (!from) await this.#sample(null, 0);
      og = await OpenGen.create({ engine: 'cpu', model: session.model, signal: stop.signal });
      const made = await og.train(this.#request(given, stop.signal));
      await this.#learnt(made, word);
    } catch (error) {
      if (error.code !== 'ABORTED') this.#say(sentence(error.message));
      this.#status.textContent = '';
    } finally {
      og?.dispose();
      this.#stop = null;
      this.#go.textContent = T.start;
      await this.#offer();
    }
  }

  /** @param {Kept} given @param {AbortSignal} signal @returns {import('../api.d.ts').TrainOptions} */
  #request(given, signal) {
    const { word, kind, preset, steps, rank, rate, classImages } = given.asked;
    return {
      images: given.pictures, classPrompts: preset === 'style' ? [] : [`a ${kind}`], name: word, trigger: `${word} ${kind}`,
      preset: /** @type {any} */ (preset), saveEvery: steps ? Math.ceil(steps / LOOKS) : EVERY, checkpoint: given.checkpoint ?? undefined, signal,
      recipe: { ...(steps && { steps }), ...(rank && { rank, alpha: rank }), ...(rate && { learningRate: rate }), ...(classImages && { classImages }) },
      onPrepare: ({ what, done, all }) => { this.#status.textContent = `${what === 'class' ? T.class : T.encode}: ${done} / ${all}`; },
      onStep: (step) => {
        this.#curve.add(step);
        this.#status.textContent = T.progress(step.step, step.steps, this.#left(step));
      },
      onKept: async (kept) => {
        if (this.#gone) return;
        await keep({ ...given, step: kept.step, checkpoint: kept.checkpoint }).catch(() => {});
        await this.#sample(kept.file, kept.step);
      },
    };
  }

  /** How long it will take, from the last steps. @type {number[]} */ #times = [];

  /** @param {{step: number, steps: number}} step */
  #left({ step, steps }) {
    this.#times = [...this.#times.slice(-20), performance.now()];
    const [first, last] = [this.#times[0], this.#times.at(-1)];
    const each = this.#times.length > 1 ? (last - first) / (this.#times.length - 1) : 0;
    return each ? duration((each * (steps - step)) / 1000) : '…';
  }

  /** A picture of it as it is drawn now. @param {Blob | null} file @param {number} step */
  async #sample(file, step) {
    const { session } = this.page;
    const prompt = `a ${this.#word.value.trim()} ${this.#kind.value.trim()}`;
    try {
      await session.ready(AbortSignal.timeout(60_000));
      const loras = file ? [{ name: 'teach', model: file }] : [];
      const { image } = await session.og.generate({ prompt, seed: SEED, previews: false, loras });
      const canvas = make('canvas', { width: image.width, height: image.height, role: 'img', ariaLabel: file ? T.after(step) : T.before });
      canvas.getContext('2d').putImageData(image, 0, 0);
      this.#samples.append(make('li', {}, canvas, make('span', { className: 'quiet', textContent: file ? T.after(step) : T.before })));
    } catch {
      // it is only looked at; learning goes on
    }
  }

  /** It is done: kept among the LoRAs, and ready to be used. @param {import('../api.d.ts').Trained} made @param {string} word */
  async #learnt(made, word) {
    const { og } = this.page.session;
    await og.networks.add(made.file, { name: word, replace: true });
    await forget().catch(() => {});
    this.#status.textContent = T.done(word, made.step);
    const prompt = `a ${word} ${this.#kind.value.trim()} in the snow <lora:${word}:1>`;
    const draw = make('button', { type: 'button', className: 'button primary', id: 'teach-draw', textContent: T.draw });
    draw.addEventListener('click', () => {
      $('prompt').value = prompt;
      $('prompt').dispatchEvent(new Event('input', { bubbles: true }));
      $('prompt').dispatchEvent(new Event('put'));
      location.hash = '';
      $('prompt').focus();
    });
    const save = make('a', { className: 'button', id: 'teach-save', href: URL.createObjectURL(made.file), download: `${word}.safetensors`, textContent: T.save });
    this.#after.replaceChildren(make('h2', { textContent: T.use }), make('p', {}, make('code', { textContent: prompt })),
      make('div', { className: 'teach-go' }, draw, save), make('p', { className: 'quiet', textContent: T.saveHint }));
    this.#after.hidden = false;
    await this.#sample(made.file, made.step);
  }

  /** Pictures, captions and checkpoints go. */
  async #forget() {
    this.#gone = true; // what a training that stops puts by at last is not kept either
    this.#stop?.abort();
    this.#set.clear();
    this.#again.hidden = true;
    await forget().catch(() => {});
    this.#status.textContent = T.removed;
  }
}

/** @param {string} textContent @param {...Node} children */
const section = (textContent, ...children) => make('section', { className: 'shelf' }, make('h2', { textContent }), ...children);

/** @param {string} id @param {string} value */
const text = (id, value) => make('input', { type: 'text', id, value, autocomplete: 'off' });

/** @param {string} label @param {any} field @param {string} [hint] */
function labelled(label, field, hint) {
  const box = make('div', { className: 'field' }, make('label', { htmlFor: field.id, textContent: label }), field);
  if (hint) {
    field.setAttribute('aria-describedby', `${field.id}-hint`);
    box.append(make('span', { className: 'quiet', id: `${field.id}-hint`, textContent: hint }));
  }
  return box;
}
