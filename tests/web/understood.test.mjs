/** The lines under the prompt that say how its words are understood, and what is drawn of other languages and emoji. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import ExifReader from 'exifreader';
import {
  MODEL, begins, draw, fileOf, finished, kept, picture, promptOf, ready, saveExact, savesData, set, stand, useSettings,
  visitor,
} from './page.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });

const under = (page) => page.locator('#understood');
const says = (page, words) => under(page).getByText(words).first().waitFor();
const offered = (page, name) => under(page).getByRole('button', { name, exact: true });
/** Whether the words of other languages were asked for. */
const asked = (server) => server.paths.includes('/languages.json');

/** What the file of the picture on the stage says. */
async function parameters(page) {
  const download = page.waitForEvent('download');
  await saveExact(page);
  return (await ExifReader.load(await (await download).path())).parameters.value;
}

test('what is not known is underlined while one types; a press puts what is known in its place, and undo takes that back', async () => {
  const page = await visitor(it);
  await promptOf(page).pressSequentially('my cat sleeping on a sofa');
  await says(page, 'Mini knows no sofa; it knows');
  assert.deepEqual(await under(page).locator('.echo u').allTextContents(), ['sleeping', 'sofa']);
  assert.equal(await under(page).locator('.echo').textContent(), 'my cat sleeping on a sofa');
  await offered(page, 'bed').click();
  assert.equal(await promptOf(page).inputValue(), 'my cat sleeping on a bed');
  await says(page, 'Mini does not know sleeping.');
  assert.equal(await offered(page, 'bed').count(), 0);
  assert.ok(await promptOf(page).evaluate((element) => element === document.activeElement), 'typing goes on');
  await page.keyboard.press('ControlOrMeta+z');
  assert.equal(await promptOf(page).inputValue(), 'my cat sleeping on a sofa');
});

test('what is offered is reached with the keyboard', async () => {
  const page = await visitor(it);
  await promptOf(page).fill('a dog and a ball');
  await offered(page, 'soccer ball').waitFor();
  await promptOf(page).focus();
  for (let n = 0; n < 6; n++) {
    await page.keyboard.press('Tab');
    if ((await page.evaluate(() => document.activeElement.textContent)) === 'soccer ball') break;
  }
  await page.keyboard.press('Enter');
  assert.equal(await promptOf(page).inputValue(), 'a dog and a soccer ball');
  await under(page).waitFor({ state: 'hidden' });
});

test('a prompt that is understood has nothing under it; a screen reader hears what changes, once one has stopped typing', async () => {
  const page = await visitor(it);
  await promptOf(page).fill('a cat on pink');
  await ready(page);
  assert.ok(await under(page).isHidden());
  assert.equal(await under(page).getAttribute('aria-live'), 'polite');
  const changes = await page.evaluate(async () => {
    let count = 0;
    const row = document.getElementById('understood');
    const changed = new Promise((resolve) => {
      new MutationObserver(() => { count += 1; resolve(); }).observe(row, { childList: true });
    });
    const field = document.getElementById('prompt');
    for (const letter of ' ball and a vase') {
      field.value += letter;
      field.dispatchEvent(new Event('input', { bubbles: true }));
    }
    await changed;
    return count;
  });
  assert.equal(changes, 1);
  await says(page, 'Mini knows no vase; it knows');
});

test('a prompt that names nothing offers something to press', async () => {
  const page = await visitor(it);
  await promptOf(page).fill('the president');
  await says(page, 'Nothing here is something that Mini can draw.');
  const [prompt] = MODEL.examples.map((example) => example.prompt).sort((a, b) => a.length - b.length);
  await offered(page, prompt).click();
  assert.equal(await promptOf(page).inputValue(), prompt);
  await page.keyboard.press('ControlOrMeta+z');
  assert.equal(await promptOf(page).inputValue(), 'the president');
});

test('another language is said to be translated; the English is drawn and written down, what was typed comes back', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('eine Katze');
  await says(page, 'Katze → cat');
  await draw(page, 'eine Katze auf rotem Grund', { Steps: 1, Seed: 3 });
  await says(page, 'Katze → cat, rotem → red, Grund → background: “a cat on a red background”');
  assert.equal(await page.locator('#notes').textContent(), '', 'once is enough');
  assert.equal(await picture(page).getAttribute('aria-label'), 'a cat on a red background');
  assert.match(await parameters(page), /^a cat on a red background\nSteps: 1/);
  const translated = await picture(page).evaluate((canvas) => canvas.toDataURL());
  await draw(page, 'a cat on a red background');
  assert.equal(await picture(page).evaluate((canvas) => canvas.toDataURL()), translated);
  await draw(page, '🐱');
  assert.match(await parameters(page), /^cat\nSteps: 1/);
  await page.reload();
  await ready(page);
  await page.locator('#earlier button').last().click();
  await useSettings(page);
  await page.waitForFunction(() => document.getElementById('prompt').value === 'eine Katze auf rotem Grund');
});

test('what was translated is said of a picture whose words are not in the box any more', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 30 });
  await promptOf(page).fill('ein Hund');
  await begins(page, () => promptOf(page).press('Enter'));
  await promptOf(page).fill('a dog and a ball');
  await finished(page);
  assert.equal(await page.locator('#notes').textContent(), 'Drawn as “a dog”.');
  assert.equal(await picture(page).getAttribute('aria-label'), 'a dog');
});

test('words of other languages are fetched when a prompt may have some, and work offline from then on', async () => {
  const server = await new Server().start();
  const page = await visitor({ ...it, server }, { init: savesData, serviceWorkers: 'allow' });
  await ready(page);
  for (const prompt of ['a cat on pink', '🐱', 'a dog and a ball']) await draw(page, prompt, { Steps: 1 });
  await kept(page);
  await page.reload();
  await ready(page);
  assert.ok(!asked(server), 'not for prompts that are understood without');
  await promptOf(page).fill('Katze');
  await says(page, 'Katze → cat');
  assert.ok(asked(server));
  await kept(page, 'languages\\.json');
  await server.kill();
  await page.reload();
  await ready(page);
  await promptOf(page).fill('un perro');
  await says(page, 'perro → dog');
});

test('without a network the words of other languages are said to be missing, and the prompt is drawn as it stands', async () => {
  const page = await visitor(it, { open: false, serviceWorkers: 'block' });
  await page.route('**/languages.json', (route) => route.abort());
  await page.goto(it.server.url + it.path);
  await ready(page);
  await set(page, { Steps: 1 });
  await promptOf(page).fill('Katze');
  await says(page, 'The words of other languages are not here yet');
  await begins(page, () => promptOf(page).press('Enter'));
  await finished(page);
  assert.equal(await picture(page).getAttribute('aria-label'), 'Katze');
  await page.unroute('**/languages.json');
  await promptOf(page).fill('die Katze');
  await says(page, 'Katze → cat');
});

test('a model without a list of words has nothing said about them, and draws what is typed', async () => {
  const page = await visitor(it, { init: savesData });
  await ready(page);
  // The same weights under another name: by its own it would be a copy of Mini, and know its words.
  const bytes = readFileSync(fileOf(MODEL));
  for (const at of [bytes.indexOf('mini'), bytes.indexOf('{"name":"mini"') + 9]) bytes.write('mine', at);
  await page.setInputFiles('#add-model-file', { name: 'other.gguf', mimeType: 'application/octet-stream', buffer: bytes });
  await page.locator('#report').getByText('was added and is in use now').waitFor();
  await page.locator('#once').getByRole('button', { name: 'Understood' }).click(); // what general models may draw
  await ready(page);
  await draw(page, 'eine Katze on a sofa', { Steps: 1 });
  assert.equal(await picture(page).getAttribute('aria-label'), 'eine Katze on a sofa');
  assert.ok(await under(page).isHidden());
  assert.equal(await page.locator('#notes').textContent(), '');
  assert.ok(!asked(it.server));
});
