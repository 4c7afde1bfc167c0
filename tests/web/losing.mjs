/** A graphics process that dies in the middle of a picture, once and again, in a browser of its own. */

import assert from 'node:assert/strict';
import { launch } from './browser.mjs';
import { MODEL, PATIENCE, cancelButton, finished, promptOf, ready, set, visitor } from './page.mjs';
import { Server } from './server.mjs';

export const PROMPT = 'a red heart on a dark blue background';
/** A small picture, for a software adapter draws it several times here. */
export const SIDE = 64;
export const SETTINGS = { Width: SIDE, Height: SIDE, Steps: 4, Guidance: MODEL.defaults.guidance, Sampler: MODEL.defaults.sampler, Seed: 3 };

/** Kills the browser's graphics process, as a driver's crash would. */
export async function crash(browser) {
  const session = await browser.newBrowserCDPSession();
  await session.send('Browser.crashGpuProcess');
  await session.detach();
}

/** Resolves when the status says that step `n` is done. */
export const step = (page, n) => page.waitForFunction((n) => {
  const words = document.getElementById('status').textContent;
  return Number(/step (\d+) of 4/.exec(words)?.[1] ?? 0) >= n;
}, n, { timeout: PATIENCE });

export async function withBrowser(work) {
  const server = await new Server().start();
  const browser = await launch();
  try {
    await work({ server, browser, contexts: [], path: '' });
  } finally {
    await browser.close();
    await server.kill();
  }
}

export async function begin(page) {
  await set(page, SETTINGS);
  await promptOf(page).fill(PROMPT);
  await promptOf(page).press('Enter');
  await cancelButton(page).waitFor();
}

/**
 * A tab that takes the software adapter for hardware where it chooses between the engines, which by itself it would not.
 * The engine knows better: a GPU's kernels take this adapter a minute for a picture.
 */
export async function onHardware(it) {
  const page = await visitor(it, { open: false, serviceWorkers: 'block' });
  await page.route(/\/(worker|engines)\.js$/, async (route) => {
    const response = await route.fetch();
    const text = await response.text();
    await route.fulfill({ response, body: text.replace('gpu.engine.capabilities().isFallbackAdapter', 'false') });
  });
  return page;
}

/** A page whose device is lost twice. */
export async function loseTwice(it, between = async () => {}) {
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
