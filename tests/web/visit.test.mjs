/** From a first visit to a picture, and back again without a network. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import {
  MODEL, STATUS, assertDone, assertPicture, begins, draw, finished, generateButton, kept, picture, pixels, promptOf, psnr,
  ready, says, sent, shows, stand, tab, useSettings, visitor,
} from './page.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });
const APPLE = 'a red apple on a light blue background';

test('a first visit becomes a picture', async () => {
  it.server.faults = { bytesPerSecond: 8_000_000 };
  const page = await visitor(it, { path: '?engine=webgpu' });
  // Pressed before the model is here: it waits and then draws.
  await promptOf(page).fill(APPLE);
  await page.getByRole('spinbutton', { name: 'Steps' }).fill('4');
  const drawing = shows(page, STATUS, 'step 1 of 4', () => generateButton(page).click());
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
  const online = await draw(page, APPLE, { Steps: 2, Seed: 42 });
  await server.kill();
  await page.reload();
  await ready(page);
  const offline = await draw(page, APPLE, { Steps: 2, Seed: 42 });
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
    page.waitForEvent('download'), page.getByRole('button', { name: 'Save as PNG' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'a-red-apple-on-a-light-blue-background-7.png');
  const file = readFileSync(await download.path());
  const png = PNG.sync.read(file);
  assert.equal(psnr(png, shown), Infinity);
  const text = textOf(file, 'parameters');
  assert.match(text, /^a red apple on a light blue background\n/);
  assert.match(text, /Steps: 2, Sampler: [^,]+, CFG scale: [\d.]+, Seed: 7, Size: \d+x\d+/);
});

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
  await panel.getByRole('button', { name: `Delete ${MODEL.name}` }).click();
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
