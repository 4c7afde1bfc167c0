/** An autoencoder by itself, given to a model: recognised, asked about, kept with the model, drawn with, taken away again. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import { autoencoder, checkpoint, tiny, tinyHalf } from './checkpoint.mjs';
import { native } from './native.mjs';
import { MODEL, PATIENCE, draw, psnr, ready, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#models', light: true });
const place = mkdtempSync(join(tmpdir(), 'opengen-parts-'));
after(() => rmSync(place, { recursive: true }));
const written = (name, bytes) => {
  const path = join(place, name);
  writeFileSync(path, bytes);
  return path;
};
const DREAM = written('dream.safetensors', checkpoint());
const PARTS = {
  compVis: [written('vae-ft-mse.safetensors', autoencoder('CompVis'))],
  diffusers: [written('diffusion_pytorch_model.safetensors', autoencoder('diffusers'))],
  halves: ['encoder', 'decoder'].map((half) => written(`taesd_${half}.safetensors`, tinyHalf(half))),
  tiny: [written('taesd.safetensors', tiny())],
};

const PROMPT = 'a photo of an astronaut riding a horse';
const FIELDS = { Width: 64, Height: 64, Steps: 2, Seed: 5, Guidance: 2, Sampler: 'ddim' };

/** The picture of the native program with these autoencoder's files. */
function named(files) {
  const out = join(place, 'native.png');
  native(['generate', '--cpu', '--model', DREAM, ...files.flatMap((file) => ['--vae', file]), '--prompt', PROMPT, '--steps', '2',
    '--guidance', '2', '--seed', '5', '--sampler', 'ddim', '--size', '64x64', '--out', out]);
  return PNG.sync.read(readFileSync(out));
}

const card = (page, name) => page.locator('.card').filter({ has: page.getByRole('heading', { name, exact: true }) });
const report = (page) => page.locator('#report');
const choose = (page, files) => page.setInputFiles('#add-model-file', files);

/** The view Models, with the checkpoint in it as it is. */
async function withDream() {
  const page = await visitor(it);
  await ready(page);
  await page.getByLabel('New models are kept at').selectOption('f16');
  await choose(page, DREAM);
  await card(page, 'dream').getByText('in use').waitFor({ timeout: PATIENCE });
  await page.getByRole('button', { name: 'Understood' }).click();
  return page;
}

async function drawn(page) {
  await page.getByRole('link', { name: 'Create', exact: true }).click();
  await ready(page);
  const picture = await draw(page, PROMPT, FIELDS);
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  return picture;
}

/** Brings files, and gives them to dream. */
async function give(page, files) {
  await choose(page, files);
  await page.getByRole('dialog', { name: 'Which model is it for?' }).getByRole('button', { name: 'Give it to dream' }).click();
  await report(page).getByText('dream draws with').waitFor({ timeout: PATIENCE });
}

test('an autoencoder is given to a model: its picture is that of the native program, it stays, and can be taken away', async () => {
  const page = await withDream();
  const own = await drawn(page);
  assert.ok(psnr(own, named([])) > 60, 'without one both draw alike');

  await choose(page, PARTS.compVis);
  const asked = page.getByRole('dialog', { name: 'Which model is it for?' });
  await asked.getByText('“vae-ft-mse.safetensors” is an autoencoder (VAE)').waitFor();
  assert.deepEqual(await asked.getByRole('button').allTextContents(), ['Give it to dream', 'Cancel'], `${MODEL.name} knows other latents`);
  await asked.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await card(page, 'dream').getByText('Decoder', { exact: true }).count(), 0);

  for (const [name, files] of [
    ['vae-ft-mse.safetensors', PARTS.compVis], ['taesd_decoder.safetensors, taesd_encoder.safetensors', PARTS.halves],
    ['diffusion_pytorch_model.safetensors', PARTS.diffusers],
  ]) {
    await give(page, files);
    await card(page, 'dream').getByText(new RegExp(`^${name.replaceAll('.', '\\.')}, .* in place of its own$`)).waitFor();
    const picture = await drawn(page);
    const distance = psnr(picture, named(files));
    // The tiny one comes in 32 bits and is kept in 16 here.
    assert.ok(distance > (files === PARTS.halves ? 45 : 60), `${name}: ${distance} dB`);
    assert.ok(psnr(picture, own) < 30, `${name}: not the model’s own`);
  }
  const last = await drawn(page);
  await page.reload();
  await ready(page);
  assert.equal(psnr(await drawn(page), last), Infinity, 'it is kept with the model');
  await card(page, 'dream').getByRole('button', { name: 'Draw with dream’s own decoder again' }).click();
  await card(page, 'dream').getByText('Decoder', { exact: true }).waitFor({ state: 'detached' });
  assert.equal(psnr(await drawn(page), own), Infinity, 'its own is back');
  assert.deepEqual(page.trouble, []);
});

test('half a tiny autoencoder asks for the other, several models at once are refused, and a whole tiny one is known', async () => {
  const page = await withDream();
  await choose(page, PARTS.halves[1]);
  await report(page).getByText('“taesd_decoder.safetensors” is half a tiny autoencoder (TAESD).').waitFor();
  await report(page).getByText(/Its encoder is in another file, taesd_encoder\.safetensors/).waitFor();
  await choose(page, [DREAM, PARTS.tiny[0]]);
  await report(page).getByText('One model goes after the other: choose one file.').waitFor();
  await choose(page, PARTS.tiny);
  await page.getByRole('dialog', { name: 'Which model is it for?' }).getByText('is a tiny autoencoder (TAESD)').waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await page.getByRole('dialog').count(), 0);
  assert.deepEqual(page.trouble, []);
});

test('what a model was given goes with it', async () => {
  const page = await withDream();
  await give(page, PARTS.tiny);
  const rows = () => page.evaluate(async () => {
    const database = await new Promise((done) => { indexedDB.open('opengen').onsuccess = ({ target }) => done(target.result); });
    const keys = await new Promise((done) => {
      database.transaction('models').objectStore('models').getAllKeys().onsuccess = ({ target }) => done(target.result);
    });
    database.close();
    return keys.filter((key) => key.startsWith('dream')).length;
  });
  const models = (act) => page.evaluate(async (work) => {
    const { OpenGen } = await import('/client.js');
    const og = await OpenGen.create({ engine: 'cpu' });
    const { id, autoencoder } = (await og.models.list()).find((model) => model.id.startsWith('dream'));
    if (work === 'remove') await og.models.remove(id);
    og.dispose();
    return { autoencoder };
  }, act);
  assert.equal(await rows(), 2);
  assert.equal((await models()).autoencoder.name, 'taesd.safetensors');
  await models('remove');
  assert.equal(await rows(), 0);
});
