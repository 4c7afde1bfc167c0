/** One visitor's story in a browser that is not Chromium, on the processor: a first picture, How it works, offline. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertPicture, draw, psnr, ready as chromiumReady, stand, visitor } from './page.mjs';
import { Server } from './server.mjs';

const PROMPT = 'a red apple on a light blue background';
const SETTINGS = { steps: '4', seed: '42' };

/**
 * Declares the tests of a browser.
 * @param {string} name
 * @param {(about: {host: string}) => Promise<any>} launch gives a browser with `version`, `open(url)`, `close()` and, where it
 *   can say so, `trouble`: what must not happen
 * @param {{skip?: string | false}} [options] why it is not tested here
 */
export function story(name, launch, { skip = false } = {}) {
  const chromium = stand({ before: skip ? () => {} : before, after, afterEach: () => {} }, { path: '?engine=cpu' });
  const tell = (what, work) => test(`${name}: ${what}`, { skip }, work);
  let server;
  let browser;
  let tab;
  let first;

  before(async () => {
    if (skip) return;
    server = await new Server().start();
    browser = await launch({ host: new URL(server.url).host });
    console.log(`${name} ${browser.version}`);
  });
  after(async () => {
    await browser?.close();
    await server?.kill().catch(() => {}); // one of the tests has done it
  });

  const ready = () => tab.until(() => ['ready', 'offline'].includes(document.querySelector('#model-chip')?.dataset.state));

  /** Types a prompt, presses Enter, waits for the picture; gives its pixels. */
  async function drawn() {
    await tab.evaluate((fields) => {
      for (const [id, value] of Object.entries(fields)) {
        const field = document.getElementById(id);
        field.value = value;
        field.dispatchEvent(new Event('input', { bubbles: true }));
      }
      document.querySelector('#prompt').value = '';
    }, SETTINGS);
    await tab.click('#prompt');
    await tab.type(PROMPT);
    assert.equal(await tab.evaluate(() => document.querySelector('#prompt').value), PROMPT, 'what was typed');
    await tab.enter();
    const words = await tab.until(() => !document.querySelector('#generate').hasAttribute('data-working')
      && /^Done in/.test(document.querySelector('#status').textContent) && document.querySelector('#status').textContent);
    assert.match(words, /seed 42$/);
    const { width, height, text } = await tab.evaluate(() => {
      const canvas = document.querySelector('#picture');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return { width: canvas.width, height: canvas.height, text: btoa(String.fromCharCode(...data)) };
    });
    return { width, height, data: Buffer.from(text, 'base64') };
  }

  tell('a first visit draws on the processor, and says so', async () => {
    tab = await browser.open(server.url);
    await ready();
    assert.match(await tab.evaluate(() => document.querySelector('#engine-line').textContent), /made on the processor/);
    first = await drawn();
    assertPicture(first);
    assert.equal(await tab.evaluate(() => document.querySelector('#prompt').value), PROMPT);
    assert.deepEqual(browser.trouble ?? [], []);
  });

  tell('the picture is the one that Chromium makes on the processor (40 dB)', async () => {
    const page = await visitor(chromium);
    await chromiumReady(page);
    const other = await draw(page, PROMPT, { Steps: 4, Seed: 42 });
    const distance = psnr(first, other);
    console.log(`${name} against Chromium: ${distance.toFixed(1)} dB`);
    assert.ok(distance >= 40, `${distance} dB`);
    await page.context().close();
  });

  tell('a worker that is born with the vector registers in use computes as fast (www/registers.js)', async () => {
    const ms = await tab.evaluate(async (prompt) => {
      const [{ OpenGen }, { MODELS }] = await Promise.all([import('./client.js'), import('./models.js')]);
      'a'.repeat(1000).indexOf('b'); // in Firefox as Debian compiles it, it leaves them in use, and a new thread inherits that
      const og = await OpenGen.create({ engine: 'cpu', model: MODELS[0] });
      const from = performance.now();
      await og.generate({ prompt, width: 64, height: 64, steps: 2 });
      og.dispose();
      return performance.now() - from;
    }, PROMPT);
    console.log(`${name}: two steps of 64 × 64 pixels in ${ms.toFixed(0)} ms`);
    assert.ok(ms < 5000, `${ms} ms`);
  });

  tell('what was typed over comes back with the browser’s own undo', async () => {
    const value = () => tab.evaluate(() => document.querySelector('#prompt').value);
    await tab.evaluate(() => [...document.querySelectorAll('#examples button')].find((button) => button.checkVisibility()).setAttribute('id', 'an-example'));
    await tab.click('#an-example');
    await tab.until((typed) => document.querySelector('#prompt').value !== typed, PROMPT);
    await tab.evaluate(() => {
      document.querySelector('#prompt').focus();
      document.execCommand('undo');
    });
    assert.equal(await value(), PROMPT);
    await tab.until(() => !document.querySelector('#generate').hasAttribute('data-working'));
  });

  tell('How it works opens and takes a step', async () => {
    await tab.click('#view-how');
    await tab.until(() => [...document.querySelectorAll('#how-back button')].some(({ textContent }) => textContent === 'One step'));
    await tab.evaluate(() => [...document.querySelectorAll('#how-back button')].find(({ textContent }) => textContent === 'One step').setAttribute('id', 'one-step'));
    await tab.click('#one-step');
    await tab.until(() => /^Step 1 of /.test(document.querySelector('#how-back .numbers')?.textContent));
    assert.deepEqual(browser.trouble ?? [], []);
  });

  tell('with the server gone a reload works, and draws the same picture from the stored model', async () => {
    await tab.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    await server.kill();
    await tab.goto(server.url);
    await ready();
    const before = await tab.until(() => document.querySelectorAll('#earlier button').length); // they were kept
    const again = await drawn();
    assert.equal(psnr(again, first), Infinity);
    assert.equal(await tab.evaluate(() => document.querySelectorAll('#earlier button').length), before, 'the same again is not kept twice');
    await tab.until(() => document.querySelector('#model-chip').dataset.state === 'offline');
    assert.deepEqual((browser.trouble ?? []).filter((text) => !/NetworkError|NS_ERROR|fetch/i.test(text)), []);
  });
}
