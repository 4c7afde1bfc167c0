/**
 * The worker that owns the engine. It answers the messages of protocol.d.ts and knows nothing of the page.
 *
 * The listener stands before anything is awaited: a message posted to a worker that does not listen yet is lost.
 * The engine's glue is imported, not loaded later: bundlers make one plain file of this worker, and need no setting.
 */

import instantiate, { Engine } from './opengen.js';

/** @type {Engine | null} */
let engine = null;
/** The running call that `cancel` may stop. @type {number | null} */
let running = null;

self.addEventListener('message', ({ data }) => {
  if (data.type === 'cancel') {
    if (engine && running === data.id) engine.cancel();
    return;
  }
  answer(data);
});

/** @param {import('./protocol.d.ts').ToWorker} call */
async function answer(call) {
  try {
    const value = await perform(call);
    self.postMessage({ type: 'done', id: call.id, value }, transferables(value));
  } catch (error) {
    self.postMessage({ type: 'failed', id: call.id, error: toWire(error) });
  }
}

async function perform(call) {
  switch (call.type) {
    case 'create': {
      await instantiate({ module_or_path: await fetchWasm() });
      engine = await Engine.create({ engine: call.engine });
      return engine.capabilities();
    }
    case 'listModels':
      return engine.listModels();
    case 'importModel':
      return cancellable(call.id, () => engine.importModel(call.model, progressOf(call)));
    case 'loadModel':
      return cancellable(call.id, () => engine.loadModel(call.model, progressOf(call)));
    case 'generate':
      return cancellable(call.id, async () => {
        const made = await engine.generate(call.request, (event) =>
          self.postMessage({ type: 'event', id: call.id, event }, transferables(event)));
        return { ...made, capabilities: engine.capabilities() };
      });
    case 'study':
      return cancellable(call.id, () => engine.study(call.ask));
    case 'readSettings': {
      const wasm = await import('./opengen.js');
      return wasm.readSettings(call.png);
    }
    case 'removeModel':
      return engine.removeModel(call.model);
    case 'storage':
      return engine.storage();
    default:
      throw new TypeError(`unknown call "${call.type}"`);
  }
}

/** The engine's code. A missing file is told apart from one that this browser cannot run. */
async function fetchWasm() {
  const response = await fetch(new URL('./opengen_bg.wasm', import.meta.url)).catch(() => null);
  if (!response?.ok) {
    const why = response ? `status ${response.status}` : 'no connection';
    throw Object.assign(new Error(`the engine did not arrive (${why})`), { code: 'NETWORK', retryable: true });
  }
  return response;
}

const progressOf = ({ id }) => (progress) => self.postMessage({ type: 'progress', id, progress });

async function cancellable(id, work) {
  running = id;
  try {
    return await work();
  } finally {
    running = null;
  }
}

/** The buffers of pictures, which move to the page instead of being copied. */
function transferables(value) {
  if (!value || typeof value !== 'object') return [];
  const views = [value.preview?.data, ...(value.images ?? []).map((image) => image.data), ...(value.png ?? [])];
  return [...new Set(views.filter(Boolean).map((view) => view.buffer))];
}

/** @returns {import('./protocol.d.ts').WireError} */
function toWire(error) {
  const message = String(error?.message ?? error);
  // The engine's errors carry a code in words; a DOMException's is a number.
  if (typeof error?.code === 'string') {
    return { code: error.code, message, field: error.field ?? null, retryable: Boolean(error.retryable) };
  }
  if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) {
    return { code: 'UNSUPPORTED', message: `this browser cannot run the engine (${message})`, field: null, retryable: false };
  }
  const code = error instanceof RangeError || /memory/i.test(message) ? 'OUT_OF_MEMORY' : 'INTERNAL';
  return { code, message, field: null, retryable: true };
}
