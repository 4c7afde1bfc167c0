/** A model of the visitor's own, a file or a folder, chosen or dropped, on its way into this browser's store. */

import { $, bytes } from './dom.js';
import { keptIn } from './keptin.js';
import { hideReport, report } from './report.js';
import { brought } from './shell.js';
import { sentence } from './words.js';

/** Kinds of files that people keep models in; the first two are taken, the others are told from each other by the engine. */
const MODELS = /\.(gguf|safetensors|ckpt|pth?|bin|onnx)$/i;
/** What an autoencoder by itself comes in. */
const PARTS = /\.safetensors$/i;
const KEPT = 'The model in use, your prompt and your pictures are as they were.';

/** Whether a file that was dropped is meant as a model. @param {File} file */
export const isModel = ({ name }) => MODELS.test(name);

/** Tells of a `change` when it begins, goes on or ends; of `added` and `given` with what came. */
export class Adding extends EventTarget {
  /** The file that is being added, and how far it is, 0 … 1. @type {{name: string, bytes: number, share: number} | null} */
  now = null;
  #controller = new AbortController();

  /**
   * @param {object} options
   * @param {() => Promise<import('../client.js').OpenGen>} options.engine
   * @param {(stored: import('../protocol.d.ts').StoredModel) => Promise<void>} options.onAdded
   * @param {() => {id: string, name: string}[]} options.models that can be chosen
   * @param {(id: string) => Promise<void>} options.onGiven a model was given a part
   * @param {() => void} options.onChange it began, went on or ended
   * @param {() => void} options.onFull the visitor wants to make room
   * @param {(file: File) => void} options.onUpscaler a file is no model, but enlarges pictures
   * @param {(file: File) => void} options.onLora a file is no model, but changes one, or brings it a word
   * @param {(file: File) => void} options.onControl a file is no model, but reads what steers one
   */
  constructor({ engine, onAdded, models, onGiven, onChange, onFull, onUpscaler, onLora, onControl }) {
    super();
    Object.assign(this, { engine, onAdded, models, onGiven, onChange, onFull, onUpscaler, onLora, onControl });
    $('add-model').addEventListener('click', () => (this.now ? this.stop() : this.pick()));
    $('add-model-file').addEventListener('change', () => {
      const files = [...$('add-model-file').files];
      if (files.length) this.add(files);
      $('add-model-file').value = ''; // the same file may be chosen again
    });
    $('add-model-folder').addEventListener('change', () => {
      const files = [...$('add-model-folder').files];
      if (files.length) this.addFolder(files);
      $('add-model-folder').value = '';
    });
  }

  /** What the SHA-256 of a file has to be that somebody knows. @type {((file: File) => string | undefined) | null} */
  expects = null;

  pick() {
    $('add-model-file').click();
  }

  pickFolder() {
    $('add-model-folder').click();
  }

  stop() {
    this.#controller.abort();
  }

  /** A model that lies in a folder of many files, or a network that lies in one by itself. Never rejects. @param {import('./folders.js').Found[]} files */
  async addFolder(files, { checked = false } = {}) {
    const { folderName, isFolder, networkOf } = await brought(() => import('./folders.js'), new URL('./folders.js', import.meta.url));
    const name = folderName(files);
    if (!isFolder(files)) {
      const network = networkOf(files);
      if (network) return this.add([network]);
      const lines = ['A folder is a model where model_index.json lies in it, or unet/config.json and its like: diffusers writes such ones.'];
      return report('This folder was not added.', [...lines, KEPT]);
    }
    const problem = checked ? null : await this.#room(files, () => this.addFolder(files, { checked: true }));
    if (this.now) return this.#busy(name);
    if (problem) return report(`“${name}” was not added.`, [...problem.lines, KEPT], problem.action);
    return this.#take({ name, size: 0 }, files);
  }

  /** One goes after the other. */
  #busy(name) {
    report(`“${name}” was not added.`, [`“${this.now.name}” is still being added: one goes after the other.`]);
  }

  /** A model, or a part of one. Never rejects: says how it ended. @param {File[]} files */
  async add(files, { checked = false } = {}) {
    if (!checked && await this.#isPart(files)) return undefined;
    const [file] = files;
    if (files.length > 1) return report('Nothing was added.', ['One model goes after the other: choose one file.', KEPT]);
    const problem = checked ? null : await this.#problem(file);
    if (this.now) return this.#busy(file.name);
    if (problem) return report(`“${file.name}” was not added.`, [...problem.lines, KEPT], problem.action);
    return this.#take(file, file);
  }

  /** Whether files are an autoencoder by itself: then it is asked which model that is for. @param {File[]} files */
  async #isPart(files) {
    if (!files.every(({ name }) => PARTS.test(name))) return false;
    const found = await this.engine().then((og) => og.models.fitting(files)).catch(() => null);
    if (found) await this.#offer(files, found);
    return Boolean(found);
  }

  /**
   * An autoencoder that was fetched: it is asked which model it is for. Never rejects.
   * @param {File} file
   * @returns {Promise<boolean>} whether a model draws with it from now on
   */
  async addPart(file) {
    try {
      return await this.#offer([file], await (await this.engine()).models.fitting([file]));
    } catch (error) {
      this.#failed(file, error);
      return false;
    }
  }

  /** @param {File[]} files of an autoencoder @param {import('../api.d.ts').FittingModels} found @returns {Promise<boolean>} whether it was given */
  async #offer(files, found) {
    try {
      const { askPart } = await brought(() => import('../catalogue/parts.js'), new URL('../catalogue/parts.js', import.meta.url));
      const model = await askPart({ files, found, models: this.models() });
      return model ? await this.#give(files, model) : false;
    } catch {
      report('A part of the page did not arrive.', [`It is needed for “${files[0].name}”: add that again when the network is back.`]);
      return false;
    }
  }

  /** @param {File[]} files of an autoencoder @param {{id: string, name: string}} model that it is given to @returns {Promise<boolean>} */
  async #give(files, model) {
    const file = { name: files.map(({ name }) => name).join(', '), size: files.reduce((sum, { size }) => sum + size, 0) };
    if (this.now) {
      this.#busy(file.name);
      return false;
    }
    const work = (/** @type {import('../client.js').OpenGen} */ og, options) => og.models.setAutoencoder(model.id, files, options);
    return this.#bring(file, work, async () => {
      report(`${model.name} draws with “${file.name}” now.`, ['It is kept with the model; on its card under Models its own comes back.']);
      this.dispatchEvent(new Event('given'));
      await this.onGiven(model.id);
    });
  }

  /** @param {{name: string, size: number}} file as what it is spoken of; no size where that shows later @param {File | File[]} source */
  #take(file, source, allowNonFinite = false) {
    const anyway = () => this.#take(file, source, true);
    const sha256 = source instanceof File ? this.expects?.(source) : undefined;
    const work = async (/** @type {import('../client.js').OpenGen} */ og, /** @type {any} */ options) => {
      if (!sha256) return og.models.import(source, { ...options, allowNonFinite });
      const { name, lastModified, size: bytes } = /** @type {File} */ (source);
      const url = URL.createObjectURL(/** @type {File} */ (source));
      return og.models.import({ id: `${name} ${lastModified}`, url, bytes, sha256 }, { ...options, allowNonFinite }).finally(() => URL.revokeObjectURL(url));
    };
    return this.#bring(file, work, async (stored, og) => {
      this.dispatchEvent(new CustomEvent('added', { detail: { stored, file } }));
      og.requestPersist().catch(() => {});
      await this.onAdded(stored);
    }, anyway);
  }

  /**
   * Does work that brings a file into the store, and what follows. Never rejects.
   * @param {{name: string, size: number}} file
   * @param {(og: import('../client.js').OpenGen, options: import('../api.d.ts').ImportOptions) => Promise<any>} work
   * @param {(stored: any, og: import('../client.js').OpenGen) => Promise<void>} then
   * @param {() => void} [anyway] takes weights that are no numbers
   * @returns {Promise<boolean>} whether it went well
   */
  async #bring(file, work, then, anyway) {
    this.#controller = new AbortController();
    this.#to({ name: file.name, bytes: file.size, share: 0 });
    report(`Adding “${file.name}”.`, [`${file.size ? `${bytes(file.size)} are` : 'It is'} copied into this browser’s store. Nothing is sent anywhere.`],
      { label: 'Cancel', run: () => this.stop() });
    try {
      const og = await this.engine();
      const stored = await work(og, {
        weights: keptIn.now,
        signal: this.#controller.signal,
        onProgress: ({ loaded, total }) => this.#to({ ...this.now, bytes: file.size || total, share: total ? loaded / total : 0 }),
      });
      this.#to(null);
      await then(stored, og);
      return true;
    } catch (error) {
      this.#to(null);
      this.#failed(file, error, anyway);
      return false;
    }
  }

  /** What speaks against a file before any of it is stored, and what can be done. */
  async #problem(file) {
    const start = await file.slice(0, 9).arrayBuffer().then((bytes) => String.fromCharCode(...new Uint8Array(bytes)), () => null);
    if (start === null) return { lines: ['It could not be read. It may have been moved.'] };
    if (file.size === 0) return { lines: ['It is empty.'] };
    if (!/^(GGUF|.{8}\{)/s.test(start)) return null; // of no use whatever the room: the engine says what it is, from its first bytes
    return this.#room(file, () => this.add([file], { checked: true }));
  }

  /** Whether there is room for what is kept of it. @param {File | File[]} source @param {() => void} anyway */
  async #room(source, anyway) {
    const found = await Promise.all([brought(() => import('./room.js'), new URL('./room.js', import.meta.url)), this.engine()])
      .then(([{ problemOf }, og]) => problemOf(og, source), () => null); // without an engine adding fails, and says why
    if (!found) return null;
    const { of, lines } = found;
    return { lines, action: of === 'store' ? { label: 'Show storage', run: this.onFull } : { label: 'Add it all the same', run: anyway } };
  }

  #failed(file, error, anyway) {
    if (error.code === 'ABORTED') return report(`“${file.name}” was not added.`, ['You cancelled it; no part of it was kept.', KEPT]);
    const other = { upscaler: this.onUpscaler, lora: this.onLora, embedding: this.onLora, controlnet: this.onControl }[error.kind];
    if (other && file instanceof File) {
      hideReport(); // that it is being added
      return other(file);
    }
    const lines = {
      QUOTA: ['There is no room for it. Deleting a model or pictures makes room.'],
      STORAGE: ['This browser does not keep models here; a private window may be the reason.', sentence(error.message)],
      NETWORK: ['It could not be read to its end: it may have been moved or changed.'],
    }[error.code] ?? [sentence(error.message.replace(`${file.name}: `, ''))];
    const action = {
      QUOTA: { label: 'Show storage', run: this.onFull },
      NON_FINITE: anyway && { label: 'Add it all the same', run: anyway },
    }[error.code];
    report(`“${file.name}” was not added.`, [...lines, KEPT], action, error.detail);
  }

  #to(now) {
    this.now = now;
    $('add-model').textContent = now ? 'Stop adding' : 'Add your own';
    this.onChange();
    this.dispatchEvent(new Event('change'));
  }
}
