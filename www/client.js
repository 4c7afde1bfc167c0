/**
 * OpenGen's client: starts the worker that owns the engine and speaks to it. The page and the npm package share it.
 *
 *     const og = await OpenGen.create({ model: mini, onProgress });
 *     const { image, seed } = await og.generate({ prompt: 'a red apple', onStep, signal });
 */

import { OpenGenError, abortion, invalid } from './errors.js';
import { checkHook, judge } from './judge.js';
import { DEFAULTS, LIMITS, SAMPLERS } from './limits.js';
import { Link } from './link.js';
import { STUDY, check, refuse } from './options.js';
import { filesOf, find, wire } from './source.js';
import { spawn } from './spawn.js';
import { iterate } from './stream.js';

export { DEFAULTS, LIMITS, OpenGenError, SAMPLERS };

/** @typedef {import('./api.d.ts').CreateOptions} CreateOptions */
/** @typedef {import('./api.d.ts').Detected} Detected */
/** @typedef {import('./api.d.ts').DetectOptions} DetectOptions */
/** @typedef {import('./api.d.ts').ErrorCode} ErrorCode */
/** @typedef {import('./api.d.ts').LoadOptions} LoadOptions */
/** @typedef {import('./api.d.ts').ModelDescription} ModelDescription */
/** @typedef {import('./api.d.ts').Models} Models */
/** @typedef {import('./api.d.ts').ModelSource} ModelSource */
/** @typedef {import('./api.d.ts').ImageType} ImageType */
/** @typedef {import('./api.d.ts').OpenGenEventMap} OpenGenEventMap */
/** @typedef {import('./api.d.ts').PreviewOptions} PreviewOptions */
/** @typedef {import('./api.d.ts').Verdict} Verdict */
/**
 * @template {ImageType} [T='ImageData']
 * @typedef {import('./api.d.ts').GenerateOptions<T>} GenerateOptions
 */
/**
 * @template {ImageType} [T='ImageData']
 * @typedef {import('./api.d.ts').Generated<T>} Generated
 */
/**
 * @template {ImageType} [T='ImageData']
 * @typedef {import('./api.d.ts').StreamEvent<T>} StreamEvent
 */
/** @typedef {import('./protocol.d.ts').Capabilities} Capabilities */
/** @typedef {import('./protocol.d.ts').EnginePath} EnginePath */
/** @typedef {import('./protocol.d.ts').GenerateRequest} GenerateRequest */
/** @typedef {import('./protocol.d.ts').LoadedModel} LoadedModel */
/** @typedef {import('./protocol.d.ts').LoadProgress} LoadProgress */
/** @typedef {import('./protocol.d.ts').ModelInfo} ModelInfo */
/** @typedef {import('./protocol.d.ts').PictureSettings} PictureSettings */
/** @typedef {import('./protocol.d.ts').ComfyUiGraph} ComfyUiGraph */
/** @typedef {import('./protocol.d.ts').Sampler} Sampler */
/** @typedef {import('./protocol.d.ts').Schedule} Schedule */
/** @typedef {import('./protocol.d.ts').Seed} Seed */
/** @typedef {import('./protocol.d.ts').Stats} Stats */
/** @typedef {import('./protocol.d.ts').StorageReport} StorageReport */
/** @typedef {import('./protocol.d.ts').StoredModel} StoredModel */
/** @typedef {import('./protocol.d.ts').Study} Study */
/** @typedef {import('./protocol.d.ts').Timings} Timings */
/**
 * @template {Study} S
 * @typedef {import('./protocol.d.ts').StudyAnswer<S>} StudyAnswer
 */

/** What a request takes where neither it nor the model says anything. */
const REQUEST = { ...DEFAULTS, negativePrompt: '', rng: LIMITS.rngs[0], batch: 1, previews: true };

/** How finished pictures are handed over, by the name of their type. */
const HAND_OVER = {
  /** @param {ImageData} pixels */ ImageData: (pixels) => pixels,
  /** @param {ImageData} pixels */ ImageBitmap: (pixels) => createImageBitmap(pixels),
  /** @param {ImageData} _ @param {Blob} png */ Blob: (_, png) => png,
};

/** One engine in one worker. Several may live side by side; calls to one of them line up. */
export class OpenGen extends EventTarget {
  #link;
  /** @type {Capabilities | null} */ #capabilities = null;
  /** The model in use. @type {import('./api.d.ts').ModelSettings | null} */ #model = null;
  /** Looks at every finished picture. @type {CreateOptions['onPicture']} */ #onPicture;

  /**
   * Starts a worker and its engine, and loads a model if one is named.
   * @param {CreateOptions} [options]
   * @returns {Promise<OpenGen>}
   */
  static async create(options = {}) {
    check('create', options);
    const { model, engine = 'auto', learns, memoryLimit, workerUrl, onPicture, onProgress, signal } = options;
    checkHook(onPicture);
    if (learns && memoryLimit !== undefined && engine !== 'cpu') {
      throw invalid('memoryLimit', 'does not go with learns: weights that come and go cannot learn; leave it out, or learn on the processor (engine: "cpu")');
    }
    const og = new OpenGen(workerUrl);
    og.#onPicture = onPicture;
    return whileOpen(og.#link, signal, async () => {
      og.#capabilities = await og.#link.call({ type: 'create', engine, learns, memoryLimit });
      if (model !== undefined) await og.models.load(model, { onProgress });
      return og;
    }, false);
  }

  /**
   * Says what `create` with the same options would do here, without starting an engine: which way it would compute and
   * why, what would have to be fetched, and how much memory that takes.
   * @param {DetectOptions} [options]
   * @returns {Promise<Detected>}
   */
  static async detect(options = {}) {
    check('detect', options);
    const { model, engine = 'auto', workerUrl, signal } = options;
    const link = new Link(spawn(workerUrl));
    return whileOpen(link, signal, async () => {
      if (model === undefined) return link.call({ type: 'detect', engine, model: null });
      const found = await find(model, () => link.call({ type: 'storedRows' }));
      const { file, transfer, release } = wire(model, found);
      try {
        const { working = null } = found;
        return await link.call({ type: 'detect', engine, model: { file, working } }, { transfer });
      } finally {
        release();
      }
    }, true);
  }

  /**
   * @private Use `OpenGen.create`.
   * @param {string | URL} [workerUrl]
   */
  constructor(workerUrl) {
    super();
    this.#link = new Link(spawn(workerUrl), {
      onHappened: (event) => {
        if (event.type === 'engine') this.#capabilities = event.capabilities;
        const { type, ...detail } = event;
        this.dispatchEvent(new CustomEvent(type, { detail }));
      },
      onQueue: (length) => this.dispatchEvent(new CustomEvent('queue', { detail: { length } })),
    });
  }

  /** What the engine found: the path taken and why, the adapter, its limits. @returns {Capabilities} */
  capabilities() {
    if (!this.#capabilities) throw new OpenGenError({ code: 'INTERNAL', message: 'the engine has not started' });
    return this.#capabilities;
  }

  /** How many calls run or wait. @returns {number} */
  get queueLength() {
    return this.#link.queueLength;
  }

  /** What is stored, and which model is in use. @type {Models} */
  models = {
    list: () => this.#link.call({ type: 'listModels' }),
    import: (source, options = {}) => this.#withModel('import', source, options, ({ file, transfer, release }) =>
      this.#link.call({ type: 'importModel', model: { ...file, ...taken(options) } }, { ...options, transfer }).catch(async (error) => {
        if (file.url.startsWith('blob:')) await this.#forgetPart(file.id);
        throw error;
      }).finally(release)),
    load: (source, options = {}) => this.#withModel('load', source, options, async ({ file, transfer, release }, found) => {
      try {
        const loaded = await this.#link.call({ type: 'loadModel', model: { ...file, ...taken(options) } }, { ...options, transfer });
        const { width, height } = loaded;
        this.#model = { width, height, ...found };
        this.#release();
        // Should the graphics device be lost, the worker may have to fetch the model again.
        this.#release = release;
        return loaded;
      } catch (error) {
        release();
        throw error;
      }
    }),
    fitting: async (files) => this.#link.call({ type: 'fittingModels', files: filesOf(files instanceof File ? [files] : files) ?? [] }),
    setAutoencoder: (id, files, options = {}) => {
      check('setAutoencoder', options);
      const given = files && (filesOf(files instanceof File ? [files] : files) ?? []);
      return this.#link.inTurn(() => (given
        ? this.#link.call({ type: 'giveAutoencoder', model: id, files: given, weights: options.weights }, options)
        : this.#link.call({ type: 'takeAutoencoder', model: id })), options.signal);
    },
    sizes: async (source) => {
      const files = filesOf(source);
      const file = files ? await this.#link.call({ type: 'joinFolder', files }) : source;
      if (!(file instanceof File)) throw invalid('model', 'must be a File, or the Files of a folder');
      return this.#link.call({ type: 'keptSizes', file });
    },
    quantize: (id, to, options = {}) => {
      check('quantize', options);
      return this.#link.inTurn(() => this.#link.call({ type: 'quantizeModel', model: id, to }, options), options.signal);
    },
    remove: (id) => this.#link.inTurn(() => this.#link.call({ type: 'removeModel', model: id })),
  };

  /** What changes models, kept in this browser. @type {import('./api.d.ts').Networks} */
  networks = {
    list: () => this.#link.call({ type: 'listNetworks' }),
    add: async (source, options = {}) => {
      check('add', options);
      const network = (await import('./pixels.js')).networkOf(source);
      const { name = network.name.replace(/\.[^.]*$/, ''), replace } = options;
      return this.#link.call({ type: 'addNetwork', network, name, replace });
    },
    file: (name) => this.#link.call({ type: 'networkFile', name }),
    rename: (name, to) => this.#link.call({ type: 'renameNetwork', name, to }),
    remove: (name) => this.#link.call({ type: 'removeNetwork', name }),
  };

  /** Lets go of what the model in use was fetched with. */
  #release = () => {};

  /**
   * Makes pictures with the loaded model. What is left out comes from the model; the seed is drawn.
   * @template {ImageType} [T='ImageData']
   * @param {GenerateOptions<T>} options
   * @returns {Promise<Generated<T>>}
   */
  async generate(options) {
    check('generate', options);
    const { signal, onStage, onStep, imageType = 'ImageData', ...settings } = options ?? {};
    if (typeof settings.prompt !== 'string') throw invalid('prompt', 'must be text');
    checkImageType(imageType);
    checkParts(settings);
    const pictures = await filesOfRun(settings);
    /** @param {import('./protocol.d.ts').GenerateEvent} event */
    const onEvent = (event) => {
      if (event.type === 'stage') onStage?.({ stage: event.stage });
      else onStep?.({ step: event.step, steps: event.steps, preview: event.preview && toImageData(event.preview) });
    };
    const { images: pixels, png: files, capabilities, ...rest } = await this.#link.inTurn(async () => {
      if (!this.#model) throw invalid('model', 'no model is loaded yet');
      const { width, height, defaults } = this.#model;
      const request = /** @type {GenerateRequest} */ (withPlainSeeds({
        ...REQUEST, previews: !this.#onPicture, ...defaults, width, height, seed: randomSeed(), ...withoutUndefined(settings), ...pictures,
      }));
      return this.#link.call({ type: 'generate', request }, { signal, onEvent });
    }, signal);
    this.#capabilities = capabilities;
    const finished = pixels.map(toImageData);
    const verdicts = await judge(this.#onPicture, finished);
    /** @template T @param {T[]} list @returns {T[]} */
    const kept = (list) => list.filter((_, index) => verdicts[index] !== 'drop');
    const png = kept(files).map((/** @type {any} */ bytes) => new Blob([bytes], { type: 'image/png' }));
    /** @type {any[]} */
    const images = await Promise.all(kept(finished).map(
      (/** @type {ImageData} */ image, /** @type {number} */ index) => HAND_OVER[imageType](image, png[index])));
    return { ...rest, image: images[0], images, png, verdicts };
  }

  /**
   * `generate` as an iterator: its stages, its steps, and in the end its pictures. Leaving the loop stops the work.
   * @template {ImageType} [T='ImageData']
   * @param {GenerateOptions<T>} options
   * @returns {AsyncGenerator<StreamEvent<T>, void, void>}
   */
  stream(options) {
    return iterate((listeners) => this.generate({ ...options, ...listeners }), options ?? {});
  }

  /**
   * Enlarges a picture by a network of its own kind (ESRGAN, Real-ESRGAN or SRVGGNetCompact), or by Lanczos alone. No model need be
   * loaded.
   * @template {ImageType} [T='ImageData']
   * @param {import('./api.d.ts').PictureSource} picture
   * @param {import('./api.d.ts').UpscaleOptions<T>} options
   * @returns {Promise<import('./api.d.ts').Upscaled<T>>}
   */
  async upscale(picture, options) {
    check('upscale', options);
    const { model, scale, tiling, imageType = 'ImageData', onProgress, signal } = options ?? {};
    checkImageType(imageType);
    const { networkOf, pixelsOf } = await import('./pixels.js');
    const network = model === undefined && scale !== undefined ? undefined : networkOf(/** @type {any} */ (model));
    const image = await pixelsOf(picture, 'picture');
    /** @param {import('./protocol.d.ts').UpscaleEvent} event */
    const onEvent = ({ tile, tiles, share }) => onProgress?.({ tile, tiles, share });
    const { images, png: [file], ...rest } = await this.#link.inTurn(
      () => this.#link.call({ type: 'upscale', ask: { network, image, scale, tiling } }, { signal, onEvent }), signal);
    const png = new Blob([file], { type: 'image/png' });
    return { ...rest, image: /** @type {any} */ (await HAND_OVER[imageType](toImageData(images[0]), png)), png };
  }

  /**
   * Teaches the loaded model something of one's own from a few pictures (DreamBooth): what it learns is a LoRA. Engines on the
   * processor can, and those on the GPU that were created with `learns`; a second one beside the first leaves that free.
   * @param {import('./api.d.ts').TrainOptions} options
   * @returns {Promise<import('./api.d.ts').Trained>}
   */
  async train(options) {
    check('train', options);
    const { askOf, telling, trained } = await import('./train.js');
    const { signal, width, height, ...rest } = options ?? {};
    const ask = await askOf(rest);
    const learnt = await this.#link.inTurn(async () => {
      if (!this.#model) throw invalid('model', 'no model is loaded yet');
      const { width: wide, height: high, defaults } = this.#model;
      const seed = rest.recipe?.seed ?? 0;
      const request = { ...REQUEST, previews: false, ...defaults, prompt: '', seed, width: width ?? wide, height: height ?? high };
      const call = /** @type {any} */ ({ type: 'train', ask: { ...ask, request } });
      return this.#link.call(call, { signal, onEvent: telling(rest) });
    }, signal);
    return trained(/** @type {any} */ (learnt));
  }

  /**
   * Lets a training wait before its next step, under way or to come, or go on: what else the device has to do is done sooner meanwhile.
   * @param {boolean} waits
   * @returns {Promise<void>}
   */
  hold(waits) {
    return this.#link.call({ type: 'hold', waits: Boolean(waits) });
  }

  /**
   * Looks into the loaded model: its schedule, one step of a run, where attention looked.
   * @template {Study} S
   * @param {S} ask
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<StudyAnswer<S>>}
   */
  async study(ask, options = {}) {
    check('study', options);
    const { what, ...rest } = ask;
    if (!Object.hasOwn(STUDY, what)) throw invalid('what', `is none of ${Object.keys(STUDY).join(', ')}`);
    refuse(`study "${what}"`, rest, STUDY[what]);
    const { request } = /** @type {any} */ (rest);
    check('request', request);
    const plain = /** @type {any} */ (withPlainSeeds({ ...ask, ...(request && { request: withPlainSeeds(request) }) }));
    const { signal } = options;
    if (what === 'expand') return this.#link.call({ type: 'study', ask: plain }, { signal });
    return this.#link.inTurn(() => this.#link.call({ type: 'study', ask: plain }, { signal }), signal);
  }

  /**
   * Reads the settings in a picture's file (PNG, JPEG, WebP): OpenGen's own, those of A1111 and its relatives, and
   * graphs of ComfyUI of ordinary shape, which may be a file of JSON too.
   * @param {Blob} png
   * @returns {Promise<PictureSettings>}
   */
  async readSettings(png) {
    return this.#link.call({ type: 'readSettings', png: await bytesOfPicture(png) });
  }

  /**
   * Writes the settings in a picture's file, whatever `readSettings` reads, as a graph of ComfyUI's nodes.
   * @param {Blob} png
   * @returns {Promise<ComfyUiGraph>}
   */
  async comfyuiGraph(png) {
    return this.#link.call({ type: 'comfyuiGraph', png: await bytesOfPicture(png) });
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
    this.#link.close(CLOSED);
    this.#release();
  }

  /** `using og = await OpenGen.create()`. Where a browser lacks the symbol, the method has a name that nobody calls. */
  [Symbol.dispose]() {
    this.dispose();
  }

  /** `await using og = await OpenGen.create()`. @returns {Promise<void>} */
  async [Symbol.asyncDispose]() {
    this.dispose();
  }

  /**
   * Listens to what happens beside the calls: `devicelost`, `engine`, `queue`.
   * @template {keyof OpenGenEventMap} K
   * @overload
   * @param {K} type
   * @param {(event: OpenGenEventMap[K]) => void} listener
   * @param {boolean | AddEventListenerOptions} [options]
   * @returns {void}
   */
  /**
   * @overload
   * @param {string} type
   * @param {EventListenerOrEventListenerObject | null} listener
   * @param {boolean | AddEventListenerOptions} [options]
   * @returns {void}
   */
  /**
   * @param {string} type
   * @param {any} listener
   * @param {boolean | AddEventListenerOptions} [options]
   */
  addEventListener(type, listener, options) {
    super.addEventListener(type, listener, options);
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
   * @param {'import' | 'load'} name
   * @param {ModelSource} source
   * @param {import('./api.d.ts').ImportOptions} options
   * @param {(wired: import('./source.js').Wired, found: import('./api.d.ts').FoundModel) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #withModel(name, source, options, work) {
    check(name, options);
    return this.#link.inTurn(async () => {
      const files = filesOf(source);
      /** @type {import('./api.d.ts').OneFile} */
      const whole = files ? await this.#link.call({ type: 'joinFolder', files }) : source;
      const found = await find(whole, this.models.list);
      return work(wire(whole, found), found);
    }, options?.signal);
  }
}

/** What calls reject with once the client was disposed of: the same one cannot succeed again. */
const CLOSED = /** @type {const} */ ({ code: 'ABORTED', message: 'the engine was closed' });

/**
 * Does work over a link, which closes when the signal fires or the work fails, and where that is all, when it is done.
 * @template T
 * @param {Link} link
 * @param {AbortSignal | undefined} signal
 * @param {() => Promise<T>} work
 * @param {boolean} isAll
 * @returns {Promise<T>}
 */
async function whileOpen(link, signal, work, isAll) {
  const stop = () => link.close(abortion(/** @type {AbortSignal} */ (signal)));
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();
  try {
    const value = await work();
    if (isAll) link.close(CLOSED);
    return value;
  } catch (error) {
    link.close(CLOSED);
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** Looks at the options that have options of their own. @param {Partial<import('./api.d.ts').PictureOptions>} settings */
function checkParts({ previews, walk, latents, extend, hires, tiles, regions, controls, loras, embeddings, samplerOptions }) {
  if (regions !== undefined && !Array.isArray(regions)) throw invalid('regions', 'must be a list');
  regions?.forEach((region) => {
    check('region', region);
    check('rect', region?.rect);
  });
  if (controls !== undefined && !Array.isArray(controls)) throw invalid('controls', 'must be a list');
  controls?.forEach((control) => check('control', control));
  if (loras !== undefined && !Array.isArray(loras)) throw invalid('loras', 'must be a list');
  loras?.forEach((lora) => check('lora', lora));
  if (embeddings !== undefined && !Array.isArray(embeddings)) throw invalid('embeddings', 'must be a list');
  embeddings?.forEach((embedding) => check('embedding', embedding));
  check('walk', walk);
  check('latents', latents);
  check('extend', extend);
  check('hires', hires);
  check('tiles', tiles);
  check('samplerOptions', samplerOptions);
  if (typeof previews !== 'object') return;
  check('previews', previews);
  const { to } = LIMITS.size;
  const { size } = previews ?? {};
  if (size !== undefined && !(Number.isInteger(size) && size >= 1 && size <= to)) {
    throw invalid('size', `previews take a size of 1 to ${to} pixels, not ${size}`);
  }
}

/** @param {Blob} png */
async function bytesOfPicture(png) {
  if (!(png instanceof Blob)) throw invalid('png', 'must be a Blob or a File');
  return new Uint8Array(await png.arrayBuffer());
}

/** @param {ImageType} imageType */
function checkImageType(imageType) {
  if (Object.hasOwn(HAND_OVER, imageType)) return;
  throw invalid('imageType', `${imageType} is none of ${Object.keys(HAND_OVER).join(', ')}`);
}

/**
 * The pictures that a run begins with, what enlarges it in between, masks of its prompt's parts, what steers it, what is merged into its model and words of one's own, as the engine takes them;
 * what reads them is fetched when there are some.
 * @param {any} settings
 */
async function filesOfRun({ image, mask, hires, regions, controls, loras, embeddings }) {
  const given = Object.entries({ image, mask }).filter(([, source]) => source !== undefined && source !== null);
  if (!given.length && !hires?.model && !regions?.length && !controls?.length && !loras?.length && !embeddings?.length) return {};
  const { controlOf, embeddingOf, hiresOf, loraOf, pixelsOf, regionOf } = await import('./pixels.js');
  const pictures = Object.fromEntries(await Promise.all(given.map(async ([field, source]) => [field, await pixelsOf(source, field)])));
  return {
    ...pictures,
    ...(hires?.model && { hires: hiresOf(hires) }),
    ...(regions?.length && { regions: await Promise.all(regions.map(regionOf)) }),
    ...(controls?.length && { controls: await Promise.all(controls.map(controlOf)) }),
    ...(loras?.length && { loras: loras.map(loraOf) }),
    ...(embeddings?.length && { embeddings: await Promise.all(embeddings.map(embeddingOf)) }),
  };
}

/** @param {import('./protocol.d.ts').Pixels} pixels */
const toImageData = ({ width, height, data }) => new ImageData(data, width, height);
/** @param {object} object */
const withoutUndefined = (object) => Object.fromEntries(Object.entries(object).filter(([, v]) => v !== undefined));
const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

/**
 * Seeds as the engine reads them: a BigInt becomes its digits, in a walk too.
 * @template {object} T
 * @param {T} settings
 * @returns {T}
 */
function withPlainSeeds(settings) {
  return /** @type {T} */ (Object.fromEntries(Object.entries(settings).map(([name, value]) => {
    if (typeof value === 'bigint') return [name, String(value)];
    return [name, name === 'walk' && value ? withPlainSeeds(value) : value];
  })));
}

/** How a file's weights are taken. @param {import('./api.d.ts').ImportOptions} options */
const taken = ({ weights, allowNonFinite }) => ({ weights, allowNonFinite });
