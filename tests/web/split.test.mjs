/** A ready GGUF in parts with an index, as `opengen split` makes them: fetched as one file, from any host of files. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { inHalves } from './gguf.mjs';
import { Hub } from './hub.mjs';
import { native } from './native.mjs';
import { MODEL, PATIENCE, draw, fileOf, program, psnr, ready, stand, visitor } from './page.mjs';
import { DIST, Server } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#models', light: true });
const place = mkdtempSync(join(tmpdir(), 'opengen-split-'));
const FILE = readFileSync(fileOf(MODEL));
const INDEX = 'mini-q8_0.gguf.index.json';
/** Index and parts by name. @type {Map<string, Buffer>} */ const PARTS = new Map();
let hub;
/** Where a program's page comes from, which may ask any host. */
let home;
before(async () => {
  native(['split', fileOf(MODEL), '--size', '4MB', '--out', place]);
  for (const name of readdirSync(place).sort()) PARTS.set(name, readFileSync(join(place, name)));
  hub = await new Hub(Buffer.alloc(0)).start();
  home = await new Server(DIST, { policy: null }).start();
});
after(async () => {
  await hub?.stop();
  await home?.kill();
  rmSync(place, { recursive: true });
});

/** The hub has the parts. */
function served(manner = {}, changed = {}) {
  hub.reset(manner);
  hub.files = new Map([...PARTS].map(([name, bytes]) => [`/birds/${name}`, changed[name] ?? bytes]));
}

/** Loads a model: the hash of a picture, or the error. */
const load = (page, model) => page.evaluate(async (source) => {
  const { og } = window;
  try {
    await og.models.load(source);
    const { image } = await og.generate({ prompt: 'a red apple on a light blue background', steps: 1, seed: 3 });
    return [...new Uint8Array(await crypto.subtle.digest('SHA-256', image.data))].join();
  } catch ({ code, message }) {
    return { code, message };
  }
}, model);

test('the parts one behind the other are the file, and the index says so', () => {
  const { file, bytes, sha256, parts } = JSON.parse(PARTS.get(INDEX));
  assert.deepEqual([file, bytes, sha256], ['mini-q8_0.gguf', FILE.length, MODEL.sha256]);
  assert.ok(parts.length === Math.ceil(FILE.length / 4e6) && parts.every((part) => part.bytes === PARTS.get(part.path).length));
  assert.ok(Buffer.concat(parts.map(({ path }) => PARTS.get(path))).equals(FILE));
});

test('from another origin, with and without ranges; cut off, it goes on in that part; the whole is held against its hash', async () => {
  const page = await program(it, home);
  const expected = await load(page, `${home.url}models/mini/mini-q8_0.gguf`);
  assert.ok(typeof expected === 'string', JSON.stringify(expected));
  const address = `${hub.url}birds/${INDEX}`;
  for (const manner of [{}, { direct: true }, { ranges: false, expose: [] }]) {
    served(manner);
    assert.equal(await load(page, address), expected, JSON.stringify(manner));
    await page.evaluate((id) => window.og.models.remove(id), address);
  }
  const part = [...PARTS.keys()].find((name) => name.endsWith('.002'));
  served({ cutIn: part, cutAt: 3_000_000 });
  assert.equal((await load(page, address)).code, 'NETWORK');
  served();
  assert.equal(await load(page, address), expected);
  const asked = hub.asked.filter(({ path }) => !path.endsWith('.json'));
  assert.ok(asked[0].path.endsWith('.002') || asked[0].path.endsWith('.001'), 'the first parts are here');
  assert.ok(hub.sent < FILE.length * 0.75, `${hub.sent} of ${FILE.length}`);

  await page.evaluate((id) => window.og.models.remove(id), address);
  const other = Buffer.from(PARTS.get(part));
  other[other.length - 7] ^= 1;
  served({}, { [part]: other });
  const wrong = await load(page, address);
  assert.match(wrong.message, /SHA-256|hash|not the (one|file)/i, JSON.stringify(wrong));
  assert.ok(!(await page.evaluate(() => window.og.models.list())).some(({ id, complete }) => id === address && complete), 'nothing of it is used');
  served();
  assert.equal(await load(page, address), expected);
});

test('an index that is none, that does not come, or whose parts are missing is told', async () => {
  const page = await program(it, home);
  const address = `${hub.url}birds/${INDEX}`;
  served({}, { [INDEX]: Buffer.from('{"weight_map": {}}') });
  assert.match((await load(page, address)).message, /index of the model.s parts, mini-q8_0\.gguf\.index\.json: it is none that opengen split writes/);
  served();
  hub.files.delete(`/birds/${INDEX}`);
  const gone = await load(page, address);
  assert.deepEqual([gone.code, /status 404/.test(gone.message)], ['NETWORK', true]);
  served();
  hub.files.delete(`/birds/${[...PARTS.keys()].find((name) => name.endsWith('.001'))}`);
  assert.equal((await load(page, address)).code, 'NETWORK');
});

test('a site’s list names what is ready: in the type that is chosen it is preferred, else the original is rounded', async () => {
  const wide = inHalves(FILE);
  it.server.overlay.set('/birds/wide.model', wide);
  for (const [name, bytes] of PARTS) it.server.overlay.set(`/birds/${name}`, bytes);
  const ready8 = { type: 'q8_0', url: `birds/${INDEX}`, bytes: FILE.length, sha256: MODEL.sha256 };
  const birds = {
    id: 'birds', name: 'Birds', license: 'mit', url: 'birds/wide.model', bytes: wide.length, ready: [ready8], width: 128, height: 128, general: false,
  };
  it.server.overlay.set('/models.json', JSON.stringify({ models: [
    birds, { ...birds, id: 'only', name: 'Only', url: undefined, bytes: undefined }, { ...birds, id: 'odd', ready: [{ ...ready8, type: 'q3' }] },
  ] }));
  const page = await visitor(it);
  await ready(page);
  await page.getByText(/models\.json: entry 3 says what is ready otherwise than as a list of/).waitFor();
  const card = (name) => page.locator('.card').filter({ has: page.getByRole('heading', { name, exact: true }) });
  const fetched = () => it.server.log.filter((line) => /birds/.test(line)).map((line) => line.split(' ')[1]);
  it.server.log = [];
  await card('Birds').getByRole('button', { name: 'Fetch Birds' }).click();
  await card('Birds').getByText(/1\d MB on this device, at 8 bits/).waitFor({ timeout: PATIENCE });
  assert.deepEqual([...new Set(fetched())], [...PARTS.keys()].sort((a, b) => b.endsWith('.json') - a.endsWith('.json')).map((name) => `/birds/${name}`));
  await card('Birds').getByRole('button', { name: 'Use Birds', exact: true }).click();
  await ready(page);
  const eight = await draw(page, 'a red apple on a light blue background', { Steps: 2, Seed: 5 });
  await page.reload();
  await ready(page);
  assert.equal(psnr(await draw(page, 'a red apple on a light blue background', { Steps: 2, Seed: 5 }), eight), Infinity);

  await page.getByRole('link', { name: 'Models', exact: true }).click();
  await page.getByLabel('New models are kept at').selectOption('q5_0');
  await card('Only').getByRole('button', { name: 'Fetch Only' }).click();
  await card('Only').getByText(/1\d MB on this device, at 8 bits/).waitFor({ timeout: PATIENCE });
  assert.deepEqual(page.trouble, []);
});

test('what is ready in another type than the chosen one is left: the original comes, rounded to that', async () => {
  const wide = inHalves(FILE);
  it.server.overlay.set('/birds/wide.model', wide);
  it.server.overlay.set('/models.json', JSON.stringify({ models: [{
    id: 'birds', name: 'Birds', license: 'mit', url: 'birds/wide.model', bytes: wide.length, general: false,
    ready: [{ type: 'q8_0', url: `birds/${INDEX}`, bytes: FILE.length, sha256: MODEL.sha256 }],
  }] }));
  const page = await visitor(it);
  await ready(page);
  await page.getByLabel('New models are kept at').selectOption('q5_0');
  const card = page.locator('.card').filter({ has: page.getByRole('heading', { name: 'Birds', exact: true }) });
  await card.getByRole('button', { name: 'Fetch Birds' }).click();
  await card.getByText(/MB on this device, at 5 bits/).waitFor({ timeout: PATIENCE });
  assert.deepEqual(page.trouble, []);
});
