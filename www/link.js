/** One worker and the calls to it: numbered on the way out, matched with their answers, taken back by a signal. */

import { OpenGenError, aborted } from './errors.js';

/** @typedef {import('./protocol.d.ts').WireError} WireError */
/**
 * What a call may be given beside its message.
 * @typedef {{signal?: AbortSignal, onProgress?: (progress: import('./protocol.d.ts').LoadProgress) => void,
 *   onEvent?: (event: import('./protocol.d.ts').GenerateEvent) => void}} Listeners
 */
/**
 * A call without its number.
 * @template T
 * @typedef {T extends {id: number} ? Omit<T, 'id'> : never} Unnumbered
 */

export class Link {
  #worker;
  /** @type {Map<number, Listeners & {resolve: Function, reject: Function, settle: () => void}>} */
  #calls = new Map();
  #nextId = 1;
  /** Settles when all that was put in line has had its turn. @type {Promise<unknown>} */
  #line = Promise.resolve();
  /** Why there are no more calls. @type {Partial<WireError> & Pick<WireError, 'code' | 'message'> | null} */
  #end = null;

  /** @param {Worker} worker */
  constructor(worker) {
    this.#worker = worker;
    worker.addEventListener('message', ({ data }) => this.#receive(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault?.();
      // An error in the worker's code has words; a script that could not be fetched has none.
      this.close(event.message
        ? { code: 'INTERNAL', message: event.message, retryable: true }
        : { code: 'NETWORK', message: 'the engine’s files did not arrive', retryable: true });
    });
  }

  /**
   * Makes a call now. When the signal fires the worker is asked to stop, and the call rejects once it has.
   * @param {Unnumbered<import('./protocol.d.ts').ToWorker>} message
   * @param {Listeners} [listeners]
   * @returns {Promise<any>} the call's value
   */
  call(message, { signal, onProgress, onEvent } = {}) {
    if (this.#end) return Promise.reject(new OpenGenError(this.#end));
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

  /**
   * Does work after all that was put in line before it. What still waits when its signal fires rejects at once.
   * @template T
   * @param {() => Promise<T>} work
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  inTurn(work, signal) {
    return new Promise((resolve, reject) => {
      const leave = () => reject(aborted());
      signal?.addEventListener('abort', leave);
      const turn = this.#line.then(() => {
        signal?.removeEventListener('abort', leave);
        if (signal?.aborted) throw aborted();
        return work();
      });
      this.#line = turn.then(() => {}, () => {});
      turn.then(resolve, reject);
      if (signal?.aborted) leave();
    });
  }

  /**
   * Ends the worker and with it every call: those that run, that wait, and that are still to be made.
   * @param {Partial<WireError> & Pick<WireError, 'code' | 'message'>} error what they reject with
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
}
