/**
 * The client: starts the worker and speaks to it. The page uses nothing else.
 *
 *     const og = await OpenGen.create();
 *     await og.models.load('mini', { onProgress });
 *     const { image, seed } = await og.generate({ prompt: 'a red apple', onStep, signal });
 */

/** @typedef {import('./protocol.d.ts').ErrorCode} ErrorCode */
/** @typedef {import('./protocol.d.ts').ModelInfo} ModelInfo */
/** @typedef {import('./protocol.d.ts').LoadProgress} LoadProgress */
/** @typedef {import('./protocol.d.ts').GenerateRequest} GenerateRequest */

/** An error with a code that a program can act upon and a message that a person can read. */
export class OpenGenError extends Error {
  /** @param {{code: ErrorCode, message: string, field?: string | null, retryable?: boolean}} wire */
  constructor({ code, message, field = null, retryable = false }) {
    super(message);
    this.name = code === 'ABORTED' ? 'AbortError' : 'OpenGenError';
    /** @type {ErrorCode} */ this.code = code;
    /** @type {string | null} */ this.field = field;
    this.retryable = retryable;
  }
}

/** What `generate` takes when a field is left out. Steps, guidance and sampler come from the model. */
const DEFAULTS = {
  prompt: '', negativePrompt: '', rng: 'torch', schedule: 'default', batch: 1, previews: true,
};

/** One engine in one worker. Several may live side by side; calls to one of them line up. */
export class OpenGen {
  #worker;
  #calls = new Map();
  #nextId = 1;
  #queue = Promise.resolve();
  #catalogUrl;
  #capabilities = null;
  #model = null;
  #broken = null;

  /**
   * Starts a worker and its engine, and loads a model if one is named.
   * @param {{engine?: 'auto'|'webgpu'|'cpu', model?: string | ModelInfo, catalog?: string | URL,
   *   onProgress?: (p: LoadProgress) => void, signal?: AbortSignal}} [options]
   * @returns {Promise<OpenGen>}
   */
  static async create({ engine = 'auto', model, catalog, onProgress, signal } = {}) {
    const og = new OpenGen(catalog ?? new URL('./models.json', import.meta.url));
    try {
      og.#capabilities = await og.#call({ type: 'create', engine }, { signal });
      if (model) await og.models.load(model, { onProgress, signal });
      return og;
    } catch (error) {
      og.dispose();
      throw error;
    }
  }

  /** The models that models.json offers, without an engine. @returns {Promise<ModelInfo[]>} */
  static async catalog(url = new URL('./models.json', import.meta.url)) {
    const response = await fetch(url).catch(() => null);
    if (!response?.ok) {
      throw new OpenGenError({ code: 'NETWORK', message: 'the list of models did not arrive', retryable: true });
    }
    return (await response.json()).models;
  }

  /** @private Use `OpenGen.create`. */
  constructor(catalogUrl) {
    this.#catalogUrl = new URL(catalogUrl, import.meta.url);
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'opengen' });
    this.#worker.addEventListener('message', ({ data }) => this.#receive(data));
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#break({ code: 'INTERNAL', message: event.message || 'the worker could not start', retryable: true });
    });
  }

  /** What the engine found: the path taken and why, the adapter, its limits. */
  capabilities() {
    return this.#capabilities;
  }

  models = {
    /** The models that models.json offers. @returns {Promise<ModelInfo[]>} */
    catalog: () => OpenGen.catalog(this.#catalogUrl),
    /** The models that are stored here. @returns {Promise<import('./protocol.d.ts').StoredModel[]>} */
    list: () => this.#call({ type: 'listModels' }),
    /**
     * Makes a model ready: from the store, or fetched, verified and stored first.
     * @param {string | ModelInfo} model
     * @param {{onProgress?: (p: LoadProgress) => void, signal?: AbortSignal}} [options]
     * @returns {Promise<import('./protocol.d.ts').LoadedModel>}
     */
    load: async (model, { onProgress, signal } = {}) => {
      const info = typeof model === 'string' ? await this.#find(model) : model;
      const { id, bytes, sha256 } = info;
      const url = new URL(info.url, this.#catalogUrl).href;
      const loaded = await this.#enqueue(
        { type: 'loadModel', model: { id, url, bytes, sha256 } }, { signal, onProgress });
      this.#model = info;
      return loaded;
    },
    /** Deletes a stored model. @param {string} id */
    remove: (id) => this.#enqueue({ type: 'removeModel', model: id }, {}),
  };

  /**
   * Makes a picture with the loaded model.
   * @param {Partial<GenerateRequest> & {prompt: string, signal?: AbortSignal,
   *   onStage?: (e: {stage: 'text'|'denoise'|'decode'}) => void,
   *   onStep?: (e: {step: number, steps: number, preview: ImageData | null}) => void}} options
   * @returns {Promise<{image: ImageData, images: ImageData[], png: Blob[], seed: number | string,
   *   timings: import('./protocol.d.ts').Timings, notices: string[], stats: import('./protocol.d.ts').Stats}>}
   */
  async generate({ signal, onStage, onStep, ...options }) {
    const model = this.#model;
    const request = {
      ...DEFAULTS, ...model?.defaults, width: model?.width, height: model?.height, seed: randomSeed(),
      ...withoutUndefined(options),
    };
    const onEvent = (event) => {
      if (event.type === 'stage') onStage?.({ stage: event.stage });
      else onStep?.({ step: event.step, steps: event.steps, preview: event.preview && toImageData(event.preview) });
    };
    const result = await this.#enqueue({ type: 'generate', request }, { signal, onEvent });
    this.#capabilities = result.capabilities;
    const images = result.images.map(toImageData);
    const png = result.png.map((bytes) => new Blob([bytes], { type: 'image/png' }));
    return { ...result, images, image: images[0], png };
  }

  /**
   * Looks into the loaded model: its schedule, one step of a run, where attention looked.
   * @param {import('./protocol.d.ts').Study} ask
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<any>} see `Study` for what answers what
   */
  study(ask, { signal } = {}) {
    return this.#enqueue({ type: 'study', ask }, { signal });
  }

  /** How much is stored and how much room there is. @returns {Promise<import('./protocol.d.ts').StorageReport>} */
  storage() {
    return this.#call({ type: 'storage' });
  }

  /** Asks the browser not to evict what is stored. @returns {Promise<boolean>} */
  async requestPersist() {
    // A window may ask, a worker may not.
    return (await navigator.storage?.persist?.()) ?? false;
  }

  /** Ends the worker; calls that still wait fail with ABORTED. */
  dispose() {
    this.#break({ code: 'ABORTED', message: 'the engine was closed' });
  }

  async #find(id) {
    const models = await this.models.catalog();
    const info = models.find((model) => model.id === id);
    if (!info) throw new OpenGenError({ code: 'INVALID_INPUT', field: 'model', message: `no model named "${id}"` });
    return info;
  }

  /** A call that waits for those before it, and can be taken back while it waits. */
  #enqueue(message, options) {
    let started = false;
    const turn = this.#queue.then(() => {
      started = true;
      return this.#call(message, options);
    });
    this.#queue = turn.then(() => {}, () => {});
    return new Promise((resolve, reject) => {
      turn.then(resolve, reject);
      options.signal?.addEventListener('abort', () => started || reject(aborted()), { once: true });
    });
  }

  #call(message, { signal, onProgress, onEvent } = {}) {
    if (this.#broken) return Promise.reject(new OpenGenError(this.#broken));
    if (signal?.aborted) return Promise.reject(aborted());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const cancel = () => this.#worker.postMessage({ type: 'cancel', id });
      signal?.addEventListener('abort', cancel);
      const settle = () => {
        this.#calls.delete(id);
        signal?.removeEventListener('abort', cancel);
      };
      this.#calls.set(id, { resolve, reject, settle, onProgress, onEvent });
      this.#worker.postMessage({ ...message, id });
    });
  }

  /** @param {import('./protocol.d.ts').FromWorker} message */
  #receive(message) {
    const call = this.#calls.get(message.id);
    if (!call) return;
    switch (message.type) {
      case 'progress':
        return call.onProgress?.(message.progress);
      case 'event':
        return call.onEvent?.(message.event);
      case 'done':
        call.settle();
        return call.resolve(message.value);
      case 'failed':
        call.settle();
        return call.reject(new OpenGenError(message.error));
    }
  }

  #break(error) {
    if (this.#broken) return;
    this.#broken = error;
    this.#worker.terminate();
    for (const call of [...this.#calls.values()]) {
      call.settle();
      call.reject(new OpenGenError(error));
    }
  }
}

const aborted = () => new OpenGenError({ code: 'ABORTED', message: 'cancelled' });

const toImageData = ({ width, height, data }) => new ImageData(data, width, height);
const withoutUndefined = (object) => Object.fromEntries(Object.entries(object).filter(([, v]) => v !== undefined));
const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
