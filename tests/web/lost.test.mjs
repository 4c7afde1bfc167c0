/** The graphics process dies in the middle of a picture: once, and again. A browser of its own per test. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch } from './browser.mjs';
import { MODEL, PATIENCE, assertDone, banner, cancelButton, draw, finished, pixels, promptOf, psnr, ready, set, visitor } from './page.mjs';
import { Server } from './server.mjs';

const PROMPT = 'a red heart on a dark blue background';
/** A small picture, for a software adapter draws it several times here. */
const SIDE = 64;
const SETTINGS = { Width: SIDE, Height: SIDE, Steps: 4, Guidance: MODEL.defaults.guidance, Sampler: MODEL.defaults.sampler, Seed: 3 };

/** Kills the browser's graphics process, as a driver's crash would. */
async function crash(browser) {
  const session = await browser.newBrowserCDPSession();
  await session.send('Browser.crashGpuProcess');
  await session.detach();
}

/** Resolves when the status says that step `n` is done. */
const step = (page, n) => page.waitForFunction((n) => {
  const words = document.getElementById('status').textContent;
  return Number(/step (\d+) of 4/.exec(words)?.[1] ?? 0) >= n;
}, n, { timeout: PATIENCE });

async function withBrowser(work) {
  const server = await new Server().start();
  const browser = await launch();
  try {
    await work({ server, browser, contexts: [], path: '' });
  } finally {
    await browser.close();
    await server.kill();
  }
}

async function begin(page) {
  await set(page, SETTINGS);
  await promptOf(page).fill(PROMPT);
  await promptOf(page).press('Enter');
  await cancelButton(page).waitFor();
}

/** The same picture made on the CPU, in a tab of its own. */
async function reference(it) {
  const page = await visitor(it, { path: '?engine=cpu' });
  await ready(page);
  return draw(page, PROMPT, SETTINGS);
}

test('a device lost in the middle is replaced, and the picture is made', () => withBrowser(async (it) => {
  const page = await visitor(it, { path: '?engine=webgpu' });
  await ready(page);
  await begin(page);
  await step(page, 2);
  await crash(it.browser);
  await finished(page);
  await assertDone(page);
  assert.match(await page.locator('#notes').textContent(), /device was lost and has been restarted/);
  assert.equal(await promptOf(page).inputValue(), PROMPT);
  const similar = psnr(await pixels(page), await reference(it));
  assert.ok(similar >= 40, `${similar.toFixed(1)} dB`);
}));

/** A tab that takes the software adapter for hardware, which by itself it would not. */
async function onHardware(it) {
  const page = await visitor(it, { open: false, serviceWorkers: 'block' });
  await page.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    const hide = "Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { get: () => false });";
    await route.fulfill({ response, body: hide + (await response.text()) });
  });
  return page;
}

/** A page whose device is lost twice. */
async function loseTwice(it, between = async () => {}) {
  const page = await onHardware(it);
  await page.goto(it.server.url);
  await ready(page);
  assert.deepEqual(it.server.paths.filter((path) => /opengen-cpu/.test(path)), [], 'not before it is needed');
  await begin(page);
  await step(page, 2);
  await crash(it.browser);
  // It begins again on the new device, so step 2 comes a second time.
  await page.waitForFunction(() => !/step [2-4] of 4/.test(document.getElementById('status').textContent), null,
    { timeout: PATIENCE });
  await step(page, 2);
  await between();
  await crash(it.browser);
  await finished(page);
  return page;
}

test('a device lost twice leaves the work to the processor', () => withBrowser(async (it) => {
  const page = await loseTwice(it);
  await assertDone(page);
  assert.match(await page.locator('#notes').textContent(), /on the processor now/);
  assert.match(await page.locator('#engine-line').textContent(), /processor/);
  assert.equal(await promptOf(page).inputValue(), PROMPT);
  assert.ok(it.server.paths.includes('/opengen-cpu_bg.wasm'), 'fetched when it was needed');
}));

test('a program hears of each lost device, and of the engine that takes over', () => withBrowser(async (it) => {
  const page = await onHardware(it);
  await page.exposeFunction('crash', () => crash(it.browser));
  await page.goto(`${it.server.url}blank.html`);
  const told = await page.evaluate(async ({ prompt, side }) => {
    const { OpenGen } = await import('/client.js');
    const { mini } = await import('/models.js');
    const og = await OpenGen.create({ model: mini });
    const heard = [];
    og.addEventListener('devicelost', ({ detail }) => heard.push(`lost: ${typeof detail.message}`));
    og.addEventListener('engine', ({ detail }) => heard.push(`now on ${detail.capabilities.engine}, of ${og.capabilities().engine}`));
    const began = og.capabilities().engine;
    let crashes = 0;
    const { image } = await og.generate({ prompt, steps: 4, width: side, height: side, onStep: ({ step }) => {
      if (step === 2 && crashes++ < 2) globalThis.crash();
    } });
    return { began, heard, size: [image.width, image.height] };
  }, { prompt: PROMPT, side: SIDE });
  assert.deepEqual(told, {
    began: 'webgpu', heard: ['lost: string', 'lost: string', 'now on cpu, of cpu'], size: [SIDE, SIDE],
  });
}));

test('a device lost twice with the network gone says what is missing, and keeps the prompt', () => withBrowser(async (it) => {
  const page = await loseTwice(it, () => it.server.kill());
  const alert = await banner(page).innerText();
  assert.match(alert, /graphics device was lost/);
  assert.match(alert, /draws on the processor could not be fetched[^]*no connection/);
  assert.equal(await promptOf(page).inputValue(), PROMPT);
}));

test('a device lost between two steps of How it works is replaced, and the next step is taken', () => withBrowser(async (it) => {
  const page = await visitor(it, { path: '?engine=webgpu#how' });
  await ready(page);
  const back = page.locator('#how-back');
  const oneStep = back.getByRole('button', { name: 'One step' });
  const taken = (n) => back.getByRole('status').filter({ hasText: `Step ${n} of ` }).filter({ hasText: 'is taken' })
    .waitFor({ timeout: PATIENCE });
  await oneStep.click();
  await taken(1);
  await crash(it.browser);
  await oneStep.click();
  await taken(2);
}));
