/** Starts the client's worker, also where the client's files come from another origin than the page. */

import { OpenGenError, invalid } from './errors.js';

/**
 * @param {string | URL} [address] where worker.js lies, if not beside this file or where the bundler put it
 * @returns {Worker}
 */
export function spawn(address) {
  if (typeof Worker === 'undefined' || typeof WebAssembly === 'undefined') {
    throw new OpenGenError({ code: 'UNSUPPORTED', message: 'workers and WebAssembly are needed, so a browser is' });
  }
  const url = address === undefined ? beside() : given(address);
  try {
    if (!url) return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'opengen' });
    return url.origin === location.origin ? start(url) : startFromElsewhere(url);
  } catch (cause) {
    const message = `this page may not start the worker (${cause instanceof Error ? cause.message : cause}): serve it from `
      + 'the page’s origin or one that allows it (CORS), name it with workerUrl, and let the policy say worker-src blob:';
    throw new OpenGenError({ code: 'UNSUPPORTED', message, cause });
  }
}

/** The worker's address where this file is used as it is, from another origin; null where a bundler knows better. */
function beside() {
  const here = new URL(import.meta.url); // where a bundler does not put in what it likes, such as a file: address
  const unbundled = /^https?:$/.test(here.protocol) && here.pathname.endsWith('/spawn.js');
  return unbundled && here.origin !== location.origin ? new URL('worker.js', here) : null;
}

/** @param {string | URL} address */
function given(address) {
  if (!URL.canParse(address, document.baseURI)) throw invalid('workerUrl', `"${address}" is no address`);
  return new URL(address, document.baseURI);
}

/** @param {URL | string} url */
const start = (url) => new Worker(url, { type: 'module', name: 'opengen' });

/**
 * A worker has to come from the page's own origin; what it imports need not. Its files still find each other: their
 * addresses are relative to themselves.
 * @param {URL} url
 */
function startFromElsewhere(url) {
  const shim = URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' }));
  const worker = start(shim);
  for (const type of ['message', 'error']) worker.addEventListener(type, () => URL.revokeObjectURL(shim), { once: true });
  return worker;
}
