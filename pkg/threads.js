/**
 * What the page's threads.js is in the package: one thread. Another site's page is seldom isolated, and the module for
 * several threads would make the package half as large again.
 */

/** @type {{code: URL, wasm: URL} | null} */
export const THREADED = null;

/** @returns {number} */
export const cores = () => 1;

/** @returns {Promise<() => void>} */
export async function crew() {
  throw new Error('the package computes on one thread');
}
