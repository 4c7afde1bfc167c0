/** The page itself: small screens, both themes, contrast, and that its parts agree with each other. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { PNG } from 'pngjs';
import { bytes } from '../../www/js/dom.js';
import { everyLook, poorContrast } from './contrast.mjs';
import { ICONS, paint } from './icons.mjs';
import { MODELS, MOTION, draw, fileOf, promptOf, ready, stand, visitor } from './page.mjs';
import { DIST } from './server.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });

test('models.js tells the truth about its files', () => {
  for (const model of MODELS) {
    const file = readFileSync(fileOf(model));
    assert.equal(file.length, model.bytes, `${model.id}: bytes (node tests/web/catalog.mjs mends it)`);
    assert.equal(createHash('sha256').update(file).digest('hex'), model.sha256, `${model.id}: sha256`);
  }
});

test('the service worker names every file of the page, and no other', () => {
  const source = readFileSync(join(DIST, 'sw.js'), 'utf8');
  const named = [...source.split('const SHELL = [')[1].split('const COPY')[0].matchAll(/'([^'\s]+)'/g)].map(([, path]) => path);
  const found = readdirSync(DIST, { recursive: true })
    .filter((path) => statSync(join(DIST, path)).isFile() && /\.(html|css|js|svg|png|webp|json|txt|webmanifest|wasm)$/.test(path))
    .filter((path) => path !== 'sw.js')
    .map((path) => (path === 'index.html' ? './' : path));
  assert.deepEqual([...new Set(named)].sort(), found.sort()); // parts may share a file
});

const WWW = join(import.meta.dirname, '../../www');

/** The modules that a module of a folder imports before it runs, itself included. */
function closure(folder, path, seen = new Set()) {
  if (seen.has(path)) return seen;
  seen.add(path);
  const code = readFileSync(join(folder, path), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  for (const [, other] of code.matchAll(/^(?:import|export)\s(?:[^;]*?\sfrom\s+)?['"](\.[^'"]+)['"]/gm)) closure(folder, join(dirname(path), other), seen);
  return seen;
}

for (const [which, folder] of [['as it is written', WWW], ['as it is built', DIST]]) {
  test(`the page ${which} asks at once for every module that its start needs, and for no other`, () => {
    const html = readFileSync(join(folder, 'index.html'), 'utf8');
    const asked = [...html.matchAll(/<link rel="modulepreload" href="([^"]+)"/g)].map(([, path]) => path);
    const needed = new Set([...closure(folder, 'main.js'), ...closure(folder, 'client.js')]); // the second for the engine, which is next
    assert.deepEqual(asked.sort(), [...needed].filter((path) => path !== 'main.js').sort());
  });
}

test('a first visit waits for few modules and one style sheet', () => {
  const modules = new Set([...closure(DIST, 'main.js'), ...closure(DIST, 'client.js'), ...closure(DIST, 'worker.js')]);
  assert.ok(modules.size <= 6, [...modules].join(' '));
  const html = readFileSync(join(DIST, 'index.html'), 'utf8').replace(/<noscript>[^]*?<\/noscript>/g, '');
  assert.equal(html.match(/<link rel="stylesheet"/g).length, 1);
});

test('what the page says before its code runs is what the code says then', () => {
  const html = readFileSync(join(DIST, 'index.html'), 'utf8');
  assert.ok(html.includes(`The model, ${bytes(MODELS[0].bytes)}, is fetched once.`), 'index.html names the size of the first model');
});

test('the PNG icons are icon.svg, pixel for pixel, and each is as large as the manifest says', () => {
  for (const icon of ICONS) {
    const png = PNG.sync.read(readFileSync(join(DIST, 'icons', icon.file)));
    assert.ok(png.data.equals(paint(icon).data), `${icon.file} (node tests/web/icons.mjs mends it)`);
  }
  const { icons } = JSON.parse(readFileSync(join(DIST, 'manifest.webmanifest'), 'utf8'));
  for (const { src, sizes } of icons.filter(({ type }) => type === 'image/png')) {
    const { width, height } = PNG.sync.read(readFileSync(join(DIST, src)));
    assert.equal(`${width}x${height}`, sizes, src);
  }
});

test('a phone, a tablet and a desk, light and dark: nothing sticks out, and text can be read', async () => {
  const page = await visitor(it, { viewport: { width: 360, height: 740 } });
  await ready(page);
  await draw(page, 'a very long prompt with anextraordinarilylongwordthatdoesnotfitanywhereatall', { Steps: 1 });
  await everyLook(page, [360, 768, 1280], async (look, width) => {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `${look}: the page is ${wide} px wide`);
    assert.deepEqual(await page.evaluate(poorContrast), [], look);
  });
  assert.deepEqual(page.trouble, []);
});

for (const width of [1280, 360]) {
  // More than the edge of the chip, whose words change in the corner.
  test(`nothing shifts at ${width} px, from the first visit to the second picture`, async () => {
    const page = await visitor(it, {
      ...MOTION,
      viewport: { width, height: 800 },
      init: () => {
        window.shifts = [];
        new PerformanceObserver((list) => {
          for (const { value, sources } of list.getEntries()) {
            // In the strip the others make room for a new picture, which is what one looks for there.
            const strip = sources.length && sources.every(({ node }) => node?.parentElement?.id === 'earlier');
            if (value > 0.002 && !strip) window.shifts.push(`${value.toFixed(3)}: ${sources.map(({ node, previousRect: a, currentRect: b }) => `${node?.id || node?.nodeName} ${[a.x, a.y, a.width, a.height]} to ${[b.x, b.y, b.width, b.height]}`)}`);
          }
        }).observe({ type: 'layout-shift', buffered: true });
      },
    });
    await ready(page);
    for (const prompt of ['a fox', 'a cat']) { // short: a prompt that wraps moves what is below, as it should
      await draw(page, prompt, { Steps: 3 });
    }
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    assert.deepEqual(await page.evaluate(() => window.shifts), []);
  });
}

test('on a phone the settings come up as a sheet, and go by Escape', async () => {
  const page = await visitor(it, { ...MOTION, viewport: { width: 360, height: 740 } });
  await ready(page);
  const steps = page.getByRole('spinbutton', { name: 'Steps' });
  assert.equal(await steps.isVisible(), false);
  await page.getByRole('button', { name: 'Settings' }).click();
  await steps.waitFor();
  await steps.fill('0');
  await page.keyboard.press('Escape');
  await steps.waitFor({ state: 'hidden' });
  await promptOf(page).fill('a cat');
  await promptOf(page).press('Enter');
  await steps.waitFor(); // a refusal brings its field into view
  assert.ok(await steps.evaluate((element) => element === document.activeElement));
});

test('every field has the name and the role that a person would look for', async () => {
  const page = await visitor(it);
  await ready(page);
  for (const [role, name] of [
    ['textbox', 'Prompt'], ['textbox', 'Negative prompt'], ['button', 'Generate'], ['spinbutton', 'Steps'],
    ['spinbutton', 'Guidance'], ['spinbutton', 'Seed'], ['checkbox', 'Random seed'], ['combobox', 'Sampler'],
    ['combobox', 'Model'], ['img', 'No picture yet'], ['list', 'Examples'],
  ]) {
    assert.equal(await page.getByRole(role, { name, exact: true }).count(), 1, `${role} "${name}"`);
  }
  assert.equal(await page.getByRole('status').first().textContent(), 'Ready');
  await promptOf(page).fill('a cat');
  await promptOf(page).press('Enter');
  await page.getByRole('progressbar').waitFor();
});
