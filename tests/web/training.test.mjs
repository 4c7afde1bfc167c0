/** A training step: the target, the model's answer and the error are the true ones. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { asked, meanSquare, mixed, squaresByCell } from '../../www/learn/asked.js';
import { flat, open, part, pixelsOf, says, shot } from './learn.mjs';
import { MODEL, MOTION, PATIENCE, draw, ready, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#how', light: true });
const still = { reducedMotion: 'reduce' };
const press = (scope, name) => scope.getByRole('button', { name, exact: true }).click();
const DONE = 'Three times, one noise.';
const levels = (training) => training.locator('.level');
const errors = async (training) => (await training.locator('.error').allTextContents()).map((words) => Number(words.replace('Error ', '')));

test('what a model is asked for: the noise, the picture, or v of both; a right answer has no error', () => {
  const shares = { signal: 0.8, noise: 0.6 };
  const [clean, noise] = [[1, -2, 0.5, 0], [0.5, 1, -1, 2]].map((values) => Float32Array.from(values));
  assert.deepEqual(asked('epsilon', shares, clean, noise), noise);
  assert.deepEqual(asked('sample', shares, clean, noise), clean);
  assert.deepEqual(asked('v_prediction', shares, clean, noise), Float32Array.from([0.8 * 0.5 - 0.6, 0.8 + 1.2, -0.8 - 0.3, 1.6]));
  assert.throws(() => asked('score', shares, clean, noise), /"score"/);
  assert.deepEqual(mixed(shares, clean, noise), Float32Array.from([0.8 + 0.3, -1.6 + 0.6, 0.4 - 0.6, 1.2]));
  assert.equal(meanSquare(clean, clean), 0);
  assert.equal(meanSquare(clean, noise), (0.25 + 9 + 2.25 + 4) / 4);
  // Two channels of two cells.
  assert.deepEqual(squaresByCell(clean, noise, 2), Float32Array.from([(0.25 + 2.25) / 2, (9 + 4) / 2]));

  // Whatever the model says, the picture and the noise it sees there give it back.
  const x = mixed(shares, clean, noise);
  const says = Float32Array.from([0.3, -0.7, 1.1, 0]);
  const sees = x.map((value, i) => 0.8 * value - 0.6 * says[i]);
  const hears = x.map((value, i) => 0.6 * value + 0.8 * says[i]);
  assert.ok(meanSquare(asked('v_prediction', shares, sees, hears), says) < 1e-12);
});

/** In the page: the errors at three times, reckoned from the engine's own numbers, with a caption and without. */
async function reckon([{ prompt, seed, times, noiseSeed }]) {
  const [{ OpenGen }, { MODELS: [model] }] = await Promise.all([import('/client.js'), import('/models.js')]);
  const og = await OpenGen.create({ engine: 'cpu' });
  try {
    await og.models.load(model);
    const { image } = await og.generate({ prompt, seed, ...model.defaults });
    const latents = await og.study({ what: 'encode', image });
    const request = { prompt, negativePrompt: '', seed: noiseSeed, rng: 'torch', schedule: 'default', sampler: 'ddim', steps: 20,
      guidance: 1, batch: 1, previews: false, width: model.width, height: model.height };
    const { latents: noise, steps } = await og.study({ what: 'begin', request });
    const found = [];
    for (const time of times) {
      const index = steps.findIndex(({ timestep }) => timestep === time - 1);
      const { cleanX, cleanModel, sigma } = steps[index];
      const signal = 1 / Math.sqrt(1 + sigma * sigma);
      const level = sigma * signal;
      const input = latents.map((x, i) => signal * x + level * noise[i]);
      for (const caption of [prompt, '']) {
        const { clean } = await og.study({ what: 'step', request: { ...request, prompt: caption }, index, latents: input });
        let sum = 0;
        for (let i = 0; i < input.length; i++) {
          const v = (clean.latents[i] - cleanX * input[i]) / cleanModel;
          sum += (v - (signal * noise[i] - level * latents[i])) ** 2;
        }
        found.push(sum / input.length);
      }
    }
    return found;
  } finally {
    await og.dispose();
  }
}

test('a training step: the errors are those of the model’s own answers, and the caption makes them smaller', async () => {
  const page = await open(it, still);
  const training = part(page, 'A training step');
  const { prompt, seed } = MODEL.examples[0];
  await training.getByText('This model is asked for v.').waitFor();
  await training.getByLabel('Seed', { exact: true }).fill('5');
  await training.getByLabel('Seed', { exact: true }).press('Enter');
  await says(training, DONE);
  assert.deepEqual((await levels(training).locator('h3').allTextContents()), ['Little noise', 'Half way', 'Much noise']);
  const times = (await levels(training).locator('h3 + .numbers').allTextContents()).map((words) => Number(/^t = (\d+) /.exec(words)[1]));
  assert.deepEqual(times, [100, 500, 900]);

  const expected = await page.evaluate(reckon, [{ prompt, seed, times, noiseSeed: 5 }]);
  const given = await errors(training);
  for (const [i, error] of given.entries()) assert.ok(Math.abs(error - expected[2 * i]) < 0.0015, `${given} for ${expected}`);
  assert.ok(given.every((error) => error > 0), `${given}`);

  assert.equal(await training.getByText('Without the caption').first().isVisible(), false, 'left to be guessed');
  const [answer, target, off] = ['The answer', 'What it should have been', 'The difference']
    .map((name) => shot(levels(training).last(), name));
  const before = await Promise.all([answer, target, off].map(pixelsOf));
  assert.notEqual(before[0], before[1], 'an answer, not the target again');
  await training.getByLabel('The model is given the caption').uncheck();
  const withheld = await errors(training);
  for (const [i, error] of withheld.entries()) assert.ok(Math.abs(error - expected[2 * i + 1]) < 0.0015, `${withheld} for ${expected}`);
  assert.ok(withheld[2] > given[2], 'where much is noise, words tell the more');
  const after = await Promise.all([answer, target, off].map(pixelsOf));
  assert.deepEqual(before.map((pixels, i) => pixels === after[i]), [false, true, false], 'the target asks no caption');
  assert.match(await off.getAttribute('aria-label'), new RegExp(`^The difference, Much noise, t = 900: Error ${withheld[2]}`));
  const better = given.filter((error, i) => error < withheld[i]).length;
  await training.getByText(`With the caption: ${given[2].toFixed(3)}`).waitFor();
  await training.getByText(`smaller at ${better} of the 3 times`).waitFor();

  await training.getByLabel('The model is given the caption').check();
  const worst = withheld.indexOf(Math.max(...withheld));
  await training.getByRole('group', { name: /A guess first/ }).getByRole('button', { name: ['Little noise', 'Half way', 'Much noise'][worst] }).click();
  await training.getByText(`Yes: ${['Little noise', 'Half way', 'Much noise'][worst]}, with an error of ${withheld[worst].toFixed(3)}.`).waitFor();
  await training.getByText(`With the caption the error there is ${given[worst].toFixed(3)}.`).waitFor();
  assert.equal(await training.getByLabel('The model is given the caption').isChecked(), false, 'it is shown');
  assert.deepEqual(page.trouble, []);
});

test('a training step with a picture of one’s own, pasted where one is; the one above and the last one drawn', async () => {
  const page = await visitor(it, { ...still, path: '?engine=cpu' });
  await ready(page);
  await draw(page, 'a fox in the snow', { Steps: 2 });
  await page.getByRole('link', { name: 'How it works' }).click();
  const training = part(page, 'A training step');
  const [picture, caption] = [training.getByLabel('Picture', { exact: true }), training.getByLabel('Caption', { exact: true })];
  const goesIn = () => pixelsOf(shot(levels(training).first(), 'What goes in'));
  const option = (name) => picture.locator('option', { hasText: name });
  await page.waitForFunction(() => document.querySelector('#how-training option[value="last"]')?.disabled === false);
  assert.deepEqual([await option('under “Into noise”').isDisabled(), await option('your own').isDisabled()], [true, true]);
  await picture.selectOption('last');
  assert.equal(await caption.inputValue(), 'a fox in the snow', 'what it was drawn of is its caption');
  await press(training, 'Take the step');
  await says(training, DONE);
  const fox = await goesIn();

  await training.getByRole('heading', { level: 2 }).scrollIntoViewIfNeeded();
  await caption.focus();
  await page.evaluate((text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], 'pasted.png', { type: 'image/png' }));
    document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true }));
  }, flat(64, 64, [0, 0, 255]).toString('base64'));
  await page.waitForFunction(() => document.querySelector('#how-training select').value === 'own');
  await says(training, DONE);
  assert.notEqual(await goesIn(), fox);
  assert.equal(await caption.inputValue(), '', 'nobody has said what it shows');
  assert.equal(await part(page, 'Into noise').locator('[data-empty]').count(), 2, 'the other part did not take it');
  await caption.fill('a blue background');
  await says(training, '“Take the step” makes it anew');

  await training.locator('input[type=file]').setInputFiles({ name: 'notes.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
  await says(training, 'This file is not a picture');
  const blue = await goesIn();
  await part(page, 'Into noise').locator('input[type=file]').setInputFiles({ name: 'red.png', mimeType: 'image/png', buffer: flat(64, 64, [220, 30, 30]) });
  await says(part(page, 'Into noise'), 'Move the slider.');
  await picture.selectOption('above');
  await press(training, 'Take the step');
  await says(training, DONE);
  assert.notEqual(await goesIn(), blue);
  const seed = training.getByLabel('Seed', { exact: true });
  await seed.fill('-3');
  await press(training, 'Take the step');
  await says(training, /^The seed takes a whole number from 0 to 18446744073709551615\.$/);
  await press(training, 'With other noise');
  await says(training, DONE);
  assert.match(await seed.inputValue(), /^\d+$/);
  assert.deepEqual(page.trouble, []);
});

test('a guess about a training step that was stopped is taken back; one on its way is answered by the step that comes', async () => {
  const page = await open(it, still);
  const training = part(page, 'A training step');
  const guess = training.getByRole('group', { name: /A guess first/ });
  const much = guess.getByRole('button', { name: 'Much noise' });
  await much.click();
  await training.getByRole('button', { name: 'Stop' }).click();
  await guess.getByText('It did not come to its end: guess again.').waitFor();
  assert.equal(await much.getAttribute('aria-pressed'), 'false');
  await much.click();
  await guess.getByText(/^(Yes|No): .* With the caption the error there is \d\.\d{3}\.$/).waitFor({ timeout: PATIENCE });
  await press(training, 'With other noise');
  await much.click(); // while other noise is on its way
  await guess.getByText(/^(Yes|No): /).waitFor({ timeout: PATIENCE });
  const [without] = (await guess.locator('.verdict').textContent()).match(/\d\.\d{3}/);
  assert.ok((await training.locator('.error').allTextContents()).includes(`Error ${without}`), 'of what is shown');
});

test('a training step is taken by itself when it comes into view', async () => {
  const page = await visitor(it, { ...MOTION, path: '?engine=cpu#how-training' });
  await ready(page);
  await says(part(page, 'A training step'), DONE);
});
