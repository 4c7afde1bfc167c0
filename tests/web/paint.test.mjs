/** Painting over a picture what is to be drawn anew: with mouse, pen, fingers, keys and numbers; and what comes of it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import {
  begins, draw, finished, generateButton, pixels, promptOf, psnr, ready, says, set, stand, useSettings, visitor,
} from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const APPLE = 'a red apple on a light blue background';
const ORANGE = 'an orange on a light blue background';
const STEPS = { Steps: 4, Seed: 1 };

const mode = (page, name) => page.getByRole('radio', { name, exact: true }).check({ force: true }); // its label lies above
const tool = (page, name) => page.getByRole('toolbar', { name: 'Painting' }).getByRole('button', { name, exact: true });
const canvas = (page) => page.getByRole('application', { name: 'Paint over what is to be drawn anew' });
const painted = (page, words) => page.locator('#mask-words').filter({ hasText: words }).waitFor();
const NOTHING = /^Paint over what shall become something else/;
const more = (page) => page.locator('#tools details').evaluate((details) => { details.open = true; });

/** A visitor who has drawn an apple and is about to paint over it. */
async function withApple(options = {}) {
  const page = await visitor(it, options);
  await ready(page);
  const apple = await draw(page, APPLE, STEPS);
  await mode(page, 'Repaint');
  await canvas(page).waitFor();
  await painted(page, NOTHING);
  await page.evaluate(() => scrollTo(0, 0)); // the seed was typed further down
  return { page, apple };
}

/** Where on the window a place of the square lies, 0 … 1 from its left and top. */
async function places(page) {
  const { x, y, width, height } = await canvas(page).boundingBox();
  return (across, down) => [x + across * width, y + down * height];
}

/** Draws a line with the mouse. @param {[number, number][]} line places of the square, 0 … 1 */
async function stroke(page, line) {
  const at = await places(page);
  await page.mouse.move(...at(...line[0]));
  await page.mouse.down();
  for (const place of line.slice(1)) await page.mouse.move(...at(...place), { steps: 3 });
  await page.mouse.up();
}

/** The mask as its file has it. @returns {Promise<{width: number, height: number, values: Uint8Array, share: number, box: number[]}>} */
async function maskOf(page) {
  await more(page);
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save mask' }).click()]);
  assert.equal(download.suggestedFilename(), 'mask.png');
  const { width, height, data } = PNG.sync.read(readFileSync(await download.path()));
  const values = Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]);
  const on = [...values.keys()].filter((i) => values[i] > 127);
  const [xs, ys] = [on.map((i) => i % width), on.map((i) => Math.floor(i / width))];
  const box = [Math.min(...xs) / width, Math.min(...ys) / height, (Math.max(...xs) + 1) / width, (Math.max(...ys) + 1) / height];
  return { width, height, values, share: on.length / values.length, box };
}

const near = (a, b, far, what) => a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) <= far, `${what}: ${a} and ${b}`));

test('an apple is painted over and becomes an orange; beyond the mask nothing changes, and all of it comes again', async () => {
  const { page, apple } = await withApple();
  await promptOf(page).fill(ORANGE);
  await generateButton(page).click();
  await page.locator('#mask-error').getByText(/^Nothing is painted over yet/).waitFor();
  assert.ok(await canvas(page).evaluate((element) => element === document.activeElement));
  assert.equal(await promptOf(page).inputValue(), ORANGE);

  await stroke(page, [[0.3, 0.4], [0.7, 0.4], [0.7, 0.6], [0.3, 0.6], [0.3, 0.4]]);
  await painted(page, /^\d+ % of the picture is drawn anew/);
  assert.equal(await page.locator('#mask-error').isVisible(), false);
  const mask = await maskOf(page);
  near(mask.box, [0.21, 0.31, 0.79, 0.69], 0.02, 'where it was painted');

  // A reload in the middle; then the run, and the settings of it.
  await page.reload();
  await ready(page);
  await painted(page, /^\d+ % of the picture is drawn anew/);
  assert.deepEqual((await maskOf(page)).values, mask.values);
  await begins(page, () => generateButton(page).click());
  await finished(page);
  const orange = await pixels(page);
  const scale = mask.width / orange.width;
  const blur = Number(await page.locator('#maskBlur').inputValue());
  const far = Math.ceil(4 * blur + 1) * scale;
  const reached = (x, y) => {
    for (let my = Math.max(0, y * scale - far); my < Math.min(mask.height, (y + 1) * scale + far); my++) {
      for (let mx = Math.max(0, x * scale - far); mx < Math.min(mask.width, (x + 1) * scale + far); mx++) if (mask.values[my * mask.width + mx]) return true;
    }
    return false;
  };
  const [beyond, within] = [[], []];
  for (let i = 0; i < orange.width * orange.height; i++) {
    const same = [0, 1, 2].every((c) => orange.data[4 * i + c] === apple.data[4 * i + c]);
    (reached(i % orange.width, Math.floor(i / orange.width)) ? within : beyond).push(same);
  }
  assert.ok(beyond.length > 2000 && beyond.every(Boolean), `${beyond.filter((same) => !same).length} of ${beyond.length} pixels beyond the mask changed`);
  assert.ok(within.filter((same) => !same).length > 0.3 * within.length, 'what was painted over was drawn anew');

  // What it was made from lies over it, up to a line that is dragged; and it is a press away, in the strip and on the stage.
  await page.getByRole('button', { name: 'Before' }).click();
  const line = page.getByRole('slider', { name: 'Where what was before ends' });
  const { x, y, width, height } = await line.boundingBox();
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + 0.2 * width, y + height / 2, { steps: 4 });
  await page.mouse.up();
  assert.ok(Math.abs(Number(await line.inputValue()) - 20) < 4, `dragged to ${await line.inputValue()} %`);
  await line.press('ArrowRight');
  const shown = await page.locator('.before img').evaluate((image) => {
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return [canvas.width, canvas.height, ...context.getImageData(64, 64, 1, 1).data];
  });
  assert.deepEqual(shown, [apple.width, apple.height, ...apple.data.subarray(4 * (64 * apple.width + 64), 4 * (64 * apple.width + 65))]);
  assert.equal(await page.locator('#earlier [data-kin]').getAttribute('aria-description'), 'what this was made from');
  await page.locator('#picture-menu').evaluate((menu) => { menu.open = true; });
  await page.getByRole('button', { name: 'Back to the original' }).click();
  await says(page, 'An earlier picture');
  assert.equal(psnr(await pixels(page), apple), Infinity);
  assert.equal(await line.isVisible(), false);
  assert.equal(await page.locator('#earlier [data-kin]').getAttribute('aria-description'), 'made from this');
  assert.equal(await page.getByRole('button', { name: 'Before' }).isVisible(), false, 'it was made from nothing');

  await page.locator('#earlier button').first().click();
  await page.getByRole('button', { name: 'Use this' }).click();
  await painted(page, NOTHING); // another picture, and nothing painted over it
  await mode(page, 'From words');
  await draw(page, 'a cat', STEPS);
  await page.locator('#earlier button').nth(1).click();
  await page.locator('#earlier button[aria-current]').and(page.getByRole('button', { name: ORANGE })).waitFor();
  await useSettings(page);
  await page.locator('#mode-repaint:checked').waitFor();
  await begins(page, () => generateButton(page).click());
  await finished(page);
  assert.equal(psnr(await pixels(page), orange), Infinity);
  await page.getByRole('button', { name: 'Paint again' }).click();
  assert.deepEqual((await maskOf(page)).values, mask.values);
});

test('brush and eraser, rectangle and lasso, fifty strokes back and again, nearer and moved; a mask is saved and loaded', async () => {
  const { page } = await withApple();
  const at = await places(page);
  await tool(page, 'Rectangle').click();
  await stroke(page, [[0.2, 0.2], [0.6, 0.5]]);
  near((await maskOf(page)).box, [0.2, 0.2, 0.6, 0.5], 0.01, 'a rectangle');
  await page.keyboard.press('l');
  await stroke(page, [[0.6, 0.2], [0.9, 0.2], [0.75, 0.5]]);
  near((await maskOf(page)).box, [0.2, 0.2, 0.9, 0.5], 0.01, 'and a triangle');
  await tool(page, 'Eraser').click();
  const share = async () => (await maskOf(page)).share;
  const before = await share();
  await stroke(page, [[0.3, 0.3], [0.5, 0.3]]);
  const erased = await share();
  assert.ok(erased < before - 0.02, `${before} and ${erased}`);
  await page.mouse.move(...at(0.1, 0.9));
  await page.mouse.wheel(0, -400); // a larger brush
  await page.keyboard.press('b');
  await page.keyboard.press('[');
  await page.keyboard.press(']');
  await stroke(page, [[0.5, 0.85], [0.5, 0.85]]);
  const [, , , down] = (await maskOf(page)).box;
  assert.ok(down > 0.98, `the brush reaches down to ${down}`);
  await page.keyboard.press('Control+z');

  for (let i = 0; i < 50; i++) {
    await page.mouse.move(...at(0.1 + 0.016 * i, 0.7));
    await page.mouse.down();
    await page.mouse.up();
  }
  const fifty = (await maskOf(page)).values;
  for (let i = 0; i < 50; i++) await page.keyboard.press('Control+z');
  assert.equal(await share(), erased);
  for (let i = 0; i < 50; i++) await tool(page, 'Redo').click();
  assert.deepEqual((await maskOf(page)).values, fifty);

  // Cleared, loaded again, turned around; what is no picture is refused.
  const png = PNG.sync.write(Object.assign(new PNG({ width: 64, height: 64 }), { data: Buffer.from(Array.from({ length: 64 * 64 },
    (_, i) => (i % 64 < 16 ? [255, 255, 255, 255] : [255, 255, 255, 0])).flat()) }));
  await page.getByRole('button', { name: 'Clear' }).click();
  await painted(page, NOTHING);
  await page.locator('#mask-file').setInputFiles({ name: 'left.png', mimeType: 'image/png', buffer: png });
  await painted(page, /^25 %/);
  await page.getByRole('button', { name: 'Invert' }).click();
  await painted(page, /^75 %/);
  await page.locator('#mask-file').setInputFiles({ name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('no') });
  await page.locator('#report').getByText('“no.png” was not taken.').waitFor();
  await painted(page, /^75 %/);

  // One of another shape is stretched, and that is said; one that covers all is drawn with a word.
  const all = PNG.sync.write(Object.assign(new PNG({ width: 32, height: 64 }), { data: Buffer.alloc(4 * 32 * 64, 255) }));
  await page.locator('#mask-file').setInputFiles({ name: 'all.png', mimeType: 'image/png', buffer: all });
  await page.locator('#report').getByText('The mask was stretched to the picture.').waitFor();
  await painted(page, /^100 %/);
  await set(page, { Steps: 1 });
  await begins(page, () => generateButton(page).click());
  await finished(page);
  await page.locator('#notes').getByText('The mask is white everywhere').waitFor();
  await page.getByRole('button', { name: 'Paint again' }).click();
  await page.locator('#mask-file').setInputFiles({ name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('no') });
  await page.locator('#report').getByText('“no.png” was not taken.').waitFor();
  await page.getByRole('button', { name: 'Close' }).click();

  // Four times nearer around the middle, moved to the left: a dab lies where it is seen.
  await page.getByRole('button', { name: 'Clear' }).click();
  await canvas(page).scrollIntoViewIfNeeded();
  const here = await places(page);
  await page.mouse.move(...here(0.5, 0.5));
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -324); // e to the power of 3 · 324/700: four times
  await page.keyboard.up('Control');
  await page.keyboard.down(' ');
  await stroke(page, [[0.8, 0.5], [0.4, 0.5]]);
  await page.keyboard.up(' ');
  await tool(page, 'Rectangle').click();
  await canvas(page).scrollIntoViewIfNeeded();
  await stroke(page, [[0.25, 0.25], [0.75, 0.75]]);
  near((await maskOf(page)).box, [0.5375, 0.4375, 0.6625, 0.5625], 0.01, 'four times as near');
});

test('no tool moves the page', async () => {
  for (const viewport of [{ width: 1280, height: 800 }, { width: 390, height: 844 }]) {
    const { page } = await withApple({ viewport });
    await page.locator('#tools .tool-row').scrollIntoViewIfNeeded();
    await stroke(page, [[0.4, 0.4], [0.6, 0.6]]);
    const seen = () => page.evaluate(() => [scrollY, document.documentElement.scrollHeight,
      ...['mask', 'tools'].flatMap((id) => Object.values(document.getElementById(id).getBoundingClientRect().toJSON()))]);
    const before = await seen();
    for (const name of ['Eraser', 'Rectangle', 'Lasso', 'Brush', 'Undo', 'Redo']) {
      const { x, y, width, height } = await tool(page, name).boundingBox();
      assert.ok(y >= 0 && y + height <= viewport.height, `${name} is in the window`);
      await page.mouse.click(x + width / 2, y + height / 2); // not `click`, which scrolls by itself
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      if (name === 'Undo') await painted(page, NOTHING);
      else assert.deepEqual(await seen(), before, `${name} at ${viewport.width} × ${viewport.height}`);
    }
  }
});

test('what could not be kept is not run, and is kept when it is asked for again; another picture ends what is begun on the one before', async () => {
  const { page } = await withApple();
  await promptOf(page).fill(ORANGE);
  await page.evaluate(() => {
    const { put } = IDBObjectStore.prototype;
    globalThis.asked = 0;
    IDBObjectStore.prototype.put = function full() {
      globalThis.asked++;
      throw new DOMException('there is no room', 'QuotaExceededError');
    };
    globalThis.room = () => { IDBObjectStore.prototype.put = put; };
  });
  const unkept = () => page.locator('#report').getByText('What is painted could not be kept.').waitFor();
  const kept = () => page.evaluate(() => Object.values(JSON.parse(localStorage.getItem('opengen.begin')).masks));
  await stroke(page, [[0.3, 0.4], [0.7, 0.4]]);
  await unkept();
  await page.waitForTimeout(200);
  const asked = await page.evaluate(() => globalThis.asked);
  await page.getByRole('button', { name: 'Close' }).click();
  await generateButton(page).click();
  await unkept();
  assert.deepEqual([await kept(), await page.evaluate(() => globalThis.asked) - asked], [[], asked], 'tried once each time');
  await page.evaluate(() => globalThis.room());
  await set(page, { Steps: 1 });
  await begins(page, () => generateButton(page).click());
  await finished(page);
  assert.equal((await kept()).length, 1);

  // Letters are the tools' where one paints, and nowhere else; what AltGr types is no control key.
  await page.getByRole('button', { name: 'Paint again' }).click();
  const isOn = (name) => tool(page, name).getAttribute('aria-pressed');
  await stroke(page, [[0.3, 0.6], [0.7, 0.6]]);
  const { values } = await maskOf(page);
  await canvas(page).evaluate((root) => root.dispatchEvent(new KeyboardEvent('keydown',
    { key: 'z', ctrlKey: true, altKey: true, modifierAltGraph: true, bubbles: true, cancelable: true })));
  assert.deepEqual((await maskOf(page)).values, values);
  await page.mouse.move(2, 2);
  await generateButton(page).focus();
  await page.keyboard.press('e');
  assert.equal(await isOn('Eraser'), 'false');
  await canvas(page).focus();
  await page.keyboard.press('e');
  assert.equal(await isOn('Eraser'), 'true');
  await page.keyboard.press('b');

  // The other picture arrives, slowly, while a stroke is drawn.
  await page.evaluate(() => {
    const own = globalThis.createImageBitmap;
    const gate = new Promise((open) => { globalThis.arrive = open; });
    globalThis.createImageBitmap = async (source, ...how) => {
      const bitmap = await own(source, ...how);
      if (!(source instanceof File)) {
        globalThis.waits = true;
        await gate;
      }
      return bitmap;
    };
  });
  const other = PNG.sync.write(Object.assign(new PNG({ width: 64, height: 64 }), { data: Buffer.alloc(4 * 64 * 64, 255) }));
  await page.locator('#begin-file').setInputFiles({ name: 'other.png', mimeType: 'image/png', buffer: other });
  await page.waitForFunction(() => globalThis.waits);
  await canvas(page).scrollIntoViewIfNeeded();
  const at = await places(page);
  await page.mouse.move(...at(0.2, 0.2));
  await page.mouse.down();
  await page.mouse.move(...at(0.4, 0.4));
  await page.keyboard.press('Control+z');
  await page.mouse.move(...at(0.5, 0.5));
  await page.evaluate(() => globalThis.arrive());
  await painted(page, NOTHING);
  await page.mouse.move(...at(0.8, 0.8));
  await page.mouse.up();
  assert.equal((await maskOf(page)).share, 0);
});

test('on a phone: a finger paints, two bring the picture nearer, a pen paints as it is pressed, and numbers do without any', async () => {
  const { page } = await withApple({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const devtools = await page.context().newCDPSession(page);
  await canvas(page).scrollIntoViewIfNeeded();
  const at = await places(page);
  const touch = (type, ...fingers) => devtools.send('Input.dispatchTouchEvent', { type,
    touchPoints: fingers.map(([x, y], id) => ({ x, y, id })) });
  await touch('touchStart', at(0.2, 0.5));
  await touch('touchMove', at(0.5, 0.5));
  await touch('touchMove', at(0.8, 0.5));
  await touch('touchEnd');
  const line = await maskOf(page);
  near(line.box, [0.11, 0.41, 0.89, 0.59], 0.02, 'a finger');

  await canvas(page).scrollIntoViewIfNeeded();
  const now = await places(page);
  await touch('touchStart', now(0.4, 0.4));
  await touch('touchStart', now(0.4, 0.4), now(0.6, 0.6));
  await touch('touchMove', now(0.3, 0.3), now(0.7, 0.7));
  await touch('touchMove', now(0.2, 0.2), now(0.8, 0.8));
  await touch('touchEnd');
  assert.deepEqual((await maskOf(page)).values, line.values, 'two fingers paint nothing');
  await canvas(page).scrollIntoViewIfNeeded();
  const near3 = await places(page);
  await tool(page, 'Rectangle').tap();
  // Within its round corners: beyond them it is the page that is touched.
  await touch('touchStart', near3(0.01, 0.01));
  await touch('touchMove', near3(0.5, 0.5));
  await touch('touchMove', near3(0.99, 0.99));
  await page.waitForTimeout(200); // else it was a fling, and the next tap stops that
  await touch('touchEnd');
  const third = await maskOf(page);
  assert.ok(Math.abs((third.box[3] - third.box[1]) - 0.98 / 3) < 0.03, `three times as near: ${third.box}`);
  await page.getByRole('button', { name: 'Clear' }).tap();
  await page.getByRole('button', { name: 'Whole picture' }).tap();

  await tool(page, 'Brush').tap();
  await canvas(page).scrollIntoViewIfNeeded();
  const pen = async (type, [x, y], force) => devtools.send('Input.dispatchMouseEvent', { type, x, y, force, pointerType: 'pen',
    button: 'left', buttons: type === 'mouseReleased' ? 0 : 1, clickCount: 1 });
  const seen = await places(page);
  await pen('mousePressed', seen(0.5, 0.5), 0.25);
  await pen('mouseReleased', seen(0.5, 0.5), 0);
  const little = (await maskOf(page)).share;
  const full = Math.PI * 0.09 ** 2;
  assert.ok(little > 0.05 * full && little < 0.4 * full, `a pen that is pressed little paints ${(little / full).toFixed(2)} of a dab`);

  // Without any pointer.
  await page.getByRole('button', { name: 'Clear' }).press('Enter');
  for (const [label, value] of [['From the left', 32], ['From the top', 64], ['Width', 64], ['Height', 32]]) {
    const field = page.locator('#tools').getByLabel(label, { exact: true });
    await field.focus();
    await page.keyboard.type(String(value));
  }
  await page.getByRole('button', { name: 'Paint it' }).press('Enter');
  await painted(page, /^13 %/);
  near((await maskOf(page)).box, [0.25, 0.5, 0.75, 0.75], 0.001, 'by numbers');
  await page.locator('#tools').getByLabel('Width', { exact: true }).fill('');
  await page.getByRole('button', { name: 'Erase it' }).press('Enter');
  await page.locator('#rectangle-error').getByText('the picture has 128 × 128').waitFor();

  // How it is drawn anew is kept too, and what cannot be is refused at its field.
  await page.locator('#tools').getByLabel('There before it begins').selectOption('fill');
  await page.locator('#tools').getByLabel(/^Mask blur/).fill('100');
  await set(page, { Steps: 2 });
  await generateButton(page).tap();
  await page.locator('#maskBlur-error').getByText(/expected 0 to 64/).waitFor();
  await page.locator('#tools').getByLabel(/^Mask blur/).fill('2');
  await page.reload();
  await ready(page);
  await painted(page, /^13 %/);
  assert.equal(await page.locator('#maskedContent').inputValue(), 'fill');
  await begins(page, () => generateButton(page).tap());
  await finished(page);
  await page.getByRole('button', { name: 'Use this' }).waitFor();
});

test('a picture grows on its side and stays as it was behind the seam; of a large one only what is painted over is drawn', async () => {
  const { page, apple } = await withApple();
  await mode(page, 'Extend');
  const side = (name) => page.getByRole('slider', { name, exact: true });
  await side('On the right').waitFor();
  await generateButton(page).click();
  await page.locator('#extend-error').getByText(/^The picture does not grow yet/).waitFor();
  const square = await page.locator('#extend').boundingBox();
  const { x, y, width, height } = await side('On the right').boundingBox();
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 2 + 0.14 * square.width, y + height / 2, { steps: 4 }); // 0.7 of it are 128 pixels
  await page.mouse.up();
  assert.equal(await side('On the right').getAttribute('aria-valuetext'), '24 pixels');
  assert.equal(await page.locator('#extend-error').isVisible(), false);
  await side('On the right').press('ArrowRight');
  await side('At the top').press('ArrowUp');
  await page.locator('#sides').getByText('The picture becomes 160 × 136 pixels').waitFor();
  await page.reload();
  await ready(page);
  assert.equal(await side('On the right').getAttribute('aria-valuenow'), '32');
  await begins(page, () => generateButton(page).click());
  await finished(page);
  const large = await pixels(page);
  assert.deepEqual([large.width, large.height], [160, 136]);
  let changed = 0;
  for (let row = 16; row < 128; row++) {
    const from = 4 * ((row + 8) * 160);
    changed += Number(!large.data.subarray(from, from + 4 * 112).equals(apple.data.subarray(4 * row * 128, 4 * (row * 128 + 112))));
  }
  assert.equal(changed, 0, 'rows that changed behind the seam');
  await page.getByRole('button', { name: 'Before' }).click();
  await page.waitForFunction(() => { // what was before lies where it was
    const [before, all] = ['.before img', '.before'].map((of) => document.querySelector(of)?.getBoundingClientRect().width);
    return Math.abs(before / all - 128 / 160) < 0.01;
  });

  await mode(page, 'From words');
  await draw(page, 'a cat', { Steps: 1 });
  await page.locator('#earlier button').nth(1).click();
  await says(page, 'An earlier picture');
  await useSettings(page);
  await page.locator('#mode-extend:checked').waitFor();
  assert.equal(await page.getByLabel('Width', { exact: true }).first().inputValue(), '128', 'others are drawn as large as before');
  await begins(page, () => generateButton(page).click());
  await finished(page);
  assert.equal(psnr(await pixels(page), large), Infinity);

  // A photograph, as it were: a corner of it is painted over, and drawn as large as a whole picture.
  const photograph = new PNG({ width: 480, height: 320 });
  for (let i = 0; i < 480 * 320; i++) photograph.data.set([i % 256, (i >> 8) % 256, 90, 255], 4 * i);
  await mode(page, 'Repaint');
  await page.locator('#begin-file').setInputFiles({ name: 'large.png', mimeType: 'image/png', buffer: PNG.sync.write(photograph) });
  await more(page);
  await page.locator('#onlyMasked:checked').waitFor(); // once the large one is there
  await painted(page, NOTHING);
  for (const [label, value] of [['From the left', 40], ['From the top', 40], ['Width', 60], ['Height', 60]]) {
    await page.locator('#tools').getByLabel(label, { exact: true }).fill(String(value));
  }
  await page.getByRole('button', { name: 'Paint it' }).click();
  await begins(page, () => generateButton(page).click());
  await finished(page);
  const result = await pixels(page);
  const far = 4 * Number(await page.locator('#maskBlur').inputValue()) + 2;
  const changes = { within: 0, beyond: 0 };
  for (let i = 0; i < 480 * 320; i++) {
    const [column, row] = [i % 480, Math.floor(i / 480)];
    const same = [0, 1, 2].every((c) => result.data[4 * i + c] === photograph.data[4 * i + c]);
    const reached = [column, row].every((at) => at >= 40 - far && at < 100 + far);
    changes[reached ? 'within' : 'beyond'] += Number(!same);
  }
  assert.deepEqual([result.width, result.height, changes.beyond], [480, 320, 0]);
  assert.ok(changes.within > 3000, `${changes.within} pixels were drawn anew`);
});

test('while one paints, what is painted is drawn; none of it is kept, and the picture comes back', async () => {
  const { page } = await withApple();
  await promptOf(page).fill(ORANGE);
  const under = page.locator('#mask .mask-under');
  const seen = () => under.evaluate((element) => element.toDataURL());
  const strip = () => page.locator('#strip button').count();
  const [before, kept] = [await seen(), await strip()];
  const live = page.getByRole('checkbox', { name: 'Draw while I paint' });
  await live.check();
  await page.waitForTimeout(500);
  assert.equal(await seen(), before, 'nothing is painted, so nothing is drawn');

  // While the hand has not let go yet, and after it.
  const at = await places(page);
  await page.mouse.move(...at(0.35, 0.4));
  await page.mouse.down();
  await page.mouse.move(...at(0.6, 0.45), { steps: 5 });
  await page.locator('#mask[data-result]').waitFor();
  const first = await seen();
  assert.notEqual(first, before);
  await page.mouse.move(...at(0.35, 0.6), { steps: 5 });
  await page.mouse.move(...at(0.65, 0.65), { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction((old) => document.querySelector('#mask .mask-under').toDataURL() !== old, first);
  await page.locator('#live-words').filter({ hasText: /^\d+\.\d pictures a second\. Generate/ }).waitFor();
  assert.equal(await strip(), kept);

  // Other words, another picture; what is wrong with the settings is said, and nothing is lost.
  const orange = await settled(page, seen);
  await promptOf(page).fill('a green apple on a light blue background');
  await page.waitForFunction((old) => document.querySelector('#mask .mask-under').toDataURL() !== old, orange);
  await settled(page, seen);

  await live.uncheck();
  await page.locator('#mask:not([data-result])').waitFor();
  await page.waitForFunction((old) => document.querySelector('#mask .mask-under').toDataURL() === old, before);
  await live.check();
  await page.locator('#mask[data-result]').waitFor();
  await begins(page, () => generateButton(page).click());
  await finished(page);
  assert.equal(await strip(), kept + 1);

  // Memory that ends is said; what was begun with, what is painted and the words stay.
  await page.getByRole('button', { name: 'Paint again' }).click();
  await live.uncheck();
  const { values } = await maskOf(page);
  const begun = () => page.evaluate(() => localStorage.getItem('opengen.begin'));
  const was = await begun();
  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    OpenGen.prototype.generate = async () => { throw Object.assign(new Error('the memory is full'), { code: 'OUT_OF_MEMORY' }); };
  });
  await generateButton(page).click();
  await page.locator('#banner').getByText('There was not enough memory.').waitFor();
  assert.equal(await promptOf(page).inputValue(), 'a green apple on a light blue background');
  assert.deepEqual([(await maskOf(page)).values, await begun()], [values, was]);
});

/** What is seen once nothing newer has come for a while. */
async function settled(page, seen) {
  for (let last = await seen(), i = 0; ; i++) {
    await page.waitForTimeout(1500);
    const now = await seen();
    if (now === last) return now;
    assert.ok(i < 20, 'it goes on drawing');
    last = now;
  }
}
