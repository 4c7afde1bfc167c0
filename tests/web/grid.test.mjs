/** Grids: how lists of values are read, and nine pictures drawn, looked at, saved, stopped and gone on with. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import { axisOf, besides, cellsOf, fieldsOf, labelOf, valuesOf } from '../../www/grid/axes.js';
import { checkpoint } from './checkpoint.mjs';
import { draw, generateButton, pixels, psnr, ready, set, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });

test('lists are read as A1111 reads them', () => {
  const values = (id, text) => valuesOf(axisOf(id), text);
  for (const [id, text, expected] of [
    ['steps', '1-5', [1, 2, 3, 4, 5]],
    ['steps', '1-10 (+3)', [1, 4, 7, 10]],
    ['steps', '10-5 (-2)', [10, 8, 6]],
    ['steps', '5-1', [5, 4, 3, 2, 1]],
    ['steps', '1-10 [5]', [1, 3, 6, 8, 10]],
    ['guidance', '0-1 (+0.25)', [0, 0.25, 0.5, 0.75, 1]],
    ['guidance', '0-1 [5], 7.5', [0, 0.25, 0.5, 0.75, 1, 7.5]],
    ['guidance', '-1-1 [3]', [-1, 0, 1]],
    ['seed', '9007199254740993, 1-3', ['9007199254740993', '1', '2', '3']],
    ['sampler', 'ddim, Euler ancestral', ['ddim', 'euler-a']],
    ['words', '"a, ""b""", c ,d', ['a, "b"', 'c', 'd']],
    ['order', 'a, b, c', [['a', 'b', 'c'], ['a', 'c', 'b'], ['b', 'a', 'c'], ['b', 'c', 'a'], ['c', 'a', 'b'], ['c', 'b', 'a']]],
    ['clipSkip', '1-3', [1, 2, 3]],
    ['sgmNoiseMultiplier', 'true, FALSE', ['true', 'false']],
  ]) assert.deepEqual(values(id, text), expected, `${id}: ${text}`);
  for (const [id, text, words] of [
    ['steps', '', /Steps has no values yet/],
    ['steps', '1.5', /“1\.5” is no whole number/],
    ['steps', 'many', /“many” is no value of Steps/],
    ['steps', '1-10000', /10,000 values; up to 200/],
    ['steps', '5-1 (+1)', /never gets from 5 to 1/],
    ['guidance', '0-1 [999]', /1 to 200/],
    ['clipSkip', '0', /Clip skip goes from 1 to 12, not to 0/],
    ['order', 'a,b,c,d,e,f', /6 words have more than 200 orders/],
    ['sampler', 'ddim, ancestral', /no sampler “ancestral”; there are ddim/],
  ]) assert.throws(() => values(id, text), words, `${id}: ${text}`);
});

test('each cell asks for its own values, the first side changing fastest', () => {
  const base = { prompt: 'an apple <lora:x:1:0.5>', negativePrompt: 'apple pie', steps: 9, seed: '1' };
  const side = (id, values) => ({ axis: axisOf(id), values });
  const cells = cellsOf(base, [side('steps', [1, 2]), side('words', ['apple', 'fox']), side('lora', [0, 0.3])]);
  assert.equal(cells.length, 8);
  assert.deepEqual(cells[1], { ...base, prompt: 'an apple <lora:x:0:0.5>', steps: 2 });
  assert.deepEqual(cells[6], { ...base, prompt: 'an fox <lora:x:0.3:0.5>', negativePrompt: 'fox pie', steps: 1 });
  assert.throws(() => cellsOf(base, [side('words', ['pear', 'fox'])]), /“pear” is not in the prompt/);
  assert.throws(() => cellsOf({ ...base, prompt: 'x' }, [side('lora', [1])]), /names no LoRA/);
  assert.throws(() => besides(cellsOf(base, [side('strength', [1])]), [side('strength', [1])]), /a picture that the run begins with/);
  assert.equal(labelOf(axisOf('sampler'), 'euler-a'), 'Euler ancestral');
  assert.equal(fieldsOf([side('words', ['a, b', 'c']), side('steps', [1, 2])]),
    'Script: X/Y/Z plot, X Type: Prompt S/R, X Values: "\\"a, b\\", c", Y Type: Steps, Y Values: "1, 2"');
});

test('finer settings and the order of words are sides of a grid', () => {
  const base = { prompt: 'a red apple, a blue fox', sampler: 'euler-a', samplerOptions: { sNoise: 1.01 }, steps: 9 };
  const side = (id, text) => ({ axis: axisOf(id), values: valuesOf(axisOf(id), text) });
  const asked = (request, ...sides) => besides(cellsOf(request, sides), sides);
  const of = ({ clipSkip, samplerOptions, ...rest }) => [clipSkip, samplerOptions, 'finer' in rest];
  assert.deepEqual(asked(base, side('eta', '0, 0.5'), side('clipSkip', '1, 2')).map(of), [1, 2].flatMap((skip) => [0, 0.5].map((eta) => [skip, { sNoise: 1.01, eta }, false])));
  // Only where a sampler has an η.
  assert.deepEqual(asked(base, side('sampler', 'euler-a, plms'), side('eta', '0.5')).map(of), [[undefined, { sNoise: 1.01, eta: 0.5 }, false], [undefined, { sNoise: 1.01 }, false]]);
  assert.throws(() => asked({ ...base, sampler: 'plms' }, side('eta', '0.5')), /Eta has no effect/);
  // Of a second pass, which is told of beside the request.
  const larger = { ...base, hires: { scale: 2, network: { hash: 'x', name: 'y' }, strength: 0.7 } };
  assert.deepEqual(asked(larger, side('strength', '0.3'), side('hires-steps', '4')).map(({ hires, strength }) => [hires, strength]),
    [[{ scale: 2, network: { hash: 'x', name: 'y' }, strength: 0.3, steps: 4 }, undefined]]);
  assert.deepEqual(asked(larger, side('hires-upscaler', 'lanczos'))[0].hires, { scale: 2, strength: 0.7, upscaler: 'lanczos' });
  assert.throws(() => asked(base, side('hires-scale', '2')), /Enlarge by/);
  const words = asked(base, side('order', 'red, fox, apple')).map(({ prompt }) => prompt);
  assert.equal(words.length, 6);
  assert.deepEqual([words[0], words[5]], ['a red fox, a blue apple', 'a apple fox, a blue red']);
  assert.throws(() => asked(base, side('order', 'red, cat')), /“cat” is not in the prompt/);
  assert.equal(fieldsOf([side('order', 'red, fox'), side('eta', '0, 1')]), 'Script: X/Y/Z plot, X Type: Prompt order, X Values: "red, fox", Y Type: Eta, Y Values: "0, 1"');
});

const cells = (page) => page.locator('.grid-cell canvas');
const foot = (page, words) => page.locator('.grid-foot').getByText(words).waitFor({ timeout: 90_000 });
/** @param {import('playwright-core').Page} page @param {Record<string, [string, string]>} sides */
async function fill(page, sides) {
  if (!await page.locator('#grid').evaluate((part) => part.open)) await page.locator('#grid summary').click();
  for (const [side, [id, values]] of Object.entries(sides)) {
    await page.locator(`#grid-${side}`).selectOption(id);
    if (id) await page.locator(`#grid-${side}-values`).fill(values);
  }
}

test('nine pictures side by side: looked at, saved with their settings, not drawn twice', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  await page.locator('#prompt').fill('a red apple');
  await set(page, { Seed: 5 });
  await fill(page, { x: ['steps', '1-3'], y: ['words', 'apple, fox, ball'] });
  await page.locator('#grid-box').getByText(/^9 pictures/).waitFor();
  await page.locator('#grid-go').click();
  await foot(page, '9 of 9 drawn');
  assert.equal(await cells(page).count(), 9);
  await page.getByRole('button', { name: 'Steps 3, fox', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('#picture').getAttribute('aria-label')?.includes('fox'));
  const fox = await pixels(page);

  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save as PNG' }).click()]);
  const bytes = await readFile(await download.path());
  const sheet = PNG.sync.read(bytes);
  assert.ok(sheet.width > 3 * 128 && sheet.width < 5 * 128 && sheet.height > 3 * 128 && sheet.height < 4 * 128, `${sheet.width}×${sheet.height}`);
  const text = bytes.toString('latin1');
  assert.match(text, /parameters\0a red apple\nSteps: 1, .*Script: X\/Y\/Z plot, X Type: Steps, X Values: "1, 2, 3", Y Type: Prompt S\/R, Y Values: "apple, fox, ball"/);
  assert.match(text, /trainedAlgorithmicMedia/, 'that a model made it');
  // The fox of three steps stands there pixel for pixel: third column, second row.
  const at = (x, y) => sheet.data.subarray(4 * (y * sheet.width + x), 4 * (y * sheet.width + x) + 3);
  const row = (y) => Buffer.from(fox.data.slice(4 * y * 128, 4 * (y + 1) * 128)).filter((_, i) => i % 4 !== 3);
  const found = [];
  for (let y = 0; y < sheet.height; y++) {
    for (let x = 0; x + 128 <= sheet.width; x++) {
      if (!at(x, y).equals(row(64).subarray(0, 3))) continue;
      const line = Buffer.concat(Array.from({ length: 128 }, (_, i) => at(x + i, y)));
      if (line.equals(row(64))) found.push([x, y]);
    }
  }
  assert.equal(found.length, 1, 'once');
  assert.ok(found[0][0] > sheet.width / 2 && found[0][1] > sheet.height / 3 && found[0][1] < (2 * sheet.height) / 3);

  // Wider by one column: only that is drawn.
  await fill(page, { x: ['steps', '1-4'] });
  await page.locator('#grid-go').click();
  await foot(page, '12 of 12 drawn');
  await page.locator('#status').getByText('3 pictures').waitFor();
});

test('a grid that is stopped goes on where it was; what is wrong with one is said; many pictures are asked for twice', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  const [box, go] = [page.locator('#grid-box'), page.locator('#grid-go')];
  await page.locator('#prompt').fill('a red apple');
  await set(page, { Seed: 5, Steps: 30 });
  await fill(page, { x: ['seed', '1-4'] });
  await go.click();
  await cells(page).first().waitFor({ timeout: 60_000 });
  await page.locator('#generate').click(); // Cancel
  await page.getByRole('button', { name: 'Go on', exact: true }).waitFor({ timeout: 60_000 });
  const made = await cells(page).count();
  assert.ok(made >= 1 && made < 4, `${made} of 4`);
  await set(page, { Steps: 2 }); // another setting: the grid is what it was
  await page.locator('.grid-foot').getByRole('button', { name: 'Go on' }).click();
  await foot(page, '4 of 4 drawn');

  for (const [sides, words] of [
    [{ x: ['words', 'pear, fox'] }, '“pear” is not in the prompt'],
    [{ x: ['lora', '0, 1'] }, 'The prompt names no LoRA.'],
    [{ x: ['steps', '1-5000'] }, '5,000 values; up to 200'],
    [{ x: ['steps', '1-3'], y: ['steps', '1-3'] }, 'Steps cannot be two sides of one grid.'],
    [{ x: ['steps', '1-200'], y: ['seed', '1-200'] }, 'That would be 40,000 pictures; up to 20,000'],
  ]) {
    await fill(page, sides);
    await box.getByText(words).waitFor();
    assert.ok(await go.isDisabled(), words);
  }
  await fill(page, { x: ['steps', '1-100'], y: ['seed', '1-100'] });
  await box.getByText(/^10,000 pictures, about .*press twice/).waitFor();
  await go.click();
  await box.getByRole('button', { name: 'Draw 10,000 pictures' }).waitFor();
  assert.equal(await page.locator('#generate').textContent(), 'Generate', 'nothing is drawn yet');
});

/** What is kept of the pictures that were made, in their order. */
const kept = (page) => page.evaluate(() => new Promise((resolve, reject) => {
  const opened = indexedDB.open('opengen-pictures');
  opened.onerror = () => reject(opened.error);
  opened.onsuccess = () => {
    opened.result.transaction('entries').objectStore('entries').getAll().onsuccess = ({ target }) => resolve(target.result.map(({ settings, model }) => ({ settings, model })));
  };
}));

test('models side by side: each is loaded once, and the one in use is so again', { timeout: 300_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  const small = { Seed: 5, Steps: 1, Width: 64, Height: 64 };
  const mini = await draw(page, 'a red apple', { ...small, Sampler: 'ddim' });
  await page.setInputFiles('#add-model-file', { name: 'tiny, too.safetensors', mimeType: 'application/octet-stream', buffer: checkpoint() });
  await page.locator('#report').getByText('tiny, too was added and is in use now.').waitFor({ timeout: 120_000 });
  await ready(page);
  await page.locator('#once').getByRole('button', { name: 'Understood' }).click(); // what general models may draw
  await set(page, { ...small, Sampler: 'ddim', Guidance: 2 });

  await fill(page, { x: ['model', 'Mini, other'] });
  await page.locator('#grid-box').getByText('There is no model “other”; there are Mini, "tiny, too".').waitFor();
  assert.equal(await page.locator('#grid-x-values').getAttribute('placeholder'), 'Mini, "tiny, too"');
  await fill(page, { x: ['model', 'Mini, "tiny, too"'], y: ['words', 'apple, fox'] });
  await page.evaluate(() => {
    window.chips = [];
    new MutationObserver(() => {
      const chip = document.querySelector('#model-chip');
      const now = `${document.querySelector('#chip-name').textContent} ${chip.dataset.state}`;
      if (window.chips.at(-1) !== now) window.chips.push(now);
    }).observe(document.querySelector('#model-chip'), { subtree: true, childList: true, characterData: true, attributes: true });
  });
  const before = (await kept(page)).length;
  await page.locator('#grid-go').click();
  await foot(page, '4 of 4 drawn');
  await ready(page);
  await page.waitForFunction(() => document.querySelector('#chip-name').textContent === 'tiny, too');
  const chips = await page.evaluate(() => window.chips);
  assert.equal(chips.filter((words) => words === 'Mini loading').length, 1, chips.join('; '));
  assert.equal(await page.locator('#model').evaluate((select) => select.selectedOptions[0].textContent), 'tiny, too');
  assert.deepEqual([await page.locator('#guidance').inputValue(), await page.locator('#steps').inputValue()], ['2', '1'], 'the form is as it was');
  const made = (await kept(page)).slice(before);
  assert.deepEqual(made.map(({ model }) => model.split(/[ .]/)[0]), ['tiny,', 'tiny,', 'mini']); // Mini's apple was there already
  assert.ok(made.every(({ settings }) => !('model' in settings)));
  await page.getByRole('button', { name: 'Mini, apple', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('An earlier picture'));
  assert.equal(psnr(await pixels(page), mini), Infinity, 'that which Mini draws by itself');

  // Another one that is chosen while a grid is drawn is in use behind it.
  await set(page, { Steps: 60 });
  await page.locator('#grid-go').click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.includes('step'));
  await page.locator('#model').selectOption({ label: 'Mini' });
  await generateButton(page).waitFor({ timeout: 120_000 });
  await ready(page);
  await page.waitForFunction(() => document.querySelector('#chip-name').textContent === 'Mini');
  assert.equal(await page.locator('#model').evaluate((select) => select.selectedOptions[0].textContent), 'Mini');
  assert.deepEqual(page.trouble, []);
});

test('a cell is told beside the form what counts with its own sampler and words', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Seed: 5, Steps: 1, Width: 64, Height: 64, Sampler: 'euler-a' });
  await page.locator('#prompt').fill('a red apple AND a green pear');
  await page.locator('#regions > summary').click();
  await page.locator('.region-rows select').nth(1).waitFor();
  await page.locator('.region-rows select').nth(0).selectOption('left');
  await page.locator('#sampling > summary').click();
  await page.locator('#eta').fill('0.5');
  await fill(page, { x: ['sampler', 'Euler ancestral, DPM++ 2M'], y: ['words', 'a {green|blue} pear, a pear'] });
  await page.locator('#grid-box').getByText('“a {green|blue} pear” is not in the prompt').waitFor();
  await page.locator('#prompt').fill('a red apple AND a {green|blue} pear');
  await page.locator('#grid-box').getByText(/^4 pictures/).waitFor();
  await page.locator('#grid-go').click();
  await foot(page, '4 of 4 drawn');
  const made = (await kept(page)).map(({ settings }) => settings);
  assert.deepEqual(made.map(({ sampler, samplerOptions }) => [sampler, samplerOptions?.eta]), [['euler-a', 0.5], ['dpm++-2m', undefined], ['euler-a', 0.5], ['dpm++-2m', undefined]]);
  assert.ok(made.every(({ regions }) => regions.length === 1 && regions[0].part === 1));
  assert.match(made[0].prompt, /^a red apple AND a (green|blue) pear$/);
  assert.deepEqual([made[1].prompt, made[2].prompt], [made[0].prompt, 'a red apple AND a pear'], 'one seed, one choice');
  assert.deepEqual(page.trouble, []);
});
