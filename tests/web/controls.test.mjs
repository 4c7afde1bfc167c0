/** What ControlNets steer, asked of the package's client on both of the engine's ways. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { checkpoint, controlNet } from './checkpoint.mjs';
import { stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach });

for (const engine of ['cpu', 'webgpu']) {
  test(`a run is steered by maps, by a ControlNet at an address and in a file (${engine})`, { timeout: 180_000 }, async () => {
    const page = await visitor(it, { path: 'blank.html' });
    let fetched = 0;
    const files = { 'model.safetensors': checkpoint(), 'canny.safetensors': controlNet(3), 'other.safetensors': controlNet(4, 2) };
    for (const [name, body] of Object.entries(files)) {
      await page.route(`**/${name}`, (route) => {
        fetched += Number(name === 'canny.safetensors');
        return route.fulfill({ body, contentType: 'application/octet-stream' });
      });
    }
    const made = await page.evaluate(async (engine) => {
      const { OpenGen } = await import('./client.js');
      const file = async (name) => new File([await (await fetch(name)).blob()], name, { lastModified: 1 });
      const og = await OpenGen.create({ engine, model: await file('model.safetensors') });
      const request = { prompt: 'a red apple', steps: 2, seed: 1, width: 64, height: 64, guidance: 2, previews: false };
      const image = new ImageData(64, 64);
      image.data.forEach((_, at) => { image.data[at] = at % 4 === 3 || (at >> 2) % 64 > 30 ? 255 : 0; });
      const draw = async (...controls) => {
        const { image: drawn, png } = await og.generate({ ...request, ...(controls.length && { controls }) });
        const digest = await crypto.subtle.digest('SHA-256', drawn.data);
        const { controls: steered } = await og.readSettings(png[0]);
        return { picture: [...new Uint8Array(digest)].join(), steered };
      };
      const failed = (promise) => promise.then(() => 'fine', ({ code, field, message }) => `${code} ${field}: ${message}`);
      const model = 'canny.safetensors';
      const answers = {
        plain: await draw(),
        none: await draw({ model, image, strength: 0 }),
        steered: await draw({ model, image, preprocessor: 'canny', strength: 0.8, end: 0.6, importance: 'control' }),
        ready: await draw({ model, image }),
        twice: await draw({ model, image }, { model, image, preprocessor: 'lineart', start: 0.5 }),
      };
      const given = await file(model);
      answers.given = await draw({ model: given, image });
      answers.again = await draw({ model: given, image });
      answers.wrong = await failed(draw({ model: 'other.safetensors', image }));
      answers.missing = await failed(draw({ model: 'nowhere.safetensors', image }));
      answers.noImage = await failed(draw({ model }));
      answers.noModel = await failed(draw({ image }));
      answers.misspelt = await failed(draw({ model, image, strenght: 1 }));
      answers.strong = await failed(draw({ model, image, strength: 3 }));
      answers.unknown = await failed(draw({ model, image, preprocessor: 'hed' }));
      answers.after = await draw({ model, image });
      og.dispose();
      return answers;
    }, engine);
    assert.equal(made.none.picture, made.plain.picture, 'a strength of 0 changes nothing');
    const different = [made.plain, made.steered, made.ready, made.twice].map(({ picture }) => picture);
    assert.equal(new Set(different).size, 4);
    assert.deepEqual(made.plain.steered, []);
    assert.deepEqual(made.steered.steered, [{
      model: 'canny', preprocessor: 'canny', strength: 0.8, start: 0, end: 0.6, importance: 'control', resize: 'crop',
    }]);
    assert.equal(made.given.picture, made.ready.picture, 'a file is what is at its address');
    assert.equal(made.again.picture, made.ready.picture);
    assert.equal(made.after.picture, made.ready.picture, 'what was refused left the model as it was');
    assert.equal(fetched, 2, 'by the engine once, and once by this test');
    assert.match(made.wrong, /other/);
    assert.match(made.missing, /NETWORK/);
    assert.match(made.noImage, /INVALID_INPUT controls: .*no image/);
    assert.match(made.noModel, /INVALID_INPUT controls: /);
    assert.match(made.misspelt, /strength/);
    assert.match(made.strong, /INVALID_INPUT controls: .*0 to 2/);
    assert.match(made.unknown, /INVALID_INPUT preprocessor: .*canny/);
    assert.deepEqual(page.trouble.filter((line) => !line.includes('404')), []);
  });
}
