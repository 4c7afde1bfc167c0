/** Pictures in sight: a batch side by side, the last picture after a reload, one of them as large as the window. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { differences } from '../../www/js/difference.js';
import { begins, draw, finished, picture, pixels, psnr, ready, set, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });
const large = (page) => page.getByRole('dialog', { name: 'The picture, large' });
/** What is heard of the picture in the large view. */
const seen = (page) => page.locator('#large-picture').getAttribute('alt');
const shows = (page, words) => page.waitForFunction((alt) => document.querySelector('#large-picture').alt === alt, words);
const transform = (page) => page.locator('#large-sheet').evaluate((sheet) => sheet.style.transform);

/** A visitor with three pictures. */
test('in what two pictures differ is said in words', () => {
  const settings = { prompt: 'a red apple', seed: '1', steps: 10, sampler: 'ddim', width: 128, height: 128, variationStrength: 0, variationSeed: '7' };
  const made = { settings, model: 'mini' };
  const to = (more, model = 'mini') => differences(made, { settings: { ...settings, ...more }, model });
  assert.deepEqual(to({}), []);
  assert.deepEqual(to({ variationSeed: '8' }), [], 'which has no effect');
  assert.deepEqual(to({ steps: 20, sampler: 'euler-a', negativePrompt: 'snow' }), ['negative prompt none → “snow”', 'steps 10 → 20', 'sampler DDIM → Euler ancestral']);
  assert.deepEqual(to({ prompt: 'a red apple in snow' }), ['with “in snow”']);
  assert.deepEqual(to({ prompt: 'a apple' }), ['without “red”']);
  assert.deepEqual(to({ prompt: 'a green  apple', seed: '2' }, 'sd15'), ['“red” → “green”', 'model mini → sd15', 'seed 1 → 2']);
  assert.deepEqual(to({ image: 'ab12', strength: 0.5 }), ['picture to begin with none → one', 'how much may change none → 0.5']);
});

async function withPictures(options = {}) {
  const page = await visitor(it, options);
  await ready(page);
  for (const prompt of ['a cat', 'a fox', 'a red apple']) await draw(page, prompt, { Steps: 1 });
  return page;
}

test('a reload brings the last picture back, pixel for pixel, and says so', async () => {
  const page = await visitor(it);
  await ready(page);
  const shown = await draw(page, 'a fox', { Steps: 1 });
  await page.reload();
  await page.waitForFunction(() => document.querySelector('#status').textContent.includes('your last picture'));
  assert.equal(psnr(await pixels(page), shown), Infinity);
  assert.equal(await picture(page).getAttribute('aria-label'), 'a fox');
  assert.equal(await page.getByRole('button', { name: 'Save', exact: true }).isVisible(), true);
  assert.equal(await page.locator('#earlier button').first().getAttribute('aria-current'), 'true');
  assert.equal(await page.locator('#prompt').inputValue(), 'a fox');
});

test('pictures of one’s own are in sight, and the examples become one line', async () => {
  const page = await visitor(it, { settings: false });
  await ready(page);
  const samples = page.getByRole('region', { name: /372 emoji/ });
  assert.equal(await samples.getByRole('button').count(), 3);
  await begins(page, () => samples.getByRole('button').first().click());
  await finished(page);
  assert.equal(await samples.isVisible(), false);
  assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^a red apple on a light blue background, seed 1$/);
  const box = await page.locator('#earlier button').first().boundingBox();
  assert.ok(box.y + box.height <= 800, `the thumbnail ends at ${box.y + box.height}`);
  const rows = await page.locator('#examples li').evaluateAll((all) => new Set(all.filter((li) => li.checkVisibility()).map((li) => li.offsetTop)).size);
  assert.equal(rows, 1);
  assert.equal(await page.getByRole('button', { name: 'a red apple on a light blue background', exact: true }).count(), 1);
});

test('several pictures stand side by side; one is chosen by key, by number, by click', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Pictures: 4 });
  await draw(page, 'a cat', { Steps: 1, Seed: 5 });
  const grid = page.getByRole('list', { name: 'Choose one' });
  assert.equal(await grid.getByRole('button').count(), 4);
  await grid.getByRole('button', { name: 'Picture 1 of 4' }).focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Picture 4 of 4');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  const current = () => page.locator('#earlier [aria-current]').getAttribute('aria-label');
  assert.equal(await current(), 'a cat, seed 6');
  assert.equal(await grid.isVisible(), false);
  await page.getByRole('button', { name: 'All 4' }).click();
  await page.keyboard.press('3');
  assert.equal(await current(), 'a cat, seed 7');
  await page.getByRole('button', { name: 'All 4' }).click();
  await grid.getByRole('button', { name: 'Picture 1 of 4' }).click();
  assert.equal(await current(), 'a cat, seed 5');
  await set(page, { Pictures: 1 });
  await draw(page, 'a fox', { Steps: 1 });
  assert.equal(await page.getByRole('button', { name: 'All 4' }).isVisible(), false);
});

test('a deleted picture leaves those it was made with, and Undo brings it back among them', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Pictures: 3 });
  await draw(page, 'a cat', { Steps: 1, Seed: 5 });
  const grid = page.getByRole('list', { name: 'Choose one' });
  const drop = async () => {
    await page.getByText('More', { exact: true }).click();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
  };
  await grid.getByRole('button', { name: 'Picture 2 of 3' }).click();
  await drop();
  await grid.getByRole('button', { name: 'Picture 2 of 2' }).waitFor(); // what is left is to choose from
  await page.getByRole('button', { name: 'Undo' }).click();
  await grid.getByRole('button', { name: 'Picture 3 of 3' }).waitFor();
  for (const left of [2, 1]) {
    await grid.getByRole('button', { name: `Picture 1 of ${left + 1}` }).click();
    await drop();
    await page.waitForFunction((n) => document.querySelectorAll('#earlier li').length === n, left);
  }
  await page.locator('#earlier [aria-current]').waitFor(); // the last one stands on the stage by itself
  assert.equal(await page.locator('#earlier [aria-current]').getAttribute('aria-label'), 'a cat, seed 7');
  assert.equal(await page.locator('#batch-back').isVisible(), false);
});

test('the large view: keys, nearer and back, two together; Escape gives the focus back', async () => {
  const page = await withPictures();
  await page.getByRole('button', { name: 'Look at it large' }).focus();
  await page.keyboard.press('Enter');
  await large(page).waitFor();
  assert.equal(await seen(page), 'a red apple');
  await page.locator('#large-newer[aria-disabled="true"]').waitFor(); // there is none
  await page.keyboard.press('ArrowRight');
  await shows(page, 'a fox');
  await page.locator('#large-newer[aria-disabled="false"]').waitFor();

  await page.keyboard.press('+');
  assert.match(await transform(page), /scale\(1\.5\)/);
  const [x, y] = [400, 300];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 40, y + 20);
  await page.mouse.up();
  assert.match(await transform(page), /translate\(40px, 20px\)/);
  await page.mouse.wheel(0, -400);
  await page.waitForFunction(() => !document.querySelector('#large-sheet').style.transform.includes('scale(1.5)'));
  await page.keyboard.press('0');
  assert.match(await transform(page), /translate\(0px, 0px\) scale\(1\)/);

  const line = page.getByRole('slider', { name: 'Where one picture ends and the other begins' });
  await page.getByRole('button', { name: 'Compare' }).click();
  await line.waitFor();
  assert.equal(await page.locator('#large-other').getAttribute('alt'), 'a cat');
  assert.equal(await page.getByRole('button', { name: 'Compare' }).getAttribute('aria-pressed'), 'true');
  const words = page.locator('#large-words');
  assert.match(await words.textContent(), /^a fox · beside a cat: “fox” → “cat” · seed \d+ → \d+$/);
  await page.keyboard.press('ArrowLeft'); // past this one
  await page.locator('#large-other[alt="a red apple"]').waitFor();
  assert.equal(await seen(page), 'a fox');
  assert.match(await words.textContent(), /^a fox · beside a red apple: “fox” → “red apple” · seed/);
  await page.keyboard.press('ArrowRight');
  await page.locator('#large-other[alt="a cat"]').waitFor();
  await line.fill('20');
  assert.equal(await page.locator('#large-other').evaluate((other) => getComputedStyle(other).clipPath), 'inset(0px 0px 0px 20%)');
  await page.getByRole('button', { name: 'Compare' }).click();
  assert.equal(await line.isVisible(), false);

  await page.keyboard.press('Escape');
  await large(page).waitFor({ state: 'hidden' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'enlarge');
  await page.locator('#picture[aria-label="a fox"]').waitFor(); // the picture looked at last stands on the stage
  assert.equal(await page.locator('#prompt').inputValue(), 'a red apple', 'and nothing typed has changed');
  assert.deepEqual(page.trouble, []);
});

test('the large view by finger: a swipe to the next, two fingers to come nearer', async () => {
  const page = await withPictures({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await picture(page).tap();
  await large(page).waitFor();
  const touch = await page.context().newCDPSession(page);
  const send = (type, ...points) => touch.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  await send('touchStart', [300, 400]);
  await send('touchMove', [250, 400]);
  await send('touchMove', [120, 404]);
  await send('touchEnd');
  await shows(page, 'a fox');
  await send('touchStart', [150, 400], [250, 400]);
  await send('touchMove', [100, 400], [300, 400]);
  await send('touchEnd');
  await page.waitForFunction(() => Number(/scale\(([\d.]+)\)/.exec(document.querySelector('#large-sheet').style.transform)[1]) > 1.5);
  assert.equal(await seen(page), 'a fox', 'coming nearer is no swipe');
});

test('which picture came from which is shown below it, and each is a press away, by keys too', async () => {
  const page = await visitor(it);
  await ready(page);
  await draw(page, 'a fox', { Steps: 2, Seed: 1 });
  await page.getByRole('radio', { name: 'From a picture', exact: true }).check({ force: true });
  await page.getByRole('img', { name: 'The picture that a run begins with' }).waitFor();
  await draw(page, 'a cat');
  await draw(page, 'a panda');
  const kin = page.getByRole('list', { name: 'Which picture came from which' });
  const names = () => kin.getByRole('button').evaluateAll((all) => all.map((button) => button.getAttribute('aria-label')));
  await page.evaluate(() => {
    const { createObjectURL, revokeObjectURL } = URL;
    globalThis.held = new Set();
    URL.createObjectURL = (blob) => {
      const url = createObjectURL(blob);
      globalThis.held.add(url);
      return url;
    };
    URL.revokeObjectURL = (url) => {
      globalThis.held.delete(url);
      revokeObjectURL(url);
    };
  });
  await page.locator('#enlarge').focus();
  await page.keyboard.press('Enter');
  await shows(page, 'a panda');
  assert.deepEqual(await names(), ['before: a fox', 'a panda']);
  await page.waitForFunction(() => [...document.querySelectorAll('#large-kin img')].every(({ naturalWidth, src }) => naturalWidth && !globalThis.held.has(src)));
  await kin.getByRole('button', { name: 'before: a fox' }).focus();
  await page.keyboard.press('Enter');
  await shows(page, 'a fox');
  assert.deepEqual(await names(), ['a fox', 'made from it: a cat', 'made from it: a panda']);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'a fox');
  assert.deepEqual(await kin.locator('li[data-from]').count(), 1, 'both stand behind one arrow');
  await kin.getByRole('button', { name: 'made from it: a cat' }).click();
  await shows(page, 'a cat');
  await page.locator('#large-close').click();
  await page.waitForFunction(() => document.querySelector('#picture').getAttribute('aria-label') === 'a cat'); // it stands on the stage then

  // One that came from nothing and from which nothing came has none.
  await page.getByRole('radio', { name: 'From words', exact: true }).check({ force: true });
  await draw(page, 'a red apple');
  await page.locator('#enlarge').focus();
  await page.keyboard.press('Enter');
  await shows(page, 'a red apple');
  assert.equal(await kin.isVisible(), false);
});

test('picking a thumbnail brings the stage into view', async () => {
  const page = await withPictures({ viewport: { width: 390, height: 600 } });
  await page.locator('#export').scrollIntoViewIfNeeded();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.locator('#earlier button').nth(2).evaluate((button) => button.click());
  await page.waitForFunction(() => {
    const { top, bottom } = document.querySelector('#frame').getBoundingClientRect();
    return top >= -1 && bottom <= innerHeight + 1;
  });
});

test('on a phone a long prompt leaves the picture and every button of the large view in sight', async () => {
  const page = await visitor(it, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await ready(page);
  for (const prompt of ['a cat', 'a very happy little orange cat next to a big brown dog in the snow, in space, on a purple background']) {
    await draw(page, prompt, { Steps: 1 });
  }
  await page.locator('#enlarge').click();
  await page.locator('#large-compare').click();
  await page.locator('#large-line').waitFor();
  for (const id of ['large-picture', 'large-line', 'large-newer', 'large-compare', 'large-save', 'large-close']) {
    const { x, y, width, height } = await page.locator(`#${id}`).boundingBox();
    assert.ok(x >= 0 && y >= 0 && x + width <= 390 && y + height <= 844, `${id}: ${x}, ${y}, ${width} × ${height}`);
  }
});

test('the picture that is seen large is saved from there', async () => {
  const page = await withPictures();
  await page.locator('#enlarge').click();
  await shows(page, 'a red apple');
  await page.keyboard.press('ArrowRight');
  await shows(page, 'a fox');
  const [file] = await Promise.all([page.waitForEvent('download'), page.locator('#large-save').click()]);
  assert.match(file.suggestedFilename(), /^a-fox-\d+\.png$/);
});

test('the menu under the picture opens in sight', async () => {
  const page = await visitor(it, { viewport: { width: 390, height: 664 }, hasTouch: true, isMobile: true });
  await ready(page);
  await draw(page, 'a cat', { Steps: 1 });
  await page.locator('#picture-menu summary').click();
  await page.waitForFunction(() => {
    const { top, bottom } = document.querySelector('#picture-menu .menu-panel').getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  });
});

test('who presses an example far below sees the picture come', async () => {
  const page = await visitor(it, { viewport: { width: 390, height: 664 }, hasTouch: true, isMobile: true });
  await ready(page);
  await begins(page, () => page.getByRole('button', { name: 'Surprise me' }).click());
  await page.waitForFunction(() => document.querySelector('#frame').getBoundingClientRect().top >= -1);
  await finished(page);
});
