/** Where things stand: together on small screens, in the order of the eye, in the browser's own size and colours. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { MOTION, promptOf, ready, resize, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });

/** The page's own way to say things, as it is written in www/: the built page has it among others in one file. */
function serveStatus() {
  for (const path of ['js/status.js', 'js/dom.js', 'js/words.js', 'errors.js']) it.server.overlay.set(`/${path}`, readFileSync(join(import.meta.dirname, '../../www', path), 'utf8'));
}

/** Says something long in the status line. */
async function sayLong(page) {
  serveStatus();
  await page.evaluate(async () => {
    const { say } = await import('./js/status.js');
    say('Drawing', 'picture 3 of 8 · step 17 of 150 · 2 min 10 s left, and some more words that no line has room for');
  });
}

for (const [what, look] of Object.entries({
  'a desk': { viewport: { width: 1280, height: 800 } },
  'a common laptop': { viewport: { width: 1366, height: 625 } },
  'a page at 200 %': { viewport: { width: 640, height: 400 } },
  'a phone': { viewport: { width: 390, height: 844 } },
  'a phone on its side': { viewport: { width: 844, height: 390 }, hasTouch: true, isMobile: true },
})) {
  test(`${what}: picture, prompt, Generate and status are seen together, also with a long prompt`, async () => {
    const page = await visitor(it, { ...look, settings: false });
    await ready(page);
    await sayLong(page);
    for (const words of ['a cat', 'a cat in the snow '.repeat(60)]) {
      await promptOf(page).fill(words);
      await page.locator('#prompt').evaluate((prompt) => prompt.blur());
      for (const id of ['frame', 'prompt', 'generate', 'status']) {
        const box = await page.locator(`#${id}`).boundingBox();
        const seen = box && box.x >= 0 && box.x + box.width <= look.viewport.width && box.y >= 0 && box.y + box.height <= look.viewport.height;
        assert.ok(seen, `${id}: ${JSON.stringify(box)} with ${words.length} letters`);
        if (id === 'frame') assert.ok(box.width >= 232, `the picture has ${box.width} px`);
        if (id === 'status') assert.ok(box.width >= 216 && box.height >= 40 && box.height <= 48, `two lines: ${JSON.stringify(box)}`);
      }
    }
    assert.equal(await page.evaluate(() => scrollY), 0);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
  });
}

test('How it works does not scroll sideways at any width between a phone and a desk', async () => {
  const page = await visitor(it, { path: '?engine=cpu#how', reducedMotion: 'reduce' });
  await ready(page);
  await page.getByRole('heading', { name: 'Your own' }).waitFor();
  for (const size of ['16px', '24px']) {
    await page.evaluate((fontSize) => { document.documentElement.style.fontSize = fontSize; }, size);
    for (const width of [390, 600, 640, 768, 800, 899, 900, 1100]) {
      await resize(page, { width, height: 800 });
      // The contents go from edge to edge: what the size asks for may take effect some frames later.
      const laidOut = (to) => {
        const { left, right } = document.querySelector('.contents-box').getBoundingClientRect();
        return left === 0 && right === to;
      };
      await page.waitForFunction(laidOut, width).catch(async () => assert.fail(
        `the contents are at ${JSON.stringify(await page.locator('.contents-box').boundingBox())} at ${width} px and ${size}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${wide} px at ${width} px and ${size}`);
    }
  }
});

test('settings are closed until they are opened, and then stay open, also over a reload', async () => {
  const page = await visitor(it, { settings: false });
  await ready(page);
  const toggle = page.locator('#sheet-toggle');
  const steps = page.getByRole('spinbutton', { name: 'Steps' });
  assert.deepEqual([await steps.isVisible(), await toggle.getAttribute('aria-expanded')], [false, 'false']);
  await toggle.click();
  assert.deepEqual([await steps.isVisible(), await toggle.getAttribute('aria-expanded')], [true, 'true']);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'settings-title');
  await page.reload();
  await ready(page);
  assert.deepEqual([await steps.isVisible(), await toggle.getAttribute('aria-expanded')], [true, 'true']);
  await toggle.click();
  await page.reload();
  await ready(page);
  assert.equal(await steps.isVisible(), false);
});

test('all type follows the browser’s own size', async () => {
  const page = await visitor(it, MOTION); // with less of it, each change of a style takes a moment
  await ready(page);
  /** The sizes of all words that are there, by what they stand in; the welcome fits its frame. */
  const sizes = () => page.evaluate(() => [...document.querySelectorAll('body *:not(script, noscript, option, .welcome *)')]
    .filter((element) => [...element.childNodes].some(({ nodeType, data }) => nodeType === 3 && data.trim()))
    .map((element) => [element.id || element.className || element.tagName, parseFloat(getComputedStyle(element).fontSize)]));
  const before = await sizes();
  await page.evaluate(() => { document.documentElement.style.fontSize = '32px'; });
  const twice = await sizes();
  assert.ok(before.length > 60, `${before.length} places with words`);
  const left = before.filter(([, size], i) => Math.abs(twice[i][1] - 2 * size) > 0.1).map(([name]) => name);
  assert.deepEqual(left, [], 'as large as before');
});

test('with forced colours a switch shows whether it is on, and progress is seen', async () => {
  const page = await visitor(it, { forcedColors: 'active' });
  await ready(page);
  const random = page.locator('.switch').filter({ hasText: 'Random' });
  const box = page.getByRole('checkbox', { name: 'Random seed' });
  const on = await random.screenshot();
  await box.evaluate((element) => { element.checked = false; });
  assert.ok(!on.equals(await random.screenshot()), 'on and off look alike');
  const bar = page.locator('#progress');
  serveStatus();
  const set = (share) => page.evaluate(async (done) => {
    const status = await import('./js/status.js');
    status.bar(done);
    await Promise.all(document.getAnimations().map(({ finished }) => finished));
  }, share);
  await set(0.1);
  const little = await bar.screenshot();
  await set(0.9);
  assert.ok(!little.equals(await bar.screenshot()), 'little and much look alike');
  assert.equal(await page.locator('#sampler').evaluate((element) => getComputedStyle(element).appearance), 'auto', 'its arrow is the browser’s');
  await promptOf(page).focus();
  const outline = await page.locator('.composer-box').evaluate((box) => getComputedStyle(box).outlineStyle);
  assert.equal(outline, 'solid', 'the prompt shows that it has the focus');
  const dot = await page.locator('.chip .dot').evaluate((element) => getComputedStyle(element).backgroundColor);
  assert.notEqual(dot, await page.locator('.chip').evaluate((element) => getComputedStyle(element).backgroundColor));
});

test('Tab goes as the eye does: prompt, its buttons, what is beside the status, examples, settings', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.evaluate(() => { document.querySelector('#actions').removeAttribute('data-off'); });
  await promptOf(page).focus();
  const order = [];
  for (let i = 0; i < 24; i++) {
    order.push(await page.evaluate(() => {
      const at = document.activeElement;
      return at.closest('#examples') ? 'examples' : at.closest('#actions') ? 'actions' : at.closest('#settings') ? 'settings' : at.id;
    }));
    await page.keyboard.press('Tab');
  }
  const steps = order.filter((name, i) => name !== order[i - 1] && ['prompt', 'sheet-toggle', 'generate', 'actions', 'examples', 'settings'].includes(name));
  assert.deepEqual(steps, ['prompt', 'sheet-toggle', 'generate', 'actions', 'examples', 'settings']);
});

test('what a finger presses has 44 px', async () => {
  const page = await visitor(it, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await ready(page);
  await page.locator('#knows').evaluate((knows) => { knows.open = true; });
  await page.locator('#sheet-toggle').click();
  const small = await page.evaluate(() => [...document.querySelectorAll('a[href], button, input:not([type="file"], [type="checkbox"]), select, textarea, summary, .switch')]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('.skip, [inert]'))
    .map((element) => ({ name: element.id || element.textContent, box: element.getBoundingClientRect() }))
    .filter(({ box }) => box.height < 43.5 || box.width < 43.5)
    .map(({ name, box }) => `${name}: ${box.width} × ${box.height}`));
  assert.deepEqual(small, []);
});

test('the prompt’s two buttons stay in one row down to half a laptop’s width at 200 %', async () => {
  for (const viewport of [{ width: 640, height: 400 }, { width: 844, height: 390 }, { width: 390, height: 844 }, { width: 320, height: 568 }]) {
    const page = await visitor(it, { viewport });
    await ready(page);
    await promptOf(page).fill('a fox in the snow');
    await page.locator('#length').getByText('/').waitFor({ state: 'attached' });
    const [settings, generate] = await Promise.all(['#sheet-toggle', '#generate'].map((id) => page.locator(id).boundingBox()));
    assert.equal(settings.y, generate.y, `${viewport.width} × ${viewport.height}`);
  }
});
