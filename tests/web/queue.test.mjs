/** Several pictures: a batch, variations, and the queue of what waits. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import ExifReader from 'exifreader';
import { Queue, singles } from '../../www/js/queue.js';
import {
  MODEL, STATUS, assertDone, begins, cancelButton, draw, finished, generateButton, pixels, promptOf, psnr, ready, says, set, shows, stand,
  useSettings, visitor,
} from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const thumbnails = (page) => page.locator('#earlier button');
const names = (page) => thumbnails(page).evaluateAll((all) => all.map((button) => button.getAttribute('aria-label')));
const enqueue = (page) => page.getByRole('button', { name: 'Add to queue' });
const waits = (page, words) => page.waitForFunction((w) => document.querySelector('#waiting-count').textContent === w
  && !document.querySelector('#waiting').hidden, words);
const nothingWaits = (page) => page.waitForFunction(() => document.querySelector('#waiting').hidden);
const words = (page) => page.getByRole('status').first().textContent();

/** What the file of the newest picture says, as ExifReader reads it. */
async function parameters(page) {
  const bytes = await page.evaluate(async () => {
    const database = await new Promise((done) => { indexedDB.open('opengen-pictures').onsuccess = ({ target }) => done(target.result); });
    const files = database.transaction('files').objectStore('files');
    const all = await new Promise((done) => { files.getAll().onsuccess = ({ target }) => done(target.result); });
    database.close();
    return [...new Uint8Array(await new Response(all.at(-1)).arrayBuffer())];
  });
  return (await ExifReader.load(Buffer.from(bytes))).parameters.value;
}

test('requests for several pictures count seeds up, and wrap', () => {
  const seeds = (request) => singles(request).map(({ seed, variationSeed }) => [seed, variationSeed]);
  assert.deepEqual(seeds({ batch: 3, seed: '18446744073709551614' }),
    [['18446744073709551614', undefined], ['18446744073709551615', undefined], ['0', undefined]]);
  assert.deepEqual(seeds({ batch: 2, seed: '5', variationStrength: 0.3, variationSeed: '9007199254740993' }),
    [['5', '9007199254740993'], ['5', '9007199254740994']]);
  assert.deepEqual(singles({ batch: 1, seed: '0', variationStrength: 0, variationSeed: '7' }), [{ seed: '0' }]);
});

test('the queue: a failure stops it, a cancelled job does not', async () => {
  const drawn = [];
  const outcomes = { b: 'cancelled', c: 'failed' };
  const queue = new Queue({
    draw: async ({ prompt }) => { drawn.push(prompt); await null; return outcomes[prompt] ?? 'done'; },
    onChange: () => {},
  });
  const idle = async () => { while (queue.running) await new Promise((done) => { setImmediate(done); }); };
  for (const prompt of ['a', 'b', 'c', 'd', 'e']) queue.add({ prompt, seed: '1' });
  await idle();
  assert.deepEqual([drawn.join(''), queue.paused, queue.waiting.length], ['abc', true, 2]);
  queue.remove(queue.waiting[0].id);
  queue.resume();
  await idle();
  assert.deepEqual([drawn.join(''), queue.paused, queue.waiting.length], ['abce', false, 0]);
});

test('a batch has the pictures that its seeds make alone', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Pictures: 3 });
  await draw(page, 'a cat on pink', { Steps: 2, Seed: 41 });
  assert.match(await words(page), /3 pictures, seeds 41 to 43$/);
  assert.deepEqual(await names(page), [43, 42, 41].map((seed) => `a cat on pink, seed ${seed}`));
  await thumbnails(page).nth(1).click();
  await says(page, 'An earlier picture');
  const second = await pixels(page);
  assert.equal(await page.getByLabel('Pictures', { exact: true }).inputValue(), '3', 'how many stays as set');
  await set(page, { Pictures: 1 });
  assert.equal(psnr(await draw(page, 'a cat on pink', { Seed: 42 }), second), Infinity);

  for (const [value, good] of [['0', '1'], ['9', '8'], ['1.5', '2'], ['', '1']]) {
    await set(page, { Pictures: value });
    await generateButton(page).click();
    await page.getByText('Pictures takes a whole number from 1 to 8.').waitFor();
    await set(page, { Pictures: good });
  }
});

test('a batch that is cancelled keeps what is done', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Pictures: 8, Steps: 4, Seed: 1 });
  await promptOf(page).fill('a cat on pink');
  await promptOf(page).press('Enter');
  await says(page, 'picture 2 of 8');
  await cancelButton(page).click();
  await finished(page);
  const count = Number(/(\d) of 8 pictures were made and are kept/.exec(await words(page))?.[1]);
  assert.ok(count >= 1 && count < 8, await words(page));
  assert.equal(await thumbnails(page).count(), count);
});

test('a variation lies between the two seeds, is written as A1111 does, and comes back', async () => {
  const page = await visitor(it);
  await ready(page);
  const lid = page.locator('#variation');
  const vary = async (strength, seed) => {
    await lid.evaluate((element) => { element.open = true; });
    await page.getByLabel('Strength', { exact: true }).fill(strength);
    await page.getByLabel('Variation seed', { exact: true }).fill(seed);
  };
  const from = await draw(page, 'a cat on pink', { Steps: 2, Seed: 1 });
  const to = await draw(page, 'a cat on pink', { Seed: 2 });
  await vary('1', '2');
  assert.ok(psnr(await draw(page, 'a cat on pink', { Seed: 1 }), to) > 60, 'all the way is the other picture');
  await vary('0.3', '2');
  await set(page, { Pictures: 2 });
  await draw(page, 'a cat on pink', { Seed: 1 });
  assert.match(await parameters(page), /, Seed: 1, .*, Variation seed: 3, Variation seed strength: 0\.3, RNG: CPU$/);
  const names4 = (await names(page)).slice(0, 2);
  assert.deepEqual(names4, ['a cat on pink, seed 1, variation 3', 'a cat on pink, seed 1, variation 2']);
  await thumbnails(page).nth(1).click();
  await says(page, 'An earlier picture · seed 1, variation 2');
  await page.getByLabel('Variation seed', { exact: true }).fill('9');
  await useSettings(page);
  assert.equal(await page.locator('#variationSeed').inputValue(), '2');
  const between = await pixels(page);
  assert.ok(psnr(between, from) < 60 && psnr(between, to) < 60, 'neither the one nor the other');
  assert.equal(await page.locator('#variation-state').textContent(), '0.3');

  await vary('1.5', '2');
  await generateButton(page).click();
  await page.getByText('The strength takes a number from 0 to 1.').waitFor();
  await vary('0.5', '-1');
  await generateButton(page).click();
  await page.getByText('The variation seed is a whole number').waitFor();
  await vary('0', '');
  await set(page, { Pictures: 1 });
  assert.equal(psnr(await draw(page, 'a cat on pink', { Seed: 1 }), from), Infinity);
  await draw(page, 'a cat on pink', { Seed: 3 });
  assert.match(await parameters(page), /Seed: 3/);
  assert.doesNotMatch(await parameters(page), /Variation/);
});

test('Vary makes another of the picture that is looked at', async () => {
  const page = await visitor(it);
  await ready(page);
  const from = await draw(page, 'a cat on pink', { Steps: 2, Seed: 1 });
  await promptOf(page).fill('something else that is being typed');
  await begins(page, () => page.getByRole('button', { name: 'Vary', exact: true }).click());
  await finished(page);
  await assertDone(page);
  assert.match((await names(page))[0], /^a cat on pink, seed 1, variation \d+$/);
  assert.notEqual(psnr(await pixels(page), from), Infinity);
  assert.match(await parameters(page), /Variation seed strength: 0\.2/);
  assert.equal(await promptOf(page).inputValue(), 'something else that is being typed');
});

test('what is asked for while a picture is made lines up, and each can be taken out', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 60, Seed: 1 });
  await promptOf(page).fill('a cat on pink');
  await shows(page, STATUS, 'step 1 of 60', () => promptOf(page).press('Enter'));
  assert.equal(await page.locator('#waiting').isVisible(), false);
  await set(page, { Steps: 1 });
  for (const prompt of ['a dog on red', 'a bee on red']) {
    await promptOf(page).fill(prompt);
    await promptOf(page).press('Enter');
  }
  await promptOf(page).fill('a fox on red');
  await enqueue(page).click();
  await waits(page, '3 waiting');
  const tooLong = 'a'.repeat(25000);
  await promptOf(page).fill(tooLong);
  await enqueue(page).click();
  await page.getByText('up to 20,000 fit').waitFor(); // refused at the field, not in the queue
  await waits(page, '3 waiting');

  await page.getByText('3 waiting').click();
  const list = page.getByRole('list', { name: 'Waiting' });
  assert.deepEqual(await list.getByRole('listitem').locator('span').allTextContents(), ['a dog on red', 'a bee on red', 'a fox on red']);
  await page.getByRole('button', { name: 'Remove from the queue: a bee on red' }).click();
  await waits(page, '2 waiting');
  assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /a fox on red$/, 'the focus goes on');

  await cancelButton(page).click();
  await page.locator('#notes').getByText('Cancelled. 2 more in the queue go on.').waitFor();
  await finished(page);
  await nothingWaits(page);
  assert.deepEqual(await names(page), ['a fox on red, seed 1', 'a dog on red, seed 1']);
  assert.equal(await promptOf(page).inputValue(), tooLong, 'the queue leaves the form alone');
});

test('the whole queue can be taken out, and the one being drawn goes on', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 12, Seed: 1 });
  await promptOf(page).fill('a cat on pink');
  await shows(page, STATUS, 'step 1 of 12', () => promptOf(page).press('Enter'));
  await enqueue(page).click();
  await enqueue(page).click();
  await page.getByText('2 waiting').click();
  await page.getByRole('button', { name: 'Remove all' }).click();
  await nothingWaits(page);
  await finished(page);
  await assertDone(page);
  assert.equal(await thumbnails(page).count(), 1);
});

test('an earlier picture can be looked at while another is made', async () => {
  const page = await visitor(it);
  await ready(page);
  const first = await draw(page, 'a cat on pink', { Steps: 1, Seed: 1 });
  await set(page, { Steps: 12, Seed: 2 });
  await shows(page, STATUS, 'step 2 of 12', () => promptOf(page).press('Enter'));
  await thumbnails(page).first().click();
  await page.waitForFunction(() => !document.querySelector('#use-settings').hidden);
  assert.equal(await page.locator('#steps').inputValue(), '12', 'looking changes nothing');
  await says(page, 'Developing');
  assert.equal(psnr(await pixels(page), first), Infinity, 'previews do not cover it');
  await finished(page);
  assert.equal(await thumbnails(page).count(), 2);
  assert.equal(psnr(await pixels(page), first), Infinity);
});

test('when the engine breaks, the ones that wait are kept and go on with Retry', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 100, Seed: 1 });
  await promptOf(page).fill('a cat on pink');
  await promptOf(page).press('Enter');
  await cancelButton(page).waitFor();
  await set(page, { Steps: 1 });
  await promptOf(page).fill('a dog on pink');
  await promptOf(page).press('Enter');
  await waits(page, '1 waiting');
  await page.workers().at(-1).evaluate(() => { setTimeout(() => { throw new Error('pulled'); }); });
  const alert = page.getByRole('alert');
  await alert.getByRole('button', { name: 'Start again' }).waitFor();
  await waits(page, '1 waiting');
  await alert.getByRole('button', { name: 'Start again' }).click();
  await finished(page);
  await page.getByRole('button', { name: 'a dog on pink, seed 1' }).waitFor();
  await nothingWaits(page);
});

test('a click on an example lines up too', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 30 });
  const [one, two] = MODEL.examples;
  await begins(page, () => page.getByRole('button', { name: one.prompt, exact: true }).click());
  await page.getByRole('button', { name: two.prompt, exact: true }).click();
  await waits(page, '1 waiting');
  await finished(page);
  assert.deepEqual(await names(page), [two, one].map(({ prompt, seed }) => `${prompt}, seed ${seed}`));
});
