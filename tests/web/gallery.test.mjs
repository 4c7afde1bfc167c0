/** Nothing made is lost: the pictures that are kept, looked at again, searched, deleted and taken along. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { promisify } from 'node:util';
import ExifReader from 'exifreader';
import { PNG } from 'pngjs';
import yauzl from 'yauzl';
import { crc32, zip } from '../../www/js/zip.js';
import {
  assertPicture, begins, draw, finished, generateButton, picture, pixels, promptOf, psnr, ready, saveExact, says, set, stand,
  tab, useSettings, visitor,
} from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const strip = (page) => page.getByRole('region', { name: /^Your pictures/ });
const thumbnails = (page) => page.locator('#earlier button');
const names = (page) => thumbnails(page).evaluateAll((all) => all.map((button) => button.getAttribute('aria-label')));
const report = (page) => page.locator('#report');
const FAST = { Steps: 1 };

/** Resolves when the strip shows `count` thumbnails. */
const shows = (page, count) => page.waitForFunction((n) => document.querySelectorAll('#earlier button').length === n, count);

/** Downloads what a click starts. @returns {Promise<{name: string, bytes: Buffer}>} */
async function downloaded(page, click) {
  const [download] = await Promise.all([page.waitForEvent('download'), click()]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

test('pictures outlive a reload, with every setting, pixel for pixel', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Schedule: 'karras', Noise: 'philox', Sampler: 'euler', 'Negative prompt': 'green', Guidance: 2.5 });
  const first = await draw(page, 'a ghost on orange', { Steps: 2, Seed: '18446744073709551615' });
  await page.getByRole('button', { name: 'Reset' }).click();
  await draw(page, 'a panda on yellow', { Steps: 1, Seed: 6 });
  assert.deepEqual(await names(page), ['a panda on yellow, seed 6', 'a ghost on orange, seed 18446744073709551615']);

  await page.reload();
  await ready(page);
  await shows(page, 2);
  await thumbnails(page).nth(1).click();
  await says(page, 'An earlier picture');
  assert.equal(psnr(await pixels(page), first), Infinity);
  assert.equal(await page.locator('canvas[role="img"]').getAttribute('aria-label'), 'a ghost on orange');
  assert.equal(await page.getByLabel('Prompt', { exact: true }).inputValue(), 'a panda on yellow', 'looking changes nothing');
  await useSettings(page);
  for (const [label, value] of Object.entries({
    Prompt: 'a ghost on orange', 'Negative prompt': 'green', Steps: '2', Guidance: '2.5', Seed: '18446744073709551615',
    Sampler: 'euler', Schedule: 'karras', Noise: 'philox', Width: String(first.width), Height: String(first.height),
  })) assert.equal(await page.getByLabel(label, { exact: true }).inputValue(), value, label);
  assert.equal(await thumbnails(page).nth(1).getAttribute('aria-current'), 'true');

  // What is restored is what makes the picture.
  await begins(page, () => generateButton(page).click());
  await finished(page);
  assert.equal(psnr(await pixels(page), first), Infinity);
  await page.getByText('not kept twice').waitFor();
  await shows(page, 2);
  assert.deepEqual(page.trouble, []);
});

test('a crash keeps the pictures and what was being typed', async () => {
  const page = await visitor(it);
  await ready(page);
  await draw(page, 'a star on blue', FAST);
  await promptOf(page).fill('a half-typed prom');
  await set(page, { Guidance: 4.5 });
  await page.waitForFunction(() => localStorage.getItem('opengen.form').includes('half-typed') && localStorage.getItem('opengen.form').includes('4.5'));
  const devtools = await page.context().newCDPSession(page);
  const crashed = page.waitForEvent('crash');
  devtools.send('Page.crash').catch(() => {}); // the answer dies with the page
  await crashed;
  const again = await tab(page.context(), it);
  await ready(again);
  assert.equal(await promptOf(again).inputValue(), 'a half-typed prom');
  assert.equal(await again.getByLabel('Guidance', { exact: true }).inputValue(), '4.5');
  await shows(again, 1);
});

test('the strip is searched by the words of the prompt', async () => {
  const page = await visitor(it);
  await ready(page);
  for (const prompt of ['a red apple on blue', 'a red heart on pink', 'eine Ähre auf Blau']) await draw(page, prompt, FAST);
  const search = page.getByRole('searchbox', { name: 'Search your pictures' });
  for (const [words, count] of [['red', 2], ['RED apple', 1], ['apple heart', 0], ['ähre', 1], ['  ', 3]]) {
    await search.fill(words);
    await shows(page, count);
    assert.equal(await page.getByText('None of your pictures has these words.').isVisible(), count === 0);
  }
});

test('one is deleted, and comes back when that was a mistake', async () => {
  const page = await visitor(it);
  await ready(page);
  const kept = await draw(page, 'a cat on red', { Steps: 1, Seed: 1 });
  const second = await draw(page, 'a dog on red', { Steps: 1, Seed: 2 });
  await page.getByText('More', { exact: true }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await shows(page, 1);
  assert.deepEqual(await names(page), ['a cat on red, seed 1']);
  await picture(page).and(page.getByRole('img', { name: 'No picture yet' })).waitFor(); // it leaves the stage
  assert.equal(await page.getByRole('button', { name: 'Save', exact: true }).isVisible(), false);
  await report(page).getByRole('button', { name: 'Undo' }).click();
  await shows(page, 2);
  assert.equal(psnr(await pixels(page), second), Infinity);
  assert.equal((await names(page))[0], 'a dog on red, seed 2');

  // By keyboard: the focus goes on to the next one.
  await thumbnails(page).first().focus();
  await page.keyboard.press('Delete');
  await shows(page, 1);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'a cat on red, seed 1');
  await page.reload();
  await ready(page);
  await shows(page, 1);
  await thumbnails(page).first().click();
  await says(page, 'An earlier picture');
  assert.equal(psnr(await pixels(page), kept), Infinity);
});

test('all are deleted only after a yes', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Pictures: 2 });
  await draw(page, 'a cat on red', FAST);
  const ask = page.getByRole('dialog', { name: 'Delete all 2 pictures?' });
  await page.getByRole('button', { name: 'Delete all' }).click();
  await ask.getByRole('button', { name: 'Keep them' }).click();
  await page.getByRole('button', { name: 'Delete all' }).click();
  await page.keyboard.press('Escape');
  assert.equal(await thumbnails(page).count(), 2);
  await page.getByRole('button', { name: 'Delete all' }).click();
  await ask.getByRole('button', { name: 'Delete all' }).click();
  await shows(page, 0);
  assert.equal(await strip(page).isVisible(), false);
  await page.reload();
  await ready(page);
  assert.equal(await thumbnails(page).count(), 0);
});

test('the ZIP file holds every picture, readable by others', async () => {
  const page = await visitor(it);
  await ready(page);
  await draw(page, 'a cat on red', { Steps: 1, Seed: 1 });
  await draw(page, 'a cat on red', { Steps: 2, Seed: 1 }); // the same name, another picture
  const last = await draw(page, 'кошка / ../x', { Steps: 1, Seed: 3 });
  const { name, bytes } = await downloaded(page, () => page.getByRole('button', { name: 'Export as ZIP' }).click());
  assert.match(name, /^opengen-\d{4}-\d\d-\d\d\.zip$/);
  const files = await unzip(bytes);
  assert.deepEqual(files.map(({ name: file }) => file), ['1-a-cat-on-red-1.png', '2-a-cat-on-red-1.png', '3-кошка-x-3.png']);
  assert.notDeepEqual(files[0].data, files[1].data, 'two pictures');
  assert.equal(psnr(PNG.sync.read(files[2].data), last), Infinity);
  assert.match((await ExifReader.load(files[2].data)).parameters.value, /^кошка \/ \.\.\/x\nSteps: 1, /);
  assert.ok(Math.abs(files[2].time - Date.now()) < 3_600_000, `made at ${files[2].time}`);

  await page.getByRole('searchbox').fill('cat');
  const some = await downloaded(page, () => page.getByRole('button', { name: 'Export 2 as ZIP' }).click());
  assert.equal((await unzip(some.bytes)).length, 2);
});

/** The files of an archive as yauzl reads them: it holds directory, headers and lengths against each other. */
async function unzip(bytes) {
  const archive = await promisify(yauzl.fromBuffer)(bytes, { lazyEntries: true, validateEntrySizes: true, strictFileNames: true });
  const files = [];
  archive.readEntry();
  for await (const entry of entriesOf(archive)) {
    const stream = await promisify(archive.openReadStream.bind(archive))(entry);
    const parts = [];
    for await (const part of stream) parts.push(part);
    const data = Buffer.concat(parts);
    assert.equal(entry.crc32, crc32(data));
    files.push({ name: entry.fileName, data, time: entry.getLastModDate().getTime() });
    archive.readEntry();
  }
  return files;
}

async function* entriesOf(archive) {
  const waiting = [];
  let wake = () => {};
  archive.on('entry', (entry) => { waiting.push(entry); wake(); });
  archive.on('end', () => { waiting.push(null); wake(); });
  for (;;) {
    while (!waiting.length) await new Promise((resolve) => { wake = resolve; });
    const entry = waiting.shift();
    if (entry === null) return;
    yield entry;
  }
}

test('archives: checksums as published, none at all, and too many', async () => {
  assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
  const empty = await zip((async function* none() {})());
  assert.deepEqual(await unzip(Buffer.from(await empty.arrayBuffer())), []);
  const file = new Blob([]);
  const many = async function* many() {
    for (let i = 0; i < 65_535; i++) yield { name: `${i}.png`, time: 0, file };
  };
  await assert.rejects(zip(many()), /at most 65,534/);
});

test('the settings inside a saved picture are read by others', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { 'Negative prompt': 'blurry, green' });
  await draw(page, 'яблоко, (red:1.2)', { Steps: 2, Guidance: 3, Seed: 9, Sampler: 'dpm++-2m', Schedule: 'karras' });
  const { bytes } = await downloaded(page, () => saveExact(page));
  const { value } = (await ExifReader.load(bytes)).parameters;
  assert.equal(value, 'яблоко, (red:1.2)\nNegative prompt: blurry, green\n'
    + 'Steps: 2, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 3, Seed: 9, Size: 128x128, Model: mini, RNG: CPU');
});

test('every file says that a model made it, also where prompt and settings are left out of it and of its name', async () => {
  const page = await visitor(it);
  await ready(page);
  await draw(page, 'a secret cat', { Steps: 1, Seed: 9 });
  const save = () => page.getByRole('button', { name: 'Save', exact: true }).click();
  const zipped = () => page.getByRole('button', { name: 'Export as ZIP' }).click();
  const told = async (act) => {
    const { name, bytes } = await downloaded(page, act);
    const files = name.endsWith('.zip') ? await unzip(bytes) : [{ name, data: bytes }];
    return Promise.all(files.map(async ({ name: file, data }) => {
      const { parameters, DigitalSourceType } = await ExifReader.load(data);
      assert.equal(DigitalSourceType?.value, 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia', file);
      return [file, parameters?.value.split('\n')[0] ?? null, data.includes('secret')];
    }));
  };
  for (const act of [() => saveExact(page), save]) assert.deepEqual(await told(act), [['a-secret-cat-9.png', 'a secret cat', true]]);
  await page.locator('#picture-menu').evaluate((menu) => { menu.open = true; });
  await page.getByRole('checkbox', { name: 'Leave prompt and settings out of files' }).check();
  await page.reload();
  await ready(page);
  await page.locator('#frame[data-state="done"]').waitFor();
  for (const act of [() => saveExact(page), save]) assert.deepEqual(await told(act), [['picture.png', null, false]]);
  assert.deepEqual(await told(zipped), [['1-picture.png', null, false]]);
  assert.equal(await page.locator('#bare').isChecked(), true);
});

test('exiftool reads the settings inside a saved picture', async (t) => {
  if (spawnSync('exiftool', ['-ver']).error) return t.skip('exiftool is not here');
  const page = await visitor(it);
  await ready(page);
  await set(page, { 'Negative prompt': 'blurry, green' });
  await draw(page, 'яблоко, (red:1.2)', { Steps: 2, Guidance: 3, Seed: 9 });
  const { bytes } = await downloaded(page, () => saveExact(page));
  const { stdout, stderr } = spawnSync('exiftool', ['-j', '-validate', '-warning', '-error', '-Parameters', '-ImageSize', '-'], { input: bytes });
  const [told] = JSON.parse(stdout.toString() || '[{}]');
  assert.equal(told.Parameters, 'яблоко, (red:1.2)\nNegative prompt: blurry, green\n'
    + 'Steps: 2, Sampler: DDIM, CFG scale: 3, Seed: 9, Size: 128x128, Model: mini, RNG: CPU', stderr.toString());
  assert.deepEqual([told.ImageSize, told.Validate, told.Error], ['128x128', 'OK', undefined]);
  return undefined;
});

test('a picture made in one tab shows up in the other', async () => {
  const one = await visitor(it);
  await ready(one);
  const two = await tab(one.context(), it);
  await ready(two);
  await draw(one, 'a fox on green', { Steps: 1, Seed: 4 });
  await two.bringToFront();
  await shows(two, 1);
  await thumbnails(two).first().click();
  await says(two, 'An earlier picture');
  assert.equal(psnr(await pixels(two), await pixels(one)), Infinity);
  await draw(two, 'a bee on green', { Steps: 1, Seed: 5 });
  await shows(one, 2);
  await two.getByRole('button', { name: 'Delete all' }).click();
  await two.getByRole('dialog').getByRole('button', { name: 'Delete all' }).click();
  await shows(one, 0);
  assertPicture(await pixels(one)); // what is looked at stays
});

test('a browser that keeps nothing: says so, and the picture can still be saved', async () => {
  const page = await visitor(it, {
    open: false, init: () => {
      IDBFactory.prototype.open = () => { throw new DOMException('denied', 'SecurityError'); };
    },
  });
  await page.goto(it.server.url + it.path);
  await ready(page);
  const shown = await draw(page, 'a fox on green', { Steps: 1, Seed: 4 });
  await report(page).getByText('This browser does not keep pictures here.').waitFor();
  assert.deepEqual(await names(page), ['a fox on green, seed 4, not kept']);
  const { bytes } = await downloaded(page, () => saveExact(page));
  assert.equal(psnr(PNG.sync.read(bytes), shown), Infinity);

  await report(page).getByRole('button', { name: 'Close' }).click();
  await draw(page, 'a bee on green', FAST);
  assert.equal(await report(page).isVisible(), false, 'said once');
  await thumbnails(page).nth(1).click();
  await says(page, 'An earlier picture');
  assert.equal(psnr(await pixels(page), shown), Infinity);
  const all = await downloaded(page, () => page.getByRole('button', { name: 'Export as ZIP' }).click());
  assert.equal((await unzip(all.bytes)).length, 2);
  assert.deepEqual(page.trouble, []);
});

test('a disk that has become full: says so, what was kept stays, and the new one can be saved', async () => {
  // As a browser does it: the transaction is aborted while it is written out, with this error. (The quota that the
  // developer tools can set binds the models' large chunks, but not a few kilobytes.)
  const page = await visitor(it, {
    init: () => {
      const { put } = IDBObjectStore.prototype;
      IDBObjectStore.prototype.put = function fill(...values) {
        const request = put.apply(this, values);
        if (window.diskFull && this.name === 'files') {
          Object.defineProperty(this.transaction, 'error', { value: new DOMException('disk full', 'QuotaExceededError') });
          this.transaction.abort();
        }
        return request;
      };
    },
  });
  await ready(page);
  await draw(page, 'a cat on red', { Steps: 1, Seed: 1 });
  await page.evaluate(() => { window.diskFull = true; });
  const shown = await draw(page, 'a dog on red', { Steps: 1, Seed: 2 });
  await report(page).getByText('There is no room to keep this picture.').waitFor();
  assert.deepEqual(await names(page), ['a dog on red, seed 2, not kept', 'a cat on red, seed 1']);
  const { bytes } = await downloaded(page, () => saveExact(page));
  assert.equal(psnr(PNG.sync.read(bytes), shown), Infinity);
  await report(page).getByRole('button', { name: 'Show storage' }).click();
  await page.getByRole('dialog', { name: 'Kept on this device' }).waitFor();
  await page.keyboard.press('Escape');

  await page.evaluate(() => { window.diskFull = false; });
  await draw(page, 'a bee on red', { Steps: 1, Seed: 3 });
  assert.equal((await names(page))[0], 'a bee on red, seed 3');
  await page.reload();
  await ready(page);
  await shows(page, 2);
  assert.deepEqual(await names(page), ['a bee on red, seed 3', 'a cat on red, seed 1'], 'nothing half-kept');
});

test('a picture is copied; what a browser cannot do is not offered', async () => {
  const page = await visitor(it, { permissions: ['clipboard-read', 'clipboard-write'] });
  await ready(page);
  const shown = await draw(page, 'a cat on red', FAST);
  await page.getByText('More', { exact: true }).click();
  assert.equal(await page.getByRole('button', { name: 'Share…' }).isVisible(), await page.evaluate(() => 'canShare' in navigator));
  await page.getByRole('button', { name: 'Copy picture' }).click();
  await says(page, 'Picture copied');
  const copied = await page.evaluate(async () => {
    const [item] = await navigator.clipboard.read();
    return btoa(String.fromCharCode(...new Uint8Array(await (await item.getType('image/png')).arrayBuffer())));
  });
  assert.equal(psnr(PNG.sync.read(Buffer.from(copied, 'base64')), shown), Infinity);

  const bare = await visitor(it, { init: () => { delete globalThis.ClipboardItem; } });
  await ready(bare);
  await draw(bare, 'a cat on red', FAST);
  await bare.getByText('More', { exact: true }).click();
  assert.equal(await bare.getByRole('button', { name: 'Copy picture' }).isVisible(), false);
});

test('the share sheet gets the picture; closing it is no error, a refusal is', async () => {
  const page = await visitor(it, {
    init: () => {
      window.shared = [];
      navigator.canShare = ({ files }) => files.length === 1;
      navigator.share = async ({ files }) => {
        window.shared.push(`${files[0].name} ${files[0].type} ${files[0].size > 100}`);
        if (window.refuse) throw new DOMException('no target', window.refuse);
      };
    },
  });
  await ready(page);
  await draw(page, 'a cat on red', { Steps: 1, Seed: 8 });
  const share = async () => {
    await page.getByText('More', { exact: true }).click();
    await page.getByRole('button', { name: 'Share…' }).click();
  };
  await share();
  assert.deepEqual(await page.evaluate(() => window.shared), ['a-cat-on-red-8.png image/png true']);
  await page.evaluate(() => { window.refuse = 'AbortError'; });
  await share();
  assert.equal(await report(page).isVisible(), false);
  await page.evaluate(() => { window.refuse = 'NotAllowedError'; });
  await share();
  await report(page).getByText('The picture could not be shared.').waitFor();
});
