/**
 * The worker that owns the engine. It answers the messages of protocol.d.ts and knows nothing of the page.
 *
 * The listener stands before anything is awaited: a message posted to a worker that does not listen yet is lost.
 */

/** @type {any} the wasm `Engine`, once created */
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
      const wasm = await import('./opengen.js');
      await wasm.default();
      engine = await wasm.Engine.create({ engine: call.engine });
      return engine.capabilities();
    }
    case 'listModels':
      return engine.listModels();
    case 'loadModel':
      return cancellable(call.id, () =>
        engine.loadModel(call.model, (progress) => self.postMessage({ type: 'progress', id: call.id, progress })));
    case 'generate':
      return cancellable(call.id, async () => {
        const made = await engine.generate(call.request, (event) =>
          self.postMessage({ type: 'event', id: call.id, event }, transferables(event)));
        return { ...made, capabilities: engine.capabilities() };
      });
    case 'study':
      return cancellable(call.id, () => engine.study(call.ask));
    case 'removeModel':
      return engine.removeModel(call.model);
    case 'storage':
      return engine.storage();
    default:
      throw new TypeError(`unknown call "${call.type}"`);
  }
}

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

const CODES = new Set(['OUT_OF_MEMORY', 'NETWORK', 'QUOTA', 'UNSUPPORTED', 'INVALID_INPUT', 'DEVICE_LOST', 'ABORTED',
  'BAD_MODEL', 'DAMAGED', 'STORAGE', 'GPU']);

/** @returns {import('./protocol.d.ts').WireError} */
function toWire(error) {
  const message = String(error?.message ?? error);
  if (CODES.has(error?.code)) {
    return { code: error.code, message, field: error.field ?? null, retryable: Boolean(error.retryable) };
  }
  const code = error instanceof RangeError || /memory/i.test(message) ? 'OUT_OF_MEMORY' : 'INTERNAL';
  return { code, message, field: null, retryable: true };
}
