/** Draws the pictures of the first screen anew: node samples.mjs. Small files, as the page itself draws them on the CPU path. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from './browser.mjs';
import { MODEL } from './page.mjs';
import { Server } from './server.mjs';

/** No picture may have more bytes: they come before the model does. */
const MOST = 6000;
const NAMES = ['apple', 'panda', 'fox'];
const server = await new Server().start();
const browser = await launch();
try {
  const page = await browser.newPage();
  await page.goto(`${server.url}blank.html`);
  for (const [i, name] of NAMES.entries()) {
    const text = await page.evaluate(async ([model, request]) => {
      const { OpenGen } = await import('./client.js');
      const og = window.og ??= await OpenGen.create({ engine: 'cpu' });
      if (!window.loaded) window.loaded = await og.models.load(model);
      const { image } = await og.generate(request);
      const canvas = document.createElement('canvas');
      canvas.width = image.width;
      canvas.height = image.height;
      canvas.getContext('2d').putImageData(image, 0, 0);
      return canvas.toDataURL('image/webp', 0.82).split(',')[1];
    }, [{ ...MODEL, url: `${server.url}models/mini/mini-q8_0.gguf` }, { ...MODEL.defaults, ...MODEL.examples[i] }]);
    const file = Buffer.from(text, 'base64');
    if (file.length > MOST) throw new Error(`${name} has ${file.length} bytes; at most ${MOST} are wanted`);
    writeFileSync(join(import.meta.dirname, `../../www/samples/${name}.webp`), file);
    console.log(`${name}: ${file.length} bytes`);
  }
} finally {
  await browser.close();
  await server.kill();
}
