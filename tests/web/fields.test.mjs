/** How it works: what can be touched does what it says, and says when it cannot. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { flat, open, part, pixelsOf, says, shot, slide } from './learn.mjs';
import { PATIENCE, stand } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#how', light: true });
const press = (scope, name) => scope.getByRole('button', { name, exact: true }).click();

test('fields that are empty or beyond their range are named with it, all at once; nothing runs', async () => {
  const page = await open(it, { reducedMotion: 'reduce' });
  const back = part(page, 'Back out of noise');
  const [guidance, seed] = ['Guidance', 'Seed'].map((label) => back.getByLabel(label, { exact: true }));
  await guidance.fill('101');
  await seed.fill('');
  await press(back, 'Run');
  await says(back, 'Guidance takes a number from 0 to 100. The seed takes a whole number from 0 to 18446744073709551615.');
  assert.equal(await guidance.evaluate((field) => document.activeElement === field), true, 'the first of them has the focus');
  assert.equal(await back.locator('[aria-invalid="true"]').count(), 2);
  assert.equal(await guidance.getAttribute('max'), '100', 'the field says the same');
  await guidance.fill('');
  await seed.fill('7');
  await guidance.press('Enter');
  await says(back, /^Guidance takes a number from 0 to 100\.$/);
  assert.equal(await back.locator('.lane').count(), 0);
  assert.equal(await seed.getAttribute('aria-invalid'), null);
  await back.getByLabel('Side by side').selectOption('guidance'); // which brings its own
  await press(back, 'One step');
  await says(back, 'is taken.');

  const vary = part(page, 'Why it varies');
  await vary.getByLabel('Seed', { exact: true }).fill('18446744073709551615');
  await press(vary, 'Eight seeds');
  await says(vary, /^The seed takes a whole number from 0 to 18446744073709551608\.$/); // the eighth is seven further
  await vary.getByLabel('To seed').fill('1.5');
  await press(vary, 'Make the film');
  await says(vary, /^The second seed takes a whole number from 0 to 18446744073709551615\.$/);
  assert.equal(await vary.locator('figure:not([data-empty])').count(), 0, 'nothing was made');
  assert.deepEqual(page.trouble, []);
});

test('a run is marked as old once the fields say something else, and no more when they say the same again', async () => {
  const page = await open(it, { reducedMotion: 'reduce' });
  const back = part(page, 'Back out of noise');
  const [prompt, steps] = [back.getByLabel('Prompt', { exact: true }), back.getByLabel('Steps', { exact: true })];
  const old = back.locator('[data-old]');
  await steps.selectOption('5');
  await prompt.fill('a fox in the snow');
  await prompt.press('Enter');
  await says(back, 'All steps are taken.');
  assert.equal(await old.count(), 0);
  await steps.selectOption('10');
  await says(back, /made before you changed this\. “Run” makes it anew/);
  assert.equal(await old.count(), 1);
  await steps.selectOption('5');
  await says(back, 'All steps are taken.');
  assert.equal(await old.count(), 0, 'the same again');
  await prompt.fill('a cat');
  await old.waitFor();
  await prompt.press('Enter');
  await says(back, 'All steps are taken.');
  assert.equal(await old.count(), 0);
  await press(back, 'Start over');
  assert.equal(await back.locator('.lane').count(), 0);
  assert.equal(await back.getByRole('button', { name: 'Start over' }).isDisabled(), true, 'nothing is left to begin anew');
});

test('only what is paused says so, and only steps that were taken can be shown', async () => {
  const page = await open(it, { reducedMotion: 'reduce' });
  const back = part(page, 'Back out of noise');
  const shown = back.getByRole('slider', { name: 'Step shown' });
  assert.equal(await shown.isDisabled(), true);
  await back.getByLabel('Steps', { exact: true }).selectOption('30');
  await press(back, 'One step');
  await says(back, /^Step 1 of 30 is taken\.$/);
  assert.equal(await shown.getAttribute('max'), '1');
  await press(back, 'One step');
  await says(back, /^Step 2 of 30 is taken\.$/);
  assert.equal(await shown.getAttribute('max'), '2');
  assert.equal(await shown.getAttribute('aria-valuetext'), 'Step 2 of 30');
  await press(back, 'Run');
  await back.getByText(/^Step [3-9] of 30 · t = /).waitFor({ timeout: PATIENCE });
  await press(back, 'Pause');
  await says(back, /^Paused$/);
  await press(back, 'Run');
  await back.getByText(/^Step ([4-9]|[12]\d) of 30 · t = /).waitFor({ timeout: PATIENCE });
  await press(back, 'Start over');
  await back.locator('.lane').waitFor({ state: 'detached' });
  assert.equal(await back.getByRole('status').first().textContent(), '', 'nothing is left to speak of');
  assert.equal(await shown.isDisabled(), true);
});

test('from the noised picture the seed has no say, and says why; its noise is the one that was seen', async () => {
  const page = await open(it, { reducedMotion: 'reduce' });
  const [into, back] = [part(page, 'Into noise'), part(page, 'Back out of noise')];
  const seed = back.getByLabel('Seed', { exact: true });
  await into.locator('input[type=file]').setInputFiles({ name: 'red.png', mimeType: 'image/png', buffer: flat(64, 64, [220, 30, 30]) });
  await says(into, 'Move the slider.');
  await slide(into.getByRole('slider'), 400);
  assert.equal(await seed.isEnabled(), true);
  await back.getByLabel('Start from').selectOption('picture');
  assert.equal(await seed.isDisabled(), true);
  await back.getByText('The noise is the one in the picture above.').waitFor();
  await back.getByLabel('Steps', { exact: true }).selectOption('5');
  await press(back, 'One step');
  await says(back, 'is taken.');
  const before = await pixelsOf(shot(back, 'What goes in'));
  await press(into, 'Again, with other noise');
  await says(back, 'made before you changed this');
  await press(back, 'One step');
  await says(back, 'Step 1 of 2 is taken.');
  assert.notEqual(await pixelsOf(shot(back, 'What goes in')), before, 'other noise');
  await back.getByLabel('Start from').selectOption('noise');
  assert.equal(await seed.isEnabled(), true);
});

test('eight seeds and the film: Enter makes them, another prompt marks both as old', async () => {
  const page = await open(it, { reducedMotion: 'reduce' });
  const vary = part(page, 'Why it varies');
  await vary.getByLabel('Prompt', { exact: true }).press('Enter');
  await says(vary, '8 pictures');
  await vary.getByLabel('Pictures', { exact: true }).selectOption('8');
  await vary.getByLabel('To seed').press('Enter');
  const [seeds, film] = [vary.locator('.eight'), vary.locator('.player')];
  await vary.getByText('Save as APNG').waitFor({ timeout: PATIENCE });
  assert.deepEqual([await seeds.getAttribute('data-old'), await film.getAttribute('data-old')], [null, null]);
  await vary.getByLabel('To seed').fill('5');
  assert.deepEqual([await seeds.getAttribute('data-old'), await film.getAttribute('data-old')], [null, '']);
  await vary.getByLabel('Prompt', { exact: true }).fill('a cat');
  assert.deepEqual([await seeds.getAttribute('data-old'), await film.getAttribute('data-old')], ['', '']);
  await says(vary, '“Eight seeds” makes it anew');
  await says(vary, '“Make the film” makes it anew');
});
