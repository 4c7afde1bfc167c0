/** Teaching the model something of one's own: the view, a training that is interrupted, what comes of it, and og.train. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { PATIENCE, banner, draw, program, promptOf, psnr, ready, set, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu#teach' });

/** In the page: a made-up creature on grounds of several colours, as PNGs in base64. */
const drawn = (page, count) => page.evaluate(async (many) => {
  const files = [];
  for (const [at, ground] of ['white', 'pink', 'lightblue', 'yellow', 'green'].slice(0, many).entries()) {
    const canvas = new OffscreenCanvas(256, 256);
    const context = canvas.getContext('2d');
    context.fillStyle = ground;
    context.fillRect(0, 0, 256, 256);
    const blob = (x, y, radius, colour) => {
      context.fillStyle = colour;
      context.beginPath();
      context.arc(x + 8 * at - 16, y, radius, 0, 7);
      context.fill();
    };
    blob(128, 140, 80, 'teal');
    for (const x of [90, 128, 166]) blob(x, 120, 18, 'white');
    for (const x of [92, 130, 168]) blob(x, 122, 8, 'black');
    blob(90, 40, 12, 'orange');
    blob(166, 40, 12, 'orange');
    const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
    files.push(btoa(String.fromCharCode(...bytes)));
  }
  return files;
}, count);

const asFiles = (all) => all.map((text, at) => ({ name: `${at}.png`, mimeType: 'image/png', buffer: Buffer.from(text, 'base64') }));
const teach = (page) => page.getByRole('button', { name: 'Teach it' });
const status = (page) => page.locator('.teach-status');

/** Few steps, as fields of the view. */
async function few(page, steps) {
  await page.locator('.teach-details > summary').click();
  await page.locator('#teach-steps').fill(String(steps));
  await page.locator('#teach-classImages').fill('2');
}

test('a training is interrupted by a reload, goes on, and what it learnt is drawn with', async () => {
  const page = await visitor(it);
  page.on('dialog', (dialog) => dialog.accept()); // the tab warns before it is closed
  await ready(page);
  await page.locator('#teach-files').setInputFiles(asFiles(await drawn(page, 5)));
  await page.locator('.teach-pictures li').nth(4).waitFor();
  await page.getByLabel('What kind of thing it is').fill('alien monster');
  assert.equal(await page.getByLabel('What picture 1 shows').inputValue(), 'a zorp alien monster');
  await page.getByLabel('What picture 2 shows').fill('a zorp alien monster on pink');
  await few(page, 12);
  await teach(page).click();
  await page.locator('.teach-samples').getByText('step 2').waitFor({ timeout: PATIENCE });
  await page.reload();
  await page.getByText(/“zorp” was interrupted after step [2-9]/).waitFor();
  await page.getByRole('button', { name: 'Go on' }).click();
  assert.equal(await page.getByLabel('What picture 2 shows').inputValue(), 'a zorp alien monster on pink');
  await page.getByRole('button', { name: 'Draw it' }).waitFor({ timeout: PATIENCE });
  assert.match(await status(page).innerText(), /“zorp” is among your LoRAs, after 12 steps/);
  assert.equal(await page.locator('.teach-again').isVisible(), false);
  await page.getByRole('button', { name: 'Draw it' }).click();
  assert.match(await promptOf(page).inputValue(), /^a zorp alien monster in the snow <lora:zorp:1>$/);
  await set(page, { Seed: 3 });
  const learnt = await draw(page, 'a zorp alien monster <lora:zorp:1>', { Steps: 4 });
  const plain = await draw(page, 'a zorp alien monster', { Steps: 4 });
  assert.ok(psnr(learnt, plain) < 45, 'what was learnt shows');
  assert.equal(await banner(page).isVisible(), false);
});

test('what is wrong with pictures and words is said, and nothing is lost', async () => {
  const page = await visitor(it);
  await ready(page);
  const [one, two, three] = asFiles(await drawn(page, 3));
  await page.locator('#teach-files').setInputFiles([one, one, { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no') }]);
  const notes = page.locator('.teach-notes');
  await notes.getByText('Pictures 1 and 2 are the same').waitFor();
  await notes.getByText('notes.txt is no picture').waitFor();
  await teach(page).click();
  await page.getByText('2 so far: three are the least.').and(page.locator('.field-error')).waitFor();
  await page.getByRole('button', { name: 'Without picture 2' }).click();
  await page.locator('#teach-files').setInputFiles([two, three]);
  await page.locator('.teach-pictures li').nth(2).waitFor();
  await teach(page).click();
  await page.getByText('Both words are needed').waitFor();
  await page.getByLabel('A word that means nothing yet').fill('apple');
  await page.getByText('“apple” means something already').waitFor();
  await page.getByLabel('What kind of thing it is').fill('cat');
  await page.locator('.teach-details > summary').click();
  await page.locator('#teach-rank').fill('4000');
  await teach(page).click();
  await page.getByText(/expected 1 to 128/).waitFor({ timeout: PATIENCE });
  assert.equal(await page.locator('.teach-pictures li').count(), 3);
  await page.getByRole('button', { name: 'Delete everything of this training' }).click();
  assert.equal(await page.locator('.teach-pictures li').count(), 0);
  await page.reload();
  await ready(page);
  assert.equal(await page.getByRole('button', { name: 'Go on' }).isVisible(), false);
});

test('og.train: told step by step, stopped with what was learnt, gone on with; bad input by name', async () => {
  const page = await program(it, it.server);
  const answers = await page.evaluate(async () => {
    const og = window.og;
    const said = (promise) => promise.then(() => 'nothing', (error) => `${error.code} ${error.field}: ${error.message}`);
    const before = await said(og.train({ images: [new ImageData(8, 8)], instancePrompt: 'a zorp' }));
    const { mini } = await import('/models.js').then(({ MODELS }) => ({ mini: MODELS[0] }));
    await og.models.load(mini);
    const image = new ImageData(64, 64);
    image.data.fill(200);
    const base = { images: [image], instancePrompt: 'a zorp cat', recipe: { steps: 4, batch: 1, captionDropout: 0 }, saveEvery: 0 };
    const whole = [];
    const { file, step } = await og.train({ ...base, onStep: (told) => whole.push(told.loss) });
    const stop = new AbortController();
    const parts = [];
    let kept;
    const stopped = await said(og.train({
      ...base, signal: stop.signal, onKept: (now) => { kept = now; },
      onStep: (told) => {
        parts.push(told.loss);
        if (told.step === 2) stop.abort();
      },
    }));
    const again = await og.train({ ...base, checkpoint: kept.checkpoint, onStep: (told) => parts.push(told.loss) });
    // The order of what a file says of itself is not fixed; its values are.
    const values = async (one) => {
      const bytes = new Uint8Array(await one.arrayBuffer());
      return bytes.slice(8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))).join();
    };
    const same = (await values(file)) === (await values(again.file));
    const wrong = {
      none: await said(og.train({ images: [] })),
      words: await said(og.train({ images: [image] })),
      option: await said(og.train({ ...base, image })),
      recipe: await said(og.train({ ...base, recipe: { rang: 4 } })),
      rank: await said(og.train({ ...base, recipe: { rank: 0 } })),
      checkpoint: await said(og.train({ ...base, checkpoint: new Blob(['x']) })),
    };
    const added = await og.networks.add(file, { name: 'zorp' });
    return { before, whole, parts, stopped, kept: kept.step, step, same, wrong, about: added.about };
  });
  assert.match(answers.before, /^INVALID_INPUT model: /);
  assert.equal(answers.step, 4);
  assert.match(answers.stopped, /^ABORTED/);
  assert.ok(answers.kept >= 2 && answers.kept < 4);
  assert.deepEqual(answers.parts.slice(0, 2), answers.whole.slice(0, 2));
  assert.deepEqual(answers.parts.slice(-(4 - answers.kept)), answers.whole.slice(answers.kept));
  assert.ok(answers.same, 'the file of one that went on is that of one that never stopped');
  assert.equal(answers.about.kind, 'lora');
  const { none, words, option, recipe, rank, checkpoint } = answers.wrong;
  assert.match(none, /^INVALID_INPUT images: /);
  assert.match(words, /^INVALID_INPUT instancePrompt: .*picture 1 has no caption/);
  assert.match(option, /^INVALID_INPUT .*image/);
  assert.match(recipe, /^INVALID_INPUT .*rang/);
  assert.match(rank, /^INVALID_INPUT rank: 0 asked for/);
  assert.match(checkpoint, /^BAD_MODEL .*checkpoint of a training/);
});
