/** The graphics process dies in the middle of a picture: once, and again. What else comes of it is in long/lost.mjs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROMPT, SETTINGS, begin, crash, loseTwice, step, withBrowser } from './losing.mjs';
import { assertDone, draw, finished, pixels, program, promptOf, psnr, ready, visitor } from './page.mjs';

/** The same picture made on the CPU, in a tab of its own. */
async function reference(it) {
  const page = await visitor(it, { path: '?engine=cpu' });
  await ready(page);
  return draw(page, PROMPT, SETTINGS);
}

test('a device lost in the middle is replaced, and the picture is made', () => withBrowser(async (it) => {
  const page = await visitor(it, { path: '?engine=webgpu' });
  await ready(page);
  await begin(page);
  await step(page, 2);
  await crash(it.browser);
  await finished(page);
  await assertDone(page);
  assert.match(await page.locator('#notes').textContent(), /device was lost and has been restarted/);
  assert.equal(await promptOf(page).inputValue(), PROMPT);
  const similar = psnr(await pixels(page), await reference(it));
  assert.ok(similar >= 40, `${similar.toFixed(1)} dB`);
}));

test('a device lost twice leaves the work to the processor', () => withBrowser(async (it) => {
  const page = await loseTwice(it);
  await assertDone(page);
  assert.match(await page.locator('#notes').textContent(), /on the processor now/);
  assert.match(await page.locator('#engine-line').textContent(), /processor/);
  assert.equal(await promptOf(page).inputValue(), PROMPT);
  assert.ok(it.server.paths.includes('/opengen-cpu_bg.wasm'), 'fetched when it was needed');
}));

test('a device lost in the middle of a training: it is said, and what was kept goes on on the processor', () => withBrowser(async (it) => {
  const page = await program(it, it.server);
  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    const { MODELS: [mini] } = await import('/models.js');
    const image = new ImageData(64, 64);
    image.data.forEach((_, at) => { image.data[at] = at % 4 === 3 ? 255 : (at * 37) % 251; });
    const recipe = { steps: 400, batch: 1, captionDropout: 0 };
    window.taught = async (engine, checkpoint, steps = recipe.steps) => {
      const og = await OpenGen.create({ engine, learns: true, model: mini });
      const told = { steps: [], error: null };
      window.told = told;
      try {
        await og.train({ images: [image], instancePrompt: 'a zorp cat', width: 64, height: 64, recipe: { ...recipe, steps }, saveEvery: 1, checkpoint,
          onStep: ({ step }) => told.steps.push(step), onKept: (kept) => { window.kept = kept; } });
      } catch (error) {
        told.error = error.code;
      }
      og.dispose();
      return told;
    };
    window.first = window.taught('webgpu');
  });
  await page.waitForFunction(() => window.kept?.step >= 2);
  await crash(it.browser);
  const first = await page.evaluate(() => window.first);
  assert.equal(first.error, 'DEVICE_LOST');
  const [from, second] = await page.evaluate(async () => {
    const from = window.kept.step;
    return [from, await window.taught('cpu', window.kept.checkpoint, from + 2)];
  });
  assert.deepEqual(second, { steps: [from + 1, from + 2], error: null });
}));
