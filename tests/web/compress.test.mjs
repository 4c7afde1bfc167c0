/** The compressed twins that `cargo xtask dist` lays beside the page's files. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

const SCRIPT = fileURLToPath(new URL('../../xtask/bundle/compress.mjs', import.meta.url));
const TEXT = Buffer.from('a red apple on a light blue background, '.repeat(100));

test('both twins give back what went in; models, pictures and what is small have none', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'opengen-compress-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const page = join(folder, 'page');
  mkdirSync(join(page, 'models'), { recursive: true });
  const gaining = ['opengen-gpu_bg.wasm', 'models/list.json', 'alike.js'].map((name) => join(page, name));
  const staying = ['models/mini.gguf', 'icon.png', 'LICENSE', 'small.js'].map((name) => join(page, name));
  [...gaining, ...staying].forEach((path) => writeFileSync(path, path.endsWith('small.js') ? '1' : TEXT));
  for (const time of ['made', 'kept from the first time']) {
    execFileSync('node', [SCRIPT, page, join(folder, 'kept')]);
    for (const path of gaining) {
      const [brotli, gzip] = ['br', 'gz'].map((coding) => readFileSync(`${path}.${coding}`));
      assert.ok(brotli.length < gzip.length && gzip.length < TEXT.length / 10, `${path}, ${time}`);
      assert.deepEqual([brotliDecompressSync(brotli), gunzipSync(gzip)], [TEXT, TEXT], `${path}, ${time}`);
      [`${path}.br`, `${path}.gz`].forEach((twin) => rmSync(twin));
    }
    staying.forEach((path) => assert.ok(!existsSync(`${path}.br`) && !existsSync(`${path}.gz`), path));
  }
});
