/** The graphics process dies in the middle of a picture: once, and again. What else comes of it is in long/lost.mjs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROMPT, SETTINGS, begin, crash, loseTwice, step, withBrowser } from './losing.mjs';
import { assertDone, draw, finished, pixels, promptOf, psnr, ready, visitor } from './page.mjs';

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
