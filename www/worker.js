/**
 * The worker that owns the engine. It answers the messages of protocol.d.ts and knows nothing of the page.
 *
 * The listener stands before anything is awaited: a message posted to a worker that does not listen yet is lost.
 */

import { detect } from './detect.js';
import { choose, withoutDevice } from './engines.js';
import { joined, keptSizes, seenOf, together } from './folder.js';
import { gathered, inParts, isIndex } from './gathered.js';
import { filesIn } from './layout.js';
import * as networks from './networks.js';
import { enlarge } from './preview.js';
import { clearRegisters } from './registers.js';
import { partOf, storedRows } from './stored.js';
import { through } from './through.js';

/** The engine in use. @type {import('./engines.js').Running | null} */
let running = null;
/** What was asked for. @type {import('./protocol.d.ts').EnginePath} */
let wanted = 'auto';
/** The model in use, which an engine that takes over needs too. */
let model = null;
/** How wide its text encoder is. */
let textWidth = 0;
/** The call that `cancel` may stop. @type {{id: number, stopped: boolean, stop: AbortController} | null} */
let current = null;
/** What was fetched of ControlNets' addresses, for engines with a limit of memory. @type {Map<string, string>} */
const fetched = new Map();

self.addEventListener('message', ({ data }) => {
  if (data.type !== 'cancel') return answer(data);
  if (current?.id !== data.id) return;
  current.stopped = true;
  current.stop.abort();
  running?.engine.cancel();
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
    case 'create':
      wanted = call.engine;
      running = await choose(wanted, { limit: call.memoryLimit, learns: call.learns }, deviceLost);
      return running.capabilities();
    case 'detect':
      return detect(call.engine, call.model && { ...call.model, file: reachable(call.model.file) });
    case 'storedRows':
      return storedRows();
    case 'listModels':
      return running.engine.listModels();
    case 'importModel':
      return cancellable(call.id, async (engine, ready) =>
        withVocabulary(await whole(call.model), (file) => engine.importModel(ready(file), progressOf(call))));
    case 'joinFolder':
      return joined(running.module, call.files);
    case 'keptSizes':
      return keptSizes(running.module, call.file);
    case 'fittingModels':
      return running.engine.autoencoder(await seenOf(call.files));
    case 'giveAutoencoder':
      return cancellable(call.id, (engine, ready) => give(engine, call, ready));
    case 'takeAutoencoder':
      await running.engine.removeModel(partOf(call.model));
      return (await running.engine.listModels()).find(({ id }) => id === call.model);
    case 'loadModel': {
      let used;
      const loaded = await cancellable(call.id, async (engine, ready) =>
        withVocabulary((used ??= await whole(call.model)), (file) => engine.loadModel(ready((used = file)), progressOf(call))));
      model = used;
      textWidth = loaded.textWidth;
      return loaded;
    }
    case 'quantizeModel':
      return cancellable(call.id, (engine) => engine.quantizeModel(call.model, call.to, progressOf(call)));
    case 'generate': {
      const { size } = call.request.previews;
      const tell = (told) => {
        const event = size && told.preview ? { ...told, preview: enlarge(told.preview, size) } : told;
        self.postMessage({ type: 'event', id: call.id, event }, transferables(event));
        clearRegisters(); // the next step comes
      };
      const before = running;
      const made = await cancellable(call.id, async (engine, ready) =>
        engine.generate(ready(withEnlarger(await withControls(await withNetworks(call.request)))), tell));
      const notices = running === before ? made.notices : [running.reason, ...made.notices];
      return { ...made, notices, capabilities: running.capabilities() };
    }
    case 'upscale': {
      const { network, ...ask } = call.ask;
      const tell = (event) => {
        self.postMessage({ type: 'event', id: call.id, event });
        clearRegisters(); // the next tile comes
      };
      const file = network && { key: network.key, name: network.name, read: () => bytesOf(network) };
      return cancellable(call.id, (engine) => engine.upscale({ ...ask, ...file }, tell));
    }
    case 'train': {
      const tell = (event) => {
        self.postMessage({ type: 'event', id: call.id, event }, transferables(event));
        clearRegisters(); // the next step comes
      };
      return cancellable(call.id, (engine) => engine.train(call.ask, tell));
    }
    case 'hold':
      return running.engine.hold?.(call.waits);
    case 'study':
      if (call.ask.what === 'expand') return running.engine.study(call.ask); // beside what runs
      return cancellable(call.id, async (engine, ready) => engine.study(ready(await studied(call.ask))));
    case 'listNetworks':
      return networks.list();
    case 'addNetwork':
      return networks.add(await blobOf(call.network), { name: call.name, replace: call.replace, look: aboutNetwork });
    case 'networkFile':
      return networks.fileOf(call.name);
    case 'renameNetwork':
      return networks.rename(call.name, call.to);
    case 'removeNetwork':
      return networks.remove(call.name);
    case 'readSettings':
      return running.module.readSettings(call.png);
    case 'comfyuiGraph':
      return running.module.comfyuiGraph(call.png);
    case 'removeModel':
      return running.engine.removeModel(call.model);
    case 'storage':
      return running.engine.storage();
    default:
      throw new TypeError(`unknown call "${call.type}"`);
  }
}

/**
 * Does work that `cancel` may stop; when the graphics device is lost for good, once more on the processor. What is given to the engine
 * after a wait is handed through `ready`: the engine knows nothing of a `cancel` that came before its own work began.
 * @param {number} id
 * @param {(engine: any, ready: <T>(given: T) => T) => Promise<any>} work
 */
async function cancellable(id, work) {
  const call = { id, stopped: false, stop: new AbortController() };
  const ready = (given) => {
    if (call.stopped) throw cancelled();
    return given;
  };
  current = call;
  clearRegisters();
  try {
    return await work(running.engine, ready).catch(async (error) => {
      if (error?.code !== 'DEVICE_LOST' || wanted !== 'auto') throw error;
      await takeOver(call);
      return work(running.engine, ready);
    });
  } finally {
    current = null;
  }
}

/** The processor in place of the lost device, with the same model. */
async function takeOver(call) {
  const lost = running.engine;
  running = await withoutDevice();
  lost.free();
  self.postMessage({ type: 'happened', event: { type: 'engine', capabilities: running.capabilities() } });
  if (call.stopped) throw cancelled();
  if (model) await running.engine.loadModel(model, null);
}

const cancelled = () => Object.assign(new Error('cancelled'), { code: 'ABORTED' });

/** Told whenever a graphics device is lost, the first time too, when another takes its place. @param {string} message */
const deviceLost = (message) => self.postMessage({ type: 'happened', event: { type: 'devicelost', message } });

/** A model's file as the engine takes it: a port stands for the program's own `fetch`, and many files for one. */
function reachable({ files, ...file }) {
  const own = file.fetch && through(file.fetch);
  const places = files ?? (file.url.endsWith('/') ? filesIn(file.url.slice(0, -1)) : undefined);
  return places ? { ...file, ...gathered(() => running.module, { title: file.id, places, ask: own }) } : { ...file, fetch: own };
}

/** An autoencoder's files, as one, beside the model that they are given to. */
async function give(engine, call, ready) {
  const { model, files, weights } = call;
  const file = together(await engine.autoencoder(await seenOf(files), model), files);
  const url = URL.createObjectURL(file);
  const id = partOf(model);
  try {
    await engine.removeModel(id); // what was given before: nothing else tells it from what comes
    return await engine.importModel(ready({ id, url, bytes: file.size, weights }), progressOf(call));
  } catch (error) {
    await engine.removeModel(id).catch(() => {}); // a part of a file is of no use, nor is what a deleted model was given
    throw error;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** The same; of a file in parts with what their index says, which is asked for where the file is not stored. */
async function whole(model) {
  const file = reachable(model);
  if (!isIndex(file.url) || file.files) return file;
  const look = () => inParts(file.url, { headers: file.headers, ask: file.fetch });
  if ((await storedRows()).some(({ id, complete }) => id === file.id && complete)) {
    return { ...file, fetch: async (...asked) => (await look()).fetch(...asked) };
  }
  const { bytes, sha256, fetch } = await look();
  return { ...file, bytes: file.bytes ?? bytes, sha256: file.sha256 ?? sha256, fetch };
}

/** Does work with a model's file; when it is a checkpoint that brings no vocabulary, once more with CLIP's. */
async function withVocabulary(file, work) {
  try {
    return await work(file);
  } catch (error) {
    if (error?.code !== 'NO_VOCABULARY') throw file.problem?.() ?? error;
    return work({ ...file, clip: await vocabulary() });
  }
}

/** The merges of CLIP's tokenizer, which most visitors never need. */
async function vocabulary() {
  const failed = (why) => Object.assign(
    new Error(`the vocabulary that a checkpoint in one file needs did not arrive (clip/merges.txt: ${why})`),
    { code: 'NO_VOCABULARY', retryable: true },
  );
  const response = await fetch(new URL('./clip/merges.txt', import.meta.url)).catch((error) => {
    throw failed(error.message);
  });
  if (!response.ok) throw failed(response.status);
  return response.text();
}

/** What a network's file says of itself. Of a ControlNet, which the engine takes beside a model, only that it is one. */
function aboutNetwork(...beginning) {
  try {
    return running.module.aboutNetwork(...beginning);
  } catch (error) {
    if (error?.kind === 'controlnet') return { kind: 'controlnet' };
    throw error;
  }
}

/** A network's file, which is small enough to be read at once. */
const bytesOf = async (network) => new Uint8Array(await (await blobOf(network)).arrayBuffer());

async function blobOf({ file, url }) {
  if (file) return file;
  const response = await fetch(url);
  if (!response.ok) throw Object.assign(new Error(`${url} was answered with ${response.status}`), { code: 'NETWORK', retryable: true });
  return response.blob();
}

/** What is looked into, with what its prompt or its request names. */
async function studied(ask) {
  if (ask.request) return { ...ask, request: await withNetworks(ask.request) };
  return typeof ask.prompt === 'string' ? withWords(ask) : ask;
}

/** What is asked about a prompt, with the embeddings that it names and that are kept here. */
async function withWords(ask) {
  const { prompt, negativePrompt = '', walk, embeddings = [] } = ask;
  const found = textWidth ? await networks.wordsIn([prompt, negativePrompt, walk?.prompt ?? ''].join('\n'), textWidth) : [];
  const given = new Set(embeddings.map(({ name }) => name));
  const kept = found.filter(({ name }) => !given.has(name));
  return kept.length ? { ...ask, embeddings: [...embeddings, ...kept] } : ask;
}

/** A request with the files of the networks that are given with it and of those that its prompt names and that are kept here. */
async function withNetworks(asked) {
  const request = await withWords(asked);
  const { dialect = 'a1111', loras: given = [], prompt } = request;
  const named = dialect !== 'diffusers' && prompt.includes('<') ? running.module.networksIn(prompt, dialect) : [];
  if (!given.length && !named.length) return request;
  const loras = [];
  for (const lora of [...given, ...named]) {
    const kept = !lora.network && networks.meant(await networks.list(), lora.name);
    if (kept) {
      const { name, bytes, added } = kept;
      const read = async () => bytesOf({ file: await networks.fileOf(name) });
      loras.push({ ...lora, key: `${name}\n${added}`, bytes, read });
    } else if (lora.network) {
      loras.push({ ...lora, key: lora.network.key, bytes: lora.network.file?.size, read: () => bytesOf(lora.network) });
    } else if (given.includes(lora)) {
      throw Object.assign(new Error(`there is no network ${lora.name} in this browser: add it first`), { code: 'INVALID_INPUT', field: 'loras' });
    } // the engine says that one of a prompt is left out
  }
  return { ...request, loras };
}

/** A request whose ControlNets can be read as often as a limit of memory lets them leave the device: of addresses once is fetched. */
async function withControls(request) {
  if (!request.controls?.length || running.capabilities().memoryLimit === null) return request;
  const controls = [];
  for (const control of request.controls) {
    const { url } = control.model;
    if (!url.startsWith('blob:') && !fetched.has(url)) {
      const { signal } = current.stop;
      const file = await fetch(url, { signal }).then((response) => response.ok && response.blob()).catch(() => null);
      if (signal.aborted) throw cancelled();
      if (file) fetched.set(url, URL.createObjectURL(file)); // else the engine says why it does not come
    }
    controls.push({ ...control, model: { ...control.model, url: fetched.get(url) ?? url } });
  }
  return { ...request, controls };
}

/** A request with the file of what enlarges between its passes, read when it is asked for. */
function withEnlarger(request) {
  const { network, ...hires } = request.hires ?? {};
  if (!network) return request;
  const { key, name } = network;
  return { ...request, hires: { ...hires, key, name, read: () => bytesOf(network) } };
}

const progressOf = ({ id }) => (progress) => self.postMessage({ type: 'progress', id, progress });

/** The buffers of pictures and of what was learnt, which move to the page instead of being copied. */
function transferables(value) {
  if (!value || typeof value !== 'object') return [];
  const views = [value.file, value.checkpoint, value.preview?.data, ...(value.images ?? []).map((image) => image.data), ...(value.png ?? [])];
  return [...new Set(views.filter((view) => ArrayBuffer.isView(view)).map((view) => view.buffer))];
}

/** @returns {import('./protocol.d.ts').WireError} */
function toWire(error) {
  const message = String(error?.message ?? error);
  // The engine's errors carry a code in words; a DOMException's is a number.
  if (typeof error?.code === 'string') {
    const { code, field = null, detail = null, kind = null } = error;
    return { code, message, field, retryable: Boolean(error.retryable), detail, kind };
  }
  if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) {
    return { code: 'UNSUPPORTED', message: `this browser cannot run the engine (${message})`, field: null, retryable: false };
  }
  const code = error instanceof RangeError || /memory/i.test(message) ? 'OUT_OF_MEMORY' : 'INTERNAL';
  return { code, message, field: null, retryable: true };
}
