/** How it works: each part does what it says, with the model in the tab. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import { SAMPLERS } from '../../www/limits.js';
import { everyLook, poorContrast } from './contrast.mjs';
import { flat, open as openFor, part, pixelsOf, says, shot, slide } from './learn.mjs';
import { MODEL, PATIENCE, kept, promptOf, ready, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#how', light: true });

const open = (options) => openFor(it, options);

test('the two views have addresses, titles and a way between them', async () => {
  const page = await open();
  assert.equal(await page.title(), 'How it works · OpenGen');
  assert.equal(await promptOf(page).first().isVisible(), true, 'a prompt of the view itself');
  assert.equal(await page.getByRole('button', { name: 'Generate', exact: true }).isVisible(), false);
  await page.getByRole('link', { name: 'Create' }).click();
  await page.getByRole('button', { name: 'Generate', exact: true }).waitFor();
  assert.match(await page.title(), /pictures from words/);
  await page.goBack();
  await page.getByRole('heading', { name: 'Into noise' }).waitFor();
  for (const title of ['Into noise', 'Back out of noise', 'Words into pictures', 'Why it varies', 'Begin in the middle', 'A training step', 'Your own', 'A new word']) {
    assert.equal(await part(page, title).count(), 1, title);
    assert.ok(await part(page, title).getByText('The formula').count(), `${title}: the formula`);
    assert.ok(await part(page, title).getByRole('link', { name: /\d{4}/ }).count(), `${title}: a paper`);
  }
  await page.getByRole('navigation', { name: 'On this page' }).getByRole('link', { name: 'Why it varies' }).click();
  await page.waitForFunction(() => document.activeElement.textContent === 'Why it varies');
  assert.deepEqual(page.trouble, []);
});

test('a page that never looks at it fetches none of it', async () => {
  const page = await visitor(it, { path: '?engine=cpu' });
  await ready(page);
  const fetched = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname));
  assert.deepEqual(fetched.filter((path) => /^\/(learn|css)\//.test(path) && /learn|machine/.test(path)), []);
});

test('into noise: an example loses its signal along the schedule, and other noise is other noise', async () => {
  const page = await open();
  const into = part(page, 'Into noise');
  await into.getByRole('button', { name: 'Make this example' }).click();
  await says(into, 'Move the slider.');
  const [pixels, latents] = [shot(into, 'In pixels'), shot(into, 'In latents')];
  const clean = await pixelsOf(pixels);
  assert.match(clean, new RegExp(`^${MODEL.width},${MODEL.height},`));
  assert.match(await pixelsOf(latents), /^16,16,/);
  const slider = into.getByRole('slider');
  assert.equal(await slider.getAttribute('max'), '1000');

  await slide(slider, 1000);
  await page.waitForFunction(() => /t = 1000,/.test(document.querySelector('#how-into canvas').ariaLabel));
  // The last ᾱ of scaled_linear 0.00085 … 0.012 is 0.00466.
  assert.equal(await into.locator('output').textContent(), 't = 1000 · signal 0.068 · noise 0.998');
  const noise = await pixelsOf(pixels);
  assert.notEqual(noise, clean);
  await into.getByRole('button', { name: 'Again' }).click();
  await page.waitForFunction((before) => {
    const canvas = document.querySelector('#how-into canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return `${canvas.width},${canvas.height},${btoa(String.fromCharCode(...data))}` !== before;
  }, noise);

  await slider.focus();
  await page.keyboard.press('Home');
  await page.waitForFunction(() => /t = 0,/.test(document.querySelector('#how-into canvas').ariaLabel));
  assert.equal(await pixelsOf(pixels), clean, 'at t = 0 nothing is added');
  assert.deepEqual(page.trouble, []);
});

test('into noise: a picture of one’s own, cut to size; what is no picture is told', async () => {
  const page = await open();
  const into = part(page, 'Into noise');
  const file = into.locator('input[type=file]');
  await file.setInputFiles({ name: 'wide.png', mimeType: 'image/png', buffer: flat(300, 100, [200, 30, 40]) });
  await says(into, 'Move the slider.');
  const [size, base64] = (await pixelsOf(shot(into, 'In pixels'))).split(/,(?=[^,]*$)/);
  assert.equal(size, `${MODEL.width},${MODEL.height}`);
  assert.deepEqual([...Buffer.from(base64, 'base64').subarray(0, 4)], [200, 30, 40, 255]);

  await file.setInputFiles({ name: 'notes.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
  await says(into, 'This file is not a picture');
  assert.match(await pixelsOf(shot(into, 'In pixels')), /^128,128,/, 'the last picture stays');

  const paste = flat(10, 10, [0, 0, 255]).toString('base64');
  await page.evaluate((text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], 'pasted.png', { type: 'image/png' }));
    document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true }));
  }, paste);
  await says(into, 'Move the slider.');
  const pasted = (await pixelsOf(shot(into, 'In pixels'))).split(',')[2];
  assert.deepEqual([...Buffer.from(pasted, 'base64').subarray(0, 4)], [0, 0, 255, 255]);
});

test('into noise: pictures that are huge, cut short or no pictures inside; the last good one stays', async () => {
  const page = await open();
  const into = part(page, 'Into noise');
  const file = into.locator('input[type=file]');
  const choose = (name, buffer) => file.setInputFiles({ name, mimeType: 'image/png', buffer });
  await choose('huge.png', flat(9000, 7000, [10, 200, 30])); // 252 MB once it is unpacked
  await says(into, 'Move the slider.');
  const green = await pixelsOf(shot(into, 'In pixels'));
  assert.deepEqual([...Buffer.from(green.split(',')[2], 'base64').subarray(0, 4)], [10, 200, 30, 255]);

  const whole = flat(64, 64, [1, 2, 3]);
  const beyond = Buffer.from(whole); // says that it is two thousand million pixels wide
  beyond.writeUInt32BE(2_000_000_000, 16);
  for (const [name, bytes] of [['cut.png', whole.subarray(0, 40)], ['empty.png', Buffer.alloc(0)], ['beyond.png', beyond]]) {
    await choose(name, bytes);
    await says(into, 'This file is not a picture');
    assert.equal(await pixelsOf(shot(into, 'In pixels')), green, name);
    assert.equal(await into.getByRole('slider').isEnabled(), true, name);
    await choose('whole.png', whole); // and the next one is taken as ever
    await says(into, 'Move the slider.');
    await choose('huge.png', flat(640, 640, [10, 200, 30]));
    await says(into, 'Move the slider.');
    await page.waitForFunction((base64) => {
      const canvas = document.querySelector('#how-into canvas');
      return btoa(String.fromCharCode(...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)) === base64;
    }, green.split(',')[2]);
  }
  assert.deepEqual(page.trouble, []);
});

test('back out of noise: one step, then all; the end is the picture that Create makes', async () => {
  const page = await open();
  const back = part(page, 'Back out of noise');
  const { prompt, seed } = MODEL.open;
  await back.getByLabel('Steps', { exact: true }).selectOption('5');
  await back.getByRole('button', { name: 'One step' }).click();
  await says(back, 'Step 1 of 5 is taken.');
  assert.match(await back.locator('.numbers').first().textContent(), /^Step 1 of 5 · t = 1000 · σ 14\.6\d+ · signal 0\.07 · noise 1\.00$/);
  // x̂₀ = signal · x − noise · v̂ as Salimans and Ho have it; DDIM's step turns by the angle between the two times, 7.2°.
  assert.deepEqual(await back.locator('.live').allTextContents(), ['x^0=0.068·x−0.998·v^', 'next=0.992·x−0.125·v^']);
  await back.getByRole('button', { name: 'Run' }).click();
  await says(back, 'All steps are taken.');
  const finished = await pixelsOf(shot(back, 'The finished picture'));

  const scrub = back.getByRole('slider', { name: 'Step shown' });
  await slide(scrub, 2);
  await back.getByText(/^Step 2 of 5/).waitFor();
  await page.waitForFunction(() => [0, 3, 4].every((i) => document.querySelectorAll('#how-back figure canvas')[i].width === 128)); // decoded
  assert.match(await pixelsOf(shot(back, 'The answer, v')), /^16,16,/, 'which is no picture');
  await back.getByLabel('Through the decoder').uncheck();
  await page.waitForFunction(() => document.querySelectorAll('#how-back figure canvas')[4].width === 16);

  await page.getByRole('link', { name: 'Create' }).click();
  await page.locator('#prompt').fill(prompt);
  await page.locator('#steps').fill('5');
  await page.locator('#sampler').selectOption('ddim');
  await page.locator('#seed').fill(String(seed));
  await page.locator('#prompt').press('Enter');
  await page.waitForFunction(() => /^Done in/.test(document.querySelector('#status').textContent), null, { timeout: PATIENCE });
  assert.equal(await pixelsOf(page.locator('#picture')), finished, 'the same steps, the same picture');
  assert.deepEqual(page.trouble, []);
});

test('back out of noise: a run does not wait for pictures that nobody has time to look at', async () => {
  const page = await open();
  const back = part(page, 'Back out of noise');
  await page.evaluate(() => {
    window.decoded = 0;
    const of = (name) => [...document.querySelectorAll('.drawing a')].find((box) => box.querySelector('.name').textContent === name);
    new MutationObserver((changes) => {
      for (const { target } of changes) window.decoded += target.hasAttribute('data-lit') ? 1 : 0;
    }).observe(of('Autoencoder'), { attributeFilter: ['data-lit'] });
  });
  const decoded = () => page.evaluate(() => window.decoded);
  await back.getByRole('button', { name: 'Run' }).click();
  await says(back, 'All steps are taken.');
  await page.waitForFunction(() => [0, 3, 4].every((i) => document.querySelectorAll('#how-back figure canvas')[i].width === 128));
  assert.equal(await decoded(), 3, 'what went into the last step, its guess, the end');
  await slide(back.getByRole('slider', { name: 'Step shown' }), 4);
  await page.waitForFunction(() => [0, 3, 4].every((i) => document.querySelectorAll('#how-back figure canvas')[i].width === 128));
  assert.equal(await decoded(), 6, 'and those of a step that is looked at');
});

test('back out of noise: of Heun’s a step is taken whole, with both answers; samplers that remember are not offered', async () => {
  const page = await open();
  const back = part(page, 'Back out of noise');
  const { prompt, seed } = MODEL.open;
  const sampler = back.getByLabel('Sampler', { exact: true });
  const alone = Object.values(SAMPLERS).filter((row) => row.alone).map((row) => row.title);
  assert.deepEqual(await sampler.locator('option').allTextContents(), alone);
  assert.ok(alone.includes('Heun') && !alone.includes('LMS'));
  await sampler.selectOption('heun');
  await back.getByLabel('Steps', { exact: true }).selectOption('5');
  await back.getByRole('button', { name: 'One step' }).click();
  await says(back, 'Step 1 of 5 is taken.');
  assert.match(await back.locator('.live').nth(1).textContent(), /^next=\d\.\d+·x[−+]\d\.\d+·v\^1[−+]\d\.\d+·v\^2$/);
  await back.getByRole('button', { name: 'Run' }).click();
  await says(back, 'All steps are taken.');
  assert.match(await back.locator('.live').nth(1).textContent(), /·v\^$/, 'the last step is Euler’s');
  const finished = await pixelsOf(shot(back, 'The finished picture'));

  await page.getByRole('link', { name: 'Create' }).click();
  await page.locator('#prompt').fill(prompt);
  await page.locator('#steps').fill('5');
  await page.locator('#sampler').selectOption('heun');
  await page.locator('#seed').fill(String(seed));
  await page.locator('#prompt').press('Enter');
  await page.waitForFunction(() => /^Done in/.test(document.querySelector('#status').textContent), null, { timeout: PATIENCE });
  assert.equal(await pixelsOf(page.locator('#picture')), finished, 'the same steps, the same picture');
  assert.deepEqual(page.trouble, []);
});

test('back out of noise: side by side from the same noise, and from the noised picture', async () => {
  const page = await open();
  const back = part(page, 'Back out of noise');
  await back.getByLabel('Steps', { exact: true }).selectOption('5');
  await back.getByLabel('Side by side').selectOption('guidance');
  await back.getByRole('button', { name: 'One step' }).click();
  await says(back, 'Step 1 of 5 is taken.');
  const lanes = back.locator('.lane');
  assert.deepEqual(await lanes.locator('h3').allTextContents(), ['Guidance 1', 'Guidance 7']);
  const [a, b] = [lanes.nth(0), lanes.nth(1)];
  assert.equal(await pixelsOf(shot(a, 'What goes in')), await pixelsOf(shot(b, 'What goes in')), 'the same noise');
  assert.notEqual(await pixelsOf(shot(a, 'Its guess')), await pixelsOf(shot(b, 'Its guess')));

  assert.equal(await back.getByLabel('Start from').locator('option').nth(1).isDisabled(), true, 'no picture yet');
  const into = part(page, 'Into noise');
  await into.locator('input[type=file]').setInputFiles({ name: 'red.png', mimeType: 'image/png', buffer: flat(64, 64, [220, 30, 30]) });
  await says(into, 'Move the slider.');
  await slide(into.getByRole('slider'), 400);
  await back.getByLabel('Side by side').selectOption('none');
  await back.getByLabel('Start from').selectOption('picture');
  await back.getByRole('button', { name: 'One step' }).click();
  // Of five steps (t = 1000, 800, 600, 400, 200) those up to t = 400 are left.
  await back.getByText(/^Step 1 of 2 · t = 400/).waitFor();
});

test('why it varies: eight seeds are eight pictures', async () => {
  const page = await open();
  const vary = part(page, 'Why it varies');
  await vary.getByRole('button', { name: 'Eight seeds' }).click();
  await says(vary, '8 pictures');
  const pictures = await Promise.all((await vary.locator('.eight canvas').all()).map(pixelsOf));
  assert.equal(new Set(pictures).size, 8);
});

test('begin in the middle: more noise keeps less of the picture; another picture makes what is shown old', async () => {
  const page = await open();
  const [into, middle] = ['Into noise', 'Begin in the middle'].map((title) => part(page, title));
  await middle.getByRole('button', { name: 'Mostly the picture that was there' }).click();
  await says(middle, 'How far each is');
  const far = (await middle.locator('.work').textContent()).match(/: ([\d, ]+)\./)[1].split(', ').map(Number);
  assert.equal(far.length, 5);
  assert.ok(far[0] > 6 && 2 * far[0] < far[4] && far[1] < 0.8 * far[4], far.join()); // the ground stays, where noise is weak
  assert.match(await middle.locator('.verdict').textContent(), /^Yes: at 0.2 the picture is \d+ of 255 from where it began/);
  // Of ten steps the last eight, and the share of noise that a run has there.
  const captions = await middle.locator('figcaption .quiet').allTextContents();
  assert.deepEqual(captions.slice(1).map((words) => words.match(/step (\d+) of 10/)?.[1]), ['9', '7', '5', '3', '1']);
  const noise = captions.slice(1).map((words) => Number(words.match(/noise (0\.\d+|1\.00)$/)[1]));
  assert.deepEqual(noise, [...noise].sort((a, b) => a - b));

  const before = await pixelsOf(shot(middle, 'What it begins with'));
  await into.locator('input[type=file]').setInputFiles({ name: 'green.png', mimeType: 'image/png', buffer: flat(128, 128, [20, 160, 60]) });
  await says(middle, 'made before you changed this');
  await middle.getByRole('button', { name: 'Five strengths' }).click();
  await says(middle, 'How far each is');
  const [begun, weak] = await Promise.all([shot(middle, 'What it begins with'), shot(middle, 'Strength 0.2')].map(pixelsOf));
  assert.notEqual(begun, before);
  assert.notEqual(weak, begun);
});

for (const [between, field, value] of [['seeds', 'To seed', '77'], ['prompts', 'To prompt', 'a panda on a pink background']]) {
  test(`why it varies: a walk between two ${between} is a film that can be saved`, async () => {
    const page = await open({ reducedMotion: 'reduce' });
    const vary = part(page, 'Why it varies');
    await vary.getByLabel('Between', { exact: true }).selectOption(between);
    await vary.getByLabel(field).fill(value);
    await vary.getByLabel('Pictures', { exact: true }).selectOption('8');
    await vary.getByRole('button', { name: 'Make the film' }).click();
    await says(vary, '8 pictures');
    const film = vary.locator('.player canvas');
    const first = await pixelsOf(film);
    await slide(vary.getByRole('slider'), 8);
    assert.notEqual(await pixelsOf(film), first);
    assert.equal(await vary.getByRole('button', { name: 'Play' }).isVisible(), true, 'reduced motion: it stands still');

    const [download] = await Promise.all([page.waitForEvent('download'), vary.getByText('Save as APNG').click()]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const control = bytes.indexOf('acTL');
    assert.ok(control > 0, 'an animation');
    assert.equal(bytes.readUInt32BE(control + 4), 14, 'eight pictures there, six back');
    const { width, height, data } = PNG.sync.read(bytes); // a reader without animation sees the first picture
    assert.equal(`${width},${height},${data.toString('base64')}`, first);
  });
}

test('why it varies: a film has its place before it is made and fills it picture by picture; stopped, the last whole one is back', async () => {
  const page = await open();
  const vary = part(page, 'Why it varies');
  const [film, scrub] = [vary.locator('.player canvas'), vary.getByRole('slider', { name: 'Picture shown' })];
  const [play, save] = [vary.getByRole('button', { name: 'Play' }), vary.getByText('Save as APNG')];
  const below = () => part(page, 'A training step').evaluate((element) => element.getBoundingClientRect().top + scrollY);
  const before = await below();
  assert.deepEqual([await film.isVisible(), await play.isDisabled(), await save.isVisible()], [true, true, false]);
  await vary.getByLabel('Pictures', { exact: true }).selectOption('8');
  await vary.getByRole('button', { name: 'Make the film' }).click();
  await vary.getByText('Picture 4 of 8').waitFor({ timeout: PATIENCE });
  const [, third] = [await says(vary, 'Working'), await pixelsOf(film)];
  assert.match(third, /^128,128,/, 'seen before all are done');
  assert.deepEqual([await below(), await scrub.isDisabled(), await save.isVisible()], [before, true, false]);
  await says(vary, '8 pictures');
  assert.deepEqual([await below(), await scrub.isDisabled(), await play.isEnabled(), await save.isVisible()], [before, false, true, true]);
  const first = await pixelsOf(film);

  await vary.getByLabel('To seed').fill('77');
  await vary.getByRole('button', { name: 'Make the film' }).click();
  await vary.getByText('Picture 3 of 8').waitFor({ timeout: PATIENCE });
  await vary.getByRole('button', { name: 'Stop' }).click();
  await says(vary, '“Make the film” makes it anew'); // the last one was of another seed
  assert.deepEqual([await pixelsOf(film), await scrub.getAttribute('max'), await save.isVisible()], [first, '8', true]);
  assert.equal(await vary.locator('.player[data-old]').count(), 1, 'and is not of what the fields say');
});

for (const [width, height] of [[1280, 800], [390, 844]]) test(`back out of noise at ${width} px: pictures come first and have their place; what they are follows by number`, async () => {
  const page = await open({ viewport: { width, height } });
  const back = part(page, 'Back out of noise');
  await back.getByText('This model answers with v:').waitFor();
  await back.evaluate((element) => element.scrollIntoView());
  const captions = back.locator('.steps figcaption');
  assert.deepEqual((await captions.allTextContents()).map((words) => words.replaceAll('\u00a0', ' ')), [
    'What goes in the start, then 5 of the step before', 'The answer, v the model’s answer to 1', 'Noise in it follows from 1 and 2',
    'Its guess of the finished picture follows from 1 and 2', 'After the step 3 and 4 mixed anew, with less noise']);
  const bottom = (locator) => locator.evaluate((element) => element.getBoundingClientRect().bottom);
  assert.ok(await bottom(captions.first()) <= height, 'a picture in the first screen');
  assert.ok(await bottom(captions.last()) < await bottom(back.getByLabel('Side by side')), 'the settings come after it');
  const below = () => back.locator('.guess').evaluate((element) => element.getBoundingClientRect().top + scrollY);
  const before = await below();
  await back.getByRole('button', { name: 'One step' }).click();
  await says(back, 'Step 1 of 10 is taken.');
  assert.equal(await below(), before, 'nothing moves');
  // Each number stands in one piece with the words that lead to it.
  const torn = await captions.locator('.quiet').evaluateAll((all) => all.filter((span) => /^[\dv]$/.test(span.textContent.split(' ').at(-1))).map((span) => span.textContent));
  assert.deepEqual(torn, []);
});

test('a word that the model does not know is said under the prompts of the view, once typing stops', async () => {
  const page = await open();
  const [back, words, vary, training] = ['Back out of noise', 'Words into pictures', 'Why it varies', 'A training step'].map((title) => part(page, title));
  const line = (scope, text) => scope.locator('.strange').getByText(text, { exact: true });
  const prompt = (scope) => scope.getByLabel('Prompt', { exact: true });
  await prompt(back).press('End');
  await prompt(back).pressSequentially(' and a glimp');
  await line(back, 'Mini knows no glimp.').waitFor();
  await back.getByLabel('Side by side').selectOption('prompts');
  await back.getByLabel('Second prompt').fill('a glorb on a blue background');
  await line(back, 'Mini knows no glimp, no glorb.').waitFor();
  await back.getByLabel('Side by side').selectOption('none');
  await line(back, 'Mini knows no glimp.').waitFor();
  await prompt(back).fill('an apple');
  await back.locator('.strange:empty').waitFor({ state: 'attached' });
  await prompt(words).fill('яблоко'); // which Create would translate
  await line(words, 'Mini knows no яблоко.').waitFor();
  await prompt(vary).fill('a glorb, a frumple, a snizzle and a wug');
  await line(vary, 'Mini knows no glorb, no frumple, no snizzle, nor others.').waitFor();
  const caption = training.getByLabel('Caption', { exact: true });
  await caption.fill('a glorb');
  await line(training, 'Mini knows no glorb.').waitFor();
  await training.getByLabel('Picture', { exact: true }).selectOption('1');
  await training.locator('.strange:empty').waitFor({ state: 'attached' });
});

test('work can be stopped, and begun again', async () => {
  const page = await open();
  const back = part(page, 'Back out of noise');
  await back.getByLabel('Steps', { exact: true }).selectOption('30');
  await back.getByRole('button', { name: 'Run' }).click();
  await back.getByText(/^Step [2-9] of 30 · t = /).waitFor();
  await back.getByRole('button', { name: 'Stop' }).click();
  await says(back, 'Stopped');
  await back.getByRole('button', { name: 'One step' }).click();
  await says(back, /^Step \d+ of 30 is taken\.$/);
});

test('eight seeds and a film can be stopped in the middle; what is done stays, and the next one is whole', async () => {
  const page = await open();
  const vary = part(page, 'Why it varies');
  const stop = async (words) => {
    await vary.getByText(words).waitFor({ timeout: PATIENCE });
    await vary.getByRole('button', { name: 'Stop' }).first().click();
    await says(vary, 'Stopped');
  };
  await vary.getByRole('button', { name: 'Eight seeds' }).click();
  await stop('Picture 2 of 8');
  assert.ok(await vary.locator('.eight canvas').count() >= 1, 'what was made is still shown');
  await vary.getByLabel('Pictures', { exact: true }).selectOption('8');
  await vary.getByRole('button', { name: 'Make the film' }).click();
  await stop('Picture 2 of 8');
  await vary.getByRole('button', { name: 'Eight seeds' }).click();
  await says(vary, '8 pictures');
  assert.equal(new Set(await Promise.all((await vary.locator('.eight canvas').all()).map(pixelsOf))).size, 8);
  assert.deepEqual(page.trouble, []);
});

test('how it works, on a desk and a phone, light and dark: nothing sticks out, everything can be reached', async () => {
  const page = await open({ viewport: { width: 360, height: 740 } });
  await part(page, 'Into noise').getByRole('button', { name: 'Make this example' }).click();
  await says(part(page, 'Into noise'), 'Move the slider.');
  await part(page, 'Back out of noise').getByRole('button', { name: 'One step' }).click();
  await says(part(page, 'Back out of noise'), 'is taken.');
  for (const fold of await page.locator('details.fold').all()) await fold.evaluate((element) => { element.open = true; });
  const nameless = await page.locator('#learn').evaluate((root) => [...root.querySelectorAll('input, select, button, canvas')]
    .filter((e) => !e.closest('[hidden], [aria-hidden="true"]') && !e.labels?.length && !e.ariaLabel && !e.textContent.trim()).map((e) => e.outerHTML));
  assert.deepEqual(nameless, []);
  await everyLook(page, [360, 1280], async (look, width) => {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `${look}: the page is ${wide} px wide`);
    assert.deepEqual(await page.evaluate(poorContrast), [], look);
  });
  assert.deepEqual(page.trouble, []);
});

test('it works with the server gone', async () => {
  const { Server } = await import('./server.mjs');
  const server = await new Server().start();
  const page = await visitor({ ...it, server }, { serviceWorkers: 'allow' });
  await ready(page);
  for (const file of ['opengen-cpu_bg\\.wasm', 'learn/learn\\.js']) await kept(page, file); // the view is kept once it is looked at
  await server.kill();
  await page.goto(`${server.url}?engine=cpu#how`);
  await page.reload();
  await ready(page);
  const into = part(page, 'Into noise');
  await into.getByRole('button', { name: 'Make this example' }).click();
  await says(into, 'Move the slider.');
});
