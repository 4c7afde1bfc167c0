/** What is kept for visits without a network, and which version of the page a tab keeps. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { assertDone, banner, draw, finished, generateButton, kept, promptOf, ready, savesData, set, stand, tab, visitor } from './page.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });
const how = (page) => page.getByRole('link', { name: /^How it works/ });
const create = (page) => page.getByRole('link', { name: 'Create', exact: true });

/** A server of a test's own, which can be switched off and on. */
async function withServer(work) {
  const server = await new Server().start();
  try {
    await work({ ...it, server });
  } finally {
    await server.kill().catch(() => {}); // it may be off
  }
}

/** A picture in one step, also where the second view is there, which has steps too. */
async function drawOnce(page, prompt) {
  await page.locator('#steps').fill('1');
  await draw(page, prompt);
}

/** Every view, and everything that is fetched only when it is asked for. */
async function everywhere(page) {
  await how(page).click();
  await page.getByRole('heading', { name: 'How it works', level: 1 }).waitFor();
  await page.locator('#how-into canvas').first().waitFor();
  await page.getByRole('link', { name: /^Models/ }).click();
  await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
  await page.locator('.card').getByText('in use').waitFor();
  await create(page).click();
  await promptOf(page).fill('eine Katze');
  await page.locator('#understood').getByText('Katze → cat').waitFor();
  await drawOnce(page, 'a fox');
  await page.locator('#model-chip').click();
  await page.getByRole('dialog', { name: 'Kept on this device' }).getByText(/complete/).waitFor();
  await page.keyboard.press('Escape');
}

test('after the first picture everything is there without a network: in the same visit, and in the next', () => withServer(async ({ server }) => {
  const page = await visitor({ ...it, server });
  await ready(page);
  assert.deepEqual(server.paths.filter((path) => /learn\/learn|languages\.json/.test(path)), [], 'not before the first picture');
  await draw(page, 'a cat', { Steps: 1 });
  for (const file of ['learn/learn\\.js', 'languages\\.json', 'clip/merges\\.txt', 'opengen-cpu_bg\\.wasm']) await kept(page, file);
  await server.kill();
  await everywhere(page);
  await page.reload();
  await ready(page);
  await page.locator('#model-chip[data-state="offline"]').waitFor();
  assert.equal(await page.locator('#how-missing').isVisible(), false);
  await everywhere(page);
}));

/** In the page: asks for parts to be kept, each in a message of its own and all at once. */
const askFor = (page, ...parts) => page.evaluate(async (all) => {
  const { active } = await navigator.serviceWorker.ready;
  for (const part of all) active.postMessage({ type: 'keep', parts: [part] });
}, parts);

test('parts that are asked for at once are all kept, and what did not arrive is asked for again', () => withServer(async ({ server }) => {
  const page = await visitor({ ...it, server }, { init: savesData });
  await ready(page);
  await kept(page, 'style\\.css');
  await askFor(page, 'how', 'grid', 'languages');
  for (const file of ['learn/learn\\.js', 'grid/view\\.js', 'languages\\.json']) await kept(page, file);
  await server.kill();
  await askFor(page, 'checkpoints');
  await page.waitForTimeout(500);
  await server.start();
  await askFor(page, 'checkpoints');
  await kept(page, 'clip/merges\\.txt');
}));

test('who saves data keeps what was used; the rest is said to be missing at its button, and comes with the network', () => withServer(async ({ server }) => {
  const page = await visitor({ ...it, server }, { init: savesData });
  await ready(page);
  await draw(page, 'a cat', { Steps: 1 });
  await kept(page, 'opengen-cpu_bg\\.wasm');
  await page.waitForTimeout(1500);
  assert.deepEqual(server.paths.filter((path) => /learn\/learn|languages\.json/.test(path)), []);
  await server.kill();
  await page.reload();
  await ready(page);
  await page.locator('#how-missing').waitFor();
  assert.match(await how(page).innerText(), /not here yet/);
  await how(page).click();
  await page.getByText(/not kept on this device yet/).waitFor();
  await server.start();
  await page.getByRole('heading', { name: 'How it works', level: 1 }).waitFor();
  assert.equal(await page.locator('#how-missing').isVisible(), false);
  await create(page).click();
  await drawOnce(page, 'a fox');
}));

test('a tab keeps its version: two versions, two tabs, and then another engine is asked for', () => withServer(async ({ server }) => {
  const old = await visitor({ ...it, server });
  await ready(old);
  await draw(old, 'a cat', { Steps: 1 });
  await kept(old, 'opengen-cpu_bg\\.wasm');
  await old.reload(); // served from the copy
  await ready(old);

  // A version that would not understand the other one's worker.
  const text = (path) => fetch(server.url + path).then((response) => response.text());
  const [worker, client, style] = await Promise.all(['worker.js', 'client.js', 'style.css'].map(text));
  server.overlay.set('/worker.js', `${worker.replaceAll("'create'", "'begin'")}\n`);
  server.overlay.set('/client.js', `${client.replaceAll("type: 'create'", "type: 'begin'")}\n// second\n`);
  server.overlay.set('/style.css', `${style}\n:root { --version: 2; }\n`);
  const version = (page) => page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--version').trim());
  const context = old.context();
  const first = await tab(context, { ...it, server });
  await first.getByText('A new version of this page is here.').waitFor();
  await first.reload();
  await ready(first);
  assert.deepEqual([await version(old), await version(first)], ['', '2']);

  // The engine that it has starts again with its own worker.
  await old.evaluate(() => { document.querySelector('#engine').dispatchEvent(new Event('change', { bubbles: true })); });
  await ready(old);
  await draw(old, 'a fox', { Steps: 1 });
  // One that it lacks is only on the server, in the other version: that is said, and reloading mends it.
  await promptOf(old).fill('a blue whale');
  await old.locator('#engine').selectOption('webgpu');
  await banner(old).getByText('This page has been renewed.').waitFor();
  assert.ok(!server.paths.includes('/opengen-gpu_bg.wasm'), 'nothing of another version is run');
  await banner(old).getByRole('button', { name: 'Reload' }).click();
  await ready(old);
  assert.equal(await version(old), '2');
  assert.equal(await promptOf(old).inputValue(), 'a blue whale');
  await set(old, { Steps: 1 });
  await generateButton(old).click();
  await finished(old);
  await assertDone(old);
}));
