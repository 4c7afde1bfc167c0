/** The view "Teach": pictures of something of one's own in, a LoRA that draws it out, learnt on this device. */

import { withThumbnail } from '../catalogue/thumbnail.js';
import { duration, make, seconds } from '../js/dom.js';
import { sentence } from '../js/words.js';
import { Curve } from './curve.js';
import { all, forget, keep } from './keeping.js';
import { Finer } from './finer.js';
import { hold, isUnderWay, sampled, taught, whenOver } from './lesson.js';
import { Samples } from './samples.js';
import { LEAST, PictureSet } from './set.js';
import { TEXTS as T } from './texts.js';
import { usesOf } from './use.js';

/** Steps after which what is learnt is kept and looked at, and how often that is where the number of steps is given. */
const EVERY = 100;
const LOOKS = 6;
/** What the samples begin with. */
const SEED = 1;
/** Pictures are not learnt from below this size, in pixels. */
const SMALLEST = 64;

/** What a model draws beforehand whose maker says nothing else: the kind as it is photographed. `{}` stands for it. */
const PHOTOGRAPHS = ['a photo of {}', 'a photo of {} outdoors', 'a close-up photo of {}', 'a photo of {} in a room'];

/** @param {string} thing */
const withArticle = (thing) => `${/^[aeiou]/i.test(thing) ? 'an' : 'a'} ${thing}`;

/**
 * What the model draws beforehand, so that it keeps it; of a style nothing.
 * @param {import('../protocol.d.ts').ModelInfo} model @param {{kind: string, preset: string}} asked
 */
const classPromptsOf = ({ classPrompts = PHOTOGRAPHS }, { kind, preset }) => (preset === 'style' ? []
  : classPrompts.map((words) => words.replaceAll('{}', withArticle(kind))));

/** @typedef {import('./keeping.js').Kept} Kept */

/**
 * @typedef {object} Page
 * @property {import('../js/session.js').Session} session
 * @property {import('../js/queue.js').Queue} queue
 */

export class Teach {
  title = `${T.title} · OpenGen`;
  #set = new PictureSet();
  #curve = new Curve();
  #samples = new Samples();
  /** Stops the training under way. @type {AbortController | null} */ #stop = null;
  /** Those whose everything was deleted. @type {Set<string>} */ #gone = new Set();
  /** The training that the fields are of. @type {string | null} */ #id = null;
  /** The same, as long as no step of it was kept: another attempt takes its place. @type {string | null} */ #unbegun = null;
  /** @type {import('../protocol.d.ts').ModelInfo | null} */ #model = null;
  #word = text('teach-word', 'zorp');
  #kind = text('teach-kind', '');
  #kinds = make('datalist', { id: 'teach-kinds' });
  #learns = make('p', { className: 'quiet' });
  #preset = make('select', { id: 'teach-preset' }, ...T.presets.map(([value, textContent]) => make('option', { value, textContent })));
  #alone = make('p', { className: 'quiet', textContent: T.isWord, hidden: true });
  #numbers = Object.fromEntries([['steps', T.steps], ['rank', T.rank], ['rate', T.rate], ['classImages', T.classImages]].map(([name, label]) =>
    [name, { label, field: make('input', { type: 'number', id: `teach-${name}`, min: '0', step: name === 'rate' ? 'any' : '1', placeholder: T.presetsOwn }) }]));
  #buckets = make('input', { type: 'checkbox', id: 'teach-buckets' });
  #finer = new Finer();
  #meanwhile = make('select', { id: 'teach-meanwhile' }, ...T.meanwhiles.map(([value, textContent]) => make('option', { value, textContent })));
  #go = make('button', { type: 'button', className: 'button primary', id: 'teach-go', textContent: T.start });
  #status = make('p', { className: 'teach-status', role: 'status' });
  #takes = make('p', { className: 'quiet', id: 'teach-takes', hidden: true });
  #problem = make('p', { className: 'field-error', hidden: true });
  #unkept = make('p', { className: 'field-error', id: 'teach-unkept', role: 'status', hidden: true });
  #again = make('div', { hidden: true });
  #after = make('section', { className: 'shelf', id: 'teach-use', hidden: true });
  #seen = make('div', { hidden: true }, make('h3', { textContent: T.curve }), this.#curve.root, make('p', { className: 'quiet', textContent: T.curveText }),
    make('h3', { textContent: T.samples }), this.#samples.root);

  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    Object.assign(this, { root, page });
    this.#kind.setAttribute('list', 'teach-kinds');
    const remove = make('button', { type: 'button', className: 'button small ghost', id: 'teach-forget', textContent: T.remove });
    remove.addEventListener('click', () => this.#forget());
    this.#go.addEventListener('click', () => (this.#stop ? this.#stop.abort() : this.#start(null)));
    const numbers = Object.values(this.#numbers).map(({ label, field }) => labelled(label, field));
    const [how, href] = T.how;
    root.replaceChildren(make('h1', { textContent: T.title, tabIndex: -1 }), make('p', { className: 'lede', textContent: T.lede }),
      make('p', { className: 'teach-how' }, make('a', { textContent: how, href })), this.#again,
      section(T.pictures, make('p', { textContent: T.picturesText }), this.#set.root, make('p', { className: 'quiet', textContent: T.captionHint }),
        make('p', { className: 'quiet', textContent: `${T.home} ${T.person}` })),
      section(T.what, make('div', { className: 'teach-fields' }, labelled(T.word, this.#word, T.wordHint), labelled(T.kind, this.#kind, T.kindHint), this.#kinds)),
      section(T.learn, make('div', { className: 'teach-fields' }, labelled(T.preset, this.#preset)), this.#alone,
        make('details', { className: 'teach-details' }, make('summary', { textContent: T.details }), make('div', { className: 'teach-fields' }, ...numbers),
          switched(T.buckets, this.#buckets, T.bucketsHint), make('div', { className: 'teach-fields' }, labelled(T.meanwhile, this.#meanwhile)), this.#finer.root),
        this.#learns, this.#problem, make('div', { className: 'teach-go' }, this.#go, this.#status), this.#takes, this.#unkept, this.#seen),
      this.#after, make('p', { className: 'teach-forget' }, remove));
    for (const field of [this.#word, this.#kind, this.#preset]) field.addEventListener('input', () => this.#named());
    this.#buckets.addEventListener('change', () => this.#shape());
    this.#set.addEventListener('change', () => this.#say(''));
    this.#preset.addEventListener('change', () => this.#chosen());
    this.#meanwhile.addEventListener('change', () => this.#share());
    page.queue.addEventListener('change', () => this.#yield());
    addEventListener('beforeunload', (event) => this.#stop && event.preventDefault());
    this.#suit();
    this.ready = this.#offer();
  }

  /** It is looked at. */
  reveal() {
    this.#suit();
    this.#offer();
    scrollTo(0, 0);
  }

  /** It learns on while one looks elsewhere. */
  leave() {}

  /** What depends on the model, once another is in use. */
  #suit() {
    const { model } = this.page.session;
    if (model === this.#model || this.#stop) return;
    this.#model = model;
    const { knows, synonyms = {}, name } = model;
    const things = Object.values(knows?.things ?? {}).flat();
    this.#kinds.replaceChildren(...things.map((value) => make('option', { value })));
    this.known = new Set([...things.flatMap((thing) => thing.split(' ')), ...Object.entries(synonyms).flat(2)]);
    this.#learns.textContent = T.model(name ?? 'The model');
    this.#shape();
    this.#named();
  }

  /** Pictures that are asked for while something learns come beside it, before it or after it. */
  #share() {
    const { queue } = this.page;
    const isAfter = this.#stop !== null && this.#meanwhile.value === 'after';
    if (queue.held && !isAfter) queue.resume();
    queue.held = isAfter;
    this.#yield();
  }

  /** Learning waits while a picture is drawn, if it is to. */
  #yield() {
    hold(this.#stop !== null && this.#meanwhile.value === 'first' && this.page.queue.running !== null);
  }

  /** What shape is learnt from. */
  #shape() {
    const { width, height } = this.#model;
    this.#set.shaped(this.#buckets.checked ? null : width / height || 1);
  }

  /** The words for pictures that have none of their own. */
  #named() {
    const word = this.#word.value.trim();
    const words = [word, this.#kind.value.trim()].filter(Boolean).join(' ');
    const photographed = !this.#model?.classPrompts && this.#preset.value !== 'style';
    this.#set.called(word && (photographed ? `a photo of a ${words}` : `a ${words}`));
    this.#say(this.known.has(word.toLowerCase()) ? T.common(word) : '');
  }

  /** Only what counts can be asked for. */
  #chosen() {
    const alone = isWord({ preset: this.#preset.value });
    this.#alone.hidden = !alone;
    for (const name of ['rank', 'classImages']) this.#numbers[name].field.closest('.field').hidden = alone;
    this.#finer.suit(alone);
  }

  /** What the engine says against a number, with its name here. @param {import('../errors.js').OpenGenError} error */
  #sentence({ field, message }) {
    const name = { learningRate: 'rate', vectorLearningRate: 'rate' }[field] ?? field;
    const label = message.includes(' asked for, ') && (this.#numbers[name]?.label ?? this.#finer.labelOf(name));
    return label ? `${label}: ${sentence(message)}` : sentence(message);
  }

  /** Says what is wrong. @param {string} words */
  #say(words) {
    Object.assign(this.#problem, { textContent: words, hidden: !words });
  }

  /** Trainings that were interrupted can go on, unless one is under way elsewhere: that one is among them. */
  async #offer() {
    const busy = await isUnderWay();
    if (this.#stop) return;
    const kept = busy ? [] : await all();
    this.#again.hidden = !busy && !kept.length;
    if (busy) {
      this.#again.replaceChildren(make('p', { className: 'teach-again', id: 'teach-elsewhere', textContent: T.elsewhere }));
      whenOver().then(() => this.#offer());
    } else this.#again.replaceChildren(...kept.map((one) => this.#offered(one)));
  }

  /** @param {Kept} kept */
  #offered(kept) {
    const { word } = kept.asked;
    const suits = kept.model === this.page.session.model.id;
    const go = make('button', { type: 'button', className: 'button small primary', textContent: T.goOn, hidden: !suits });
    go.addEventListener('click', () => this.#goOn(kept));
    const remove = make('button', { type: 'button', className: 'button small ghost', textContent: T.forget, ariaLabel: T.forgetOne(word) });
    remove.addEventListener('click', async () => {
      if (await isUnderWay()) return this.#offer(); // it may be this one that goes on there
      await forget(kept.id).catch((error) => this.#say(sentence(error.message)));
      await this.#offer();
      this.#go.focus();
    });
    const use = make('button', { type: 'button', className: 'button small', textContent: T.useIt, hidden: !kept.file });
    use.addEventListener('click', () => this.#learnt(kept, kept));
    const words = suits ? T.kept(word, kept.step) : T.keptOf(word, kept.step, kept.modelName);
    return make('div', { className: 'teach-again' }, make('p', { textContent: words }), go, use, remove);
  }

  /** @param {Kept} kept */
  async #goOn(kept) {
    const { word, kind, preset, buckets = false, finer = {}, ...numbers } = kept.asked;
    Object.assign(this.#word, { value: word });
    Object.assign(this.#kind, { value: kind });
    this.#preset.value = preset;
    this.#buckets.checked = buckets;
    this.#shape();
    this.#chosen();
    this.#finer.asked = finer;
    for (const [name, value] of Object.entries(numbers)) this.#numbers[name].field.value = value ?? '';
    this.#set.clear();
    await this.#set.add(kept.pictures);
    await this.#start(kept);
  }

  /** Learns; from where it stopped if there is something. @param {Kept | null} from */
  async #start(from) {
    const model = this.page.session.model;
    const [word, kind] = [this.#word.value.trim(), this.#kind.value.trim()];
    const { pictures, distinct } = this.#set;
    if (pictures.length < LEAST) return this.#say(T.few(pictures.length));
    if (distinct < LEAST) return this.#say(T.equal(distinct));
    if (!word || !kind) return this.#say(T.noWords);
    const wrong = Object.values(this.#numbers).find(({ field }) => !field.closest('.field').hidden && !field.validity.valid);
    if (wrong) return this.#say(T.number(wrong.label, wrong.field.step === '1'));
    if (this.#finer.wrong) return this.#say(T.number(this.#finer.wrong.label, this.#finer.wrong.isWhole));
    if (await isUnderWay()) return this.#say(T.elsewhere);
    if (this.#stop) return; // pressed twice
    this.#say('');
    const stop = (this.#stop = new AbortController());
    Object.assign(this.#go, { textContent: T.stop });
    this.#share();
    for (const part of [this.#again, this.#after, this.#unkept, this.#takes]) part.hidden = true;
    this.#seen.hidden = false;
    this.#curve.clear();
    this.#samples.clear();
    this.#times = [];
    this.#status.textContent = T.preparing;
    let given = from;
    try {
      given ??= await this.#asked(model, word, kind);
      const made = await this.#learn(given, stop.signal);
      if (await this.#learnt(given, made)) await forget(given.id).catch(() => {});
    } catch (error) {
      this.#status.textContent = this.#gone.has(given?.id) ? T.removed : '';
      const isMemory = error.code === 'OUT_OF_MEMORY';
      const isKept = given && given.id !== this.#unbegun && error.code !== 'INVALID_INPUT';
      if (isMemory && !isKept) this.#say(T.memory);
      else if (error.code !== 'ABORTED') this.#say([isMemory ? T.ranOut : this.#sentence(error), ...(isKept ? [T.isKept] : [])].join(' '));
      if (error.code === 'INVALID_INPUT' && given?.id === this.#unbegun) await forget(given.id).catch(() => {}); // it would be refused again
    } finally {
      this.#stop = null;
      this.#share();
      this.#samples.offers(true);
      this.#go.textContent = T.start;
      this.#suit();
      await this.#offer();
    }
  }

  /** What the fields say, as it is kept. @param {import('../protocol.d.ts').ModelInfo} model @param {string} word @param {string} kind @returns {Promise<Kept>} */
  async #asked(model, word, kind) {
    const number = (/** @type {string} */ name) => (this.#numbers[name].field.value === '' ? null : this.#numbers[name].field.valueAsNumber);
    const asked = { word, kind, preset: this.#preset.value, buckets: this.#buckets.checked, finer: this.#finer.asked, steps: number('steps'), rank: number('rank'), rate: number('rate'), classImages: number('classImages') };
    const pictures = await this.#set.cut(model.width, model.height);
    return { id: this.#unbegun ?? crypto.randomUUID(), begun: Date.now(), pictures, asked, model: model.id, modelName: model.name, side: 0, step: 0, checkpoint: null, file: null };
  }

  /**
   * Learns, from smaller pictures where there is too little memory for larger ones.
   * @param {Kept} given @param {AbortSignal} signal @returns {Promise<import('../api.d.ts').Trained>}
   */
  async #learn(given, signal) {
    const { model } = this.page.session;
    this.#id = given.id;
    this.#unbegun = given.step ? null : given.id;
    this.#gone.delete(given.id);
    try {
      await this.#put(given);
      await this.#sample(given, null, 0);
      return await taught(this.page.session, this.#request(given, signal));
    } catch (error) {
      const side = (given.side || Math.min(model.width, model.height)) / 2;
      const begun = this.#unbegun !== given.id; // it goes on from what was kept, at its own size
      if (error.code !== 'OUT_OF_MEMORY' || begun || side < SMALLEST || side % SMALLEST) throw error;
      this.#say(T.smaller(side));
      this.#samples.clear();
      return this.#learn({ ...given, side }, signal);
    }
  }

  /** Keeps what there is so far; says so where that is not possible. @param {Kept} kept */
  async #put(kept) {
    try {
      await keep(kept);
      this.#unkept.hidden = true;
    } catch (error) {
      Object.assign(this.#unkept, { hidden: false, textContent: T.unkept(error.name === 'QuotaExceededError' ? T.full : error.message.replace(/\.$/, '')) });
    }
  }

  /** @param {Kept} given @param {AbortSignal} signal @returns {import('../api.d.ts').TrainOptions} */
  #request(given, signal) {
    const { word, kind, preset, buckets = null, finer: { looks, ...finer } = {}, steps, rank, rate, classImages } = given.asked;
    const numbers = isWord(given.asked) ? { steps, vectorLearningRate: rate } : { steps, rank, alpha: rank, learningRate: rate, classImages };
    return {
      images: given.pictures.map(({ square, caption, counts }) => ({ image: square, caption, mask: counts ?? undefined })),
      classPrompts: isWord(given.asked) ? [kind] : classPromptsOf(this.page.session.model, given.asked),
      name: word, trigger: `${word} ${kind}`, ...(given.side && { width: given.side, height: given.side }),
      preset: /** @type {any} */ (preset), saveEvery: Number(looks ?? (steps ? Math.ceil(steps / LOOKS) : EVERY)), checkpoint: given.checkpoint ?? undefined, signal,
      recipe: Object.fromEntries(Object.entries({ ...numbers, buckets, ...finer }).filter(([, value]) => value !== null)),
      onPrepare: ({ what, done, all: count }) => { this.#status.textContent = `${what === 'class' ? T.class : T.encode}: ${done} / ${count}`; },
      onBegin: (memory) => Object.assign(this.#takes, { hidden: false, textContent: T.takes(memory) + T.shapes(memory) }),
      onStep: (step) => {
        this.#curve.add(step);
        this.#status.textContent = T.progress(step.step, step.steps, ...this.#left(step));
      },
      onKept: async (kept) => {
        if (this.#gone.has(given.id)) return;
        if (kept.step) this.#unbegun = null;
        await this.#put({ ...given, ...kept });
        if (!signal.aborted) await this.#sample(given, kept.file, kept.step);
      },
    };
  }

  /** When the last steps were. @type {number[]} */ #times = [];

  /** How long it will take, from the last steps, and how long one takes. @param {{step: number, steps: number}} step @returns {[string, string]} */
  #left({ step, steps }) {
    this.#times = [...this.#times.slice(-20), performance.now()];
    const [first, last] = [this.#times[0], this.#times.at(-1)];
    const each = this.#times.length > 1 ? (last - first) / (this.#times.length - 1) : 0;
    return each ? [duration((each * (steps - step)) / 1000), seconds(each)] : ['…', ''];
  }

  /**
   * A picture of it as it is drawn now; none where another model is in use by now, or it could not be drawn: it is only looked at.
   * @param {Kept} given @param {Blob | null} file @param {number} step
   */
  async #sample(given, file, step) {
    const { asked, model } = given;
    const { session } = this.page;
    const { word, kind } = asked;
    const of = { prompt: `a ${word} ${kind}`, seed: SEED, file, word: isWord(asked) ? word : null };
    const made = session.model.id === model ? await sampled(session, of).catch(() => null) : null;
    const offer = file && { label: T.takeIt(step), take: () => this.#learnt(given, { file, step }, made) };
    if (made) this.#samples.add(made.image, file ? T.after(step) : T.before, offer);
    return made;
  }

  /**
   * Put among the LoRAs, and ready to be used. Resolves with whether it is among them.
   * @param {Kept} given @param {{file: Blob, step: number}} made
   * @param {Awaited<ReturnType<typeof sampled>> | null} [seen] a picture of it, if there is one
   */
  async #learnt(given, { file, step }, seen = null) {
    const { word, kind } = given.asked;
    const look = seen ?? await this.#sample(given, file, step);
    const pictured = look ? await withThumbnail(file, look.image).catch(() => file) : file;
    const added = this.page.session.started().then(({ networks }) => networks.add(pictured, { name: word, replace: true }));
    const [isAmong, words] = await added.then(() => [true, T.done(word, step, isWord(given.asked))], (error) => [false, T.notAmong(word, error.message.replace(/\.$/, ''))]);
    this.#status.textContent = words;
    this.#after.replaceChildren(make('h2', { textContent: T.use }), ...usesOf({ file: pictured, word, kind, isWord: isWord(given.asked), seed: SEED, png: look?.png[0] ?? null }));
    this.#after.hidden = false;
    this.#samples.offers(!this.#stop);
    return isAmong;
  }

  /** Pictures, captions and checkpoints go. */
  async #forget() {
    const id = this.#id;
    this.#unbegun = null;
    if (id) this.#gone.add(id); // what a training that stops puts by at last is not kept either
    this.#stop?.abort();
    this.#set.clear();
    if (id) await forget(id).catch(() => {});
    this.#status.textContent = T.removed;
    await this.#offer();
  }
}

/** Whether only a word is learnt, the network as it is. @param {{preset: string}} asked */
const isWord = ({ preset }) => preset === 'word';

/** @param {string} textContent @param {...Node} children */
const section = (textContent, ...children) => make('section', { className: 'shelf' }, make('h2', { textContent }), ...children);

/** @param {string} id @param {string} value */
const text = (id, value) => make('input', { type: 'text', id, value, autocomplete: 'off' });

/** A setting that is on or off. @param {string} label @param {HTMLInputElement} field @param {string} hint */
function switched(label, field, hint) {
  field.setAttribute('aria-describedby', `${field.id}-hint`);
  return make('div', { className: 'teach-switched' }, make('label', { className: 'switch' }, field, label),
    make('span', { className: 'quiet', id: `${field.id}-hint`, textContent: hint }));
}

/** @param {string} label @param {any} field @param {string} [hint] */
function labelled(label, field, hint) {
  const box = make('div', { className: 'field' }, make('label', { htmlFor: field.id, textContent: label }), field);
  if (hint) {
    field.setAttribute('aria-describedby', `${field.id}-hint`);
    box.append(make('span', { className: 'quiet', id: `${field.id}-hint`, textContent: hint }));
  }
  return box;
}
