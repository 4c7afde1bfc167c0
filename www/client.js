/**
 * OpenGen's client: starts the worker that owns the engine and speaks to it. The page and the npm package share it.
 *
 *     const og = await OpenGen.create({ model: 'mini', onProgress });
 *     const { image, seed } = await og.generate({ prompt: 'a red apple', onStep, signal });
 */

import { OpenGenError, invalid } from './errors.js';
import { Link } from './link.js';
import { MODELS } from './models.js';
import { find } from './source.js';

export { OpenGenError };

/** @typedef {import('./api.d.ts').CreateOptions} CreateOptions */
/** @typedef {import('./api.d.ts').LoadOptions} LoadOptions */
/** @typedef {import('./api.d.ts').Models} Models */
/** @typedef {import('./api.d.ts').ModelSource} ModelSource */
/** @typedef {import('./api.d.ts').ImageType} ImageType */
/**
 * @template {ImageType} [T='ImageData']
 * @typedef {import('./api.d.ts').GenerateOptions<T>} GenerateOptions
 */
/**
 * @template {ImageType} [T='ImageData']
 * @typedef {import('./api.d.ts').Generated<T>} Generated
 */
/** @typedef {import('./protocol.d.ts').Capabilities} Capabilities */
/** @typedef {import('./protocol.d.ts').EnginePath} EnginePath */
/** @typedef {import('./protocol.d.ts').ErrorCode} ErrorCode */
/** @typedef {import('./protocol.d.ts').GenerateRequest} GenerateRequest */
/** @typedef {import('./protocol.d.ts').LoadedModel} LoadedModel */
/** @typedef {import('./protocol.d.ts').LoadProgress} LoadProgress */
/** @typedef {import('./protocol.d.ts').ModelInfo} ModelInfo */
/** @typedef {import('./protocol.d.ts').Sampler} Sampler */
/** @typedef {import('./protocol.d.ts').Schedule} Schedule */
/** @typedef {import('./protocol.d.ts').Stats} Stats */
/** @typedef {import('./protocol.d.ts').StorageReport} StorageReport */
/** @typedef {import('./protocol.d.ts').StoredModel} StoredModel */
/** @typedef {import('./protocol.d.ts').Timings} Timings */

/** What `generate` takes where a field is left out and the model has no opinion of its own. */
const DEFAULTS = {
  negativePrompt: '', steps: 20, guidance: 7.5, sampler: 'dpm++-2m', schedule: 'default', rng: 'torch', batch: 1,
  previews: true,
};

/** How finished pictures are handed over, by the name of their type. */
const HAND_OVER = {
  /** @param {ImageData} pixels */ ImageData: (pixels) => pixels,
  /** @param {ImageData} pixels */ ImageBitmap: (pixels) => createImageBitmap(pixels),
  /** @param {ImageData} _ @param {Blob} png */ Blob: (_, png) => png,
};

/** One engine in one worker. Several may live side by side; calls to one of them line up. */
export class OpenGen {
  #link;
  /** @type {Capabilities | null} */ #capabilities = null;
  /** The model in use. @type {import('./api.d.ts').ModelSettings | null} */ #model = null;

  /**
   * Starts a worker and its engine, and loads a model if one is named.
   * @param {CreateOptions} [options]
   * @returns {Promise<OpenGen>}
   */
  static async create({ model, engine = 'auto', onProgress, signal } = {}) {
    const og = new OpenGen();
    const stop = () => og.#link.close({ code: 'ABORTED', message: 'cancelled' });
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    try {
      og.#capabilities = await og.#link.call({ type: 'create', engine });
      if (model !== undefined) await og.models.load(model, { onProgress });
      return og;
    } catch (error) {
      og.dispose();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** The models that come with the client, the default first. @returns {readonly ModelInfo[]} */
  static catalog() {
    return MODELS;
  }

  /** @private Use `OpenGen.create`. */
  constructor() {
    if (typeof Worker === 'undefined' || typeof WebAssembly === 'undefined') {
      throw new OpenGenError({ code: 'UNSUPPORTED', message: 'workers and WebAssembly are needed, so a browser is' });
    }
    this.#link = new Link(new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'opengen' }));
  }

  /** What the engine found: the path taken and why, the adapter, its limits. @returns {Capabilities} */
  capabilities() {
    if (!this.#capabilities) throw new OpenGenError({ code: 'INTERNAL', message: 'the engine has not started' });
    return this.#capabilities;
  }

  /** What is stored, and which model is in use. @type {Models} */
  models = {
    list: () => this.#link.call({ type: 'listModels' }),
    import: (source, { onProgress, signal } = {}) =>
      this.#withModel(source, signal, ({ id, url, bytes, sha256 }) =>
        this.#link.call({ type: 'importModel', model: { id, url, bytes, sha256 } }, { signal, onProgress })
          .catch(async (error) => {
            if (source instanceof Blob) await this.#forgetPart(id);
            throw error;
          })),
    load: (source, { onProgress, signal } = {}) =>
      this.#withModel(source, signal, async ({ id, url, bytes, sha256, ...settings }) => {
        this.#model = null;
        const loaded = await this.#link.call(
          { type: 'loadModel', model: { id, url, bytes, sha256 } }, { signal, onProgress });
        const { width, height } = loaded;
        this.#model = { width, height, ...settings };
        return loaded;
      }),
    remove: (id) => this.#link.inTurn(() => this.#link.call({ type: 'removeModel', model: id })),
  };

  /**
   * Makes pictures with the loaded model. What is left out comes from the model; the seed is drawn.
   * @template {ImageType} [T='ImageData']
   * @param {GenerateOptions<T>} options
   * @returns {Promise<Generated<T>>}
   */
  async generate(options) {
    const { signal, onStage, onStep, imageType = 'ImageData', ...settings } = options ?? {};
    if (typeof settings.prompt !== 'string') throw invalid('prompt', 'must be text');
    if (!Object.hasOwn(HAND_OVER, imageType)) {
      throw invalid('imageType', `${imageType} is none of ${Object.keys(HAND_OVER).join(', ')}`);
    }
    /** @param {import('./protocol.d.ts').GenerateEvent} event */
    const onEvent = (event) => {
      if (event.type === 'stage') onStage?.({ stage: event.stage });
      else onStep?.({ step: event.step, steps: event.steps, preview: event.preview && toImageData(event.preview) });
    };
    const { images: pixels, png: files, capabilities, ...rest } = await this.#link.inTurn(async () => {
      if (!this.#model) throw invalid('model', 'no model is loaded yet');
      const { width, height, defaults } = this.#model;
      const request = /** @type {GenerateRequest} */ ({
        ...DEFAULTS, ...defaults, width, height, seed: randomSeed(), ...withoutUndefined(settings),
      });
      return this.#link.call({ type: 'generate', request }, { signal, onEvent });
    }, signal);
    this.#capabilities = capabilities;
    const png = files.map((/** @type {BlobPart} */ bytes) => new Blob([bytes], { type: 'image/png' }));
    /** @type {any[]} */
    const images = await Promise.all(pixels.map(
      (/** @type {import('./protocol.d.ts').Pixels} */ image, /** @type {number} */ index) =>
        HAND_OVER[imageType](toImageData(image), png[index])));
    return { ...rest, image: images[0], images, png };
  }

  /**
   * Looks into the loaded model: its schedule, one step of a run, where attention looked.
   * @param {import('./protocol.d.ts').Study} ask
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<any>} see `Study` for what answers what
   */
  study(ask, { signal } = {}) {
    return this.#link.inTurn(() => this.#link.call({ type: 'study', ask }, { signal }), signal);
  }

  /**
   * Reads the settings in a picture's file: OpenGen's own PNGs, and those of A1111 and its relatives.
   * @param {Blob} png
   * @returns {Promise<import('./protocol.d.ts').PictureSettings>}
   */
  async readSettings(png) {
    return this.#link.call({ type: 'readSettings', png: new Uint8Array(await png.arrayBuffer()) });
  }

  /** How much is stored and how much room there is. @returns {Promise<StorageReport>} */
  storage() {
    return this.#link.call({ type: 'storage' });
  }

  /** Asks the browser not to evict what is stored. @returns {Promise<boolean>} whether it promised */
  async requestPersist() {
    // A window may ask, a worker may not.
    return (await navigator.storage?.persist?.()) ?? false;
  }

  /** Ends the worker, which frees all its memory; calls that still wait, and later ones, reject with ABORTED. */
  dispose() {
    this.#link.close({ code: 'ABORTED', message: 'the engine was closed' });
  }

  /**
   * Deletes what has arrived of a model that did not arrive whole. A file's part is of no use: the whole is at hand.
   * @param {string} id
   */
  async #forgetPart(id) {
    try {
      const stored = (await this.models.list()).find((model) => model.id === id);
      if (stored && !stored.complete) await this.#link.call({ type: 'removeModel', model: id });
    } catch {
      // what went wrong first is what the caller should read
    }
  }

  /**
   * Finds a model and works with it, in turn.
   * @template T
   * @param {ModelSource} source
   * @param {AbortSignal | undefined} signal
   * @param {(model: import('./api.d.ts').FoundModel) => Promise<T>} work
   * @returns {Promise<T>}
   */
  #withModel(source, signal, work) {
    return this.#link.inTurn(async () => {
      const model = await find(source, this.models.list);
      try {
        return await work(model);
      } finally {
        if (source instanceof Blob) URL.revokeObjectURL(model.url);
      }
    }, signal);
  }
}

/** @param {import('./protocol.d.ts').Pixels} pixels */
const toImageData = ({ width, height, data }) => new ImageData(data, width, height);
/** @param {object} object */
const withoutUndefined = (object) => Object.fromEntries(Object.entries(object).filter(([, v]) => v !== undefined));
const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
