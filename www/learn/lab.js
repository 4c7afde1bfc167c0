/** What the parts share: the engine when it is ready, the model's numbers, the picture under study. */

/** The signal of what is not stopped. */
const NEVER = new AbortController().signal;

/**
 * @typedef {{last: number, signal: Float32Array, noise: Float32Array, prediction: string, latentChannels: number,
 *   latentScale: number}} Schedule
 * @typedef {{image: ImageData, latents: Float32Array, seed: number, t: number}} Subject a clean picture, and how it is noised
 */
export class Lab extends EventTarget {
  /** @type {Subject | null} */ subject = null;
  /** How many clean pictures have been under study. */ subjects = 0;
  #schedule = null;
  #of = null;

  /** @param {import('../js/session.js').Session} session @param {import('../js/pictures.js').Pictures} pictures */
  constructor(session, pictures) {
    super();
    this.session = session;
    this.pictures = pictures;
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
    return this.session.og.study(question, { signal });
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
  async generate(changes, signal, onStep) {
    await this.ready(signal);
    return this.session.og.generate({ ...this.request(changes), sampler: this.model.defaults.sampler,
      schedule: this.model.defaults.schedule, signal, onStep });
  }

  /** The picture of an example. */
  async example({ prompt, seed }, signal) {
    return (await this.generate({ prompt, seed }, signal)).image;
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
