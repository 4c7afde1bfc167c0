/** Dynamic prompts: what becomes of a template is shown, is what is drawn, and lists are the visitor's own. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { assertDone, begins, finished, generateButton, promptOf, ready, saveExact, set, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const folder = mkdtempSync(join(tmpdir(), 'opengen-dynamic-'));
after(() => rmSync(folder, { recursive: true }));

const SMALL = { Steps: 1, Width: 64, Height: 64 };
const file = (name, text) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });
/** What is shown of the prompt, once it is another than `before`. */
async function becomes(page, before = '') {
  await page.waitForFunction((old) => {
    const now = [...document.querySelectorAll('#becomes :is(q, li)')].map((one) => one.textContent);
    return document.querySelector('#becomes[aria-busy="false"]') && now.length > 0 && now.join('\n') !== old;
  }, before);
  return page.locator('#becomes :is(q, li)').allTextContents();
}
const prompts = (page) => page.evaluate(() => new Promise((resolve, reject) => {
  const opened = indexedDB.open('opengen-pictures');
  opened.onerror = () => reject(opened.error);
  opened.onsuccess = () => {
    opened.result.transaction('entries').objectStore('entries').getAll().onsuccess = ({ target }) => resolve(target.result.map(({ settings }) => settings));
  };
}));
const list = (page, name) => page.locator('#lists .stored li').filter({ has: page.getByText(name, { exact: true }) });

test('what is shown is what is drawn, each picture by its own seed, and its file says of what', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await ready(page);
  await set(page, { ...SMALL, Pictures: 3 });
  await promptOf(page).fill('a red apple (shiny:1.2)');
  await page.waitForTimeout(500); // nothing is to come
  assert.equal(await page.locator('#becomes').count(), 0);
  assert.ok(!asked.some((path) => path.endsWith('/dynamic.js')), 'it comes when a prompt has something to choose');
  const template = 'a {red|green|blue|yellow} {apple|pear|fox|panda}';
  await promptOf(page).fill(template);
  const shown = await becomes(page);
  assert.equal(shown.length, 3);
  for (const prompt of shown) assert.match(prompt, /^a (red|green|blue|yellow) (apple|pear|fox|panda)$/);
  await page.getByRole('button', { name: 'Choose again' }).click();
  const again = await becomes(page, shown.join('\n'));
  await begins(page, () => generateButton(page).click());
  await becomes(page, again.join('\n')); // those of the next pictures
  await finished(page);
  await assertDone(page);
  const made = await prompts(page);
  assert.deepEqual(made.map(({ prompt }) => prompt), again);
  assert.deepEqual(made.map(({ templates }) => templates.prompt), [template, template, template]);
  assert.equal(new Set(made.map(({ seed }) => seed)).size, 3);

  // A seed that is set chooses the same each time.
  await set(page, { Pictures: 1, Seed: 7 });
  await page.waitForFunction(() => document.querySelectorAll('#becomes q').length === 1);
  const [seven] = await becomes(page);
  assert.equal(await page.getByRole('button', { name: 'Choose again' }).isVisible(), false);
  await begins(page, () => generateButton(page).click());
  await finished(page);
  const [download] = await Promise.all([page.waitForEvent('download'), saveExact(page)]);
  const path = join(folder, 'seven.png');
  await download.saveAs(path);
  const text = readFileSync(path).toString('latin1');
  assert.ok(text.includes(`${seven}\nSteps: 1`) && text.includes(`Template: ${template}`), text.slice(0, 600));

  // Its settings, from history and from its file, bring the template back.
  await promptOf(page).fill('a fox');
  await page.locator('#earlier li').first().getByRole('button').first().click();
  await page.locator('#use-settings').click();
  await page.waitForFunction((value) => document.querySelector('#prompt').value === value, template);
  assert.deepEqual(await becomes(page), [seven], 'the same seed chooses the same');
  await promptOf(page).fill('a fox');
  await page.setInputFiles('#recall-file', path);
  await page.locator('#report').getByText(`Its words were made of a template: “${template}”.`).waitFor();
  assert.equal(await promptOf(page).inputValue(), seven);
  await page.getByRole('button', { name: 'Use its template' }).click();
  assert.equal(await promptOf(page).inputValue(), template);
  assert.deepEqual(await becomes(page), [seven]);

  // While a picture is made another is chosen, and what waits says what it will be.
  await set(page, { Steps: 500 }); // long enough on a busy machine: it is cancelled
  await begins(page, () => generateButton(page).click());
  await set(page, { Seed: 8 });
  const [eight] = await becomes(page, seven);
  await page.getByRole('button', { name: 'Add to queue' }).click();
  await page.locator('#waiting-list li', { hasText: eight }).waitFor({ state: 'attached' });
  await page.locator('#waiting-clear').evaluate((button) => button.click());
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();

  // As text, if that is meant.
  await page.getByRole('button', { name: 'Take braces as text' }).click();
  await page.getByText('Braces and __names__ are text.').waitFor();
  await set(page, { Steps: 1, Seed: 9 });
  await begins(page, () => generateButton(page).click());
  await finished(page);
  assert.equal((await prompts(page)).at(-1).prompt, template);
  await page.getByRole('button', { name: 'Choose among what is in braces' }).click();
  await page.locator('#becomes q').waitFor();
  assert.deepEqual(page.trouble, []);
});

test('lists are written, brought, changed, deleted and put back, and kept; a ring is refused in a sentence', { timeout: 240_000 }, async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { ...SMALL, Seed: 1 });
  await promptOf(page).fill('a __colour__ apple');
  await page.locator('#becomes').getByText('There is no list for __colour__; there are none.').waitFor();
  await generateButton(page).click();
  await page.locator('#prompt-error').getByText('There is no list for __colour__').waitFor();

  // By keys alone.
  await page.getByRole('button', { name: 'Write the list “colour”' }).press('Enter');
  await page.locator('#list-text:focus').waitFor();
  await page.keyboard.press('Control+Enter'); // is no way to generate from here
  await page.getByRole('button', { name: 'Keep it' }).press('Enter');
  await page.locator('#list-error').getByText('Write at least one line.').waitFor();
  await page.locator('#list-text').fill('green\n# no colour\n');
  await page.getByRole('button', { name: 'Keep it' }).press('Enter');
  await page.locator('#lists').getByText('“colour” has 1 line.').waitFor();
  await page.keyboard.press('Escape');
  assert.deepEqual(await becomes(page), ['a green apple']);
  await page.locator('#prompt').press('Enter');
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Done in '), null, { timeout: 120_000 });
  assert.equal((await prompts(page)).at(-1).prompt, 'a green apple');

  await page.getByRole('button', { name: 'Lists (1)' }).click();
  await page.locator('#list-files').setInputFiles([file('colour.txt', 'blue\n'), file('ring.txt', '__knot__'), file('knot.txt', 'x __ring__'), file('empty.txt', '# nothing'), file('bytes.txt', 'a\0b')]);
  const said = page.locator('#lists [role="status"]');
  await said.getByText('“colour 2” has 1 line; “colour” stays as it is.').waitFor();
  await said.getByText('“empty.txt” was not taken: it has no lines.').waitFor();
  await said.getByText('“bytes.txt” was not taken: it is no text.').waitFor();
  await page.getByRole('button', { name: 'Change colour', exact: true }).click();
  await page.locator('#list-name').fill('ring');
  await page.getByRole('button', { name: 'Keep it' }).click();
  await page.locator('#list-error').getByText('There is a list “ring” already').waitFor();
  await page.locator('#list-name').fill('a__b');
  await page.getByRole('button', { name: 'Keep it' }).click();
  await page.locator('#list-error').getByText('cannot be called in a prompt').waitFor();
  await page.locator('#list-name').fill('hue');
  await page.locator('#list-text').fill('yellow');
  await page.getByRole('button', { name: 'Keep it' }).click();
  await list(page, 'hue').waitFor();
  assert.equal(await list(page, 'colour').count(), 0, 'it has another name now');
  await page.getByRole('button', { name: 'Delete hue' }).click();
  await said.getByText('“hue” was deleted.').waitFor();
  assert.equal(await list(page, 'hue').count(), 0);
  await page.getByRole('button', { name: 'Put it back' }).click();
  await list(page, 'hue').waitFor();
  await page.locator('#lists').getByRole('button', { name: 'Close' }).click();

  await promptOf(page).fill('__ring__');
  await page.locator('#becomes').getByText('The list __ring__ leads back to itself: ring → knot → ring.').waitFor();
  const before = (await prompts(page)).length;
  await generateButton(page).click();
  await page.locator('#prompt-error').getByText('The list __ring__ leads back to itself: ring → knot → ring.').waitFor();
  assert.equal(await promptOf(page).inputValue(), '__ring__');

  await page.reload();
  await ready(page);
  await promptOf(page).fill('a __hue__ apple');
  assert.deepEqual(await becomes(page), ['a yellow apple']);
  assert.equal((await prompts(page)).length, before, 'nothing was drawn of it');
  assert.deepEqual(page.trouble, []);
});
