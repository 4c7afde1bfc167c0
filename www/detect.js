/** What starting the engine would mean here, without starting it. */

import { AS_ASKED, MODULES, NO_WEBGPU, checkPath, findAdapter } from './engines.js';
import { storedRows } from './stored.js';
import { cores } from './threads.js';

const ON_GPU = 'Pictures are made on the graphics card, through WebGPU.';
const MEASURED = 'This browser draws WebGPU on the processor. Whether that or the processor’s own engine is quicker is '
  + 'measured when the engine starts, for which both are fetched.';
const REFUSED = 'This browser offers no WebGPU here, which was asked for: the engine will not start.';

/** Quantized weights are unpacked to f32 on the CPU: Q8 takes 34 bytes for 32 values. */
const UNPACKED = (32 * 4) / 34;

/**
 * @typedef {object} Asked
 * @property {any} file the model's file, as the engine takes it
 * @property {number | null} working bytes in f32 for a picture of its own size, where that is known
 */

/**
 * @param {import('./protocol.d.ts').EnginePath} wanted
 * @param {Asked | null} model
 * @returns {Promise<import('./api.d.ts').Detected>}
 */
export async function detect(wanted, model) {
  checkPath(wanted);
  const adapter = wanted === 'cpu' ? null : await findAdapter();
  const info = adapter?.info ?? {};
  const name = [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' ');
  const isFallbackAdapter = Boolean(adapter?.isFallbackAdapter || info.isFallbackAdapter)
    || /swiftshader|llvmpipe/i.test(name);
  const { engine, reason } = decide(wanted, adapter, isFallbackAdapter);
  const f16 = engine !== 'cpu' && Boolean(adapter?.features.has('shader-f16'));
  const [engines, file] = await Promise.all([
    Promise.all([engine !== 'cpu' && engineFiles('webgpu'), engine !== 'webgpu' && processorFiles()]).then(
      (all) => all.filter((files) => files !== false)),
    model && modelFile(model.file),
  ]);
  const parts = [...engines.filter(({ cached }) => !cached), ...(file && !file.stored ? [file] : [])];
  return {
    engine, reason, adapter: name || null, isFallbackAdapter, f16, engines, model: file,
    download: sum(parts.map(({ bytes }) => bytes)),
    memory: model && memory(file.bytes, model.working, engine, f16),
  };
}

/** As `choose` in engines.js does, up to where it has to measure. */
function decide(wanted, adapter, isFallbackAdapter) {
  if (wanted === 'cpu') return { engine: 'cpu', reason: AS_ASKED };
  if (wanted === 'webgpu') return { engine: 'webgpu', reason: adapter ? ON_GPU : REFUSED };
  if (!adapter) return { engine: 'cpu', reason: NO_WEBGPU };
  return isFallbackAdapter ? { engine: null, reason: MEASURED } : { engine: 'webgpu', reason: ON_GPU };
}

/** The processor's engine for as many threads as there may be; for one where the server has no other. */
async function processorFiles() {
  const threaded = cores() > 1 ? await engineFiles('threads') : null;
  return threaded?.bytes ? threaded : engineFiles('cpu');
}

/** An engine's two files: how many bytes travel, and whether they are here already. @param {import('./protocol.d.ts').ModuleName} name */
async function engineFiles(name) {
  const addresses = Object.values(MODULES[name]).map(({ href }) => href);
  const [lengths, cached] = await Promise.all([
    Promise.all(addresses.map((href) => lengthOf(href))), Promise.all(addresses.map(isCached)),
  ]);
  return { name, bytes: sum(lengths), cached: cached.every(Boolean) };
}

async function modelFile({ id, url, bytes, fetch, headers }) {
  const row = (await storedRows()).find((stored) => stored.id === id);
  const stored = row?.complete ?? false;
  return { id, stored, bytes: bytes ?? (stored ? row.bytes : await lengthOf(url, fetch, headers)) };
}

/** In a copy that a service worker keeps, or in the browser's own cache; of another origin's the latter is not known. */
async function isCached(href) {
  try {
    if (await caches.match(href)) return true;
    if (new URL(href).origin !== self.location.origin) return false;
    const stop = new AbortController();
    const response = await fetch(href, { cache: 'only-if-cached', mode: 'same-origin', signal: stop.signal });
    stop.abort(); // the answer was whether there is one
    return response.ok;
  } catch {
    return false;
  }
}

/** What a file weighs on its way, as far as the server says. */
async function lengthOf(href, ask = fetch, headers = []) {
  try {
    const response = await ask(href, { method: 'HEAD', headers });
    const length = Number(response.headers.get('content-length'));
    return response.ok && length > 0 ? length : null;
  } catch {
    return null; // offline, say
  }
}

/** An estimate: the weights as they lie in memory, and what a picture of the model's own size takes beside them. */
function memory(bytes, working, engine, f16) {
  const weights = bytes && Math.round(bytes * (engine === 'cpu' ? UNPACKED : 1));
  return { weights, working: working && Math.round(working / (f16 ? 2 : 1)) };
}

/** @param {(number | null)[]} numbers */
const sum = (numbers) => (numbers.includes(null) ? null : numbers.reduce((a, b) => a + b, 0));
