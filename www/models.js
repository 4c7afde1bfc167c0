/** The models that come with the page and with the package, where they are an entry of their own: `opengen/mini`. */

import { EMOJI, KNOWS, PHRASES, SYNONYMS } from './knows.js';

/**
 * `node tests/web/catalog.mjs` keeps `bytes` and `sha256` true.
 * A file's address is written out in full where it is used, since that is how bundlers find it.
 * @type {import('./protocol.d.ts').ModelInfo}
 */
export const mini = {
  id: 'mini',
  name: 'Mini',
  url: new URL('./models/mini/mini-q8_0.gguf', import.meta.url).href,
  bytes: 15241504,
  sha256: '6ecb65d38c64f9aac2a7a0b496c88a3b4883bfe981a926970d2413c7cc3e0ae4',
  width: 128,
  height: 128,
  working: 6_300_000, // the peak of the README's table, less the weights
  defaults: { steps: 10, guidance: 2, sampler: 'ddim', schedule: 'default' },
  examples: [
    { prompt: 'a red apple on a light blue background', seed: 1 },
    { prompt: 'a panda next to a red heart on a pink background', seed: 1 },
    { prompt: 'a fox in the snow', seed: 1 },
    { prompt: 'a tropical fish under water', seed: 1 },
    { prompt: 'sticker of a cat on a purple background', seed: 1 },
    { prompt: 'neon sign of a cocktail', seed: 1 },
    { prompt: 'a soccer ball on grass', seed: 1 },
    { prompt: 'pixel art of a red heart on a white background', seed: 1 },
  ],
  open: { prompt: 'an apple', seed: 37, toSeed: 42, change: 'a red apple on a yellow background' },
  classPrompts: [
    '{}', 'a small cat at the bottom left on grass', 'a medium pizza to the left on a pink background', 'a tiny fox at the bottom in the snow',
    '{} at the bottom left in the snow', 'a medium rocket to the right in space', 'a small fish in the bottom right corner under water',
    'neon sign of a cocktail', 'neon sign of {}', 'pixel art of a key on a blue background', 'watercolor of a small boat at the bottom',
    'a red apple on a light blue background', 'pixel art of {} on a purple background',
    'sticker of a medium guitar on the left on a red background', 'a tiny house at the top at night',
    'a medium owl at the bottom on a yellow background',
  ],
  about: 'Mini is a tiny model that learned from 372 emoji: one thing or two, small or large, where you say, on a colour '
    + 'or in a place such as snow or space, in styles such as neon or pixel art. No photographs and no writing.',
  license: 'Weights: MIT OR Apache-2.0, trained by this project on pictures of Noto Color Emoji (OFL 1.1).',
  knows: KNOWS,
  synonyms: SYNONYMS,
  phrases: PHRASES,
  emoji: EMOJI,
};

/** All of them, the default first. @type {readonly import('./protocol.d.ts').ModelInfo[]} */
export const MODELS = [mini];
