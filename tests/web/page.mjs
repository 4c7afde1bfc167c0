/** What the tests do with the page, in the words of a person who uses it. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { launch } from './browser.mjs';
import { DIST, Server } from './server.mjs';

/** For pictures and downloads: SwiftShader on two busy cores is slow, a hang is still noticed. */
export const PATIENCE = 300_000;
/** For everything else. */
const SHORT = 60_000;

/**
 * What is the same on both engines is tested on the processor, and on WebGPU too by `cargo xtask full`: a software adapter
 * takes most of a minute for each.
 */
export const ENGINES = process.env.OPENGEN_FULL ? ['cpu', 'webgpu'] : ['cpu'];

/** The page's models. */
export const { MODELS } = await import(pathToFileURL(join(DIST, 'models.js')));
/** The first of them. */
export const [MODEL] = MODELS;
/** The file of a model. */
export const fileOf = (model) => fileURLToPath(model.url);

/** A visitor who costs the machine less, and one for whom things move, as they do for most people. */
const LIGHT = /** @type {const} */ ({ reducedMotion: 'reduce', serviceWorkers: 'block' });
export const MOTION = /** @type {const} */ ({ reducedMotion: 'no-preference' });

/**
 * One browser and one server for a test file; call it at the top and use what it returns inside tests.
 * @param {import('node:test')} hooks `{ before, after, afterEach }`
 * @param {{path?: string, light?: boolean}} [options] how a tab is opened unless a test says otherwise. What has nothing to do
 *   with the GPU is tested on the CPU path: a software adapter takes many times as long for the same picture. `light` is for
 *   what has to do neither with later visits nor with what moves by itself: without the service worker, which fetches the page
 *   once more, and with less motion, for what dances while a picture is made costs a third as much as the picture.
 */
export function stand({ before, after, afterEach }, { path = '', light = false } = {}) {
  const it = { browser: null, server: null, contexts: [], path, usual: light ? LIGHT : {} };
  before(async () => {
    it.server = await new Server().start();
    it.browser = await launch();
  });
  afterEach(async () => {
    const contexts = it.contexts.splice(0);
    const trouble = contexts.flatMap((context) => context.pages().flatMap((page) => page.trouble ?? []));
    for (const context of contexts) await context.close();
    it.server.reset();
    // Whatever a test is about, the page asks no other host and keeps to its policy.
    assert.deepEqual(trouble.filter((words) => !words.startsWith('uncaught')), []);
  });
  after(async () => {
    await it.browser?.close();
    await it.server?.kill();
  });
  return it;
}

/** A visitor: a fresh profile with one tab. One who has opened the settings before, unless a test says otherwise. */
export async function visitor(it, { path = it.path, open = true, init = null, settings = true, ...options } = {}) {
  const context = await it.browser.newContext({ viewport: { width: 1280, height: 800 }, ...it.usual, ...options });
  context.setDefaultTimeout(SHORT);
  it.contexts.push(context);
  if (settings) await context.addInitScript(openSettings);
  return tab(context, it, { path, open, init });
}

/** In the page, before its own code: the settings were open at the last visit. */
function openSettings() {
  try {
    localStorage.setItem('opengen.settings', 'true');
  } catch {
    // a browser that refuses storage: they are closed
  }
}

/** In the page, before its own code: the visitor pays for every byte, so nothing is fetched beforehand. */
export const savesData = () => Object.defineProperty(navigator.connection, 'saveData', { get: () => true });

/** A tab of a visitor, with everything that must not happen written down in `trouble`. */
export async function tab(context, it, { path = it.path, open = true, init = null } = {}) {
  const page = await context.newPage();
  page.trouble = [];
  page.on('pageerror', (error) => page.trouble.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) page.trouble.push(message.text());
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.origin !== new URL(it.server.url).origin) {
      page.trouble.push(`asked another host: ${url}`);
    }
  });
  if (init) await page.addInitScript(init);
  if (open) await page.goto(it.server.url + path);
  return page;
}

/** A program's page at a server: nothing but the client. @param {import('./server.mjs').Server} server */
export async function program(it, server) {
  const context = await it.browser.newContext();
  it.contexts.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.goto(`${server.url}blank.html`);
  await page.evaluate(async () => {
    const { OpenGen } = await import('/client.js');
    window.og = await OpenGen.create({ engine: 'cpu' });
  });
  return page;
}

/** Resolves when the page has been told of its new size: its media queries change with a later frame than the window. */
export async function resize(page, size) {
  await page.setViewportSize(size);
  await page.waitForFunction(({ width }) => matchMedia(`(width: ${width}px)`).matches, size);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

export const promptOf = (page) => page.getByRole('textbox', { name: 'Prompt', exact: true });
export const generateButton = (page) => page.getByRole('button', { name: 'Generate', exact: true });
export const cancelButton = (page) => page.getByRole('button', { name: 'Cancel', exact: true });
export const picture = (page) => page.locator('#picture[role="img"]');
export const banner = (page) => page.getByRole('alert');

/** The line that says what goes on. */
export const STATUS = '#status';

/** The status line, until it says `words`; what stands there for a moment only is for `shows`. */
export const says = (page, words) =>
  page.waitForFunction(([where, w]) => document.querySelector(where).textContent.includes(w), [STATUS, words],
    { timeout: PATIENCE });

/** Resolves when the model can be used. */
export const ready = (page) =>
  page.locator('#model-chip:is([data-state="ready"], [data-state="offline"])').waitFor({ timeout: PATIENCE });

/** Resolves when the page and its engine, or another file of it, are kept for a visit without a network. */
export async function kept(page, file = 'opengen-\\wpu_bg\\.wasm') {
  const patient = Date.now() + PATIENCE;
  while (!(await page.evaluate(isKept, file))) { // waitForFunction takes any promise for a yes
    assert.ok(Date.now() < patient, 'the page and its engine are kept');
    await pause(50);
  }
}

/** In the page: whether a worker answers for it that has a file of this name, a pattern. */
async function isKept(file) {
  if (navigator.serviceWorker.controller?.state !== 'activated') return false;
  const book = await caches.open('opengen-book');
  const names = await Promise.all(['next', 'current'].map(async (which) => (await book.match(`book/${which}`))?.text()));
  for (const name of names.filter(Boolean)) {
    const paths = (await (await caches.open(name)).keys()).map(({ url }) => url);
    if (paths.some((path) => new RegExp(`${file}$`).test(path))) return true;
  }
  return false;
}

/** Resolves when the picture is made, or was refused. */
export const finished = (page) => generateButton(page).waitFor({ timeout: PATIENCE });

/** Sets fields by their labels: { Steps: 2, Sampler: 'euler' }. */
export async function set(page, fields) {
  for (const [label, value] of Object.entries(fields)) {
    const field = page.getByLabel(label, { exact: true });
    if (!(await field.isVisible())) {
      const sheet = page.locator('#sheet-toggle');
      if ((await sheet.getAttribute('aria-expanded')) === 'false') await sheet.click();
      await field.waitFor({ timeout: PATIENCE });
    }
    if (await field.evaluate((element) => element.tagName === 'SELECT')) await field.selectOption(String(value));
    else await field.fill(String(value));
  }
  const done = page.getByRole('button', { name: 'Done' });
  if (await done.isVisible()) await done.click();
}

/** Does `act` and resolves when the element has said `words`: an observer sees them however shortly they stand there. */
export async function shows(page, selector, words, act) {
  const shown = page.evaluate(([where, what, patience]) => new Promise((resolve, reject) => {
    const element = document.querySelector(where);
    const look = () => { if (element.textContent.includes(what)) resolve(); };
    new MutationObserver(look).observe(element, { childList: true, characterData: true, subtree: true });
    look();
    setTimeout(() => reject(new Error(`${where} never said "${what}"`)), patience);
  }), [selector, words, PATIENCE]);
  await Promise.all([shown, act()]);
}

/** Does `act` and resolves when a picture has begun. */
export const begins = (page, act) => shows(page, '#generate', 'Cancel', act);

/** Types, presses Enter, waits for the picture. Returns its pixels. */
export async function draw(page, prompt, fields = {}) {
  await set(page, fields);
  await promptOf(page).fill(prompt);
  await begins(page, () => promptOf(page).press('Enter'));
  await finished(page);
  await assertDone(page);
  return pixels(page);
}

export async function assertDone(page) {
  const words = await page.locator(STATUS).textContent();
  assert.match(words, /^Done in /, `status says "${words}"; banner "${await page.locator('#banner').innerText()}"`);
}

/** Presses what saves the picture as it was made. */
export async function saveExact(page) {
  await page.locator('#picture-menu').evaluate((menu) => { menu.open = true; });
  await page.getByRole('button', { name: 'Save exact pixels' }).click();
}

/** The exact pixels of the canvas. @returns {Promise<{width: number, height: number, data: Buffer}>} */
export async function pixels(page) {
  const { width, height, text } = await picture(page).evaluate((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let bytes = ''; // large pictures have more than a call takes
    for (const value of data) bytes += String.fromCharCode(value);
    return { width: canvas.width, height: canvas.height, text: btoa(bytes) };
  });
  return { width, height, data: Buffer.from(text, 'base64') };
}

/** Peak signal to noise ratio over RGB, in dB; Infinity for equal pictures. */
export function psnr(a, b) {
  assert.deepEqual([a.width, a.height], [b.width, b.height], 'pictures of one size');
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) {
    if (i % 4 !== 3) sum += (a.data[i] - b.data[i]) ** 2;
  }
  const mean = sum / (a.width * a.height * 3);
  return mean === 0 ? Infinity : 10 * Math.log10(255 ** 2 / mean);
}

/** Takes over the settings of the picture on the stage, which was picked from the strip. */
export const useSettings = (page) => page.getByRole('button', { name: 'Use its settings' }).click();

/** That something was drawn: neither flat nor noise from edge to edge. */
export function assertPicture({ width, height, data }) {
  assert.deepEqual([width, height], [MODEL.width, MODEL.height]);
  const values = [...data].filter((_, i) => i % 4 === 1);
  const mean = values.reduce((a, b) => a + b) / values.length;
  const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
  assert.ok(deviation > 4, `a flat picture: standard deviation ${deviation}`);
}

/** The bytes of model files that the server has sent so far. */
export const sent = (server) => server.models.reduce((sum, { sent }) => sum + sent, 0);
