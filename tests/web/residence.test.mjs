/** A limit of the graphics device's memory: weights leave it and come back from the store, and the picture stays the same. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { checkpoint, controlNet } from './checkpoint.mjs';
import { stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach });

/** Less than the embedded model's networks take at once with their memory, more than any one of them. */
const LIMIT = 14e6;

test('within a memory limit weights leave the device and come back: the same picture', async () => {
  const page = await visitor(it, { path: 'blank.html' });
  const made = await page.evaluate(async (limit) => {
    const [{ OpenGen }, { mini }] = await Promise.all([import('./client.js'), import('./models.js')]);
    const request = { prompt: 'a red apple', steps: 2, seed: 1, width: 64, height: 64, previews: false };
    const draw = async (og) => {
      const { image, stats, notices } = await og.generate(request);
      const digest = await crypto.subtle.digest('SHA-256', image.data);
      return { picture: [...new Uint8Array(digest)].join(), peak: stats.gpuPeakBytes, notices };
    };
    const create = (memoryLimit) => OpenGen.create({ engine: 'webgpu', model: mini, memoryLimit });

    const free = await create(undefined);
    const answers = { free: await draw(free), none: free.capabilities().memoryLimit };
    free.dispose();

    const limited = await create(limit);
    answers.first = await draw(limited);
    answers.limit = limited.capabilities().memoryLimit;
    const stop = new AbortController();
    const run = limited.generate({ ...request, steps: 20, signal: stop.signal, onStep: () => stop.abort() });
    answers.stopped = await run.then(() => 'fine', (error) => error.code);
    const larger = limited.generate({ ...request, hires: { scale: 4, steps: 1 } });
    answers.larger = await larger.then(() => 'fine', ({ code, message }) => `${code}: ${message}`);
    const { image } = await limited.generate(request);
    const pixels = { width: image.width, height: image.height, data: image.data };
    answers.latents = (await limited.study({ what: 'encode', image: pixels })).every(Number.isFinite);
    answers.second = await draw(limited);
    limited.dispose();
    return answers;
  }, LIMIT);

  assert.equal(made.none, null);
  assert.equal(made.limit, LIMIT);
  assert.ok(made.free.peak > LIMIT, `without a limit ${made.free.peak} bytes, no more than with it`);
  for (const { picture, peak, notices } of [made.first, made.second]) {
    assert.equal(picture, made.free.picture, 'the same picture');
    assert.ok(peak > 0 && peak <= LIMIT, `${peak} bytes within ${LIMIT}`);
    assert.deepEqual(notices, []);
  }
  assert.equal(made.stopped, 'ABORTED');
  assert.match(made.larger, /^OUT_OF_MEMORY: .*memory limit of 14\.0 MB is too low by [\d.]+ MB/, 'the larger pass has no room');
  assert.ok(made.latents);
});

test('a limit that is too low is told with the numbers, one that is no number of bytes by its name', async () => {
  const page = await visitor(it, { path: 'blank.html' });
  const told = await page.evaluate(async () => {
    const [{ OpenGen }, { mini }] = await Promise.all([import('./client.js'), import('./models.js')]);
    const failed = (promise) => promise.then(() => 'fine', ({ code, field, message }) => ({ code, field, message }));
    const og = await OpenGen.create({ engine: 'webgpu', model: mini, memoryLimit: 1e6 });
    const low = await failed(og.generate({ prompt: 'a red apple', steps: 1, width: 64, height: 64 }));
    og.dispose();
    const wrong = [];
    for (const engine of ['webgpu', 'cpu']) {
      for (const memoryLimit of [0, -1, 1.5, NaN, '1GB']) wrong.push(await failed(OpenGen.create({ engine, memoryLimit })));
    }
    const processor = await OpenGen.create({ engine: 'cpu', memoryLimit: 1e6 });
    const { memoryLimit } = processor.capabilities();
    processor.dispose();
    return { low, wrong, memoryLimit };
  });
  assert.equal(told.low.code, 'OUT_OF_MEMORY');
  assert.match(told.low.message, /memory limit of 1\.0 MB is too low by [\d.]+ MB/);
  for (const { code, field } of told.wrong) assert.deepEqual([code, field], ['INVALID_INPUT', 'memoryLimit']);
  assert.equal(told.memoryLimit, null, 'the processor has none');
});

test('a ControlNet leaves the device within a memory limit and comes back from its file: the same pictures', async () => {
  const page = await visitor(it, { path: 'blank.html' });
  let fetched = 0;
  for (const [name, body] of Object.entries({ 'model.safetensors': checkpoint(), 'canny.safetensors': controlNet(3) })) {
    await page.route(`**/${name}`, (route) => {
      fetched += Number(name === 'canny.safetensors');
      return route.fulfill({ body, contentType: 'application/octet-stream' });
    });
  }
  const made = await page.evaluate(async () => {
    const { OpenGen } = await import('./client.js');
    const model = new File([await (await fetch('model.safetensors')).blob()], 'model.safetensors', { lastModified: 1 });
    const request = { prompt: 'a red apple', steps: 1, seed: 1, width: 64, height: 64, previews: false };
    const image = new ImageData(64, 64);
    image.data.forEach((_, at) => { image.data[at] = at % 4 === 3 || (at >> 2) % 64 > 30 ? 255 : 0; });
    const controls = [{ model: 'canny.safetensors', image }];
    const create = (memoryLimit) => OpenGen.create({ engine: 'webgpu', model, memoryLimit });
    const draw = async (og, more) => {
      const { image: drawn, stats } = await og.generate({ ...request, ...more });
      return { picture: [...new Uint8Array(await crypto.subtle.digest('SHA-256', drawn.data))].join(), peak: stats.gpuPeakBytes };
    };
    const free = await create(undefined);
    const answers = { plain: await draw(free, {}), steered: await draw(free, { controls }) };
    free.dispose();
    // The least that a steered run takes is what a limit of nothing is too low by.
    const none = await create(1);
    const { message } = await draw(none, { controls }).catch((error) => error);
    none.dispose();
    answers.limit = Math.ceil(Number(/too low by ([\d.]+) MB/.exec(message)?.[1]) * 1e6 + 1e5);
    const limited = await create(answers.limit);
    answers.within = [await draw(limited, {}), await draw(limited, { controls }), await draw(limited, {})];
    limited.dispose();
    return answers;
  });
  assert.ok(made.limit < made.steered.peak, `all of it takes ${made.steered.peak}, with the limit ${made.limit}`);
  const { plain, steered } = made;
  assert.notEqual(plain.picture, steered.picture);
  assert.deepEqual(made.within.map(({ picture }) => picture), [plain, steered, plain].map(({ picture }) => picture));
  for (const { peak } of made.within) assert.ok(peak > 0 && peak <= made.limit, `${peak} bytes within ${made.limit}`);
  assert.equal(fetched, 3, 'once by each engine');
});
