/** The processor's cores, where a page may use them: workers over the memory of the module that is compiled for that. */

/** Where that module lies. @type {{code: URL, wasm: URL}} */
export const THREADED = {
  code: new URL('./opengen-threads.js', import.meta.url),
  wasm: new URL('./opengen-threads_bg.wasm', import.meta.url),
};

/** More threads than this gain little: what is between two products of the same picture is waited for by all of them. */
const MOST = 8;

/** How long workers may take to be there, in ms. */
const PATIENCE = 10_000;

/**
 * How many threads an engine may have here. One where the page is not isolated, which is the server's to say (the headers
 * Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy), and where the browser cannot wait for memory without
 * blocking.
 */
export function cores() {
  const may = self.crossOriginIsolated && typeof (/** @type {any} */ (Atomics).waitAsync) === 'function';
  return may ? Math.min(MOST, navigator.hardwareConcurrency || 1) : 1;
}

/**
 * Starts the workers that compute beside this one.
 * @param {any} engine the module for several threads, which has been started here
 * @param {number} count how many, beside this one
 * @returns {Promise<() => void>} ends them
 */
export async function crew(engine, count) {
  const [module, memory] = engine.shared();
  /** @type {Worker[]} */
  const workers = [];
  const end = () => workers.forEach((worker) => worker.terminate());
  let late = 0;
  try {
    await Promise.race([
      Promise.all(Array.from({ length: count }, () => new Promise((resolve, reject) => {
        const worker = new Worker(new URL('./crew.js', import.meta.url), { type: 'module', name: 'opengen-crew' });
        workers.push(worker);
        worker.onmessage = ({ data }) => (data === null ? resolve(null) : reject(new Error(data)));
        worker.onerror = (event) => {
          event.preventDefault(); // else it is this worker's error too, and the page gives it up
          reject(new Error(event.message || 'a worker did not start'));
        };
        worker.postMessage({ code: THREADED.code.href, module, memory });
      }))),
      new Promise((_, reject) => {
        late = self.setTimeout(() => reject(new Error('its workers did not start in time')), PATIENCE);
      }),
    ]);
  } catch (error) {
    end();
    throw error;
  } finally {
    clearTimeout(late);
  }
  return end;
}
