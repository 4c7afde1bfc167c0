/** Runs of the package's client that begin from latents, and second passes by a network of one's own. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { stand, visitor } from './page.mjs';
import { nearest } from './upscaler.mjs';

const it = stand({ before, after, afterEach }, { path: 'blank.html' });
const REQUEST = { prompt: 'a red apple on a light blue background', steps: 4, seed: 3, sampler: 'ddim', schedule: 'default', width: 64, height: 64, guidance: 1, previews: false };

test('latents that are encoded once are drawn on as the image is, and a run is gone on with from one of its steps', async () => {
  const page = await visitor(it);
  const made = await page.evaluate(async (request) => {
    const [{ OpenGen }, { mini }] = await Promise.all([import('./client.js'), import('./models.js')]);
    const og = await OpenGen.create({ engine: 'cpu', model: mini });
    const image = new ImageData(64, 64);
    image.data.forEach((_, at) => { image.data[at] = at % 4 === 3 ? 255 : (7 * (at >> 2) + at) % 256; });
    const draw = async (more) => {
      const { image: drawn, png } = await og.generate({ ...request, ...more });
      const digest = await crypto.subtle.digest('SHA-256', drawn.data);
      const text = new TextDecoder('latin1').decode(await png[0].arrayBuffer());
      const { latentsStep } = await og.readSettings(png[0]);
      return { picture: [...new Uint8Array(digest)].join(), says: /Latents from step: \d+|Denoising strength: [\d.]+/.exec(text)?.[0], latentsStep };
    };
    const failed = (more) => draw(more).then(() => 'fine', ({ code, field, message }) => `${code} ${field}: ${message}`);
    const values = await og.study({ what: 'encode', image });
    const whole = { negativePrompt: '', rng: 'torch', batch: 1, ...request, previews: false };
    const path = await og.study({ what: 'begin', request: whole });
    const { next } = await og.study({ what: 'step', request: whole, index: 0, latents: path.latents });
    const answers = {
      image: await draw({ image, strength: 0.5, encode: 'mean' }), drawnOn: await draw({ latents: { values }, strength: 0.5 }),
      whole: await draw({}), first: await draw({ latents: { values: path.latents } }), later: await draw({ latents: { values: next, step: 1 } }),
      refused: [
        await failed({ latents: { values: values.subarray(1) } }), await failed({ latents: { values, step: 4 } }),
        await failed({ latents: { values, step: 1 }, strength: 0.5 }), await failed({ latents: { values }, image }),
        await failed({ latents: { values: [1, 2] } }), await failed({ latents: { values, steps: 1 } }), await failed({ strength: 0.5 }),
        await failed({ latents: { values: values.map(() => NaN) } }),
      ],
    };
    og.dispose();
    return answers;
  }, REQUEST);
  assert.equal(made.drawnOn.picture, made.image.picture);
  assert.deepEqual([made.image.says, made.drawnOn.says], ['Denoising strength: 0.5', 'Denoising strength: 0.5']);
  assert.equal(made.first.picture, made.whole.picture);
  assert.equal(made.later.picture, made.whole.picture, 'as if it had never stopped');
  assert.deepEqual([made.whole.says, made.first.says, made.later.says], [undefined, 'Latents from step: 0', 'Latents from step: 1']);
  assert.deepEqual([made.image.latentsStep, made.first.latentsStep, made.later.latentsStep], [null, 0, 1], 'read back');
  const expected = [
    /^INVALID_INPUT latents: \d+ values given, expected .*64×64 pixels/, /^INVALID_INPUT latents: step 4 asked for, of 4 steps/, /^INVALID_INPUT latents: .*not both/,
    /^INVALID_INPUT latents: .*from latents or from a picture/, /^INVALID_INPUT latents: must have values, a Float32Array/, /^INVALID_INPUT steps: .*did you mean "step"/,
    /^INVALID_INPUT strength: /, /^INVALID_INPUT latents: value 1 of/,
  ];
  made.refused.forEach((message, i) => assert.match(message, expected[i]));
});

test('a second pass is enlarged by a network, whose name its picture says; the next is as it was', { timeout: 120_000 }, async () => {
  const page = await visitor(it);
  const made = await page.evaluate(async ([request, base64]) => {
    const [{ OpenGen }, { mini }] = await Promise.all([import('./client.js'), import('./models.js')]);
    const og = await OpenGen.create({ engine: 'cpu', model: mini });
    const model = new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], '2x-Nearest.safetensors');
    const draw = async (hires) => {
      const { image, png } = await og.generate({ ...request, hires: { scale: 1.5, strength: 0.5, steps: 2, ...hires } });
      const digest = await crypto.subtle.digest('SHA-256', image.data);
      const text = new TextDecoder('latin1').decode(await png[0].arrayBuffer());
      return { size: [image.width, image.height], picture: [...new Uint8Array(digest)].join(), says: /Hires upscaler: [^,]*/.exec(text)?.[0] };
    };
    const failed = (hires) => draw(hires).then(() => 'fine', ({ code, field, message }) => `${code} ${field}: ${message}`);
    const answers = { lanczos: await draw({ upscaler: 'lanczos' }), network: await draw({ model }), again: await draw({ model }) };
    const { image } = await og.upscale(new ImageData(4, 4), { model }); // the same file, for a picture
    answers.refused = [await failed({ model, upscaler: 'latent' }), await failed({ model: 7 }), await failed({ model: new Blob(['{}']) })];
    answers.after = await draw({ upscaler: 'lanczos' });
    answers.larger = [image.width, image.height];
    og.dispose();
    return answers;
  }, [REQUEST, nearest(2).toString('base64')]);
  assert.deepEqual([made.lanczos.size, made.network.size, made.larger], [[96, 96], [96, 96], [8, 8]]);
  assert.deepEqual([made.lanczos.says, made.network.says], ['Hires upscaler: Lanczos', 'Hires upscaler: 2x-Nearest']);
  assert.notEqual(made.network.picture, made.lanczos.picture);
  assert.equal(made.again.picture, made.network.picture);
  assert.equal(made.after.picture, made.lanczos.picture);
  assert.match(made.refused[0], /^INVALID_INPUT hires: .*one of which enlarges/);
  assert.match(made.refused[1], /^INVALID_INPUT model: must be a Blob/);
  assert.match(made.refused[2], /^BAD_MODEL/);
});
