/** Enlarging a picture: by drawing on at the larger size, and by an upscaler of the visitor's; and `og.upscale`. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import { begins, draw, finished, generateButton, pixels, psnr, ready, says, set, stand, visitor } from './page.mjs';
import { nearest, random, swin } from './upscaler.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const STEPS = { Steps: 10, Seed: 5 };
const mode = (page, name) => page.getByRole('radio', { name, exact: true }).check({ force: true }); // its label lies above
const report = (page) => page.locator('#report');
const factor = (page) => page.getByLabel('How many times as large');
const looking = (page) => page.getByRole('img', { name: 'The picture that a run begins with' }).waitFor();

/** A picture file, each pixel of which is another. */
function file({ width = 40, height = 24, name = 'many.png' } = {}) {
  const png = new PNG({ width, height });
  for (let i = 0; i < width * height; i++) png.data.set([(i * 7) % 256, (i * 3) % 256, (i * i) % 256, 255], 4 * i);
  return { name, mimeType: 'image/png', buffer: PNG.sync.write(png), data: png.data };
}

/** A picture at half its size, each pixel the mean of four. */
function shrunk({ width, height, data }) {
  const half = new PNG({ width: width / 2, height: height / 2 });
  for (let i = 0; i < half.data.length; i++) {
    const at = 4 * (2 * Math.floor(i / 4 / half.width) * width + 2 * (Math.floor(i / 4) % half.width)) + (i % 4);
    half.data[i] = (data[at] + data[at + 4] + data[at + 4 * width] + data[at + 4 * width + 4]) / 4;
  }
  return half;
}

/** Drops a file on the page. @param {{name: string, bytes: Buffer}} file */
const drop = (page, { name, bytes }) => page.evaluate(async ([name, base64]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
  const event = (type) => new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
  for (const type of ['dragover', 'drop']) document.body.dispatchEvent(event(type));
}, [name, bytes.toString('base64')]);

test('what was drawn becomes twice as large, drawn on; it knows what it came from', async () => {
  const page = await visitor(it);
  await ready(page);
  const first = await draw(page, 'a red apple on a light blue background', STEPS);
  await mode(page, 'Enlarge');
  await looking(page);
  await page.locator('#enlarging').getByText(`${first.width} × ${first.height} pixels become ${2 * first.width} × ${2 * first.height}, enlarged by Lanczos`).waitFor();
  await page.locator('#enlarging').getByText('This model draws 128 × 128 pixels: larger pictures it blurs and doubles').waitFor();
  assert.equal(await page.locator('#strength-words').textContent(), '15 %');
  await generateButton(page).click();
  await says(page, 'Done in');
  await finished(page);
  const larger = await pixels(page);
  assert.deepEqual([larger.width, larger.height], [2 * first.width, 2 * first.height]);
  const likeness = psnr(shrunk(larger), first);
  assert.ok(likeness > 17, `${likeness.toFixed(1)} dB: it is that picture`);
  assert.ok(await page.locator('#before').isVisible(), 'before and after can be compared');
  await page.reload();
  await ready(page);
  assert.ok(await page.locator('#mode-enlarge').isChecked());
});

test('an upscaler that is dropped is told from a model, and enlarges from then on', async () => {
  const page = await visitor(it);
  await ready(page);
  await drop(page, { name: 'other.safetensors', bytes: swin() });
  await report(page).getByText('this is an upscaler (SwinIR), whose 2 tensors begin with').waitFor({ timeout: 60_000 });
  await drop(page, { name: '2x-Nearest.safetensors', bytes: nearest(2) });
  await report(page).getByText('“2x-Nearest.safetensors” enlarges pictures from now on.').waitFor({ timeout: 60_000 });
  assert.ok(await page.locator('#mode-enlarge').isChecked());
  const given = file();
  await page.locator('#begin-file').setInputFiles(given);
  await page.locator('#enlarging').getByText('40 × 24 pixels become 80 × 48, by “2x-Nearest” (SRVGGNetCompact x2').waitFor();
  assert.equal(await page.locator('#begin-how').isVisible(), false, 'nothing is drawn on');
  await set(page, { Seed: 5 });
  await generateButton(page).click();
  await says(page, '2 times as large, by 2x-Nearest');
  await finished(page);
  const larger = await pixels(page);
  assert.deepEqual([larger.width, larger.height], [80, 48]);
  const wrong = Array.from({ length: 80 * 48 }, (_, i) => i).filter((i) => {
    const from = Math.floor(Math.floor(i / 80) / 2) * 40 + Math.floor((i % 80) / 2);
    return [0, 1, 2].some((c) => Math.abs(larger.data[4 * i + c] - given.data[4 * from + c]) > 1);
  });
  assert.equal(wrong.length, 0, `${wrong.length} pixels are not the nearest ones`);
  assert.ok(await page.locator('#before').isVisible());

  // Another factor is reached by Lanczos; without the network the model draws on.
  await page.getByRole('button', { name: 'The picture it begins with' }).click();
  await factor(page).selectOption('3');
  await generateButton(page).click();
  await says(page, '3 times as large');
  await finished(page);
  const three = await pixels(page);
  assert.deepEqual([three.width, three.height], [120, 72]);

  // Of a tile without seams the larger picture is one: its borders are made of both sides.
  await page.getByRole('button', { name: 'The picture it begins with' }).click();
  await page.locator('#second').evaluate((part) => { part.open = true; });
  await page.locator('#tiling').selectOption('both');
  await begins(page, () => generateButton(page).click());
  await finished(page);
  const tile = await pixels(page);
  const apart = (x, y) => Math.max(...[0, 1, 2].map((c) => Math.abs(tile.data[4 * (y * 120 + x) + c] - three.data[4 * (y * 120 + x) + c])));
  const row = Array.from({ length: 120 }, (_, x) => apart(x, 36));
  assert.ok(row.slice(20, 100).every((by) => by === 0) && Math.max(row[0], row[119]) > 2, row.join());
  await page.locator('#tiling').selectOption('none');

  // Without a network, Lanczos enlarges by itself, and the model does not draw.
  await page.getByRole('button', { name: 'The picture it begins with' }).click();
  assert.ok(await page.getByRole('button', { name: 'Without it' }).isVisible());
  await page.getByRole('button', { name: 'By Lanczos alone' }).click();
  await page.locator('#enlarging').getByText('40 × 24 pixels become 120 × 72, by Lanczos alone').waitFor();
  assert.equal(await page.locator('#begin-how').isVisible(), false, 'nothing is drawn on');
  await generateButton(page).click();
  await says(page, '3 times as large, by Lanczos');
  await finished(page);
  const smooth = await pixels(page);
  assert.deepEqual([smooth.width, smooth.height], [120, 72]);
  // The middle of nine pixels lies where one of the picture's does: there Lanczos leaves it as it is.
  const moved = Array.from({ length: 40 * 24 }, (_, i) => i).filter((i) => {
    const at = (3 * Math.floor(i / 40) + 1) * 120 + 3 * (i % 40) + 1;
    return [0, 1, 2].some((c) => Math.abs(smooth.data[4 * at + c] - given.data[4 * i + c]) > 1);
  });
  assert.equal(moved.length, 0);
  await page.getByRole('button', { name: 'Let the model draw on' }).click();
  await page.locator('#enlarging').getByText('enlarged by Lanczos').waitFor();
  assert.ok(await page.locator('#begin-how').isVisible());
});

test('og.upscale: from a File and an address, with progress; stopped, and refused with what a file is', async () => {
  const page = await visitor(it);
  await ready(page);
  const told = await page.evaluate(async ([good, bad]) => {
    const { OpenGen } = await import('./client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const model = new File([bytes(good)], '3x-Nearest.safetensors');
    const picture = new ImageData(Uint8ClampedArray.from({ length: 5 * 4 * 4 }, (_, i) => (i % 4 === 3 ? 255 : (11 * i) % 256)), 5, 4);
    const shares = [];
    const { image, png, ...rest } = await og.upscale(picture, { model, onProgress: ({ share }) => shares.push(share) });
    const blob = (await og.upscale(png, { model: URL.createObjectURL(model), scale: 2, imageType: 'Blob' })).image;
    const { width, height } = await createImageBitmap(blob);
    const plain = await og.upscale(picture, { scale: 2 });
    const code = (promise) => promise.then(() => 'none', ({ code, message, field }) => `${code} ${field}: ${message}`);
    const stopped = new AbortController();
    stopped.abort();
    const refused = [
      await code(og.upscale(picture, { model: new Blob([bytes(bad)]) })),
      await code(og.upscale(picture, { model, signal: stopped.signal })),
      await code(og.upscale(picture, { model, factor: 2 })),
      await code(og.upscale(picture, {})),
      await code(og.upscale(picture, { model, scale: -1 })),
      await code(og.upscale(picture, { model: 'gone.safetensors' })),
    ];
    og.dispose();
    const lanczos = { size: [plain.image.width, plain.image.height], name: plain.name, scale: plain.scale, corner: [...plain.image.data.slice(0, 4)] };
    return { lanczos, shares, size: [image.width, image.height], corner: [...image.data.slice(0, 4)], rest, again: [width, height], refused };
  }, [nearest(3).toString('base64'), swin().toString('base64')]);
  assert.deepEqual(told.size, [15, 12]);
  assert.deepEqual(told.corner, [0, 11, 22, 255]);
  assert.deepEqual(told.rest, { name: '3x-Nearest', about: 'SRVGGNetCompact x3, 0 convolutions of 4 channels', scale: 3 });
  assert.equal(told.shares.at(-1), 1);
  assert.deepEqual(told.again, [30, 24]);
  assert.deepEqual({ ...told.lanczos, corner: told.lanczos.corner[3] }, { size: [10, 8], name: 'Lanczos', scale: 2, corner: 255 });
  const expected = [
    /^BAD_MODEL .*this is an upscaler \(SwinIR\)/, /^ABORTED/, /^INVALID_INPUT factor: upscale has no option "factor"/,
    /^INVALID_INPUT model: must be a Blob/, /^INVALID_INPUT scale: must be a number above 0/, /^NETWORK /,
  ];
  told.refused.forEach((message, i) => assert.match(message, expected[i]));
});

test('by WebGPU: the visitor’s network enlarges on the page, and og.upscale gives what the processor gives', { timeout: 240_000 }, async () => {
  const page = await visitor(it, { path: '?engine=webgpu' });
  await ready(page);
  await drop(page, { name: '2x-Random.safetensors', bytes: random(2) });
  await report(page).getByText('“2x-Random.safetensors” enlarges pictures from now on.').waitFor({ timeout: 60_000 });
  const given = file();
  await page.locator('#begin-file').setInputFiles(given);
  await page.locator('#enlarging').getByText('40 × 24 pixels become 80 × 48, by “2x-Random” (SRVGGNetCompact x2').waitFor();
  await set(page, { Seed: 5 });
  await generateButton(page).click();
  await says(page, '2 times as large, by 2x-Random');
  await finished(page);
  const larger = await pixels(page);
  const both = await page.evaluate(async ([network, base64]) => {
    const { OpenGen } = await import('./client.js');
    const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const model = new File([bytes(network)], '2x-Random.safetensors');
    const made = [];
    for (const engine of ['webgpu', 'cpu']) {
      const og = await OpenGen.create({ engine });
      const { image } = await og.upscale(new Blob([bytes(base64)], { type: 'image/png' }), { model });
      made.push({ engine: og.capabilities().engine, width: image.width, height: image.height, data: [...image.data] });
      og.dispose();
    }
    return made;
  }, [random(2).toString('base64'), given.buffer.toString('base64')]);
  assert.deepEqual(both.map(({ engine, width, height }) => [engine, width, height]), [['webgpu', 80, 48], ['cpu', 80, 48]]);
  const apart = (a, b) => a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i])), 0);
  assert.ok(apart(both[0], both[1]) <= 1, `${apart(both[0], both[1])} levels from the processor's`);
  assert.equal(apart(larger, both[0]), 0, 'the page and the client enlarge alike');
  const simple = larger.data.filter((value, i) => i % 4 < 3 && value !== given.data[4 * (Math.floor(Math.floor(i / 4 / 80) / 2) * 40 + Math.floor(((i / 4 | 0) % 80) / 2)) + (i % 4)]);
  assert.ok(simple.length > 1000, 'the network does something');
});
