/**
 * What a request may ask for, and what it takes where neither it nor the model says anything.
 *
 * These are the engine's own numbers: change them in src/pipeline/limits.rs, whose test says what stands here.
 */
export const LIMITS = {
  /** Characters of a prompt. */
  prompt: { most: 20000 },
  steps: { from: 1, to: 1000 },
  guidance: { from: 0, to: 100 },
  /** Width and height in pixels. */
  size: { from: 32, to: 2048, step: 8 },
  batch: { from: 1, to: 8 },
  variationStrength: { from: 0, to: 1 },
  samplers: ['ddim', 'euler', 'euler-a', 'dpm++-2m'],
  schedules: ['default', 'karras'],
  rngs: ['torch', 'philox'],
};

/** For a model that says nothing of its own. @type {import('./protocol.d.ts').ModelInfo['defaults']} */
export const DEFAULTS = { steps: 20, guidance: 7.5, sampler: 'dpm++-2m', schedule: 'default' };
