/** The finer settings of sampler, schedule, guidance and text encoder: what they are called, what they take and when they have an effect. */

import { LIMITS } from '../limits.js';
import { BENDS, CHURNS, DRAWS, ENDS, ETA, LEVELS, NUMBERS } from './takes.js';

/** @typedef {{sampler: string, schedule: string, dialect: string, sChurn: string, dynamicThresholdingRatio: string}} How what is chosen */
/**
 * @typedef {object} Row
 * @property {string} id as requests call it
 * @property {string} name
 * @property {string} a1111 as its grids call it, where they have it
 * @property {string} words what it does
 * @property {[number, number]} [range] of a number
 * @property {boolean} [whole]
 * @property {number} [step] of the field's arrows
 * @property {[string, string][]} [choices] of a list; the first, empty, is as usual
 * @property {(how: How) => boolean} takes whether it has an effect
 * @property {(how: How) => string} [usual] what counts where nothing is set
 */

/** Beyond this a number field is not of use, whatever the engine takes. */
export const MOST = 1e6;
const has = (/** @type {readonly string[]} */ list) => (/** @type {How} */ { sampler }) => list.includes(sampler);
const churned = (/** @type {How} */ how) => has(CHURNS)(how) && Number(how.sChurn) > 0;
export const bounded = (/** @type {How} */ { sampler, schedule }) => LEVELS.includes(sampler) && ENDS.includes(schedule);

/** @type {Row[]} */
export const ROWS = [
  {
    id: 'guidanceRescale', name: 'Guidance rescale', a1111: 'CFG rescale', range: [0, 1], step: 0.05, takes: () => true, usual: () => 'model’s',
    words: 'Much guidance makes colours harsh. This brings them back to the range that the prompt alone gives: 0 leaves them, 1 does so wholly.',
  },
  {
    id: 'emphasis', name: 'Brackets', a1111: 'Emphasis', takes: ({ dialect }) => dialect === 'a1111',
    choices: [['', 'Weigh, mean restored'], ['no-norm', 'Weigh'], ['ignore', 'Are read, weigh nothing'], ['none', 'Are text']],
    words: 'What (word:1.2) does: A1111’s emphasis mode, Original, No norm, Ignore or None.',
  },
  {
    id: 'clipSkip', name: 'Clip skip', a1111: 'Clip skip', range: [LIMITS.clipSkip.from, LIMITS.clipSkip.to], whole: true, step: 1, takes: () => true, usual: () => '1',
    words: 'Which layer of the text encoder is read, counted from its last, 1. Anime models and their pictures mostly want 2.',
  },
  {
    id: 'eta', name: 'Eta', a1111: 'Eta', range: NUMBERS.eta, step: 0.05, takes: ({ sampler }) => sampler in ETA, usual: ({ sampler }) => String(ETA[sampler]),
    words: 'How much of the noise that a step takes away is drawn anew: 0 none, so that pictures settle; 1 all.',
  },
  {
    id: 'sNoise', name: 'Noise factor', a1111: 'Sigma noise', range: NUMBERS.sNoise, step: 0.005, takes: has(DRAWS), usual: () => '1',
    words: 'What fresh noise is multiplied by (s_noise): a little above 1 keeps more detail, below 1 smooths.',
  },
  {
    id: 'etaNoiseSeedDelta', name: 'Noise seed offset', a1111: 'ENSD', range: [0, 2 ** 32 - 1], whole: true, step: 1, takes: has(DRAWS), usual: () => '0',
    words: 'Added to the seed for the noise that steps draw (ENSD). Pictures made after NovelAI’s habit have 31337.',
  },
  {
    id: 'sChurn', name: 'Churn', a1111: 'Sigma Churn', range: NUMBERS.sChurn, step: 1, takes: has(CHURNS), usual: () => '0',
    words: 'Noise that is added before the steps, over all of them together (s_churn): what was drawn wrong can be drawn again.',
  },
  {
    id: 'sTmin', name: 'Churn from level', a1111: 'Sigma tmin', range: NUMBERS.sTmin, step: 0.1, takes: churned, usual: () => '0',
    words: 'The lowest noise level at which that is done (s_tmin).',
  },
  {
    id: 'sTmax', name: 'Churn up to level', a1111: 'Sigma tmax', range: NUMBERS.sTmax, step: 0.1, takes: churned, usual: () => 'any',
    words: 'The highest (s_tmax).',
  },
  {
    id: 'sigmaMin', name: 'Lowest noise level', a1111: 'Schedule min sigma', range: NUMBERS.sigmaMin, step: 0.01, takes: bounded, usual: () => 'model’s',
    words: 'Where the schedule ends before the clean picture (sigma_min).',
  },
  {
    id: 'sigmaMax', name: 'Highest noise level', a1111: 'Schedule max sigma', range: NUMBERS.sigmaMax, step: 0.1, takes: bounded, usual: () => 'model’s',
    words: 'Where it begins (sigma_max).',
  },
  {
    id: 'rho', name: 'Rho', a1111: 'Schedule rho', range: NUMBERS.rho, step: 0.5, takes: ({ sampler, schedule }) => LEVELS.includes(sampler) && schedule in BENDS,
    usual: ({ schedule }) => String(BENDS[schedule]),
    words: 'How far the schedule bends: the higher, the more of the steps are for what is fine.',
  },
  {
    id: 'discardNextToLastSigma', name: 'Last level but one', a1111: 'Always discard next-to-last sigma', takes: has(LEVELS),
    choices: [['', 'As the sampler has it'], ['true', 'Leave it out'], ['false', 'Keep it']],
    words: 'Left out, one level more is made in its place: A1111’s “always discard next-to-last sigma”.',
  },
  {
    id: 'sgmNoiseMultiplier', name: 'First noise', a1111: 'SGM noise multiplier', takes: has(LEVELS),
    choices: [['', 'As the sampler has it'], ['false', 'σ, as A1111'], ['true', '√(1 + σ²), as ComfyUI']],
    words: 'How much noise a run begins with, σ being its first level.',
  },
  {
    id: 'dynamicThresholdingRatio', name: 'Dynamic thresholding', a1111: 'Dynamic thresholding ratio', range: NUMBERS.dynamicThresholdingRatio, step: 0.005, takes: () => true, usual: () => 'off',
    words: 'For models of pictures, not of latents, of which it takes contrast: this share of each estimate, such as 0.995, decides what values are brought within.',
  },
  {
    id: 'sampleMaxValue', name: 'Threshold at most', a1111: 'Threshold maximum', range: NUMBERS.sampleMaxValue, step: 0.1,
    takes: ({ dynamicThresholdingRatio }) => String(dynamicThresholdingRatio).trim() !== '', usual: () => '1',
    words: 'How high that may be (sample_max_value).',
  },
];

/** What stands beside the options of the sampler in a request. */
const BESIDE = ['guidanceRescale', 'emphasis', 'clipSkip'];

/** What a request says of settings, of those that have an effect there. @param {Record<string, string>} values as typed, by id @param {How} how */
export function told(values, how) {
  const set = ROWS.filter(({ id, takes }) => id in values && takes(how)).map(({ id, choices }) => [id, valueOf(values[id], choices)]);
  const beside = Object.fromEntries(set.filter(([id]) => BESIDE.includes(id)));
  const samplerOptions = Object.fromEntries(set.filter(([id]) => !BESIDE.includes(id)));
  return { ...beside, ...(Object.keys(samplerOptions).length > 0 && { samplerOptions }) };
}

/** A value as requests have it. @param {string} text @param {[string, string][]} [choices] */
const valueOf = (text, choices) => (!choices ? Number(text) : ['true', 'false'].includes(text) ? text === 'true' : text);
