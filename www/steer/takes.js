/**
 * Which samplers and schedules take what they may be told beside, and what they take where nothing is said.
 *
 * These are the engine's own: change them in src/sample, where a test of options.rs says what stands here.
 */

/** Of numbers: from, to. @type {Record<string, [number, number]>} */
export const NUMBERS = {
  eta: [0, 10],
  sChurn: [0, 10000],
  sTmin: [0, 1000000],
  sTmax: [0, Infinity],
  sNoise: [0, 10],
  sigmaMin: [0.0001, 1000000],
  sigmaMax: [0.0001, 1000000],
  rho: [0.01, 100],
  dynamicThresholdingRatio: [0, 1],
  sampleMaxValue: [1, 10000],
};

/** What samplers that have an η have as η. @type {Record<string, number>} */
export const ETA = {
  'ddim': 0,
  'euler-a': 1,
  'dpm2-a': 1,
  'dpm++-2s-a': 1,
  'dpm++-sde': 1,
  'dpm++-2m-sde': 1,
  'dpm++-2m-sde-heun': 1,
  'dpm++-3m-sde': 1,
  'tcd': 0.3,
};

/** To whose steps noise may be added. */
export const CHURNS = ['euler', 'heun', 'dpm2'];

/** Those that may draw noise in their steps, or before them. */
export const DRAWS = ['ddim', 'euler', 'euler-a', 'heun', 'lcm', 'dpm2', 'dpm2-a', 'dpm++-2s-a', 'dpm++-sde', 'dpm++-2m-sde', 'dpm++-2m-sde-heun', 'dpm++-3m-sde', 'ddpm', 'tcd', 'restart', 'er-sde'];

/** Those that are told noise levels. */
export const LEVELS = ['euler', 'euler-a', 'heun', 'lms', 'dpm++-2m', 'dpm2', 'dpm2-a', 'dpm++-2s-a', 'dpm++-sde', 'dpm++-2m-sde', 'dpm++-2m-sde-heun', 'dpm++-3m-sde', 'unipc', 'unipc-bh1', 'restart', 'er-sde'];

/** Those that leave the last level but one out. */
export const DISCARDS = ['dpm2', 'dpm2-a'];

/** Schedules between two levels. */
export const ENDS = ['karras', 'normal', 'exponential', 'polyexponential', 'sgm-uniform'];

/** How far schedules bend that do. @type {Record<string, number>} */
export const BENDS = {
  'karras': 7,
  'polyexponential': 1,
};
