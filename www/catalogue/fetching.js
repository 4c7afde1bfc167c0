/**
 * Models on their way from the network into the store, or into a smaller type inside it, by an engine of their own, so that
 * pictures can be made meanwhile. One goes after the other. What has arrived stays, whatever ends it, until it is deleted.
 */

import { OpenGen } from '../client.js';
import { book } from '../js/book.js';

/**
 * @typedef {object} Wanted
 * @property {string} id
 * @property {string} url
 * @property {{path: string, url: string}[]} [files] of a folder
 * @property {number} [bytes]
 * @property {string} [sha256]
 * @property {import('../protocol.d.ts').ModelLicense} [license]
 * @property {import('../protocol.d.ts').WeightType} weights what it is kept in, where its file is in a wider type
 * @property {boolean} [allowNonFinite] weights that are no numbers are taken too
 *
 * @typedef {object} State
 * @property {'queued' | 'waiting' | 'fetching' | 'checking' | 'packing'} phase waiting: another tab fetches it
 * @property {number} loaded
 * @property {number} total
 * @property {number} rate bytes per second
 * @property {number | null} secondsLeft
 * @property {[number, number] | null} [tensors] that have come, and all
 */

/** How often it is noted how far a download is, in ms. */
const NOTED = 2000;

/** Tells of a `change` whenever one begins, goes on or ends, and of `done` with the stored model as its detail. */
export class Fetching extends EventTarget {
  /** By id. @type {Map<string, State>} */ now = new Map();
  /** Why the last attempt failed, by id. @type {Map<string, import('../client.js').OpenGenError>} */ failed = new Map();
  /** By id, how to stop it and when it has ended. @type {Map<string, {abort: () => void, ended: Promise<void>}>} */
  #running = new Map();
  #written = 0;
  /** @type {Promise<OpenGen> | null} */ #engine = null;

  /** @param {import('../js/session.js').Session} session whose kind of engine is used: its code is here already */
  constructor(session) {
    super();
    this.session = session;
  }

  /** Begins, or goes on with what is here. @param {Wanted} wanted */
  start({ id, url, files, bytes, sha256, license, weights, allowNonFinite }) {
    const { loaded = 0, total = bytes ?? 0 } = book.of(id).came ?? {};
    const source = { id, url, files, license, ...(bytes ? { bytes } : {}), ...(sha256 ? { sha256 } : {}) };
    this.#begin(id, { phase: 'queued', loaded, total }, (og, options) => og.models.import(source, { ...options, weights, allowNonFinite }));
  }

  /** Packs a stored model in a smaller type. @param {string} id @param {import('../protocol.d.ts').WeightType} to @param {number} total its bytes */
  quantize(id, to, total) {
    this.#begin(id, { phase: 'packing', loaded: 0, total }, (og, options) => og.models.quantize(id, to, options));
  }

  /** Stops it; resolves once it has ended. What has arrived stays. @param {string} id */
  async stop(id) {
    this.#running.get(id)?.abort();
    await this.#running.get(id)?.ended;
  }

  /** Nothing is known of it any more. @param {string} id */
  forget(id) {
    this.failed.delete(id);
  }

  /**
   * @param {string} id
   * @param {Pick<State, 'phase' | 'loaded' | 'total'>} state as it begins
   * @param {(og: OpenGen, options: import('../api.d.ts').LoadOptions) => Promise<import('../protocol.d.ts').StoredModel>} work
   */
  #begin(id, state, work) {
    if (this.now.has(id)) return;
    const controller = new AbortController();
    this.failed.delete(id);
    const ended = this.#work(id, { rate: 0, secondsLeft: null, ...state }, controller.signal, work);
    this.#running.set(id, { abort: () => controller.abort(), ended });
  }

  /** Never rejects. */
  async #work(id, state, signal, work) {
    this.#to(id, state);
    try {
      const og = await this.#started();
      const stored = await work(og, { signal, onProgress: (progress) => this.#advance(id, progress) });
      this.#end(id);
      this.dispatchEvent(new CustomEvent('done', { detail: stored }));
    } catch (error) {
      if (state.phase === 'queued') this.#note(id);
      if (error.code !== 'ABORTED') this.failed.set(id, error);
      this.#end(id);
    }
  }

  #advance(id, { phase, loaded, total, rate, secondsLeft, tensors }) {
    const phases = { wait: 'waiting', download: 'fetching', verify: 'checking', upload: 'checking' };
    const before = this.now.get(id);
    if (!before) return;
    if (before.phase === 'packing') return this.#to(id, { ...before, loaded, total });
    this.#to(id, { ...before, phase: phases[phase], ...(phase === 'download' ? { loaded, total, rate, secondsLeft, tensors } : {}) });
    if (Date.now() - this.#written > NOTED) this.#note(id);
  }

  /** Keeps how far it is: whoever closes the tab finds it there again. */
  #note(id) {
    const { loaded, total } = this.now.get(id);
    book.write(id, { came: { loaded, total } });
    this.#written = Date.now();
  }

  #to(id, state) {
    this.now.set(id, state);
    this.dispatchEvent(new Event('change'));
  }

  /** The engine goes when there is nothing left to fetch. */
  #end(id) {
    this.now.delete(id);
    this.#running.delete(id);
    if (!this.now.size) {
      this.#engine?.then((og) => og.dispose(), () => {});
      this.#engine = null;
    }
    this.dispatchEvent(new Event('change'));
  }

  #started() {
    this.#engine ??= this.session.started().then((og) => OpenGen.create({ engine: og.capabilities().engine }));
    this.#engine.catch(() => { this.#engine = null; });
    return this.#engine;
  }
}
