/** What was taught is carried to another browser; and what a training is asked for beside the usual. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { asFiles, drawn } from './creature.mjs';
import { PATIENCE, cancelButton, draw, finished, generateButton, kept, promptOf, psnr, ready, set, stand, visitor } from './page.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#teach', light: true });
const status = (page) => page.locator('.teach-status');
const TAUGHT = 'a zorp alien monster <lora:zorp:1>';

/** The view with three pictures and what kind of thing they show, and few steps. */
async function prepared(page, steps) {
  await ready(page);
  await page.locator('#teach-files').setInputFiles(asFiles(await drawn(page, 3)));
  await page.locator('.teach-pictures li').nth(2).waitFor();
  await page.getByLabel('What kind of thing it is').fill('alien monster');
  await page.locator('.teach-details > summary').click();
  await page.locator('#teach-steps').fill(String(steps));
  await page.locator('#teach-classImages').fill('2');
}

const start = (page) => page.getByRole('button', { name: 'Teach it' }).click();
const create = (page) => page.getByRole('link', { name: 'Create', exact: true }).click();

test('taught on the graphics processor, saved as a file, added in another browser, and drawn with there without a network', async () => {
  const page = await visitor(it, { path: '?engine=webgpu#teach' });
  await prepared(page, 2);
  await page.locator('#teach-classImages').fill('1');
  await page.locator('.teach-finer > summary').click();
  for (const [name, value] of [['batch', '1'], ['classBatch', '1'], ['looks', '9']]) await page.locator(`#teach-${name}`).fill(value); // a software adapter is slow
  await start(page);
  await status(page).getByText('“zorp” is among your LoRAs, after 2 steps').waitFor({ timeout: 2 * PATIENCE });
  await page.getByText(/of the graphics processor’s memory/).waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Save the file' }).click()]);
  const file = await download.path();
  assert.match(download.suggestedFilename(), /^zorp\.safetensors$/);

  const server = await new Server().start();
  try {
    const other = await visitor({ ...it, server }, { path: '?engine=cpu', serviceWorkers: 'allow' });
    await ready(other);
    const plain = await draw(other, 'a zorp alien monster', { Steps: 2, Seed: 3 });
    for (const part of ['css/loras\\.css', 'opengen-cpu_bg\\.wasm']) await kept(other, part);
    await other.locator('#loras > summary').click();
    await other.locator('#lora-file').setInputFiles({ name: 'zorp.safetensors', mimeType: '', buffer: readFileSync(file) });
    await other.locator('#report').getByText('“zorp” changes what is drawn from now on.').waitFor();
    await server.kill();
    await other.reload();
    await other.locator('#model-chip[data-state="offline"], #model-chip[data-state="ready"]').waitFor({ timeout: PATIENCE });
    const taught = await draw(other, TAUGHT, { Steps: 2, Seed: 3 });
    assert.ok(psnr(taught, plain) < 45, 'what was learnt elsewhere shows');
    assert.deepEqual(other.trouble, []);
  } finally {
    await server.kill().catch(() => {});
  }
});

test('pictures asked for while it learns come first, or wait until it has learnt, as one chooses', async () => {
  const page = await visitor(it);
  await prepared(page, 400);
  await page.getByLabel('Pictures asked for meanwhile').selectOption('first');
  await start(page);
  const step = async () => Number(/Step (\d+)/.exec(await status(page).textContent())?.[1] ?? 0);
  await status(page).getByText(/^Step \d/).waitFor({ timeout: PATIENCE });
  await create(page);
  await set(page, { Steps: 200, Seed: 3 }); // it is stopped long before
  await promptOf(page).fill('a cat');
  await generateButton(page).click();
  await page.locator('#generate[data-working]').waitFor();
  await page.waitForTimeout(400); // a step that had begun ends
  const [held, later] = [await step(), await (async () => { await page.waitForTimeout(1200); return step(); })()];
  assert.ok(await page.locator('#generate[data-working]').count(), 'it is still being drawn');
  assert.equal(later, held, 'it waits');
  await cancelButton(page).click();
  await finished(page);
  await set(page, { Steps: 2 });
  await page.waitForFunction((before) => Number(/Step (\d+)/.exec(document.querySelector('.teach-status').textContent)?.[1]) > before, held, { timeout: PATIENCE });

  await page.getByRole('link', { name: 'Teach', exact: true }).click();
  await page.getByLabel('Pictures asked for meanwhile').selectOption('after');
  await create(page);
  await generateButton(page).click();
  await page.getByText('1 waiting until it has learnt').waitFor();
  await page.getByRole('link', { name: 'Teach', exact: true }).click();
  await page.getByRole('button', { name: 'Stop' }).click();
  await create(page);
  await page.locator('#generate[data-working]').waitFor({ timeout: PATIENCE });
  await finished(page);
  assert.deepEqual(page.trouble, []);
});

test('all the rest that a training can be asked for goes to the engine, is kept, and is refused by its name here', async () => {
  const page = await visitor(it, { init: () => {
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function asked(message, ...rest) {
      if (message?.type === 'train') window.asked = message.ask;
      return postMessage.call(this, message, ...rest);
    };
  } });
  await prepared(page, 9);
  await page.locator('.teach-finer > summary').click();
  for (const [name, value] of [['alpha', '4'], ['batch', '1'], ['captionDropout', '0'], ['minSnr', '5'], ['seed', '11'], ['looks', '2'], ['warmup', '2']]) {
    await page.locator(`#teach-${name}`).fill(value);
  }
  await page.locator('#teach-layers').selectOption('attention');
  await page.locator('#teach-textEncoder').selectOption('false');
  await page.locator('#teach-schedule').selectOption('constant');
  await page.locator('#teach-noiseOffset').fill('7');
  await start(page);
  await page.locator('.field-error').getByText('Noise offset: 7 asked for, expected 0 to 1').waitFor({ timeout: PATIENCE });
  await page.locator('#teach-noiseOffset').fill('0.05');
  await start(page);
  await page.locator('.teach-samples').getByText('step 2').waitFor({ timeout: PATIENCE });
  const { recipe, saveEvery } = await page.evaluate(() => window.asked);
  assert.equal(saveEvery, 2);
  const said = { alpha: 4, batch: 1, captionDropout: 0, minSnr: 5, seed: 11, warmup: 2, layers: 'attention', textEncoder: false, schedule: 'constant', noiseOffset: 0.05, steps: 9 };
  assert.deepEqual(Object.fromEntries(Object.keys(said).map((name) => [name, recipe[name]])), said);
  await page.reload();
  await page.getByRole('button', { name: 'Go on' }).click();
  await status(page).getByText('“zorp” is among your LoRAs, after 9 steps').waitFor({ timeout: PATIENCE });
  assert.equal(await page.locator('#teach-minSnr').inputValue(), '5');
  await page.getByLabel('How', { exact: true }).selectOption('word');
  assert.equal(await page.locator('#teach-layers').isVisible(), false, 'what counts for nothing is not asked');
  assert.equal(await page.locator('.field', { has: page.locator('#teach-minSnr') }).getAttribute('hidden'), null);
  assert.deepEqual(page.trouble, []);
});
