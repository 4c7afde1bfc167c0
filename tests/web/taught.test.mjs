/** How it works, its last part: a creature is learnt there and then, and what each step shows is what the engine did. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { numbersOf, pairsOf } from '../../www/learn/pair.js';
import { hasten, open, part, pixelsOf, says, slide } from './learn.mjs';
import { PATIENCE, kept, ready, stand, visitor } from './page.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#how-taught', light: true });
const press = (scope, name) => scope.getByRole('button', { name, exact: true }).click();

test('the numbers of a pair are those of its matrices, and a file lists its own', async () => {
  assert.deepEqual(numbersOf({ rows: 320, columns: 320, rank: 8 }), { pair: 5120, whole: 102400 });
  const header = JSON.stringify({
    __metadata__: {}, 'a.lora_down.weight': { shape: [4, 16, 3, 3] }, 'a.lora_up.weight': { shape: [32, 4, 1, 1] }, 'a.alpha': { shape: [] },
    'b.lora_down.weight': { shape: [2, 8] }, 'b.lora_up.weight': { shape: [10, 2] },
  });
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(header.length), true);
  assert.deepEqual(await pairsOf(new Blob([length, header])), [{ rows: 32, columns: 144, rank: 4 }, { rows: 10, columns: 8, rank: 2 }]);
});

test('a new word: nothing is learnt before it is asked for, then before, during and after, with and without the kind, one drawing too often, four strengths', async () => {
  const page = await open(it);
  const taught = part(page, 'A new word');
  const fetched = () => page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => /\/teach\/|\/train\.js/.test(name)).length);
  assert.equal(await fetched(), 0, 'looking costs nothing');
  assert.equal(await taught.locator('.shots.five figure').count(), 5);
  await taught.getByText('W has 320 × 320 = 102,400 numbers, B and A together 8 × (320 + 320) = 5,120: 5.0 %.').waitFor();
  await slide(taught.getByRole('slider', { name: 'Rank, r = 8' }), 16);
  await taught.getByText('16 × (320 + 320) = 10,240: 10.0 %.').waitFor();

  // The question teaches first what it compares with.
  await hasten(page);
  const guess = taught.getByRole('group', { name: /Without those pictures/ });
  await press(guess, 'The new creature');
  await says(taught, 'It has to be taught first');
  await guess.getByText(/^(Yes|No): the picture is \d+ of 255/).waitFor({ timeout: PATIENCE });
  await says(taught, '6 steps are taken.');
  const asked = await page.evaluate(() => window.asked);
  assert.deepEqual(asked.map(({ classPrompts }) => classPrompts), [['an alien monster'], []]);
  assert.equal(asked[0].images[1], 'a zorp alien monster on a pink background');
  assert.ok(asked.every(({ recipe }) => recipe.steps === 120));
  const row = taught.locator('.looked').first();
  assert.deepEqual(await row.locator('.teach-samples span').allTextContents(), ['before', 'step 3', 'step 6']);
  const looks = await Promise.all([0, 1, 2].map((at) => pixelsOf(row.locator('.teach-samples canvas').nth(at))));
  assert.equal(new Set(looks).size, 3, 'it changes as it learns');
  const known = taught.locator('.shots.three canvas');
  const kinds = await Promise.all([0, 1, 2].map((at) => pixelsOf(known.nth(at))));
  assert.equal(new Set(kinds).size, 3);

  // The drawing is of what was learnt: the file says so.
  const file = await taught.getByRole('link', { name: 'Save the file' }).evaluate(async ({ href }) => {
    const bytes = new Uint8Array(await (await fetch(href)).arrayBuffer());
    return btoa(String.fromCharCode(...bytes.subarray(0, 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true)))));
  });
  const pairs = await pairsOf(new Blob([Buffer.from(file, 'base64')]));
  const numbers = pairs.reduce((sum, pair) => sum + numbersOf(pair).pair, 0);
  await taught.getByText(`There are ${pairs.length} such pairs, with ${numbers.toLocaleString('en')} numbers in all`).waitFor();
  const { rows, columns } = pairs.reduce((a, b) => (numbersOf(b).whole > numbersOf(a).whole ? b : a));
  await taught.getByText(`W has ${rows} × ${columns} = `).waitFor();
  assert.match(await taught.locator('.pair-drawing').getAttribute('aria-label'), new RegExp(`^W has ${rows} × ${columns} `));

  await press(taught, 'One drawing, far too often');
  await says(taught, /^Two seeds, one prompt: they were \d+ of 255 apart before, and are \d+ apart now\./);
  const { images, classPrompts, recipe: { steps } } = await page.evaluate(() => window.asked[2]);
  assert.deepEqual([images, classPrompts, steps], [['a zorp alien monster'], [], 240]);
  await press(taught, 'Four strengths');
  await says(taught, 'At 0 it is the model as it was.');
  const strengths = await Promise.all([0, 1, 2, 3].map((at) => pixelsOf(taught.locator('.shots.four').last().locator('canvas').nth(at))));
  assert.equal(new Set(strengths).size, 4);
  const plain = await page.evaluate(async (prompt) => {
    const [{ OpenGen }, { MODELS: [model] }] = await Promise.all([import('/client.js'), import('/models.js')]);
    const og = await OpenGen.create({ engine: 'cpu', model });
    const { image: { width, height, data } } = await og.generate({ prompt, seed: 1 });
    og.dispose();
    return `${width},${height},${btoa(String.fromCharCode(...data))}`;
  }, 'a zorp alien monster in the snow');
  assert.equal(strengths[0], plain, 'a strength of 0 is the model without it');
  assert.deepEqual(page.trouble, []);
});

test('a training that is stopped says so; one beside another is refused with a sentence, and both stay whole', async () => {
  const page = await open(it);
  const taught = part(page, 'A new word');
  await press(taught, 'Teach it');
  await says(taught, 'It draws what it knows of the kind');
  await press(taught, 'One drawing, far too often');
  await says(taught, 'Another training is under way in this browser');
  await taught.getByText(/^Step \d+ of 120$/).waitFor({ timeout: PATIENCE });
  await press(taught, 'Stop');
  await says(taught, 'Stopped');
  assert.equal(await taught.getByRole('link', { name: 'Save the file' }).isVisible(), false);
});

test('with the server gone it learns all the same, once the view was looked at', async () => {
  const server = await new Server().start();
  const page = await visitor({ ...it, server }, { serviceWorkers: 'allow', reducedMotion: 'reduce' });
  await ready(page);
  for (const file of ['teach/lesson\\.js', 'opengen-cpu_bg\\.wasm']) await kept(page, file);
  await server.kill();
  await page.reload();
  await ready(page);
  const taught = part(page, 'A new word');
  await hasten(page);
  await press(taught, 'Teach it');
  await says(taught, '6 steps are taken.');
});
