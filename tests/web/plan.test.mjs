/** The page's module counts as the native program does: its sizes have 32 bits, work and bytes of real models pass them. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { DIST } from './server.mjs';

/** @type {any} */
let module;

before(async () => {
  module = await import(pathToFileURL(join(DIST, 'opengen-gpu.js')).href);
  await module.default({ module_or_path: await readFile(join(DIST, 'opengen-gpu_bg.wasm')) });
});

/** What the native test holds its own text against. */
async function native(size) {
  const snapshot = await readFile(new URL(`../snapshots/plans__sd15-${size}.snap`, import.meta.url), 'utf8');
  return snapshot.split('\n---\n')[1];
}

for (const size of [512, 1024]) {
  test(`Stable Diffusion 1.5 at ${size}×${size} is planned as natively, to the last number`, async () => {
    assert.equal(module.planText('sd15', size, size).trim(), (await native(size)).trim());
  });
}

test('a value beyond what any adapter binds, and that is not cut, is refused', () => {
  assert.throws(() => module.planText('sd15', 8192, 8192), (error) => {
    assert.equal(error.code, 'INVALID_INPUT');
    assert.match(error.message, /MiB/);
    return true;
  });
});
