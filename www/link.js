/** One worker and the calls to it: numbered on the way out, matched with their answers, taken back by a signal. */

import { OpenGenError, aborted } from './errors.js';

/** @typedef {import('./protocol.d.ts').WireError} WireError */
/**
 * What a call may be given beside its message; `transfer` is what moves to the worker with it.
 * @typedef {{signal?: AbortSignal, onProgress?: (progress: import('./protocol.d.ts').LoadProgress) => void,
 *   onEvent?: (event: any) => void, transfer?: Transferable[]}} Listeners
 */
/**
 * Why there are no more calls.
 * @typedef {Partial<WireError> & Pick<WireError, 'code' | 'message'> & {cause?: unknown}} End
 */
/**
 * A call without its number.
 * @template T
 * @typedef {T extends {id: number} ? Omit<T, 'id'> : never} Unnumbered
 */

const NOT_STARTED = 'the worker did not start: its files did not arrive, or the page’s policy (worker-src) does not allow it';

export class Link {
  #worker;
  /** @type {Map<number, Listeners & {resolve: Function, reject: Function, settle: () => void}>} */
  #calls = new Map();
  #nextId = 1;
  /** Settles when all that was put in line has had its turn. @type {Promise<unknown>} */
  #line = Promise.resolve();
  /** How many have been put in line and are not done. */
  #queued = 0;
  /** @type {End | null} */
  #end = null;
  #onHappened;
  #onQueue;

  /**
   * @param {Worker} worker
   * @param {{onHappened?: (event: import('./protocol.d.ts').Happened) => void, onQueue?: (length: number) => void}} [listeners]
   *   what happens beside the calls, and how many are in line whenever that changes
   */
  constructor(worker, { onHappened, onQueue } = {}) {
    this.#worker = worker;
    this.#onHappened = onHappened;
    this.#onQueue = onQueue;
    worker.addEventListener('message', ({ data }) => this.#receive(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault?.();
      // An error in the worker's code has words; a script that could not be fetched has none.
      this.close(event.message
        ? { code: 'INTERNAL', message: event.message, retryable: true }
        : { code: 'NETWORK', message: NOT_STARTED, retryable: true });
    });
  }

  /**
   * Makes a call now. When the signal fires the worker is asked to stop, and the call rejects once it has.
   * @param {Unnumbered<import('./protocol.d.ts').ToWorker>} message
   * @param {Listeners} [listeners]
   * @returns {Promise<any>} the call's value
   */
  call(message, { signal, onProgress, onEvent, transfer } = {}) {
    if (this.#end) return Promise.reject(new OpenGenError(this.#end));
    if (signal?.aborted) return Promise.reject(aborted(signal));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const cancel = () => this.#worker.postMessage({ type: 'cancel', id });
      signal?.addEventListener('abort', cancel);
      const settle = () => {
        this.#calls.delete(id);
        signal?.removeEventListener('abort', cancel);
      };
      this.#calls.set(id, { resolve, reject, settle, onProgress, onEvent, signal });
      try {
        this.#worker.postMessage({ ...message, id }, transfer ?? []);
      } catch (cause) {
        settle();
        reject(unsendable(cause));
      }
    });
  }

  /**
   * Does work after all that was put in line before it. What still waits when its signal fires rejects at once.
   * @template T
   * @param {() => Promise<T>} work
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  inTurn(work, signal) {
    return new Promise((resolve, reject) => {
      const leave = () => reject(aborted(/** @type {AbortSignal} */ (signal)));
      signal?.addEventListener('abort', leave);
      this.#count(1);
      const turn = this.#line.then(() => {
        signal?.removeEventListener('abort', leave);
        if (signal?.aborted) throw aborted(signal);
        return work();
      });
      const done = () => this.#count(-1);
      this.#line = turn.then(done, done);
      turn.then(resolve, reject);
      if (signal?.aborted) leave();
    });
  }

  /** How many calls were put in line and are not done. */
  get queueLength() {
    return this.#queued;
  }

  /** @param {number} more */
  #count(more) {
    this.#queued += more;
    this.#onQueue?.(this.#queued);
  }

  /**
   * Ends the worker and with it every call: those that run, that wait, and that are still to be made.
   * @param {End} error what they reject with
   */
  close(error) {
    if (this.#end) return;
    this.#end = error;
    this.#worker.terminate();
    for (const { settle, reject } of [...this.#calls.values()]) {
      settle();
      reject(new OpenGenError(error));
    }
  }

  /** @param {import('./protocol.d.ts').FromWorker} message */
  #receive(message) {
    if (message.type === 'happened') return this.#onHappened?.(message.event);
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
        if (message.error.code === 'ABORTED' && call.signal?.aborted) return call.reject(aborted(call.signal));
        return call.reject(new OpenGenError(message.error));
    }
  }
}

/** A function among the settings, say, cannot be sent. @param {unknown} cause */
function unsendable(cause) {
  const message = `an option cannot be sent to the worker: ${cause instanceof Error ? cause.message : cause}`;
  return new OpenGenError({ code: 'INVALID_INPUT', message, cause });
}
