/** Pictures of the kinds that people have: each is begun with, upright and of its size, or refused in a sentence. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { REFUSED, TAKEN, data } from './kinds.mjs';
import { PATIENCE, assertPicture, draw, promptOf, ready, saveExact, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });

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
