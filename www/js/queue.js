/** The line of what is to be made: one job is drawn, the others wait; each can be taken out. */

const SEEDS = 2n ** 64n;
const following = (seed, i) => String((BigInt(seed) + BigInt(i)) % SEEDS);

/**
 * The requests of single pictures that a request for several stands for. Seeds count up; in a variation the seed
 * stays and the variation seed counts up, as in A1111.
 * @param {object} request as `Settings.read` gives it, `batch` pictures
 */
export function singles({ batch = 1, variationStrength, variationSeed, ...request }) {
  return Array.from({ length: batch }, (_, i) => (
    variationStrength > 0
      ? { ...request, variationStrength, variationSeed: following(variationSeed, i) }
      : { ...request, seed: following(request.seed, i) }
  ));
}

/**
 * @typedef {object} Job
 * @property {number} id
 * @property {string} prompt
 * @property {object[]} pictures requests of single pictures, made one after the other
 * @property {(at: number) => void} [prepare] one of them is to be made: what it needs is begun
 * @property {(at: number, made: import('./gallery.js').Made) => void} [onMade] one of them is made
 * @property {(outcome: 'done' | 'cancelled' | 'failed') => void} [onEnd] it is over, or was taken out of the line
 */

/** Tells of a `change` whenever a job lines up, begins or ends. */
export class Queue extends EventTarget {
  /** @type {Job[]} */ waiting = [];
  /** @type {Job | null} */ running = null;
  /** Something went wrong that would go wrong again: the others wait for a person. */
  paused = false;
  /** What lines up waits for something else to end, or for a person. */
  held = false;
  #controller = null;
  #next = 1;

  /**
   * @param {object} options
   * @param {(job: Job, signal: AbortSignal) => Promise<'done' | 'cancelled' | 'failed'>} options.draw never rejects
   * @param {(queue: Queue) => void} options.onChange
   */
  constructor({ draw, onChange }) {
    super();
    Object.assign(this, { draw, onChange });
  }

  #changed() {
    this.onChange(this);
    this.dispatchEvent(new Event('change'));
  }

  /** Lines up; draws at once when nothing is being drawn. @param {object} request */
  add(request) {
    this.line({ prompt: request.prompt, pictures: singles(request) });
  }

  /** Lines up pictures that are one job. @param {Omit<Job, 'id'>} job */
  line(job) {
    this.waiting.push({ ...job, id: this.#next++ });
    this.paused = false;
    this.#go();
  }

  /** @param {number} id of a job that waits */
  remove(id) {
    this.#drop((job) => job.id === id);
  }

  clear() {
    this.#drop(() => true);
  }

  /** @param {(job: Job) => boolean} goes */
  #drop(goes) {
    const gone = this.waiting.filter(goes);
    this.waiting = this.waiting.filter((job) => !goes(job));
    gone.forEach(({ onEnd }) => onEnd?.('cancelled'));
    this.#changed();
  }

  /** Stops the job that is drawn; what it has finished is kept, and the next one begins. */
  cancel() {
    this.#controller?.abort();
  }

  resume() {
    Object.assign(this, { paused: false, held: false });
    this.#go();
  }

  #go() {
    if (this.running) this.#changed();
    else this.#run();
  }

  async #run() {
    while (this.waiting.length && !this.paused && !this.held) {
      this.running = this.waiting.shift();
      this.#controller = new AbortController();
      this.#changed();
      const outcome = await this.draw(this.running, this.#controller.signal);
      this.running.onEnd?.(outcome);
      this.running = null;
      this.paused = outcome === 'failed' && this.waiting.length > 0;
    }
    this.#changed();
  }
}
