/** The packed package in a developer's hands: examples installed from the tarball, built, served, opened. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { launch } from './browser.mjs';
import { MODEL, PATIENCE } from './page.mjs';
import { Server } from './server.mjs';

const root = join(import.meta.dirname, '../..');

/** Made by `cargo xtask pkg`; OPENGEN_PACKAGE names another. */
export function tarball() {
  if (process.env.OPENGEN_PACKAGE) return resolve(process.env.OPENGEN_PACKAGE);
  const { name, version } = JSON.parse(readFileSync(join(root, 'pkg/package.json'), 'utf8'));
  const path = join(root, 'pkg', `${name}-${version}.tgz`);
  assert.ok(existsSync(path), `no ${path}: run cargo xtask pkg, or set OPENGEN_PACKAGE`);
  return path;
}

/** Runs a command to its end; what it said comes with its failure. */
export function run(command, folder) {
  const [program, ...words] = command.split(' ');
  try {
    return execFileSync(program, words, { cwd: folder, encoding: 'utf8', stdio: 'pipe', timeout: 3 * PATIENCE });
  } catch (error) {
    throw new Error(`${command}: ${error.message}\n${error.stdout}\n${error.stderr}`);
  }
}

/** Files that a build made, by the end of their names. */
export const built = (folder, ending) => readdirSync(folder, { recursive: true }).filter((path) => path.endsWith(ending));

/** That a build without opengen/mini holds all engines, and neither the model's weights nor its words. */
export function withoutMini(dist) {
  assert.equal(built(dist, '.wasm').length, 3);
  assert.equal(built(dist, '.gguf').length, 0);
  assert.ok(built(dist, '.js').length > 0);
  assert.equal(built(dist, '.js').filter((path) => readFileSync(join(dist, path), 'utf8').includes('raccoon')).length, 0);
}

/**
 * A browser, servers and a folder to work in, which end with the tests. The browser is without WebGPU: what is tested is
 * the way to the engine, and the CPU is quicker than a software adapter.
 * @param {import('node:test')} hooks `{ before, after }`
 */
export function workshop({ before, after }) {
  const work = mkdtempSync(join(tmpdir(), 'opengen-pkg-'));
  const it = { browser: null, servers: [], work, install, serve, open, openAt };
  before(async () => {
    it.browser = await launch({ webgpu: false });
  });
  after(async () => {
    await it.browser?.close();
    for (const server of it.servers) await server.kill();
    rmSync(work, { recursive: true, force: true });
  });

  /** Copies an example and installs the packed package into it; all else as its lock file says. */
  function install(name) {
    const folder = join(work, name);
    cpSync(join(root, 'examples', name), folder, {
      recursive: true, filter: (path) => !/[\\/](node_modules|dist|out|\.next)$/.test(path),
    });
    run(`npm install --no-audit --no-fund --prefer-offline ${tarball()}`, folder);
    return folder;
  }

  /** A server of a folder. */
  async function serve(folder, options) {
    const server = await new Server(folder, options).start();
    it.servers.push(server);
    return server;
  }

  /** Opens a served folder; what must not happen is written down in `trouble`. */
  async function open(folder, options) {
    return openAt(await serve(folder, options));
  }

  /** Opens what a server serves. */
  async function openAt(server) {
    const page = await (await it.browser.newContext()).newPage();
    page.setDefaultTimeout(PATIENCE);
    page.trouble = [];
    page.on('pageerror', (error) => page.trouble.push(`uncaught: ${error.message}`));
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) page.trouble.push(message.text());
    });
    await page.goto(server.url);
    return page;
  }

  return it;
}

/** Waits for an example that has one button, and draws with it. */
export async function drawPanda(page, button = 'A panda on pink') {
  await page.getByText('Ready').waitFor();
  await page.getByRole('button', { name: button }).click();
  await page.getByText(/^Seed \d+$/).waitFor();
  await assertPanda(page);
}

/** A panda stands there, in the size that the model has. */
export async function assertPanda(page) {
  const image = page.getByRole('img', { name: 'a panda on a pink background' });
  assert.deepEqual(await image.evaluate((img) => img.decode().then(() => [img.naturalWidth, img.naturalHeight])),
    [MODEL.width, MODEL.height]);
  assert.deepEqual(page.trouble, []);
}
