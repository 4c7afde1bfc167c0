/** A mask that is painted: strokes, areas, and every change back and again. Without a browser. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mask } from '../../www/paint/mask.js';

/** Does something to a mask as one change. */
function change(mask, act) {
  mask.begin();
  act(mask);
  return mask.end();
}
const dab = (x, y, r = 5) => ({ x, y, r });
const at = (mask, x, y) => mask.data[y * mask.width + x];
/** The rectangle of what is painted, edges included. */
function bounds(mask) {
  const painted = [...mask.data.keys()].filter((i) => mask.data[i] > 0);
  const [xs, ys] = [painted.map((i) => i % mask.width), painted.map((i) => Math.floor(i / mask.width))];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

test('a hard brush paints a disc, a soft one fades from its middle, and neither paints twice in one stroke', () => {
  const mask = new Mask(100, 80);
  assert.equal(mask.isEmpty, true);
  change(mask, () => mask.stroke(dab(40, 40, 10), dab(40, 40, 10)));
  assert.deepEqual(bounds(mask), [30, 30, 49, 49]);
  assert.ok(Math.abs(mask.share * 8000 - Math.PI * 100) < 6, `a disc of ${mask.share * 8000} pixels`);

  const soft = new Mask(100, 80);
  const along = [40, 43, 46, 49].map(() => 0);
  const fade = () => [40, 43, 46, 49].map((x) => at(soft, x, 40));
  change(soft, () => soft.stroke(dab(40, 40, 10), dab(40, 40, 10), { soft: 1 }));
  const once = fade();
  assert.ok(once.every((value, i) => i === 0 || value < once[i - 1]) && once[0] > 245 && once[3] < 40, `${once}`);
  change(soft, () => { for (let i = 0; i < 20; i++) soft.stroke(dab(40, 40, 10), dab(40, 40, 10), { soft: 1 }); });
  assert.deepEqual(fade(), once);
  change(soft, () => soft.stroke(dab(40, 40, 20), dab(40, 40, 20), { erase: true }));
  assert.deepEqual(fade(), along);
});

test('a stroke is as wide as the pen was pressed at its ends, and what lies beyond the picture is let go', () => {
  const mask = new Mask(100, 80);
  change(mask, () => mask.stroke(dab(20, 40, 2), dab(80, 40, 12)));
  const width = (x) => [...Array(80).keys()].filter((y) => at(mask, x, y) > 127).length;
  assert.deepEqual([width(20), width(50), width(80)], [4, 14, 24]);
  assert.equal(change(mask, () => mask.stroke(dab(-50, -50), dab(-40, -60))), false, 'nothing was changed');
  assert.equal(mask.canUndo, true);
});

test('rectangles are exact, also where they end within a pixel; a lasso takes all that it goes around', () => {
  const mask = new Mask(64, 64);
  change(mask, () => mask.rectangle(10, 20, 30.5, 40));
  assert.deepEqual([at(mask, 10, 20), at(mask, 29, 39), at(mask, 30, 30), at(mask, 31, 30), at(mask, 10, 40)], [255, 255, 128, 0, 0]);
  change(mask, () => mask.rectangle(0, 0, 64, 30, { erase: true }));
  assert.deepEqual(bounds(mask), [10, 30, 30, 39]);
  mask.clear();
  // A line that crosses itself: twice around the middle.
  const star = [0, 2, 4, 1, 3].map((i) => ({ x: 32 + 30 * Math.sin(i * 1.2566), y: 32 - 30 * Math.cos(i * 1.2566) }));
  change(mask, () => mask.area(star));
  assert.equal(at(mask, 32, 32), 255, 'the middle, which a rule of odd and even would leave out');
  assert.equal(at(mask, 2, 2), 0);
});

test('fifty changes of every kind go back to nothing and come again, byte for byte', () => {
  const mask = new Mask(300, 170);
  let seed = 1;
  const random = (most) => { seed = (seed * 16807) % 2147483647; return (seed / 2147483647) * most; };
  const states = [mask.data.slice()];
  for (let i = 0; i < 50; i++) {
    const erase = i % 3 === 2;
    const acts = [
      () => mask.stroke(dab(random(300), random(170), random(40)), dab(random(300), random(170), random(40)), { erase, soft: random(1) }),
      () => mask.area(Array.from({ length: 7 }, () => ({ x: random(300), y: random(170) })), { erase }),
      () => mask.rectangle(random(100), random(80), 100 + random(200), 80 + random(90), { erase }),
      () => mask.invert(),
    ];
    assert.equal(change(mask, acts[i % 4]), true);
    states.push(mask.data.slice());
  }
  for (let i = 49; i >= 0; i--) {
    assert.equal(mask.undo(), true);
    assert.deepEqual(mask.data, states[i], `back to ${i}`);
  }
  assert.deepEqual([mask.canUndo, mask.undo(), mask.isEmpty], [false, false, true]);
  for (let i = 1; i <= 50; i++) {
    mask.redo();
    assert.deepEqual(mask.data, states[i], `again to ${i}`);
  }
  assert.equal(mask.redo(), false);
  mask.undo();
  change(mask, () => mask.clear());
  assert.equal(mask.canRedo, false, 'another way was taken');
});

test('what was begun and is taken back leaves nothing behind; of too many changes the oldest are forgotten', () => {
  const mask = new Mask(256, 256, { most: 10 * 256 * 256 });
  change(mask, () => mask.stroke(dab(50, 50), dab(90, 90)));
  const before = mask.data.slice();
  mask.begin();
  mask.stroke(dab(0, 0, 60), dab(200, 200, 60));
  mask.cancel();
  assert.deepEqual(mask.data, before);
  mask.takeChanged();
  for (let i = 0; i < 40; i++) change(mask, () => mask.invert());
  assert.deepEqual(mask.takeChanged(), { left: 0, top: 0, right: 256, bottom: 256 });
  assert.equal(mask.takeChanged(), null);
  let back = 0;
  while (mask.undo()) back++;
  assert.equal(back, 10, 'as many as there is room for');
  assert.deepEqual(mask.data, before, 'an even number of turns');
});
