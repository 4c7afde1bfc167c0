/** Firefox, stock, on the processor: it has no WebGPU on these machines. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkpoint, controlNet } from './checkpoint.mjs';
import { story } from './elsewhere.mjs';
import { Firefox } from './firefox.mjs';
import { Server } from './server.mjs';
import { square } from './square.mjs';

story('Firefox', (about) => Firefox.launch(about));

test('Firefox: a control image has its card, its map is shown, and it steers', { timeout: 280_000 }, async () => {
  const server = await new Server().start();
  const firefox = await Firefox.launch({ host: new URL(server.url).host });
  try {
    const tab = await firefox.open(server.url);
    const ready = () => tab.until(() => ['ready', 'offline'].includes(document.querySelector('#model-chip')?.dataset.state));
    const give = (selector, name, bytes) => tab.evaluate((to, called, base64) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], called, { lastModified: 1 }));
      const input = document.querySelector(to);
      input.files = data.files;
      input.dispatchEvent(new Event('change', { bubbles: true }));
    }, selector, name, bytes.toString('base64'));
    const told = (words) => tab.until((said) => document.querySelector('#report').innerText.includes(said), words);
    await ready();
    await give('#add-model-file', 'tiny.safetensors', checkpoint());
    await told('tiny was added and is in use now.');
    await ready();
    await tab.until(() => { // what general models may draw
      const understood = [...document.querySelectorAll('#once button')].find(({ textContent }) => textContent === 'Understood');
      understood?.click();
      return Boolean(understood);
    });

    /** Types a prompt, presses Enter, waits for the picture; gives its pixels. */
    const drawn = async () => {
      await tab.evaluate(() => {
        const fields = { prompt: 'a red apple', seed: '3', steps: '2', width: '64', height: '64' };
        for (const [id, value] of Object.entries(fields)) {
          const field = document.getElementById(id);
          field.value = value;
          field.dispatchEvent(new Event('input', { bubbles: true }));
        }
        document.querySelector('#prompt').focus();
      });
      const pictures = () => document.querySelectorAll('#earlier button').length;
      const before = await tab.evaluate(pictures);
      await tab.enter();
      await tab.until((count) => document.querySelectorAll('#earlier button').length > count
        && !document.querySelector('#generate').hasAttribute('data-working') && /^Done in/.test(document.querySelector('#status').textContent), before);
      return tab.evaluate(() => {
        const canvas = document.querySelector('#picture');
        return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].join();
      });
    };
    const plain = await drawn();

    await tab.click('#sheet-toggle');
    await tab.click('#controls > summary');
    await tab.until(() => document.querySelector('#control-model-file'));
    await give('#control-model-file', 'canny.safetensors', controlNet(3));
    await told('“canny” reads control images from now on.');
    await give('#control-file', 'square.png', square());
    const white = await tab.until(() => {
      const canvas = document.querySelector('.steer-list canvas');
      if (canvas?.width !== 64) return 0;
      const { data } = canvas.getContext('2d').getImageData(0, 0, 64, 64);
      return data.filter((value, at) => at % 4 === 0 && value > 128).length;
    });
    assert.ok(white > 60 && white < 400, `${white} pixels of edges`);
    assert.equal(await tab.evaluate(() => document.querySelector('#controls-state').textContent), '1');
    assert.equal(await tab.evaluate(() => document.querySelector('.steer-list input[type=range]').getAttribute('aria-label') ?? document.querySelector('.steer-list input[type=range]').labels[0]?.textContent), 'Strength');
    assert.notEqual(await drawn(), plain, 'it steers');

    await tab.evaluate(() => [...document.querySelectorAll('.steer-list button')].find(({ textContent }) => textContent === 'Remove').setAttribute('id', 'take-away'));
    await tab.click('#take-away');
    await tab.until(() => document.querySelector('#controls-state').textContent === 'off');
    assert.deepEqual(firefox.trouble, []);
  } finally {
    await firefox.close();
    await server.kill();
  }
});
