/** When the network, the server, the store or the disk misbehave: a clear message, a way on, nothing lost. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { MODEL, assertPicture, banner, draw, promptOf, ready, says, sent, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const PROMPT = 'a fox on dark green';
const retry = (page) => banner(page).getByRole('button', { name: 'Retry' }).click();

test('a download that is cut goes on where it stopped', async () => {
  const cutAt = Math.floor(MODEL.bytes * 0.7);
  it.server.faults = { cutAt, bytesPerSecond: 4_000_000 };
  const page = await visitor(it);
  await promptOf(page).fill(PROMPT);
  await banner(page).getByText('What has arrived so far is kept.').waitFor();
  assert.equal(sent(it.server), cutAt);

  it.server.faults = {};
  it.server.models = [];
  await retry(page);
  await ready(page);
  assertResumed(cutAt);
  assert.equal(await promptOf(page).inputValue(), PROMPT);
  assertPicture(await draw(page, PROMPT, { Steps: 2 }));
});

test('a download that was cut goes on after a reload too', async () => {
  const cutAt = Math.floor(MODEL.bytes * 0.7);
  it.server.faults = { cutAt, bytesPerSecond: 4_000_000 };
  const page = await visitor(it);
  await banner(page).getByRole('button', { name: 'Retry' }).waitFor();
  it.server.faults = {};
  it.server.models = [];
  await page.reload();
  await ready(page);
  assertResumed(cutAt);
});

/** That the server was asked for the rest alone: from no less than half of what had been sent, once. */
function assertResumed(cutAt) {
  const [{ range }] = it.server.models;
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  assert.ok(from >= cutAt / 2, `went on from byte ${from}; ${cutAt} had been sent`);
  assert.equal(sent(it.server), MODEL.bytes - from);
}

test('a server without Range is asked again and the same model results', async () => {
  it.server.faults = { cutAt: Math.floor(MODEL.bytes * 0.7), noRange: true, bytesPerSecond: 4_000_000 };
  const page = await visitor(it);
  await banner(page).getByRole('button', { name: 'Retry' }).waitFor();
  it.server.faults = { noRange: true };
  await retry(page);
  await ready(page);
  assertPicture(await draw(page, PROMPT, { Steps: 2 }));
});

for (const [what, faults, words] of [
  ['404', { status: 404 }, /404/],
  ['500', { status: 500 }, /500/],
  ['a web page instead of the model', { html: true }, /HTML|web page/i],
  ['a file of the wrong length', { wrongLength: Math.floor(MODEL.bytes / 2) }, /bytes|length|long/i],
  ['a file with a changed byte', { flip: true }, /checksum|sha-?256|hash|damaged/i],
]) {
  test(`${what}: says so, and Retry works`, async () => {
    it.server.faults = faults;
    const page = await visitor(it);
    await promptOf(page).fill(PROMPT);
    const again = banner(page).getByRole('button', { name: 'Retry' });
    await again.waitFor();
    assert.match(await banner(page).innerText(), words);
    assert.match(await page.locator('#model-chip').textContent(), /not ready/);
    it.server.faults = {};
    await again.click();
    await ready(page);
    assert.equal(await banner(page).count(), 0, 'the message goes when it is over');
    assertPicture(await draw(page, await promptOf(page).inputValue(), { Steps: 2 }));
    assert.deepEqual(page.trouble, []);
  });
}

test('offline on a first visit: says that the model is needed, and goes on when the network is back', async () => {
  // So slow that the model cannot arrive before the network goes, and cut for good then.
  it.server.faults = { bytesPerSecond: 100_000, cutAt: 400_000 };
  const page = await visitor(it);
  await says(page, 'Fetching');
  await page.context().setOffline(true);
  await banner(page).getByText('You are offline.').waitFor();
  it.server.faults = {};
  await page.context().setOffline(false);
  await ready(page);
  assertPicture(await draw(page, PROMPT, { Steps: 2 }));
});

/** Turns one bit of the largest binary value in this origin's databases. */
async function damageStore(page) {
  return page.evaluate(async () => {
    const settle = (request) => new Promise((done, fail) => {
      request.onsuccess = () => done(request.result);
      request.onerror = () => fail(request.error);
    });
    const bytesIn = (value) => value instanceof ArrayBuffer ? new Uint8Array(value)
      : ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : null;
    let best = null;
    for (const { name } of await indexedDB.databases()) {
      const database = await settle(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        const objects = database.transaction(store).objectStore(store);
        for (const key of await settle(objects.getAllKeys())) {
          const value = await settle(database.transaction(store).objectStore(store).get(key));
          const isRow = value && typeof value === 'object' && !bytesIn(value) && !(value instanceof Blob);
          const parts = isRow ? Object.values(value) : [value];
          for (const part of parts) {
            const blob = part instanceof Blob ? new Uint8Array(await part.arrayBuffer()) : null;
            const bytes = blob ?? bytesIn(part);
            if (bytes && bytes.length > (best?.bytes.length ?? 1000)) best = { database, store, key, value, part, bytes, blob };
          }
        }
      }
    }
    best.bytes[Math.floor(best.bytes.length / 2)] ^= 4;
    let { value } = best;
    if (best.blob) {
      const blob = new Blob([best.bytes]);
      if (value === best.part) value = blob;
      else value[Object.keys(value).find((key) => value[key] === best.part)] = blob;
    }
    const objects = best.database.transaction(best.store, 'readwrite').objectStore(best.store);
    await settle(objects.keyPath === null ? objects.put(value, best.key) : objects.put(value));
    return best.bytes.length;
  });
}

test('a damaged chunk in the store is noticed, and fetching again mends it', async () => {
  const page = await visitor(it);
  await ready(page);
  const before = await draw(page, PROMPT, { Steps: 2, Seed: 9 });
  await promptOf(page).fill(PROMPT);
  assert.ok(await damageStore(page) > 100_000);
  it.server.models = [];
  await page.reload();
  await banner(page).getByText('The stored model is damaged.').waitFor();
  assert.deepEqual(it.server.models, [], 'nothing is fetched unasked');
  await banner(page).getByRole('button', { name: 'Fetch again' }).click();
  await ready(page);
  assert.ok(sent(it.server) > 0);
  const after = await draw(page, await promptOf(page).inputValue(), { Steps: 2, Seed: 9 });
  assert.deepEqual(after.data, before.data);
});

test('a browser that stores nothing: says so, and draws from memory', async () => {
  const page = await visitor(it, { open: false, serviceWorkers: 'block' });
  await page.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    const refuse = "Object.defineProperty(self, 'indexedDB', { value: undefined });\n";
    await route.fulfill({ response, body: refuse + (await response.text()) });
  });
  await page.goto(it.server.url + it.path);
  await ready(page);
  await page.locator('#notes').getByText(/until this tab is closed/).waitFor();
  assertPicture(await draw(page, PROMPT, { Steps: 2 }));
});

test('a browser whose database takes no blobs keeps arrays, and loads from them', async () => {
  const page = await visitor(it, { open: false, serviceWorkers: 'block' });
  const refuse = `const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function (value, key) {
      if (value instanceof Blob) throw new DOMException('none here', 'DataCloneError');
      return put.call(this, value, key);
    };\n`;
  await page.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: refuse + (await response.text()) });
  });
  await page.goto(it.server.url + it.path);
  await ready(page);
  it.server.models = [];
  await page.reload();
  await ready(page);
  assert.deepEqual(it.server.models, [], 'from the store');
  assertPicture(await draw(page, PROMPT, { Steps: 2 }));
});

test('a full disk: says how much is needed and free, and draws from memory', async () => {
  const page = await visitor(it, { open: false });
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Storage.overrideQuotaForOrigin', {
    origin: new URL(it.server.url).origin, quotaSize: 2_000_000,
  });
  await page.goto(it.server.url + it.path);
  await ready(page);
  const words = await page.locator('#notes').textContent();
  assert.match(words, /\d MB needed, \d+ MB free/);
  assertPicture(await draw(page, PROMPT, { Steps: 2 }));
});
