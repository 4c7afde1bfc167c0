/** WCAG 2.2 AA as axe-core checks it: all views, both themes, both widths, and what opens over them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';
import { everyLook } from './contrast.mjs';
import { hasten } from './learn.mjs';
import { MOTION, PATIENCE, draw, promptOf, ready, stand, visitor } from './page.mjs';
import { square } from './square.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe finds wrong, one line per rule and place. */
async function violations(page) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(AXE); // as the debugger does: the page's own policy lets no foreign script in
  const violations = await page.evaluate(async (values) => {
    const found = await window.axe.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] });
    return found.violations;
  }, RULES);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
    `${id}: ${target.join(' ')}: ${failureSummary.split('\n').slice(1).join(';').trim()}`));
}

/** That axe finds nothing wrong with a state of the page, in every look, once the page is at rest: a busy machine may be late. */
const clean = (page, state) => everyLook(page, [1280, 360], async (look) => {
  let found = await violations(page);
  for (let late = 0; late < 3 && found.length > 0; late++) {
    await page.waitForTimeout(1000);
    found = await violations(page);
  }
  assert.deepEqual(found, [], `${state}, ${look}`);
});

test('Create: empty, with a picture, begun with one, painted over, with words that it does not know, with the storage panel', async () => {
  const page = await visitor(it);
  await ready(page);
  await clean(page, 'empty');
  await draw(page, 'a red apple on a light blue background', { Steps: 2 });
  await clean(page, 'with a picture');
  for (const mode of ['From a picture', 'Repaint', 'Extend', 'Enlarge']) {
    await page.getByRole('radio', { name: mode }).check({ force: true }); // its label lies above
    if (mode === 'Repaint') await page.getByText('More', { exact: true }).and(page.locator('#tools summary')).click();
    await clean(page, mode);
  }
  await page.getByRole('radio', { name: 'From a picture' }).check({ force: true });
  await draw(page, 'a red apple on a light blue background', { Steps: 2 });
  await page.getByRole('button', { name: 'Before' }).click();
  await clean(page, 'with what was before over it');
  await page.getByRole('radio', { name: 'From words' }).check({ force: true });
  await promptOf(page).fill('my blue elephant sleeping on a sofa');
  await page.locator('#understood button').first().waitFor();
  await clean(page, 'with words that it does not know');
  await promptOf(page).fill('a red apple <lora:gone:1> embedding:nowhere');
  await page.locator('#prompt-names').getByText('“gone” is a LoRA that is not here').waitFor();
  await clean(page, 'with names that are not here');
  await page.locator('#model-chip').click();
  await page.locator('#storage[open]').waitFor();
  await clean(page, 'storage');
});

test('Create: finer settings, and drawing in tiles', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.locator('#sampler').selectOption('euler');
  await page.locator('#schedule').selectOption('karras');
  await page.locator('#sampling > summary').click();
  await page.locator('#sChurn').fill('20000');
  await page.locator('#second > summary').click();
  await page.locator('#tiles').fill('60');
  await page.locator('#generate').click();
  await page.locator('#sChurn-error').getByText('Churn takes a number').waitFor();
  await clean(page, 'with finer settings and tiles');
});

test('Create: what a prompt becomes, and the visitor’s lists', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.locator('#batch').fill('8'); // of which seeds by chance hardly make the same
  await promptOf(page).fill('a {red|green|blue} apple');
  await page.locator('#becomes li').first().waitFor();
  await clean(page, 'with what it becomes');
  await promptOf(page).fill('a __colour__ apple');
  await page.getByRole('button', { name: 'Write the list “colour”' }).click();
  await page.locator('#list-text').fill('red');
  await page.getByRole('button', { name: 'Keep it' }).click();
  await page.getByRole('button', { name: 'Change colour' }).click();
  await page.locator('#list-name').fill('a__b');
  await page.getByRole('button', { name: 'Keep it' }).click();
  await page.locator('#list-error').getByText('cannot be called').waitFor();
  await clean(page, 'with lists');
});

test('Create: a part of the prompt that is painted, and a control image', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('a red apple AND a green pear');
  await page.locator('#regions > summary').click();
  const places = page.locator('.region-rows select');
  await places.nth(1).waitFor();
  await places.nth(0).selectOption('left');
  await places.nth(1).selectOption('right');
  await places.nth(1).selectOption('painted');
  await page.getByText('50 % of the picture is painted for part 2.').waitFor();
  await page.locator('#controls > summary').click();
  await page.locator('#control-file').setInputFiles({ name: 'square.png', mimeType: 'image/png', buffer: square() });
  await page.locator('.steer-list canvas[aria-label^="What is read"]').waitFor();
  await page.getByLabel('What is read of it').selectOption('canny');
  await clean(page, 'with a painted region and a control image');
});

test('Models: as it opens', async () => {
  const page = await visitor(it, { path: '?engine=cpu#models' });
  await ready(page);
  await page.locator('.card').first().waitFor();
  await clean(page, 'as it opens');
});

test('Teach: as it opens, with pictures and what is wrong with them, with one cropped and masked, and with what was learnt', async () => {
  const page = await visitor(it, { path: '?engine=cpu#teach' });
  await ready(page);
  await clean(page, 'as it opens');
  const squares = ['black', 'teal', 'white'].map((colour) => page.evaluate(async (fill) => {
    const canvas = new OffscreenCanvas(64, 64);
    const context = canvas.getContext('2d');
    context.fillStyle = fill;
    context.fillRect(0, 0, 64, 64);
    return btoa(String.fromCharCode(...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())));
  }, colour));
  const files = (await Promise.all(squares)).map((text, at) => ({ name: `${at}.png`, mimeType: 'image/png', buffer: Buffer.from(text, 'base64') }));
  await page.locator('#teach-files').setInputFiles(files.slice(0, 2));
  await page.locator('.teach-notes li').first().waitFor();
  await page.locator('.teach-details > summary').click();
  await page.getByRole('button', { name: 'Teach it' }).click();
  await clean(page, 'with what is wrong');
  await page.getByRole('button', { name: 'Crop picture 1' }).click();
  await page.getByRole('slider', { name: 'Zoom' }).waitFor();
  await clean(page, 'with a picture cropped');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Mask picture 1' }).click();
  await page.getByRole('dialog', { name: 'Mask picture 1' }).getByRole('slider', { name: 'Size' }).waitFor();
  await page.keyboard.press(' ');
  await page.getByText(/^\d+ % of the picture is learnt/).waitFor();
  await clean(page, 'with a picture masked');
  await page.getByRole('button', { name: 'Take this mask' }).click();
  await page.locator('#teach-files').setInputFiles(files.slice(2));
  await page.locator('.teach-pictures li').nth(2).waitFor();
  await page.getByLabel('What kind of thing it is').fill('cat');
  await page.evaluate(async () => { // how it looks, not what it learns
    const { OpenGen } = await import('/client.js');
    OpenGen.prototype.train = async () => ({ step: 1, file: new Blob(['none']), checkpoint: new Blob(['none']) });
  });
  await page.getByRole('button', { name: 'Teach it' }).click();
  await page.locator('#teach-save').waitFor({ timeout: PATIENCE });
  await clean(page, 'with what was learnt');
});

test('How it works: as it opens, with a picture taken apart, with a prompt looked into, a training step and a new word', async () => {
  const page = await visitor(it, { ...MOTION, path: '?engine=cpu#how' });
  await ready(page);
  const part = page.locator('section.part').filter({ has: page.getByRole('heading', { name: 'Into noise', exact: true }) });
  const make = part.getByRole('button', { name: 'Make this example' });
  await make.waitFor();
  await clean(page, 'as it opens');
  await make.click();
  await part.getByRole('slider').waitFor();
  await page.getByRole('button', { name: 'Draw and look' }).click();
  const words = page.locator('#how-words');
  await words.getByRole('status').filter({ hasText: 'Point at or tap a word' }).waitFor({ timeout: PATIENCE });
  await words.getByText('One layer, one step').click();
  await words.getByRole('button', { name: 'The picture' }).press('ArrowDown');
  await page.getByRole('button', { name: 'Take the step' }).click();
  await page.locator('#how-training').getByRole('status').filter({ hasText: 'Three times' }).waitFor({ timeout: PATIENCE });
  await hasten(page);
  await page.locator('#how-taught').getByRole('button', { name: 'Teach it', exact: true }).click();
  await page.locator('#how-taught').getByRole('status').filter({ hasText: 'steps are taken' }).waitFor({ timeout: PATIENCE });
  await clean(page, 'with a picture, a prompt looked into, a training step and a new word');
});
