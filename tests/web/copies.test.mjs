/** The service worker's copies of the page, with caches whose answers take turns at random: none is lost on the way. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createContext, runInContext } from 'node:vm';

const CODE = readFileSync(new URL('../../www/sw.js', import.meta.url), 'utf8');
const HOME = 'https://example.org/';

/**
 * A service worker of its own, its caches, and a server whose files all hold `site.version`; null is no network.
 * `site.onCopy` is called as a new copy begins to be laid, `site.onFetch` as the server is about to answer.
 */
function worker(seed) {
  const site = { version: 'first', onCopy: () => {}, onFetch: () => {} };
  const listeners = {};
  const stores = new Map();
  let state = seed;
  const chance = () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  const slowly = async (work, most = 12) => {
    for (let turns = Math.floor(chance() * most); turns > 0; turns--) await null;
    return work();
  };
  const cache = (files) => ({
    match: (url) => slowly(() => files.get(String(url))?.clone()),
    put: (url, response) => slowly(() => { files.set(String(url), response); }, 200),
    keys: () => slowly(() => [...files.keys()].map((url) => ({ url }))),
  });
  const open = (name) => {
    if (!stores.has(name)) {
      stores.set(name, new Map());
      site.onCopy();
    }
    return cache(stores.get(name));
  };
  const self = {
    location: { href: `${HOME}sw.js` },
    addEventListener: (type, listener) => { listeners[type] = listener; },
    skipWaiting: async () => {},
    clients: { claim: async () => {}, matchAll: async () => [] },
  };
  const context = createContext({
    self, URL, Headers, Response, crypto, Set, Promise,
    setTimeout: (done) => { setImmediate(done); },
    caches: {
      open: (name) => slowly(() => open(name)),
      keys: () => slowly(() => [...stores.keys()]),
      delete: (name) => slowly(() => stores.delete(name)),
    },
    fetch: (request) => slowly(() => {
      site.onFetch();
      if (site.version === null) throw new TypeError('no network');
      return new Response(`${site.version} ${request.url ?? request}`);
    }),
  });
  runInContext(CODE, context);
  /** Handles an event; `answered` is the response, `over` when all it began is done. */
  const handle = (type, fields = {}) => {
    const begun = [];
    let answered;
    listeners[type]({ ...fields, waitUntil: (work) => begun.push(work), respondWith: (work) => { answered = work; } });
    return { answered, over: Promise.all([answered, ...begun]) };
  };
  const visit = (tab) => handle('fetch', { request: { method: 'GET', mode: 'navigate', url: HOME }, resultingClientId: tab });
  const pageOf = async ({ answered }) => (await (await answered).text()).split(' ')[0];
  return { site, handle, visit, pageOf };
}

async function installed(seed) {
  const it = worker(seed);
  await it.handle('install').over;
  await it.handle('activate').over;
  return it;
}

test('a new page is fetched behind a visit, and the next visit sees it, without a network too', async () => {
  const { site, visit, pageOf } = await installed(1);
  site.version = 'second';
  const during = visit();
  assert.equal(await pageOf(during), 'first');
  await during.over;
  site.version = null;
  assert.equal(await pageOf(visit()), 'second');
});

test('a visit while a copy is laid, and engines asked for at once, lose none', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { site, handle, visit, pageOf } = await installed(seed);
    site.version = 'second';
    await visit().over; // the second waits for the next visit, which comes while the third is laid
    site.version = 'third';
    const visits = [];
    site.onCopy = () => { visits.push(visit()); };
    await handle('message', { data: { type: 'keep', parts: ['cpu'] } }).over;
    site.onCopy = () => {};
    assert.equal(visits.length, 1);
    await visits[0].over;
    site.version = null;
    const after = visit();
    assert.equal(await pageOf(after), 'third', `seed ${seed}`);
    await after.over;
    const engine = handle('fetch', { request: { method: 'GET', mode: 'cors', url: `${HOME}opengen-cpu_bg.wasm` } });
    assert.equal(await pageOf(engine), 'third', `seed ${seed}: the engine's code`);
  }
});

test('a version that comes onto the server while it is fetched is taken once it stands still, and never half', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { site, handle, visit, pageOf } = await installed(seed);
    await visit('one').over;
    site.version = 'second';
    let answers = 0;
    site.onFetch = () => { if (++answers === 5 + seed) site.version = 'third'; }; // in the middle of the first files
    await visit('two').over;
    site.version = null;
    await visit('three').over;
    const ask = (path) => pageOf(handle('fetch', { request: { method: 'GET', mode: 'cors', url: HOME + path, referrer: '' }, clientId: 'three' }));
    const versions = await Promise.all(['style.css', 'early.js', 'main.js', 'worker.js', 'client.js', 'js/later.js'].map(ask));
    assert.deepEqual([...new Set(versions)], ['third'], `seed ${seed}`);
  }
});

test('a tab and its workers keep the copy that they began with, also before the browser counts them among its clients', async () => {
  const { site, handle, visit, pageOf } = await installed(5);
  await visit('early').over;
  site.version = 'second';
  await visit('middle').over; // behind it the second is laid
  await visit('late').over;
  const ask = (clientId, path, more = {}) => handle('fetch', {
    request: { method: 'GET', mode: 'cors', url: HOME + path, referrer: '', ...more.request }, clientId, resultingClientId: more.starts ?? '',
  });
  assert.equal(await pageOf(ask('early', 'worker.js', { starts: 'its worker', request: { destination: 'worker' } })), 'first');
  assert.equal(await pageOf(ask('its worker', 'engines.js')), 'first');
  // A browser that does not say which worker is started: its first file is asked for by its script.
  assert.equal(await pageOf(ask('unannounced', 'through.js', { request: { referrer: `${HOME}worker.js` } })), 'first');
  assert.equal(await pageOf(ask('unannounced', 'engines.js', { request: { referrer: `${HOME}through.js` } })), 'first');
  assert.equal(await pageOf(ask('late', 'main.js')), 'second');
  // A part that no copy has comes from the server while that has the tab's version.
  assert.equal((await ask('early', 'opengen-gpu.js').answered).status, 409);
  assert.equal(await pageOf(ask('late', 'opengen-gpu.js')), 'second');
});
