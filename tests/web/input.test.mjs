/** What a visitor types: settings that cannot be, prompts of every kind, cancelling, keys. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { LIMITS } from '../../www/limits.js';
import {
  MODEL, STATUS, assertDone, assertPicture, begins, cancelButton, draw, finished, generateButton, picture, pixels, promptOf, psnr,
  ready, says, set, shows, stand, visitor,
} from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });

/** Presses Generate and expects a refusal at the field. */
async function refused(page, label, words) {
  await generateButton(page).click();
  const field = page.getByLabel(label, { exact: true });
  await page.waitForFunction(() => document.querySelector('[aria-invalid="true"]'));
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  const error = page.locator(`#${(await field.getAttribute('aria-describedby')).split(' ')[0]}`);
  assert.ok(await error.isVisible(), `the message at ${label} is visible`);
  assert.match(await error.textContent(), words);
  assert.ok(await field.evaluate((element) => element === document.activeElement), `${label} has the focus`);
  assert.equal(await cancelButton(page).count(), 0, 'nothing was started');
}

test('settings that cannot be are refused at their field', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('a red apple');
  for (const [label, value, words, good] of [
    ['Steps', '0', /whole number from 1/, '2'],
    ['Steps', '2.5', /whole number/, '2'],
    ['Steps', '', /whole number/, '2'],
    ['Guidance', '', /number from 0/, '2'],
    ['Guidance', '-1', /number from 0 to 100/, '2'],
    ['Steps', '1001', /number from 1 to 1000/, '2'],
    ['Width', '65', /multiple of 8, such as 64/, String(MODEL.width)],
    ['Height', '24', /from 32 to 2048/, String(MODEL.height)],
    ['Seed', '-3', /whole number/, '1'],
    ['Seed', '18446744073709551616', /whole number/, '18446744073709551615'],
  ]) {
    await set(page, { [label]: value });
    await refused(page, label, words);
    await set(page, { [label]: good });
    assert.equal(await page.getByLabel(label, { exact: true }).getAttribute('aria-invalid'), null, 'mended by typing');
  }
  // A number field hands on no text that is no number, so NaN arrives as nothing.
  await page.getByLabel('Guidance', { exact: true }).press('ControlOrMeta+a');
  await page.keyboard.type('e');
  await refused(page, 'Guidance', /number from 0/);
  await set(page, { Guidance: 2 });
  assertPicture(await draw(page, 'a red apple'));
  assert.match(await page.getByRole('status').first().textContent(), /seed 18446744073709551615$/);
});

test('a prompt of 25,000 characters is refused at its field', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('a'.repeat(25000));
  await refused(page, 'Prompt', /25,000 characters; up to 20,000/);
  await set(page, { 'Negative prompt': 'b '.repeat(12500) });
  await promptOf(page).fill('a red apple');
  await refused(page, 'Negative prompt', /25,000 characters/);
});

test('a long prompt is drawn, and says when it was cut', async () => {
  const page = await visitor(it);
  await ready(page);
  const long = 'a large red apple on a light blue background, '.repeat(40).trim();
  assertPicture(await draw(page, long, { Steps: 1 }));
  const note = page.locator('#notes');
  assert.ok(await note.isVisible(), 'a note under the prompt');
  assert.match(await note.textContent(), /prompt/i);
});

test('emoji, right-to-left and other scripts are drawn, in words that the model knows', async () => {
  const page = await visitor(it);
  await ready(page);
  for (const [prompt, words] of [
    ['🦊 on 🟩', 'fox on green'], ['تفاحة حمراء على خلفية زرقاء', 'red apple on a blue background'], ['赤いリンゴ', 'red apple'],
    ['naïve \u0000 “quotes” <b>&amp;</b>', 'naïve \u0000 “quotes” <b>&amp;</b>'],
  ]) {
    const image = await draw(page, prompt, { Steps: 1 });
    assert.deepEqual([image.width, image.height], [MODEL.width, MODEL.height]);
    assert.equal(await picture(page).getAttribute('aria-label'), words);
    assert.equal(await promptOf(page).inputValue(), prompt);
  }
  await promptOf(page).fill('تفاحة حمراء');
  assert.equal(await promptOf(page).evaluate((element) => getComputedStyle(element).direction), 'rtl');
  assert.deepEqual(page.trouble, []);
});

test('the same seed gives the same picture, another seed another', async () => {
  const page = await visitor(it);
  await ready(page);
  const one = await draw(page, 'a cat on pink', { Steps: 2, Seed: 1 });
  assert.equal(await page.getByRole('checkbox', { name: 'Random seed' }).isChecked(), false);
  assert.equal(psnr(one, await draw(page, 'a cat on pink')), Infinity);
  assert.notEqual(psnr(one, await draw(page, 'a cat on pink', { Seed: 2 })), Infinity);
  await page.getByRole('checkbox', { name: 'Random seed' }).check();
  await draw(page, 'a cat on pink');
  assert.notEqual(await page.getByRole('spinbutton', { name: 'Seed' }).inputValue(), '2', 'the drawn seed is shown');
  assert.equal(await page.getByRole('checkbox', { name: 'Random seed' }).isChecked(), true);
});

test('every sampler draws', async () => {
  const page = await visitor(it);
  await ready(page);
  for (const sampler of LIMITS.samplers) {
    assertPicture(await draw(page, 'a rainbow on black', { Steps: 2, Seed: 4, Sampler: sampler }));
  }
  assertPicture(await draw(page, 'a rainbow on black', { Sampler: 'euler', Schedule: 'karras', Noise: 'philox' }));
});

test('another size is drawn at that size', async () => {
  const page = await visitor(it);
  await ready(page);
  const wide = await draw(page, 'a rainbow on black', { Steps: 1, Width: MODEL.width + 32, Height: MODEL.height });
  assert.deepEqual([wide.width, wide.height], [MODEL.width + 32, MODEL.height]);
});

test('Cancel takes effect within a step and keeps prompt and settings', async () => {
  const page = await visitor(it);
  await ready(page);
  const kept = await draw(page, 'a ghost on orange', { Steps: 2, Seed: 5 });
  await set(page, { Steps: 60 });
  await promptOf(page).fill('a fox on dark green');
  await generateButton(page).click();
  const steps = [];
  for (const n of [2, 3]) {
    await page.waitForFunction((k) => Number(/step (\d+) of/.exec(document.querySelector('[role="status"]').textContent)?.[1]) >= k, n);
    steps.push(Date.now());
  }
  const step = steps[1] - steps[0];
  await page.waitForTimeout(300); // sooner, it would be a double click
  steps[1] = Date.now();
  await cancelButton(page).click();
  await finished(page);
  const took = Date.now() - steps[1];
  assert.ok(took < 2 * step + 1000, `cancelled after ${took} ms; a step takes ${step} ms`);
  assert.match(await page.getByRole('status').first().textContent(), /^Cancelled/);
  assert.equal(await promptOf(page).inputValue(), 'a fox on dark green');
  assert.equal(await page.getByRole('spinbutton', { name: 'Steps' }).inputValue(), '60');
  assert.equal(psnr(await pixels(page), kept), Infinity, 'the picture before is back');
  assertPicture(await draw(page, 'a fox on dark green', { Steps: 2 }));
});

test('what is typed survives a reload', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('a whale on');
  await set(page, { 'Negative prompt': 'red', Steps: 7, Guidance: 3.5, Sampler: 'euler', Seed: 77 });
  await page.reload();
  await ready(page);
  assert.equal(await promptOf(page).inputValue(), 'a whale on');
  for (const [label, value] of Object.entries({ 'Negative prompt': 'red', Steps: '7', Guidance: '3.5', Sampler: 'euler', Seed: '77' })) {
    assert.equal(await page.getByLabel(label, { exact: true }).inputValue(), value, label);
  }
});

test('everything can be done with the keyboard', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 30 });
  await page.reload(); // Tab begins at the top
  await ready(page);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'skip');
  await page.keyboard.press('Enter');
  await page.keyboard.type('a red apple');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('on pink');
  assert.equal(await promptOf(page).inputValue(), 'a red apple\non pink');
  await shows(page, STATUS, 'step 1 of 30', () => page.keyboard.press('Enter'));
  for (const next of ['Settings', 'Cancel']) {
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), next);
  }
  await page.keyboard.press('Enter');
  await finished(page);
  await set(page, { Steps: 2 });
  await generateButton(page).focus();
  await begins(page, () => page.keyboard.press('Enter'));
  await finished(page);
  await assertDone(page);
});

test('the words the model knows are found and put into the prompt, which keeps what it had', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('a small');
  const words = page.locator('#knows-words');
  assert.equal(await words.locator('*').count(), 0, 'made when it is asked for');
  await page.getByText('Everything it knows').click();
  await words.getByRole('button').first().waitFor();
  const known = Object.values(MODEL.knows).flatMap((groups) => Object.values(groups).flat());
  assert.deepEqual(await words.getByRole('button').allTextContents(), known);
  await page.getByLabel('Find a word').fill(' Pizza ');
  const shown = words.getByRole('button').filter({ visible: true });
  assert.deepEqual(await shown.allTextContents(), ['slice of pizza']);
  await shown.first().click();
  assert.equal(await promptOf(page).inputValue(), 'a small slice of pizza');
  await page.getByLabel('Find a word').fill('donut');
  assert.deepEqual(await shown.allTextContents(), ['doughnut'], 'found by another of its names');
  await page.getByLabel('Find a word').fill('styles');
  await words.getByRole('button', { name: 'watercolor', exact: true }).click();
  assert.equal(await promptOf(page).inputValue(), 'a small slice of pizza watercolor');
  await page.getByLabel('Find a word').fill('xyzzy');
  assert.ok(await page.getByText('It has no such word.').isVisible());
  assert.equal(await shown.count(), 0);
});

test('a prompt that names nothing the model can draw is said to, and its words are named', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 1 });
  const notes = page.locator('#notes');
  for (const [prompt, said] of [['a cyberpunk city', true], ['a cat', false], ['🐱', false]]) {
    await promptOf(page).fill(prompt);
    await begins(page, () => generateButton(page).click());
    await finished(page);
    const words = await notes.textContent();
    assert.equal(words.includes('names nothing that Mini can draw (it does not know “cyberpunk”, “city”)'), said, prompt);
  }
});

test('a surprise is made of words the model knows', async () => {
  const { surprisePrompt } = await import('../../www/js/vocabulary.js');
  const { things, around } = MODEL.knows;
  const every = [things, around].flatMap((groups) => Object.values(groups).flat());
  const seen = new Set(Array.from({ length: 300 }, () => surprisePrompt(MODEL.knows)));
  assert.ok(seen.size > 250);
  for (const prompt of seen) {
    let rest = prompt;
    for (const word of every.toSorted((a, b) => b.length - a.length)) rest = rest.replace(word, '');
    assert.match(rest, /^ *(, )?$/, prompt);
  }
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 1 });
  await page.getByRole('button', { name: 'Surprise me' }).click();
  await says(page, 'Done in');
  const prompt = await promptOf(page).inputValue();
  assert.ok(Object.values(things).flat().some((thing) => prompt.includes(thing)), prompt);
});

test('who wants one seed and has none gets one; what is wrong is said beside the button too', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.getByRole('checkbox', { name: 'Random seed' }).uncheck({ force: true });
  assert.match(await page.getByRole('spinbutton', { name: 'Seed', exact: true }).inputValue(), /^\d+$/);
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('');
  await promptOf(page).press('Enter');
  await says(page, 'One setting needs a look');
});
