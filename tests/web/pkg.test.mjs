/** The npm package as a web developer gets it: packed, installed into the examples, type-checked, built, run. */

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assertPanda, built, drawPanda, run, tarball, withoutMini, workshop } from './packed.mjs';
import { MODEL, fileOf } from './page.mjs';
import { DIST } from './server.mjs';

const it = workshop({ before, after });
const { work, install, serve, open, openAt } = it;
const vite = join(work, 'vite-typescript');

/** Runs one of the functions of package/calls.ts. */
async function call(name) {
  calls ??= await open(join(work, 'calls'));
  return calls.evaluate((which) => globalThis.calls[which](), name);
}
let calls = null;

test('the package holds the page’s own client, both engines and the model, and nothing else', () => {
  const listed = run(`tar -tzf ${tarball()}`, work).trim().split('\n').map((path) => path.replace(/^package\//, ''));
  for (const path of ['package.json', 'README.md', 'LICENSE-MIT', 'LICENSE-APACHE', 'THIRD_PARTY.md', 'dist/client.js',
    'dist/client.d.ts', 'dist/worker.js', 'dist/opengen-gpu.js', 'dist/opengen-gpu_bg.wasm', 'dist/opengen-learn.js', 'dist/opengen-learn_bg.wasm', 'dist/opengen-cpu.js',
    'dist/opengen-cpu_bg.wasm', 'dist/models.js', 'dist/models.d.ts', 'dist/models/mini/mini-q8_0.gguf', 'dist/clip/merges.txt']) {
    assert.ok(listed.includes(path), `${path} is packed`);
  }
  assert.deepEqual(listed.filter((path) => !/^(package\.json|README\.md|LICENSE-\w+|THIRD_PARTY\.md|dist\/.*\.(js|d\.ts|wasm|gguf|txt))$/.test(path)), []);
  run(`tar -xzf ${tarball()}`, work);
  for (const path of listed.filter((name) => /^dist\/.*\.(js|wasm)$/.test(name))) {
    const name = path.slice(5);
    // threads.js is its own: one thread, whatever the page.
    const folder = name === 'threads.js' ? '../../pkg' : '../../www';
    const ours = name.startsWith('opengen-') ? DIST : join(import.meta.dirname, folder);
    assert.ok(readFileSync(join(work, 'package', path)).equals(readFileSync(join(ours, name))), `${path} is as in ${ours}`);
  }
});

test('plain HTML: the example makes a picture', async () => {
  await drawPanda(await open(install('plain-html')));
});

test('a custom element of at most 3 kB draws when it is seen, says how far it is, and draws again', async () => {
  const folder = install('custom-element');
  assert.ok(statSync(join(folder, 'open-gen.js')).size <= 3072, 'as it is written, not minified');
  const page = await open(folder, { policy: null }); // the example has its import map in the page
  const first = page.locator('open-gen').first();
  await page.locator('open-gen[state="done"] img[alt="a panda on a pink background"]').waitFor();
  await assertPanda(page);
  await page.locator('open-gen[state="done"] img[alt="a fox in the snow"]').waitFor();
  assert.deepEqual(await first.evaluate((element) => [element.shadowRoot, element.querySelector('[role=status]').textContent]),
    [null, '']);
  const told = first.evaluate((element) => new Promise((done) => {
    const heard = [];
    element.addEventListener('progress', ({ detail }) => heard.push(detail.step));
    element.addEventListener('done', ({ detail }) => done([heard, detail.seed, detail.blob.type]));
    element.setAttribute('steps', '2');
  }));
  assert.deepEqual(await told, [[1, 2], 1, 'image/png']);
  await first.evaluate((element) => element.setAttribute('width', '65'));
  await first.getByText(/multiple of 8/).waitFor();
  assert.equal(await first.getAttribute('state'), 'failed');
  assert.deepEqual(page.trouble, []);
});

/** A page of its own origin that uses the package from another one. */
async function elsewhere({ cors = true, policy, main }) {
  const cdn = await serve(join(work, 'plain-html/node_modules/opengen'), { cors });
  const home = await serve(work, { policy: policy?.(new URL(cdn.url).origin) ?? null });
  home.overlay.set('/index.html', '<!doctype html><script type="module" src="main.js"></script><p id="said">');
  home.overlay.set('/main.js', `
    const said = document.getElementById('said');
    const { OpenGen, OpenGenError } = await import('${cdn.url}dist/client.js');
    const { mini } = await import('${cdn.url}dist/models.js');
    try {
      said.textContent = await (${main})(OpenGen, mini, '${cdn.url}');
    } catch (error) {
      said.textContent = error instanceof OpenGenError ? error.code + ': ' + error.message : 'not typed: ' + error;
    }`);
  return home;
}
const draws = async (OpenGen, mini) => {
  const og = await OpenGen.create({ model: mini });
  const { image, seed } = await og.generate({ prompt: 'a panda', steps: 2, seed: 7 });
  return `${og.capabilities().engine} ${image.width} ${seed}`;
};

test('from another origin: worker, engine and model come from there, under a policy that names it', async () => {
  const home = await elsewhere({
    main: draws,
    policy: (cdn) => `default-src 'self'; script-src 'self' ${cdn} 'wasm-unsafe-eval'; connect-src ${cdn}; worker-src blob: ${cdn}`,
  });
  const page = await openAt(home);
  await page.getByText(`cpu ${MODEL.width} 7`, { exact: true }).waitFor();
  assert.deepEqual(page.trouble, []);
  assert.deepEqual(home.paths.filter((path) => !['/', '/main.js', '/favicon.ico'].includes(path)), []);
});

test('from another origin, named with workerUrl; and one that does not allow it is an error with a code', async () => {
  const home = await elsewhere({
    main: async (OpenGen, mini, cdn) => {
      const og = await OpenGen.create({ model: mini, workerUrl: `${cdn}dist/worker.js` });
      const { engines } = await OpenGen.detect({ workerUrl: new URL('dist/worker.js', cdn) });
      return `${og.capabilities().engine}, ${engines[0].name} of ${engines[0].bytes > 1e6 ? 'megabytes' : engines[0].bytes}`;
    },
  });
  await (await openAt(home)).getByText('cpu, cpu of megabytes', { exact: true }).waitFor();

  const closed = await serve(join(work, 'plain-html/node_modules/opengen'));
  const refused = await elsewhere({ main: `(OpenGen) => OpenGen.create({ workerUrl: '${closed.url}dist/worker.js' })` });
  await (await openAt(refused)).getByText(/^NETWORK: the worker did not start: its files did not arrive/).waitFor();
});

test('from another origin, where the page’s policy allows no worker: an error with a code that says so', async () => {
  const home = await elsewhere({
    main: draws,
    policy: (cdn) => `default-src 'self'; script-src 'self' ${cdn} 'wasm-unsafe-eval'; connect-src ${cdn}; worker-src 'self'`,
  });
  await (await openAt(home)).getByText(/^NETWORK: .* the page’s policy \(worker-src\) does not allow it$/).waitFor();
});

test('Vite and TypeScript: the example is installed, type-checked, built, and makes a picture', async () => {
  install('vite-typescript');
  run('npm run build', vite);
  const dist = join(vite, 'dist');
  assert.equal(built(dist, '.wasm').length, 3, 'three engines: the GPU’s, the one that learns there, the processor’s');
  assert.equal(built(dist, '.gguf').length, 1, 'one model');

  const page = await open(join(vite, 'dist'));
  await page.getByText('Ready, on the processor').waitFor();
  const fetched = it.servers.at(-1).paths.filter((path) => path.endsWith('.wasm'));
  assert.ok(fetched.length === 1 && /opengen-cpu_bg/.test(fetched[0]), `the processor's engine alone: ${fetched}`);
  await page.getByLabel('Prompt').fill('a panda on a pink background');
  await page.getByRole('button', { name: 'Generate' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('ABORTED: cancelled').waitFor();
  await page.getByRole('button', { name: 'Generate' }).click();
  await page.getByText(/^Seed \d+, /).waitFor();
  const picture = page.getByRole('img', { name: 'a panda on a pink background' });
  assert.deepEqual(await picture.evaluate((canvas) => [canvas.width, canvas.height]), [MODEL.width, MODEL.height]);
  assert.deepEqual(page.trouble, []);
});

test('without opengen/mini neither its weights nor its words are part of what is built', () => {
  const folder = join(vite, 'bare');
  mkdirSync(folder);
  writeFileSync(join(folder, 'index.html'), '<!doctype html><script type="module" src="main.js"></script>');
  writeFileSync(join(folder, 'main.js'), `
    import { OpenGen } from 'opengen';
    OpenGen.create({ model: './own.gguf' }).then(console.log);`);
  run(`npx vite build bare --outDir ${join(work, 'bare')}`, vite);
  withoutMini(join(work, 'bare'));
});

test('a program that makes every call is type-checked and built without any setting', () => {
  cpSync(join(import.meta.dirname, 'package'), join(vite, 'calls'), { recursive: true });
  run('npx tsc --project calls', vite);
  run(`npx vite build calls --outDir ${join(work, 'calls')}`, vite);
  mkdirSync(join(work, 'calls/private'));
  cpSync(fileOf(MODEL), join(work, 'calls/private/mini-q8_0.gguf'));
});

test('pictures come as ImageData, ImageBitmap and PNG file, with steps, stages, seed and times', async () => {
  const made = await call('pictures');
  assert.deepEqual(made.imageData, [64, 64]);
  assert.deepEqual(made.bitmap, [64, 64]);
  assert.equal(made.blob, 'image/png');
  assert.equal(made.files, 2, 'a batch of two is two files');
  assert.ok(made.same, 'the file holds the same pixels');
  assert.ok(made.deviation > 4, `a flat picture: ${made.deviation}`);
  assert.equal(made.engine, 'cpu');
  assert.equal(made.seed, 7);
  assert.ok(made.totalMs > 0);
  assert.deepEqual(made.notices, []);
  assert.deepEqual(made.steps, [1, 2, 3]);
  assert.deepEqual(made.previews, [true, true, true]);
  assert.deepEqual(made.stages, ['text', 'denoise', 'decode']);
  assert.ok(made.phases.includes('download') && made.phases.includes('upload'), made.phases.join());
});

test('an aborted call rejects with ABORTED, and the next one works', async () => {
  const { after: late, next, ...codes } = await call('aborted');
  assert.deepEqual(codes, { running: 'ABORTED', waiting: 'ABORTED', already: 'ABORTED', creating: 'ABORTED',
    neverCreated: 'ABORTED' });
  assert.ok(late <= 1, `${late} steps after the signal`);
  assert.equal(next, 'fine');
});

test('what cannot be rejects with a code, and a bad option with its name', async () => {
  assert.deepEqual(await call('refused'), {
    withoutModel: 'INVALID_INPUT model', noSuchModel: 'INVALID_INPUT model', steps: 'INVALID_INPUT steps',
    width: 'INVALID_INPUT width', guidance: 'INVALID_INPUT guidance', seed: 'INVALID_INPUT seed',
    batch: 'INVALID_INPUT batch', sampler: 'INVALID_INPUT sampler', imageType: 'INVALID_INPUT imageType',
    prompt: 'INVALID_INPUT prompt', nothing: 'INVALID_INPUT prompt', engine: 'INVALID_INPUT engine',
    model: 'INVALID_INPUT model', cfg: 'INVALID_INPUT cfg', load: 'INVALID_INPUT strength', description: 'INVALID_INPUT sha',
    question: 'INVALID_INPUT what', part: 'INVALID_INPUT text', size: 'INVALID_INPUT size', every: 'INVALID_INPUT every',
    share: 'INVALID_INPUT walk', file: 'INVALID_INPUT png', function: 'INVALID_INPUT', create: 'INVALID_INPUT modle',
    unstored: 'INVALID_INPUT model', noWorker: 'NETWORK', badWorker: 'INVALID_INPUT workerUrl', notThere: 'NETWORK', noModelFile: 'NETWORK', webgpu: 'UNSUPPORTED',
  });
});

test('a signal’s reason is the cause, running out of time a TimeoutError, and both may be tried again', async () => {
  assert.deepEqual(await call('reasons'), {
    late: ['ABORTED', 'TimeoutError', true], lateCause: 'TimeoutError', left: ['ABORTED', 'AbortError', true], leftCause: true,
    never: ['ABORTED', 'AbortError', true], neverCause: true, closed: ['ABORTED', 'AbortError', false],
  });
});

test('what would run and be fetched is known before an engine starts', async () => {
  const page = await open(join(work, 'calls'));
  const { before: first, path, webgpu, wrong, databases, after: later, stored } =
    await page.evaluate(() => globalThis.calls.detected());
  const weight = (name) => statSync(join(work, 'package/dist', name)).size;
  const engine = { name: 'cpu', bytes: weight('opengen-cpu.js') + weight('opengen-cpu_bg.wasm'), cached: false };
  assert.deepEqual([first.engine, first.f16, first.adapter, first.isFallbackAdapter], ['cpu', false, null, false]);
  assert.match(first.reason, /no WebGPU/);
  assert.deepEqual(first.engines, [engine]);
  assert.deepEqual(first.model, { id: 'mini', bytes: MODEL.bytes, stored: false });
  assert.equal(first.download, engine.bytes + MODEL.bytes);
  assert.ok(first.memory.weights > 3 * MODEL.bytes && first.memory.working > 0, JSON.stringify(first.memory));
  assert.match(path.reason, /as asked/);
  assert.deepEqual([path.model, path.memory, path.download], [null, null, engine.bytes]);
  assert.deepEqual([webgpu.engine, webgpu.engines[0].name], ['webgpu', 'webgpu']);
  assert.match(webgpu.reason, /will not start/);
  assert.deepEqual(wrong, ['INVALID_INPUT engine', 'INVALID_INPUT onProgress', 'INVALID_INPUT model', 'ABORTED']);
  assert.equal(databases, 0, 'a look makes no database');
  assert.deepEqual(later.model, { ...first.model, stored: true });
  // What a service worker keeps counts too; the browser's own cache takes in private windows no file of this size.
  const engines = it.servers.at(-1).paths.filter((name) => /opengen-cpu/.test(name));
  await page.evaluate(async (names) => (await caches.open('kept')).addAll(names), [...new Set(engines)]);
  const last = await page.evaluate(() => globalThis.calls.detectedAgain());
  assert.deepEqual([last.engines, last.download], [[{ ...engine, cached: true }], 0]);
  assert.deepEqual([stored.model.id, stored.model.stored], ['mini', true]);
});

test('seeds of 64 bits come as BigInt or as text, in variations and walks too', async () => {
  assert.deepEqual(await call('seeds'), {
    seed: '18446744073709551615', same: true, small: 7, varied: true, walked: true, beyond: 'INVALID_INPUT seed',
  });
});

test('a run is an iterator with previews of a size and at a rate; leaving it stops the work', async () => {
  assert.deepEqual(await call('streamed'), {
    types: ['stage', 'step', 'done'], steps: [[1, null], [2, [48, 96]], [3, null], [4, [48, 96]], [5, [48, 96]]], size: [64, 128],
    left: 2, next: 'fine', failed: 'INVALID_INPUT', queue: [1, 0, 1, 0, 1, 0, 1, 0], length: 0,
  });
});

test('the model is looked into and a file’s settings are read, with types', async () => {
  assert.deepEqual(await call('studied'), {
    last: 1000, prediction: 'v_prediction', tokens: ['a', 'cat'], steps: MODEL.defaults.steps, maps: true, picture: [64, 64],
    film: true, settings: ['a cat', String(2n ** 60n), 2],
  });
});

test('a model that is not public: by a header that is not kept, or by the program’s own fetch', async () => {
  assert.deepEqual(await call('privately'), {
    refused: ['NETWORK', false], allowed: ['fine', false], fetched: ['fine', false], asked: ['vault:mini'],
    failing: ['NETWORK', false], stopped: 'ABORTED',
  });
});

test('what `using` holds is disposed of', async () => {
  assert.deepEqual(await call('used'), ['ABORTED', 'ABORTED', { from: 1, to: 1000 }]);
});

test('queued calls all resolve with seeds of their own, and two engines make the same picture', async () => {
  const { seeds, same, behind } = await call('several');
  assert.equal(new Set(seeds).size, 2, `seeds ${seeds}`);
  assert.ok(same);
  assert.equal(behind, 'fine');
});

test('models are imported from a file, listed, used, fetched by address, removed', async () => {
  const models = await call('models');
  assert.deepEqual(models.known, ['mini']);
  assert.equal(models.imported.id, 'mine.gguf 1');
  assert.equal(models.imported.complete, true);
  assert.equal(models.unused, 'INVALID_INPUT model', 'importing does not load');
  assert.deepEqual(models.listed.filter(([id]) => id === 'mine.gguf 1'), [['mine.gguf 1', true]]);
  assert.equal(models.loaded.fromStore, true);
  assert.deepEqual(models.size, [MODEL.width, MODEL.height]);
  assert.ok(models.fetched, 'another address is another model');
  assert.ok(models.room >= 2);
  assert.ok(models.used);
  assert.equal(models.broken, 'BAD_MODEL');
  assert.equal(models.stopped, 'ABORTED');
  assert.deepEqual(models.left, []);
});

test('dispose ends the worker, and every call with ABORTED', async () => {
  const page = await open(join(work, 'calls'));
  const ended = new Promise((done) => page.on('worker', (worker) => worker.on('close', done)));
  assert.deepEqual(await page.evaluate(() => globalThis.calls.disposed()), Array(4).fill('ABORTED'));
  await ended;
  assert.equal(page.workers().length, 0);
});
