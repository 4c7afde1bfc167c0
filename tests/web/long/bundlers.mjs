/** The package in webpack and esbuild, and in Vite's development server. Vite's build is in pkg.test.mjs. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { built, drawPanda, run, withoutMini, workshop } from '../packed.mjs';
import { PATIENCE } from '../page.mjs';

const it = workshop({ before, after });
const { work, install, open } = it;

for (const name of ['webpack', 'esbuild']) {
  test(`${name}: the example is installed, built, and makes a picture`, async () => {
    const folder = install(name);
    run('npm run build', folder);
    const dist = join(folder, 'dist');
    assert.deepEqual([built(dist, '.wasm').length, built(dist, '.gguf').length], [3, 1], 'the engines and the model');
    await drawPanda(await open(dist));
  });
}

test('webpack: without opengen/mini neither its weights nor its words are part of what is built', () => {
  const folder = join(work, 'webpack');
  writeFileSync(join(folder, 'src/main.js'), `
    import { OpenGen } from 'opengen';
    OpenGen.create({ model: './own.gguf' }).then(console.log);`);
  run('npm run build', folder);
  withoutMini(join(folder, 'dist'));
});

test('Vite’s development server serves it too', async () => {
  const vite = install('vite-typescript');
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
    const page = await (await it.browser.newContext()).newPage();
    await page.goto(url);
    await page.getByText('Ready, on the processor').waitFor({ timeout: PATIENCE });
  } finally {
    server.removeAllListeners('exit');
    server.kill();
  }
});
