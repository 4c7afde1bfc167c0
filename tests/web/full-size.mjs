/**
 * A file of true size on its way into Chromium, for `cargo xtask full-size`: from a hub on other origins whose line breaks ten
 * times, made Q8 on the way, held to the file's SHA-256; then a step at 128×128 on the processor, which has to be the command
 * line's picture. Prints the columns of a table's row.
 *
 *     node full-size.mjs FILE PICTURE REQUEST    # what the command line drew, and with which settings (JSON)
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pngjs from 'pngjs';
import { launchIn } from './browser.mjs';
import { Hub } from './hub.mjs';
import { DIST, Server } from './server.mjs';

const CUTS = 10;
/** What is sent again where the line broke: what was on its way and not kept. */
const AGAIN = 1.2;
/** Levels by which a picture may differ: rounding of two compilers. */
const LEVELS = 1;

const [path, picture, request] = process.argv.slice(2);
assert.ok(request, 'node full-size.mjs FILE PICTURE REQUEST');

/** Node reads no file of 2 GiB in one call. @param {string} path */
function whole(path) {
  const bytes = Buffer.alloc(statSync(path).size);
  const file = openSync(path, 'r');
  for (let at = 0; at < bytes.length;) at += readSync(file, bytes, at, Math.min(2 ** 28, bytes.length - at), at);
  closeSync(file);
  return bytes;
}

const file = whole(path);
const sha256 = createHash('sha256').update(file).digest('hex');
const hub = await new Hub(file).start();
const server = await new Server(DIST, { policy: null }).start();
const folder = mkdtempSync(join(tmpdir(), 'opengen-full-size-'));
const context = await launchIn(folder);
try {
  const [page] = context.pages();
  page.setDefaultTimeout(0);
  await page.goto(`${server.url}blank.html`);
  const begin = performance.now();
  let breaks = 0;
  for (;;) {
    hub.manner = { etag: '"one"', ...(breaks < CUTS ? { cutAt: Math.floor(file.length * (breaks + 1) / (CUTS + 1)) } : {}) };
    const came = await page.evaluate(async (source) => {
      const { OpenGen } = await import('/client.js');
      globalThis.og ??= await OpenGen.create({ engine: 'cpu' });
      return globalThis.og.models.import(source, { weights: 'q8_0' })
        .then(() => null, ({ code, message }) => ({ code, message }));
    }, { id: 'large', url: `${hub.url}large.safetensors`, bytes: file.length, sha256 });
    if (!came) break;
    assert.equal(came.code, 'NETWORK', came.message);
    assert.ok(++breaks <= CUTS, came.message);
  }
  const seconds = (performance.now() - begin) / 1000;
  assert.equal(breaks, CUTS, 'the line broke');
  assert.ok(hub.sent < AGAIN * file.length, `${hub.sent} bytes were sent of ${file.length}`);
  const drawn = await page.evaluate(async (request) => {
    await globalThis.og.models.load('large');
    const start = performance.now();
    const { image } = await globalThis.og.generate(request);
    return { width: image.width, data: [...image.data], seconds: (performance.now() - start) / 1000 };
  }, JSON.parse(request));
  const known = pngjs.PNG.sync.read(readFileSync(picture));
  assert.equal(drawn.width, known.width);
  const off = drawn.data.reduce((most, level, at) => Math.max(most, Math.abs(level - known.data[at])), 0);
  const kinds = new Set(drawn.data).size;
  assert.ok(kinds > 16, `a picture of ${kinds} levels`);
  assert.ok(off <= LEVELS, `the command line's picture is ${off} levels off`);
  console.log(`row: ${seconds.toFixed(0)} s, cut ${breaks} times, ${(hub.sent / file.length).toFixed(3)} of the file sent`
    + ` | picture in ${drawn.seconds.toFixed(0)} s, at most ${off} levels from the command line's`);
} finally {
  await context.close();
  rmSync(folder, { recursive: true, maxRetries: 5 });
  await Promise.all([hub.stop(), server.kill()]);
}
