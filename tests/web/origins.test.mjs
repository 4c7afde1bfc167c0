/** Models at other origins, and files that change while they are fetched: a program loads them by their address alone. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { Hub } from './hub.mjs';
import { MODEL, fileOf, program } from './page.mjs';
import { DIST, Server } from './server.mjs';

const FILE = readFileSync(fileOf(MODEL));
/** A new upload under the same address: the same header, other values behind it. */
const OTHER = Buffer.from(FILE);
for (let at = Math.floor(FILE.length * 0.3); at < FILE.length; at += 16) OTHER[at] ^= 1;
const CUT = Math.floor(FILE.length * 0.7);
const DATES = ['Mon, 23 Nov 2026 00:00:00 GMT', 'Tue, 24 Nov 2026 00:00:00 GMT'];
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

let browser;
let server;
let hub;
let page;
/** The picture that the file makes when it comes whole from one's own origin. @type {string} */
let expected;
before(async () => {
  server = await new Server(DIST, { policy: null }).start();
  hub = await new Hub(FILE).start();
  browser = await launch({ webgpu: false });
  await open();
  ({ picture: expected } = await load(`${server.url}models/mini/mini-q8_0.gguf`));
  assert.ok(expected);
  await page.context().close();
});
after(async () => {
  await browser?.close();
  await hub?.stop();
  await server?.kill();
});
afterEach(async () => {
  await page?.context().close();
  hub.reset({}, FILE);
  server.reset();
});

/** A tab of a program that has the engine and no model yet. */
const open = async () => { page = await program({ browser, contexts: [] }, server); };

/** Loads a model: what it was told, and the bytes of a picture drawn with it; or the error. */
const load = (source, { draws = true } = {}) => page.evaluate(async ([model, isDrawn]) => {
  const { og } = window;
  try {
    const { inMemoryOnly, fromStore, notice } = await og.models.load(model);
    const options = { prompt: 'a red apple', steps: 1, seed: 5, guidance: 1, imageType: 'Blob' };
    const blob = isDrawn ? (await og.generate(options)).image : null;
    return { inMemoryOnly, fromStore, notice, picture: blob && [...new Uint8Array(await blob.arrayBuffer())].join() };
  } catch ({ code, message, retryable }) {
    return { code, message, retryable };
  }
}, [source, draws]);

/**
 * The first part of a download, until some of it was kept: a browser that has other things to do may see the line break before it has looked
 * at what came.
 */
async function firstPart(source, breaks) {
  for (let attempt = 0; attempt < 5; attempt++) {
    breaks();
    assert.equal((await load(source)).code, 'NETWORK');
    const kept = await page.evaluate(async () => (await window.og.models.list()).some(({ complete }) => !complete));
    if (kept) return;
  }
  assert.fail('nothing was kept of five attempts');
}

/** @type {[string, import('./hub.mjs').Manner][]} */
const MANNERS = [
  ['as a hub does: redirected to a signed address, everything exposed', { etag: '"one"' }],
  ['on the second origin itself', { direct: true }],
  ['with nothing exposed', { expose: [], etag: '"one"' }],
  ['with ranges ignored', { ranges: false }],
  ['with ranges refused', { ranges: 'refused' }],
  ['chunked, without a length', { ranges: false, length: 'chunked' }],
  ['chunked, ranged', { length: 'chunked', expose: [] }],
  ['ended by closing the connection', { ranges: false, length: 'closed', expose: [] }],
  ['compressed, with the length of that', { ranges: false, gzip: true, expose: [] }],
  ['chunked and compressed', { ranges: false, gzip: true, length: 'chunked' }],
];

test('a model at another origin loads by its address alone, however it is answered', async () => {
  await open();
  for (const [index, [what, manner]] of MANNERS.entries()) {
    hub.reset(manner);
    const url = `${hub.url}models/${index}/model.gguf`;
    assert.deepEqual(await load(url), { inMemoryOnly: false, fromStore: false, notice: null, picture: expected }, what);
    hub.reset(manner);
    assert.equal((await load(url, { draws: false })).fromStore, true, `${what}: kept`);
    assert.equal(hub.sent, 0, `${what}: nothing is fetched twice`);
  }
});

test('at one’s own origin too, without a length', async () => {
  await open();
  server.faults = { noLength: true, noRange: true };
  const { code, notice } = await load(`${server.url}models/mini/mini-q8_0.gguf`);
  assert.deepEqual({ code, notice }, { code: undefined, notice: null });
});

test('a site that may not be read is named, and what may be the cause', async () => {
  await open();
  hub.reset({ closed: true });
  const url = `${hub.url}model.gguf`;
  const { code, message, retryable } = await load(url);
  assert.deepEqual({ code, retryable }, { code: 'NETWORK', retryable: true });
  assert.ok(message.startsWith(`${url}: `), message);
  assert.match(message, /does that server let other sites read its files \(CORS\)/);
});

for (const [what, manner, goesOn] of [
  ['a connection that breaks off', { cutAt: CUT }, true],
  ['one without a length', { cutAt: CUT, length: 'chunked', expose: [] }, true],
  ['one that ends as if the file were whole', { endAt: CUT, length: 'closed', expose: [], ranges: false }, true],
  ['one of a server without ranges', { cutAt: CUT, ranges: false }, false],
]) {
  test(`${what}: says so with the address, and ${goesOn ? 'goes on from there' : 'begins again'}`, async () => {
    await open();
    hub.reset(manner);
    const url = `${hub.url}model.gguf`;
    const { code, message, retryable } = await load(url);
    assert.deepEqual({ code, retryable }, { code: 'NETWORK', retryable: true }, message);
    assert.ok(message.startsWith(`${url}: the connection `), message);
    hub.reset({ ...manner, cutAt: undefined, endAt: undefined, ...(goesOn ? { ranges: true } : {}) });
    const { picture, notice } = await load(url);
    assert.equal(notice, null);
    assert.equal(hub.sent < FILE.length * 0.6, goesOn, `${hub.sent} of ${FILE.length} were sent`);
    assert.equal(picture, expected);
  });
}

/** Both halves of a download, the second after another file was put there; each with a hash or without. */
for (const [where, first, second] of [
  ['at another origin that says nothing', { expose: [] }, { expose: [] }],
  ['at another origin, by its tag', { etag: '"one"' }, { etag: '"two"' }],
  ['at another origin, by its date', { expose: [], date: DATES[0] }, { expose: [], date: DATES[1] }],
  ['at another origin without ranges', { expose: [] }, { expose: [], ranges: false }],
]) {
  test(`a file that changed between two halves, ${where}: is fetched anew, and that is said`, async () => {
    await open();
    for (const hash of [undefined, sha256(FILE)]) {
      const model = { url: `${hub.url}${hash ?? 'unhashed'}/model.gguf`, sha256: hash };
      await firstPart(model, () => hub.reset({ ...first, cutAt: CUT }, OTHER));
      hub.reset(second, FILE);
      const { picture, notice, message } = await load(model);
      assert.equal(notice, 'model.gguf has changed on its server since the first part of it was fetched; it was fetched anew.', message);
      assert.equal(picture, expected, 'all of the new file, nothing of the old one');
    }
  });
}

for (const etag of [undefined, '"one"']) {
  test(`a file that changed between two halves at one’s own origin, ${etag ? 'by its tag' : 'with no word of it'}: the same`, async () => {
    await open();
    const url = `${server.url}models/mini/mini-q8_0.gguf`;
    for (const hash of [undefined, sha256(FILE)]) {
      const model = { id: hash ?? 'unhashed', url, sha256: hash };
      await firstPart(model, () => { server.faults = { cutAt: CUT, instead: OTHER, etag }; });
      server.faults = { etag: etag && '"two"' };
      const { picture, notice, message } = await load(model);
      assert.match(notice ?? '', /^mini-q8_0.gguf has changed on its server/, message);
      assert.equal(picture, expected);
    }
  });
}

test('half of one file and half of another are never one model, though nothing but the hash can tell', async () => {
  await open();
  const late = Buffer.from(FILE);
  for (let at = FILE.length - 100_000; at < FILE.length; at += 16) late[at] ^= 1;
  const model = { url: `${hub.url}late/model.gguf`, sha256: sha256(FILE) };
  await firstPart(model, () => hub.reset({ expose: [], cutAt: CUT }, FILE));
  hub.reset({ expose: [] }, late);
  const { code, message } = await load(model);
  assert.equal(code, 'BAD_MODEL', message);
  assert.match(message, new RegExp(`SHA-256 is ${sha256(late)}, expected ${sha256(FILE)}`));
  hub.reset({ expose: [] }, FILE);
  assert.equal((await load(model)).picture, expected, 'nothing of it was kept');
});
