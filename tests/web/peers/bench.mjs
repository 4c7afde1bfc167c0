/**
 * The CPU path beside onnxruntime-web's wasm provider (SIMD, one thread each, or with --threads one for each core): mini's
 * guided UNet pass and its decoder, or another model's, in one tab of Chromium, in turns.
 *
 *     python -m training.export_onnx --out FOLDER        # from the repository's root; see its own first lines
 *     cd tests/web/peers && npm ci && node bench.mjs --onnx FOLDER [--model FILE] [--threads] [--rounds N] [--steps N] [--json]
 *
 * FOLDER holds the two networks as that script writes them, unet.onnx and decoder.onnx; OPENGEN_ONNX may name it too. FILE is the
 * same model for this engine, in the place of mini: SDXS of true size is `tests/golden/full_size.py make sdxs`.
 * Needs the built page in dist/ (cargo xtask size builds it). Ours is timed as a visitor has it, the pauses between
 * steps included; theirs is the session's run alone.
 */

import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { launch } from '../browser.mjs';
import { MODEL } from '../page.mjs';
import { Server } from '../server.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const { values: options } = parseArgs({
  options: {
    onnx: { type: 'string', default: process.env.OPENGEN_ONNX }, rounds: { type: 'string', default: '7' },
    steps: { type: 'string', default: '10' }, json: { type: 'boolean', default: false },
    threads: { type: 'boolean', default: false }, model: { type: 'string' },
  },
});
if (!options.onnx) {
  console.error('which folder holds unet.onnx and decoder.onnx? Name it with --onnx or in OPENGEN_ONNX; '
    + '`python -m training.export_onnx --out FOLDER` makes one from the repository’s root.');
  process.exit(2);
}
const onnx = resolve(options.onnx);
const ort = join(here, 'node_modules/onnxruntime-web/dist');
for (const path of [join(onnx, 'unet.onnx'), join(onnx, 'decoder.onnx'), ort]) {
  if (!existsSync(path)) throw new Error(`no ${path}: see the first lines of ${fileURLToPath(import.meta.url)}`);
}

const server = await new Server(undefined, { isolated: options.threads, policy: null }).start();
// A gigabyte is too much for a route of Playwright's.
const networks = await new Server(onnx, { cors: true }).start();
const own = options.model && resolve(options.model);
const models = own && await new Server(dirname(own), { cors: true }).start();
const browser = await launch({ webgpu: false });
const page = await browser.newPage();
await page.route(`${server.url}ort/**`, (route) => {
  const { pathname } = new URL(route.request().url());
  const contentType = /\.mjs$/.test(pathname) ? 'text/javascript' : 'application/wasm';
  // A worker of an isolated page has to say that it is isolated too.
  const headers = { 'Content-Type': contentType, 'Cross-Origin-Embedder-Policy': 'require-corp' };
  return route.fulfill({ path: join(ort, pathname.slice('/ort/'.length)), headers });
});
await page.goto(`${server.url}blank.html`);
const times = await page.evaluate(measure, {
  rounds: Number(options.rounds), steps: Number(options.steps), threads: options.threads, networks: networks.url,
  model: own ? { url: `${models.url}${basename(own)}` } : { id: MODEL.id },
});
await browser.close();
await Promise.all([server, networks, models].map((one) => one?.kill()));

/** In the page: both engines in turns, after one run of each that is not counted. */
async function measure({ rounds, steps, model, threads, networks }) {
  const runtime = await import('/ort/ort.wasm.min.mjs');
  Object.assign(runtime.env.wasm, {
    numThreads: threads ? navigator.hardwareConcurrency : 1, wasmPaths: new URL('/ort/', location.href).href,
  });
  const session = (name) => runtime.InferenceSession.create(`${networks}${name}.onnx`, { executionProviders: ['wasm'] });
  const [unet, decoder] = [await session('unet'), await session('decoder')];
  const random = (...shape) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => Math.random() * 2 - 1);
    return new runtime.Tensor('float32', values, shape);
  };
  const time = new runtime.Tensor('float32', Float32Array.of(500), []);
  const inputsOf = (one) => Object.fromEntries(one.inputMetadata.map(({ name, shape }) => [name, name === 'time' ? time : random(...shape)]));
  const [inputs, latents] = [unet, decoder].map(inputsOf);
  const [rows, , high, wide] = inputs.sample.dims;
  const timed = async (work) => {
    const start = performance.now();
    await work();
    return performance.now() - start;
  };

  const [{ OpenGen }, { MODELS }] = await Promise.all([import('/client.js'), import('/models.js')]);
  const og = await OpenGen.create({ engine: 'cpu', ...(model.id ? { model: MODELS.find(({ id }) => id === model.id) } : {}) });
  if (model.url) {
    await og.models.import({ id: 'own', url: model.url });
    await og.models.load('own');
  }
  const request = { prompt: 'a red apple on a light blue background', steps, seed: 1, previews: false, width: 8 * wide, height: 8 * high };
  const picture = () => og.generate({ ...request, ...(rows === 1 ? { guidance: 1 } : {}) });
  const found = { ours: { unet: [], decode: [] }, theirs: { unet: [], decode: [] } };
  for (let round = 0; round <= rounds; round++) {
    const { timings } = await picture();
    const theirs = [];
    for (let i = 0; i < steps; i++) theirs.push(await timed(() => unet.run(inputs)));
    const decode = await timed(() => decoder.run(latents));
    if (round === 0) continue;
    found.ours.unet.push(timings.denoiseMs / steps);
    found.ours.decode.push(timings.decodeMs);
    found.theirs.unet.push(theirs.reduce((a, b) => a + b) / steps);
    found.theirs.decode.push(decode);
  }
  found.threads = og.capabilities().threads;
  found.rows = rows;
  og.dispose();
  return found;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const rows = ['unet', 'decode'].map((stage) => {
  const [ours, theirs] = [median(times.ours[stage]), median(times.theirs[stage])];
  return { stage, ours, theirs, ratio: ours / theirs };
});
if (options.json) {
  console.log(JSON.stringify(rows, null, 2));
} else {
  console.log(`medians of ${options.rounds} rounds, in ms           OpenGen  onnxruntime-web  ratio (limit 1.05), threads: ${times.threads}`);
  for (const { stage, ours, theirs, ratio } of rows) {
    const name = stage === 'unet' ? (times.rows > 1 ? 'guided UNet pass, batch 2' : 'UNet pass') : 'VAE decode';
    console.log(`${name.padEnd(36)} ${ours.toFixed(1).padStart(8)} ${theirs.toFixed(1).padStart(16)} ${ratio.toFixed(2).padStart(18)}`);
  }
}
