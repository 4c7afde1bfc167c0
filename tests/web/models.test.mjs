/** A model that cannot be loaded costs nobody the one in use: neither a program nor a visitor. */

import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { MODEL, banner, draw, fileOf, psnr, ready, set, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const folder = mkdtempSync(join(tmpdir(), 'opengen-models-'));
after(() => rmSync(folder, { recursive: true }));
const MINE = join(folder, 'my-dog.gguf');
copyFileSync(fileOf(MODEL), MINE);
const APPLE = 'a red apple on a light blue background';

test('for a program: what fails to load leaves the model in use as it was', async () => {
  const page = await visitor(it, { path: 'blank.html' });
  const told = await page.evaluate(async (prompt) => {
    const { OpenGen } = await import('/client.js');
    const { MODELS } = await import('/models.js');
    const og = await OpenGen.create({ engine: 'cpu', model: MODELS[0] });
    const make = async () => [...new Uint8Array(await (await og.generate({ prompt, steps: 1, seed: 5, imageType: 'Blob' })).image.arrayBuffer())].join();
    const first = await make();
    const outcomes = [];
    const bad = new File(['GGUF and nothing more'], 'bad.gguf');
    for (const source of ['/missing.gguf', bad, 'no such model']) {
      const code = await og.models.load(source).then(() => 'loaded', (error) => error.code);
      outcomes.push([code, (await make()) === first]);
    }
    og.dispose();
    return outcomes;
  }, APPLE);
  assert.deepEqual(told, [['NETWORK', true], ['BAD_MODEL', true], ['INVALID_INPUT', true]]);
});

/** Changes a byte of what is stored of a model, a chunk's `Blob`. */
const damage = (page, name) => page.evaluate(async (wanted) => {
  const done = (request) => new Promise((resolve, reject) => { request.onsuccess = () => resolve(request.result); request.onerror = () => reject(request.error); });
  const database = await done(indexedDB.open('opengen'));
  const store = () => database.transaction('chunks', 'readwrite').objectStore('chunks');
  const key = (await done(store().getAllKeys())).find((one) => String(one).includes(wanted));
  const bytes = new Uint8Array(await (await done(store().get(key))).arrayBuffer());
  bytes[1000] ^= 1;
  await done(store().put(new Blob([bytes]), key));
  database.close();
}, name);

test('for a visitor: the model in use stays, with its settings, and the page says so', async () => {
  const page = await visitor(it);
  await ready(page);
  const before = await draw(page, APPLE, { Steps: 3, Seed: 5, 'Negative prompt': 'green' });
  await page.setInputFiles('#add-model-file', MINE);
  await page.locator('#report').getByText('my-dog was added and is in use now.').waitFor({ timeout: 120_000 });
  await ready(page);
  assert.equal(await page.getByLabel('Negative prompt').inputValue(), 'green', 'another model takes away nothing typed');
  const select = page.getByLabel('Model', { exact: true });
  await select.selectOption({ label: MODEL.name });
  await ready(page);
  await set(page, { Steps: 3 });
  await damage(page, 'my-dog');

  const chip = page.locator('#model-chip');
  await page.evaluate(() => {
    window.seen = [];
    new MutationObserver(() => window.seen.push(document.querySelector('#chip-name').textContent))
      .observe(document.querySelector('#model-chip'), { subtree: true, childList: true, characterData: true });
  });
  await select.selectOption({ label: 'my-dog' });
  await banner(page).getByText(`${MODEL.name} is still in use.`).waitFor();
  assert.deepEqual(await page.evaluate(() => [...new Set(window.seen)]), [MODEL.name], 'the chip names the one in use throughout');
  assert.match(await chip.textContent(), /Mini.*ready/s);
  assert.equal(await select.locator('option:checked').textContent(), MODEL.name);
  assert.equal(await page.locator('#steps').inputValue(), '3');
  assert.equal(psnr(await draw(page, APPLE, { Seed: 5 }), before), Infinity);
  await page.reload();
  await ready(page);
  assert.equal(await select.locator('option:checked').textContent(), MODEL.name, 'at the next visit too');
});

/** Makes a stored model one of another version of the engine: with other names for its records, chunks as arrays. Its id. */
const aged = (page, name) => page.evaluate(async (wanted) => {
  const done = (request) => new Promise((resolve, reject) => { request.onsuccess = () => resolve(request.result); request.onerror = () => reject(request.error); });
  const database = await done(indexedDB.open('opengen'));
  const models = database.transaction('models', 'readwrite').objectStore('models');
  const key = (await done(models.getAllKeys())).find((id) => id.includes(wanted));
  const row = await done(models.get(key));
  const manifest = JSON.parse(row.manifest);
  for (const { decl } of manifest.records) decl.name = `former.${decl.name}`;
  await done(models.put({ ...row, manifest: JSON.stringify(manifest) }, key));
  const chunks = () => database.transaction('chunks', 'readwrite').objectStore('chunks');
  for (const chunk of await done(chunks().getAllKeys())) {
    if (!chunk[0].startsWith(key)) continue;
    const bytes = await (await done(chunks().get(chunk))).arrayBuffer();
    await done(chunks().put(new Uint8Array(bytes), chunk));
  }
  database.close();
  return key;
}, name);

/** Where chunks of a model lie, each place with how many there are. */
const places = (page, id) => page.evaluate(async (wanted) => {
  const done = (request) => new Promise((resolve, reject) => { request.onsuccess = () => resolve(request.result); request.onerror = () => reject(request.error); });
  const database = await done(indexedDB.open('opengen'));
  const keys = await done(database.transaction('chunks').objectStore('chunks').getAllKeys());
  database.close();
  const found = {};
  for (const [place] of keys) if (place.startsWith(wanted)) found[place] = (found[place] ?? 0) + 1;
  return found;
}, id);

test('a model that another version of the page stored is packed anew, one of the visitor’s own too: nothing is fetched', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.setInputFiles('#add-model-file', MINE);
  await page.locator('#report').getByText('my-dog was added and is in use now.').waitFor({ timeout: 120_000 });
  await ready(page);
  const before = await draw(page, APPLE, { Steps: 2, Seed: 5 });
  const id = await aged(page, 'my-dog');
  const [[place, count]] = Object.entries(await places(page, id));
  it.server.models = [];
  for (const turn of [1, 2]) {
    await page.reload();
    await ready(page);
    assert.equal(await page.getByLabel('Model', { exact: true }).locator('option:checked').textContent(), 'my-dog');
    assert.equal(psnr(await draw(page, APPLE, { Steps: 2, Seed: 5 }), before), Infinity, `the same model, turn ${turn}`);
    assert.deepEqual(it.server.models, []);
  }
  const after = await places(page, id);
  assert.deepEqual([Object.values(after), place in after], [[count], false], 'once in the store');
  await page.evaluate(async (name) => {
    const { OpenGen } = await import('/client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    await og.models.remove(name);
    og.dispose();
  }, id);
  assert.deepEqual(await places(page, id), {}, 'and gone with the model');
});

test('a program’s hook sees a picture before anybody else, and what it drops nobody gets', async () => {
  const page = await visitor(it, { path: 'blank.html' });
  const told = await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    const { MODELS } = await import('/models.js');
    const seen = [];
    let verdicts = [];
    const og = await OpenGen.create({
      engine: 'cpu', model: MODELS[0],
      onPicture: async (image) => {
        await new Promise((done) => setTimeout(done));
        seen.push([image.width, image.height]);
        return verdicts[seen.length - 1];
      },
    });
    const run = async (said, options) => {
      seen.length = 0;
      verdicts = said;
      const previews = [];
      const onStep = ({ preview }) => previews.push(Boolean(preview));
      const ended = await og.generate({ prompt: 'a cat', steps: 1, seed: 4, onStep, ...options }).then(
        ({ images, png, verdicts: judged, image }) => ({ images: images.length, png: png.length, judged, first: image === images[0] }),
        ({ code, field }) => ({ code, field }));
      return { ...ended, seen: [...seen], previews };
    };
    const answers = [
      await run(['keep']), await run(['drop', 'blur'], { batch: 2, imageType: 'Blob' }), await run(['drop']),
      await run(['perhaps']), await run(['keep'], { previews: true }),
    ];
    const types = [];
    verdicts = ['drop'];
    seen.length = 0;
    try {
      for await (const { type } of og.stream({ prompt: 'a cat', steps: 1, seed: 4 })) types.push(type);
    } catch ({ code }) {
      types.push(code);
    }
    og.dispose();
    return { answers, types };
  });
  const size = [MODEL.width, MODEL.height];
  assert.deepEqual(told.answers, [
    { images: 1, png: 1, judged: ['keep'], first: true, seen: [size], previews: [false] },
    { images: 1, png: 1, judged: ['drop', 'blur'], first: true, seen: [size, size], previews: [false] },
    { code: 'DROPPED', field: null, seen: [size], previews: [false] },
    { code: 'INVALID_INPUT', field: 'onPicture', seen: [size], previews: [false] },
    { images: 1, png: 1, judged: ['keep'], first: true, seen: [size], previews: [true] },
  ]);
  assert.deepEqual(told.types.at(-1), 'DROPPED');
  assert.ok(!told.types.includes('done'));
  assert.deepEqual(page.trouble, []);
});
