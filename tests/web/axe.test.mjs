/** WCAG 2.2 AA as axe-core checks it: all views, both themes, both widths, and what opens over them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';
import { settled } from './contrast.mjs';
import { PATIENCE, draw, promptOf, ready, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu' });
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe finds wrong, one line per rule and place. */
async function violations(page) {
  await page.evaluate(settled);
  await page.evaluate(AXE); // as the debugger does: the page's own policy lets no foreign script in
  const { violations } = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: 'tag', values } }), RULES);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
    `${id}: ${target.join(' ')}: ${failureSummary.split('\n').slice(1).join(';').trim()}`));
}

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 360]) {
    const look = `${colorScheme} at ${width} px`;

    test(`Create, ${look}: empty, with a picture, with the storage panel`, async () => {
      const page = await visitor(it, { viewport: { width, height: 800 }, colorScheme });
      await ready(page);
      assert.deepEqual(await violations(page), [], 'empty');
      await draw(page, 'a red apple on a light blue background', { Steps: 2 });
      assert.deepEqual(await violations(page), [], 'with a picture');
      await promptOf(page).fill('my blue elephant sleeping on a sofa');
      await page.locator('#understood button').first().waitFor();
      assert.deepEqual(await violations(page), [], 'with words that it does not know');
      await page.locator('#model-chip').click();
      await page.locator('#storage[open]').waitFor();
      assert.deepEqual(await violations(page), [], 'storage');
    });

    test(`Models, ${look}: as it opens`, async () => {
      const page = await visitor(it, { viewport: { width, height: 800 }, colorScheme, path: '?engine=cpu#models' });
      await ready(page);
      await page.locator('.card').first().waitFor();
      assert.deepEqual(await violations(page), []);
    });

    test(`How it works, ${look}: as it opens, and with a picture taken apart`, async () => {
      const page = await visitor(it, { viewport: { width, height: 800 }, colorScheme, path: '?engine=cpu#how' });
      await ready(page);
      const part = page.locator('section.part').filter({ has: page.getByRole('heading', { name: 'Into noise', exact: true }) });
      const make = part.getByRole('button', { name: 'Make this example' });
      await make.waitFor();
      assert.deepEqual(await violations(page), [], 'as it opens');
      await make.click();
      await part.getByRole('slider').waitFor();
      assert.deepEqual(await violations(page), [], 'with a picture');
      await page.getByRole('button', { name: 'Draw and look' }).click();
      const words = page.locator('#how-words');
      await words.getByRole('status').filter({ hasText: 'Point at or tap a word' }).waitFor({ timeout: PATIENCE });
      await words.getByText('One layer, one step').click();
      await words.getByRole('button', { name: 'The picture' }).press('ArrowDown');
      await page.getByRole('button', { name: 'Take the step' }).click();
      await page.locator('#how-training').getByRole('status').filter({ hasText: 'Three times' }).waitFor({ timeout: PATIENCE });
      assert.deepEqual(await violations(page), [], 'with a prompt looked into and a training step');
    });
  }
}
