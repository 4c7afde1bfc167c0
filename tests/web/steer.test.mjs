/** What a run is asked for beside the form: a second pass, a tile, regions, control images; kept, written into the file, read back. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { checkpoint, controlNet } from './checkpoint.mjs';
import { assertDone, draw, generateButton, pixels, psnr, ready, saveExact, stand, visitor } from './page.mjs';
import { square } from './square.mjs';
import { nearest } from './upscaler.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const folder = mkdtempSync(join(tmpdir(), 'opengen-steer-'));
after(() => rmSync(folder, { recursive: true }));

/** A file on this disk. @param {string} name @param {Buffer} bytes */
function written(name, bytes) {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const open = (page, id) => page.locator(`#${id}`).evaluate((part) => { part.open = true; });
const told = (page, words) => page.locator('#report').getByText(words).first().waitFor({ timeout: 120_000 });
/** The file of the picture on the stage. */
async function saved(page, name) {
  const [download] = await Promise.all([page.waitForEvent('download'), saveExact(page)]);
  const path = join(folder, name);
  await download.saveAs(path);
  return { path, text: readFileSync(path).toString('latin1') };
}

test('a second pass draws on at a larger size, is kept, written and read back', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  await open(page, 'second');
  await page.locator('#hiresScale').fill('2');
  assert.match(await page.locator('#second-state').textContent(), /× 2/);
  await page.locator('#hiresSteps').fill('2');
  await page.locator('#hiresUpscaler').selectOption('lanczos');
  await page.locator('#hiresStrength').fill('0.5');
  await draw(page, 'a red apple', { Seed: 3, Steps: 2, Width: 64, Height: 64 });
  await assertDone(page);
  const first = await pixels(page);
  assert.deepEqual([first.width, first.height], [128, 128]);
  const { path, text } = await saved(page, 'second.png');
  assert.match(text, /Size: 64x64.*Denoising strength: 0\.5.*Hires upscale: 2.*Hires steps: 2.*Hires upscaler: Lanczos/s);

  // A reload keeps it, and a press before its code has come waits for that.
  await page.reload();
  await ready(page);
  await page.locator('#generate').click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Done in '), null, { timeout: 120_000 });
  assert.equal(psnr(await pixels(page), first), Infinity);

  await page.locator('#reset').click();
  assert.equal(await page.locator('#second-state').textContent(), 'off');
  await page.setInputFiles('#recall-file', path);
  await told(page, /Settings read from/);
  const fields = () => page.evaluate(() => ['hiresScale', 'hiresSteps', 'hiresUpscaler', 'hiresStrength'].map((id) => document.getElementById(id).value));
  assert.deepEqual(await fields(), ['2', '2', 'lanczos', '0.5']);
  assert.deepEqual(page.trouble, []);

  await page.locator('#hiresScale').fill('9');
  await page.locator('#generate').click();
  await page.locator('#hiresScale-error').getByText('Enlarge by takes a number from 1 to 4.').waitFor();
});

test('a second pass is enlarged by the upscaler that was brought for Enlarge', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  await open(page, 'second');
  await page.locator('#hiresScale').fill('1.5');
  assert.equal(await page.locator('#hiresUpscaler option[value=network]').count(), 0, 'there is none yet');
  await page.setInputFiles('#add-model-file', written('2x-Nearest.safetensors', nearest(2)));
  await told(page, '“2x-Nearest.safetensors” enlarges pictures from now on.');
  await page.getByRole('radio', { name: 'From words', exact: true }).check({ force: true });
  await page.locator('#hiresUpscaler').selectOption({ label: '2x-Nearest' });
  await page.locator('#hiresSteps').fill('2');
  await draw(page, 'a red apple', { Seed: 3, Steps: 2, Width: 64, Height: 64 });
  await assertDone(page);
  const first = await pixels(page);
  assert.deepEqual([first.width, first.height], [96, 96]);
  const { text } = await saved(page, 'enlarged.png');
  assert.match(text, /Hires upscale: 1\.5.*Hires upscaler: 2x-Nearest/s);

  // A reload keeps the choice, and the file with it.
  await page.reload();
  await ready(page);
  await generateButton(page).click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Done in '), null, { timeout: 120_000 });
  assert.equal(psnr(await pixels(page), first), Infinity);
  assert.equal(await page.locator('#hiresUpscaler').inputValue(), 'network');
  assert.deepEqual(page.trouble, []);
});

test('a tile without seams', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  const plain = await draw(page, 'a red apple', { Seed: 3, Steps: 2, Width: 64, Height: 64 }).then(() => pixels(page));
  await open(page, 'second');
  await page.locator('#tiling').selectOption('both');
  assert.equal(await page.locator('#second-state').textContent(), 'tile');
  await draw(page, 'a red apple');
  await assertDone(page);
  const tile = await pixels(page);
  assert.ok(psnr(tile, plain) < 40, 'another picture than without');
  const { path, text } = await saved(page, 'tile.png');
  assert.match(text, /Tiling: True/);
  await page.locator('#reset').click();
  await page.setInputFiles('#recall-file', path);
  await told(page, /Settings read from/);
  assert.equal(await page.locator('#tiling').inputValue(), 'both');
});

test('parts of a prompt have regions: chosen, drawn, by keys and numbers, kept, written and read back', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  const prompt = 'a red apple AND a green pear';
  assert.equal(await page.locator('#regions').isVisible(), false, 'nothing to place');
  const plain = await draw(page, prompt, { Seed: 3, Steps: 4, Width: 128, Height: 64 }).then(() => pixels(page));
  await page.locator('#regions').waitFor();
  await open(page, 'regions');
  const rows = page.locator('.region-rows li');
  await rows.nth(1).waitFor();
  assert.deepEqual(await rows.locator('.region-words').allTextContents(), ['a red apple', 'a green pear']);
  await rows.nth(0).locator('select').selectOption('left');
  await rows.nth(1).locator('select').focus();
  // Drawn on the sheet from the middle of the upper edge to the lower right corner.
  const { x, y, width, height } = await page.locator('#region-sheet').boundingBox();
  await page.mouse.move(x + width / 2, y + 1);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.8, y + height / 2);
  await page.mouse.move(x + width - 1, y + height - 1);
  await page.mouse.up();
  const sides = () => page.evaluate(() => ['left', 'top', 'width', 'height'].map((side) => Number(document.getElementById(`region-${side}`).value)));
  const [left, top, wide, high] = await sides();
  assert.ok(Math.abs(left - 50) <= 1 && top <= 3 && Math.abs(wide - 49) <= 2 && high >= 95, `${await sides()}`);
  await page.locator('#region-left').fill('50');
  await page.locator('#region-left').press('Tab');
  for (const [side, value] of [['top', 0], ['width', 50], ['height', 100]]) {
    await page.locator(`#region-${side}`).fill(String(value));
    await page.locator(`#region-${side}`).press('Tab');
  }
  assert.equal(await rows.nth(1).locator('select').inputValue(), 'right', 'the usual one is known again');
  await page.locator('#region-sheet').press('Shift+ArrowLeft');
  assert.deepEqual(await sides(), [50, 0, 45, 100]);
  await page.locator('#region-sheet').press('ArrowRight');
  assert.deepEqual(await sides(), [55, 0, 45, 100]);
  await rows.nth(1).locator('select').selectOption('right');
  assert.equal(await page.locator('#regions-state').textContent(), '2 of 2');
  await page.locator('#region-weight').fill('0.8');
  await page.locator('#region-weight').press('Tab');
  await draw(page, prompt);
  await assertDone(page);
  const placed = await pixels(page);
  assert.ok(psnr(placed, plain) < 40, 'another picture than without');
  const { path, text } = await saved(page, 'regions.png');
  assert.match(text, /Regions: "1:0,0,0\.5,1; 2:0\.5,0,0\.5,1:0\.8"/);

  // A reload keeps it, and a press before its code has come waits for that.
  await page.reload();
  await ready(page);
  await page.locator('#generate').click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Done in '), null, { timeout: 120_000 });
  assert.equal(psnr(await pixels(page), placed), Infinity);

  await page.locator('#reset').click();
  await page.setInputFiles('#recall-file', path);
  await told(page, /Settings read from/);
  await page.waitForFunction(() => document.querySelector('#regions-state').textContent === '2 of 2');
  await rows.nth(1).locator('select').focus();
  assert.equal(await page.locator('#region-weight').inputValue(), '0.8');
  await page.locator('#prompt').fill('SAND and BRANDING');
  await page.locator('#regions').waitFor({ state: 'hidden' });
  assert.deepEqual(page.trouble, []);
});

test('a part is painted: from its rectangle on, by pointer and by keys, taken back, kept, used again', { timeout: 300_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  const prompt = 'a red apple AND a green pear';
  const setting = { Seed: 3, Steps: 3, Width: 128, Height: 64 };
  await page.locator('#prompt').fill(prompt);
  await page.locator('#regions').waitFor();
  await open(page, 'regions');
  const place = (part) => page.locator('.region-rows li').nth(part).locator('select');
  await place(1).waitFor();
  await place(0).selectOption('left');
  await place(1).selectOption('right');
  const placed = await draw(page, prompt, setting).then(() => pixels(page));
  await place(1).selectOption('painted');
  const status = page.locator('#regions-box [role="status"]');
  await status.getByText('50 % of the picture is painted for part 2.').waitFor();
  assert.equal(await page.locator('#region-left').isVisible(), false);
  assert.equal(await page.locator('#region-weight').isVisible(), true);
  await page.waitForFunction(() => document.querySelector('#regions-state').textContent === '2 of 2');
  const again = await draw(page, prompt, setting).then(() => pixels(page));
  assert.equal(psnr(again, placed), Infinity, 'what is painted is what the rectangle was');

  // A stroke across the left half, and back by a key.
  const { x, y, width, height } = await page.locator('#region-sheet').boundingBox();
  await page.mouse.move(x + 10, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 4, y + height / 2, { steps: 4 });
  await page.mouse.move(x + width / 2, y + height / 2, { steps: 4 });
  await page.mouse.up();
  const share = async () => Number((await status.textContent()).match(/^(\d+) %/)[1]);
  const stroked = await share();
  assert.ok(stroked > 60 && stroked < 90, `${stroked} %`);
  const painted = await draw(page, prompt, setting).then(() => pixels(page));
  assert.ok(psnr(painted, placed) < 45, 'another picture');
  const { path, text } = await saved(page, 'painted.png');
  assert.match(text, /Regions: "1:0,0,0\.5,1; 2:mask"/);

  // A reload keeps it, and a press before its code has come waits for that.
  await page.reload();
  await ready(page);
  await page.locator('#generate').click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Done in '), null, { timeout: 120_000 });
  assert.equal(psnr(await pixels(page), painted), Infinity);

  await open(page, 'regions');
  await place(1).focus();
  await page.waitForFunction((was) => document.querySelector('#regions-box [role="status"]').textContent.startsWith(`${was} %`), stroked);
  const sheet = page.locator('#region-sheet');
  await sheet.press('e');
  await sheet.press('Space');
  await page.waitForFunction((was) => !document.querySelector('#regions-box [role="status"]').textContent.startsWith(`${was} %`), stroked);
  assert.ok(await share() < stroked, 'erased in the middle');
  await sheet.press('b');
  await sheet.press(']');
  for (let step = 0; step < 4; step++) await sheet.press('Shift+ArrowUp');
  await sheet.press('Control+z');
  for (let step = 0; step < 4; step++) await sheet.press('Control+z');
  assert.equal(await share(), stroked, 'all of it taken back');

  // With nothing painted it is said, and nothing is drawn.
  await page.locator('.region-brush').getByRole('button', { name: 'Clear' }).click();
  await page.waitForFunction(() => document.querySelector('#regions-state').textContent === '1 of 2');
  await generateButton(page).click();
  await page.locator('#regions-error').getByText('Nothing is painted for part 2: paint where it shall be, or choose another place.').waitFor();
  await page.locator('.region-brush').getByRole('button', { name: 'Undo' }).click();
  await page.waitForFunction(() => document.querySelector('#regions-state').textContent === '2 of 2');

  // An earlier picture brings what was painted; its file alone says that it does not.
  await page.locator('#reset').click();
  assert.equal(await page.locator('#regions-state').textContent(), 'off');
  await page.locator('#earlier li').first().getByRole('button').first().click();
  await page.locator('#use-settings').click();
  await page.waitForFunction(() => document.querySelector('#regions-state').textContent === '2 of 2');
  await place(1).focus();
  await page.waitForFunction((was) => document.querySelector('#regions-box [role="status"]').textContent.startsWith(`${was} %`), stroked);
  await page.setInputFiles('#recall-file', path);
  await told(page, /Part 2 of the prompt was where a mask is white, which its file does not hold\./);
  await page.waitForFunction(() => document.querySelector('#regions-state').textContent === '1 of 2');
  assert.deepEqual(page.trouble, []);
});

test('a control image steers: shown, kept with its ControlNet, written, taken away', { timeout: 300_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  await page.setInputFiles('#add-model-file', written('tiny.safetensors', checkpoint()));
  await told(page, 'tiny was added and is in use now.');
  await ready(page);
  await page.locator('#once').getByRole('button', { name: 'Understood' }).click(); // what general models may draw
  const setting = { Seed: 3, Steps: 2, Width: 64, Height: 64 };
  await draw(page, 'a red apple', setting);
  const plain = await pixels(page);

  // A ControlNet that is brought as a model is kept as what it is.
  await page.setInputFiles('#add-model-file', written('canny.safetensors', controlNet(3)));
  await told(page, /“canny” reads control images from now on\./);
  await page.setInputFiles('#control-file', written('square.png', square()));
  const map = page.locator('.steer-list canvas');
  await page.waitForFunction(() => document.querySelector('.steer-list canvas')?.width === 64);
  const white = () => map.evaluate((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, at) => at % 4 === 0 && value > 128).length;
  });
  assert.equal(await page.getByLabel('What is read of it').inputValue(), 'canny', 'as its name says');
  const edges = await white();
  assert.ok(edges > 60 && edges < 400, `${edges} pixels of edges`);
  await page.getByLabel('What is read of it').selectOption('none');
  await page.waitForFunction(() => {
    const canvas = document.querySelector('.steer-list canvas');
    return canvas.getContext('2d').getImageData(32, 32, 1, 1).data[0] === 255;
  });
  assert.equal(await white(), 1024);
  await page.getByLabel('What counts more').selectOption({ label: 'The map is more important' });

  await draw(page, 'a red apple');
  await assertDone(page);
  const steered = await pixels(page);
  assert.ok(psnr(steered, plain) < 40, 'another picture than without');
  const { text } = await saved(page, 'steered.png');
  assert.match(text, /ControlNet 0: "Module: none, Model: canny.*Control Mode: ControlNet is more important/);

  // One of another family, and a file that is no picture, are refused in a sentence; all else stays.
  await page.setInputFiles('#add-model-file', written('other.safetensors', controlNet(4, 1, { text: 2 })));
  await told(page, /“other” reads control images from now on\./);
  await page.getByLabel('ControlNet', { exact: true }).selectOption('other');
  await generateButton(page).click();
  await page.locator('#controls-error').getByText(/it was made for another family/).waitFor();
  await page.setInputFiles('#control-file', written('no.png', Buffer.from('no picture')));
  await told(page, '“no.png” was not taken.');
  assert.deepEqual([await page.locator('.steer-list canvas').count(), await page.locator('#prompt').inputValue()], [1, 'a red apple']);
  await page.getByLabel('ControlNet', { exact: true }).selectOption('canny');
  await page.getByRole('button', { name: 'Delete other' }).click();

  await page.reload();
  await ready(page);
  await page.waitForFunction(() => document.querySelector('.steer-list canvas')?.width === 64);
  assert.equal(await page.locator('#controls-state').textContent(), '1');
  await open(page, 'controls');
  assert.equal(await page.getByLabel('What counts more').inputValue(), 'control');

  // A map of a kind that another version knew is named, and has to be chosen anew.
  await page.evaluate(() => {
    const kept = JSON.parse(localStorage.getItem('opengen.controls'));
    kept.list[0].preprocessor = 'depth';
    localStorage.setItem('opengen.controls', JSON.stringify(kept));
  });
  await page.reload();
  await ready(page);
  await open(page, 'controls');
  await page.locator('.steer-list').getByText('“depth” is not known here: choose what is read of the picture.').waitFor();
  assert.equal(await page.getByLabel('What is read of it').evaluate((field) => field.selectedOptions[0].textContent), 'depth is not known here');
  await generateButton(page).click();
  await page.locator('#controls-error').getByText(/“depth” is not known here: choose what is read of the control image/).waitFor();
  await page.getByLabel('What is read of it').selectOption('canny');
  await page.waitForFunction(() => document.querySelector('.steer-list canvas')?.width === 64);
  assert.equal(await page.getByLabel('What is read of it').locator('option').count(), 7);
  await page.getByRole('button', { name: /^Remove control image/ }).click();
  assert.equal(await page.locator('#controls-state').textContent(), 'off');
  await draw(page, 'a red apple', setting);
  assert.equal(psnr(await pixels(page), plain), Infinity, 'as before');

  // What is missing is said where it is.
  await page.getByRole('button', { name: 'Delete canny' }).click();
  await page.setInputFiles('#control-file', written('faint.png', square(30)));
  await page.waitForFunction(() => document.querySelector('.steer-list canvas')?.width === 64);
  // Canny finds what changes enough: of this square nothing, until less is asked for.
  const [low, high] = [page.getByLabel('Edges change by'), page.getByLabel('Somewhere by')];
  assert.equal(await high.isVisible(), false);
  await page.getByLabel('What is read of it').selectOption('canny');
  assert.deepEqual([await low.inputValue(), await high.inputValue()], ['100', '200']);
  await page.waitForFunction(() => document.querySelector('.steer-list canvas').getAttribute('aria-label') === 'What is read: Edges (Canny)');
  assert.equal(await white(), 0);
  await high.fill('120');
  await high.blur();
  await page.waitForFunction(() => {
    const canvas = document.querySelector('.steer-list canvas');
    return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value, at) => at % 4 === 0 && value > 128);
  });
  await high.fill('999');
  await high.blur();
  assert.equal(await high.inputValue(), '255');
  await generateButton(page).click();
  await page.locator('#controls-error').getByText(/has to read the control image: add its file/).waitFor();
  assert.deepEqual(page.trouble, []);
});
