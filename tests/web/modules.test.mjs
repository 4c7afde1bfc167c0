/** The engine comes in several modules, and a visitor fetches the one that is needed: for the GPU or for the processor. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { MODEL, assertPicture, banner, draw, kept, ready, stand, tab, visitor } from './page.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach });
const APPLE = 'a red apple on a light blue background';
const SETTINGS = { Steps: 2, Guidance: MODEL.defaults.guidance, Sampler: MODEL.defaults.sampler, Seed: 42 };

/** The engines' files that were asked for, each once. */
const asked = (server) => [...new Set(server.paths.filter((path) => /opengen-\wpu/.test(path)))].sort();
const GPU = ['/opengen-gpu.js', '/opengen-gpu_bg.wasm'];
const CPU = ['/opengen-cpu.js', '/opengen-cpu_bg.wasm'];

/** Does something in a browser without WebGPU. */
async function withoutWebGpu(work) {
  const browser = await launch({ webgpu: false });
  try {
    await work({ ...it, browser, contexts: [] });
  } finally {
    await browser.close();
  }
}

test('a visitor with a GPU fetches nothing of the processor’s engine, not even to keep it', async () => {
  const page = await visitor(it, { path: '?engine=webgpu' });
  await ready(page);
  assertPicture(await draw(page, APPLE, SETTINGS));
  await kept(page);
  assert.deepEqual(asked(it.server), GPU);
});

test('a visitor without WebGPU fetches nothing of the GPU’s engine', () => withoutWebGpu(async (it) => {
  const page = await visitor(it, { path: '' });
  await ready(page);
  assertPicture(await draw(page, APPLE, SETTINGS));
  await kept(page);
  assert.deepEqual(asked(it.server), CPU);
}));

test('a software adapter is measured against the processor, for which both are needed', async () => {
  const page = await visitor(it, { path: '' });
  await ready(page);
  assert.deepEqual(asked(it.server), [...CPU, ...GPU]);
});

test('the processor’s engine works with the server gone, once it was used', () => withoutWebGpu(async (it) => {
  const server = await new Server().start();
  const page = await visitor({ ...it, server }, { path: '' });
  await ready(page);
  const online = await draw(page, APPLE, SETTINGS);
  await kept(page);
  await server.kill();
  await page.reload();
  await ready(page);
  assert.deepEqual(await draw(page, APPLE, SETTINGS), online);
  assert.deepEqual(page.trouble, []);
}));

test('with the server gone an engine that was never used is said to be missing', async () => {
  const server = await new Server().start();
  const page = await visitor({ ...it, server }, { path: '?engine=webgpu' });
  await ready(page);
  await kept(page);
  await server.kill();
  await page.goto(`${server.url}?engine=cpu`);
  await banner(page).getByText(/has to be fetched once/).waitFor();
  assert.match(await banner(page).innerText(), /offline[^]*the engine did not arrive \(no connection\)/i);
  // The other one is still here.
  const other = await tab(page.context(), { ...it, server }, { path: '?engine=webgpu' });
  await ready(other);
});
