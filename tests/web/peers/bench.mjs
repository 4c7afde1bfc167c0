/**
 * This engine beside onnxruntime-web in one tab of Chromium, in turns: mini's guided UNet pass and its decoder, or another
 * model's. On the processor (wasm, SIMD, one thread each, or with --threads one for each core), or with --webgpu on the
 * browser's WebGPU adapter. What both answer to the same numbers is compared first; with --webgpu also what each holds in
 * memory at most, in a browser of its own.
 *
 *     python -m training.export_onnx --out FOLDER        # from the repository's root; see its own first lines
 *     cd tests/web/peers && npm ci
 *     node bench.mjs --onnx FOLDER [--model FILE] [--webgpu | --threads] [--rounds N] [--steps N] [--json]
 *
 * FOLDER holds the networks as that script writes them, and what the text encoder makes of its prompts; OPENGEN_ONNX may name it too.
 * FILE is the same model for this engine, in the place of mini: SDXS of true size is `tests/golden/full_size.py make sdxs`.
 * Needs the built page in dist/ (cargo xtask size builds it). Ours is timed as a visitor has it, the pauses between
 * steps included; theirs is the session's run alone.
 */

import { existsSync, readFileSync } from 'node:fs';
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
    threads: { type: 'boolean', default: false }, webgpu: { type: 'boolean', default: false }, model: { type: 'string' },
  },
});
if (!options.onnx) {
  console.error('which folder holds unet.onnx and decoder.onnx? Name it with --onnx or in OPENGEN_ONNX; '
    + '`python -m training.export_onnx --out FOLDER` makes one from the repository’s root.');
  process.exit(2);
}
if (options.webgpu && options.threads) {
  console.error('--threads is the processor’s, --webgpu the adapter’s: one of both');
  process.exit(2);
}
const onnx = resolve(options.onnx);
const ort = join(here, 'node_modules/onnxruntime-web/dist');
for (const path of [...['unet.onnx', 'decoder.onnx', 'text.bin'].map((name) => join(onnx, name)), ort]) {
  if (!existsSync(path)) throw new Error(`no ${path}: see the first lines of ${fileURLToPath(import.meta.url)}`);
}

const server = await new Server(undefined, { isolated: options.threads, policy: null }).start();
// A gigabyte is too much for a route of Playwright's.
const networks = await new Server(onnx, { cors: true }).start();
const own = options.model && resolve(options.model);
const models = own && await new Server(dirname(own), { cors: true }).start();

/** What a page of a browser of its own answers, and the most memory that the browser's processes with a device and with pages have held. */
async function inBrowser(work, given) {
  const browser = await launch({ webgpu: options.webgpu });
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.route(`${server.url}ort/**`, (route) => {
    const { pathname } = new URL(route.request().url());
    const contentType = /\.mjs$/.test(pathname) ? 'text/javascript' : 'application/wasm';
    // A worker of an isolated page has to say that it is isolated too.
    const headers = { 'Content-Type': contentType, 'Cross-Origin-Embedder-Policy': 'require-corp' };
    return route.fulfill({ path: join(ort, pathname.slice('/ort/'.length)), headers });
  });
  await page.goto(`${server.url}blank.html`);
  const answer = await page.evaluate(work, {
    webgpu: options.webgpu, threads: options.threads, networks: networks.url,
    model: own ? { url: `${models.url}${basename(own)}` } : { id: MODEL.id }, ...given,
  });
  const { processInfo } = await (await browser.newBrowserCDPSession()).send('SystemInfo.getProcessInfo');
  const held = { GPU: 0, renderer: 0 };
  for (const { type, id } of processInfo.filter(({ type }) => type in held)) held[type] = Math.max(held[type], most(id));
  await browser.close();
  return { answer, held };
}

/** The most memory that a process has held, in bytes, where the system tells. */
function most(process) {
  const path = `/proc/${process}/status`;
  const line = existsSync(path) && /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(path, 'utf8'));
  return line ? 1024 * Number(line[1]) : 0;
}

const { answer: times } = await inBrowser(measure, { rounds: Number(options.rounds), steps: Number(options.steps), only: '' });
const memory = {};
if (options.webgpu) {
  for (const only of ['ours', 'theirs']) memory[only] = (await inBrowser(measure, { rounds: 1, steps: 1, only, dims: times.dims })).held;
}
await Promise.all([server, networks, models].map((one) => one?.kill()));

/**
 * In the page: both engines' answers to the same numbers, then both in turns, after one run of each that is not counted. `only`: one of both
 * alone, for its memory; `dims` are then those of the UNet's input.
 */
async function measure({ rounds, steps, model, threads, webgpu, networks, only, dims }) {
  const PROMPT = 'a red apple on a light blue background';
  const GUIDANCE = 2;
  const [withOurs, withTheirs] = [only !== 'theirs', only !== 'ours'];
  const runtime = await import(webgpu ? '/ort/ort.webgpu.min.mjs' : '/ort/ort.wasm.min.mjs');
  Object.assign(runtime.env.wasm, {
    numThreads: threads ? navigator.hardwareConcurrency : 1, wasmPaths: new URL('/ort/', location.href).href,
  });
  const session = (name) => withTheirs
    && runtime.InferenceSession.create(`${networks}${name}.onnx`, { executionProviders: [webgpu ? 'webgpu' : 'wasm'] });
  const [unet, decoder] = [await session('unet'), await session('decoder')];
  const tensor = (values, shape) => new runtime.Tensor('float32', Float32Array.from(values), shape);
  const inputOf = (one, name) => one.inputMetadata.find((input) => input.name === name).shape;
  const text = new Float32Array(await (await fetch(`${networks}text.bin`)).arrayBuffer());

  const [{ OpenGen }, { MODELS }] = await Promise.all([import('/client.js'), import('/models.js')]);
  const engine = webgpu ? 'webgpu' : 'cpu';
  const og = withOurs && await OpenGen.create({ engine, ...(model.id ? { model: MODELS.find(({ id }) => id === model.id) } : {}) });
  if (og && model.url) {
    await og.models.import({ id: 'own', url: model.url });
    await og.models.load('own');
  }
  const [rows, channels, high, wide] = unet ? inputOf(unet, 'sample') : dims;
  const size = { width: 8 * wide, height: 8 * high };
  const guidance = rows === 1 ? 1 : GUIDANCE;
  const request = { prompt: PROMPT, steps, seed: 1, sampler: 'euler', previews: false, guidance, ...size };
  const inputs = (latents, time) => ({
    sample: tensor(Array.from({ length: rows }, () => [...latents]).flat(), inputOf(unet, 'sample')),
    time: tensor([time], []), text: tensor(text, inputOf(unet, 'text')),
  });
  const away = (ours, theirs) => {
    const squares = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    return squares(theirs.map((value, at) => value - ours[at])) / squares(theirs);
  };
  const found = { ours: { unet: [], decode: [], whole: [] }, theirs: { unet: [], decode: [], whole: [] }, rows, dims: [rows, channels, high, wide] };
  let pass = unet && inputs(new Float32Array(channels * high * wide).map(() => Math.random() * 2 - 1), 500);
  let latents = decoder && tensor(pass.sample.data.subarray(0, channels * high * wide), inputOf(decoder, 'latents'));
  if (og && unet) {
    const { latents: begin } = await og.study({ what: 'begin', request });
    const step = await og.study({ what: 'step', request, index: 0, latents: begin });
    pass = inputs(step.input.latents, step.timestep);
    const { data } = (await unet.run(pass)).out;
    const row = data.length / rows;
    const guided = (at) => (rows === 1 ? data[at] : data[at] + guidance * (data[row + at] - data[at]));
    const { prediction } = await og.study({ what: 'schedule' });
    const noise = step.input.latents.map((x, at) => (prediction === 'v_prediction' ? step.signal * guided(at) + step.noiseShare * x
      : guided(at)));
    const picture = await og.study({ what: 'decode', latents: step.clean.latents, ...size });
    found.away = { unet: away(step.noise.latents, noise) };
    latents = tensor(step.clean.latents, inputOf(decoder, 'latents'));
    const theirs = (await decoder.run({ latents })).out.data;
    const levels = Float32Array.from({ length: theirs.length }, (_, at) => {
      const [channel, pixel] = [Math.floor(at / (theirs.length / 3)), at % (theirs.length / 3)];
      return picture.data[4 * pixel + channel];
    });
    found.away.decode = theirs.reduce((worst, value, at) => Math.max(worst, Math.abs(Math.min(Math.max((value + 1) * 127.5, 0), 255) - levels[at])), 0);
  }
  const timed = async (work) => {
    const start = performance.now();
    await work();
    return performance.now() - start;
  };
  for (let round = 0; round <= rounds; round++) {
    const timings = og && (await og.generate(request)).timings;
    const theirs = [];
    for (let i = 0; unet && i < steps; i++) theirs.push(await timed(() => unet.run(pass)));
    const decode = decoder && await timed(() => decoder.run({ latents }));
    if (round === 0 || only) continue;
    const all = theirs.reduce((a, b) => a + b);
    found.ours.unet.push(timings.denoiseMs / steps);
    found.ours.decode.push(timings.decodeMs);
    found.ours.whole.push(timings.denoiseMs + timings.decodeMs);
    found.theirs.unet.push(all / steps);
    found.theirs.decode.push(decode);
    found.theirs.whole.push(all + decode);
  }
  const { threads: used, adapter } = og ? og.capabilities() : {};
  og?.dispose?.();
  return { ...found, threads: used, adapter };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
// A device is given steps and decoder at once, and waited for at the end.
const stages = options.webgpu ? ['whole'] : ['unet', 'decode'];
const rows = stages.map((stage) => {
  const [ours, theirs] = [median(times.ours[stage]), median(times.theirs[stage])];
  return { stage, ours, theirs, ratio: ours / theirs };
});
if (options.json) {
  console.log(JSON.stringify({ rows, away: times.away, memory, adapter: times.adapter, threads: times.threads }, null, 2));
} else {
  const where = options.webgpu ? `WebGPU, ${times.adapter || 'SwiftShader, as Chromium was told'}` : `threads: ${times.threads}`;
  console.log(`medians of ${options.rounds} rounds, in ms           OpenGen  onnxruntime-web  ratio; ${where}`);
  for (const { stage, ours, theirs, ratio } of rows) {
    const name = { unet: times.rows > 1 ? 'guided UNet pass, batch 2' : 'UNet pass', decode: 'VAE decode',
      whole: `${options.steps} steps and the decoder` }[stage];
    console.log(`${name.padEnd(36)} ${ours.toFixed(1).padStart(8)} ${theirs.toFixed(1).padStart(16)} ${ratio.toFixed(2).padStart(18)}`);
  }
  console.log(`answers: the UNet's ${times.away.unet.toExponential(1)} apart, relative; the picture's ${times.away.decode.toFixed(2)} levels of 255 at most`);
  for (const [whose, { GPU, renderer }] of Object.entries(memory)) {
    console.log(`memory, ${whose} alone: ${(GPU / 1e6).toFixed(0)} MB in the process of the device, ${(renderer / 1e6).toFixed(0)} MB in the page's`);
  }
}
