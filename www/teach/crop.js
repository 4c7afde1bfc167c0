/** The part of a picture that is learnt from, chosen by hand: dragged, zoomed by wheel, fingers or slider, moved by keys. */

import { make } from '../js/dom.js';
import { button, panel } from './dialog.js';
import { CLOSEST, WHOLE, drawCrop, moved, sizeOf } from './square.js';
import { TEXTS as T } from './texts.js';

/** Pixels of what is shown. */
const SIDE = 432;
/** How much a key moves, in shares of what is shown, and how much one zooms. */
const [STEP, ZOOM] = [0.05, 1.1];
/** @type {Record<string, {right?: number, down?: number, closer?: number}>} */
const KEYS = {
  ArrowLeft: { right: -STEP }, ArrowRight: { right: STEP }, ArrowUp: { down: -STEP }, ArrowDown: { down: STEP },
  '+': { closer: ZOOM }, '=': { closer: ZOOM }, '-': { closer: 1 / ZOOM },
};

/**
 * Asks for the part. Resolves with null where it is to stay.
 * @param {import('./set.js').One} one @param {number} aspect width by height @param {string} title
 * @returns {Promise<import('./square.js').Crop | null>}
 */
export async function askCrop(one, aspect, title) {
  const bitmap = await createImageBitmap(one.image);
  const canvas = make('canvas', { ...sizeOf(SIDE, aspect), tabIndex: 0, role: 'application', ariaLabel: T.cutLabel });
  const zoom = make('input', { type: 'range', min: '1', max: String(CLOSEST), step: '0.01', id: 'teach-zoom' });
  let { crop } = one;
  const show = () => {
    drawCrop(canvas.getContext('2d'), bitmap, crop);
    zoom.value = String(crop.zoom);
    zoom.setAttribute('aria-valuetext', T.zoomed(crop.zoom));
  };
  const move = (/** @type {{right?: number, down?: number, closer?: number}} */ by) => {
    crop = moved(bitmap, crop, by, aspect);
    show();
  };
  zoom.addEventListener('input', () => move({ closer: zoom.valueAsNumber / crop.zoom }));
  canvas.addEventListener('keydown', (event) => {
    const by = KEYS[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(by);
  });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    move({ closer: Math.exp(-event.deltaY / 400) });
  }, { passive: false });
  drags(canvas, move);

  return new Promise((resolve) => {
    let answer = null;
    const dialog = panel(title, [canvas, make('div', { className: 'field' }, make('label', { htmlFor: 'teach-zoom', textContent: T.zoom }), zoom),
      make('p', { className: 'quiet', textContent: T.cutHint })], [
      button(T.take, () => {
        answer = crop;
        dialog.close();
      }, 'primary'),
      button(T.whole, () => {
        crop = WHOLE;
        show();
      }, 'ghost'),
      button(T.cancel, () => dialog.close(), 'ghost')]);
    dialog.addEventListener('close', () => {
      bitmap.close();
      resolve(answer);
    });
    show();
    canvas.focus();
  });
}

/** One pointer moves, two zoom. @param {HTMLCanvasElement} canvas @param {(by: {right?: number, down?: number, closer?: number}) => void} move */
function drags(canvas, move) {
  /** Where each finger is. @type {Map<number, {x: number, y: number}>} */ const down = new Map();
  const apart = () => {
    const [a, b] = [...down.values()];
    return Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event);
  });
  canvas.addEventListener('pointermove', (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const wide = down.size === 2 && apart();
    down.set(event.pointerId, event);
    if (wide) return move({ closer: apart() / wide });
    const { width, height } = canvas.getBoundingClientRect();
    move({ right: (before.x - event.x) / width, down: (before.y - event.y) / height });
  });
  for (const type of ['pointerup', 'pointercancel']) canvas.addEventListener(type, (event) => down.delete(/** @type {PointerEvent} */ (event).pointerId));
}
