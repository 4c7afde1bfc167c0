/** How long the prompt is, in the model's tokens, stands under the box while one types. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { promptOf, ready, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });

/** Fills the prompt and gives what comes to stand there, as numbers. */
async function length(page, prompt, room) {
  await promptOf(page).fill(prompt);
  const shown = page.locator('#length');
  await page.waitForFunction((end) => document.querySelector('#length').textContent.endsWith(end), `/${room}`);
  return Number((await shown.textContent()).split('/')[0]);
}

test('the tokens of a prompt are counted, beside how many the model reads at a time', async () => {
  const page = await visitor(it);
  await ready(page);
  assert.equal(await page.locator('#length').isVisible(), false, 'nothing is typed');
  // Mini reads 32 tokens at a time, of which two begin and end the text.
  const one = await length(page, 'cat', 30);
  assert.equal(one, 1);
  await promptOf(page).fill('cat cat cat');
  await page.getByText('3/30', { exact: true }).waitFor();
  assert.equal(await length(page, `${'cat '.repeat(40)}`, 60), 40);
  await promptOf(page).fill('');
  await page.locator('#length').waitFor({ state: 'hidden' });
  assert.deepEqual(page.trouble, []);
});

test('pressed, the count shows which tokens these are, chunk by chunk, with their weights', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('a (red:1.3) apple <lora:none:1>');
  const press = page.getByRole('button', { name: /^3\/30$/ });
  await press.click();
  const tokens = page.getByRole('group', { name: 'What the model reads' });
  await tokens.getByText('3 of 30 tokens').waitFor();
  assert.deepEqual(await tokens.locator('.token').allTextContents(), ['a', 'red1.3', 'apple']);
  await tokens.getByText('No text of the model’s: <lora:none:1>').waitFor();
  await promptOf(page).fill(`${'cat '.repeat(31)}AND a dog :0.5`);
  await tokens.getByText('Chunk 2: 1 of 30 tokens').waitFor();
  await tokens.getByText('Part 2, which counts 0.5').waitFor();
  assert.equal(await page.locator('#length').textContent(), '31/60', 'of several parts the longest');
  await promptOf(page).fill('a [red:green:0.5] apple');
  await tokens.getByText(/^Up to evaluation \d+: a red apple$/).waitFor();
  await page.locator('#dialect').selectOption('diffusers');
  await tokens.locator('.token').getByText('[', { exact: true }).waitFor(); // there brackets are text
  assert.equal(await tokens.getByText(/^\d+ of 30 tokens$/).count(), 1);
  await page.getByRole('button', { name: /\/30$/ }).click();
  await tokens.waitFor({ state: 'hidden' });
  assert.deepEqual(page.trouble, []);
});

test('the settings stand in groups, in the order that A1111 has them', async () => {
  const page = await visitor(it);
  const groups = page.locator('#fields').getByRole('group');
  assert.deepEqual(await groups.evaluateAll((all) => all.filter((group) => group.tagName === 'FIELDSET')
    .map((group) => group.querySelector('legend').textContent)), ['Sampling', 'Size and number', 'Seed and noise']);
  const labels = await page.locator('#fields > .group > .fields > .field > label').allTextContents();
  assert.deepEqual(labels, ['Sampler', 'Schedule', 'Steps', 'Guidance', 'Width', 'Height', 'Pictures', 'Seed', 'Noise', 'Dialect']);
});
