/** The package in Next.js, which takes minutes to install and build. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { built, drawPanda, run, workshop } from '../packed.mjs';

const { install, open } = workshop({ before, after });

test('Next.js: a client component is built into a static site, and makes a picture', async () => {
  const folder = install('next');
  run('npm run build', folder);
  const out = join(folder, 'out');
  assert.deepEqual([built(out, '.wasm').length, built(out, '.gguf').length], [3, 1], 'the engines and the model');
  await drawPanda(await open(out, { policy: null }), 'Draw'); // Next.js writes scripts into its pages
});
