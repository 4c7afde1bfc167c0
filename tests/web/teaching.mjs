/**
 * Measures how long Mini is taught in the view Teach, from the press to the first use: node teaching.mjs [--threads] [--steps N] [--json]
 *
 * Five drawings of a made-up creature, the preset as it is unless --steps says otherwise, in headless Chromium without WebGPU, on one
 * thread or with --threads on one for each core. Minutes are those of a machine that has nothing else to do: the load before is told,
 * and the seconds of processor time that the browser took. Needs the built page in dist/, and Linux for processor time.
 */

import { readFileSync, readdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { launch } from './browser.mjs';
import { asFiles, drawn } from './creature.mjs';
import { MODEL, draw, promptOf, ready } from './page.mjs';
import { Server } from './server.mjs';

const { values: options } = parseArgs({
  options: { threads: { type: 'boolean', default: false }, steps: { type: 'string' }, json: { type: 'boolean', default: false } },
});
/** What the view says while each part goes on. @type {Record<string, RegExp>} */
const PARTS = { class: /^It draws what it knows/, pictures: /^Your pictures are read/, steps: /^Step \d/, learnt: /is among your LoRAs/ };
/** The kernel's unit of processor time, in seconds. */
const TICK = 0.01;

/** Seconds of processor time of this process's children, and theirs. */
function processorTime() {
  /** @type {Map<number, {parent: number, ticks: number}>} */ const all = new Map();
  for (const name of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /s, '').split(' '); // from the state on
      all.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
    } catch {
      // it has ended
    }
  }
  const isOurs = (/** @type {number} */ id) => {
    for (let at = all.get(id)?.parent; at; at = all.get(at)?.parent) if (at === process.pid) return true;
    return false;
  };
  return [...all].filter(([id]) => isOurs(id)).reduce((sum, [, { ticks }]) => sum + ticks * TICK, 0);
}

const server = await new Server(undefined, { isolated: options.threads }).start();
const browser = await launch({ webgpu: false });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
await page.goto(`${server.url}?engine=cpu#teach`);
await ready(page);
await page.locator('#teach-files').setInputFiles(asFiles(await drawn(page, 5)));
await page.locator('.teach-pictures li').nth(4).waitFor();
await page.getByLabel('What kind of thing it is').fill('alien monster');
for (const [at, ground] of ['white', 'pink', 'light blue', 'yellow', 'green'].entries()) {
  await page.getByLabel(`What picture ${at + 1} shows`).fill(`a zorp alien monster on a ${ground} background`);
}
if (options.steps) {
  await page.locator('.teach-details > summary').click();
  await page.locator('#teach-steps').fill(options.steps);
}

const load = loadavg()[0];
const begun = { at: performance.now(), processor: processorTime() };
const since = () => ({ seconds: (performance.now() - begun.at) / 1000, processor: processorTime() - begun.processor });
const status = page.locator('.teach-status');
/** When each part began. @type {Record<string, {seconds: number, processor: number}>} */ const parts = {};
await page.getByRole('button', { name: 'Teach it' }).click();
let said = '';
while (!parts.learnt) {
  await pause(200);
  said = await status.innerText();
  const part = Object.keys(PARTS).find((name) => PARTS[name].test(said));
  if (part && !parts[part]) {
    parts[part] = since();
    console.error(`${part}: after ${parts[part].seconds.toFixed(1)} s`);
  }
  const wrong = page.locator('.field-error:visible');
  if (await wrong.count()) throw new Error(await wrong.first().innerText());
}
await page.getByRole('button', { name: 'Draw it' }).click();
await draw(page, await promptOf(page).inputValue());
parts.drawn = since();
const threads = await page.evaluate(() => (crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1));
await browser.close();
await server.kill();

if (options.json) console.log(JSON.stringify({ model: MODEL.id, threads, load, said, parts }));
else {
  console.log(`${MODEL.name}, ${threads === 1 ? 'one thread' : `${threads} threads`}; load before ${load.toFixed(2)}. ${said}`);
  for (const [name, { seconds, processor }] of Object.entries(parts)) {
    console.log(`  ${name.padEnd(10)} after ${seconds.toFixed(1).padStart(7)} s, ${processor.toFixed(1).padStart(7)} s of processor time`);
  }
}
