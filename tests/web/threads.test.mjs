/**
 * On several threads: where the page is isolated the processor's engine computes on as many as there are cores, the same
 * pictures to the bit; elsewhere on one. This machine's browser needs two cores at least.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { MODEL, assertPicture, draw, kept, ready, stand, visitor } from './page.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach });
const APPLE = 'a red apple on a light blue background';
const SETTINGS = { Steps: 2, Guidance: MODEL.defaults.guidance, Sampler: MODEL.defaults.sampler, Seed: 42 };
const THREADS = /\b(\d+) threads compute\./;

/** The engines' files that were asked for, each once. */
const asked = (server) => [...new Set(server.paths.filter((path) => /opengen-|crew/.test(path)))].sort();
const MANY = ['/crew.js', '/opengen-threads.js', '/opengen-threads_bg.wasm'];
const ONE = ['/opengen-cpu.js', '/opengen-cpu_bg.wasm'];

const lineOf = (page) => page.locator('#engine-line').textContent();
const isIsolated = (page) => page.evaluate(() => crossOriginIsolated);

/** Does something with a server of its own, in a browser without WebGPU. */
async function at(options, work) {
  const server = await new Server(undefined, options).start();
  const browser = await launch({ webgpu: false });
  try {
    await work({ ...it, browser, server });
  } finally {
    await browser.close();
    await server.kill();
  }
}

/** A picture, and what the page says of the engine that made it. */
async function picture(page) {
  await ready(page);
  return { image: await draw(page, APPLE, SETTINGS), line: await lineOf(page) };
}

/** The picture that one thread makes. */
let plain = null;
async function onOne() {
  if (!plain) {
    await at({}, async (it) => {
      const page = await visitor(it);
      assert.equal(await isIsolated(page), false);
      const { image, line } = await picture(page);
      assertPicture(image);
      assert.doesNotMatch(line, THREADS);
      assert.deepEqual(asked(it.server), ONE);
      plain = image;
    });
  }
  return plain;
}

test('without isolation one thread computes, and nothing of the engine for several is fetched', onOne);

test('isolated, several threads compute the same picture to the bit, and nothing of the engine for one is fetched', () =>
  at({ isolated: true }, async (it) => {
    const page = await visitor(it);
    assert.equal(await isIsolated(page), true);
    const { image, line } = await picture(page);
    assert.ok(Number(THREADS.exec(line)?.[1]) >= 2, line);
    assert.deepEqual(image, await onOne());
    assert.deepEqual(asked(it.server), MANY);
    assert.deepEqual(page.trouble, []);
  }));

test('another size, previews, a run that is stopped in between, and what is learnt: the same to the bit', async () => {
  const made = [];
  for (const isolated of [false, true]) {
    await at({ isolated }, async (it) => {
      const page = await visitor(it, { path: 'blank.html' });
      made.push(await page.evaluate(async (prompt) => {
        const [{ OpenGen }, { mini }] = await Promise.all([import('./client.js'), import('./models.js')]);
        const og = await OpenGen.create({ engine: 'cpu', model: mini });
        const stop = new AbortController();
        const code = await og.generate({ prompt, steps: 50, seed: 1, signal: stop.signal, onStep: () => stop.abort() })
          .then(() => 'fine', (error) => error.code);
        const previews = [];
        const { images } = await og.generate({ prompt, steps: 2, seed: 7, width: 136, height: 72, batch: 3,
          onStep: ({ preview }) => { if (preview) previews.push([...preview.data]); } });
        const { threads } = og.capabilities();
        // Each thread learns from a picture of its own; what the file says of itself, in no fixed order, stands before these values.
        const losses = [];
        const { file } = await og.train({ images: images.map(({ data }) => new ImageData(data, 136, 72)), instancePrompt: 'a zorp cat',
          recipe: { steps: 2, batch: 3 }, saveEvery: 0, onStep: ({ loss, gradient }) => losses.push([loss, gradient]) });
        og.dispose();
        const bytes = await file.slice(-(2 << 20)).arrayBuffer();
        const learnt = [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))];
        return { threads, code, previews, images: images.map(({ data }) => [...data]), losses, learnt };
      }, APPLE));
    });
  }
  const [{ threads: one, ...alone }, { threads: several, ...together }] = made;
  assert.equal(alone.losses.length, 2);
  assert.equal(one, 1);
  assert.ok(several >= 2, `${several} threads`);
  assert.equal(alone.code, 'ABORTED');
  assert.deepEqual(together, alone);
});

test('offline after a reload several threads compute as before', () => at({ isolated: true }, async (it) => {
  const page = await visitor(it);
  const online = await picture(page);
  await kept(page, 'opengen-threads_bg\\.wasm');
  await it.server.kill();
  await page.reload();
  const offline = await picture(page);
  assert.equal(await isIsolated(page), true);
  assert.deepEqual(offline, online);
  assert.deepEqual(page.trouble, []);
}));

test('a host that sends no headers: one thread at the first visit, which is not reloaded, several at the second', () =>
  at({}, async (it) => {
    const page = await visitor(it, { open: false });
    let loads = 0;
    page.on('load', () => { loads += 1; });
    await page.goto(it.server.url);
    const first = await picture(page);
    await kept(page, 'opengen-cpu_bg\\.wasm');
    assert.equal(loads, 1);
    assert.equal(await isIsolated(page), false);
    await page.reload();
    const second = await picture(page);
    assert.equal(await isIsolated(page), true);
    assert.match(second.line, THREADS);
    assert.deepEqual(second.image, first.image);
    assert.equal(loads, 2);
    assert.deepEqual(page.trouble, []);
  }));

test('threads that do not start leave one, and the page says so', () => at({ isolated: true }, async (it) => {
  it.server.overlay.set('/crew.js', 'throw new Error("no crew today")');
  const page = await visitor(it);
  const { image, line } = await picture(page);
  assert.match(line, /on one thread: several failed here \(.*no crew today.*\)/);
  assert.deepEqual(image, await onOne());
}));

test('where the engine for several threads was not built, one computes', () => at({ isolated: true }, async (it) => {
  it.server.missing = '/opengen-threads_bg.wasm';
  const page = await visitor(it);
  const { image, line } = await picture(page);
  assert.doesNotMatch(line, /thread/);
  assert.deepEqual(image, await onOne());
}));
