/** The view Models: what is here, what can be had, and what is done with it. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ENTRIES } from '../../www/catalogue/entries.js';
import { fitOf } from '../../www/catalogue/fit.js';
import { LICENSES, licenseOf, licensesOf } from '../../www/catalogue/licenses.js';
import { HUB, addressOf, filesOf, isFolder, understand } from '../../www/catalogue/sources.js';
import { inHalves } from './gguf.mjs';
import { MODEL, MOTION, PATIENCE, draw, fileOf, psnr, ready, resize, sent, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#models', light: true });
const folder = mkdtempSync(join(tmpdir(), 'opengen-catalogue-'));
after(() => rmSync(folder, { recursive: true }));
const MINE = join(folder, 'my-dog.gguf');
copyFileSync(fileOf(MODEL), MINE);

/** The licences in the store, by model. */
const licenses = (page) => page.evaluate(async () => {
  const { OpenGen } = await import('/client.js');
  const og = await OpenGen.create({ engine: 'cpu' });
  const models = await og.models.list();
  og.dispose();
  return Object.fromEntries(models.map(({ id, license }) => [id, license]));
});

/** A card by the name on it. */
const card = (page, name) => page.locator('.card').filter({ has: page.getByRole('heading', { name, exact: true }) });
const chip = (page) => page.locator('#chip-name').textContent();

test('nothing of the view is fetched before it is looked at', async () => {
  const page = await visitor(it, { path: '?engine=cpu' });
  await ready(page);
  assert.deepEqual(it.server.paths.filter((path) => /catalogue/.test(path)), []);
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
  assert.ok(it.server.paths.includes('/css/catalogue.css'));
});

test('a model of one’s own: added, used, renamed, deleted, and back to the page’s own in one press', async () => {
  const page = await visitor(it);
  await ready(page);
  const mini = card(page, MODEL.name);
  await mini.getByText('in use').waitFor();
  assert.match(await mini.innerText(), /1\d MB on this device[^]*128 × 128 pixels[^]*10 steps, guidance 2, DDIM/);
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Choose a file' }).click()]);
  await chooser.setFiles(MINE);
  const dog = card(page, 'my-dog');
  await dog.getByText('in use').waitFor();
  await page.locator('#models #report').getByText('my-dog was added and is in use now.').waitFor();
  assert.match(await dog.innerText(), /From\s+a file of yours/);

  await dog.getByRole('button', { name: 'Rename my-dog' }).click();
  const field = page.getByRole('textbox', { name: 'New name for my-dog' });
  await field.fill(MODEL.name.toUpperCase());
  await field.press('Enter');
  await page.getByRole('alert').getByText(`There is a model called “${MODEL.name}” already`).waitFor();
  await field.fill('Rex');
  await field.press('Enter');
  const rex = card(page, 'Rex');
  await rex.waitFor();
  assert.deepEqual(await page.locator('#model option').allTextContents(), [MODEL.name, 'Rex']);
  assert.equal(await page.evaluate(() => document.activeElement.closest('.card')?.querySelector('h3').textContent), 'Rex', 'the focus stays at its card');

  await mini.getByRole('button', { name: `Use ${MODEL.name}` }).click();
  await page.locator('#create').waitFor();
  await page.waitForFunction((name) => document.querySelector('#chip-name').textContent === name, MODEL.name);
  assert.equal(await page.locator('#report').isVisible(), true, 'what was said moves along');
  await page.reload();
  await ready(page);
  assert.equal(await chip(page), MODEL.name);
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  await rex.getByRole('button', { name: 'Delete Rex…' }).click();
  const panel = page.getByRole('dialog', { name: 'Kept on this device' });
  await panel.getByRole('button', { name: 'Delete Rex now' }).click();
  await page.keyboard.press('Escape');
  await rex.waitFor({ state: 'detached' });
  assert.deepEqual(page.trouble, []);
});

test('a model in 16 bits is made smaller inside the store, keeps its name, and draws as before', async () => {
  const wide = join(folder, 'wide.gguf');
  writeFileSync(wide, inHalves(readFileSync(fileOf(MODEL))));
  const page = await visitor(it);
  await ready(page);
  await page.getByLabel('New models are kept at').selectOption('f16');
  await page.setInputFiles('#add-model-file', wide);
  const model = card(page, 'wide');
  await model.getByText(/2\d MB on this device, at 16 bits/).waitFor({ timeout: PATIENCE });
  await model.getByText('in use').waitFor();
  assert.equal(await model.getByRole('button', { name: 'Make smaller' }).count(), 0, 'not while it is in use');
  await model.getByRole('button', { name: 'Rename wide' }).click();
  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    const { id, url, license } = (await og.models.list()).find((one) => one.id.startsWith('wide.gguf'));
    if (license) throw new Error('a file that states none has none');
    await og.models.import({ id, url, license: { name: 'Dog licence', revision: 'r1' } });
    og.dispose();
  });
  await page.getByRole('textbox', { name: 'New name for wide' }).fill('Wide one');
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Create', exact: true }).click();
  const before = await draw(page, 'a red apple on a light blue background', { Steps: 2, Seed: 5 });
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  await card(page, MODEL.name).getByRole('button', { name: `Use ${MODEL.name}` }).click();
  await page.waitForFunction((name) => document.querySelector('#chip-name').textContent === name, MODEL.name);
  await ready(page);
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  it.server.models = [];
  const named = card(page, 'Wide one');
  await named.getByRole('button', { name: 'Make smaller: Wide one' }).click();
  await named.getByText(/rounded inside this browser’s store; nothing is fetched/).waitFor();
  await named.getByRole('button', { name: /^At 8 bits, about 1\d MB: Wide one/ }).click();
  await named.getByText(/1\d MB on this device, at 8 bits/).waitFor({ timeout: PATIENCE });
  assert.deepEqual(it.server.models, []);
  const [, kept] = Object.entries(await licenses(page)).find(([id]) => id.startsWith('wide.gguf'));
  assert.deepEqual(kept, { name: 'Dog licence', url: null, revision: 'r1', accepted: null }, 'its licence stays');
  assert.equal(await named.getByRole('button', { name: 'Make smaller' }).count(), 0, 'once is enough');
  await named.getByRole('button', { name: 'Use Wide one', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('#chip-name').textContent === 'Wide one');
  await ready(page);
  const after = await draw(page, 'a red apple on a light blue background', { Steps: 2, Seed: 5 });
  assert.ok(psnr(before, after) > 35, `${psnr(before, after)} dB`);
  assert.deepEqual(page.trouble, []);
});

/** What a site lists beside the page: the page's own file under another name, with a licence that asks for something. */
const LITTLE = {
  id: 'little', name: 'Little', about: 'It draws little things.', url: 'models/mini/mini-q8_0.gguf', bytes: MODEL.bytes, sha256: MODEL.sha256,
  license: 'openrail-m', revision: 'abc123', width: 128, height: 128, working: MODEL.working,
  defaults: { steps: 3, guidance: 4 }, examples: [{ prompt: 'a little boat', seed: 9 }], general: false,
};
const lists = (...models) => it.server.overlay.set('/models.json', JSON.stringify({ models }));

test('a model of the site’s list: its licence first, then fetched, paused, gone on with after a reload, used with its settings', async () => {
  lists(LITTLE, { id: 'lost', name: 'Lost' }, { ...LITTLE, id: 'none', license: [] }, { ...LITTLE, id: 'odd', license: 'my own' });
  const page = await visitor(it);
  await ready(page);
  await page.getByText('models.json: entry 2 has no url. models.json: entry 3 has no license. models.json: entry 4 names a licence that is not known here, "my own"').waitFor();
  const little = card(page, 'Little');
  await little.getByText(/Fits this device: it keeps 15 MB; .* are free\./).waitFor();
  it.server.models = [];
  it.server.faults = { bytesPerSecond: 4_000_000 };
  await little.getByRole('button', { name: 'Fetch Little' }).click();
  const { allows, forbids, name, url } = LICENSES['openrail-m'];
  for (const words of [allows, forbids, /The file comes from 127\.0\.0\.1:\d+, which sees this device’s address/]) await little.getByText(words).waitFor();
  assert.equal(await little.getByRole('link', { name: `The full text: ${name}` }).getAttribute('href'), url);
  assert.equal(await page.evaluate(() => document.activeElement.className), 'card-lines', 'what is to be read has the focus');
  await little.getByRole('button', { name: 'Not now: Little' }).click();
  await little.getByRole('button', { name: 'Fetch Little' }).click();
  assert.deepEqual(it.server.models, [], 'nothing is fetched before it is accepted');
  await little.getByRole('button', { name: 'Accept and fetch Little' }).click();
  await little.getByText(/[2-9](\.\d)? MB of 15 MB · .*\/s · .* left/).waitFor({ timeout: PATIENCE });
  await little.getByRole('button', { name: 'Pause Little' }).click();
  await little.getByText('paused').waitFor();
  assert.match(await little.locator('.numbers').textContent(), /^\d+(\.\d)? MB of 15 MB$/);

  it.server.faults = {};
  await page.reload();
  await ready(page);
  await little.getByText('paused').waitFor();
  it.server.models = [];
  await little.getByRole('button', { name: 'Resume Little' }).click();
  await little.getByRole('button', { name: 'Use Little', exact: true }).waitFor({ timeout: PATIENCE });
  assert.ok(sent(it.server) < MODEL.bytes && it.server.models.every(({ range }) => range), 'it goes on where it stopped');
  assert.match(await little.innerText(), /It draws little things\.[^]*3 steps, guidance 4[^]*CreativeML Open RAIL-M, accepted on \d+ \w+ \d{4}, for revision abc123/);
  await little.getByRole('button', { name: 'Use Little', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('#chip-name').textContent === 'Little');
  await ready(page);
  assert.equal(await page.locator('#steps').inputValue(), '3');
  await page.getByRole('button', { name: 'a little boat', exact: true }).waitFor();
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  await little.getByRole('button', { name: 'Rename Little' }).click();
  await page.getByRole('textbox', { name: 'New name for Little' }).fill('Tiny');
  await page.keyboard.press('Enter');
  await card(page, 'Tiny').getByText(/accepted on/).waitFor();
  const { little: stored, [MODEL.id]: own } = await licenses(page);
  assert.ok(Math.abs(Date.parse(stored.accepted) - Date.now()) < 3_600_000, stored.accepted);
  assert.deepEqual({ ...stored, accepted: '' }, { name, url, revision: 'abc123', accepted: '' });
  assert.equal(own.name, MODEL.license);
  // What the store says counts, not what the page wrote beside it.
  await page.evaluate(() => localStorage.removeItem('opengen.models'));
  await page.reload();
  await ready(page);
  await card(page, 'little').getByText(/CreativeML Open RAIL-M, accepted on/).waitFor();
  assert.deepEqual(page.trouble, []);
});

test('a download that is cancelled leaves nothing; one that fails says why, and goes on', async () => {
  lists({ ...LITTLE, license: 'mit' });
  const page = await visitor(it);
  await ready(page);
  const little = card(page, 'Little');
  it.server.faults = { bytesPerSecond: 4_000_000 };
  await little.getByRole('button', { name: 'Fetch Little' }).click(); // MIT asks for nothing first
  await little.getByText(/[2-9](\.\d)? MB of 15 MB · \d+ of \d{3,} tensors · /).waitFor({ timeout: PATIENCE });
  await little.getByRole('button', { name: 'Cancel Little' }).click();
  await little.getByRole('button', { name: 'Fetch Little' }).waitFor();
  assert.equal(await page.evaluate(() => new Promise((done) => {
    indexedDB.open('opengen').onsuccess = ({ target: { result } }) => {
      result.transaction('models').objectStore('models').count('little').onsuccess = ({ target }) => (result.close(), done(target.result));
    };
  })), 0);
  let press = 'Fetch Little';
  for (const [status, words] of [[401, /does not allow it \(401\)/], [403, /does not allow it \(403\)/], [416, /status 416/], [429, /asked too often \(429\)/], [503, /has a problem \(503\)/]]) {
    it.server.faults = { status };
    await little.getByRole('button', { name: press }).click();
    await little.getByText(words).waitFor();
    press = 'Try again: Little';
  }
  it.server.faults = { status: 404 };
  await little.getByRole('button', { name: press }).click();
  await little.getByText(/404/).waitFor();
  assert.match(await little.innerText(), /404[^]*If 127\.0\.0\.1:\d+ lets no other site read the file[^]*choose the saved file here/);
  it.server.faults = {};
  await little.getByRole('button', { name: 'Try again: Little' }).click();
  await little.getByRole('button', { name: 'Use Little', exact: true }).waitFor({ timeout: PATIENCE });
  assert.deepEqual(page.trouble, []);
});

test('a model that did not arrive is saved by hand: the file that is chosen goes on as that entry', async () => {
  const size = readFileSync(MINE).length;
  lists({ ...LITTLE, name: 'Rex', id: 'rex', license: ['mit', 'apache'], url: 'gone/my-dog.gguf', bytes: size, sha256: createHash('sha256').update(readFileSync(MINE)).digest('hex') });
  const page = await visitor(it);
  await ready(page);
  const rex = card(page, 'Rex');
  await rex.getByRole('button', { name: 'Fetch Rex' }).click();
  const other = readFileSync(MINE);
  other[other.length - 9] ^= 1;
  await rex.getByRole('button', { name: 'Choose the saved file of Rex' }).waitFor();
  await page.setInputFiles('#add-model-file', { name: 'my-dog.gguf', mimeType: 'application/octet-stream', buffer: other });
  await page.locator('#report').getByText(/Its SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}; nothing of it was kept/i).waitFor();
  assert.equal(await card(page, 'my-dog').count(), 0, 'another file is not taken for it');
  await rex.getByRole('button', { name: 'Choose the saved file of Rex' }).waitFor();
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), rex.getByRole('button', { name: 'Choose the saved file of Rex' }).click()]);
  await chooser.setFiles(MINE);
  await rex.getByText('in use').waitFor();
  assert.match(await rex.innerText(), /It draws little things\.[^]*3 steps, guidance 4[^]*Licence\s+MIT and Apache-2\.0, for revision abc123\s[^]*a file of yours/);
  const [file] = Object.entries(await licenses(page)).filter(([id]) => id.startsWith('my-dog.gguf'));
  assert.equal(file[1].name, 'MIT and Apache-2.0');
  assert.equal(await page.locator('.card').filter({ hasText: 'Rex' }).count(), 1);
});

test('a model by its address: pages of the hub are understood, its licence is for the visitor to check', async () => {
  it.server.overlay.set('/models.json', JSON.stringify({ hub: it.server.url, models: [] }));
  const page = await visitor(it);
  await ready(page);
  const address = page.getByRole('textbox', { name: 'Or the address of a file' });
  await address.fill(`${it.server.url}someone/dogs/discussions/3`);
  await page.getByRole('button', { name: 'Look' }).click();
  await page.getByRole('alert').getByText(/a page of someone\/dogs, but not a file: open Files and versions there/).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Open that page' }).getAttribute('href'), `${it.server.url}someone/dogs/tree/main`);
  await address.fill(`${it.server.url}someone/dogs`);
  await address.press('Enter');
  const front = card(page, 'someone/dogs');
  await front.getByRole('button', { name: 'Accept and fetch someone/dogs' }).click();
  await front.getByText(/missing; a diffusers folder has/).waitFor();
  await front.getByText('Where it lies there as one file: open its page, press that file, and paste its address.').waitFor();
  assert.equal(await front.getByRole('link', { name: /^Where it lies/ }).getAttribute('href'), `${it.server.url}someone/dogs`);
  await front.getByRole('button', { name: 'Remove someone/dogs' }).click();
  await address.fill(`${it.server.url}someone/dogs/blob/main/dog.gguf`);
  await address.press('Enter');
  const dog = card(page, 'dog');
  await dog.getByText('This page does not know the licence of this file.').waitFor();
  it.server.models = [];
  it.server.log = [];
  await dog.getByRole('button', { name: 'Accept and fetch dog' }).click();
  await dog.getByText('did not arrive').waitFor();
  assert.ok(it.server.log.some((line) => line.startsWith('GET /someone/dogs/resolve/main/dog.gguf ')), 'the file is asked for, not its page');
  await dog.getByRole('button', { name: 'Remove dog' }).click();
  await dog.waitFor({ state: 'detached' });

  await address.fill(`${it.server.url}models/mini/mini-q8_0.gguf`); // it could be any other's
  await address.press('Enter');
  assert.equal(await card(page, 'mini-q8_0').count(), 0, 'this one is here already');
});

test('what a general model may draw is said once, and pictures can be blurred until they are pressed', async () => {
  lists({ ...LITTLE, license: 'mit', general: true }, { ...LITTLE, id: 'second', name: 'Second', license: 'mit', general: true });
  const page = await visitor(it, MOTION); // with less of it, each change of a style takes a moment
  await ready(page);
  for (const name of ['Little', 'Second']) {
    await card(page, name).getByRole('button', { name: `Fetch ${name}` }).click();
    await card(page, name).getByRole('button', { name: `Use ${name}`, exact: true }).waitFor({ timeout: PATIENCE });
  }
  await card(page, 'Little').getByRole('button', { name: 'Use Little', exact: true }).click();
  const once = page.getByRole('dialog', { name: 'Little draws whatever it is asked for' });
  await once.getByText(/adult, violent or false pictures.*No filter looks at them/).waitFor();
  await once.getByText(/yours to answer for/).waitFor();
  const veil = once.getByRole('checkbox', { name: 'Blur pictures until they are pressed' });
  assert.equal(await veil.isChecked(), false, 'off unless one wants it');
  await veil.check();
  await once.getByRole('button', { name: 'Understood' }).click();
  await ready(page);

  const blurred = (selector) => page.locator(selector).first().evaluate((element) => getComputedStyle(element).filter.includes('blur'));
  await draw(page, 'a cat', { Steps: 1 });
  assert.deepEqual([await blurred('#screen'), await blurred('#earlier img')], [true, true]);
  await page.locator('#enlarge').click();
  assert.deepEqual([await blurred('#screen'), await page.locator('#large').isVisible()], [false, false], 'the first press shows it');
  await page.locator('#enlarge').click();
  await page.locator('#large').waitFor();
  assert.equal(await blurred('#large-picture'), false);
  await page.keyboard.press('Escape');
  await draw(page, 'a dog', { Steps: 1 });
  assert.equal(await blurred('#screen'), true, 'every picture anew');
  await page.locator('#earlier button').nth(1).click();
  assert.deepEqual([await blurred('#screen'), await blurred('#earlier li:nth-child(2) img'), await blurred('#earlier li:nth-child(1) img')], [false, false, true]);
  await page.reload();
  await ready(page);
  await page.locator('#frame[data-state="done"]').waitFor();
  assert.equal(await blurred('#screen'), true, 'at the next visit too');

  await page.getByRole('link', { name: 'Models', exact: true }).click();
  await card(page, 'Second').getByRole('button', { name: 'Use Second', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('#chip-name').textContent === 'Second');
  assert.equal(await page.locator('#once').count(), 0, 'said once');
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  await page.getByRole('checkbox', { name: 'Blur pictures until they are pressed' }).uncheck();
  await page.getByRole('link', { name: 'Create', exact: true }).click();
  assert.equal(await blurred('#screen'), false);
});

test('what the engine cannot do yet is said, and not offered', async () => {
  const page = await visitor(it);
  await ready(page);
  for (const { name, missing } of ENTRIES) {
    const one = card(page, name);
    await one.waitFor();
    const shelf = await one.evaluate((element) => element.closest('.shelf').querySelector('h2').textContent);
    assert.equal(shelf, missing ? 'Not yet' : 'To be had', name);
    assert.equal(await one.getByText('Lacks', { exact: true }).count(), missing ? 1 : 0, name);
    assert.equal(await one.getByRole('button').count(), missing ? 0 : 1, name);
  }
  const header = JSON.stringify({ 'cond_stage_model.transformer.text_model.final_layer_norm.bias': { dtype: 'F16', shape: [4], data_offsets: [0, 8] } });
  const length = Buffer.alloc(8);
  length.writeUInt32LE(header.length);
  it.server.overlay.set('/single.json', Buffer.concat([length, Buffer.from(header), Buffer.alloc(8)]));
  const code = await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    const code = await og.models.import(new URL('single.json', location.href)).then(() => 'imported', (error) => `${error.code}: ${error.message}`);
    og.dispose();
    return code;
  });
  assert.match(code, /^BAD_MODEL: .*a whole model is needed/, 'a checkpoint in one file is read, when it is whole');
});

test('what comes in 16 bits is kept at 8, or as one chooses, and draws alike', async () => {
  const files = ['eight', 'five'].map((name) => join(folder, `${name}.gguf`));
  for (const file of files) writeFileSync(file, inHalves(readFileSync(fileOf(MODEL))));
  const page = await visitor(it);
  await ready(page);
  const kept = page.getByLabel('New models are kept at');
  assert.equal(await kept.inputValue(), 'q8_0');
  const drawn = async (file, name, words) => {
    await page.setInputFiles('#add-model-file', file);
    const model = card(page, name);
    await model.getByText(words).waitFor({ timeout: PATIENCE });
    await model.getByText('in use').waitFor();
    const once = page.getByRole('button', { name: 'Understood' });
    if (await once.isVisible()) await once.click();
    await page.getByRole('link', { name: 'Create', exact: true }).click();
    const picture = await draw(page, 'a red apple on a light blue background', { Steps: 4, Seed: 5 });
    await page.getByRole('link', { name: 'Models', exact: true }).click();
    return picture;
  };
  const eight = await drawn(files[0], 'eight', /1\d MB on this device, at 8 bits/);
  assert.equal(await card(page, 'eight').getByRole('button', { name: 'Make smaller' }).count(), 0);
  await kept.selectOption('q5_0');
  await page.reload();
  await ready(page);
  assert.equal(await kept.inputValue(), 'q5_0', 'the choice stays');
  const five = await drawn(files[1], 'five', /\d MB on this device, at 5 bits/);
  assert.ok(psnr(eight, five) > 20, `${psnr(eight, five)} dB`);
  assert.deepEqual(page.trouble, []);
});

test('a model that was deleted elsewhere is fetched again at its use, in the type that it was kept in', async () => {
  const wide = inHalves(readFileSync(fileOf(MODEL)));
  it.server.overlay.set('/wide.model', wide);
  lists({ ...LITTLE, license: 'mit', url: 'wide.model', bytes: wide.length, sha256: undefined });
  const page = await visitor(it);
  await ready(page);
  const kept = page.getByLabel('New models are kept at');
  await kept.selectOption('q5_0');
  const little = card(page, 'Little');
  await little.getByRole('button', { name: 'Fetch Little' }).click();
  await little.getByText(/MB on this device, at 5 bits/).waitFor({ timeout: PATIENCE });
  await kept.selectOption('q8_0');
  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    await og.models.remove('little');
    og.dispose();
  });
  await little.getByRole('button', { name: 'Use Little', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('#chip-name').textContent === 'Little');
  await ready(page);
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  await little.getByText(/MB on this device, at 5 bits/).waitFor({ timeout: PATIENCE });
  assert.deepEqual(page.trouble, []);
});

test('the catalogue is whole: licences are known, sizes in order, and what is fetched is pinned', () => {
  const ids = new Set([MODEL.id]);
  for (const entry of ENTRIES) {
    const { id, license, missing, sources, stored, download, about, examples } = entry;
    assert.ok(!ids.has(id) && ids.add(id), id);
    assert.ok(!licensesOf(license).includes(LICENSES.unknown), id);
    assert.ok(stored.q4_0 < stored.q5_0 && stored.q5_0 < stored.q8_0 && stored.q8_0 < stored.f16 && download > stored.q8_0, id);
    assert.ok(about.endsWith('.') && examples.length >= 4, id);
    for (const { revision, seen } of sources) {
      assert.ok(revision === null || /^[0-9a-f]{40}$/.test(revision), `${id}: a commit, or none is pinned`);
      assert.equal(typeof seen, 'boolean', id);
    }
    if (!missing) {
      assert.match(addressOf(entry, HUB, HUB) ?? '', isFolder(entry) ? /^https:\/\/[^/]+\/[\w-]+\/[\w.-]+(\/tree\/[0-9a-f]{40})?$/ : /^https:.*\/resolve\/\w+\/.*\.(gguf|safetensors)$/, id);
    }
  }
  const { name, url, free } = licenseOf(['apache', 'openrail++-m']);
  assert.deepEqual([name, url, free], ['Apache-2.0 and CreativeML Open RAIL++-M', LICENSES['openrail++-m'].url, false], 'all of several hold');
  assert.equal(licenseOf(['mit', 'apache']).free, true);
  const told = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');
  const row = (start) => told.split('\n').find((line) => line.startsWith(`| ${start} |`)) ?? '';
  for (const { name, url, allows, forbids } of Object.values(LICENSES)) {
    assert.ok(allows.endsWith('.') && forbids.endsWith('.'), name);
    assert.ok(row(name).includes(url ? `<${url}>` : '| | |'), `docs/models.md has ${name} with its text`);
  }
  for (const { name, sources, license } of ENTRIES) {
    assert.ok(licensesOf(license).every((one) => row(name).includes(one.name)) && sources.every(({ repo }) => row(name).includes(`\`${repo}\``)), `docs/models.md has ${name}`);
  }
});

test('whether a model fits is told from the device', () => {
  const entry = ENTRIES.find(({ id }) => id === 'sd-1.5');
  const device = { phone: false, memory: null, most: false, buffer: null, free: 50e9 };
  const told = (change, type = 'any') => fitOf(entry, { ...device, ...change }, type);
  assert.deepEqual(told({}), { fits: true, mood: 'good', text: 'Fits this device: it keeps 1.2 GB at 8 bits or 816 MB at 5 bits or 749 MB at 4 bits; 50.0 GB are free.' });
  assert.match(told({ free: 0.9e9 }).text, /it keeps 816 MB at 5 bits or 749 MB at 4 bits; 900 MB are free/);
  assert.match(told({ free: 0.4e9 }).text, /^No room: it keeps 749 MB at the least, and 400 MB are free/);
  assert.match(told({ free: null }).text, /does not say how much room/);
  assert.match(told({ phone: true }).text, /it keeps 816 MB at 5 bits or 749 MB at 4 bits/, '1.2 GB and what a picture takes is too much for a phone');
  assert.equal(told({ memory: 1e9 }).fits, false);
  assert.match(told({ memory: 1e9 }).text, /^Too large for this device: it needs 1\.1 GB at the least while it draws, and the machine has about 1\.0 GB/);
  assert.match(told({ buffer: 120e6 }).text, /a picture takes 135 MB at once, more than this graphics adapter allows \(120 MB\): draw smaller ones/);
  assert.equal(told({ buffer: 268e6 }).mood, 'good');
  assert.match(told({}, 'f16').text, /it keeps 2\.1 GB at 16 bits; 50\.0 GB are free\.$/, 'as is chosen for new models');
  assert.match(told({}, 'q8_0').text, /it keeps 1\.2 GB at 8 bits;/);
  assert.match(told({ free: 0.9e9 }, 'q8_0').text, /^No room: it keeps 1\.2 GB at the least.*At fewer bits it would fit: that is chosen above\.$/);
  assert.doesNotMatch(told({ memory: 1e9 }, 'q8_0').text, /fewer bits/, 'nor would it at fewer');
  assert.equal(fitOf({ stored: { as: 2e9 } }, { ...device, phone: true }, 'q8_0').fits, false);
});

test('addresses of pages are understood, or it is said what to press', () => {
  const url = (text) => understand(text, HUB).url ?? understand(text, HUB).problem;
  for (const [given, expected] of [
    [`${HUB}/a/b/blob/main/m.gguf`, `${HUB}/a/b/resolve/main/m.gguf`],
    [' huggingface.co/a/b/blob/0123/x/m.safetensors?download=true ', `${HUB}/a/b/resolve/0123/x/m.safetensors`],
    [`${HUB}/a/b/resolve/main/m.gguf`, `${HUB}/a/b/resolve/main/m.gguf`],
    [`${HUB}/a/b`, `${HUB}/a/b`],
    [`${HUB}/a/b/tree/main`, `${HUB}/a/b/tree/main`],
    [`${HUB}/a/b/`, `${HUB}/a/b`],
    [`${HUB}/a/b/discussions/3`, /a page of a\/b, but not a file: open Files and versions/],
    ['https://example.org/models/dog/', 'https://example.org/models/dog/'],
    [`${HUB}/a/b/blob/main/README.md`, /README\.md is no model’s file/],
    [HUB, /hub’s own page/],
    ['https://civitai.com/models/12/x?modelVersionId=34', 'https://civitai.com/api/download/models/34'],
    ['https://civitai.com/models/12/x', /press Download there/],
    ['https://civitai.com/api/download/models/34?type=Model', 'https://civitai.com/api/download/models/34?type=Model'],
    ['https://github.com/a/b/blob/main/m.gguf', 'https://github.com/a/b/raw/main/m.gguf'],
    ['https://example.org/m.gguf', 'https://example.org/m.gguf'],
    ['http://example.org/m.gguf', /Only https addresses/],
    ['file:///home/me/m.gguf', /Only https|no address/],
    ['my dog', /This is no address/],
    ['', /This is no address/],
  ]) {
    if (expected instanceof RegExp) assert.match(url(given), expected);
    else assert.equal(url(given), expected);
  }
  const folder = (text) => filesOf({ sources: [understand(text, HUB).source] }, HUB).map(({ url: file }) => file);
  assert.ok(folder(`${HUB}/a/b/tree/0123`).includes(`${HUB}/a/b/resolve/0123/unet/diffusion_pytorch_model.safetensors.index.json`));
  assert.ok(folder('https://example.org/models/dog/').includes('https://example.org/models/dog/model_index.json'));
  assert.equal(understand('https://example.org/m.gguf', HUB).source, undefined);
  const [turbo] = ENTRIES.filter(({ id }) => id === 'sd-1.5');
  const pinned = { ...turbo, sources: [{ ...turbo.sources[0], revision: 'a'.repeat(40) }] };
  assert.equal(addressOf(pinned, 'http://127.0.0.1:9', HUB), `http://127.0.0.1:9/Comfy-Org/stable-diffusion-v1-5-archive/resolve/${'a'.repeat(40)}/v1-5-pruned-emaonly-fp16.safetensors`);
});

test('a model that is dropped here is added here', async () => {
  const page = await visitor(it);
  await ready(page);
  await card(page, MODEL.name).waitFor();
  await page.evaluate(async (address) => {
    const data = new DataTransfer();
    data.items.add(new File([await (await fetch(address)).arrayBuffer()], 'dropped.gguf', { lastModified: 7 }));
    const event = (type) => new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector('.card').dispatchEvent(event('dragover'));
    document.querySelector('.card').dispatchEvent(event('drop'));
  }, MODEL.url.replace(/^.*\/models\//, `${it.server.url}models/`));
  await card(page, 'dropped').getByText('in use').waitFor({ timeout: PATIENCE });
  assert.equal(await page.locator('#models').isVisible(), true, 'and the view stays');
  assert.equal(await page.locator('#report').getByText('dropped was added and is in use now.').isVisible(), true);
  assert.deepEqual(page.trouble, []);
});

test('nothing sticks out at any width between a phone and a desk', async () => {
  const page = await visitor(it);
  await ready(page);
  await card(page, MODEL.name).waitFor();
  for (const width of [320, 390, 600, 768, 899, 1100]) {
    await resize(page, { width, height: 800 });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `at ${width} px`);
  }
});
