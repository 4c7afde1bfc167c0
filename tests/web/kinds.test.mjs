/** Pictures of the kinds that people have: each is begun with, upright and of its size, or refused in a sentence. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { deflateSync, crc32 } from 'node:zlib';
import { PNG } from 'pngjs';
import { PATIENCE, assertPicture, draw, promptOf, ready, saveExact, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const data = (name) => readFileSync(new URL(`../data/kinds/${name}`, import.meta.url));

/** A PNG chunk by chunk: what pngjs does not write. */
function png(width, height, depth, color, scanlines) {
  const chunk = (kind, body) => {
    const all = Buffer.concat([Buffer.from(kind, 'latin1'), body]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(body.length);
    check.writeUInt32BE(crc32(all));
    return Buffer.concat([length, all, check]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([depth, color], 8);
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', head), chunk('IDAT', deflateSync(scanlines)), chunk('IEND', Buffer.alloc(0))]);
}

/** 16 bits a channel, red at the left and blue at the right. */
function deep(width, height) {
  const line = Buffer.alloc(1 + 6 * width);
  for (let x = 0; x < width; x++) [x < width / 2 ? [220, 30, 30] : [30, 60, 200]][0].forEach((value, c) => line.writeUInt16BE(257 * value, 1 + 6 * x + 2 * c));
  return png(width, height, 16, 2, Buffer.concat(Array(height).fill(line)));
}

/** Nothing to be seen at the left, blue at the right. */
function sheer(width, height) {
  const image = new PNG({ width, height });
  for (let i = 0; i < width * height; i++) image.data.set(i % width < width / 2 ? [220, 30, 30, 0] : [30, 60, 200, 255], 4 * i);
  return PNG.sync.write(image);
}

const [RED, BLUE, WHITE] = [[220, 30, 30], [30, 60, 200], [255, 255, 255]];
const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><rect width="64" height="48" fill="red"/></svg>';
const heic = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from('ftypheic\0\0\0\0mif1heic', 'latin1'), Buffer.alloc(200)]);

const TAKEN = [
  { name: 'one.png', type: 'image/png', bytes: () => png(1, 1, 8, 2, Buffer.from([0, ...RED])), size: [1, 1], left: RED, right: RED },
  { name: 'deep.png', type: 'image/png', bytes: () => deep(64, 48), size: [64, 48], left: RED, right: BLUE },
  { name: 'sheer.png', type: 'image/png', bytes: () => sheer(64, 48), size: [64, 48], left: WHITE, right: BLUE },
  { name: 'turned.jpg', type: 'image/jpeg', bytes: () => data('turned.jpg'), size: [64, 48], left: RED, right: BLUE },
  { name: 'moving.gif', type: 'image/gif', bytes: () => data('moving.gif'), size: [64, 48], left: RED, right: BLUE },
  { name: 'cmyk.jpg', type: 'image/jpeg', bytes: () => data('cmyk.jpg'), size: [80, 48], left: RED, right: BLUE, far: 60 },
  // 108 megapixels: black and white, a bit each.
  { name: 'huge.png', type: 'image/png', bytes: () => png(12_000, 9000, 1, 0, Buffer.alloc(1501 * 9000)), size: [2048, 1536], left: [0, 0, 0], right: [0, 0, 0] },
];
const REFUSED = [
  ['drawing.svg', 'image/svg+xml', () => Buffer.from(svg)],
  ['phone.heic', 'image/heic', () => heic],
  ['short.jpg', 'image/jpeg', () => data('whole.jpg').subarray(0, 200)],
  ['short.png', 'image/png', () => png(64, 48, 8, 2, Buffer.alloc(64)).subarray(0, 40)],
  ['empty.png', 'image/png', () => Buffer.alloc(0)],
];

test('each kind of picture is begun with, upright and of its size, or refused in a sentence; nothing is lost by it', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('a red apple on a light blue background');
  await page.getByRole('radio', { name: 'From a picture', exact: true }).check({ force: true });
  const choose = (name, mimeType, buffer) => page.locator('#begin-file').setInputFiles({ name, mimeType, buffer });
  const hash = () => page.evaluate(() => JSON.parse(localStorage.getItem('opengen.begin')).image);
  /** Size, and the colours at the left and at the right. */
  const seen = () => page.locator('#begin-image').evaluate(async (image) => {
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d');
    context.drawImage(image, 0, 0);
    const colour = (x) => [...context.getImageData(Math.floor(x * width), Math.floor(height / 2), 1, 1).data].slice(0, 3);
    return { size: [width, height], left: colour(0.2), right: colour(0.8) };
  });

  for (const { name, type, bytes, size, left, right, far = 6 } of TAKEN) {
    const before = await hash();
    await choose(name, type, bytes());
    await page.waitForFunction((old) => JSON.parse(localStorage.getItem('opengen.begin')).image !== old, before, { timeout: PATIENCE });
    const now = await seen();
    assert.deepEqual(now.size, size, name);
    for (const [got, wanted] of [[now.left, left], [now.right, right]]) {
      assert.ok(got.every((value, i) => Math.abs(value - wanted[i]) <= far), `${name}: ${got} for ${wanted}`);
    }
    if (name === 'one.png') assertPicture(await draw(page, 'a red apple on a light blue background', { Steps: 2, Seed: 5 }));
  }

  const kept = await hash();
  for (const [name, type, bytes] of REFUSED) {
    await choose(name, type, bytes());
    await page.locator('#report').getByText(`“${name}” was not taken.`).waitFor();
    await page.locator('#report').getByText('This browser reads no picture in it.', { exact: false }).first().waitFor();
  }
  assert.equal(await hash(), kept);
  assert.equal(await promptOf(page).inputValue(), 'a red apple on a light blue background');
});

test('what a camera wrote into a photograph is neither kept nor in what comes of it', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.getByRole('radio', { name: 'From a picture', exact: true }).check({ force: true });
  await page.locator('#begin-file').setInputFiles({ name: 'turned.jpg', mimeType: 'image/jpeg', buffer: data('turned.jpg') });
  await page.locator('#begin[data-on]').waitFor();
  await draw(page, 'a red apple on a light blue background', { Steps: 2, Seed: 5 });
  const [download] = await Promise.all([page.waitForEvent('download'), saveExact(page)]);
  const made = readFileSync(await download.path());
  const kept = Buffer.from(await page.evaluate(async () => [...new Uint8Array(
    await (await fetch(document.querySelector('#begin-image').src)).arrayBuffer())]));
  assert.ok(data('turned.jpg').includes('OpenGen test camera'));
  assert.ok(made.length > 1000 && kept.length > 100);
  for (const file of [made, kept]) assert.ok(!file.includes('OpenGen test camera'));
});
