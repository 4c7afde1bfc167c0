/** Teaching the model something of one's own: the view, a training that is interrupted, what comes of it, and og.train. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import { asFiles, drawn } from './creature.mjs';
import { flat, slide } from './learn.mjs';
import { MODEL, PATIENCE, banner, draw, program, promptOf, psnr, ready, set, stand, tab, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#teach' });

const teach = (page) => page.getByRole('button', { name: 'Teach it' });
const status = (page) => page.locator('.teach-status');

/** Three pictures and what kind of thing they show. */
async function pictures(page) {
  await page.locator('#teach-files').setInputFiles(asFiles(await drawn(page, 3)));
  await page.locator('.teach-pictures li').nth(2).waitFor();
  await page.getByLabel('What kind of thing it is').fill('alien monster');
}

/** Few steps, as fields of the view. */
async function few(page, steps) {
  await page.locator('.teach-details > summary').click();
  await page.locator('#teach-steps').fill(String(steps));
  await page.locator('#teach-classImages').fill('2');
}

test('a training is interrupted by a reload, goes on, and what it learnt is drawn with', async () => {
  const page = await visitor(it, { init: () => Object.assign(navigator, {
    canShare: () => true,
    share: async ({ files: [file] }) => { window.shared = [file.name, file.type, file.size]; },
    workers: (window.Worker = class extends Worker {
      constructor(...of) {
        super(...of);
        navigator.workers.last = this;
      }
    }),
  }) });
  let warned = 0;
  page.on('dialog', (dialog) => {
    warned += dialog.type() === 'beforeunload' ? 1 : 0;
    dialog.accept();
  });
  await ready(page);
  await page.locator('#teach-files').setInputFiles(asFiles(await drawn(page, 5)));
  await page.locator('.teach-pictures li').nth(4).waitFor();
  await page.getByLabel('What kind of thing it is').fill('alien monster');
  assert.equal(await page.getByLabel('What picture 1 shows').inputValue(), 'a zorp alien monster');
  await page.getByLabel('What picture 2 shows').fill('a zorp alien monster on pink');
  await few(page, 12);
  await teach(page).click();
  await page.locator('.teach-samples').getByText('step 2').waitFor({ timeout: PATIENCE });
  await page.reload();
  await page.getByText(/“zorp” was interrupted after step [2-9]/).waitFor();
  assert.equal(warned, 1, 'the tab warned before it was left');
  await page.getByRole('button', { name: 'Use it as it is' }).click();
  await status(page).getByText(/“zorp” is among your LoRAs, after [2-9] steps/).waitFor({ timeout: PATIENCE });
  // Its engine breaks down: what was learnt until the last look is there.
  const goOn = page.getByRole('button', { name: 'Go on' });
  await goOn.click();
  await status(page).getByText(/^Step \d/).waitFor({ timeout: PATIENCE });
  await page.evaluate(() => navigator.workers.last.dispatchEvent(new ErrorEvent('error', { message: 'unreachable executed' })));
  await page.locator('.field-error').getByText('What was learnt until the last look is kept').waitFor();
  await goOn.click();
  assert.equal(await page.getByLabel('What picture 2 shows').inputValue(), 'a zorp alien monster on pink');
  await status(page).getByText('“zorp” is among your LoRAs, after 12 steps').waitFor({ timeout: PATIENCE });
  assert.equal(await page.locator('.teach-again').isVisible(), false);
  const { length } = await page.locator('.teach-samples li').all();
  assert.ok(length >= 2, 'looked at on the way');
  const look = page.getByRole('button', { name: /^Use what was learnt until step/ }).first();
  const step = /\d+$/.exec(await look.getAttribute('aria-label'))[0];
  await look.click();
  await status(page).getByText(`“zorp” is among your LoRAs, after ${step} steps`).waitFor();
  assert.equal(await look.getAttribute('aria-pressed'), 'true');
  await page.getByRole('button', { name: 'Use what was learnt until step 12' }).last().click();
  await status(page).getByText('“zorp” is among your LoRAs, after 12 steps').waitFor();
  await slide(page.getByRole('slider', { name: 'Before and after' }), 20);
  await page.getByRole('button', { name: 'Share a picture of it' }).click();
  await page.waitForFunction(() => window.shared);
  const [name, type] = await page.evaluate(() => window.shared);
  assert.match(name, /zorp.*\.png$/);
  assert.equal(type, 'image/png');
  await slide(page.getByRole('slider', { name: 'How much of it' }), 0.5);
  await page.getByText('How much of it: 0.50').waitFor();
  await slide(page.getByRole('slider', { name: 'How much of it' }), 1);
  await page.getByRole('button', { name: 'Draw it' }).click();
  assert.match(await promptOf(page).inputValue(), /^a zorp alien monster in the snow <lora:zorp:1>$/);
  await page.locator('#loras > summary').click();
  await page.locator('img.lora-picture[src^="data:image/jpeg;base64,"]').waitFor();
  await set(page, { Seed: 3 });
  const learnt = await draw(page, 'a zorp alien monster <lora:zorp:1>', { Steps: 4 });
  const plain = await draw(page, 'a zorp alien monster', { Steps: 4 });
  assert.ok(psnr(learnt, plain) < 45, 'what was learnt shows');
  assert.equal(await banner(page).isVisible(), false);
});

test('a word alone is learnt: an embedding among the others, which prompts call by its name', async () => {
  const page = await visitor(it, {});
  await ready(page);
  await pictures(page);
  await page.locator('.teach-details > summary').click();
  await page.locator('#teach-rank').waitFor();
  await page.getByLabel('How', { exact: true }).selectOption('word');
  await page.getByText('Only the word is learnt').waitFor();
  assert.equal(await page.locator('#teach-rank').isVisible(), false);
  await page.locator('#teach-steps').fill('4');
  await page.locator('#teach-rate').fill('0.05');
  await teach(page).click();
  await status(page).getByText('“zorp” is among your embeddings, after 4 steps').waitFor({ timeout: PATIENCE });
  assert.ok((await page.locator('.teach-samples li').count()) >= 2, 'looked at on the way');
  assert.equal(await page.getByRole('slider', { name: 'How much of it' }).isVisible(), false);
  await page.getByText('An embedding (textual inversion)').waitFor();
  await page.getByRole('button', { name: 'Draw it' }).click();
  assert.equal(await promptOf(page).inputValue(), 'a zorp alien monster in the snow');
  await set(page, { Seed: 3 });
  const learnt = await draw(page, 'a zorp', { Steps: 2 });
  await page.evaluate(async () => {
    const og = await (await import('/client.js')).OpenGen.create({ engine: 'cpu' });
    await og.networks.remove('zorp');
    og.dispose();
  });
  await page.reload();
  await ready(page);
  const plain = await draw(page, 'a zorp', { Steps: 2 });
  assert.ok(psnr(learnt, plain) < 45, 'what was learnt shows');
});

test('what is wrong with pictures and words is said, and nothing is lost', async () => {
  const page = await visitor(it);
  await ready(page);
  const [one, two, three] = asFiles(await drawn(page, 3));
  await page.locator('#teach-files').setInputFiles([one, one, { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no') }]);
  const notes = page.locator('.teach-notes');
  await notes.getByText('Pictures 1 and 2 are the same').waitFor();
  await notes.getByText('notes.txt is no picture').waitFor();
  await teach(page).click();
  await page.getByText('2 so far: three are the least.').and(page.locator('.field-error')).waitFor();
  await page.getByRole('button', { name: 'Without picture 2' }).click();
  await page.locator('#teach-files').setInputFiles([two, three]);
  await page.locator('.teach-pictures li').nth(2).waitFor();
  await teach(page).click();
  await page.getByText('Both words are needed').waitFor();
  await page.getByLabel('A word that means nothing yet').fill('apple');
  await page.getByText('“apple” means something already').waitFor();
  await page.getByLabel('What kind of thing it is').fill('cat');
  await page.locator('.teach-details > summary').click();
  for (const [field, value, words] of [['steps', '1.5', 'Steps of learning: a whole number from 0 on'], ['rank', '-1', 'Rank: a whole number from 0 on'], ['rate', '-1', 'Learning rate: a number from 0 on']]) {
    await page.locator(`#teach-${field}`).fill(value);
    await teach(page).click();
    await page.locator('.field-error').getByText(words).waitFor();
    await page.locator(`#teach-${field}`).fill('');
  }
  await page.locator('#teach-rank').fill('4000');
  await teach(page).click();
  await page.getByText(/^Rank: 4000 asked for, expected 1 to 128/).waitFor({ timeout: PATIENCE });
  await page.locator('#teach-rank').fill('0');
  await teach(page).click();
  await page.getByText(/^Rank: 0 asked for, expected 1 to 128/).waitFor({ timeout: PATIENCE });
  assert.equal(await page.locator('.teach-pictures li').count(), 3);
  await page.getByRole('button', { name: 'Delete everything of this training' }).click();
  assert.equal(await page.locator('.teach-pictures li').count(), 0);
  await page.reload();
  await ready(page);
  assert.equal(await page.getByRole('button', { name: 'Go on' }).isVisible(), false);
});

test('two tabs, a full store, a model that is deleted: each is said, it learns on, and nothing of either is lost', async () => {
  const page = await visitor(it);
  await ready(page);
  await pictures(page);
  await page.locator('.teach-details > summary').click();
  await page.locator('#teach-steps').fill('600');
  await page.locator('#teach-classImages').fill('1');
  await page.evaluate(() => { // the store takes nothing more of it
    const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function full(...what) {
      if (window.full && this.name === 'trainings') throw new DOMException('no room', 'QuotaExceededError');
      return put.apply(this, what);
    };
  });
  await teach(page).click();
  await status(page).getByText(/^Step \d+ of 600/).waitFor({ timeout: PATIENCE });

  const other = await tab(page.context(), it);
  await ready(other);
  await other.locator('#teach-elsewhere').getByText('Another training is under way').waitFor();
  await pictures(other);
  await teach(other).click();
  await other.locator('.field-error').getByText('Another training is under way').waitFor();
  assert.equal(await other.locator('.teach-pictures li').count(), 3, 'the other’s pictures stay');
  assert.equal(await other.getByRole('button', { name: 'Go on' }).count(), 0);

  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    await og.models.remove('mini');
    og.dispose();
  });
  const step = async () => Number(/Step (\d+)/.exec(await status(page).innerText())?.[1]);
  const before = await step();
  await page.waitForFunction((then) => Number(/Step (\d+)/.exec(document.querySelector('.teach-status').textContent)?.[1]) > then + 2, before, { timeout: PATIENCE });
  await page.evaluate(() => { window.full = true; });
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.locator('#teach-unkept').getByText('there is no room left in the browser’s store').waitFor({ timeout: PATIENCE });
  await page.evaluate(() => { window.full = false; });
  await other.locator('.teach-again').getByText('“zorp” was interrupted').waitFor();
  await other.getByLabel('A word that means nothing yet').fill('blip');
  await teach(other).click();
  await page.locator('#teach-elsewhere, .teach-again').first().waitFor();
  await status(other).getByText(/^(Step|It draws|Your)/).waitFor({ timeout: PATIENCE });
  await other.getByRole('button', { name: 'Stop' }).click();
  await other.getByText('“blip” was interrupted').waitFor({ timeout: PATIENCE });
  assert.equal(await other.locator('.teach-again').count(), 2, 'one does not replace the other');
  await other.getByRole('button', { name: 'Delete what is kept of “blip”' }).click();
  await other.getByText('“blip” was interrupted').waitFor({ state: 'detached' });
  await other.getByText('“zorp” was interrupted').waitFor();

  // The model is gone for good now: its pictures and words are not.
  await other.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    await og.models.remove('mini').catch(() => {});
    og.dispose();
  });
  it.server.faults = { status: 404 };
  await other.getByRole('button', { name: 'Go on' }).click();
  await other.locator('.field-error').and(other.locator(':visible')).first().waitFor({ timeout: PATIENCE });
  await other.getByText('“zorp” was interrupted').waitFor();
  assert.equal(await other.locator('.teach-pictures li').count(), 3);
});

test('a video, a broken JPEG, forty huge pictures all alike: said by name, looked at one by one, made smaller; too little memory steps down', async () => {
  const page = await visitor(it, { init: () => {
    const make = window.createImageBitmap;
    Object.assign(window, { open: 0, most: 0 });
    window.createImageBitmap = async (...what) => {
      const bitmap = await make(...what);
      window.most = Math.max(window.most, (window.open += bitmap.width * bitmap.height > 2e6));
      const { close } = bitmap;
      bitmap.close = () => {
        window.open -= bitmap.width * bitmap.height > 2e6;
        return close.call(bitmap);
      };
      return bitmap;
    };
  } });
  await ready(page);
  const file = (name, mimeType, buffer) => ({ name, mimeType, buffer });
  await page.locator('#teach-files').setInputFiles([
    file('clip.mp4', 'video/mp4', Buffer.from('0000001866747970697336d6', 'hex')), file('broken.jpg', 'image/jpeg', Buffer.from('ffd8ffe000104a464946', 'hex')),
  ]);
  for (const name of ['clip.mp4', 'broken.jpg']) await page.getByText(`${name} is no picture that this browser reads.`).waitFor();
  const huge = file('huge.png', 'image/png', flat(2400, 1800, [40, 90, 200]));
  await page.locator('#teach-files').setInputFiles(Array.from({ length: 41 }, () => huge));
  await page.getByText('Forty are the most.').waitFor({ timeout: PATIENCE });
  assert.equal(await page.locator('.teach-pictures li').count(), 40);
  assert.equal(await page.evaluate(() => window.most), 1, 'one of them is open at a time');
  await page.getByLabel('What kind of thing it is').fill('cat');
  await teach(page).click();
  await page.getByText('Only 1 of them is different').waitFor();

  await page.locator('#teach-files').setInputFiles([]);
  while (await page.locator('.teach-pictures li').count() > 1) await page.getByRole('button', { name: 'Without picture 2', exact: true }).click();
  await page.locator('#teach-files').setInputFiles(asFiles(await drawn(page, 2)));
  await page.locator('.teach-pictures li').nth(2).waitFor();
  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    window.sizes = [];
    OpenGen.prototype.train = async (options) => {
      window.sizes.push(options.width ?? 0);
      const image = await createImageBitmap(options.images[0].image);
      window.side = image.width;
      throw Object.assign(new Error('the memory is full'), { code: 'OUT_OF_MEMORY' });
    };
  });
  await teach(page).click();
  await page.getByText('This device has not enough memory for this model to learn').waitFor({ timeout: PATIENCE });
  assert.deepEqual(await page.evaluate(() => [window.sizes, window.side]), [[0, 64], MODEL.width]);
  assert.equal(await page.locator('.teach-pictures li').count(), 3, 'pictures and words stay');
  const stored = await page.evaluate(() => new Promise((resolve) => {
    const opening = indexedDB.open('opengen-teach');
    opening.onsuccess = () => {
      const all = opening.result.transaction('trainings').objectStore('trainings').getAll();
      all.onsuccess = async () => resolve((await createImageBitmap(all.result[0].pictures[0].image)).width);
    };
  }));
  assert.equal(stored, 1536, 'a huge picture is kept smaller');

  // What was learnt and cannot be put among the LoRAs is still to be had.
  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    OpenGen.prototype.train = async () => ({ step: 9, file: new Blob(['no network']), checkpoint: new Blob() });
  });
  await teach(page).click();
  await status(page).getByText('“zorp” is learnt, and could not be kept with your LoRAs and embeddings').waitFor({ timeout: PATIENCE });
  assert.equal(await page.getByRole('link', { name: 'Save the file' }).getAttribute('download'), 'zorp.safetensors');
  assert.equal(await page.locator('.teach-again').count(), 1, 'nor is its beginning thrown away');
});

/** Red, green, blue and black from left to right. */
function striped(width, height, red = 255) {
  const image = new PNG({ width, height });
  for (let i = 0; i < width * height; i++) image.data.set([...[[red, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]][Math.floor((4 * (i % width)) / width)], 255], 4 * i);
  return { name: `${width}x${height}.png`, mimeType: 'image/png', buffer: PNG.sync.write(image) };
}

test('pictures keep their shapes where that is asked for: seen, cropped, given to the engine, and kept', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.locator('#teach-files').setInputFiles([striped(400, 200), striped(100, 300, 200), striped(900, 100, 150)]);
  const list = page.locator('.teach-pictures canvas');
  await list.nth(2).waitFor();
  const sized = (sizes) => page.waitForFunction((wanted) => wanted === [...document.querySelectorAll('.teach-pictures canvas')].map(({ width, height }) => [width, height]).join(),
    sizes.join());
  await sized([[296, 296], [296, 296], [296, 296]]);
  await page.getByLabel('What kind of thing it is').fill('alien monster');
  await page.locator('.teach-details > summary').click();
  await page.locator('#teach-classImages').fill('0');
  await page.getByRole('checkbox', { name: 'Pictures keep their shapes' }).check();
  await sized([[296, 148], [99, 296], [296, 74]]); // no longer than four times as wide
  const boxes = await list.evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().height - one.getBoundingClientRect().width)));
  assert.deepEqual(boxes, [0, 0, 0], 'each in a square of its own');
  const whole = (canvas) => canvas.evaluate((element) => [0.02, 0.98].map((x) => [...element.getContext('2d').getImageData(x * element.width, element.height / 2, 1, 1).data].slice(0, 3).join()));
  await page.waitForFunction(() => document.querySelector('.teach-pictures canvas').getContext('2d').getImageData(5, 70, 1, 1).data[0] === 255);
  assert.deepEqual(await whole(list.first()), ['255,0,0', '0,0,0'], 'all of it');
  await page.getByRole('button', { name: 'Crop picture 2' }).click();
  const shown = page.getByRole('dialog', { name: 'Crop picture 2' }).locator('canvas');
  await shown.waitFor();
  const { width, height } = await shown.boundingBox();
  assert.ok(Math.abs(height / width - 3) < 0.05, `${width}×${height}`);
  await slide(page.getByRole('slider', { name: 'Zoom' }), 2);
  await page.getByRole('button', { name: 'Take this part' }).click();
  await shown.waitFor({ state: 'detached' });

  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    OpenGen.prototype.train = async ({ images, recipe }) => {
      const bitmaps = await Promise.all(images.map(({ image }) => createImageBitmap(image)));
      window.asked = [recipe, bitmaps.map((bitmap) => [bitmap.width, bitmap.height])];
      throw Object.assign(new Error('lost'), { code: 'DEVICE_LOST' });
    };
  });
  await teach(page).click();
  await page.waitForFunction(() => window.asked);
  // Up to twice the model's sides, and never enlarged.
  assert.deepEqual(await page.evaluate(() => window.asked), [{ classImages: 0, buckets: true }, [[362, 181], [50, 150], [400, 100]]]);
  await page.reload();
  await page.getByRole('button', { name: 'Go on' }).click();
  await list.nth(2).waitFor();
  assert.equal(await page.locator('#teach-buckets').isChecked(), true);
  await sized([[296, 148], [99, 296], [296, 74]]);
  await page.locator('#teach-takes').getByText('Pictures are learnt at ').waitFor({ timeout: PATIENCE });
  assert.match(await page.locator('#teach-takes').innerText(), / Pictures are learnt at 256 × 64 \(1\), 160 × 96 \(1\), 64 × 192 \(1\)\.$/);
  await page.getByRole('button', { name: 'Stop' }).click();
  await teach(page).waitFor();
});

test('a picture is cropped by keys, by dragging and by zooming, or taken by the camera; a refusal is a sentence', async () => {
  const page = await visitor(it, { init: () => {
    navigator.mediaDevices.getUserMedia = async () => {
      if (window.refused) throw new DOMException('no', 'NotAllowedError');
      const canvas = document.createElement('canvas');
      Object.assign(canvas, { width: 320, height: 240 });
      const context = canvas.getContext('2d');
      setInterval(() => {
        context.fillStyle = `hsl(${Date.now() % 360} 80% 50%)`;
        context.fillRect(0, 0, 320, 240);
      }, 50);
      return (window.stream = canvas.captureStream(20));
    };
  } });
  await ready(page);
  await page.locator('#teach-files').setInputFiles(striped(400, 200));
  const list = page.locator('.teach-pictures canvas');
  await list.waitFor();
  const corners = (canvas) => canvas.evaluate((element) => [0.02, 0.98].map((x) => [...element.getContext('2d').getImageData(x * element.width, element.height / 2, 1, 1).data].slice(0, 3).join()));
  assert.deepEqual(await corners(list), ['0,255,0', '0,0,255'], 'the middle at first');
  await page.getByRole('button', { name: 'Crop picture 1' }).click();
  const dialog = page.getByRole('dialog', { name: 'Crop picture 1' });
  const shown = dialog.locator('canvas');
  await page.waitForFunction(() => document.activeElement.matches('dialog canvas')); // it can be moved at once
  for (let i = 0; i < 12; i++) await page.keyboard.press('ArrowLeft');
  assert.deepEqual(await corners(shown), ['255,0,0', '0,255,0'], 'no further than the edge');
  await page.keyboard.press('Escape');
  assert.deepEqual(await corners(list), ['0,255,0', '0,0,255'], 'it was not taken');
  await page.getByRole('button', { name: 'Crop picture 1' }).click();
  await shown.waitFor();
  const box = await shown.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + 4, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  assert.deepEqual(await corners(shown), ['0,0,255', '0,0,0'], 'what is dragged to the left shows what was on the right');
  await slide(dialog.getByRole('slider', { name: 'Zoom' }), 4);
  await shown.focus();
  for (let i = 0; i < 12; i++) await page.keyboard.press('ArrowRight');
  assert.deepEqual(await corners(shown), ['0,0,0', '0,0,0'], 'so near, a fourth of it fills the square');
  await dialog.getByRole('button', { name: 'Reset' }).click();
  await shown.focus();
  for (let i = 0; i < 12; i++) await page.keyboard.press('ArrowRight');
  await dialog.getByRole('button', { name: 'Take this part' }).click();
  await page.waitForFunction(() => document.activeElement.ariaLabel === 'Crop picture 1');
  assert.deepEqual(await corners(list), ['0,0,255', '0,0,0']);

  await page.getByRole('button', { name: 'Use the camera' }).click();
  const camera = page.getByRole('dialog', { name: 'Use the camera' });
  await camera.getByText('teach only someone who agreed').waitFor();
  await camera.getByRole('button', { name: 'Take a picture' }).click();
  await camera.getByText('1 picture taken').waitFor();
  await camera.getByRole('button', { name: 'Done' }).click();
  assert.equal(await page.locator('.teach-pictures li').count(), 2);
  await page.waitForFunction(() => window.stream.getTracks().every(({ readyState }) => readyState === 'ended')); // it is off
  await page.evaluate(() => { window.refused = true; });
  await page.getByRole('button', { name: 'Use the camera' }).click();
  await camera.getByText('The browser lets this page use no camera').waitFor();
});

test('what belongs to the thing is painted: by hand, by keys, back and again; cut as its picture is, kept, and given to the engine', async () => {
  const page = await visitor(it);
  await ready(page);
  await pictures(page);
  const mask = page.getByRole('button', { name: 'Mask picture 1' });
  const dialog = page.getByRole('dialog', { name: 'Mask picture 1' });
  const canvas = dialog.locator('canvas');
  const says = (words) => dialog.getByRole('status').getByText(words).waitFor();
  await mask.click();
  await says('Nothing is painted: all of the picture is learnt.');
  await page.waitForFunction(() => document.activeElement.matches('dialog canvas'));
  const { x, y, width, height } = await canvas.boundingBox();
  const stroke = async (line) => {
    const at = ([across, down]) => [x + across * width, y + down * height];
    await page.mouse.move(...at(line[0]));
    await page.mouse.down();
    for (const place of line.slice(1)) await page.mouse.move(...at(place), { steps: 3 });
    await page.mouse.up();
  };
  await stroke([[0.1, 0.2], [0.3, 0.2]]);
  await says('% of the picture is learnt.');
  const few = await dialog.getByRole('status').innerText();
  await page.keyboard.press('e');
  for (let i = 0; i < 3; i++) await page.keyboard.press(']'); // its edge is soft
  await stroke([[0.1, 0.2], [0.3, 0.2]]);
  await says('Nothing is painted');
  for (let i = 0; i < 3; i++) await page.keyboard.press('[');
  await page.keyboard.press('Control+z');
  await says(few);
  await dialog.getByRole('button', { name: 'Undo' }).click();
  await says('Nothing is painted');
  // With keys alone: the brush, larger, in the middle and from there to the left.
  await canvas.focus();
  await page.keyboard.press('b');
  await page.mouse.move(0, 0);
  for (let i = 0; i < 3; i++) await page.keyboard.press(']');
  await page.keyboard.press(' ');
  await says(/^[1-9] % of the picture is learnt/);
  for (let i = 0; i < 20; i++) await page.keyboard.press('Shift+ArrowLeft');
  await says(/^1\d % of the picture is learnt/);
  await page.keyboard.press('Escape');
  assert.equal(await mask.getAttribute('aria-pressed'), 'false', 'it was not taken');
  await mask.click();
  await says('Nothing is painted');
  await stroke([[0.2, 0], [0.2, 1]]); // a column on the left
  await dialog.getByRole('button', { name: 'Invert' }).click();
  await says(/^[78]\d % of the picture is learnt/);
  await dialog.getByRole('button', { name: 'Take this mask' }).click();
  await page.waitForFunction(() => document.activeElement.ariaLabel === 'Mask picture 1');
  await page.getByRole('img', { name: 'Picture 1, of which what is painted is learnt' }).waitFor(); // once it is encoded
  assert.equal(await mask.getAttribute('aria-pressed'), 'true');
  // It goes along with the crop: of the right half of the picture all counts, of the left one only its edges.
  await page.getByRole('button', { name: 'Crop picture 1' }).click();
  const cut = page.getByRole('dialog', { name: 'Crop picture 1' });
  await slide(cut.getByRole('slider', { name: 'Zoom' }), 2);
  await cut.locator('canvas').focus();
  for (let i = 0; i < 12; i++) await page.keyboard.press('ArrowLeft');
  await cut.getByRole('button', { name: 'Take this part' }).click();
  await cut.waitFor({ state: 'detached' });

  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    OpenGen.prototype.train = async function train({ images, classPrompts, onBegin }) {
      const values = async (blob) => {
        const bitmap = await createImageBitmap(blob);
        const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
        context.drawImage(bitmap, 0, 0);
        const { data } = context.getImageData(0, bitmap.height / 2, bitmap.width, 1);
        return { width: bitmap.width, row: Array.from({ length: bitmap.width }, (_, at) => data[4 * at]) };
      };
      const { width } = await values(images[0].image);
      window.asked = { width, masks: await Promise.all(images.map(({ mask }) => (mask ? values(mask) : null))), classPrompts };
      onBegin({ weights: null, kept: 30e6, learnt: 11e6, again: 12, parts: 12, rank: 4, askedRank: 16, shapes: [{ width: 160, height: 96, pictures: 1 }, { width: 128, height: 128, pictures: 2 }] });
      throw Object.assign(new Error('lost'), { code: 'DEVICE_LOST' });
    };
  });
  await teach(page).click();
  await page.waitForFunction(() => window.asked);
  await page.locator('#teach-takes').getByText('It takes 41 MB of memory beside the model. There is little of it: 12 of 12 parts of the model are computed twice, '
    + 'and it learns at rank 4 in place of 16. Pictures are learnt at 160 × 96 (1), 128 × 128 (2).').waitFor();
  const { width: side, masks: [first, ...others], classPrompts } = await page.evaluate(() => window.asked);
  assert.deepEqual(others, [null, null]);
  assert.equal(first.width, side, 'as large as its picture');
  // Enlarged twice from the left edge the column's middle lies at 0.4.
  assert.deepEqual([0.05, 0.4, 0.75, 0.95].map((at) => first.row[Math.floor(at * side)]), [255, 0, 255, 255]);
  assert.equal(classPrompts.length, 16, 'Mini’s own');
  assert.deepEqual(classPrompts.slice(0, 2), ['an alien monster', 'a small cat at the bottom left on grass']);
  await page.reload();
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByRole('img', { name: 'Picture 1, of which what is painted is learnt' }).waitFor();
  await page.getByRole('button', { name: 'Stop' }).or(teach(page)).waitFor();
});

test('another model is given its kind’s photographs: its pictures are called so, and what it draws beforehand', async () => {
  const page = await visitor(it);
  await ready(page);
  await pictures(page);
  const asked = await page.evaluate(async () => {
    const { MODELS: [mini] } = await import('/models.js');
    const before = document.querySelector('.teach-pictures input').value;
    delete mini.classPrompts; // as one that brings none
    const kind = document.getElementById('teach-kind');
    const calls = (value) => {
      kind.value = value;
      kind.dispatchEvent(new Event('input'));
      return document.querySelector('.teach-pictures input').value;
    };
    const called = [before, calls('alien monster')];
    const preset = document.getElementById('teach-preset');
    preset.value = 'style';
    preset.dispatchEvent(new Event('input'));
    called.push(document.querySelector('.teach-pictures input').value);
    preset.value = 'thing';
    preset.dispatchEvent(new Event('input'));
    const { OpenGen } = await import('/client.js');
    const asking = new Promise((resolve) => {
      OpenGen.prototype.train = async ({ classPrompts, images }) => {
        resolve([...classPrompts, ...images.map(({ caption }) => caption)]);
        throw Object.assign(new Error('enough'), { code: 'ABORTED' });
      };
    });
    document.getElementById('teach-go').click();
    return { called, asked: await asking };
  });
  assert.deepEqual(asked.called, ['a zorp alien monster', 'a photo of a zorp alien monster', 'a zorp alien monster']);
  assert.deepEqual(asked.asked, [
    'a photo of an alien monster', 'a photo of an alien monster outdoors', 'a close-up photo of an alien monster', 'a photo of an alien monster in a room',
    ...Array(3).fill('a photo of a zorp alien monster'),
  ]);
});

test('learning within a limit of memory is refused before anything is fetched', async () => {
  const page = await visitor(it, { path: 'blank.html' });
  const before = it.server.paths.length;
  const refused = await page.evaluate(async () => {
    const { OpenGen } = await import('./client.js');
    const said = [];
    for (const engine of ['webgpu', 'auto']) {
      await OpenGen.create({ engine, learns: true, memoryLimit: 2e9, model: '/models/mini/mini-q8_0.gguf' })
        .catch(({ code, field, message }) => said.push([code, field, message]));
    }
    return said;
  });
  assert.equal(refused.length, 2);
  for (const [code, field, message] of refused) {
    assert.deepEqual([code, field], ['INVALID_INPUT', 'memoryLimit']);
    assert.match(message, /does not go with learns: .*leave it out, or learn on the processor/);
  }
  const fetched = it.server.paths.slice(before).filter((path) => /\.wasm|\.gguf|worker/.test(path));
  assert.deepEqual(fetched, []);
});

test('og.train: told step by step, stopped with what was learnt, gone on with; bad input by name', async () => {
  const page = await program(it, it.server);
  const answers = await page.evaluate(async () => {
    const og = window.og;
    const said = (promise) => promise.then(() => 'nothing', (error) => `${error.code} ${error.field}: ${error.message}`);
    const before = await said(og.train({ images: [new ImageData(8, 8)], instancePrompt: 'a zorp' }));
    const { mini } = await import('/models.js').then(({ MODELS }) => ({ mini: MODELS[0] }));
    await og.models.load(mini);
    const image = new ImageData(64, 64);
    image.data.fill(200);
    const base = { images: [image], instancePrompt: 'a zorp cat', recipe: { steps: 4, batch: 1, captionDropout: 0 }, saveEvery: 0 };
    const whole = [];
    const { file, step } = await og.train({ ...base, onStep: (told) => whole.push(told.loss) });
    const stop = new AbortController();
    const parts = [];
    let kept;
    const stopped = await said(og.train({
      ...base, signal: stop.signal, onKept: (now) => { kept = now; },
      onStep: (told) => {
        parts.push(told.loss);
        if (told.step === 2) stop.abort();
      },
    }));
    const again = await og.train({ ...base, checkpoint: kept.checkpoint, onStep: (told) => parts.push(told.loss) });
    // The order of what a file says of itself is not fixed; its values are.
    const values = async (one) => {
      const bytes = new Uint8Array(await one.arrayBuffer());
      return bytes.slice(8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))).join();
    };
    const same = (await values(file)) === (await values(again.file));
    // Only what a mask shows counts.
    const mask = new ImageData(64, 64);
    mask.data.fill(255, 0, 4 * 64 * 32);
    const masked = [];
    let memory;
    await og.train({
      ...base, recipe: { ...base.recipe, steps: 1 }, images: [{ image, mask }],
      onBegin: (takes) => { memory = takes; }, onStep: (told) => masked.push(told.loss),
    });
    const wrong = {
      none: await said(og.train({ images: [] })),
      words: await said(og.train({ images: [image] })),
      option: await said(og.train({ ...base, image })),
      recipe: await said(og.train({ ...base, recipe: { rang: 4 } })),
      half: await said(og.train({ ...base, recipe: { rank: 1.5 } })),
      rank: await said(og.train({ ...base, recipe: { rank: 0 } })),
      checkpoint: await said(og.train({ ...base, checkpoint: new Blob(['x']) })),
      mask: await said(og.train({ ...base, images: [{ image, mask: new ImageData(64, 32) }] })),
      empty: await said(og.train({ ...base, images: [{ image, mask: new ImageData(64, 64) }] })),
      other: await said(og.train({ ...base, images: [{ image, mask }], checkpoint: kept.checkpoint })),
    };
    // Pictures of two shapes, each at its own.
    const shaped = [];
    await og.train({
      ...base, recipe: { ...base.recipe, steps: 2, buckets: true }, images: [image, new ImageData(90, 60)],
      onBegin: ({ shapes }) => shaped.push(...shapes), onStep: (told) => shaped.push(told.loss),
    });
    const added = await og.networks.add(file, { name: 'zorp' });
    const word = { ...base, preset: 'word', name: 'zorp' };
    const { kind, file: own } = await og.train({ ...word, recipe: { ...base.recipe, vectors: 2, initial: 'cat' } });
    const embedded = { kind, about: (await og.networks.add(own, { name: 'plim' })).about };
    Object.assign(wrong, {
      initial: await said(og.train(word)),
      unsaid: await said(og.train({ ...word, name: 'plim', classPrompts: ['a cat'] })),
      both: await said(og.train({ ...word, recipe: { initial: 'cat', layers: 'attention' } })),
    });
    return { embedded, shaped, before, masked, memory, whole, parts, stopped, kept: kept.step, step, same, wrong, about: added.about };
  });
  assert.match(answers.before, /^INVALID_INPUT model: /);
  assert.equal(answers.step, 4);
  assert.match(answers.stopped, /^ABORTED/);
  assert.ok(answers.kept >= 2 && answers.kept < 4);
  assert.deepEqual(answers.parts.slice(0, 2), answers.whole.slice(0, 2));
  assert.deepEqual(answers.parts.slice(-(4 - answers.kept)), answers.whole.slice(answers.kept));
  assert.ok(answers.same, 'the file of one that went on is that of one that never stopped');
  assert.equal(answers.about.kind, 'lora');
  const { none, words, option, recipe, half, rank, checkpoint, mask, empty, other } = answers.wrong;
  assert.equal(answers.embedded.kind, 'embedding');
  assert.equal(answers.embedded.about.kind, 'embedding');
  assert.equal(answers.embedded.about.vectors, 2);
  assert.match(answers.wrong.initial, /^INVALID_INPUT initial: vectors begin as those of a word/);
  assert.match(answers.wrong.unsaid, /^INVALID_INPUT caption: "a zorp cat" does not say plim/);
  assert.match(answers.wrong.both, /^INVALID_INPUT vectors: are learnt alone/);
  assert.equal(answers.masked.length, 1);
  assert.notEqual(answers.masked[0], answers.whole[0], 'another mean of the same errors');
  const { weights, kept, learnt, again, rank: at, askedRank, shapes } = answers.memory;
  assert.deepEqual([weights, again, at, askedRank, shapes], [null, 0, 16, 16, []]);
  assert.deepEqual(answers.shaped.slice(0, 2), [{ width: 160, height: 96, pictures: 1 }, { width: 128, height: 128, pictures: 1 }]);
  assert.ok(answers.shaped.length === 4 && answers.shaped.slice(2).every((loss) => loss > 0 && loss < 10), answers.shaped.join());
  assert.ok(kept > 1e6 && learnt > 1e6, `${kept} and ${learnt} bytes`);
  assert.match(mask, /^INVALID_INPUT mask: .*that of picture 1 has 64×32 pixels, another shape than the picture's 64×64/);
  assert.match(empty, /^INVALID_INPUT mask: .*nothing is painted in that of picture 1/);
  assert.match(other, /^INVALID_INPUT checkpoint: .*other pictures/);
  assert.match(none, /^INVALID_INPUT images: /);
  assert.match(words, /^INVALID_INPUT instancePrompt: .*picture 1 has no caption/);
  assert.match(option, /^INVALID_INPUT .*image/);
  assert.match(half, /^INVALID_INPUT recipe: rank is a whole number such as 16, 1.5 was given/);
  assert.match(recipe, /^INVALID_INPUT .*rang/);
  assert.match(rank, /^INVALID_INPUT rank: 0 asked for/);
  assert.match(checkpoint, /^BAD_MODEL .*checkpoint of a training/);
});

test('og.train on the GPU: its losses are the processor\'s; without asking for that an engine says how to', async () => {
  const page = await program(it, it.server);
  const answers = await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    const { MODELS: [mini] } = await import('/models.js');
    const image = new ImageData(64, 64);
    image.data.forEach((_, at) => { image.data[at] = at % 4 === 3 ? 255 : (at * 37) % 251; });
    const ask = { images: [image], instancePrompt: 'a zorp cat', width: 64, height: 64, recipe: { steps: 3, batch: 1, captionDropout: 0 }, saveEvery: 0 };
    const learnt = async (options) => {
      const og = await OpenGen.create({ ...options, model: mini });
      const losses = [];
      try {
        const { file } = await og.train({ ...ask, onStep: ({ loss, gradient }) => losses.push(loss, gradient) });
        return { losses, bytes: file.size, engine: og.capabilities().engine, fetched: og.capabilities().fetched };
      } catch (error) {
        return `${error.code}: ${error.message}`;
      } finally {
        og.dispose();
      }
    };
    return [await learnt({ engine: 'webgpu', learns: true }), await learnt({ engine: 'cpu' }), await learnt({ engine: 'webgpu' })];
  });
  const [gpu, cpu, refused] = answers;
  assert.deepEqual([gpu.engine, gpu.fetched, cpu.engine], ['webgpu', ['learn'], 'cpu']);
  assert.equal(gpu.bytes, cpu.bytes);
  assert.equal(gpu.losses.length, 6);
  gpu.losses.forEach((value, at) => assert.ok(Math.abs(value - cpu.losses[at]) <= 2e-3 * cpu.losses[at], `${gpu.losses} and ${cpu.losses}`));
  assert.match(refused, /^UNSUPPORTED: .*learns: true/);
});
