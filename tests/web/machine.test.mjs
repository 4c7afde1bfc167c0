/** How it works as a whole: alive on arrival, one drawing of the machine, a way through the parts, true to its model. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Thin, takeApart } from '../../www/learn/thin.js';
import { open as openFor, part, pixelsOf, says, shot } from './learn.mjs';
import { MODEL, MOTION, PATIENCE, assertDone, finished, generateButton, resize, stand } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#how', light: true });
const open = (options) => openFor(it, options);

/** Brings into view what begins by itself there. */
const see = (scope) => scope.locator('.shots, .lanes').first().evaluate((element) => element.scrollIntoView({ block: 'center' }));
/** Writes down from now on which pieces of the machine were lit, and in which order for the first time. */
const watch = (page) => page.evaluate(() => {
  window.lit = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const name = target.querySelector?.('.name')?.textContent;
      if (name && target.hasAttribute('data-lit') && !window.lit.includes(name)) window.lit.push(name);
    }
  }).observe(document.querySelector('.drawing svg'), { subtree: true, attributeFilter: ['data-lit'] });
});
const WHOLE = ['Words', 'Tokens', 'Text encoder', 'Noise', 'UNet', 'Scheduler', 'Autoencoder', 'Picture'];

test('the machine is lit piece by piece as a run goes through it, also by a run under Create', async () => {
  const page = await open();
  const machine = page.locator('.machine');
  assert.equal(await machine.locator('[data-lit]').count(), 0, 'reduced motion: it waits to be asked');
  await watch(page);
  await machine.getByRole('button', { name: 'Draw and watch' }).click();
  await machine.getByText('Done. Each piece leads').waitFor({ timeout: PATIENCE });
  assert.deepEqual([...await page.evaluate(() => window.lit)].sort(), [...WHOLE].sort());
  assert.match(await machine.locator('.drawing').innerText(), /10 of 10/);
  const drawn = await pixelsOf(machine.locator('canvas').last());
  assert.match(drawn, new RegExp(`^${MODEL.width},`));

  await page.getByRole('link', { name: 'Create' }).click();
  await watch(page);
  await page.locator('#prompt').fill('a fox in the snow');
  await page.locator('#prompt').press('Enter');
  await page.waitForFunction(() => /^Done in/.test(document.querySelector('#status').textContent), null, { timeout: PATIENCE });
  assert.deepEqual([...await page.evaluate(() => window.lit)].sort(), [...WHOLE].sort());
  assert.equal(await pixelsOf(machine.locator('canvas').last()), await pixelsOf(page.locator('#picture')), 'its picture');
  assert.deepEqual(page.trouble, []);
});

test('each piece is a link to its part, in the large drawing and in the narrow one', async () => {
  const page = await open();
  const machine = page.locator('.machine');
  for (const width of [1280, 390]) {
    await resize(page, { width, height: 800 });
    const links = machine.getByRole('link');
    assert.deepEqual((await links.locator('.name').allTextContents()).sort(), [...WHOLE].sort());
    for (const [name, heading] of [['Scheduler', 'Back out of noise'], ['Text encoder', 'Words into pictures'], ['Picture', 'Why it varies']]) {
      await links.filter({ hasText: name }).first().focus();
      await page.keyboard.press('Enter');
      await page.waitForFunction((words) => document.activeElement.textContent === words, heading);
    }
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= width);
  }
});

test('every part has done something by itself once it is in view, and nothing with reduced motion', async () => {
  const page = await open(MOTION);
  await page.waitForFunction(() => document.querySelector('.drawing canvas:last-of-type').width > 1, null, { timeout: PATIENCE });
  const [into, back, vary, own] = ['Into noise', 'Back out of noise', 'Why it varies', 'Your own'].map((title) => part(page, title));
  await see(into);
  await into.getByText(/^t = 300 · signal 0\.770 · noise 0\.639$/).waitFor({ timeout: PATIENCE });
  await see(back);
  await says(back, 'All steps are taken.');
  assert.equal(await back.locator('.lane').count(), 1);
  await see(vary);
  await says(vary, '8 pictures');
  await see(own);
  await says(own, /^r = 8: 2048 numbers a colour in place of 16384/);
  assert.deepEqual(page.trouble, []);

  const still = await open();
  for (const title of ['Into noise', 'Back out of noise', 'Why it varies', 'Your own']) await see(part(still, title));
  assert.equal(await still.evaluate(() => document.querySelectorAll('#learn canvas:is([width="128"], [width="16"])').length), 0);
});

test('what runs by itself stops when the view is left, waits for a run under Create, and comes when the view is back', async () => {
  const page = await open(MOTION);
  const back = page.locator('#how-back');
  await see(back);
  // clicked as soon as a step is seen: ten of them may take less time than a click from outside
  await page.waitForFunction(() => {
    if (!/Step [1-9] of 10 · t = /.test(document.querySelector('#how-back').textContent)) return false;
    [...document.querySelectorAll('a')].find((link) => link.textContent.trim() === 'Create').click();
    return true;
  }, null, { timeout: PATIENCE });
  await page.waitForFunction(() => document.querySelector('#how-back .work').textContent === 'Stopped', null, { timeout: PATIENCE });
  await page.locator('#steps').evaluate((field) => { field.value = 30; field.dispatchEvent(new Event('input', { bubbles: true })); });
  await page.locator('#prompt').fill('a fox');
  await page.locator('#prompt').press('Enter');
  await page.getByRole('link', { name: 'How it works' }).click();
  await see(back);
  await says(back, 'All steps are taken.');
  await page.getByRole('link', { name: 'Create' }).click();
  await finished(page); // the run under Create came first and was not disturbed
  await assertDone(page);
});

test('the contents go along, say where one is, and each part leads to the next', async () => {
  const page = await open({ viewport: { width: 390, height: 800 } });
  const nav = page.getByRole('navigation', { name: 'On this page' });
  const titles = await page.locator('section.part h2').allTextContents();
  assert.deepEqual(await nav.getByRole('link').allTextContents(), titles);
  for (const title of titles.slice(1)) {
    await page.locator('.next a').filter({ hasText: `Next: ${title}` }).click();
    await page.waitForFunction((words) => document.activeElement.textContent === words, title);
    await page.waitForFunction((words) => document.querySelector('.contents [aria-current]')?.textContent === words, title);
    assert.equal(await nav.evaluate((element) => element.getBoundingClientRect().top), 0, 'in sight');
    const top = await part(page, title).getByRole('heading', { level: 2 }).evaluate((element) => element.getBoundingClientRect().top);
    assert.ok(top > await nav.evaluate((element) => element.getBoundingClientRect().bottom), `${title} is not under the contents`);
  }
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForFunction(() => !document.querySelector('.contents [aria-current]')); // none of them at the top
  await page.getByRole('link', { name: 'Make a picture of your own' }).click();
  await generateButton(page).waitFor();
});

test('questions are answered by what is computed', async () => {
  const page = await open();
  const [into, back, vary, own] = ['Into noise', 'Back out of noise', 'Why it varies', 'Your own'].map((title) => part(page, title));
  await into.getByRole('button', { name: 'Noise', exact: true }).click();
  await into.locator('.verdict').getByText('Yes: 0.53 of the picture and 0.85 of the noise.').waitFor({ timeout: PATIENCE });
  assert.match(await into.locator('output').textContent(), /^t = 500 /);
  await into.getByRole('button', { name: 'Picture', exact: true }).click();
  await into.locator('.verdict').getByText('No: 0.53').waitFor({ timeout: PATIENCE });
  assert.equal(await into.getByRole('button', { name: 'Noise', exact: true }).getAttribute('aria-pressed'), 'false');

  await back.getByLabel('Steps', { exact: true }).selectOption('5');
  await back.getByRole('button', { name: 'A finished thing' }).click();
  await back.locator('.verdict').getByText('No, a blur').waitFor({ timeout: PATIENCE });
  await back.getByText(/^Step 1 of 5/).waitFor();
  const first = await pixelsOf(shot(back, 'Its guess'));
  const contrast = (pixels) => {
    const data = [...Buffer.from(pixels.split(',')[2], 'base64')].filter((_, i) => i % 4 === 1);
    const mean = data.reduce((a, b) => a + b) / data.length;
    return Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length);
  };
  await back.getByRole('slider', { name: 'Step shown' }).press('End');
  await back.getByText(/^Step 5 of 5/).waitFor();
  await shot(back, 'The finished picture').waitFor();
  assert.ok(contrast(first) < contrast(await pixelsOf(shot(back, 'The finished picture'))) / 2, 'a blur it is');

  await vary.getByLabel('Pictures', { exact: true }).selectOption('8');
  await vary.getByRole('button', { name: 'A picture of its own' }).click();
  await vary.locator('.verdict').getByText(/^Yes: the picture half way is \d+ of 255 from both ends/).waitFor({ timeout: PATIENCE });

  await own.getByRole('button', { name: '2', exact: true }).click();
  const known = own.locator('.verdict');
  await known.getByText(/^(Fewer than it takes|Yes|More than it takes): /).waitFor({ timeout: PATIENCE });
  const verdicts = [];
  for (const r of ['2', '8', '32']) {
    await own.getByRole('button', { name: r, exact: true }).click();
    await known.getByText(`Now ${r} are shown`).waitFor();
    verdicts.push(await known.textContent());
    assert.notEqual(await own.locator('.work').textContent(), verdicts.at(-1), 'more than the line says');
  }
  const needed = Number(/(\d+) columns hold nine tenths/.exec(verdicts[0].replace('one column holds', '1 columns hold'))[1]);
  const right = [2, 8, 32].findIndex((r) => r >= needed);
  assert.ok(right >= 0, `${needed} columns`);
  const marks = verdicts.map((words, i) => words.startsWith(['Fewer', 'Yes', 'More'][Math.sign(i - right) + 1]));
  assert.deepEqual(marks, [true, true, true], verdicts.join());
  assert.deepEqual(page.trouble, []);
});

test('a guess without words leaves the fields as they are, whatever they say, and the next run is theirs', async () => {
  const page = await open();
  const back = part(page, 'Back out of noise');
  const [prompt, compare] = [back.getByLabel('Prompt', { exact: true }), back.getByLabel('Side by side')];
  const titles = () => back.locator('.lane h3').allTextContents();
  await back.getByLabel('Steps', { exact: true }).selectOption('5');
  await compare.selectOption('guidance');
  assert.equal(await back.getByText('nothing to enlarge').count(), 0);
  await back.getByRole('button', { name: 'A blur' }).click();
  await back.locator('.verdict').getByText('Yes, a blur').waitFor({ timeout: PATIENCE });
  assert.deepEqual([await prompt.inputValue(), await compare.inputValue(), await titles()], [MODEL.open.prompt, 'guidance', ['Without words']]);
  assert.equal(await back.locator('[data-old]').count(), 0, 'it is what its heading says');
  await back.getByRole('button', { name: 'Run' }).click();
  await says(back, 'All steps are taken.');
  assert.deepEqual(await titles(), ['Guidance 1', 'Guidance 7']);
  const ends = async () => Promise.all((await back.locator('figure', { hasText: /^\s*The finished picture/ }).locator('canvas').all()).map(pixelsOf));
  const [one, seven] = await ends();
  assert.notEqual(one, seven);

  await prompt.fill('');
  await back.getByText('Without words guidance has nothing to enlarge').waitFor();
  await back.getByRole('button', { name: 'Start with these' }).click();
  await says(back, 'All steps are taken.');
  const [a, b] = await ends();
  assert.equal(a, b, 'which is true');
  await compare.selectOption('none');
  assert.equal(await back.getByText('nothing to enlarge').count(), 0);
});

test('a guess gets its verdict, or is taken back and says so', async () => {
  const page = await open();
  const [into, back, vary] = ['Into noise', 'Back out of noise', 'Why it varies'].map((title) => part(page, title));
  const taken = async (scope, name, words) => {
    await scope.locator('.verdict').getByText(words).waitFor({ timeout: PATIENCE });
    assert.equal(await scope.getByRole('button', { name, exact: true }).getAttribute('aria-pressed'), 'false', name);
  };
  const CHANGED = 'You changed it meanwhile: guess again.';
  await into.getByRole('button', { name: 'Picture', exact: true }).click();
  await into.getByRole('button', { name: 'Make this example' }).click();
  await taken(into, 'Picture', CHANGED);
  await says(into, 'Move the slider.');
  await into.getByRole('button', { name: 'Picture', exact: true }).click();
  await into.locator('.verdict').getByText('No: 0.53').waitFor();

  await back.getByRole('button', { name: 'A finished thing' }).click();
  await back.getByText(/^Step [1-9] of 10 · t = /).waitFor({ timeout: PATIENCE });
  await back.getByLabel('Side by side').selectOption('guidance'); // which the run that was asked for does not heed
  await back.locator('.verdict').getByText('No, a blur').waitFor({ timeout: PATIENCE });
  await back.getByRole('button', { name: 'Noise', exact: true }).click();
  await back.getByText(/^Step [1-9] of 10 · t = /).waitFor({ timeout: PATIENCE });
  await back.getByRole('button', { name: 'Pause' }).click();
  await taken(back, 'Noise', 'It did not come to its end: guess again.');

  await vary.getByRole('button', { name: 'A picture of its own' }).click();
  await vary.getByText('Picture 2 of 12').waitFor({ timeout: PATIENCE });
  await vary.getByLabel('Pictures', { exact: true }).selectOption('8');
  await vary.getByRole('button', { name: 'Make the film' }).click();
  await taken(vary, 'A picture of its own', CHANGED);
  await says(vary, '8 pictures');
  await vary.getByRole('button', { name: 'Both at once' }).click();
  await vary.getByRole('button', { name: 'A picture of its own' }).click(); // the first of two guesses says nothing more
  await vary.locator('.verdict').getByText(/^Yes: /).waitFor({ timeout: PATIENCE });
  assert.equal(await vary.getByRole('button', { name: 'Both at once' }).getAttribute('aria-pressed'), 'false');
  assert.deepEqual(page.trouble, []);
});

for (const width of [1280, 640, 390]) test(`the machine at ${width} px: nothing moves when it works, its lettering keeps its measure`, async () => {
  const page = await open({ viewport: { width, height: 800 } });
  const machine = page.locator('.machine');
  const below = () => part(page, 'Into noise').evaluate((element) => element.getBoundingClientRect().top + scrollY);
  const before = await below();
  await machine.getByRole('button', { name: 'Draw and watch' }).click();
  await machine.getByText(/^Step \d+ of 10: /).waitFor({ timeout: PATIENCE });
  assert.equal(await machine.getByRole('button', { name: 'Stop' }).isVisible(), true);
  assert.equal(await below(), before, 'at work');
  await machine.getByText('Done. Each piece leads').waitFor({ timeout: PATIENCE });
  assert.equal(await below(), before, 'done');
  const [name, body] = await machine.locator('.name').first().evaluate((text) => [
    parseFloat(getComputedStyle(text).fontSize) * text.getCTM().a, parseFloat(getComputedStyle(document.body).fontSize)]);
  assert.ok(name > body * 0.75 && name < body * 1.4, `letters of ${name} px`);
});

test('an arrow has its head in its own colour, and forced colours take no paper of ours', async () => {
  const page = await open({ forcedColors: 'active' });
  const drawing = page.locator('.drawing');
  assert.equal(await drawing.locator('marker').count(), 0);
  const heads = await drawing.locator('.arrow').evaluateAll((arrows) => arrows.map((arrow) => arrow.getAttribute('d').match(/M/g).length));
  assert.deepEqual(heads, Array(8).fill(2), 'a way and its head in one path');
  const [box, canvas] = await drawing.locator('rect').first().evaluate((rect) => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.backgroundColor = 'Canvas';
    return [getComputedStyle(rect).fill, getComputedStyle(probe).backgroundColor];
  });
  assert.equal(box, canvas);
});

test('eight seeds of the prompt that it begins with differ; where the prompt says everything, that is said', async () => {
  const page = await open();
  const vary = part(page, 'Why it varies');
  await vary.getByRole('button', { name: 'Eight seeds' }).click();
  await says(vary, '8 pictures');
  const apart = Number(/differ by (\d+) of 255/.exec(await vary.locator('.work').first().textContent())[1]);
  assert.ok(apart >= 25, `they differ by ${apart}`);
  await vary.getByLabel('Seed', { exact: true }).fill('1');
  await vary.getByLabel('Prompt', { exact: true }).fill(MODEL.examples[0].prompt);
  await vary.getByLabel('Prompt', { exact: true }).press('Enter');
  await says(vary, /differ by \d\.\d of 255[^]*leaves hardly anything open/);
});

test('what the model answers with is said as its scheduler has it; formulas are MathML', async () => {
  const page = await open();
  const [into, back] = ['Into noise', 'Back out of noise'].map((title) => part(page, title));
  await back.getByText('This model answers with v:').waitFor({ timeout: PATIENCE });
  await into.getByText('a share of 0.068 is still picture').waitFor();
  await into.getByText('8 numbers in this model; Stable Diffusion has 4').waitFor();
  const formulas = await page.locator('details.fold math').evaluateAll((all) => all.map((math) =>
    `${math.namespaceURI === 'http://www.w3.org/1998/Math/MathML'} ${math.querySelectorAll('msub, msup, msqrt, mfrac').length > 0}`));
  assert.ok(formulas.length >= 7 && formulas.every((each) => each.startsWith('true')), formulas.join());
  for (const cited of [/Song et al. 2020/, /Salimans and Ho 2022/, /Lu et al. 2022/]) assert.equal(await back.getByRole('link', { name: cited }).count(), 1);
});

test('how many pairs hold a share of a picture, beyond its mean colour', () => {
  const side = 4;
  /** A picture of one colour channel as Thin has it, without a canvas. */
  const thin = (value) => {
    const matrix = Array.from({ length: side }, (_, x) => Float64Array.from({ length: side }, (_, y) => value(x, y)));
    return Object.assign(Object.create(Thin.prototype), { image: { width: side }, colours: [takeApart(matrix)] });
  };
  assert.equal(thin(() => 90).needed(0.9), 1, 'one colour');
  assert.equal(thin((x) => 50 * x).needed(0.9), 1, 'stripes');
  assert.equal(thin((x, y) => (x === y ? 200 : 0)).needed(0.9), 4, 'a diagonal has no strongest pattern');
});

test('matrices are taken apart into pairs whose products add up to them, the strongest first', () => {
  const n = 6;
  const matrix = Array.from({ length: n }, (_, x) => Float64Array.from({ length: n }, (_, y) => Math.sin(3 * x * y + x) + (x === y ? 2 : 0)));
  const pairs = takeApart(matrix.map((column) => column.slice()));
  for (let x = 0; x < n; x++) {
    for (let y = 0; y < n; y++) {
      const sum = pairs.reduce((all, { left, right }) => all + left[y] * right[x], 0);
      assert.ok(Math.abs(sum - matrix[x][y]) < 1e-9);
    }
  }
  const norms = pairs.map(({ left }) => Math.hypot(...left));
  assert.deepEqual(norms, [...norms].sort((a, b) => b - a));
  for (const [i, a] of pairs.entries()) for (const b of pairs.slice(i + 1)) {
    assert.ok(Math.abs(a.left.reduce((all, value, k) => all + value * b.left[k], 0)) < 1e-4 * norms[i] * norms[0], 'at right angles');
  }
});
