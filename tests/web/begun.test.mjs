/** What runs begin with, and what a request says of it. Without a browser. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LANCZOS, another, begun, hashesOf, howOf, maskOf, missingOf, remember, requestOf, takeOver } from '../../www/js/begun.js';

const DRAWN = { width: 512, height: 512 };
const SMALL = { width: 512, height: 384 };
const LARGE = { width: 2048, height: 1365 };

/** What is kept of a visitor who begins with a picture. */
function withPicture(mode, size = SMALL, more = {}) {
  const kept = begun({ mode, ...more });
  another(kept, 'picture', size);
  return kept;
}

test('words say nothing of a beginning, whatever is kept; a picture says its strength', () => {
  assert.deepEqual(requestOf(begun(null), DRAWN), {});
  assert.deepEqual(requestOf(withPicture('words'), DRAWN), {});
  assert.deepEqual(requestOf(withPicture('picture', DRAWN), DRAWN), { image: 'picture', strength: 0.6 });
});

test('what is missing is said at its field', () => {
  const field = (kept) => missingOf(kept)?.field;
  assert.equal(field(begun(null)), undefined);
  for (const mode of ['picture', 'repaint', 'extend', 'enlarge']) assert.equal(field(begun({ mode })), 'image');
  assert.deepEqual(['picture', 'repaint', 'extend'].map((mode) => field(withPicture(mode))), [undefined, 'mask', 'extend']);
});

test('all of a picture is drawn in its shape, at as many pixels as others are; its size is as it is chosen where that is the shape', () => {
  for (const mode of ['picture', 'repaint']) {
    const size = (shape, drawn) => {
      const { width, height } = requestOf(withPicture(mode, shape), drawn);
      return width && [width, height];
    };
    assert.deepEqual(size({ width: 700, height: 400 }, DRAWN), [680, 384], mode);
    assert.deepEqual(size({ width: 70, height: 40 }, DRAWN), [680, 384], 'a small one is drawn as large');
    assert.equal(size({ width: 700, height: 400 }, { width: 680, height: 384 }), undefined, 'and asked for again in the same size');
    assert.equal(size({ width: 128, height: 128 }, DRAWN), undefined);
    assert.equal(size({ width: 0, height: 0 }, DRAWN), undefined, 'a size that is not known');
  }
});

test('of a large picture only what is painted over is drawn, unless somebody said otherwise; its edge is as soft as it is large', () => {
  const kept = withPicture('repaint');
  remember(kept, 'picture', 'mask');
  assert.deepEqual(requestOf(kept, DRAWN),
    { image: 'picture', strength: 1, mask: 'mask', maskBlur: 4, maskedContent: 'original', differential: false, width: 592, height: 440 });
  another(kept, 'photograph', LARGE);
  assert.equal(maskOf(kept), undefined);
  remember(kept, 'photograph', 'other');
  assert.deepEqual([requestOf(kept, DRAWN).mask, requestOf(kept, DRAWN).maskBlur, requestOf(kept, DRAWN).onlyMasked], ['other', 16, 32]);
  kept.onlyMasked = false;
  assert.equal('onlyMasked' in requestOf(kept, DRAWN), false);
  another(kept, 'picture', SMALL);
  assert.equal(maskOf(kept), 'mask', 'a picture keeps its mask');
  assert.equal(howOf(kept, DRAWN).onlyMasked, false);
  assert.deepEqual(hashesOf(kept).sort(), ['mask', 'other', 'photograph', 'picture', 'picture']);
});

test('a grown picture is drawn whole, in its shape and at no more than half as many pixels again; a large one in part', () => {
  const kept = withPicture('extend');
  kept.extend = { left: 0, top: 128, right: 256, bottom: 0 };
  assert.deepEqual(requestOf(kept, DRAWN), { image: 'picture', strength: 0.8, extend: kept.extend, width: 768, height: 512 });
  kept.extend = { left: 128, top: 192, right: 128, bottom: 192 };
  const { width, height } = requestOf(kept, DRAWN);
  assert.ok(width % 8 === 0 && height % 8 === 0 && Math.abs(width * height - 1.5 * 512 * 512) < 8000, `${width} × ${height}`);
  const photograph = withPicture('extend', LARGE);
  photograph.extend = { left: 64, top: 0, right: 0, bottom: 0 };
  assert.deepEqual([requestOf(photograph, DRAWN).onlyMasked, requestOf(photograph, DRAWN).width], [32, undefined]);
});

test('a picture’s beginning is taken over as it was, and asks for the same again', () => {
  for (const mode of ['words', 'picture', 'repaint', 'extend', 'enlarge']) {
    const kept = withPicture(mode, LARGE, { maskedContent: 'fill', differential: true });
    remember(kept, 'picture', 'mask');
    kept.maskBlur = 7;
    kept.onlyMasked = false;
    kept.extend = { left: 8, top: 0, right: 0, bottom: 0 };
    const asked = requestOf(kept, DRAWN);
    const other = begun(null);
    takeOver(other, { ...asked, prompt: 'a cat' });
    another(other, asked.image ?? null, LARGE);
    assert.equal(other.mode, mode);
    assert.deepEqual(requestOf(other, DRAWN), asked, mode);
  }
});

test('a picture becomes as much larger as it can: by a network whatever has few enough pixels, drawn on up to the largest side', () => {
  const kept = withPicture('enlarge', SMALL, { factor: 3 });
  assert.deepEqual(requestOf(kept, DRAWN), { image: 'picture', strength: 0.15, factor: 3, width: 1536, height: 1152 });
  const large = withPicture('enlarge', LARGE, { factor: 2 });
  assert.deepEqual([requestOf(large, DRAWN).width, requestOf(large, DRAWN).height], [2048, 1368]);
  const network = { hash: 'file', name: '4x', about: 'x4', scale: 4 };
  large.network = network;
  assert.deepEqual(requestOf(large, DRAWN), { image: 'picture', factor: 2, network, width: 4096, height: 2730 });
  assert.ok(hashesOf(large).includes('file'), 'its file is kept');
  const plain = withPicture('enlarge', LARGE, { factor: 2, network: LANCZOS });
  assert.deepEqual(requestOf(plain, DRAWN), { image: 'picture', factor: 2, network: LANCZOS, width: 4096, height: 2730 });
  assert.deepEqual(hashesOf(plain), ['picture'], 'there is none');
  const again = begun(null);
  takeOver(again, requestOf(large, DRAWN));
  another(again, 'picture', LARGE);
  assert.deepEqual(requestOf(again, DRAWN), requestOf(large, DRAWN));
});

test('the masks of the last sixteen pictures are kept', () => {
  const kept = begun(null);
  for (let i = 0; i < 20; i++) remember(kept, `picture ${i}`, `mask ${i}`);
  assert.deepEqual([Object.keys(kept.masks).length, Object.keys(kept.masks)[0]], [16, 'picture 4']);
  remember(kept, 'picture 7', undefined);
  assert.equal('picture 7' in kept.masks, false);
});
