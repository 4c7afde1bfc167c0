/**
 * How quickly the page answers. The machine may be busy with other things, so the best of a few cold
 * visits counts: a page that cannot keep its budget keeps it in none of them.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { ENGINES, draw, ready, stand, visitor } from './page.mjs';

const it = stand({ before, after, afterEach });
/** Cold visits at most. */
const VISITS = 8;

/**
 * Measures up to VISITS times until the budget is kept.
 * @param {() => Promise<number>} measure in ms @param {number} budget
 */
async function holds(measure, budget, what) {
  const seen = [];
  while (seen.length < VISITS) {
    seen.push(await measure());
    if (seen.at(-1) <= budget) break;
  }
  console.log(`${what}: ${seen.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  assert.ok(seen.at(-1) <= budget, `${what}: ${seen.map((ms) => ms.toFixed(0))} ms, of ${budget}`);
}

/** Presses Generate with nothing typed as soon as the page says that it can be used, and looks for the answer. */
function pressAtOnce() {
  window.answered = new Promise((done) => {
    new PerformanceObserver((list) => {
      if (!list.getEntriesByName('interactive').length) return;
      document.querySelector('#generate').click();
      requestAnimationFrame(() => {
        const prompt = document.querySelector('#prompt');
        done({
          at: performance.now(),
          answer: document.querySelector('#status-words').textContent.match(/then drawing$/)?.[0],
          writable: !prompt.disabled && !prompt.readOnly,
        });
      });
    }).observe({ type: 'mark', buffered: true });
  });
}

for (const [what, width] of [['on a desk', 1280], ['on a phone', 360]]) {
  test(`${what} the page can be used within a second of a first visit, before engine and model are here`, async () => {
    await holds(async () => {
      const page = await visitor(it, { viewport: { width, height: 740 }, init: pressAtOnce });
      const { at, ...state } = await page.evaluate(() => window.answered);
      assert.deepEqual(state, { answer: 'then drawing', writable: true }); // what stands in the box as an example
      const painted = await page.evaluate(() => new Promise((done) => {
        new PerformanceObserver((list) => done(list.getEntries()[0].startTime)).observe({ type: 'paint', buffered: true });
      }));
      await page.context().close();
      return Math.max(at, painted);
    }, 1000, `${what}, from navigation to an answer on the screen`);
  });
}

for (const engine of ENGINES) {
  test(`the main thread never computes for more than 50 ms at a time while fetching and drawing (${engine})`, async () => {
    await holds(async () => {
      const page = await visitor(it, { open: false });
      await page.goto(`${it.server.url}?engine=${engine}`, { waitUntil: 'commit' });
      await it.browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] });
      await ready(page);
      await draw(page, 'a red apple on a light blue background', { Steps: 4 });
      const { traceEvents } = JSON.parse((await it.browser.stopTracing()).toString());
      await page.context().close();
      const busiest = longestTasks(traceEvents);
      assert.ok(busiest.length > 100, `only ${busiest.length} tasks were traced`);
      return busiest[0];
    }, 50, `${engine}, the longest task, in processor time`);
  });
}

/**
 * How long the tasks of the page's main thread computed, in ms, longest first. Thread time: on a busy machine the time
 * on the clock (as the longtask observer has it) measures the neighbours.
 */
function longestTasks(events) {
  const page = events.findLast(({ name, args }) => name === 'FrameCommittedInBrowser' && args?.data?.url?.includes('127.0.0.1'));
  const mains = events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
    .filter(({ pid }) => !page || pid === (page.args.data.processId ?? pid));
  return events.filter(({ name, tdur, pid, tid }) => /RunTask$/.test(name) && tdur !== undefined
    && mains.some((main) => main.pid === pid && main.tid === tid)).map(({ tdur }) => tdur / 1000).sort((a, b) => b - a);
}
