/**
 * Measures the page's engine in Chromium: node bench.mjs [--engine webgpu|cpu] [--steps N] [--runs N] [--json]
 *
 * First visit (fetch, store, load, first picture), second visit (load from the store), then pictures that are timed
 * stage by stage. On SwiftShader the times say nothing about real GPUs; counts and sizes hold everywhere.
 */

import { parseArgs } from 'node:util';
import { launch } from './browser.mjs';
import { MODEL } from './page.mjs';
import { Server } from './server.mjs';

const { values: options } = parseArgs({
  options: {
    engine: { type: 'string', default: 'webgpu' }, steps: { type: 'string', default: String(MODEL.defaults.steps) },
    runs: { type: 'string', default: '3' }, json: { type: 'boolean', default: false },
  },
});

const server = await new Server().start();
const browser = await launch({ webgpu: options.engine !== 'cpu' });
const context = await browser.newContext();

/** Runs `visit` in a new tab of the same profile. */
async function inTab(visit, more) {
  const page = await context.newPage();
  await page.goto(`${server.url}blank.html`);
  const result = await page.evaluate(visit, { ...options, model: MODEL.id, ...more });
  await page.close();
  return result;
}

const first = await inTab(measure, { runs: 1 });
const again = await inTab(measure, {});
await browser.close();
await server.kill();

/** In the page: starts, loads, draws. */
async function measure({ engine, model, steps, runs }) {
  const [{ OpenGen }, { MODELS }] = await Promise.all([import('./client.js'), import('./models.js')]);
  const start = performance.now();
  const og = await OpenGen.create({ engine });
  const started = performance.now();
  const loaded = await og.models.load(MODELS.find(({ id }) => id === model));
  const ready = performance.now();
  const made = [];
  for (let seed = 0; seed < Number(runs) + 1; seed++) {
    const from = performance.now();
    const { timings, stats } = await og.generate({
      prompt: 'a red apple on a light blue background', steps: Number(steps), seed, previews: true,
    });
    made.push({ ...timings, wallMs: performance.now() - from, stats, untilMs: performance.now() - start });
  }
  const capabilities = og.capabilities();
  og.dispose();
  return { startMs: started - start, loadMs: ready - started, fromStore: loaded.fromStore, capabilities, made };
}

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const warm = again.made.slice(1);
const { stats } = warm.at(-1);
const report = {
  model: MODEL.id, steps: Number(options.steps), guidance: MODEL.defaults.guidance,
  engine: again.capabilities.engine, adapter: again.capabilities.adapter,
  firstVisit: { startMs: first.startMs, fetchAndLoadMs: first.loadMs, toFirstPictureMs: first.made[0].untilMs },
  secondVisit: { startMs: again.startMs, loadMs: again.loadMs, fromStore: again.fromStore,
    toFirstPictureMs: again.made[0].untilMs },
  picture: Object.fromEntries(['textMs', 'denoiseMs', 'decodeMs', 'totalMs', 'wallMs']
    .map((stage) => [stage, median(warm.map((run) => run[stage]))])),
  unetPassMs: median(warm.map((run) => run.denoiseMs / Number(options.steps))),
  dispatchesPerUnetPass: stats.dispatchesPerStep,
  newBuffersPerStep: stats.newBuffersPerStep,
  newBindGroupsPerStep: stats.newBindGroupsPerStep,
  gpuBytes: Math.max(...again.made.map((run) => run.stats.gpuBytes)),
  wasmHeapBytes: Math.max(...[...first.made, ...again.made].map((run) => run.stats.wasmHeapBytes)),
};

if (options.json) {
  console.log(JSON.stringify(report, null, 2));
} else {
  const ms = (value) => `${value.toFixed(0)} ms`;
  const mib = (value) => `${(value / 2 ** 20).toFixed(1)} MiB`;
  const rows = [
    ['model', `${report.model}, ${report.steps} steps, guidance ${report.guidance}`],
    ['engine', `${report.engine} (${report.adapter})`],
    ['first visit: engine started', ms(report.firstVisit.startMs)],
    ['first visit: model fetched, stored, loaded', ms(report.firstVisit.fetchAndLoadMs)],
    ['first visit to first picture', ms(report.firstVisit.toFirstPictureMs)],
    ['second visit: model loaded from the store', ms(report.secondVisit.loadMs)],
    ['second visit to first picture', ms(report.secondVisit.toFirstPictureMs)],
    ['picture: words', ms(report.picture.textMs)],
    ['picture: denoising', `${ms(report.picture.denoiseMs)}, ${ms(report.unetPassMs)} a step`],
    ['picture: decoding', ms(report.picture.decodeMs)],
    ['picture: all, as the page waits', ms(report.picture.wallMs)],
    ['dispatches per UNet pass', String(report.dispatchesPerUnetPass)],
    ['new buffers per step', String(report.newBuffersPerStep)],
    ['new bind groups per step', String(report.newBindGroupsPerStep)],
    ['GPU bytes, peak', mib(report.gpuBytes)],
    ['wasm heap', mib(report.wasmHeapBytes)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) console.log(`${name.padEnd(width)}  ${value}`);
}
