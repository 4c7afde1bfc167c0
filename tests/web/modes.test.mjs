/** Each way to begin from a picture, in the browser, on both of the engine's ways: the same picture. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: 'blank.html' });
const ENGINES = ['cpu', 'webgpu'];
/** So like each other are what both make, in dB: their sums are added up in another order. */
const ALIKE = 40;

test('a picture, a mask, a grown side, a part at full size and a second pass: the processor and WebGPU draw alike', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  const made = await page.evaluate(async (engines) => {
    const [{ OpenGen }, { mini }] = await Promise.all([import('./client.js'), import('./models.js')]);
    const painted = (of) => {
      const image = new ImageData(64, 64);
      for (let at = 0; at < 64 * 64; at++) image.data.set([...of(at % 64, at >> 6), 255], 4 * at);
      return image;
    };
    const image = painted((x, y) => (Math.hypot(x - 32, y - 32) < 20 ? [200, 30, 30] : [170, 210, 240 - y]));
    const mask = painted((x, y) => Array(3).fill(x > 20 && x < 50 && y > 16 && y < 44 ? 255 : 0));
    const usual = { prompt: 'an orange on a light blue background', steps: 2, seed: 3, width: 64, height: 64, guidance: 2, previews: false };
    const asked = {
      picture: { image, strength: 0.5 }, mask: { image, mask, strength: 1 },
      grown: { image, extend: { right: 32 }, strength: 1, width: 96 }, part: { image, mask, strength: 1, onlyMasked: 4 },
      second: { hires: { scale: 1.5, strength: 0.5, steps: 2 } },
    };
    const pictures = {};
    for (const engine of engines) {
      const og = await OpenGen.create({ engine, model: mini });
      for (const [mode, more] of Object.entries(asked)) {
        const { image: { width, height, data } } = await og.generate({ ...usual, ...more });
        (pictures[mode] ??= []).push({ width, height, data: [...data] });
      }
      og.dispose();
    }
    return { pictures, image: [...image.data] };
  }, ENGINES);
  const sizes = { picture: [64, 64], mask: [64, 64], grown: [96, 64], part: [64, 64], second: [96, 96] };
  for (const [mode, [one, other]] of Object.entries(made.pictures)) {
    for (const { width, height } of [one, other]) assert.deepEqual([width, height], sizes[mode], mode);
    const error = one.data.reduce((sum, value, at) => sum + (value - other.data[at]) ** 2, 0) / one.data.length;
    const likeness = 10 * Math.log10(255 ** 2 / error);
    assert.ok(likeness > ALIKE, `${mode}: ${likeness.toFixed(1)} dB`);
    assert.notDeepEqual(one.data, made.image, `${mode}: something was drawn`);
  }
  // Beyond a mask and its soft edge nothing changes, to the byte.
  for (const { data } of made.pictures.mask) assert.deepEqual(data.slice(0, 4 * 64 * 4), made.image.slice(0, 4 * 64 * 4));
});
