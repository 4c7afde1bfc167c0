/** Nothing typed leaves the tab, from the first byte of HTML on; what was typed and pressed before the code came is taken up. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { assertDone, banner, finished, generateButton, picture, promptOf, ready, says, stand, visitor } from './page.mjs';
import { DIST } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });
const SECRET = 'a red apple, my secret wish';
const WORD = /secret|wish/i;

/** What the server was told must not hold the prompt, in whatever writing. */
function assertNothingSent(server) {
  assert.ok(server.log.length > 5, 'the server’s log has the page’s requests');
  assert.deepEqual(server.log.filter((line) => WORD.test(line)), []);
}

/** Holds a file back; `go` lets it be sent. */
function hold(server, path) {
  let go;
  server.held.set(path, new Promise((done) => { go = done; }));
  return () => go();
}

/** Opens the page without waiting for its modules. */
const open = (page, path = '?engine=cpu') => page.goto(it.server.url + path, { waitUntil: 'commit' });

test('the policy forbids forms, and stands in the page as the server sends it', async () => {
  const html = readFileSync(join(DIST, 'index.html'), 'utf8');
  const [, written] = /<meta http-equiv="Content-Security-Policy" content="([^"]*)">/.exec(html);
  const sent = (await fetch(it.server.url)).headers.get('content-security-policy');
  assert.match(sent, /form-action 'none'/);
  assert.equal(written, sent.replace(/; frame-ancestors 'none'$/, ''), 'only frame-ancestors cannot be said in a page');
  assert.ok(html.indexOf(written) < html.indexOf('<script'), 'it stands before any code');
  const page = await visitor(it);
  // Radio buttons are one choice by their name; outside of a form nothing sends it.
  const sends = await page.evaluate(() => [...document.querySelectorAll('form, [name], [type="submit"], button:not([type])')]
    .filter(({ tagName, type }) => tagName !== 'META' && type !== 'radio').map((element) => element.outerHTML));
  assert.deepEqual(sends, [], 'nothing that a browser would send by itself');
});

for (const [how, press] of Object.entries({
  'a click': (page) => generateButton(page).click(),
  Enter: (page) => promptOf(page).press('Enter'),
  'a double click': (page) => generateButton(page).dblclick(),
})) {
  test(`typed, and ${how} on Generate, before the code has come: it is drawn, once, and the server hears nothing of it`, async () => {
    const go = hold(it.server, '/main.js');
    const page = await visitor(it, { open: false });
    await open(page);
    await page.locator('#steps').fill('2');
    await promptOf(page).fill(SECRET);
    await press(page);
    await says(page, 'Loading, then drawing');
    assert.equal(page.url(), `${it.server.url}?engine=cpu`, 'the address stays');
    go();
    await page.waitForFunction(() => /^Done in/.test(document.querySelector('#status').textContent));
    await assertDone(page);
    assert.equal(await promptOf(page).inputValue(), SECRET);
    assert.equal(await picture(page).getAttribute('aria-label'), SECRET);
    assert.equal(await page.locator('#earlier button').count(), 1);
    assert.equal(await page.locator('#steps').inputValue(), '2');
    assertNothingSent(it.server);
  });
}

test('what is typed early goes before what was kept from the last visit', async () => {
  const go = hold(it.server, '/main.js');
  const page = await visitor(it, {
    open: false, init: () => localStorage.setItem('opengen.form', JSON.stringify({ prompt: 'yesterday', steps: '7' })),
  });
  await open(page);
  await promptOf(page).fill('today');
  go();
  await ready(page);
  assert.equal(await promptOf(page).inputValue(), 'today');
  assert.equal(await page.locator('#steps').inputValue(), '7', 'what was not touched comes back');
});

for (const [what, path] of [['main.js', '/main.js'], ['a module that it needs', '/models.js']]) {
  test(`without ${what} the page says so, sends nothing and keeps what was typed`, async () => {
    it.server.missing = path;
    const page = await visitor(it, { open: false });
    await open(page);
    await promptOf(page).fill(SECRET);
    await generateButton(page).click();
    await banner(page).getByText('The page’s code did not arrive.').waitFor();
    assert.match(await banner(page).innerText(), /Nothing was sent, and what you typed is kept\./);
    await generateButton(page).click();
    await promptOf(page).press('Enter');
    assert.equal(await promptOf(page).inputValue(), SECRET, 'Enter breaks no line');
    assert.equal(page.url(), `${it.server.url}?engine=cpu`);

    it.server.missing = null;
    await banner(page).getByRole('button', { name: 'Reload the page' }).click();
    await ready(page);
    assert.equal(await promptOf(page).inputValue(), SECRET, 'the reload brings it back');
    await page.locator('#steps').fill('2');
    await generateButton(page).click();
    await finished(page);
    assertNothingSent(it.server);
  });
}

test('a page whose code takes long says so, and goes on by itself when it comes', async () => {
  const go = hold(it.server, '/main.js');
  const page = await visitor(it, { open: false });
  await page.clock.install();
  await open(page);
  await promptOf(page).fill(SECRET);
  await page.clock.runFor(31_000);
  await banner(page).getByText('The page’s code has not arrived yet.').waitFor();
  go();
  await ready(page);
  assert.equal(await banner(page).count(), 0);
  assert.equal(await promptOf(page).inputValue(), SECRET);
  assertNothingSent(it.server);
});

test('what the first moment does without may come later: the picture is drawn, and what was pressed meanwhile is answered', async () => {
  const go = hold(it.server, '/js/later.js');
  const page = await visitor(it, { open: false });
  await open(page);
  await page.locator('#steps').fill('2');
  await promptOf(page).fill(SECRET);
  await generateButton(page).click();
  await finished(page);
  await page.locator('#enlarge').click();
  assert.equal(await page.locator('#large').isVisible(), false);
  go();
  await page.locator('#large').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#model-chip').click();
  await page.locator('#storage').waitFor();
  assert.deepEqual(page.trouble, []);
});

for (const [what, path, words] of [
  ['what the first moment does without', '/js/later.js', 'A part of the page did not arrive.'],
  ['the way to the engine', '/client.js', 'The page’s way to its engine did not arrive'],
]) {
  test(`without ${what} the page says so, and a reload mends it`, async () => {
    it.server.missing = path;
    const page = await visitor(it, { open: false });
    await open(page);
    await promptOf(page).fill(SECRET);
    await banner(page).getByText(words).waitFor();
    it.server.missing = null;
    await page.reload();
    await ready(page);
    assert.equal(await promptOf(page).inputValue(), SECRET);
    assertNothingSent(it.server);
  });
}

test('without JavaScript the page is one sentence, and nothing that cannot work', async () => {
  const page = await visitor(it, { javaScriptEnabled: false });
  const seen = await page.locator('body').innerText();
  assert.match(seen.replace(/\s+/g, ' ').trim(), /^OpenGen OpenGen computes its pictures in this browser, so it needs JavaScript, which is switched off here/);
  for (const selector of ['button', 'textarea', 'input', 'select', 'canvas', 'nav a']) {
    assert.equal(await page.locator(selector).filter({ visible: true }).count(), 0, selector);
  }
});
