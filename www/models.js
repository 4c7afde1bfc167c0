/** The models that come with the client. */

/**
 * The default comes first. `node tests/web/catalog.mjs` keeps `bytes` and `sha256` true.
 * A file's address is written out in full where it is used, since that is how bundlers find it.
 * @type {readonly import('./protocol.d.ts').ModelInfo[]}
 */
export const MODELS = [
  {
    id: 'mini',
    name: 'Mini',
    url: new URL('./models/mini/mini-q8_0.gguf', import.meta.url).href,
    bytes: 10448896,
    sha256: 'ed80772eac5cdf50dabc4b787e5aef2fe77e595dab975d80b8be0dd8869ef57e',
    width: 64,
    height: 64,
    defaults: { steps: 10, guidance: 2, sampler: 'ddim', schedule: 'default' },
    examples: [
      { prompt: 'a red apple on a light blue background', seed: 200 },
      { prompt: 'a red heart on a dark blue background', seed: 201 },
      { prompt: 'a panda on a pink background', seed: 206 },
      { prompt: 'a moon on a dark blue background', seed: 203 },
      { prompt: 'a rainbow on a light blue background', seed: 215 },
      { prompt: 'a face with sunglasses on a light purple background', seed: 107 },
      { prompt: 'a penguin on a light blue background', seed: 110 },
      { prompt: 'a small red heart in the top left corner on a pink background', seed: 220 },
    ],
    about: 'Mini is a tiny model that learned from 64 emoji: it draws one thing on a plain background, small or large, '
      + 'where you say. No scenes, people or writing.',
    license: 'Weights: MIT OR Apache-2.0, trained by this project on pictures of Noto Color Emoji (OFL 1.1).',
    knows: {
      things: {
        Food: [
          'red apple', 'banana', 'strawberry', 'watermelon', 'pineapple', 'cherries', 'grapes', 'lemon', 'carrot',
          'mushroom', 'pizza', 'hamburger', 'ice cream', 'doughnut', 'coffee cup',
        ],
        Animals: [
          'cat', 'dog', 'panda', 'fox', 'frog', 'lion', 'pig', 'rabbit', 'bear', 'penguin', 'owl', 'turtle',
          'octopus', 'tropical fish', 'butterfly', 'bee', 'ladybug', 'whale',
        ],
        'Faces and fantasy': [
          'smiling face', 'face with sunglasses', 'face with heart eyes', 'crying face', 'angry face', 'ghost',
          'alien', 'robot', 'halloween pumpkin', 'skull',
        ],
        Plants: [
          'sunflower', 'rose', 'cactus', 'fir tree', 'four leaf clover', 'cherry blossom',
        ],
        'Vehicles and things': [
          'rocket', 'car', 'sailboat', 'balloon', 'gift', 'soccer ball', 'crown', 'red heart', 'diamond', 'house',
        ],
        'Sky and weather': [
          'rainbow', 'star', 'sun', 'snowman', 'moon',
        ],
      },
      around: {
        Sizes: [
          'small', 'medium sized', 'large',
        ],
        Positions: [
          'in the center', 'on the left', 'on the right', 'at the top', 'at the bottom', 'in the top left corner',
          'in the top right corner', 'in the bottom left corner', 'in the bottom right corner',
        ],
        Backgrounds: [
          'on a white background', 'on a gray background', 'on a black background', 'on a red background',
          'on an orange background', 'on a yellow background', 'on a light green background',
          'on a green background', 'on a dark green background', 'on a light blue background',
          'on a blue background', 'on a dark blue background', 'on a light purple background',
          'on a purple background', 'on a pink background', 'on a brown background',
        ],
      },
    },
  },
];
