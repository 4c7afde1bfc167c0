/** In what two pictures' settings differ, in words. Nothing here touches the page. */

import { SAMPLERS } from '../limits.js';

/** What settings are called, in the order in which they are told; what is not here is no reason for another picture. */
const NAMES = {
  negativePrompt: 'negative prompt', seed: 'seed', steps: 'steps', guidance: 'guidance', sampler: 'sampler', schedule: 'schedule',
  width: 'width', height: 'height', rng: 'noise', dialect: 'dialect', variationStrength: 'variation', variationSeed: 'variation seed',
  image: 'picture to begin with', mask: 'mask', strength: 'how much may change', factor: 'times as large', network: 'upscaler',
  guidanceRescale: 'guidance rescale', emphasis: 'brackets', clipSkip: 'clip skip', samplerOptions: 'finer settings', tiling: 'tile', tiles: 'tiles',
  hires: 'second pass', regions: 'regions', controls: 'control images',
};
/** What is said of a value instead of it. */
const KINDS = { image: 'another', mask: 'another', samplerOptions: 'other', tiles: 'other', hires: 'another', regions: 'other', controls: 'other' };

/** @typedef {{settings: any, model: string}} Made */

/**
 * One sentence part for each setting that is not the same, from this picture to the other one; none where all are.
 * @param {Made} one @param {Made} other
 * @returns {string[]}
 */
export function differences(one, other) {
  const [a, b] = [one.settings, other.settings];
  const told = words(a.typed || a.prompt || '', b.typed || b.prompt || '');
  if (one.model !== other.model) told.push(`model ${one.model} → ${other.model}`);
  for (const [field, name] of Object.entries(NAMES)) {
    const [x, y] = [a, b].map((settings) => (field === 'variationSeed' && !(settings.variationStrength > 0) ? undefined : settings[field]));
    if (textOf(x) === textOf(y)) continue;
    told.push(KINDS[field] && x && y ? `${KINDS[field]} ${name}` : `${name} ${shown(field, x)} → ${shown(field, y)}`);
  }
  return told;
}

/** In which words two prompts differ. @param {string} a @param {string} b @returns {string[]} */
function words(a, b) {
  if (a === b) return [];
  const parts = (/** @type {string} */ text) => text.split(/\s+/).filter(Boolean);
  const [x, y] = [parts(a), parts(b)];
  let from = 0;
  while (from < Math.min(x.length, y.length) && x[from] === y[from]) from++;
  let end = 0;
  while (end < Math.min(x.length, y.length) - from && x.at(-1 - end) === y.at(-1 - end)) end++;
  const [gone, come] = [x, y].map((list) => list.slice(from, list.length - end).join(' '));
  if (!gone && !come) return []; // spaces
  return [gone && come ? `“${gone}” → “${come}”` : gone ? `without “${gone}”` : `with “${come}”`];
}

/** @param {any} value */
const textOf = (value) => (value === undefined || value === null || value === '' || value === 0 ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));

/** @param {string} field @param {any} value */
function shown(field, value) {
  if (textOf(value) === '') return 'none';
  if (field === 'sampler') return SAMPLERS[/** @type {keyof typeof SAMPLERS} */ (value)]?.title ?? value;
  if (field === 'negativePrompt') return `“${value}”`;
  if (KINDS[field]) return 'one';
  return typeof value === 'object' ? value.name ?? 'another' : String(value);
}
