/** A model in a folder of many files, as diffusers writes it: chosen, dropped, and what may be wrong with it. */

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { filesOf, folderName, isFolder, networkOf } from '../../www/js/folders.js';
import { controlNet } from './checkpoint.mjs';
import { PATIENCE, draw, ready, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#models' });
const place = mkdtempSync(join(tmpdir(), 'opengen-folder-'));
after(() => rmSync(place, { recursive: true }));
const TINY = join(import.meta.dirname, '../golden/models/sd1');
const LICENSE = { name: 'openrail++', url: null, revision: null, accepted: null };

/** A copy of the tiny Stable Diffusion 1 with random weights that the goldens have, with a model card. */
function copy(name) {
  const path = join(place, name);
  cpSync(TINY, path, { recursive: true });
  writeFileSync(join(path, 'README.md'), '---\nlicense: openrail++\n---\n# Dogs\n');
  return path;
}

const card = (page, name) => page.locator('.card').filter({ has: page.getByRole('heading', { name, exact: true }) });
const choose = (page, path) => page.setInputFiles('#add-model-folder', path);
const listed = (page) => page.evaluate(async () => {
  const { OpenGen } = await import('/client.js');
  const og = await OpenGen.create({ engine: 'cpu' });
  const models = await og.models.list();
  og.dispose();
  return models.map(({ name, complete, license }) => ({ name, complete, license }));
});

test('a folder is chosen: it is one model, with the licence that its card states, and draws', async () => {
  const page = await visitor(it);
  await ready(page);
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Choose a folder' }).click()]);
  await chooser.setFiles(copy('dogs'));
  const dogs = card(page, 'dogs');
  await dogs.getByText('in use').waitFor({ timeout: PATIENCE });
  await page.getByRole('button', { name: 'Understood' }).click();
  assert.match(await dogs.innerText(), /Licence\s+openrail\+\+\s[^]*From\s+a folder of yours/);
  const stored = (await listed(page)).find(({ name }) => name === 'dogs');
  assert.deepEqual(stored, { name: 'dogs', complete: true, license: LICENSE });
  await page.getByRole('link', { name: 'Create', exact: true }).click();
  const { width, height, data } = await draw(page, 'a dog', { Steps: 1, Seed: 3 });
  assert.ok(width > 0 && height > 0 && data.some((byte, i) => byte !== data[i % 4]), 'a picture');
  assert.deepEqual(page.trouble, []);
});

test('what a model predicts can be said otherwise than its files have it, is kept, and taken back', async () => {
  const page = await visitor(it);
  await ready(page);
  await choose(page, copy('foxes'));
  const foxes = card(page, 'foxes');
  await foxes.getByText('in use').waitFor({ timeout: PATIENCE });
  await page.getByRole('button', { name: 'Understood' }).click();
  const drawn = async () => {
    await page.getByRole('link', { name: 'Create', exact: true }).click();
    await ready(page);
    const picture = await draw(page, 'a fox', { Steps: 2, Seed: 3 });
    await page.getByRole('link', { name: 'Models', exact: true }).click();
    return picture.data;
  };
  const say = async (label) => {
    await foxes.getByRole('button', { name: 'What foxes predicts' }).click();
    await foxes.getByRole('button', { name: `${label}: foxes`, exact: true }).click();
  };
  await foxes.getByText('the noise (epsilon)', { exact: true }).waitFor();
  const found = await drawn();
  await say('The velocity (v)');
  await foxes.getByText('the velocity (v), as you say', { exact: true }).waitFor();
  const said = await drawn();
  assert.notDeepEqual(said, found);
  await page.reload();
  await ready(page);
  await foxes.getByText('the velocity (v), as you say', { exact: true }).waitFor();
  assert.deepEqual(await drawn(), said, 'it is kept');
  await say('As found, the noise (epsilon)');
  assert.deepEqual(await drawn(), found);
  assert.deepEqual(page.trouble, []);
});

/** In the page: drops a folder; what it would look into stands in `tree`, a folder a map and a file its text or bytes. */
function dropFolder({ name, tree }) {
  const entry = (path, node) => {
    const common = { fullPath: path, isFile: typeof node === 'string', isDirectory: typeof node !== 'string' };
    if (common.isFile) {
      const bytes = Uint8Array.from(atob(node), (c) => c.charCodeAt(0));
      return { ...common, file: (resolve) => resolve(new File([bytes], path.split('/').pop(), { lastModified: 7 })) };
    }
    const all = Object.entries(node).map(([key, child]) => entry(`${path}/${key}`, child));
    // One at a time, as a browser may.
    return { ...common, createReader: () => ({ readEntries: (resolve) => resolve(all.splice(0, 1)) }) };
  };
  const data = { items: [{ webkitGetAsEntry: () => entry(`/${name}`, tree) }], files: [new File([], name)], types: ['Files'] };
  const event = new Event('drop', { bubbles: true, cancelable: true });
  Object.defineProperty(event, 'dataTransfer', { value: data });
  document.querySelector('.card').dispatchEvent(event);
}

test('a folder is dropped: all that lies in it is looked for, and it is added', async () => {
  const { readdirSync, readFileSync } = await import('node:fs');
  const tree = (path) => Object.fromEntries(readdirSync(path, { withFileTypes: true }).map((each) => [each.name,
    each.isDirectory() ? tree(join(path, each.name)) : readFileSync(join(path, each.name)).toString('base64')]));
  const page = await visitor(it);
  await ready(page);
  await page.evaluate(dropFolder, { name: 'cats', tree: tree(TINY) });
  await card(page, 'cats').getByText('in use').waitFor({ timeout: PATIENCE });
  assert.match(await card(page, 'cats').innerText(), /Licence\s+unknown: yours to check/);
  assert.equal(await page.locator('#models').isVisible(), true, 'the view stays');
  assert.deepEqual(page.trouble, []);
});

test('a folder that is no model, or lacks a file, is refused by name, and nothing of it is kept', async () => {
  const page = await visitor(it);
  await ready(page);
  const report = page.locator('#report');
  const path = copy('broken');
  await choose(page, join(path, 'scheduler'));
  await report.getByText('This folder was not added.').waitFor();
  await report.getByText(/A folder is a model where model_index\.json lies in it/).waitFor();
  rmSync(join(path, 'unet/diffusion_pytorch_model.safetensors'));
  writeFileSync(join(path, 'unet/diffusion_pytorch_model.bin'), 'pickled');
  await choose(page, path);
  await report.getByText('“broken” was not added.').waitFor({ timeout: PATIENCE });
  await report.getByText(/Unet: no diffusion_pytorch_model\.safetensors.*pickled weights.*are not read/).waitFor();
  assert.equal((await listed(page)).some(({ name }) => name === 'broken'), false);
  assert.deepEqual(page.trouble, []);
});

test('a ControlNet in a folder of its own, as diffusers writes it, is taken and called as the folder is', async () => {
  const page = await visitor(it);
  await ready(page);
  const path = join(place, 'edges');
  mkdirSync(path);
  writeFileSync(join(path, 'config.json'), '{"_class_name": "ControlNetModel"}');
  writeFileSync(join(path, 'diffusion_pytorch_model.safetensors'), controlNet(3));
  await choose(page, path);
  await page.locator('#report').getByText('“edges” reads control images from now on.').waitFor({ timeout: PATIENCE });
  assert.deepEqual(page.trouble, []);
});

test('a network is told by being the only one of its folder, in whatever precisions', () => {
  const named = (...paths) => networkOf(paths.map((path, at) => Object.assign(new File(['x'.repeat(9 - at)], path.split('/').pop()), { path })));
  const [of, half] = ['canny/diffusion_pytorch_model.safetensors', 'canny/diffusion_pytorch_model.fp16.safetensors'];
  assert.equal(named('canny/config.json', of).name, 'canny.safetensors');
  assert.deepEqual([named(of, half).name, named(of, half).size], ['canny.safetensors', 8], 'the smaller one');
  assert.equal(named('loras/birds.safetensors', 'loras/notes.txt').name, 'birds.safetensors');
  assert.equal(named('diffusion_pytorch_model.safetensors').name, 'diffusion_pytorch_model.safetensors');
  assert.equal(named('loras/birds.safetensors', 'loras/cats.safetensors'), null);
  assert.equal(named('photos/config.json'), null);
});

test('a folder is told by what lies in it, wherever that is', async () => {
  const files = (...paths) => paths.map((webkitRelativePath) => ({ name: webkitRelativePath.split('/').pop(), webkitRelativePath }));
  for (const [paths, name] of [
    [['sd/model_index.json', 'sd/unet/config.json'], 'sd'],
    [['all/old/deep/unet/config.json', 'all/new/model_index.json'], 'new'],
    [['unet/config.json', 'vae/config.json'], 'model'],
    [['models/sd/vae/config.json'], 'sd'],
  ]) assert.deepEqual([isFolder(files(...paths)), folderName(files(...paths))], [true, name], paths[0]);
  assert.equal(isFolder(files('photos/config.json', 'notmodel_index.json')), false);
  const file = { isDirectory: false, isFile: true };
  assert.equal(filesOf({ items: [{ webkitGetAsEntry: () => file }, {}] }), null, 'files alone are no folder');
});
