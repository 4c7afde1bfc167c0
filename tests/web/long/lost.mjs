/** A device lost under How it works, and twice: as a program hears of it, and with the network gone. Each takes a software adapter half a minute. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROMPT, SIDE, crash, loseTwice, onHardware, withBrowser } from '../losing.mjs';
import { PATIENCE, banner, promptOf, ready, visitor } from '../page.mjs';

test('a program hears of each lost device, and of the engine that takes over', () => withBrowser(async (it) => {
  const page = await onHardware(it);
  await page.exposeFunction('crash', () => crash(it.browser));
  await page.goto(`${it.server.url}blank.html`);
  const told = await page.evaluate(async ({ prompt, side }) => {
    const { OpenGen } = await import('/client.js');
    const { mini } = await import('/models.js');
    const og = await OpenGen.create({ model: mini });
    const heard = [];
    og.addEventListener('devicelost', ({ detail }) => heard.push(`lost: ${typeof detail.message}`));
    og.addEventListener('engine', ({ detail }) => heard.push(`now on ${detail.capabilities.engine}, of ${og.capabilities().engine}`));
    const began = og.capabilities().engine;
    let crashes = 0;
    const { image } = await og.generate({ prompt, steps: 4, width: side, height: side, onStep: ({ step }) => {
      if (step === 2 && crashes++ < 2) globalThis.crash();
    } });
    return { began, heard, size: [image.width, image.height] };
  }, { prompt: PROMPT, side: SIDE });
  assert.deepEqual(told, {
    began: 'webgpu', heard: ['lost: string', 'lost: string', 'now on cpu, of cpu'], size: [SIDE, SIDE],
  });
}));

test('a device lost twice with the network gone says what is missing, and keeps the prompt', () => withBrowser(async (it) => {
  const page = await loseTwice(it, () => it.server.kill());
  const alert = await banner(page).innerText();
  assert.match(alert, /graphics device was lost/);
  assert.match(alert, /draws on the processor could not be fetched[^]*no connection/);
  assert.equal(await promptOf(page).inputValue(), PROMPT);
}));

test('a device lost between two steps of How it works is replaced, and the next step is taken', () => withBrowser(async (it) => {
  const page = await visitor(it, { path: '?engine=webgpu#how' });
  await ready(page);
  const back = page.locator('#how-back');
  const oneStep = back.getByRole('button', { name: 'One step' });
  const taken = (n) => back.getByRole('status').filter({ hasText: `Step ${n} of ` }).filter({ hasText: 'is taken' })
    .waitFor({ timeout: PATIENCE });
  await oneStep.click();
  await taken(1);
  await crash(it.browser);
  await oneStep.click();
  await taken(2);
}));
