/** Deleting models while they are in use, and rows that nobody can read. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { MODEL, draw, ready, says, stand, tab, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });

/** How many rows and chunks the database of models has. */
const stored = (page) => page.evaluate(() => new Promise((resolve, reject) => {
  const request = indexedDB.open('opengen');
  request.onerror = () => reject(request.error);
  request.onsuccess = () => {
    const transaction = request.result.transaction(['models', 'chunks', 'sums']);
    const counts = ['models', 'chunks', 'sums'].map((name) => transaction.objectStore(name).count());
    transaction.oncomplete = () => {
      request.result.close();
      resolve(counts.map(({ result }) => result));
    };
  };
}));

test('a model that another tab deletes while it is fetched leaves nothing behind, and can be used', async () => {
  it.server.faults = { bytesPerSecond: 4_000_000 };
  const page = await visitor(it);
  await says(page, 'Fetching');
  await page.waitForFunction(() => Number(document.querySelector('#progress').getAttribute('aria-valuenow')) > 30);
  const other = await tab(page.context(), it, { path: 'blank.html' });
  await other.evaluate(async (id) => {
    const { OpenGen } = await import('/client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    await og.models.remove(id);
    og.dispose();
  }, MODEL.id);
  await ready(page);
  await page.locator('#notes').getByText(/deleted in another tab/).waitFor();
  await draw(page, 'a cat', { Steps: 1 });
  assert.deepEqual(await stored(other), [0, 0, 0]);
});

test('a row that cannot be read is listed, and can be deleted with its chunks', async () => {
  const page = await visitor(it);
  await ready(page);
  const before = await stored(page);
  await page.evaluate(() => new Promise((resolve, reject) => {
    const request = indexedDB.open('opengen');
    request.onsuccess = () => {
      const transaction = request.result.transaction(['models', 'chunks'], 'readwrite');
      transaction.objectStore('models').put({ of: 'another time' }, 'former');
      transaction.objectStore('chunks').put(new Uint8Array(9), ['former', 0]);
      transaction.oncomplete = () => (request.result.close(), resolve());
      transaction.onabort = () => reject(transaction.error);
    };
  }));
  await page.locator('#model-chip').click();
  const panel = page.getByRole('dialog', { name: 'Kept on this device' });
  await panel.getByRole('button', { name: 'Delete former', exact: true }).click();
  await panel.getByRole('button', { name: 'Delete former now' }).click();
  await panel.getByRole('button', { name: 'Free the room of former' }).click();
  await panel.getByText('former').first().waitFor({ state: 'detached' });
  assert.deepEqual(await stored(page), before);
});
