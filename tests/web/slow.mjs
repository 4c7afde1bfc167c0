/**
 * The first visit over slow networks: node slow.mjs [--rates 10,4,1.6] [--engine cpu|webgpu]
 *
 * A prompt is typed and sent as soon as the page takes it; the time runs from the navigation to the first picture. Rates
 * are in Mbit/s, with the delay that such lines have. OPENGEN_DIST measures another build of the page.
 */

import { parseArgs } from 'node:util';
import { launch } from './browser.mjs';
import { Server } from './server.mjs';

/** Milliseconds there and back, by rate. */
const DELAYS = { 10: 60, 4: 100, 1.6: 300 };
const { values: options } = parseArgs({ options: { rates: { type: 'string', default: '10,4,1.6' }, engine: { type: 'string', default: 'cpu' } } });
const server = await new Server().start();
const browser = await launch();

for (const rate of options.rates.split(',').map(Number)) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const network = await context.newCDPSession(page);
  const limits = { offline: false, latency: DELAYS[rate] ?? 100, downloadThroughput: rate * 125_000, uploadThroughput: rate * 125_000 };
  await network.send('Network.enable');
  await network.send('Network.emulateNetworkConditions', limits);
  // Workers, the service worker among them, have lines of their own.
  await network.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: true });
  server.faults = { bytesPerSecond: rate * 125_000 }; // what a worker fetches is held by the server
  const before = server.paths.length;
  const start = performance.now();
  await page.goto(`${server.url}?engine=${options.engine}`, { waitUntil: 'commit', timeout: 300_000 });
  await page.locator('#prompt').fill('a red apple on a light blue background', { timeout: 300_000 });
  await page.locator('#generate').click();
  const now = () => ((performance.now() - start) / 1000).toFixed(1);
  await page.waitForFunction(() => document.querySelector('#model-chip').dataset.state === 'ready', null, { timeout: 600_000 });
  const [model, files] = [now(), server.paths.length - before];
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Done in'), null, { timeout: 600_000 });
  console.log(`${rate} Mbit/s: model ready after ${model} s, ${files} other requests by then; first picture after ${now()} s`);
  await context.close();
  server.reset();
}
await browser.close();
await server.kill();
