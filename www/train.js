/** A training as the worker takes it, and what it tells; fetched when one is asked for. */

import { invalid } from './errors.js';
import { check } from './options.js';
import { pixelsOf } from './pixels.js';

/**
 * What the worker is asked, but for how pictures of the class are drawn.
 * @param {import('./api.d.ts').TrainOptions} options
 * @returns {Promise<Omit<import('./protocol.d.ts').TrainRequest, 'request'>>}
 */
export async function askOf({ images, instancePrompt = '', classPrompts = [], preset, recipe, name = 'taught', naming, trigger, saveEvery, checkpoint }) {
  if (!Array.isArray(images) || !images.length) throw invalid('images', 'must be a list of at least one picture');
  if (!Array.isArray(classPrompts)) throw invalid('classPrompts', 'must be a list of texts');
  check('recipe', recipe);
  const pictures = images.map(async (given, at) => {
    const named = given instanceof Object && 'image' in given;
    const { image, caption = instancePrompt, mask, repeats } = named ? given : { image: given };
    if (typeof caption !== 'string' || !caption.trim()) {
      throw invalid('instancePrompt', `is needed: picture ${at + 1} has no caption of its own`);
    }
    return { image: await pixelsOf(image, 'images'), caption, repeats, ...(mask && { mask: await pixelsOf(mask, 'mask') }) };
  });
  const bytes = checkpoint && new Uint8Array(await checkpoint.arrayBuffer());
  return { images: await Promise.all(pictures), classPrompts, preset, recipe, name, naming, trigger: trigger ?? instancePrompt, saveEvery, checkpoint: bytes };
}

/**
 * What was learnt, as files.
 * @param {import('./protocol.d.ts').Learnt} learnt
 * @returns {import('./api.d.ts').Trained}
 */
export const trained = ({ step, kind, file, checkpoint }) => ({
  step,
  kind,
  file: new Blob([/** @type {any} */ (file)], { type: 'application/octet-stream' }),
  checkpoint: new Blob([/** @type {any} */ (checkpoint)], { type: 'application/octet-stream' }),
});

/**
 * Tells a program what happens.
 * @param {Pick<import('./api.d.ts').TrainOptions, 'onPrepare' | 'onBegin' | 'onStep' | 'onKept'>} listeners
 * @returns {(event: import('./protocol.d.ts').TrainEvent) => void}
 */
export const telling = ({ onPrepare, onBegin, onStep, onKept }) => ({ type, ...event }) => {
  if (type === 'prepare') onPrepare?.(/** @type {any} */ (event));
  else if (type === 'begin') onBegin?.(/** @type {any} */ (event));
  else if (type === 'step') onStep?.(/** @type {any} */ (event));
  else onKept?.(trained(/** @type {any} */ (event)));
};
