/** What the parts share: the engine when it is ready, the model's numbers, the picture under study. */

/** The signal of what is not stopped. */
const NEVER = new AbortController().signal;
/** Which pieces of the machine a question sets to work; see machine.js. */
const WORKS = {
  tokens: ['words', 'tokens'], encode: ['vae'], decode: ['vae'], noise: ['noise'], begin: ['noise'],
  step: ['tokens', 'text', 'unet', 'scheduler'],
};

/**
 * @typedef {{last: number, signal: Float32Array, noise: Float32Array, prediction: string, latentChannels: number,
 *   latentScale: number}} Schedule
 * @typedef {{image: ImageData, latents: Float32Array, seed: number, t: number}} Subject a clean picture, and how it is noised
 * @typedef {{session: import('../js/session.js').Session, pictures: import('../js/pictures.js').Pictures,
 *   reader: import('../js/reader.js').Reader}} Page
 */
export class Lab extends EventTarget {
  /** @type {Subject | null} */ subject = null;
  /** How many clean pictures have been under study. */ subjects = 0;
  #schedule = null;
  #of = null;
  /** The example that was drawn last: two parts ask for it. */ #example = { key: '' };

  /** @param {Page} page */
  constructor({ session, pictures, reader }) {
    super();
    Object.assign(this, { session, pictures, reader });
  }

  /** Resolves when the model can be used. @param {AbortSignal} [signal] */
  async ready(signal = NEVER) {
    await this.session.ready(signal);
  }

  get model() {
    return this.session.model;
  }

  /** Asks the engine; see `Study` in protocol.d.ts. */
  async ask(question, signal = NEVER) {
    await this.ready(signal);
    const { what, request, index } = question;
    const run = request && { prompt: request.prompt, steps: request.steps, step: index + 1 };
    this.tell({ pieces: WORKS[what] ?? [], ...run });
    try {
      const answer = await this.session.og.study(question, { signal });
      this.tell({ pieces: [], preview: what === 'step' ? answer.after.image : null });
      return answer;
    } catch (error) {
      this.tell({ pieces: [] });
      throw error;
    }
  }

  /** Says what works; see `Run` in session.js. */
  tell(run) {
    this.session.runs.dispatchEvent(new CustomEvent('run', { detail: run }));
  }

  /** The loaded model's noise schedule. @returns {Promise<Schedule>} */
  async schedule(signal) {
    await this.ready(signal);
    if (this.#of !== this.session.loaded) {
      this.#schedule = await this.ask({ what: 'schedule' }, signal);
      this.#of = this.session.loaded;
    }
    return this.#schedule;
  }

  /** A whole request with the model's defaults. */
  request(changes) {
    const { width, height, defaults } = this.model;
    const { steps, guidance } = defaults;
    return { negativePrompt: '', rng: 'torch', schedule: 'default', sampler: 'ddim', steps, guidance, batch: 1,
      previews: false, width, height, ...changes };
  }

  /** An ordinary picture. */
  async generate(changes, signal) {
    await this.ready(signal);
    return this.session.generate({ ...this.request(changes), sampler: this.model.defaults.sampler,
      schedule: this.model.defaults.schedule, signal, previews: true });
  }

  /** The picture of an example; the last one is remembered. @returns {Promise<ImageData>} */
  async example({ prompt, seed }, signal) {
    const key = JSON.stringify([prompt, seed]);
    if (key !== this.#example.key) this.#example = { key, image: (await this.generate({ prompt, seed }, signal)).image };
    return this.#example.image;
  }

  /** Tells the other parts that the picture under study, its seed or its time is another. */
  study(subject) {
    if (subject.latents !== this.subject?.latents) this.subjects++;
    this.subject = subject;
    this.dispatchEvent(new Event('subject'));
  }
}

/** A seed as the page draws it. */
export const newSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

/** `{width, height, data}` from the engine as ImageData. */
export const toImageData = ({ width, height, data }) => new ImageData(data, width, height);

/** How much two pictures of one size differ: the mean over pixels and colours, of 255. */
export function difference({ data: a }, { data: b }) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) if (i % 4 < 3) sum += Math.abs(a[i] - b[i]);
  return sum / (a.length * 0.75);
}
