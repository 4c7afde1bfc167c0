/** What the sampler is told beside, and drawing in tiles: shown where it has an effect, refused in words, kept, written into the file, read back. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { assertDone, draw, generateButton, pixels, psnr, ready, saveExact, set, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const folder = mkdtempSync(join(tmpdir(), 'opengen-sampling-'));
after(() => rmSync(folder, { recursive: true }));

const PROMPT = 'a red apple';
const SMALL = { Seed: 3, Steps: 3, Width: 64, Height: 64 };
/** Opens it as a visitor does, and waits for its fields. */
async function open(page) {
  await page.locator('#sampling > summary').click();
  await page.locator('#guidanceRescale').waitFor();
}
const shown = (page) => page.evaluate(() => [...document.querySelectorAll('#sampling-box .option:not([hidden]) :is(input, select)')].map(({ id }) => id));
const valueOf = (page, id) => page.locator(`#${id}`).inputValue();
/** Chooses of a list as a visitor does. */
const choose = (page, id, value) => page.locator(`#${id}`).selectOption(value);
async function saved(page, name) {
  const [download] = await Promise.all([page.waitForEvent('download'), saveExact(page)]);
  const path = join(folder, name);
  await download.saveAs(path);
  return { path, text: readFileSync(path).toString('latin1') };
}

test('options are shown where they have an effect, work, are kept, written and read back', { timeout: 300_000 }, async () => {
  const page = await visitor(it);
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await ready(page);
  await set(page, { Sampler: 'euler-a', ...SMALL });
  const plain = await draw(page, PROMPT);
  assert.ok(!asked.some((path) => path.endsWith('/sampling.js')), 'it comes when it is opened');
  await open(page);
  assert.deepEqual(await shown(page), ['guidanceRescale', 'emphasis', 'clipSkip', 'eta', 'sNoise', 'etaNoiseSeedDelta', 'discardNextToLastSigma', 'sgmNoiseMultiplier', 'dynamicThresholdingRatio']);
  assert.equal(await page.locator('#eta').getAttribute('placeholder'), '1');
  assert.equal(await page.locator('#sampling-state').textContent(), 'as usual');

  // By keys alone: Tab from one to the next.
  await page.locator('#guidanceRescale').focus();
  await page.keyboard.type('0.7');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.type('0.5');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.type('31337');
  assert.deepEqual([await valueOf(page, 'eta'), await valueOf(page, 'etaNoiseSeedDelta')], ['0.5', '31337']);
  await choose(page, 'sgmNoiseMultiplier', 'true');
  await choose(page, 'emphasis', 'no-norm');
  assert.equal(await page.locator('#sampling-state').textContent(), '5 set');
  await draw(page, PROMPT);
  await assertDone(page);
  const told = await pixels(page);
  assert.ok(psnr(told, plain) < 40, 'another picture than without');
  const { path, text } = await saved(page, 'told.png');
  for (const field of ['CFG rescale: 0.7', 'Eta: 0.5', 'SGM noise multiplier: True', 'ENSD: 31337', 'Emphasis: No norm']) assert.ok(text.includes(field), `${field} in ${text.slice(0, 900)}`);

  // What another sampler has no use for waits, and is not asked of it.
  await choose(page, 'sampler', 'dpm++-2m');
  await page.locator('#sampling-box').getByText('Set, but without an effect now: Eta, Noise seed offset.').waitFor();
  await draw(page, PROMPT);
  await assertDone(page);
  assert.equal(await page.locator('#sampling-state').textContent(), '3 set');

  // A reload keeps it, and a press before its code has come waits for that.
  await choose(page, 'sampler', 'euler-a');
  await page.reload();
  await ready(page);
  await page.locator('#generate').click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Done in '), null, { timeout: 120_000 });
  assert.equal(psnr(await pixels(page), told), Infinity);

  await page.locator('#reset').click();
  assert.deepEqual([await valueOf(page, 'eta'), await page.locator('#sampling-state').textContent()], ['', 'as usual']);
  await page.setInputFiles('#recall-file', path);
  await page.locator('#report').getByText(/Settings read from/).waitFor({ timeout: 120_000 });
  await page.waitForFunction(() => document.querySelector('#sampling-state').textContent === '5 set');
  const ids = ['guidanceRescale', 'emphasis', 'eta', 'etaNoiseSeedDelta', 'sgmNoiseMultiplier'];
  assert.deepEqual(await Promise.all(ids.map((id) => valueOf(page, id))), ['0.7', 'no-norm', '0.5', '31337', 'true']);
  await draw(page, PROMPT, { Seed: 3, Width: 64, Height: 64 }); // a seed that came with a picture makes it once; another size than the model's is only offered
  assert.equal(psnr(await pixels(page), told), Infinity, 'the same picture again');

  // An earlier picture's settings, which say nothing of it, are as usual.
  await page.locator('#earlier li').last().getByRole('button').first().click();
  await page.locator('#use-settings').click();
  await page.waitForFunction(() => document.querySelector('#sampling-state').textContent === 'as usual');
  assert.deepEqual(page.trouble, []);
});

test('options of schedules and of added noise; what is out of range is said at its field', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Sampler: 'euler', Schedule: 'karras', ...SMALL });
  const plain = await draw(page, PROMPT);
  await open(page);
  assert.ok(!(await shown(page)).includes('sTmin'), 'no noise is added yet');
  await page.locator('#sChurn').fill('2');
  assert.ok((await shown(page)).includes('sTmin'));
  await page.locator('#sTmax').fill('5');
  await page.locator('#sigmaMin').fill('20');
  await page.locator('#sigmaMax').fill('10');
  await generateButton(page).click();
  await page.locator('#sigmaMin-error').getByText('The lowest noise level is above the highest, 10: give a lower one.').waitFor();
  await page.locator('#sigmaMin').fill('0.1');
  await page.locator('#rho').fill('500');
  await generateButton(page).click();
  await page.locator('#rho-error').getByText('Rho takes a number from 0.01 to 100.').waitFor();
  assert.equal(await page.locator('#rho').getAttribute('aria-invalid'), 'true');
  await page.locator('#rho').fill('5');
  assert.equal(await page.locator('#rho-error').isVisible(), false, 'taken back as it is mended');
  await choose(page, 'discardNextToLastSigma', 'true');
  await draw(page, PROMPT);
  await assertDone(page);
  assert.ok(psnr(await pixels(page), plain) < 40, 'another picture than without');
  const { text } = await saved(page, 'levels.png');
  assert.match(text, /Sigma churn: 2, Sigma tmax: 5, Schedule min sigma: 0\.1, Schedule max sigma: 10, Schedule rho: 5, Discard penultimate sigma: True/);
  assert.deepEqual(page.trouble, []);
});

test('drawing in tiles: set, refused in words, kept, written and read back', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  const plain = await draw(page, PROMPT, { Seed: 3, Steps: 2, Width: 96, Height: 64 });
  await page.locator('#second > summary').click();
  await page.locator('#tiles').fill('60');
  await generateButton(page).click();
  await page.locator('#tiles-error').getByText('The size of tiles takes a multiple of 8, such as 64.').waitFor();
  await page.locator('#tiles').fill('64');
  assert.equal(await page.locator('#tilesOverlap').getAttribute('placeholder'), '32');
  await page.locator('#tilesOverlap').fill('64');
  await generateButton(page).click();
  await page.locator('#tilesOverlap-error').getByText('What tiles share takes a whole number from 0 to 56.').waitFor();
  await page.locator('#tilesOverlap').fill('40');
  assert.equal(await page.locator('#second-state').textContent(), 'in tiles of 64');
  await draw(page, PROMPT);
  await assertDone(page);
  const tiled = await pixels(page);
  assert.ok(psnr(tiled, plain) < 40, 'another picture than in one');
  const { path, text } = await saved(page, 'tiles.png');
  assert.match(text, /Tiles: "?64:40/);
  await page.reload();
  await ready(page);
  await page.locator('#generate').click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Done in '), null, { timeout: 120_000 });
  assert.equal(psnr(await pixels(page), tiled), Infinity);
  await page.locator('#reset').click();
  assert.equal(await page.locator('#second-state').textContent(), 'off');
  await page.setInputFiles('#recall-file', path);
  await page.locator('#report').getByText(/Settings read from/).waitFor({ timeout: 120_000 });
  await page.waitForFunction(() => document.querySelector('#second-state').textContent === 'in tiles of 64');
  assert.equal(await valueOf(page, 'tilesOverlap'), '40');
  assert.deepEqual(page.trouble, []);
});
