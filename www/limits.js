/**
 * What a request may ask for, and what it takes where neither it nor the model says anything.
 *
 * These are the engine's own numbers: change them in src/pipeline/limits.rs, whose test says what stands here.
 */

/**
 * The samplers, in the order in which they are offered. `title`: to people; `evaluations`: how often a step asks the
 * denoiser, the first or last maybe otherwise; `alone`: whether `study` can take a step by itself.
 * @type {Record<import('./protocol.d.ts').Sampler, { title: string, evaluations: number, alone: boolean }>}
 */
export const SAMPLERS = {
  'ddim': { title: 'DDIM', evaluations: 1, alone: true },
  'euler': { title: 'Euler', evaluations: 1, alone: true },
  'euler-a': { title: 'Euler ancestral', evaluations: 1, alone: true },
  'heun': { title: 'Heun', evaluations: 2, alone: true },
  'lms': { title: 'LMS', evaluations: 1, alone: false },
  'dpm++-2m': { title: 'DPM++ 2M', evaluations: 1, alone: false },
  'lcm': { title: 'LCM', evaluations: 1, alone: true },
  'dpm2': { title: 'DPM2', evaluations: 2, alone: true },
  'dpm2-a': { title: 'DPM2 ancestral', evaluations: 2, alone: true },
  'dpm++-2s-a': { title: 'DPM++ 2S ancestral', evaluations: 2, alone: true },
  'dpm++-sde': { title: 'DPM++ SDE', evaluations: 2, alone: true },
  'dpm++-2m-sde': { title: 'DPM++ 2M SDE', evaluations: 1, alone: false },
  'dpm++-2m-sde-heun': { title: 'DPM++ 2M SDE Heun', evaluations: 1, alone: false },
  'dpm++-3m-sde': { title: 'DPM++ 3M SDE', evaluations: 1, alone: false },
  'unipc': { title: 'UniPC', evaluations: 1, alone: false },
  'unipc-bh1': { title: 'UniPC bh1', evaluations: 1, alone: false },
  'plms': { title: 'PLMS', evaluations: 1, alone: false },
  'ddpm': { title: 'DDPM', evaluations: 1, alone: true },
  'tcd': { title: 'TCD', evaluations: 1, alone: true },
  'restart': { title: 'Restart', evaluations: 2, alone: true },
  'er-sde': { title: 'ER-SDE', evaluations: 1, alone: false },
};

export const LIMITS = {
  /** Characters of a prompt. */
  prompt: { most: 20000 },
  steps: { from: 1, to: 1000 },
  guidance: { from: 0, to: 100 },
  /** Width and height in pixels. */
  size: { from: 32, to: 2048, step: 8 },
  batch: { from: 1, to: 8 },
  clipSkip: { from: 1, to: 12 },
  variationStrength: { from: 0, to: 1 },
  maskBlur: { from: 0, to: 64 },
  onlyMasked: { from: 0, to: 256 },
  /** Of `extend`. */
  overlap: { from: 0, to: 256 },
  /** Of a region's `weight`. */
  regionWeight: { from: 0, to: 10 },
  /** Of the largest picture. */
  pixels: { most: 33554432 },
  /** Of `hires`. */
  scale: { from: 1, to: 4 },
  upscalers: ['latent', 'latent-antialiased', 'latent-bicubic', 'latent-bicubic-antialiased', 'latent-nearest', 'latent-nearest-exact', 'lanczos'],
  samplers: Object.keys(SAMPLERS),
  schedules: ['default', 'karras', 'normal', 'exponential', 'polyexponential', 'sgm-uniform', 'simple', 'ddim-uniform', 'beta', 'align-your-steps', 'trailing', 'linspace'],
  rngs: ['torch', 'philox'],
};

/** For a model that says nothing of its own. @type {import('./protocol.d.ts').ModelInfo['defaults']} */
export const DEFAULTS = { steps: 20, guidance: 7.5, sampler: 'dpm++-2m', schedule: 'default' };
