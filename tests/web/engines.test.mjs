/** The same picture everywhere: in the browser on WebGPU, on the CPU, and from the native program; and what it costs. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import { launch } from './browser.mjs';
import { native } from './native.mjs';
import {
  MODEL, assertPicture, draw, fileOf, finished, generateButton, promptOf, psnr, ready, says, stand, visitor,
} from './page.mjs';

const it = stand({ before, after, afterEach });
const PROMPT = 'a red apple on a light blue background';
const { guidance, sampler } = MODEL.defaults;
const STEPS = 4;
const SEED = 42;
const SETTINGS = { Steps: STEPS, Guidance: guidance, Sampler: sampler, Seed: SEED };

/** The picture of the first test, for the others to compare with. */
let onWebGpu = null;

async function webgpuPicture() {
  if (!onWebGpu) {
    const page = await visitor(it, { path: '?engine=webgpu' });
    await ready(page);
    onWebGpu = await draw(page, PROMPT, SETTINGS);
  }
  return onWebGpu;
}

test('on WebGPU, which is said to be the processor where it is', async () => {
  const page = await visitor(it, { path: '?engine=webgpu' });
  await ready(page);
  await page.getByText('Pictures are made through WebGPU, which this browser draws on the processor').waitFor();
  onWebGpu = await draw(page, PROMPT, SETTINGS);
  assertPicture(onWebGpu);
});

test('the native program makes the same picture (45 dB)', async () => {
  const out = join(mkdtempSync(join(tmpdir(), 'opengen-')), 'native.png');
  native([
    'generate', '--model', fileOf(MODEL), '--prompt', PROMPT, '--steps', String(STEPS),
    '--guidance', String(guidance), '--seed', String(SEED), '--sampler', sampler,
    '--size', `${MODEL.width}x${MODEL.height}`, '--out', out,
  ]);
  const similar = psnr(PNG.sync.read(readFileSync(out)), await webgpuPicture());
  assert.ok(similar >= 45, `${similar.toFixed(1)} dB`);
});

test('without WebGPU the CPU draws the same picture (40 dB), and says so in one friendly line', async () => {
  const browser = await launch({ webgpu: false });
  try {
    const page = await visitor({ ...it, browser });
    await ready(page);
    const line = await page.locator('#engine-line').textContent();
    assert.match(line, /WebGPU/);
    assert.match(line, /processor/);
    const image = await draw(page, PROMPT, SETTINGS);
    const similar = psnr(image, await webgpuPicture());
    assert.ok(similar >= 40, `${similar.toFixed(1)} dB`);
    await page.context().close();
  } finally {
    await browser.close();
  }
});

test('a software adapter is measured against the CPU path, the quicker one taken, and that said', async () => {
  const page = await visitor(it, { path: '' });
  await ready(page);
  const line = await page.locator('#engine-line').textContent();
  assert.match(line, /a short measurement took \d+\.\d times as long/);
  assert.match(line, /processor directly/);
  const similar = psnr(await draw(page, PROMPT, SETTINGS), await webgpuPicture());
  assert.ok(similar >= 40, `${similar.toFixed(1)} dB`);
});

test('?engine=cpu takes the CPU where there is WebGPU', async () => {
  const page = await visitor(it, { path: '?engine=cpu' });
  await ready(page);
  assert.match(await page.locator('#engine-line').textContent(), /processor/);
  const similar = psnr(await draw(page, PROMPT, SETTINGS), await webgpuPicture());
  assert.ok(similar >= 40, `${similar.toFixed(1)} dB`);
});

test('?engine=webgpu without WebGPU says that this cannot be', async () => {
  const browser = await launch({ webgpu: false });
  try {
    const page = await visitor({ ...it, browser }, { path: '?engine=webgpu' });
    await page.getByRole('alert').getByText(/cannot be done/).waitFor();
    assert.match(await page.getByRole('alert').innerText(), /WebGPU|GPU/);
    await page.context().close();
  } finally {
    await browser.close();
  }
});

test('a setting does the same, outlives a reload, and takes an address along that asked for something else', async () => {
  const page = await visitor(it, { path: '?engine=webgpu' });
  await ready(page);
  const choice = page.getByLabel('Computed by');
  const line = () => page.locator('#engine-line').textContent();
  assert.equal(await choice.inputValue(), 'webgpu');
  await promptOf(page).fill('typed before');
  await choice.selectOption('cpu');
  await page.locator('#engine-line').getByText('as asked').waitFor();
  await ready(page);
  assert.equal(new URL(page.url()).search, '');
  assert.equal(await promptOf(page).inputValue(), 'typed before');
  const similar = psnr(await draw(page, PROMPT, SETTINGS), await webgpuPicture());
  assert.ok(similar >= 40, `${similar.toFixed(1)} dB`);

  await page.reload();
  await ready(page);
  assert.equal(await choice.inputValue(), 'cpu');
  assert.match(await line(), /as asked/);
  await choice.selectOption('webgpu');
  await choice.selectOption('auto'); // while the other one is still starting
  await page.locator('#engine-line').getByText('a short measurement').waitFor();
  await ready(page);
  await generateButton(page).click();
  assert.equal(await choice.isDisabled(), true, 'not in the middle of a picture');
  await finished(page);
  assert.equal(await choice.isDisabled(), false);
  assert.deepEqual(page.trouble, []);
});

test('the client: stats, cancelling by signal, typed errors, queued calls', async () => {
  const page = await visitor(it, { path: 'blank.html' });
  const result = await page.evaluate(async ({ prompt }) => {
    const [{ OpenGen }, { mini }] = await Promise.all([import('./client.js'), import('./models.js')]);
    const og = await OpenGen.create({ engine: 'webgpu', model: mini });
    const code = (promise) => promise.then(() => 'fine', (error) => `${error.name} ${error.code} ${error.field}`);
    const small = { prompt, width: 64, height: 64 };
    const queued = await Promise.all([1, 2].map((seed) => og.generate({ ...small, steps: 1, seed })));

    const stop = new AbortController();
    let after = 0;
    const stopped = code(og.generate({
      ...small, steps: 50, seed: 1, signal: stop.signal,
      onStep: ({ step }) => {
        if (stop.signal.aborted) after += 1;
        if (step === 2) stop.abort();
      },
    }));
    const waiting = new AbortController();
    const behind = code(og.generate({ ...small, steps: 2, signal: waiting.signal }));
    waiting.abort();
    await stopped;
    // While what a run needs is still gathered, before the engine knows of it.
    const hasty = [];
    for (const ms of [0, 1, 3]) {
      const soon = new AbortController();
      const made = code(og.generate({ ...small, steps: 4, signal: soon.signal }));
      setTimeout(() => soon.abort(), ms);
      hasty.push(await made);
    }
    const answers = {
      behind: await behind, stopped: await stopped, after, hasty,
      already: await code(og.generate({ prompt, signal: AbortSignal.abort() })),
      steps: await code(og.generate({ prompt, steps: 0 })),
      size: await code(og.generate({ prompt, steps: 1, width: 65 })),
      guidance: await code(og.generate({ prompt, steps: 1, guidance: NaN })),
      model: await code(og.models.load('nothing')),
    };
    const last = await og.generate({ prompt, steps: 3, seed: 1 });
    og.dispose();
    return {
      ...answers, disposed: await code(og.generate({ prompt })),
      stats: last.stats, timings: last.timings, seeds: queued.map(({ seed }) => Number(seed)),
      png: last.png[0].type, image: last.image instanceof ImageData,
    };
  }, { prompt: PROMPT });

  assert.deepEqual(result.seeds, [1, 2]);
  assert.equal(result.stopped, 'AbortError ABORTED null');
  assert.equal(result.behind, 'AbortError ABORTED null');
  assert.deepEqual(result.hasty, Array(3).fill('AbortError ABORTED null'));
  assert.equal(result.already, 'AbortError ABORTED null');
  assert.ok(result.after <= 1, `${result.after} steps after the signal`);
  assert.equal(result.steps, 'OpenGenError INVALID_INPUT steps');
  assert.equal(result.size, 'OpenGenError INVALID_INPUT width');
  assert.equal(result.guidance, 'OpenGenError INVALID_INPUT guidance');
  assert.equal(result.model, 'OpenGenError INVALID_INPUT model');
  assert.equal(result.disposed, 'AbortError ABORTED null');
  assert.equal(result.png, 'image/png');
  assert.ok(result.image);
  assert.ok(result.stats.dispatchesPerStep > 0);
  assert.equal(result.stats.newBuffersPerStep, 0, 'no new buffers in the steady state');
  assert.equal(result.stats.newBindGroupsPerStep, 0, 'no new bind groups in the steady state');
  assert.ok(result.stats.gpuBytes > 0);
  assert.ok(result.stats.wasmHeapBytes > 0 && result.stats.wasmHeapBytes <= 128 * 2 ** 20,
    `wasm heap ${result.stats.wasmHeapBytes}`);
  assert.ok(result.timings.totalMs > 0);
});
