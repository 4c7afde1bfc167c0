/** Made for people: what a first look shows, installing, the policy, the keyboard, what is spoken, what moves. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { ACTIONS, errorWords } from '../../www/js/words.js';
import { MODEL, assertPicture, draw, kept, promptOf, ready, says, set, stand, tab, visitor } from './page.mjs';
import { Server } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });
const APPLE = 'a red apple on a light blue background';

for (const [width, height] of [[1280, 720], [390, 664], [360, 640]]) {
  test(`a first look at ${width} × ${height}: what it is, where it runs, what it fetches, an example to click`, async () => {
    it.server.faults = { bytesPerSecond: 300_000 };
    const page = await visitor(it, { viewport: { width, height }, settings: false });
    await says(page, 'Fetching');
    for (const [what, locator] of [
      ['what it is', page.getByText('Pictures from words')],
      ['where it runs', page.getByText('on your own machine')],
      ['what it fetches', page.getByText(/15 MB/).filter({ visible: true })],
      ['the prompt', promptOf(page)],
      ['an example', page.getByRole('button', { name: MODEL.examples[0].prompt })],
    ]) {
      const box = await locator.first().boundingBox();
      assert.ok(box && box.y >= 0 && box.y + box.height <= height && box.x >= 0 && box.x < width, `${what}: ${JSON.stringify(box)}`);
    }
    assert.equal(await page.evaluate(() => scrollY), 0);
  });
}

test('it can be installed, and opens from the home screen without a network', async () => {
  const server = await new Server().start();
  const page = await visitor({ ...it, server }, { path: '' }); // as the icon opens it: with the engine that suits
  await ready(page);
  await draw(page, APPLE, { Steps: 1 }); // icons come after the first picture
  await kept(page);
  await kept(page, 'icons/icon-512\\.png');
  const devtools = await page.context().newCDPSession(page);
  const { errors, data } = await devtools.send('Page.getAppManifest');
  assert.deepEqual(errors, []);
  const manifest = JSON.parse(data);
  assert.equal(manifest.display, 'standalone');
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  // A fresh profile counts as a private window, where nothing can be installed; that apart, nothing stands in the way.
  assert.deepEqual(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito'), []);
  await server.kill();
  const home = await tab(page.context(), { ...it, server }, { path: manifest.start_url.replace('./', '') });
  await ready(home);
  for (const { src, type } of manifest.icons) {
    const found = await home.evaluate(async (path) => (await fetch(path)).headers.get('content-type'), src);
    assert.equal(found, type, `${src} without a network`);
  }
  assertPicture(await draw(home, APPLE, { Steps: 1 }));
});

test('the policy lets nothing run that is not the page’s own', async () => {
  const { headers } = await fetch(it.server.url);
  const policy = headers.get('content-security-policy');
  assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'|\*/);
  assert.match(policy, /script-src 'self' 'wasm-unsafe-eval'/);
  const page = await visitor(it);
  await ready(page);
  const blocked = await page.evaluate(async () => {
    const seen = [];
    addEventListener('securitypolicyviolation', ({ effectiveDirective }) => seen.push(effectiveDirective));
    const script = document.createElement('script');
    script.textContent = 'window.foreign = true';
    document.body.append(script);
    document.body.setAttribute('onclick', 'window.foreign = true');
    const style = document.createElement('style');
    style.textContent = 'body { color: red }';
    document.head.append(style);
    document.body.click();
    await new Promise((done) => setTimeout(done, 300)); // the events are tasks of their own
    return { seen: [...new Set(seen)].sort(), foreign: window.foreign };
  });
  assert.deepEqual(blocked, { seen: ['script-src-attr', 'script-src-elem', 'style-src-elem'], foreign: undefined });
  page.trouble.length = 0; // those were asked for
});

/** Everything that a mouse could press or fill in, and that is there to be seen; of choices the one that is made, which Tab goes to. */
const touchable = (page) => page.evaluate(() => {
  const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')];
  const shown = all.filter((element) => !element.disabled && element.tabIndex >= 0 && element.checkVisibility({ visibilityProperty: true })
    && !element.closest('[inert]') && !(element.type === 'radio' && !element.checked));
  shown.forEach((element, i) => { element.dataset.stop = String(i); });
  return shown.map((element) => element.id || element.textContent.trim().slice(0, 40) || element.ariaLabel || element.outerHTML.slice(0, 80));
});

for (const [view, path, width] of [['Create', '?engine=cpu', 1280], ['Create on a phone', '?engine=cpu', 360], ['How it works', '?engine=cpu#how', 1280]]) {
  test(`${view}: Tab reaches everything, and what has the focus can be seen`, async () => {
    // With less motion nothing runs by itself, and no button is off for a while because of it.
    const page = await visitor(it, { path, viewport: { width, height: 740 }, reducedMotion: 'reduce' });
    await ready(page);
    if (view === 'How it works') await page.getByRole('heading', { name: 'Your own' }).waitFor();
    else await draw(page, APPLE, { Steps: 1 });
    const names = await touchable(page);
    await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
    const reached = new Set();
    const unseen = [];
    for (let i = 0; i < names.length + 20; i++) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const element = document.activeElement;
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
        const ring = (outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || boxShadow !== 'none'
          || getComputedStyle(element.closest('.composer-box') ?? element).boxShadow !== 'none';
        return { stop: element.dataset.stop, ring };
      });
      if (at.stop === undefined) continue;
      reached.add(Number(at.stop));
      if (!at.ring) unseen.push(names[at.stop]);
    }
    assert.deepEqual(names.filter((_, i) => !reached.has(i)), [], 'never reached');
    assert.deepEqual(unseen, [], 'no ring');
  });
}

test('progress is spoken at its turning points, not at every step', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.evaluate(() => {
    window.spoken = [];
    const quiet = (node) => (node.nodeType === 1 ? node : node.parentElement)?.closest('[aria-live="off"], [aria-hidden="true"]');
    for (const region of document.querySelectorAll('[role="status"], [role="alert"], [aria-live="polite"]')) {
      new MutationObserver((records) => {
        if (records.every(({ target }) => quiet(target))) return;
        const heard = region.cloneNode(true); // a live region is read as a whole
        for (const part of heard.querySelectorAll('[aria-live="off"], [aria-hidden="true"]')) part.remove();
        window.spoken.push(heard.textContent.trim());
      }).observe(region, { subtree: true, childList: true, characterData: true });
    }
  });
  await draw(page, APPLE, { Steps: 30 });
  const spoken = await page.evaluate(() => window.spoken);
  assert.ok(spoken.some((words) => /Drawing/.test(words)) && spoken.some((words) => /^Done/.test(words)), spoken.join('; '));
  assert.ok(spoken.length <= 8, `${spoken.length} announcements for 30 steps: ${spoken.join('; ')}`);
});

test('who wants less motion gets none: no dancing noise, no fading, no sliding sheet', async () => {
  const page = await visitor(it, { reducedMotion: 'reduce', viewport: { width: 360, height: 740 } });
  await ready(page);
  await page.getByRole('button', { name: 'Settings' }).click();
  const moving = () => page.evaluate(() => document.getAnimations()
    .filter((animation) => animation.effect.getComputedTiming().duration > 10).map(({ transitionProperty }) => transitionProperty));
  assert.deepEqual(await moving(), []);
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByLabel('Steps', { exact: true }).waitFor({ state: 'hidden' });
  await page.evaluate(() => {
    window.frames = new Set();
    window.watching = setInterval(() => {
      if (document.querySelector('#frame').dataset.state === 'working') window.frames.add(document.querySelector('#screen').toDataURL());
    }, 30);
  });
  await draw(page, APPLE, { Steps: 3 });
  const frames = await page.evaluate(() => (clearInterval(window.watching), window.frames.size));
  assert.ok(frames <= 4, `${frames} different frames: the noise and three previews are four`);
  assert.deepEqual(await moving(), []);
});

test('every error says what happened, what was kept, and what to do', () => {
  const codes = ['NETWORK', 'DAMAGED', 'BAD_MODEL', 'QUOTA', 'STORAGE', 'OUT_OF_MEMORY', 'DEVICE_LOST', 'UNSUPPORTED', 'INVALID_INPUT', 'INTERNAL'];
  for (const code of codes) {
    for (const offline of code === 'NETWORK' ? [false, true] : [false]) {
      for (const model of [MODEL, { ...MODEL, name: 'my-dog', own: true }]) {
        const { title, text, action } = errorWords({ code, message: 'the reason' }, model, offline);
        const what = `${code}${offline ? ', offline' : ''}${model.own ? ', own model' : ''}: ${title} ${text}`;
        assert.match(title, /\.$/, what);
        assert.match(text, /kept|still here|as they were|is affected/i, `${what}: what was kept`);
        assert.ok(action ? ACTIONS[action] : /\b(choose|try|change|use|update)\b/i.test(text), `${what}: what to do`);
      }
    }
  }
});

test('an engine that did not arrive is fetched again, whichever model was chosen', () => {
  const error = { code: 'NETWORK', field: 'engine', message: 'the engine did not arrive' };
  for (const model of [MODEL, { ...MODEL, name: 'my-dog', own: true }]) {
    const { title, action } = errorWords(error, model);
    assert.deepEqual([title, action], ['The engine did not arrive.', 'retry']);
  }
});

test('a browser that refuses every kind of storage still draws', async () => {
  const page = await visitor(it, {
    open: false, serviceWorkers: 'block',
    init: () => {
      const refuse = { get() { throw new DOMException('refused', 'SecurityError'); } };
      Object.defineProperty(window, 'localStorage', refuse);
      Object.defineProperty(window, 'indexedDB', { value: { open() { throw new DOMException('refused', 'SecurityError'); } } });
    },
  });
  await page.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `Object.defineProperty(self, 'indexedDB', { value: undefined });\n${await response.text()}` });
  });
  await page.goto(it.server.url + it.path);
  await ready(page);
  await set(page, { Seed: 3 });
  assertPicture(await draw(page, APPLE, { Steps: 2 }));
  assert.equal(await page.locator('#earlier button').count(), 1, 'it is in the strip, until the tab is closed');
  assert.deepEqual(page.trouble, []);
});
