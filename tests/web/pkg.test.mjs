/** The npm package as a web developer gets it: packed, installed into the examples, type-checked, built, run. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { MODEL, PATIENCE } from './page.mjs';
import { DIST, Server } from './server.mjs';

const root = join(import.meta.dirname, '../..');
const work = mkdtempSync(join(tmpdir(), 'opengen-pkg-'));
const vite = join(work, 'vite-typescript');
/** Without WebGPU: what is tested here is the way to the engine, and the CPU is quicker than a software adapter. */
let browser;
const servers = [];

before(async () => {
  browser = await launch({ webgpu: false });
});

after(async () => {
  await browser?.close();
  for (const server of servers) await server.kill();
  rmSync(work, { recursive: true, force: true });
});

/** Made by `cargo xtask pkg`; OPENGEN_PACKAGE names another. */
function tarball() {
  if (process.env.OPENGEN_PACKAGE) return resolve(process.env.OPENGEN_PACKAGE);
  const { name, version } = JSON.parse(readFileSync(join(root, 'pkg/package.json'), 'utf8'));
  const path = join(root, 'pkg', `${name}-${version}.tgz`);
  assert.ok(existsSync(path), `no ${path}: run cargo xtask pkg, or set OPENGEN_PACKAGE`);
  return path;
}

function run(command, folder) {
  const [program, ...words] = command.split(' ');
  try {
    return execFileSync(program, words, { cwd: folder, encoding: 'utf8', stdio: 'pipe', timeout: 3 * PATIENCE });
  } catch (error) {
    throw new Error(`${command}: ${error.message}\n${error.stdout}\n${error.stderr}`);
  }
}

/** Copies an example and installs the packed package into it; all else as its lock file says. */
function install(name) {
  const folder = join(work, name);
  cpSync(join(root, 'examples', name), folder, {
    recursive: true, filter: (path) => !/[\\/](node_modules|dist)$/.test(path),
  });
  run(`npm install --no-audit --no-fund --prefer-offline ${tarball()}`, folder);
  return folder;
}

/** Opens a served folder; what must not happen is written down in `trouble`. */
async function open(folder) {
  const server = await new Server(folder).start();
  servers.push(server);
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(PATIENCE);
  page.trouble = [];
  page.on('pageerror', (error) => page.trouble.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) page.trouble.push(message.text());
  });
  await page.goto(server.url);
  return page;
}

/** Runs one of the functions of package/calls.ts. */
async function call(name) {
  calls ??= await open(join(work, 'calls'));
  return calls.evaluate((which) => globalThis.calls[which](), name);
}
let calls = null;

test('the package holds the page’s own client, both engines and the model, and nothing else', () => {
  const listed = run(`tar -tzf ${tarball()}`, work).trim().split('\n').map((path) => path.replace(/^package\//, ''));
  for (const path of ['package.json', 'README.md', 'LICENSE-MIT', 'LICENSE-APACHE', 'THIRD_PARTY.md', 'dist/client.js',
    'dist/client.d.ts', 'dist/worker.js', 'dist/opengen-gpu.js', 'dist/opengen-gpu_bg.wasm', 'dist/opengen-cpu.js',
    'dist/opengen-cpu_bg.wasm', 'dist/models/mini/mini-q8_0.gguf']) {
    assert.ok(listed.includes(path), `${path} is packed`);
  }
  assert.deepEqual(listed.filter((path) => !/^(package\.json|README\.md|LICENSE-\w+|THIRD_PARTY\.md|dist\/.*\.(js|d\.ts|wasm|gguf))$/.test(path)), []);
  run(`tar -xzf ${tarball()}`, work);
  for (const path of listed.filter((name) => /^dist\/.*\.(js|wasm)$/.test(name))) {
    assert.ok(readFileSync(join(work, 'package', path)).equals(readFileSync(join(DIST, path.slice(5)))),
      `${path} is the page's`);
  }
});

test('plain HTML: the example makes a picture', async () => {
  const page = await open(install('plain-html'));
  await page.getByText('Ready').waitFor();
  await page.getByRole('button').click();
  await page.getByText(/^Seed \d+$/).waitFor();
  const image = page.getByRole('img', { name: 'a panda on a pink background' });
  assert.deepEqual(await image.evaluate((img) => img.decode().then(() => [img.naturalWidth, img.naturalHeight])),
    [MODEL.width, MODEL.height]);
  assert.deepEqual(page.trouble, []);
});

test('Vite and TypeScript: the example is installed, type-checked, built, and makes a picture', async () => {
  install('vite-typescript');
  run('npm run build', vite);
  const built = readdirSync(join(vite, 'dist'), { recursive: true });
  assert.equal(built.filter((path) => path.endsWith('.wasm')).length, 2, `two engines in ${built}`);
  assert.equal(built.filter((path) => path.endsWith('.gguf')).length, 1, `one model in ${built}`);

  const page = await open(join(vite, 'dist'));
  await page.getByText('Ready, on the processor').waitFor();
  const fetched = servers.at(-1).paths.filter((path) => path.endsWith('.wasm'));
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

test('Vite’s development server serves it too', async () => {
  const server = spawn(process.execPath, [join(vite, 'node_modules/vite/bin/vite.js'), '--port', '0', '--host', '127.0.0.1'],
    { cwd: vite, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NO_COLOR: '1' } });
  try {
    let said = '';
    const url = await new Promise((done, fail) => {
      server.on('exit', () => fail(new Error(`vite ended: ${said}`)));
      server.stdout.on('data', (text) => {
        said += text;
        const found = /(http:\S+)/.exec(said);
        if (found) done(found[1]);
      });
    });
    const page = await (await browser.newContext()).newPage();
    await page.goto(url);
    await page.getByText('Ready, on the processor').waitFor({ timeout: PATIENCE });
  } finally {
    server.removeAllListeners('exit');
    server.kill();
  }
});

test('a program that makes every call is type-checked and built without any setting', () => {
  cpSync(join(import.meta.dirname, 'package'), join(vite, 'calls'), { recursive: true });
  run('npx tsc --project calls', vite);
  run(`npx vite build calls --outDir ${join(work, 'calls')}`, vite);
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
    model: 'INVALID_INPUT model', notThere: 'NETWORK', noModelFile: 'NETWORK', webgpu: 'UNSUPPORTED',
  });
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
