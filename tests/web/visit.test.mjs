/** From a first visit to a picture, and back again without a network. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import ExifReader from 'exifreader';
import { PNG } from 'pngjs';
import {
  MODEL, STATUS, assertDone, assertPicture, begins, draw, finished, generateButton, kept, picture, pixels, promptOf,
  psnr, ready, saveExact, says, sent, shows, stand, tab, useSettings, visitor,
} from './page.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });
const APPLE = 'a red apple on a light blue background';

test('a first visit becomes a picture', async () => {
  it.server.faults = { bytesPerSecond: 8_000_000 };
  const page = await visitor(it, { path: '?engine=webgpu' });
  // Pressed before the model is here: it waits and then draws.
  await promptOf(page).fill(APPLE);
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('2');
  const drawing = shows(page, STATUS, 'step 1 of 2', () => generateButton(page).click());
  await says(page, 'Fetching');
  assert.match(await page.locator('#model-chip').textContent(), /fetching \d+ %/);
  // A rate needs a second of fetching behind it.
  await says(page, 'B/s');
  assert.match(await page.getByRole('status').first().textContent(), / MB · .*\/s/);
  const bar = page.getByRole('progressbar');
  const first = Number(await bar.getAttribute('aria-valuenow'));
  await page.waitForFunction((before) => document.querySelector('[role="progressbar"]').ariaValueNow > before, first);

  await drawing;
  assert.equal(await picture(page).getAttribute('aria-label'), APPLE);
  await finished(page);
  await assertDone(page);
  assertPicture(await pixels(page));
  assert.equal(await page.getByRole('img', { name: APPLE }).count(), 1);
  assert.equal(sent(it.server), MODEL.bytes, 'fetched once');
  assert.deepEqual(page.trouble, []);
});

test('nothing competes with the model: the page is kept for later visits once it is here', async () => {
  it.server.faults = { bytesPerSecond: 3_000_000 };
  const page = await visitor(it);
  await page.waitForFunction(() => Number(document.querySelector('#progress').getAttribute('aria-valuenow')) > 50);
  assert.equal(await page.locator('#model-chip').getAttribute('data-state'), 'fetching');
  assert.equal(await page.getByText('step by step it clears').isVisible(), true, 'what happens next is told meanwhile');
  // The engine's worker has one module in common with the page, and asks whether it is still the same.
  const asked = it.server.paths.filter((path) => /\.(js|css|wasm)$/.test(path) && path !== '/through.js');
  assert.deepEqual(asked.filter((path, i) => asked.indexOf(path) !== i), [], 'asked for twice');
  assert.deepEqual(asked.filter((path) => /sw\.js|opengen-gpu|learn\/(?!views)/.test(path)), [], 'not needed yet');
  await ready(page);
  await kept(page);
});

test('previews show the picture emerging', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill(APPLE);
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('4');
  await page.evaluate(() => {
    window.seen = new Set();
    const screen = document.querySelector('#screen');
    const look = () => {
      const step = /step (\d) of/.exec(document.querySelector('[role="status"]').textContent)?.[1];
      if (step) window.seen.add(`${step}:${screen.toDataURL().length}`);
    };
    window.watch = setInterval(look, 60);
  });
  await begins(page, () => generateButton(page).click());
  await finished(page);
  await assertDone(page);
  const seen = await page.evaluate(() => (clearInterval(window.watch), [...window.seen]));
  assert.ok(new Set(seen.map((entry) => entry.split(':')[1])).size >= 3, `different views while drawing: ${seen}`);
});

test('a second visit asks the network for nothing of the model', async () => {
  const page = await visitor(it);
  await ready(page);
  it.server.models = [];
  await page.reload();
  await ready(page);
  assertPicture(await draw(page, APPLE, { Steps: 2 }));
  assert.deepEqual(it.server.models, []);
  assert.deepEqual(page.trouble, []);
});

test('with the server gone a reload works and draws the same picture', async () => {
  const server = await new Server().start();
  const page = await visitor({ ...it, server }, { path: '?engine=webgpu' });
  await ready(page);
  await kept(page);
  const online = await draw(page, APPLE, { Steps: 2, Seed: 42, Width: 64, Height: 64 });
  await server.kill();
  await page.reload();
  await ready(page);
  const offline = await draw(page, APPLE, { Steps: 2, Seed: 42, Width: 64, Height: 64 });
  assert.equal(psnr(online, offline), Infinity);
  await page.locator('#model-chip[data-state="offline"]').waitFor(); // and it has noticed
  await page.goto(`${server.url}index.html?engine=webgpu`);
  await ready(page);
  assert.deepEqual(page.trouble, []);
});

test('a new version of the page is picked up and the stored model stays', async () => {
  const page = await visitor(it);
  await ready(page);
  await kept(page);
  it.server.models = [];
  const changed = `${await (await fetch(`${it.server.url}style.css`)).text()}\n:root { --version: 2; }\n`;
  it.server.overlay.set('/style.css', changed);
  const version = () => page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--version').trim());

  await page.reload();
  await page.getByText('A new version of this page is here.').waitFor();
  assert.equal(await version(), '', 'the page that is open stays whole');
  await page.getByRole('button', { name: 'Reload' }).click();
  await page.waitForFunction(() => getComputedStyle(document.documentElement).getPropertyValue('--version').trim() === '2');
  await ready(page);
  assert.deepEqual(it.server.models, []);
});

test('a half-broken new version is not taken', async () => {
  const page = await visitor(it);
  await ready(page);
  await kept(page);
  it.server.overlay.set('/style.css', ':root { --version: 3; }');
  it.server.missing = '/main.js';
  await page.reload();
  await ready(page);
  await page.waitForTimeout(3000);
  assert.equal(await page.locator('#toast').isVisible(), false);
  await page.reload();
  await ready(page);
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--version')), '');
});

test('the picture is saved as a PNG with its settings inside', async () => {
  const page = await visitor(it);
  await ready(page);
  const shown = await draw(page, APPLE, { Steps: 2, Seed: 7 });
  const [download] = await Promise.all([
    page.waitForEvent('download'), saveExact(page),
  ]);
  assert.equal(download.suggestedFilename(), 'a-red-apple-on-a-light-blue-background-7.png');
  const file = readFileSync(await download.path());
  const png = PNG.sync.read(file);
  assert.equal(psnr(png, shown), Infinity);
  const text = textOf(file, 'parameters');
  assert.match(text, /^a red apple on a light blue background\n/);
  assert.match(text, /Steps: 2, Sampler: [^,]+, CFG scale: [\d.]+, Seed: 7, Size: \d+x\d+/);
});

for (const [name, press, crisp] of [
  ['Save', (page) => page.getByRole('button', { name: 'Save', exact: true }).click(), false],
  ['Save with crisp pixels', async (page) => {
    await page.locator('#picture-menu').evaluate((menu) => { menu.open = true; });
    await page.getByRole('button', { name: 'Save with crisp pixels' }).click();
  }, true],
]) {
  test(`${name}: 1024 px, ${crisp ? 'every pixel a square' : 'smoothly'}, its settings inside`, async () => {
    const page = await visitor(it);
    await ready(page);
    const shown = await draw(page, 'яблоко, a red apple', { Steps: 2, Seed: 7 });
    const [download] = await Promise.all([page.waitForEvent('download'), press(page)]);
    const file = readFileSync(await download.path());
    const png = PNG.sync.read(file);
    assert.deepEqual([png.width, png.height], [1024, 1024]);
    const times = 1024 / shown.width;
    /** Pixels that are exactly the one of the picture that they stand for. */
    let same = 0;
    for (let i = 0; i < 1024 * 1024; i++) {
      const from = (Math.floor(Math.floor(i / 1024) / times) * shown.width + Math.floor((i % 1024) / times)) * 4;
      if ([0, 1, 2].every((c) => png.data[i * 4 + c] === shown.data[from + c])) same += 1;
    }
    assert.equal(same === 1024 * 1024, crisp, `${same} of ${1024 * 1024} pixels as they were`);
    /** Averages over each square: the same picture, whichever way. */
    const back = { ...shown, data: Buffer.from(shown.data) };
    for (let y = 0; y < shown.height; y++) {
      for (let x = 0; x < shown.width; x++) {
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          for (let dy = 0; dy < times; dy++) for (let dx = 0; dx < times; dx++) sum += png.data[((y * times + dy) * 1024 + x * times + dx) * 4 + c];
          back.data[(y * shown.width + x) * 4 + c] = Math.round(sum / times / times);
        }
      }
    }
    assert.ok(psnr(back, shown) > 30, `${psnr(back, shown)} dB`);
    assert.match((await ExifReader.load(file)).parameters.value, /^яблоко, a red apple\nSteps: 2, .*Seed: 7, Size: 128x128/);
  });
}

/** The text of a tEXt or iTXt chunk with this keyword. */
function textOf(png, keyword) {
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const type = png.toString('latin1', at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
    if (!body.toString('latin1').startsWith(`${keyword}\0`)) continue;
    if (type === 'tEXt') return body.toString('latin1', keyword.length + 1);
    if (type === 'iTXt') return body.subarray(keyword.length + 1).toString('utf8').replace(/^[\0\x01]+[^\0]*\0[^\0]*\0/, '');
  }
  return null;
}

test('earlier pictures wait in the strip and bring their settings back', async () => {
  const page = await visitor(it);
  await ready(page);
  const first = await draw(page, 'a ghost on orange', { Steps: 2, Seed: 5 });
  await draw(page, 'a panda on yellow', { Steps: 3, Seed: 6 });
  await page.getByRole('button', { name: 'a ghost on orange, seed 5' }).click();
  await says(page, 'An earlier picture');
  assert.equal(psnr(await pixels(page), first), Infinity);
  assert.equal(await promptOf(page).inputValue(), 'a panda on yellow', 'looking changes nothing');
  await useSettings(page);
  assert.equal(await promptOf(page).inputValue(), 'a ghost on orange');
  assert.equal(await page.getByRole('spinbutton', { name: 'Steps' }).inputValue(), '2');
  assert.equal(await page.getByRole('spinbutton', { name: 'Seed' }).inputValue(), '5');
  assert.equal(psnr(await pixels(page), first), Infinity);
});

test('an example is one click away', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('2');
  const [example] = MODEL.examples;
  await begins(page, () => page.getByRole('button', { name: example.prompt }).click());
  await finished(page);
  await assertDone(page);
  assert.equal(await promptOf(page).inputValue(), example.prompt);
  assert.match(await page.getByRole('status').first().textContent(), new RegExp(`seed ${example.seed}$`));
});

test('storage is shown, and a model can be deleted', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.locator('#model-chip').click();
  const panel = page.getByRole('dialog', { name: 'Kept on this device' });
  await panel.getByText(/\d MB, complete/).waitFor();
  assert.match(await panel.innerText(), /\d.* used, .*\d.* free/);
  const remove = panel.getByRole('button', { name: `Delete ${MODEL.name}`, exact: true });
  await remove.click();
  await panel.getByText('It is fetched again when it is next used.').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Keep it', 'Enter keeps it');
  await page.keyboard.press('Enter');
  await remove.click();
  await panel.getByRole('button', { name: `Delete ${MODEL.name} now` }).click();
  await panel.getByText(`${MODEL.name} is deleted`).waitFor();
  await panel.getByRole('button', { name: `Free the room of ${MODEL.name}` }).click();
  await panel.getByText('Nothing is stored yet.').waitFor();
  await page.keyboard.press('Escape');
  assertPicture(await draw(page, APPLE, { Steps: 2 })); // it still works in this tab
  it.server.models = [];
  await page.reload();
  await ready(page);
  assert.equal(sent(it.server), MODEL.bytes, 'fetched again after it was deleted');
});

test('two tabs work, and fetch the model once', async () => {
  it.server.faults = { bytesPerSecond: 700_000 };
  const one = await visitor(it);
  await says(one, 'Fetching');
  const two = await tab(one.context(), it);
  await says(two, 'Another tab is downloading the model');
  await Promise.all([ready(one), ready(two)]);
  assert.equal(sent(it.server), MODEL.bytes);
  const [a, b] = await Promise.all([
    draw(one, APPLE, { Steps: 2, Seed: 3 }), draw(two, APPLE, { Steps: 2, Seed: 3 }),
  ]);
  assert.equal(psnr(a, b), Infinity);
});
