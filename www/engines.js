/**
 * The engine's code, which comes in four modules of one interface: one computes on the GPU, one does and can learn there, one
 * computes on the processor, and one on several of its cores, where the page is isolated. Which of them runs is decided here, and only what is needed is fetched.
 *
 * All are named by address instead of being imported: browsers and bundlers understand `new URL('./file',
 * import.meta.url)`, and a bundler that makes one plain file of the worker could not divide it.
 */

import { clearRegisters } from './registers.js';
import { THREADED, cores, crew } from './threads.js';

/** @typedef {import('./protocol.d.ts').Capabilities} Capabilities */
/** @typedef {import('./protocol.d.ts').ModuleName} ModuleName */

export const MODULES = {
  webgpu: {
    code: new URL('./opengen-gpu.js', import.meta.url),
    wasm: new URL('./opengen-gpu_bg.wasm', import.meta.url),
  },
  learn: {
    code: new URL('./opengen-learn.js', import.meta.url),
    wasm: new URL('./opengen-learn_bg.wasm', import.meta.url),
  },
  cpu: {
    code: new URL('./opengen-cpu.js', import.meta.url),
    wasm: new URL('./opengen-cpu_bg.wasm', import.meta.url),
  },
  threads: THREADED,
};

export const AS_ASKED = 'Pictures are made on the processor, as asked.';
export const NO_WEBGPU = 'This browser offers no WebGPU here, so pictures are made on the processor: small ones still take only '
  + 'seconds.';
const LOST = 'The graphics device was lost, so pictures are made on the processor now.';
/** @param {string} times */
const slower = (times) => 'This browser draws WebGPU on the processor, where a short measurement took '
  + `${times} times as long as without it. So pictures are made on the processor directly.`;

/** An engine that runs. */
export class Running {
  /**
   * @param {any} module
   * @param {any} engine
   * @param {string | null} reason why it is not the GPU's
   * @param {number} [threads] on how many it computes
   * @param {() => void} [end] ends those beside this one
   */
  constructor(module, engine, reason, threads = 1, end = () => {}) {
    Object.assign(this, { module, engine, reason, threads, end });
  }

  /** Lets go of the engine, and of its threads. */
  free() {
    this.engine.free();
    this.end();
  }

  /** @returns {Capabilities} */
  capabilities() {
    return { ...this.engine.capabilities(), threads: this.threads, reason: this.reason, fetched: [...fetched.keys()] };
  }
}

/** What was fetched, by name: modules that are ready. @type {Map<ModuleName, Promise<any>>} */
const fetched = new Map();

/** Whom to tell that a graphics device was lost. @type {(message: string) => void} */
let onDeviceLost = () => {};

/** The module for the GPU: what only draws is smaller. @type {'webgpu' | 'learn'} */
let onGpu = 'webgpu';

/** How many bytes of the graphics device may be used. @type {number | undefined} */
let memoryLimit;

/** @param {unknown} wanted */
export function checkPath(wanted) {
  if (wanted === 'auto' || wanted === 'webgpu' || wanted === 'cpu') return;
  const message = 'engine: must be "auto", "webgpu" or "cpu"';
  throw Object.assign(new Error(message), { code: 'INVALID_INPUT', field: 'engine' });
}

/**
 * Starts the engine that is asked for, or the quicker one.
 * @param {import('./protocol.d.ts').EnginePath} wanted
 * @param {{limit?: number, learns?: boolean}} of how many bytes of the graphics device may be used, and whether it is to learn
 * @param {(message: string) => void} whenLost called whenever a graphics device is lost
 */
export async function choose(wanted, { limit, learns }, whenLost) {
  onDeviceLost = whenLost;
  memoryLimit = limit;
  onGpu = learns ? 'learn' : 'webgpu';
  checkPath(wanted);
  if (wanted === 'cpu') return onProcessor(AS_ASKED);
  if (wanted === 'webgpu') return start(onGpu);
  if (!(await findAdapter())) return onProcessor(NO_WEBGPU);
  let gpu;
  try {
    gpu = await start(onGpu);
  } catch (error) {
    if (error.code === 'NETWORK') throw error;
    return onProcessor(`WebGPU failed here (${error.message ?? error}), so pictures are made on the processor.`);
  }
  return gpu.engine.capabilities().isFallbackAdapter ? quicker(gpu) : gpu;
}

/** The processor's engine in place of one whose device was lost for good. */
export async function withoutDevice() {
  try {
    return await onProcessor(LOST);
  } catch (error) {
    if (error.code !== 'NETWORK') throw error;
    const message = 'The graphics device was lost, and the part of the page that draws on the processor could not be '
      + `fetched: ${error.message}.`;
    throw Object.assign(new Error(message), { code: 'DEVICE_LOST', retryable: true });
  }
}

/** Where the adapter is a program: that one or the processor's own engine, by a short measurement. @param {Running} gpu */
async function quicker(gpu) {
  let cpu;
  try {
    cpu = await onProcessor('');
  } catch {
    return gpu; // offline, say: slower is better than nothing
  }
  try {
    const onGpu = await gpu.engine.probe();
    clearRegisters();
    const times = onGpu / (await cpu.engine.probe());
    if (times < 1) {
      cpu.free();
      return gpu;
    }
    cpu.reason = slower(times.toFixed(1)) + cpu.reason;
  } catch (error) {
    cpu.reason = `WebGPU failed here (${error.message ?? error}), so pictures are made on the processor.${cpu.reason}`;
  }
  gpu.free();
  return cpu;
}

/** The browser's adapter, asked for as the engine does; null where there is none: the GPU's module is not fetched then. */
export async function findAdapter() {
  try {
    return (await /** @type {any} */ (navigator).gpu?.requestAdapter({ powerPreference: 'high-performance' })) ?? null;
  } catch {
    return null;
  }
}

/**
 * The processor's engine: on as many threads as there are cores, where that can be, else on one.
 * @param {string} reason
 */
async function onProcessor(reason) {
  const threads = cores();
  if (threads === 1) return start('cpu', reason);
  let end;
  try {
    const module = await ready('threads');
    end = await crew(module, threads - 1);
    const engine = await module.Engine.create((message) => onDeviceLost(message), memoryLimit);
    return new Running(module, engine, reason, threads, end);
  } catch (error) {
    end?.();
    fetched.delete('threads');
    // Where it was not built, or the page is offline and has only the other one, one thread is as it should be.
    const why = error.code === 'NETWORK' ? '' : ` They are made on one thread: several failed here (${error.message ?? error}).`;
    return start('cpu', reason + why);
  }
}

/**
 * Starts an engine.
 * @param {'webgpu' | 'learn' | 'cpu'} name
 * @param {string | null} [reason]
 */
async function start(name, reason = null) {
  const module = await ready(name);
  return new Running(module, await module.Engine.create((message) => onDeviceLost(message), memoryLimit), reason);
}

/** A module, fetched once. @param {ModuleName} name */
function ready(name) {
  const module = fetched.get(name) ?? fetchModule(MODULES[name]);
  fetched.set(name, module);
  module.catch(() => fetched.delete(name));
  return module;
}

/** @param {{code: URL, wasm: URL}} addresses */
async function fetchModule({ code, wasm }) {
  // The larger part is asked for first; both arrive at once.
  const arriving = fetchWasm(wasm);
  const [module, response] = await Promise.all([importCode(code), arriving]);
  await module.default({ module_or_path: response });
  return module;
}

/** @param {URL} code */
async function importCode(code) {
  try {
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ code.href);
  } catch (error) {
    // A module that was not reached is a TypeError, which does not say why; one that this browser cannot read is a
    // SyntaxError.
    throw error instanceof TypeError ? missing(await fetch(code).catch(() => null)) : error;
  }
}

/** A missing file is told apart from one that this browser cannot run. @param {URL} wasm */
async function fetchWasm(wasm) {
  const response = await fetch(wasm).catch(() => null);
  if (!response?.ok) throw missing(response);
  return response;
}

/** What sw.js answers where the server has another version of the page than the tab. */
const OTHER_VERSION = 409;

/** @param {Response | null} response null where none came */
function missing(response) {
  const other = response?.status === OTHER_VERSION;
  const why = other ? 'another version of this page is on the server now; reload the page'
    : response && !response.ok ? `status ${response.status}` : 'no connection';
  return Object.assign(new Error(`the engine did not arrive (${why})`), {
    code: 'NETWORK', field: other ? 'version' : 'engine', retryable: !other,
  });
}
