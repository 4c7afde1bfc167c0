/** What a program's own hook says of finished pictures, before anybody sees or keeps them. */

import { OpenGenError, invalid } from './errors.js';

/** @typedef {import('./api.d.ts').Verdict} Verdict */

/** @type {readonly Verdict[]} */
const VERDICTS = ['keep', 'blur', 'drop'];

/**
 * Asks the hook about each picture, one after the other.
 * @param {import('./api.d.ts').CreateOptions['onPicture']} onPicture
 * @param {ImageData[]} images
 * @returns {Promise<Verdict[]>} one of each picture; all are kept where there is no hook
 * @throws {OpenGenError} DROPPED where nothing is left
 */
export async function judge(onPicture, images) {
  if (!onPicture) return images.map(() => 'keep');
  /** @type {Verdict[]} */
  const verdicts = [];
  for (const image of images) verdicts.push(valid(await onPicture(image)));
  if (verdicts.some((verdict) => verdict !== 'drop')) return verdicts;
  const message = images.length > 1 ? 'onPicture dropped all pictures' : 'onPicture dropped the picture';
  throw new OpenGenError({ code: 'DROPPED', message });
}

/** @param {unknown} verdict @returns {Verdict} */
function valid(verdict) {
  if (VERDICTS.includes(/** @type {Verdict} */ (verdict))) return /** @type {Verdict} */ (verdict);
  throw invalid('onPicture', `must answer with ${VERDICTS.join(', ')}, not ${String(verdict)}`);
}

/** @param {unknown} onPicture what was given as the hook */
export function checkHook(onPicture) {
  if (onPicture === undefined || typeof onPicture === 'function') return;
  throw invalid('onPicture', 'must be a function that is given a picture');
}
