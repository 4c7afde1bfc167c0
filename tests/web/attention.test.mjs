/** Words into pictures: where each token was looked at, and which tokens a place looked at. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { firstNoun, largest, meanOf, shares, sharesAt } from '../../www/learn/attention.js';
import { open, part, pixelsOf, says, shot, slide } from './learn.mjs';
import { ENGINES, MODEL, MOTION, ready, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#how', light: true });
const still = { reducedMotion: 'reduce' };
const close = (found, expected) => {
  assert.equal(found.length, expected.length);
  for (const [i, value] of expected.entries()) assert.ok(Math.abs(found[i] - value) < 1e-6, `${found} for ${expected}`);
};

test('shares: the mean over steps and layers, what fills up the text makes each place whole', () => {
  const coarse = (values) => ({ width: 1, height: 1, tokens: 2, values: Float32Array.from(values) });
  const fine = (values) => ({ width: 2, height: 1, tokens: 2, values: Float32Array.from(values) });
  const grid = meanOf([[coarse([0.1, 0.3]), fine([0.2, 0.4, 0.6, 0])], [coarse([0.3, 0.1]), fine([0.4, 0.2, 0.2, 0])]]);
  assert.deepEqual([grid.width, grid.height, grid.tokens], [2, 1, 3]);
  close(sharesAt(grid, 0, 0), [0.25, 0.25, 0.5]); // of the coarse layer 0.2 and 0.2, of the fine one 0.3 and 0.3
  close(sharesAt(grid, 1, 0), [0.3, 0.1, 0.6]); // of the fine one 0.4 and 0
  close(shares(grid), [0.275, 0.175, 0.55]);
  close([largest(grid, [0]), largest(grid, [0, 1]), largest(grid, [1])], [0.3, 0.3, 0.25]);
});

test('the token to begin with is the first thing the model knows, also in pieces, else the longest word', () => {
  const chosen = (...texts) => texts[firstNoun(texts.map((text) => ({ text })), MODEL)];
  assert.equal(chosen('', 'a', 'red', 'apple', 'on', 'blue', ''), 'apple');
  assert.equal(chosen('', 'my', 'happy', 'cats', 'and', 'a', 'dog', ''), 'cats');
  assert.equal(chosen('', 'a', 'sli', 'ce', 'of', 'water', 'melon', ''), 'melon');
  assert.equal(chosen('', 'the', 'president', 'at', 'home', ''), 'president');
  assert.equal(chosen('', ''), '');
  const unlisted = { ...MODEL, knows: undefined, synonyms: undefined };
  assert.equal(firstNoun([{ text: '' }, { text: 'an' }, { text: 'owl' }, { text: '' }], unlisted), 2);
});

test('words into pictures: tokens as they are typed', async () => {
  const page = await open(it, still);
  const words = part(page, 'Words into pictures');
  const tokens = words.getByRole('group', { name: 'Tokens' }).getByRole('button');
  await tokens.first().waitFor();
  await words.getByLabel('Prompt').fill('a red apple');
  await words.getByRole('button', { name: 'apple' }).waitFor();
  assert.deepEqual(await tokens.locator('span').allTextContents(), ['begin', 'a', 'red', 'apple', 'end']);
  assert.equal(await words.locator('[aria-pressed="true"]').textContent(), 'apple', 'the thing, not the article');
});

for (const engine of ENGINES) test(`words into pictures: every token has its map and its share on one scale (${engine})`, async () => {
  const page = await open(it, { ...still, path: `?engine=${engine}#how` });
  const words = part(page, 'Words into pictures');
  const prompt = words.getByLabel('Prompt');
  await prompt.fill('a red apple');
  await prompt.press('Enter');
  await says(words, 'Point at or tap a word, or the picture.');
  assert.match(await pixelsOf(shot(words, 'The picture')), /^128,128,/);
  const heat = shot(words, 'Where');
  assert.match(await heat.getAttribute('aria-label'), /^Where “apple” was looked at, [\d.]+\s% of all attention, \d+\s% at most$/);
  await words.getByText('The model looks with 8 × 8 and 4 × 4 places, drawn smoothly here.').waitFor();

  const tokens = words.getByRole('group', { name: 'Tokens' }).getByRole('button');
  assert.deepEqual(await tokens.locator('span').allTextContents(), ['begin', 'a', 'red', 'apple', 'end', 'filling']);
  const percents = (await tokens.locator('output').allTextContents()).map(Number.parseFloat);
  assert.ok(Math.abs(percents.reduce((a, b) => a + b) - 100) < 1.5, `${percents}`);
  const brightest = await tokens.locator('canvas').evaluateAll((maps) => maps.map((map) => {
    const { data } = map.getContext('2d').getImageData(0, 0, map.width, map.height);
    return data.filter((_, i) => i % 4 === 0).reduce((a, b) => Math.max(a, b));
  }));
  assert.ok(brightest[3] > 240 && brightest[1] < 200, `apple is the brightest word, "a" is not stretched to it: ${brightest}`);

  const apple = await pixelsOf(heat);
  await tokens.filter({ hasText: 'red' }).hover();
  assert.match(await heat.getAttribute('aria-label'), /^Where “red”/);
  assert.notEqual(await pixelsOf(heat), apple, 'another token, another map');
  await page.mouse.move(0, 0);
  assert.equal(await pixelsOf(heat), apple, 'the chosen one again');
  await tokens.filter({ hasText: 'begin' }).focus();
  assert.match(await heat.getAttribute('aria-label'), /^Where “begin”/);
  await page.keyboard.press('Enter');
  assert.equal(await tokens.filter({ hasText: 'begin' }).getAttribute('aria-pressed'), 'true');

  await words.getByText('One layer, one step').click();
  const layer = words.getByLabel('Layer');
  const layers = await layer.locator('option').allTextContents();
  assert.ok(layers.length > 4 && layers.some((name) => /^middle, layer 1 \(4 × 4\)$/.test(name)), layers.join('; '));
  const mean = await pixelsOf(heat);
  await layer.selectOption('0');
  const one = await pixelsOf(heat);
  assert.notEqual(one, mean, 'another layer, another map');
  await slide(words.getByRole('slider'), 1);
  assert.notEqual(await pixelsOf(heat), one, 'another step, another map');
  await words.getByText(`Step: 1 of ${MODEL.defaults.steps}`).waitFor();
  assert.deepEqual(page.trouble, []);
});

test('words into pictures: a place of the picture lights its words up, by pointer, by touch and by key', async () => {
  const page = await open(it, { ...still, hasTouch: true });
  const words = part(page, 'Words into pictures');
  await words.getByLabel('Prompt').fill('a red apple on a light blue background');
  const token = (name) => words.getByRole('group', { name: 'Tokens' }).getByRole('button').filter({ hasText: name });
  await token('apple').click(); // there is nothing to look at yet: it is drawn
  await says(words, 'Point at or tap a word, or the picture.');
  await words.getByText(/^All places together look at: /).waitFor();

  const [picture] = await words.getByRole('button', { name: /arrow keys ask its places/ }).all();
  const { width, height } = await picture.boundingBox();
  await picture.hover({ position: { x: width / 2, y: height / 2 } });
  await words.getByText(/^This place looks at: .*apple/).waitFor();
  assert.equal(await token('apple').getAttribute('data-lit'), '');
  const middle = await token('apple').locator('output').textContent();
  await page.mouse.move(0, 0);
  await words.getByText(/^All places together look at: /).waitFor();
  assert.equal(await token('apple').getAttribute('data-lit'), null);
  assert.notEqual(await token('apple').locator('output').textContent(), middle);

  await picture.tap({ position: { x: 4, y: height - 4 } });
  await words.getByText(/^This place looks at: /).waitFor();
  assert.equal(await token('background').getAttribute('data-lit'), '', 'the ground is looked at where it is');
  const corner = await words.locator('.cell').first().getAttribute('style');
  await picture.press('ArrowRight');
  assert.notEqual(await words.locator('.cell').first().getAttribute('style'), corner);
  for (let i = 0; i < 12; i++) await picture.press('ArrowUp');
  assert.match(await words.locator('.cell').first().getAttribute('style'), /top: 0%/, 'it stops at the edge');
  assert.deepEqual(page.trouble, []);
});

test('words into pictures: another prompt marks the maps as old, a press on its words looks anew', async () => {
  const page = await open(it, still);
  const words = part(page, 'Words into pictures');
  const prompt = words.getByLabel('Prompt');
  await prompt.fill('a cat');
  await prompt.press('Enter');
  await says(words, 'Point at or tap a word');
  await prompt.fill('a panda');
  await says(words, '“Draw and look” makes it anew');
  await words.getByRole('button', { name: 'panda' }).click();
  await says(words, 'Point at or tap a word');
  assert.match(await shot(words, 'Where').getAttribute('aria-label'), /^Where “panda”/);
  assert.equal(await words.locator('[data-old]').count(), 0);
});

test('words into pictures: it looks by itself when it comes into view, and not for who wants things still', async () => {
  const page = await visitor(it, { ...MOTION, path: '?engine=cpu#how-words' });
  await ready(page);
  await says(part(page, 'Words into pictures'), 'Point at or tap a word');
  const calm = await visitor(it, { ...still, path: '?engine=cpu#how-words' });
  await ready(calm);
  await part(calm, 'Words into pictures').getByRole('button', { name: 'apple' }).waitFor();
  await calm.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  assert.equal(await part(calm, 'Words into pictures').getByRole('button', { name: 'Stop' }).isVisible(), false);
  assert.equal(await part(calm, 'Words into pictures').locator('figure:visible').count(), 0);
});
