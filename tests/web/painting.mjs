/**
 * Measures how many pictures a second *Draw while I paint* makes: node painting.mjs [--threads] [--webgpu] [--seconds N]
 *
 * Mini's apple is painted over without a pause, with the mouse, the page's own settings as they are, in headless Chromium: on the
 * processor, on one thread or with --threads on one for each core, or by WebGPU. What is printed counts the pictures that came on the
 * canvas while the hand moved. Needs the built page in dist/; a machine with something else to do makes fewer.
 */

import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { launch } from './browser.mjs';
import { MODEL, draw, promptOf, ready } from './page.mjs';
import { Server } from './server.mjs';

const { values: options } = parseArgs({
  options: { threads: { type: 'boolean', default: false }, webgpu: { type: 'boolean', default: false }, seconds: { type: 'string', default: '20' } },
});
const seconds = Number(options.seconds);

const server = await new Server(undefined, { isolated: options.threads }).start();
const browser = await launch({ webgpu: options.webgpu });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
await page.goto(`${server.url}?engine=${options.webgpu ? 'webgpu' : 'cpu'}`);
await ready(page);
await draw(page, 'a red apple on a light blue background');
await page.getByRole('radio', { name: 'Repaint', exact: true }).check({ force: true }); // its label lies above
const canvas = page.getByRole('application', { name: 'Paint over what is to be drawn anew' });
await canvas.waitFor();
await promptOf(page).fill('an orange on a light blue background');
await page.getByRole('checkbox', { name: 'Draw while I paint' }).check();
await page.evaluate(() => {
  window.drawn = 0;
  const under = document.querySelector('#mask .mask-under').getContext('2d');
  for (const name of ['putImageData', 'drawImage']) {
    const draws = under[name].bind(under);
    under[name] = (...what) => {
      window.drawn++;
      return draws(...what);
    };
  }
});

const load = loadavg()[0];
const { x, y, width, height } = await canvas.boundingBox();
const to = (/** @type {number} */ turn) => page.mouse.move(x + width * (0.5 + 0.25 * Math.cos(turn)), y + height * (0.5 + 0.25 * Math.sin(turn)));
await to(0);
await page.mouse.down();
for (let turn = 0; !(await page.evaluate(() => window.drawn)); turn += 0.1) await to(turn); // the first one prepares
const began = { at: performance.now(), drawn: await page.evaluate(() => window.drawn) };
for (let turn = 0; performance.now() - began.at < 1000 * seconds; turn += 0.1) {
  await to(turn);
  await page.waitForTimeout(30);
}
const drawn = await page.evaluate(() => window.drawn) - began.drawn;
const took = (performance.now() - began.at) / 1000;
await page.mouse.up();
const said = await page.locator('#live-words').innerText();
const threads = await page.evaluate(() => (crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1));
await browser.close();
await server.kill();
const by = options.webgpu ? 'WebGPU' : threads === 1 ? 'one thread' : `${threads} threads`;
console.log(`${MODEL.name}, ${by}: ${drawn} pictures in ${took.toFixed(1)} s, ${(drawn / took).toFixed(2)} a second; load before ${load.toFixed(2)}. ${said}`);
