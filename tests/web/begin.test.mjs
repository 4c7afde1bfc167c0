/** A run begins with a picture: chosen, dropped, or the one that was just made; how much may change; and where it goes. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import {
  assertPicture, draw, finished, begins, generateButton, pixels, promptOf, psnr, ready, says, set, stand, useSettings, visitor,
} from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const APPLE = 'a red apple on a light blue background';
const STEPS = { Steps: 4, Seed: 5 };
const report = (page) => page.locator('#report');
const thumbnails = (page) => page.locator('#earlier button');
/** Chooses what a picture begins with. */
const mode = (page, name) => page.getByRole('radio', { name, exact: true }).check({ force: true }); // its label lies above
/** The picture that is begun with covers the stage. */
const looking = (page) => page.getByRole('img', { name: 'The picture that a run begins with' }).waitFor();
const change = (page, share) => page.getByLabel('How much may change').fill(String(share));

/** The hash of what is begun with. */
const sourceOf = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('opengen.begin')).image);

/** A picture file: red at the left, blue at the right. */
function file({ width = 96, height = 96, name = 'two.png' } = {}) {
  const png = new PNG({ width, height });
  for (let i = 0; i < width * height; i++) png.data.set(i % width < width / 2 ? [220, 30, 30, 255] : [30, 60, 200, 255], 4 * i);
  return { name, mimeType: 'image/png', buffer: PNG.sync.write(png) };
}

/** Draws, and how like another picture the result is, in dB. */
async function like(page, other, fields) {
  await change(page, fields.change);
  return psnr(await draw(page, APPLE, STEPS), other);
}

test('the picture that was just made is begun with: the less may change, the more of it stays', async () => {
  const page = await visitor(it);
  await ready(page);
  const first = await draw(page, 'a panda on a yellow background', STEPS);
  await mode(page, 'From a picture');
  await looking(page);
  assert.equal(await page.locator('#strength-words').textContent(), '60 %');
  // Of Mini's four steps (999, 749, 499, 249) the last two: √(1 − ᾱ) and √ᾱ at 499 of Stable Diffusion's schedule.
  await page.locator('#begin-hint').getByText('Begins at step 3 of 4, where noise is 0.85 and the picture 0.53.').waitFor();
  const [little, much] = [await like(page, first, { change: 0.25 }), await like(page, first, { change: 1 })];
  assert.ok(little > much + 0.5, `${little.toFixed(1)} dB with a quarter, ${much.toFixed(1)} dB with all`);

  // A quarter of four steps is one; of less there is none.
  await change(page, 0.2);
  await generateButton(page).click();
  await page.locator('#strength-error').getByText(/less than one, which leaves the picture as it is/).waitFor();
  assert.equal(await promptOf(page).inputValue(), APPLE);

  await mode(page, 'From words');
  assert.equal(await page.locator('#begin').isVisible(), false);
  assertPicture(await draw(page, APPLE, STEPS));

  // Something else was drawn meanwhile: what is seen is what is begun with, and what comes of it can be gone on from.
  await mode(page, 'From a picture');
  await looking(page);
  await change(page, 0.5);
  await draw(page, APPLE, STEPS);
  const before = await sourceOf(page);
  await page.getByRole('button', { name: 'Use this' }).click();
  await looking(page);
  assert.notEqual(await sourceOf(page), before);

  // What that noise level is, How it works shows.
  await page.getByRole('link', { name: 'See what that is' }).click();
  await page.getByRole('heading', { name: 'Begin in the middle' }).waitFor();
  await page.waitForFunction(() => {
    const { top, bottom } = document.querySelector('#how-middle').getBoundingClientRect();
    return top < innerHeight && bottom > 0;
  });
});

test('it is kept with the pictures: through a reload, with the settings of an earlier one, and byte for byte again', async () => {
  const page = await visitor(it);
  await ready(page);
  await mode(page, 'From a picture');
  await page.locator('#begin-file').setInputFiles(file());
  await change(page, 0.5);
  const made = await draw(page, APPLE, STEPS);
  await page.reload();
  await ready(page);
  assert.equal(await page.locator('#strength-words').textContent(), '50 %');
  await mode(page, 'From words');
  await draw(page, 'a cat', STEPS);

  await thumbnails(page).nth(1).click();
  await says(page, 'An earlier picture');
  // Its picture is read slowly: a run that is asked for meanwhile waits for it.
  await page.evaluate(() => {
    const { arrayBuffer } = Blob.prototype;
    const gate = new Promise((open) => { globalThis.arrive = open; });
    Blob.prototype.arrayBuffer = function slow() {
      return this.size === 8 ? gate.then(() => arrayBuffer.call(this)) : arrayBuffer.call(this); // a PNG's size in its header
    };
    new MutationObserver(() => { globalThis.began ||= document.querySelector('#generate').textContent.includes('Cancel'); })
      .observe(document.querySelector('#generate'), { childList: true, characterData: true, subtree: true });
  });
  await useSettings(page);
  await generateButton(page).click();
  await page.waitForTimeout(300);
  assert.equal(await page.evaluate(() => globalThis.began), undefined);
  await begins(page, () => page.evaluate(() => globalThis.arrive()));
  assert.equal(await page.getByLabel('How much may change').inputValue(), '0.5');
  await finished(page);
  assert.equal(psnr(await pixels(page), made), Infinity);
  // The other one began with noise, and its settings say so; the visitor's own picture is there all the same.
  await thumbnails(page).nth(0).click();
  await useSettings(page);
  assert.equal(await page.getByRole('radio', { name: 'From words' }).isChecked(), true);
  await mode(page, 'From a picture');
  await looking(page);
  await page.getByRole('button', { name: 'Remove' }).click();
  await generateButton(page).click();
  await page.locator('#image-error').getByText(/no picture to begin with yet/).waitFor();
});

test('a picture that is dropped is offered to begin with; what is none is refused, and nothing is lost', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('kept');
  const { buffer, name } = file({ width: 60, height: 200 });
  await page.evaluate(([bytes, called]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(bytes)], called, { type: 'image/png' }));
    dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  }, [[...buffer], name]);
  await page.getByRole('button', { name: 'Begin with it' }).click();
  await page.locator('#begin[data-on]').waitFor();
  const kept = () => page.locator('#begin-image').evaluate((image) => image.decode().then(() => [image.naturalWidth, image.naturalHeight]));
  assert.deepEqual(await kept(), [60, 200]);

  await page.locator('#begin-file').setInputFiles({ name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
  await report(page).getByText('“no.png” was not taken.').waitFor();
  assert.deepEqual(await kept(), [60, 200], 'the one before is still there');
  assert.equal(await promptOf(page).inputValue(), 'kept');

  // Where one begins with pictures, one that is pasted or dropped is begun with at once.
  await page.evaluate(([bytes]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(bytes)], 'pasted.png', { type: 'image/png' }));
    dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  }, [[...file({ width: 50, height: 40 }).buffer]]);
  await page.waitForFunction(() => document.querySelector('#begin-image').naturalWidth === 50);

  // Larger than anything that is drawn: made smaller before it is kept. Of another shape than others: it is drawn in its own.
  await page.locator('#begin-file').setInputFiles(file({ width: 4200, height: 300, name: 'wide.png' }));
  await page.waitForFunction(() => document.querySelector('#begin-image').naturalWidth === 2048);
  await change(page, 0.25);
  const wide = await draw(page, APPLE, STEPS);
  assert.deepEqual([wide.width, wide.height], [480, 32]); // as many pixels as 128 × 128, as far as steps of 8 go

  // Who goes back to words while a file is read stays there.
  await page.evaluate(() => {
    const own = globalThis.createImageBitmap;
    globalThis.createImageBitmap = async (...source) => {
      globalThis.waits = true;
      await new Promise((arrive) => { globalThis.arrive = arrive; });
      return own(...source);
    };
  });
  await page.locator('#begin-file').setInputFiles(file());
  await page.waitForFunction(() => globalThis.waits);
  await mode(page, 'From words');
  await page.evaluate(() => globalThis.arrive());
  await page.waitForTimeout(500);
  assert.equal(await page.getByRole('radio', { name: 'From words' }).isChecked(), true);
});

test('a source that is gone from the browser is said at the field, and the prompt stays', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, STEPS);
  await mode(page, 'From a picture');
  const photograph = page.locator('#begin-photograph');
  assert.equal(await photograph.getAttribute('capture'), 'environment', 'a telephone opens its camera');
  await photograph.setInputFiles(file());
  await page.locator('#begin[data-on]').waitFor();
  await page.evaluate(() => new Promise((done) => {
    const request = indexedDB.open('opengen-pictures');
    request.onsuccess = () => {
      const transaction = request.result.transaction('sources', 'readwrite');
      transaction.objectStore('sources').clear();
      transaction.oncomplete = () => (request.result.close(), done());
    };
  }));
  await promptOf(page).fill(APPLE);
  await generateButton(page).click();
  await page.locator('#image-error').getByText(/is not here any more/).waitFor();
  assert.equal(await promptOf(page).inputValue(), APPLE);
});
