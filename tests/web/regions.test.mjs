/** Regions of a prompt's parts, asked of the package's client on both of the engine's ways. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { checkpoint } from './checkpoint.mjs';
import { stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach });

for (const engine of ['cpu', 'webgpu']) {
  test(`parts of a prompt count in rectangles and masks (${engine})`, { timeout: 180_000 }, async () => {
    const page = await visitor(it, { path: 'blank.html' });
    await page.route('**/model.safetensors', (route) => route.fulfill({ body: checkpoint(), contentType: 'application/octet-stream' }));
    const made = await page.evaluate(async (engine) => {
      const { OpenGen } = await import('./client.js');
      const og = await OpenGen.create({ engine, model: new File([await (await fetch('model.safetensors')).blob()], 'model.safetensors') });
      const request = { prompt: 'a red apple AND a green pear', steps: 2, seed: 1, width: 64, height: 64, guidance: 2, previews: false };
      const draw = async (regions, more) => {
        const { image, png, notices } = await og.generate({ ...request, ...more, ...(regions && { regions }) });
        const digest = await crypto.subtle.digest('SHA-256', image.data);
        return { picture: [...new Uint8Array(digest)].join(), regions: (await og.readSettings(png[0])).regions, notices };
      };
      const failed = (promise) => promise.then(() => 'fine', ({ code, field, message }) => `${code} ${field}: ${message}`);
      const [left, right] = [0, 0.5].map((from) => ({ left: from, top: 0, width: 0.5, height: 1 }));
      // The left half as a mask of another size.
      const mask = new ImageData(32, 32);
      mask.data.forEach((_, at) => { mask.data[at] = at % 4 === 3 || (at >> 2) % 32 < 16 ? 255 : 0; });
      const all = { left: 0, top: 0, width: 1, height: 1 };
      const answers = {
        plain: await draw(),
        halves: await draw([{ part: 1, rect: left }, { part: 2, rect: right, weight: 0.8 }]),
        painted: await draw([{ part: 1, mask }, { part: 2, rect: right }]),
        whole: await draw([{ part: 2, rect: all }]),
        alone: await draw([{ part: 1, rect: left }], { prompt: 'a red apple' }),
        elsewhere: await failed(draw([{ part: 3, rect: left }])),
        outside: await failed(draw([{ part: 1, rect: { ...right, width: 0.6 } }])),
        black: await failed(draw([{ part: 1, mask: new ImageData(8, 8) }])),
        neither: await failed(draw([{ part: 1 }])),
        noList: await failed(draw({ part: 1, rect: left })),
        misspelt: await failed(draw([{ part: 1, rect: { ...left, heigth: 1 } }])),
        heavy: await failed(draw([{ part: 1, rect: left, weight: 11 }])),
      };
      answers.after = await draw();
      og.dispose();
      return answers;
    }, engine);
    const { plain, halves, painted, whole, alone } = made;
    assert.equal(new Set([plain, halves, whole, alone].map(({ picture }) => picture)).size, 4);
    assert.equal(painted.picture, halves.picture, 'in halves a weight has nothing to weigh against, and a mask is a rectangle');
    assert.equal(made.after.picture, plain.picture, 'the next picture has none');
    const [left, right] = [0, 0.5].map((from) => ({ left: from, top: 0, width: 0.5, height: 1 }));
    assert.deepEqual(halves.regions, [{ part: 1, rect: left, weight: null }, { part: 2, rect: right, weight: 0.8 }]);
    assert.deepEqual(painted.regions[0], { part: 1, rect: null, weight: null });
    assert.deepEqual(plain.regions, []);
    assert.match(alone.notices.join(' '), /No part of the prompt is in 50 % of the picture/);
    assert.match(made.elsewhere, /INVALID_INPUT regions: .*part 3, and the prompt has 2 parts/);
    assert.match(made.outside, /INVALID_INPUT regions: .*0\.5,0,0\.6,1 of part 1 is not in the picture/);
    assert.match(made.black, /INVALID_INPUT regions: .*nothing of the mask of part 1 is white/);
    assert.match(made.neither, /INVALID_INPUT regions: .*one of the two; that of part 1 has neither/);
    assert.match(made.noList, /INVALID_INPUT regions: .*must be a list/);
    assert.match(made.misspelt, /INVALID_INPUT heigth: .*did you mean "height"\?/);
    assert.match(made.heavy, /INVALID_INPUT regions: .*weight 11, expected 0 to 10/);
  });
}
