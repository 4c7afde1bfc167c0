/**
 * The memory that a large model takes on its way into the store, and that the processor takes to draw with it: a file of Stable Diffusion 1.5's shape in f16, 2.1 GB, its
 * tensors in the order of their names, as safetensors files mostly have them, and in an order by chance. Nothing of the file
 * is on disk but what the browser stores; that takes as much room again in the temporary folder.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { launchIn } from '../browser.mjs';
import { MODEL, fileOf } from '../page.mjs';
import { DIST } from '../server.mjs';
import { headOf, tensors } from '../sd15.mjs';

/** What the engine's memory may grow to, in bytes. */
const WASM = 256 * 2 ** 20;
/** What JavaScript's heap may grow to, of the page and of the worker, with the bytes of its buffers. */
const HEAP = 300e6;
const MINUTES = 60_000;
/** What a load may add to it: the bytes of the weights are none of it. */
const GROWN = 16 * 2 ** 20;
/** What the engine's memory may grow to while the processor draws with it. */
const DRAWING = 2.2e9;
/** Types that a browser insists on. */
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** Numbers that are the same at every run. @param {number} seed */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The text of a `tokenizer.json`: that of the model which comes with the page. */
function tokenizer() {
  const file = readFileSync(fileOf(MODEL));
  const key = 'opengen.tokenizer';
  const at = file.indexOf(key) + key.length + 4; // behind the key: the type of its value, then length and text
  return file.subarray(at + 8, at + 8 + Number(file.readBigUInt64LE(at))).toString();
}

/** A server of the client, and of one file: its head, then numbers around zero, made as they are sent. */
async function serve({ head, bytes }) {
  const next = random(2);
  const small = () => 0x2000 + Math.floor(next() * 0x800) + (next() < 0.5 ? 0x8000 : 0);
  const piece = Buffer.from(Uint16Array.from({ length: 2 ** 19 }, small).buffer);
  const passes = [];
  const server = createServer(async ({ url, headers }, response) => {
    if (url === '/') return response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>blank</title>');
    if (url !== '/sd15.safetensors') {
      const found = await readFile(join(DIST, url)).catch(() => null);
      return response.writeHead(found ? 200 : 404, { 'Content-Type': TYPES[extname(url)] ?? 'text/plain' }).end(found);
    }
    const from = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
    passes.push(from);
    response.writeHead(headers.range ? 206 : 200, {
      ETag: '"one"', 'Content-Length': bytes - from,
      ...(headers.range ? { 'Content-Range': `bytes ${from}-${bytes - 1}/${bytes}` } : {}),
    });
    const send = (part) => new Promise((done) => response.write(part, (error) => done(!error)));
    if (from < head.length && !(await send(head.subarray(from)))) return undefined;
    for (let at = Math.max(0, from - head.length); at < bytes - head.length;) {
      const start = at % piece.length;
      const part = piece.subarray(start, start + Math.min(piece.length - start, bytes - head.length - at));
      if (!(await send(part))) return undefined;
      at += part.length;
    }
    return response.end();
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const kill = () => (server.closeAllConnections(), new Promise((done) => server.close(done)));
  return { url: `http://127.0.0.1:${server.address().port}/`, passes, kill };
}

/** In the worker, before its own code: notes the memories of what it compiles. */
const NOTED = `self.memories = [];
for (const name of ['instantiate', 'instantiateStreaming']) {
  const make = WebAssembly[name];
  WebAssembly[name] = async (...given) => {
    const made = await make(...given);
    const { memory } = (made.instance ?? made).exports;
    if (memory) self.memories.push(memory);
    return made;
  };
}\n`;

/** What a page's heap and its workers' have come to, the buffers' bytes included. */
async function heapsOf(page) {
  const session = await page.context().newCDPSession(page);
  const workers = new Set();
  const answers = new Map();
  session.on('Target.attachedToTarget', ({ sessionId, targetInfo: { type } }) => type === 'worker' && workers.add(sessionId));
  session.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, result } = JSON.parse(message);
    answers.get(id)?.(result);
  });
  await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  let id = 0;
  const ask = (sessionId) => new Promise((done) => {
    answers.set(++id, done);
    const message = JSON.stringify({ id, method: 'Runtime.getHeapUsage' });
    session.send('Target.sendMessageToTarget', { sessionId, message });
  });
  return async () => ({
    page: await session.send('Runtime.getHeapUsage'),
    workers: await Promise.all([...workers].map(ask)),
  });
}

/** The list in an order by chance, the same at every run. */
function shuffled(list) {
  const next = random(1);
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

const WHAT = 'a file of 2.1 GB on its way into the store: wasm ≤ 256 MiB, JavaScript ≤ 300 MB';
const sorted = (list) => list.sort();
const ORDERS = [['the order of their names', sorted, 1], ['an order by chance', shuffled, 4], ['the order of their names, made Q8', sorted, 1, 'q8_0']];
for (const [order, arrange, passes, type] of ORDERS) {
  test(`${WHAT}, tensors in ${order}`, { timeout: 60 * MINUTES }, (t) => imports(t, headOf(arrange([...tensors()]), tokenizer()), passes, type));
}

/**
 * @param {import('node:test').TestContext} t
 * @param {ReturnType<typeof headOf>} file
 * @param {number} passes the most
 * @param {string} [type] what it is made while it is brought; then the processor draws with it
 */
async function imports(t, file, passes, type) {
  assert.ok(file.bytes > 2.1e9, `${file.bytes} bytes`);
  const server = await serve(file);
  t.after(server.kill);
  const folder = mkdtempSync(join(tmpdir(), 'opengen-import-'));
  const context = await launchIn(folder);
  t.after(() => context.close().then(() => rmSync(folder, { recursive: true, maxRetries: 5 })));
  const [page] = context.pages();
  await page.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: NOTED + await response.text() });
  });
  await page.goto(server.url);
  const heaps = await heapsOf(page);
  await page.evaluate(async ([url, type]) => {
    const { OpenGen } = await import('/client.js');
    globalThis.og = await OpenGen.create({ engine: 'cpu' });
    const onProgress = (progress) => { globalThis.progress = progress; };
    globalThis.imported = globalThis.og.models.import({ id: 'large', url }, { onProgress, weights: type })
      .then((stored) => ({ stored }), ({ code, message, detail }) => ({ failed: `${code}: ${message} ${detail ?? ''}` }));
  }, [`${server.url}sd15.safetensors`, type]);
  const [worker] = page.workers();
  const most = { page: 0, worker: 0, wasm: 0, samples: 0 };
  const used = ({ usedSize, embedderHeapUsedSize, backingStorageSize }) =>
    usedSize + embedderHeapUsedSize + backingStorageSize;
  const sample = async () => {
    const wasm = await worker.evaluate(() => self.memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0));
    const { page: own, workers } = await heaps();
    most.page = Math.max(most.page, used(own));
    most.worker = Math.max(most.worker, ...workers.map(used));
    most.wasm = Math.max(most.wasm, wasm);
    most.samples++;
  };
  const end = page.evaluate(() => globalThis.imported);
  for (let result; !result;) {
    await sample();
    result = await Promise.race([end, new Promise((done) => setTimeout(done, 1000))]);
    if (result) assert.equal(result.failed, undefined);
  }
  await sample();
  const warm = await loads(page);
  const mb = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
  t.diagnostic(`wasm ${(most.wasm / 2 ** 20).toFixed(0)} MiB; JavaScript: page ${mb(most.page)}, worker ${mb(most.worker)}; `
    + `${most.samples} samples, ${server.passes.length} passes`);
  t.diagnostic(`from the store to the device, ${warm.adapter}: ${(warm.bytes / 1e9).toFixed(2)} GB in ${warm.seconds.toFixed(2)} s, `
    + `${(warm.seconds / warm.bytes * 1e9).toFixed(2)} s/GB, chunks checked; wasm grew by ${(warm.grown / 2 ** 20).toFixed(1)} MiB`);
  assert.ok(warm.bytes > 1e9, JSON.stringify(warm));
  assert.ok(warm.grown <= GROWN, `wasm grew by ${warm.grown} bytes while the model was loaded`);
  assert.ok(most.samples >= 5 && most.wasm > 0 && most.worker > 0, JSON.stringify(most));
  assert.ok(server.passes.length <= passes, `${server.passes.length} passes`);
  assert.ok(most.wasm <= WASM, `wasm grew to ${most.wasm} bytes`);
  assert.ok(most.page + most.worker <= HEAP, `JavaScript grew to ${most.page} and ${most.worker} bytes`);
  if (!type) return;
  const { memory, loaded, drawn, levels } = await draws(page);
  t.diagnostic(`drawn by the processor, 256×256, two guided steps: wasm ${mb(memory)}; loaded in ${loaded.toFixed(1)} s, `
    + `drawn in ${drawn.toFixed(1)} s`);
  assert.ok(memory <= DRAWING, `wasm grew to ${memory} bytes`);
  assert.ok(levels > 2, `a picture of ${levels} levels`); // of weights by chance, so of nothing
}

/** Another engine in the place of the one that is there; gives what its wasm memory has come to, whenever it is asked. */
async function another(page, engine) {
  const known = new Set(page.workers());
  await page.evaluate(async (engine) => {
    await globalThis.og.dispose();
    const { OpenGen } = await import('/client.js');
    globalThis.og = await OpenGen.create({ engine });
  }, engine);
  const worker = page.workers().find((one) => !known.has(one));
  return () => worker.evaluate(() => self.memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0));
}

/** Draws with what was imported by the processor, on one thread. */
async function draws(page) {
  const memory = await another(page, 'cpu');
  const made = await page.evaluate(async () => {
    const start = performance.now();
    await globalThis.og.models.load('large');
    const loaded = performance.now();
    const request = { prompt: 'a red apple', steps: 2, guidance: 5, seed: 1, width: 256, height: 256 };
    const { image } = await globalThis.og.generate(request);
    const levels = new Set(image.data.filter((_, i) => i % 4 < 3)).size;
    return { loaded: (loaded - start) / 1000, drawn: (performance.now() - loaded) / 1000, levels };
  });
  return { ...made, memory: await memory() };
}

/**
 * Loads what was imported onto a WebGPU device of another engine: from the first bytes that are there to the last, until the
 * device has all of them.
 */
async function loads(page) {
  const memory = await another(page, 'webgpu');
  const before = await memory();
  const { start, end, model } = await page.evaluate(async () => {
    const start = performance.now();
    const model = await globalThis.og.models.load('large');
    return { start, end: performance.now(), model };
  });
  const adapter = await page.evaluate(() => globalThis.og.capabilities().adapter);
  return { adapter, bytes: model.bytes, seconds: (end - start) / 1000, grown: await memory() - before };
}
