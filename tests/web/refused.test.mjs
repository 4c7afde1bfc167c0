/** What a run cannot begin with, asked of the package's client: refused in a sentence at its field, and the next run is as ever. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { REFUSED, TAKEN } from './kinds.mjs';
import { stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: 'blank.html' });
const UNREAD = /^INVALID_INPUT image: .*is no picture that this browser reads; PNG, JPEG and WebP are/;

/** What is asked beside prompt and picture; masks are `[width, height, how many columns are white]`. */
const ASKED = [
  ['a mask that is smaller', { mask: [32, 32, 16] }, /^fine$/],
  ['a mask of another shape', { mask: [64, 20, 10] }, /^INVALID_INPUT mask: .*it has 64×20 pixels, another shape than the picture's 64×64/],
  ['an empty mask', { mask: [64, 64, 0] }, /^INVALID_INPUT mask: .*nothing of it is white where the picture is drawn/],
  ['a full mask', { mask: [64, 64, 64] }, /^fine, The mask is white everywhere/],
  ['a mask that misses', { width: 32, resize: 'crop', mask: [64, 64, 8], maskBlur: 0 }, /^INVALID_INPUT mask: .*nothing of it is white where the picture is drawn/],
  ['a mask without a picture', { image: undefined, strength: undefined, mask: [64, 64, 8] }, /^INVALID_INPUT mask: .*belongs to an image/],
  ['a strength of 0', { strength: 0 }, /^INVALID_INPUT strength: .*leaves the picture as it is/],
  ['a strength of 1', { strength: 1 }, /^fine$/],
  ['a strength beyond', { strength: 1.5 }, /^INVALID_INPUT strength: .*expected more than 0, to 1/],
  ['a second pass that is too large', { image: undefined, strength: undefined, width: 1024, height: 1024, hires: { scale: 4 } }, /^INVALID_INPUT hires: .*up to 2048 on a side/],
];

for (const engine of ['cpu', 'webgpu']) {
  test(`pictures, masks and strengths that cannot be are refused at their field, the others drawn: ${engine}`, { timeout: 180_000 }, () => answers(engine));
}

async function answers(engine) {
  const page = await visitor(it);
  const kinds = [...TAKEN.map(({ name, type, bytes }) => [name, type, bytes]), ...REFUSED].map(([name, type, bytes]) => [name, type, bytes().toString('base64')]);
  const told = await page.evaluate(async ([engine, asked, kinds]) => {
    const [{ OpenGen }, { mini }] = await Promise.all([import('./client.js'), import('./models.js')]);
    const og = await OpenGen.create({ engine, model: mini });
    const painted = (width, height, white) => {
      const image = new ImageData(width, height);
      image.data.forEach((_, at) => { image.data[at] = at % 4 === 3 || (at >> 2) % width < white ? 255 : 0; });
      return image;
    };
    const usual = { prompt: 'a red apple', steps: 4, seed: 3, width: 64, height: 64, guidance: 1, previews: false, image: painted(64, 64, 40), strength: 0.25 };
    const draw = async ({ mask, ...more }) => (await og.generate({ ...usual, ...more, ...(mask && { mask: painted(...mask) }) }));
    const said = (more) => draw(more).then(({ notices }) => ['fine', ...notices].join(', '), ({ code, field, message }) => `${code} ${field}: ${message}`);
    const picture = async () => [...new Uint8Array(await crypto.subtle.digest('SHA-256', (await draw({})).image.data))].join();
    const before = await picture();
    const answers = { asked: [], kinds: [] };
    for (const [, more] of asked) answers.asked.push(await said(more));
    for (const [, type, base64] of kinds) {
      answers.kinds.push(await said({ image: new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], { type }) }));
    }
    answers.same = await picture() === before;
    og.dispose();
    return answers;
  }, [engine, ASKED.map(([what, more]) => [what, more]), kinds]);
  ASKED.forEach(([what, , expected], i) => assert.match(told.asked[i], expected, what));
  for (const [i, [name]] of kinds.entries()) {
    const expected = name === 'huge.png' ? /^INVALID_INPUT image: .*has 12000×9000 pixels; up to 8192 on a side are read/ : i < TAKEN.length ? /^fine$/ : UNREAD;
    assert.match(told.kinds[i], expected, name);
  }
  assert.ok(told.same, 'the next picture is as ever');
  assert.deepEqual(page.trouble, []);
}
