/**
 * The first visit over slow lines: node slow.mjs [--rates 10,4,1.6] [--engine cpu|webgpu]
 *
 * A prompt is typed and sent as soon as the page takes it; the time runs from the navigation to the first picture. Rates
 * are in Mbit/s. All that the browser fetches, its workers' requests too, goes through one line of that rate, with the
 * delay that such lines have. OPENGEN_DIST measures another build of the page. Run it alone.
 */

import { connect, createServer } from 'node:net';
import { parseArgs } from 'node:util';
import { launch } from './browser.mjs';
import { Server } from './server.mjs';

/** Milliseconds there and back, by rate. */
const DELAYS = { 10: 60, 4: 100, 1.6: 300 };
/** What goes through the line at a time, in bytes. */
const PIECE = 8192;
const { values: options } = parseArgs({ options: { rates: { type: 'string', default: '10,4,1.6' }, engine: { type: 'string', default: 'cpu' } } });

/** A line of so many Mbit/s towards a port of this machine. `sent` counts the bytes that came through. */
async function line(port, rate) {
  const sockets = new Set();
  const it = { sent: 0 };
  let free = 0; // when the line has room again
  const through = async (bytes, to) => {
    for (let at = 0; at < bytes.length; at += PIECE) {
      const piece = bytes.subarray(at, at + PIECE);
      free = Math.max(free, performance.now()) + (piece.length * 8) / (rate * 1000);
      await new Promise((done) => setTimeout(done, free - performance.now()));
      if (to.destroyed) return;
      to.write(piece);
      it.sent += piece.length;
    }
  };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) sockets.add(socket.on('error', () => socket.destroy()));
    near.on('data', (bytes) => setTimeout(() => far.destroyed || far.write(bytes), DELAYS[rate] ?? 100));
    near.on('close', () => far.destroy());
    (async () => {
      for await (const bytes of far) await through(bytes, near);
      near.end();
    })().catch(() => near.destroy());
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  it.url = `http://127.0.0.1:${server.address().port}/`;
  it.close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return it;
}

const server = await new Server().start();
const browser = await launch();
for (const rate of options.rates.split(',').map(Number)) {
  const slow = await line(server.port, rate);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(600_000);
  const start = performance.now();
  const now = () => ((performance.now() - start) / 1000).toFixed(1);
  await page.goto(`${slow.url}?engine=${options.engine}`, { waitUntil: 'commit' });
  await page.locator('#prompt').fill('a red apple on a light blue background');
  await page.locator('#generate').click();
  await page.waitForFunction(() => document.querySelector('#model-chip').dataset.state === 'ready');
  const there = `the model is there after ${now()} s and ${(slow.sent / 1e6).toFixed(1)} MB`;
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Done in'));
  console.log(`${rate} Mbit/s: ${there}, the first picture after ${now()} s`);
  await context.close();
  slow.close();
}
await browser.close();
await server.kill();
