/**
 * Takes the pictures of the page: node screenshots.mjs [--all | --only STATE,…] [--engine webgpu|cpu] [--out FOLDER]
 *
 * Without --all: a finished picture at 1280 and 360 px, light and dark, into docs/screenshots/.
 * With --all: every state that the page can be in, to be looked at after a change of its design.
 */

import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { launch } from './browser.mjs';
import { MODEL, fileOf } from './page.mjs';
import { Server } from './server.mjs';

const { values: options } = parseArgs({
  options: { all: { type: 'boolean' }, out: { type: 'string', default: join(import.meta.dirname, '../../docs/screenshots') },
    engine: { type: 'string', default: '' }, only: { type: 'string', default: '' } },
});
const out = resolve(options.out);
mkdirSync(out, { recursive: true });

const LOOKS = [1280, 360].flatMap((width) => ['light', 'dark'].map((colorScheme) => ({ width, colorScheme })));
const MINI = readFileSync(fileOf(MODEL));
const server = await new Server().start();
const browser = await launch();
const address = server.url + (options.engine ? `?engine=${options.engine}` : '');

/** Opens the page in a fresh profile. */
async function open({ width, colorScheme }, more = {}) {
  const context = await browser.newContext({
    viewport: { width, height: width > 600 ? 800 : 740 }, colorScheme, deviceScaleFactor: width > 600 ? 1 : 2, ...more,
  });
  const page = await context.newPage();
  return page;
}

const ready = (page) => page.locator('#model-chip[data-state="ready"]').waitFor({ timeout: 120_000 });
const status = (page, words) =>
  page.waitForFunction((w) => document.querySelector('#status').textContent.includes(w), words, { timeout: 120_000 });
const prompt = (page) => page.getByRole('textbox', { name: 'Prompt', exact: true });
/** The n-th example, as a sample or as a line. */
const exampleButton = (page, n) => page.getByRole('button', { name: MODEL.examples[n].prompt, exact: true });
const example = async (page, n) => {
  const before = await page.locator('#earlier button').count();
  await exampleButton(page, n).click();
  await page.locator('#earlier button').nth(before).waitFor({ timeout: 120_000 }); // the status may tell of the one before
  await status(page, 'Done in');
  await page.waitForTimeout(500);
};

/** @type {Record<string, (page: import('playwright-core').Page) => Promise<void>>} */
const STATES = {
  async empty(page) {
    await page.goto(address);
    await ready(page);
  },
  async fetching(page) {
    server.faults = { bytesPerSecond: 2_500_000 };
    await page.goto(address);
    await page.waitForFunction(() => Number(document.querySelector('#progress').getAttribute('aria-valuenow')) > 42);
  },
  async working(page) {
    await page.goto(address);
    await ready(page);
    await exampleButton(page, 1).click();
    await status(page, 'step 4 of');
    await page.waitForTimeout(170);
  },
  async done(page) {
    await page.goto(address);
    await ready(page);
    for (const n of [2, 4, 0]) await example(page, n);
  },
  async batch(page) {
    await page.goto(address);
    await ready(page);
    await page.locator('#batch').evaluate((field) => { field.value = '4'; field.dispatchEvent(new Event('input', { bubbles: true })); });
    await prompt(page).fill('a cat');
    await prompt(page).press('Enter');
    await page.locator('#batch-grid').waitFor({ timeout: 120_000 });
  },
  async large(page) {
    await page.goto(address);
    await ready(page);
    for (const n of [2, 0]) await example(page, n);
    await page.locator('#picture').click();
    await page.locator('#large-compare').click();
    await page.waitForTimeout(400);
  },
  async repaint(page) {
    await page.goto(address);
    await ready(page);
    await example(page, 0);
    await page.getByRole('radio', { name: 'Repaint' }).check({ force: true });
    const mask = page.locator('#mask');
    await mask.waitFor();
    await page.locator('#mask-words').filter({ hasText: 'Paint over' }).waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    const { x, y, width, height } = await mask.boundingBox();
    await page.mouse.move(x + 0.5 * width, y + 0.5 * height);
    await page.mouse.down();
    for (let turn = 0; turn <= 40; turn++) { // a spiral, not to the end
      const [far, angle] = [0.02 + turn * 0.0042, turn * 0.6];
      await page.mouse.move(x + (0.5 + 1.1 * far * Math.cos(angle)) * width, y + (0.54 + far * Math.sin(angle)) * height);
    }
    await page.mouse.up();
    await prompt(page).fill('an orange on a light blue background');
    await page.waitForTimeout(500);
  },
  async error(page) {
    server.faults = { cutAt: 3_000_000 };
    await page.goto(address);
    await page.getByRole('alert').waitFor();
  },
  async offline(page) {
    await page.goto(address);
    await ready(page);
    await page.context().setOffline(true);
    await page.locator('#model-chip[data-state="offline"]').waitFor();
  },
  async fields(page) {
    await page.goto(address);
    await ready(page);
    await prompt(page).fill('a fox in the snow');
    await page.locator('#steps').evaluate((e) => { e.value = '0'; });
    await page.locator('#guidance').evaluate((e) => { e.value = ''; });
    await page.locator('#width').evaluate((e) => { e.value = '65'; });
    await prompt(page).press('Enter');
    await page.waitForTimeout(400);
  },
  async long(page) {
    await page.goto(address);
    await ready(page);
    await prompt(page).fill('a large red apple with a green leaf, '.repeat(12));
    await prompt(page).press('Enter');
    await status(page, 'Done in');
    await page.waitForTimeout(400);
  },
  async words(page) {
    await page.goto(address);
    await ready(page);
    await page.getByText('Everything it knows').click();
    await page.locator('#knows').scrollIntoViewIfNeeded();
    await page.getByLabel('Find a word').fill('f');
    await page.locator('#knows').evaluate((element) => element.scrollIntoView());
    await page.waitForTimeout(300);
  },
  async settings(page) {
    await page.goto(address);
    await ready(page);
    if (await page.locator('#sheet-toggle').isVisible()) await page.locator('#sheet-toggle').click();
    await page.waitForTimeout(400);
  },
  async queue(page) {
    await page.goto(address);
    await ready(page);
    for (const n of [1, 3, 4]) await exampleButton(page, n).click();
    await status(page, 'step 4 of');
    await page.locator('#waiting-count').click();
  },
  async link(page) {
    await page.goto(`${address}#prompt=a+panda+on+a+pink+background&steps=0&sampler=dpm-fast&model=sdxl`);
    await ready(page);
  },
  async adding(page) {
    // As slow as a real checkpoint would be: the file's end never comes.
    await page.route('**/worker.js', async (route) => {
      const response = await route.fetch();
      const slow = `const quick = self.fetch; self.fetch = async (url, options) => {
        const response = await quick(url, options);
        if (!String(url).startsWith('blob:')) return response;
        const late = new TransformStream({ async transform(chunk, out) { await new Promise((done) => setTimeout(done, 40)); out.enqueue(chunk); } });
        return new Response(response.body.pipeThrough(late), response); };\n`;
      await route.fulfill({ response, body: slow + (await response.text()) });
    });
    await page.goto(address);
    await ready(page);
    await page.setInputFiles('#add-model-file', { name: 'my-dog.gguf', mimeType: '', buffer: MINI });
    await page.waitForFunction(() => Number(document.querySelector('#progress').getAttribute('aria-valuenow')) > 30);
  },
  async added(page) {
    await page.goto(address);
    await ready(page);
    await page.setInputFiles('#add-model-file', { name: 'my-dog.gguf', mimeType: '', buffer: MINI });
    await page.getByText('was added and is in use now').waitFor();
    await ready(page);
    if (await page.locator('#sheet-toggle').isVisible()) await page.locator('#sheet-toggle').click();
    await page.waitForTimeout(400);
  },
  async refused(page) {
    await page.goto(address);
    await ready(page);
    await page.setInputFiles('#add-model-file', { name: 'dog.safetensors', mimeType: '', buffer: MINI.subarray(9, 9999) });
    await page.locator('#report').waitFor();
  },
  async own(page) {
    await page.goto(`${server.url}?engine=cpu#how-own`);
    await page.getByRole('link', { name: 'Add a model' }).waitFor();
    await page.locator('#how-own').evaluate((part) => part.scrollIntoView());
    await page.waitForTimeout(400);
  },
  async models(page) {
    // A site's list, whose first entry is being read, and whose second is on its way.
    const { bytes, sha256, width, height, defaults } = MODEL;
    const listed = { about: 'Birds of the north, in ink.', url: 'models/mini/mini-q8_0.gguf', bytes, sha256, width, height, defaults };
    server.overlay.set('/models.json', JSON.stringify({ models: [
      { ...listed, id: 'birds', name: 'Birds', license: 'openrail-m' }, { ...listed, id: 'boats', name: 'Boats', license: 'mit' },
    ] }));
    await page.goto(`${address}#models`);
    await ready(page);
    server.faults = { bytesPerSecond: 2_500_000 };
    await page.getByRole('button', { name: 'Fetch Boats' }).click();
    await page.getByRole('button', { name: 'Fetch Birds' }).click();
    await page.getByText(/left$/).waitFor();
  },
  async menu(page) {
    await page.goto(address);
    await ready(page);
    await example(page, 2);
    await page.locator('#picture-menu summary').click();
  },
  async storage(page) {
    await page.goto(address);
    await ready(page);
    await page.locator('#model-chip').click();
    await page.waitForTimeout(400);
  },
  async full(page) {
    await page.route('**/worker.js', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `Object.defineProperty(self, 'indexedDB', { value: undefined });\n${await response.text()}` });
    });
    await page.goto(address);
    await ready(page);
    await page.waitForTimeout(400);
  },
  async how(page) {
    await page.goto(`${server.url}?engine=cpu#how`);
    await ready(page);
    await page.getByRole('button', { name: 'Make this example' }).click();
    await page.locator(`#how-into canvas[width="${MODEL.width}"]`).waitFor();
    await page.getByRole('slider').first().focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press('PageUp');
    await page.locator('#how-into').evaluate((part) => {
      document.activeElement.blur();
      part.querySelector('figure').scrollIntoView();
    });
    await page.waitForTimeout(400);
  },
  async cpu(page) {
    await page.goto(`${server.url}?engine=cpu`);
    await ready(page);
    await example(page, 3);
  },
};

const wanted = options.only ? options.only.split(',') : null;
for (const state of wanted ?? (options.all ? Object.keys(STATES) : ['done'])) {
  for (const look of LOOKS) {
    server.reset();
    const page = await open(look, { serviceWorkers: ['full', 'adding'].includes(state) ? 'block' : 'allow' });
    await STATES[state](page);
    const name = options.all || wanted ? `${state}-${look.width}-${look.colorScheme}` : `${look.width}-${look.colorScheme}`;
    if (state === 'done') await page.evaluate(() => scrollTo(0, 0)); // pressing an example has scrolled to it
    await page.screenshot({ path: join(out, `${name}.png`) });
    console.log(join(out, `${name}.png`));
    await page.context().close();
  }
}
await browser.close();
await server.kill();
