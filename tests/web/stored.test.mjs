/** What the store holds of a model beside its chunks, and rows that former versions of the engine wrote. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { MODEL, draw, fileOf, psnr, ready, sent, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });

/** In the page: the model's row as it is stored, after it was changed. @param {{id: string, former?: string}} asked */
async function rowOf({ id, former }) {
  const database = await new Promise((done) => { indexedDB.open('opengen').onsuccess = ({ target }) => done(target.result); });
  const transaction = database.transaction('models', 'readwrite');
  const store = transaction.objectStore('models');
  const row = await new Promise((done) => { store.get(id).onsuccess = ({ target }) => done(target.result); });
  // As versions before this one had it: in the manifest too.
  if (former) store.put({ ...row, manifest: JSON.stringify({ ...JSON.parse(row.manifest), tokenizer: former }) }, id);
  await new Promise((done, fail) => Object.assign(transaction, { oncomplete: done, onabort: fail }));
  database.close();
  return { manifest: row.manifest, header: btoa(Array.from(row.header, (byte) => String.fromCharCode(byte)).join('')) };
}

/** The text of the model's `tokenizer.json`, from its file. */
function tokenizer() {
  const file = readFileSync(fileOf(MODEL));
  const key = 'opengen.tokenizer';
  const at = file.indexOf(key) + key.length + 4; // behind the key: the type of its value, then length and text
  return file.subarray(at + 8, at + 8 + Number(file.readBigUInt64LE(at)));
}

/** How often one holds the other. @param {Buffer} bytes @param {Buffer} part */
function count(bytes, part) {
  let found = 0;
  for (let at = bytes.indexOf(part); at >= 0; at = bytes.indexOf(part, at + 1)) found++;
  return found;
}

test('a model’s tokenizer is stored once; a row that holds it twice is read as it is, without fetching', async () => {
  const page = await visitor(it, { serviceWorkers: 'block' });
  await ready(page);
  const before = await draw(page, 'a red apple', { Steps: 2, Seed: 5 });
  const text = tokenizer();
  const { manifest, header } = await page.evaluate(rowOf, { id: MODEL.id });
  assert.equal(count(Buffer.from(header, 'base64'), text), 1);
  assert.ok(!('tokenizer' in JSON.parse(manifest)), 'nor is a part of it in the manifest');
  assert.ok(!manifest.includes('merges'));

  await page.evaluate(rowOf, { id: MODEL.id, former: text.toString() });
  const fetched = sent(it.server);
  await page.reload();
  await ready(page);
  assert.equal(psnr(await draw(page, 'a red apple', { Steps: 2, Seed: 5 }), before), Infinity);
  assert.equal(sent(it.server), fetched, 'the stored model is used');
});
