/** A model of the visitor's own: chosen or dropped, kept, used, removed; and every way in which that can go wrong. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { judged } from '../../www/js/room.js';
import { checkpoint } from './checkpoint.mjs';
import { inHalves, withNaN } from './gguf.mjs';
import {
  MODEL, STATUS, assertPicture, draw, fileOf, pixels, promptOf, psnr, ready, set, shows, stand, tab, visitor,
} from './page.mjs';
import { headOf, tensors } from './sd15.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });
const folder = mkdtempSync(join(tmpdir(), 'opengen-own-'));
after(() => rmSync(folder, { recursive: true }));

const APPLE = 'a red apple on a light blue background';
const GGUF = readFileSync(fileOf(MODEL));
/** A file on this disk. @param {Buffer} bytes */
function written(name, bytes) {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}
const MINE = written('my-dog.gguf', GGUF);

const report = (page) => page.locator('#report');
const told = (page, words) => report(page).getByText(words).first().waitFor({ timeout: 120_000 });
const select = (page) => page.getByLabel('Model', { exact: true });
const names = (page) => select(page).locator('option').allTextContents();
const choose = (page, path) => page.setInputFiles('#add-model-file', path);
const stored = (page) => page.evaluate(async () => {
  const database = await new Promise((done) => { indexedDB.open('opengen').onsuccess = ({ target }) => done(target.result); });
  const stores = [...database.objectStoreNames];
  const keys = await Promise.all(stores.map((name) => new Promise((done) => {
    database.transaction(name).objectStore(name).getAllKeys().onsuccess = ({ target }) => done(target.result);
  })));
  database.close();
  return keys.flat().map(String);
});

/** The worker reads files slowly, so that something can happen in the middle. */
const SLOW = `const quick = self.fetch;
  self.fetch = async (url, options) => {
    const response = await quick(url, options);
    if (!String(url).startsWith('blob:')) return response;
    const late = new TransformStream({ async transform(chunk, out) { await new Promise((done) => setTimeout(done, 25)); out.enqueue(chunk); } });
    return new Response(response.body.pipeThrough(late), response);
  };`;
/** The store is full once it holds two chunks of the model. (Chromium looks at its quota too seldom to be tested with.) */
const FULL = `const { put } = IDBObjectStore.prototype;
  let chunks = 0;
  IDBObjectStore.prototype.put = function fill(value, key) {
    if (JSON.stringify(key ?? value.id ?? '').includes('my-dog') && this.name === 'chunks' && ++chunks > 2) throw new DOMException('full', 'QuotaExceededError');
    return put.call(this, value, key);
  };`;

/** A page with a picture on it, so that there is something to lose; what its worker runs first. */
async function settled({ worker = '', ...options } = {}) {
  const page = await visitor(it, { ...options, open: false, serviceWorkers: 'block' });
  await page.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${worker}\n${await response.text()}` });
  });
  await page.goto(it.server.url + it.path);
  await ready(page);
  const before = await draw(page, APPLE, { Steps: 2, Seed: 5 });
  await promptOf(page).fill('what I was typing');
  return { page, before };
}

/** That a refused file left everything as it was. */
async function unharmed(page, before) {
  assert.equal(await promptOf(page).inputValue(), 'what I was typing');
  assert.equal(psnr(await pixels(page), before), Infinity);
  assert.deepEqual(await names(page), [MODEL.name]);
  assert.match(await page.locator('#model-chip').textContent(), /ready/);
  assert.equal(await page.getByRole('alert').count(), 0);
  assert.deepEqual((await stored(page)).filter((key) => !key.includes(MODEL.id)), [], 'nothing of it is left in the store');
  assert.equal(psnr(await draw(page, APPLE, { Steps: 2, Seed: 5 }), before), Infinity, 'and the model still draws');
}

test('a file becomes a model that draws, stays after a reload without the server, and can be deleted', async () => {
  const server = await new Server().start();
  const page = await visitor({ ...it, server });
  await ready(page);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const mini = await draw(page, APPLE, { Steps: 2, Seed: 5, Guidance: 2, Sampler: 'ddim' });
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Add your own' }).click()]);
  await chooser.setFiles(MINE);
  await told(page, 'my-dog was added and is in use now.');
  await ready(page);
  assert.deepEqual(await names(page), [MODEL.name, 'my-dog']);
  assert.equal(await select(page).locator('option:checked').textContent(), 'my-dog');
  assert.match(await page.locator('#model-chip').textContent(), /my-dog.*MB.*ready/s);
  assert.equal(await page.getByLabel('Steps', { exact: true }).inputValue(), '10', 'its own name says that it is Mini, whose settings and words it takes');
  assert.equal(await page.getByText('Everything it knows').isVisible(), true);
  assert.equal(await page.locator('#width').inputValue(), String(MODEL.width), 'its size is known');
  // The same file, so the same pictures.
  const own = await draw(page, APPLE, { Steps: 2, Seed: 5, Guidance: 2, Sampler: 'ddim' });
  assert.equal(psnr(mini, own), Infinity);

  await server.kill();
  await page.reload();
  await page.locator('#model-chip[data-state="offline"], #model-chip[data-state="ready"]').waitFor();
  assert.equal(await select(page).locator('option:checked').textContent(), 'my-dog', 'the choice outlives the tab');
  assert.equal(psnr(await draw(page, APPLE, { Steps: 2, Seed: 5, Guidance: 2, Sampler: 'ddim' }), mini), Infinity);

  await page.locator('#model-chip').click();
  const panel = page.getByRole('dialog', { name: 'Kept on this device' });
  const remove = panel.getByRole('button', { name: 'Delete my-dog', exact: true });
  await remove.click();
  await panel.getByText(/Delete my-dog, 1\d MB\?/).waitFor();
  await panel.getByText('It came from a file of yours: this page cannot fetch it again.').waitFor();
  await panel.getByRole('button', { name: 'Keep my-dog' }).click();
  await remove.click();
  await panel.getByRole('button', { name: 'Delete my-dog now' }).click();
  await panel.getByText('my-dog is deleted').waitFor();
  await panel.getByText(/It goes when this tab is closed, and takes 1\d MB until then/).waitFor();
  await panel.getByRole('button', { name: 'Undo the deletion of my-dog' }).click();
  await remove.waitFor();
  await page.keyboard.press('Escape');
  await page.reload();
  await ready(page);
  assert.deepEqual(await names(page), [MODEL.name, 'my-dog'], 'undone is not deleted');
  assert.equal(await select(page).locator('option:checked').textContent(), 'my-dog');

  await page.locator('#model-chip').click();
  await remove.click();
  await panel.getByRole('button', { name: 'Delete my-dog now' }).click();
  await panel.getByText('my-dog is deleted').waitFor();
  await page.keyboard.press('Escape');
  assert.equal(psnr(await draw(page, APPLE, { Steps: 2, Seed: 5, Guidance: 2, Sampler: 'ddim' }), mini), Infinity, 'it works in this tab');
  await page.reload();
  await ready(page);
  assert.deepEqual(await names(page), [MODEL.name]);
  assert.deepEqual((await stored(page)).filter((key) => key.includes('my-dog')), []);
  assert.deepEqual(page.trouble, []);
});

test('a dropped model is added too, in both views, and “Your own” leads to where one is chosen', async () => {
  const page = await visitor(it, { path: '?engine=cpu#how' });
  await ready(page);
  const link = page.getByRole('link', { name: 'Add a model' });
  await link.click();
  const button = page.getByRole('button', { name: 'Add your own' });
  await button.waitFor();
  await page.waitForFunction(() => document.activeElement.id === 'add-model');
  await page.getByRole('link', { name: 'How it works' }).click();
  await link.waitFor();
  await page.evaluate(async (address) => {
    const data = new DataTransfer();
    data.items.add(new File([await (await fetch(address)).arrayBuffer()], 'dropped.gguf', { lastModified: 7 }));
    const event = (type) => new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
    const part = document.querySelector('#how-into h2'); // a place that takes pictures for itself
    part.dispatchEvent(event('dragover'));
    part.dispatchEvent(event('drop'));
  }, new URL(`models/mini/${fileOf(MODEL).split('/').pop()}`, it.server.url).href);
  await page.waitForFunction(() => /dropped/.test(document.querySelector('#model option:checked').textContent), null, { timeout: 60_000 });
  await ready(page);
  assert.deepEqual(page.trouble, []);
});

test('a phone: the picker is in the sheet', async () => {
  const page = await visitor(it, { viewport: { width: 360, height: 740 }, path: '?engine=cpu#add-model' });
  await ready(page);
  await page.waitForFunction(() => document.activeElement.id === 'add-model');
  assert.ok(await page.getByRole('button', { name: 'Add your own' }).isVisible());
  await choose(page, written('notes.txt', Buffer.from('no model at all')));
  await told(page, 'was not added.');
  const { y, height } = await report(page).boundingBox();
  assert.ok(y >= 0 && y + height <= 741, 'what became of it is not hidden, neither by the sheet nor below the screen');
  assert.equal(await page.locator('#settings').evaluate((sheet) => sheet.inert), true);
});

test('a checkpoint in one file becomes a model that draws; the vocabulary it needs is fetched then, and once', async () => {
  const server = await new Server().start();
  const page = await visitor({ ...it, server }, { serviceWorkers: 'block' });
  await ready(page);
  const vocabulary = () => server.paths.filter((path) => path.endsWith('/clip/merges.txt')).length;
  assert.equal(vocabulary(), 0, 'who has no checkpoint never fetches it');
  await choose(page, written('dream.safetensors', checkpoint()));
  await told(page, 'dream was added and is in use now.');
  await ready(page);
  assert.equal(vocabulary(), 1);
  assert.deepEqual(await names(page), [MODEL.name, 'dream']);
  await page.locator('#once').getByRole('button', { name: 'Understood' }).click(); // what general models may draw
  const fields = { Width: 128, Height: 128, Steps: 2, Seed: 5, Guidance: 2, Sampler: 'ddim' };
  const before = await draw(page, 'a photo of an astronaut riding a horse', fields);
  assertPicture(before);
  await page.reload();
  await ready(page);
  assert.equal(psnr(await draw(page, 'a photo of an astronaut riding a horse', fields), before), Infinity);
  assert.equal(vocabulary(), 1, 'the model has its tokenizer in the store');
  assert.deepEqual(page.trouble, []);
  await server.kill();
});

test('a vocabulary that does not arrive is said, and nothing of the checkpoint is left', async () => {
  const { page, before } = await settled();
  await page.route('**/clip/merges.txt', (route) => route.fulfill({ status: 503 }));
  await choose(page, written('dream.safetensors', checkpoint()));
  await told(page, 'was not added.');
  assert.match(await report(page).innerText(), /vocabulary that a checkpoint in one file needs did not arrive \(clip\/merges\.txt: 503\)/i);
  await unharmed(page, before);
});

/** A copy of the model in whose header one tensor has another shape. */
function misshapen() {
  const bytes = Buffer.from(GGUF);
  const name = 'unet.conv_out.weight';
  const at = bytes.indexOf(name) + name.length + 4; // behind the name: the number of dimensions, then these
  assert.ok(at > name.length + 4, name);
  const first = bytes.readBigUInt64LE(at);
  bytes.writeBigUInt64LE(first / 2n || 1n, at);
  return bytes;
}

/** A GGUF without tensors, of these metadata. @param {Record<string, string>} metadata */
function gguf(metadata) {
  const number = (value) => { const bytes = Buffer.alloc(8); bytes.writeBigUInt64LE(BigInt(value)); return bytes; };
  const text = (value) => Buffer.concat([number(value.length), Buffer.from(value)]);
  const pairs = Object.entries(metadata).flatMap(([key, value]) => [text(key), Buffer.from([8, 0, 0, 0]), text(value)]);
  return Buffer.concat([Buffer.from('GGUF\x03\0\0\0'), number(0), number(pairs.length / 3), ...pairs]);
}

/** A safetensors file of one tensor of that name. */
function safetensors(name) {
  const json = Buffer.from(JSON.stringify({ [name]: { dtype: 'F16', shape: [4], data_offsets: [0, 8] } }));
  const length = Buffer.alloc(8);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, Buffer.alloc(8)]);
}

const ZIP = Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(26), Buffer.from('archive/data.pkl'), Buffer.alloc(4096)]);

test('a file that is no whole model: says what is wrong and loses nothing', async () => {
  const { page, before } = await settled();
  for (const [what, name, bytes, words, details] of [
    ['a text file', 'notes.txt', Buffer.from('no model at all'), /“notes\.txt” was not added\..*neither GGUF nor safetensors/is],
    ['a picture', 'photo.gguf', Buffer.from('\xff\xd8\xff\xe0\0\x10JFIF\0aaaaaaaaaa', 'latin1'), /This is a JPEG picture: choose or download the model itself\./],
    ['a pickled checkpoint', 'old.ckpt', ZIP, /This is a pickled checkpoint \(\.ckpt, \.pt, \.bin\): opening one can run whatever is in it.*save_file/s],
    ['a part of a checkpoint', 'v1-5.safetensors', safetensors('cond_stage_model.transformer.text_model.final_layer_norm.bias'),
      /This is a part of a Stable Diffusion 1 checkpoint: a whole model is needed, with UNet, text encoder and autoencoder/],
    ['a checkpoint of another family', 'xl.safetensors', safetensors('conditioner.embedders.0.x'), /This is a Stable Diffusion XL model: Stable Diffusion 1 and 2 can be drawn with\./],
    ['a motion module', 'motion.safetensors', safetensors('down_blocks.0.motion_modules.0.norm.weight'), /This is a motion module for films \(AnimateDiff\): it changes a model and is none by itself/],
    ['an empty file', 'empty.gguf', Buffer.alloc(0), /It is empty/],
    ['a GGUF that is cut short', 'cut.gguf', GGUF.subarray(0, 3_000_000), /The file is incomplete: 3\.0 of at least 15\.\d MB; download it again\./, /tensor .* has \d+ bytes at/],
    ['a GGUF that is cut in its header', 'head.gguf', GGUF.subarray(0, 100), /The file is incomplete: 100 of at least \d+ bytes; download it again\./, /reaches beyond 100/],
    ['a language model', 'llama.gguf', gguf({ 'general.architecture': 'llama' }), /This is a language model \(llama\)/],
    ['a GGUF whose shapes do not fit', 'shape.gguf', misshapen(), /One tensor is not what its configuration asks for/, /unet\.conv_out\.weight/],
  ]) {
    await promptOf(page).fill('what I was typing');
    await choose(page, written(name, bytes));
    await told(page, `“${name}” was not added.`);
    const said = await report(page).innerText();
    assert.match(said, words, what);
    assert.doesNotMatch(said, /opengen (quantize|import)/, 'no advice that does not help');
    const folded = report(page).locator('details');
    assert.equal(await folded.isVisible(), Boolean(details), `${what}: the technical part is folded`);
    if (details) {
      await folded.locator('summary').click();
      assert.match(await folded.innerText(), details, what);
    }
    assert.match(said, /your prompt and your pictures are as they were/, what);
    assert.doesNotMatch(said, /[0-9a-f]{8}-[0-9a-f]{4}/, 'no address of a blob');
    await unharmed(page, before);
    assert.deepEqual(page.trouble, [], what);
  }
});

const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1';

test('a model with weights that are no numbers is refused by their name, and taken at a press', async () => {
  const { page } = await settled();
  await choose(page, written('broken.gguf', withNaN(GGUF, 'unet.conv_norm_out.weight')));
  await told(page, '“broken.gguf” was not added.');
  assert.match(await report(page).innerText(), /Weights are infinite or no numbers \(1 of unet\.conv_norm_out\.weight\)/);
  assert.deepEqual((await stored(page)).filter((key) => !key.includes(MODEL.id)), [], 'no part of it stays');
  await page.getByRole('button', { name: 'Add it all the same' }).click();
  await told(page, 'broken was added and is in use now.');
});

test('on an iPhone a model that would close the tab is not added unasked, and what is kept is said to be fleeting', async () => {
  const vendor = () => Object.defineProperty(navigator, 'vendor', { value: 'Apple Computer, Inc.' });
  const { page, before } = await settled({ userAgent: IPHONE, init: vendor });
  const { head, bytes } = headOf(tensors(), '{}');
  const path = written('large.safetensors', head);
  truncateSync(path, bytes);
  await choose(page, path);
  await told(page, 'was not added.');
  assert.match(await report(page).innerText(), /Kept here it takes Q8 1\.2 GB, small 816 MB, Q4 749 MB; iPhones and iPads close a tab that uses more than about 1\.5 GB\.\s+At fewer bits it would fit/);
  await report(page).getByRole('button', { name: 'Add it all the same' }).waitFor();
  await page.locator('#model-chip').click();
  const panel = page.getByRole('dialog', { name: 'Kept on this device' });
  await panel.getByText(/MB, complete/).waitFor();
  assert.match(await panel.innerText(), /Safari clears it after seven days/);
  await page.keyboard.press('Escape');
  await unharmed(page, before);
});

test('too large for the store: says how much is needed and there, before anything is copied', async () => {
  const { page, before } = await settled({ init: () => { navigator.storage.estimate = async () => ({ usage: 20e6, quota: 26e6 }); } });
  await choose(page, MINE);
  await told(page, 'was not added.');
  assert.match(await report(page).innerText(), /It needs 15 MB, and this browser has 6\.0 MB left/);
  await report(page).getByRole('button', { name: 'Show storage' }).click();
  await page.getByRole('dialog', { name: 'Kept on this device' }).waitFor();
  await page.keyboard.press('Escape');
  await unharmed(page, before);
});

test('what is counted is what will be kept: a file larger than the room is taken, and refused with the numbers where even that is too much', async () => {
  const wide = inHalves(GGUF);
  const room = (free) => { navigator.storage.estimate = async () => ({ usage: 20e6, quota: 20e6 + free }); };
  const page = await visitor(it, { path: '?engine=cpu#models' });
  await ready(page);
  await page.evaluate(room, 1e7);
  await choose(page, written('wide.gguf', wide));
  await told(page, 'was not added.');
  const [, ...kept] = /Kept here it needs Q8 (\d+) MB, small (\d+|\d\.\d) MB, Q4 (\d\.\d|\d+) MB; 10 MB free\./.exec(await report(page).innerText()).map(Number);
  assert.ok(wide.length / 1e6 > kept[0] && kept[0] > kept[1] && kept[1] >= kept[2], `${kept}`);
  const free = (kept[0] + 1) * 1e6;
  assert.ok(free < wide.length, 'the file itself has no room');
  await page.evaluate(room, free);
  await choose(page, written('wide.gguf', wide));
  await told(page, 'wide was added and is in use now.');
  const rows = await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    const rows = await og.models.list();
    og.dispose();
    return rows;
  });
  const { bytes, weights } = rows.find(({ id }) => id.startsWith('wide.gguf'));
  assert.deepEqual([Math.round(bytes / 1e6), weights], [kept[0], 'q8_0'], 'as large as was said');
});

test('a model that is too large at the chosen type is told whether fewer bits would do', () => {
  const sizes = { f16: 2134e6, q8_0: 1170e6, q5_0: 816e6, q4_0: 749e6 };
  assert.equal(judged(sizes, 'q8_0', 3.1e9, false), null);
  assert.deepEqual(judged(sizes, 'q8_0', 0.8e9, false).lines, ['Kept here it needs Q8 1.2 GB, small 816 MB, Q4 749 MB; 800 MB free.',
    'At fewer bits it would fit: what new models are kept at is chosen under Models.', 'Deleting a model or pictures makes room.']);
  assert.deepEqual(judged(sizes, 'f16', 0.5e9, false).lines, ['Kept here it needs F16 2.1 GB, Q8 1.2 GB, small 816 MB, Q4 749 MB; 500 MB free.',
    'Deleting a model or pictures makes room.']);
  assert.equal(judged(sizes, 'q5_0', Infinity, true), null, 'as it is kept it is no danger to a phone');
  assert.equal(judged(sizes, 'q8_0', Infinity, true).of, 'phone');
});

test('a store that turns out to be full in the middle: says so, and no part stays', async () => {
  const { page, before } = await settled({ worker: FULL });
  await choose(page, MINE);
  await told(page, 'There is no room for it.');
  await unharmed(page, before);
});

test('adding is shown where the model stands, can be cancelled, and leaves no part behind', async () => {
  const { page, before } = await settled({ worker: SLOW });
  await page.evaluate(() => {
    window.seen = new Set();
    new MutationObserver(() => window.seen.add(document.querySelector('#model-chip').innerText))
      .observe(document.querySelector('#model-chip'), { subtree: true, childList: true, characterData: true });
  });
  await choose(page, MINE);
  await told(page, 'Adding “my-dog.gguf”.');
  await page.waitForFunction(() => /adding [1-9]\d? %/.test(document.querySelector('#model-chip').innerText));
  await report(page).getByRole('button', { name: 'Cancel' }).click();
  await told(page, 'was not added.');
  assert.match(await report(page).innerText(), /You cancelled it; no part of it was kept/);
  await unharmed(page, before);
  await choose(page, MINE);
  await told(page, 'was added and is in use now.');
  const seen = await page.evaluate(() => [...window.seen].join('\n'));
  assert.match(seen, /my-dog\.gguf[\s\S]*adding \d+ %/);
});

test('while a picture is made: the model is added behind it, and offered', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 60 });
  await promptOf(page).fill(APPLE);
  await shows(page, STATUS, 'step 2 of', () => promptOf(page).press('Enter'));
  await choose(page, MINE);
  await told(page, 'Adding “my-dog.gguf”.');
  await page.getByRole('button', { name: 'Add to queue' }).click();
  await told(page, 'my-dog was added.');
  assert.equal(await select(page).locator('option:checked').textContent(), MODEL.name, 'what is drawn goes on');
  await report(page).getByRole('button', { name: 'Use it' }).waitFor();
});

test('a browser that stores nothing says so', async () => {
  const page = await visitor(it, { open: false, serviceWorkers: 'block' });
  await page.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `Object.defineProperty(self, 'indexedDB', { value: undefined });\n${await response.text()}` });
  });
  await page.goto(it.server.url + it.path);
  await ready(page);
  await choose(page, MINE);
  await told(page, 'was not added.');
  assert.match(await report(page).innerText(), /does not keep models here/);
  assertPicture(await draw(page, APPLE, { Steps: 1 }));
});

test('two tabs: a model added in one can be chosen in the other', async () => {
  const one = await visitor(it);
  await ready(one);
  const two = await tab(one.context(), it);
  await ready(two);
  await choose(one, MINE);
  await told(one, 'my-dog was added');
  await two.waitForFunction(() => document.querySelectorAll('#model option').length === 2);
  await select(two).selectOption({ label: 'my-dog' });
  await ready(two);
  assertPicture(await draw(two, APPLE, { Steps: 2 }));
});

// A service worker may have the page try again by itself, before the file is there or after; without one nobody does.
for (const [how, serviceWorkers] of [['', 'allow'], [', without a service worker', 'block']]) {
  test(`a model of one’s own that is gone from the store says what to do, and is used once it is added again${how}`, () => gone(serviceWorkers));
}

async function gone(serviceWorkers) {
  const page = await visitor(it, { serviceWorkers });
  await ready(page);
  await choose(page, MINE);
  await told(page, 'is in use now.');
  await ready(page);
  await page.evaluate(async () => {
    const database = await new Promise((done) => { indexedDB.open('opengen').onsuccess = ({ target }) => done(target.result); });
    const names = [...database.objectStoreNames];
    const transaction = database.transaction(names, 'readwrite');
    for (const name of names) transaction.objectStore(name).clear();
    await new Promise((done, fail) => Object.assign(transaction, { oncomplete: done, onabort: fail }));
    database.close();
  });
  await page.reload();
  const alert = page.getByRole('alert');
  await alert.getByText('my-dog is not here any more.').waitFor();
  assert.match(await alert.innerText(), /add that file again, or choose another model.*kept/);
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), alert.getByRole('button', { name: 'Add its file' }).click()]);
  await chooser.setFiles(MINE);
  await told(page, 'my-dog was added and is in use now.');
  await ready(page);
  assert.equal(await page.getByRole('alert').count(), 0, 'what was wrong is so no more');
  assertPicture(await draw(page, APPLE, { Steps: 2 }));
}
