/** The engine and the chosen model as the page sees them: one state at a time, told to whoever listens. */

import { OpenGenError, aborted } from '../errors.js';
import { brought, keepParts, reachable } from './shell.js';

/**
 * What works just now. `step` of `steps` while it takes steps; `preview` and `image` once there is one.
 * @typedef {{pieces: string[], prompt?: string, step?: number, steps?: number, preview?: ImageData | null,
 *   image?: ImageData}} Run the names of the pieces are those of learn/machine.js
 */
/** Which pieces work in a stage of a run. */
const PIECES = { encode: ['vae'], text: ['words', 'tokens', 'text'], denoise: ['noise', 'unet', 'scheduler'], decode: ['vae'] };

/**
 * @typedef {'starting' | 'waiting' | 'fetching' | 'checking' | 'loading' | 'ready' | 'failed'} State
 * waiting: another tab fetches the model.
 */
export class Session {
  /** @type {State} */ state = 'starting';
  /** @type {import('../protocol.d.ts').LoadProgress | null} */ progress = null;
  /** @type {import('../protocol.d.ts').ModelInfo | null} */ model = null;
  /** @type {import('../protocol.d.ts').LoadedModel | null} */ loaded = null;
  /** @type {import('../client.js').OpenGenError | null} */ error = null;
  /** @type {import('../client.js').OpenGen | null} */ og = null;
  /** The model that stays in use until `model` is ready. @type {import('../protocol.d.ts').ModelInfo | null} */ former = null;
  offline = !navigator.onLine;
  /** Tells what works in every run, as `run` events whose detail is a `Run`. */ runs = new EventTarget();
  /** How many pictures are being made. */ drawing = 0;
  #loading = Promise.resolve();
  /** Counts the starts: what an earlier one still has to say is passed over. */ #attempt = 0;
  /** The engine, starting or started. @type {Promise<import('../client.js').OpenGen> | null} */ #engine = null;

  /**
   * @param {{engine: 'auto'|'webgpu'|'cpu', onChange: (session: Session) => void,
   *   onLoaded: (session: Session) => void, onKept: (failed: import('../protocol.d.ts').ModelInfo, error: Error) => void,
   *   beforeLoad: (og: import('../client.js').OpenGen) => Promise<void>}} options `onKept` is told when another model could not be loaded
   */
  constructor({ engine, onChange, onLoaded, onKept, beforeLoad }) {
    Object.assign(this, { engine, onChange, onLoaded, onKept, beforeLoad });
  }

  capabilities() {
    return this.og?.capabilities() ?? null;
  }

  /** Starts engine and model; failures end in the state `failed`. */
  start(model = this.model) {
    if (this.state === 'ready') this.former = this.model;
    this.model = model;
    this.#loading = this.#load(model);
    this.#loading.catch(() => {}); // told through the state
  }

  /** A new worker in place of a broken one, or of one that computes in another way. */
  restart(engine = this.engine) {
    this.engine = engine;
    this.#letGo();
    this.start();
  }

  /** The engine, with or without a model. @returns {Promise<import('../client.js').OpenGen>} */
  async started() {
    return this.#engine ?? Promise.reject(new Error('the engine has not started; the page says why'));
  }

  /** Resolves when the model is ready; tries again if it had failed. */
  async ready(signal) {
    if (this.state === 'failed') this.start();
    if (signal.aborted) throw aborted(signal);
    let stop;
    const stopped = new Promise((_, reject) => { stop = () => reject(aborted(signal)); });
    signal.addEventListener('abort', stop);
    try {
      await Promise.race([this.#loading, stopped]);
    } finally {
      signal.removeEventListener('abort', stop); // some signals outlive many pictures
    }
  }

  /** A picture, as the client makes it; who listens to `runs` sees it come about. @param {any} options */
  async generate({ onStage, onStep, ...options }) {
    const { prompt, steps } = options;
    const tell = (/** @type {any} */ run) =>
      this.runs.dispatchEvent(new CustomEvent('run', { detail: { pieces: [], prompt, steps, ...run } }));
    this.drawing++;
    let image;
    try {
      const made = await this.og.generate({
        ...options,
        onStage: (event) => (tell({ pieces: PIECES[event.stage], step: event.stage === 'denoise' ? 1 : undefined }), onStage?.(event)),
        onStep: (event) => (tell({ pieces: ['unet', 'scheduler'], ...event }), onStep?.(event)),
      });
      image = made.image;
      return made;
    } finally {
      this.drawing--;
      tell({ pieces: image ? ['picture'] : [], image });
    }
  }

  /** A picture enlarged by a network. @param {Blob} image @param {import('../api.d.ts').UpscaleOptions} options */
  async upscale(image, options) {
    this.drawing++;
    try {
      return await this.og.upscale(image, options);
    } finally {
      this.drawing--;
    }
  }

  setOffline(offline) {
    if (this.offline === offline) return;
    this.offline = offline;
    this.onChange(this);
  }

  async #load(model) {
    const attempt = ++this.#attempt;
    const overtaken = () => attempt !== this.#attempt;
    this.error = null;
    this.progress = null;
    this.#to(this.og ? 'loading' : 'starting');
    try {
      this.#engine ??= client().then(({ OpenGen }) => OpenGen.create({ engine: this.engine }));
      const og = await this.#engine;
      if (overtaken()) return this.#loading;
      if (this.og !== og) keepParts(og.capabilities().fetched);
      this.og = og;
      await this.beforeLoad(og);
      // Of stored models the store alone knows the rest.
      const { id, url, prediction, files } = model;
      const source = model.own ? { id, url, prediction, files } : model;
      const onProgress = (progress) => overtaken() || this.#advance(progress);
      const loaded = await og.models.load(source, { onProgress, weights: model.weights });
      if (overtaken()) return this.#loading;
      this.loaded = loaded;
      this.former = null;
      this.#to('ready');
      this.onLoaded(this);
    } catch (error) {
      if (overtaken()) return this.#loading;
      if (!this.og || error.code === 'INTERNAL') this.#letGo();
      const offline = error.code === 'NETWORK' && !(await reachable());
      if (overtaken()) return this.#loading;
      this.error = error;
      this.offline ||= offline;
      if (this.former) {
        this.model = this.former;
        this.former = null;
        this.#loading = Promise.resolve(); // who waited for the other model is told; who comes now waits for nothing
        this.#to('ready');
        this.onKept(model, error);
      } else {
        this.#to('failed');
      }
      throw error;
    }
  }

  /** The engine is not used any more, nor one that is still starting. */
  #letGo() {
    this.#engine?.then((og) => og.dispose(), () => {}); // one that did not start has nothing to let go
    this.#engine = null;
    this.og = null;
    this.former = null;
  }

  #advance(progress) {
    this.progress = progress;
    const states = { wait: 'waiting', download: 'fetching', verify: 'checking', upload: 'loading' };
    this.#to(states[progress.phase]);
  }

  #to(state) {
    this.state = state;
    this.onChange(this);
    this.runs.dispatchEvent(new CustomEvent('run', { detail: { pieces: [] } }));
  }
}

/** The way to the engine, which the page answers without. @throws {OpenGenError} NETWORK */
const client = () => brought(() => import('../client.js'), new URL('../client.js', import.meta.url)).catch((cause) => {
  throw new OpenGenError({ code: 'NETWORK', message: 'the page’s way to its engine did not arrive', retryable: true, cause });
});
