/** Three pictures to press while there are none of one's own: what the model draws, as it draws it. */

import { $, make } from './dom.js';

/** The pictures, by model and seed of the example: `node tests/web/samples.mjs` draws them. */
const SAMPLES = { mini: ['samples/apple.webp', 'samples/panda.webp', 'samples/fox.webp'] };
const WORDS = {
  mini: 'Mini is a little model that learned to draw from 372 emoji. Press a picture, or say what you like.',
};

/** How many of a model's examples stand there as pictures. */
export const sampleCount = (model) => SAMPLES[model.id]?.length ?? 0;

/**
 * @param {import('../protocol.d.ts').ModelInfo} model
 * @param {(example: {prompt: string, seed: number}) => void} onPress
 */
export function showSamples(model, onPress) {
  $('samples').hidden = sampleCount(model) === 0;
  $('samples-words').textContent = WORDS[model.id] ?? '';
  $('samples-list').replaceChildren(...model.examples.slice(0, sampleCount(model)).map((example, i) => {
    const image = make('img', { src: SAMPLES[model.id][i], alt: '', width: 72, height: 72, draggable: false });
    const button = make('button', { type: 'button' }, image, make('span', { textContent: example.prompt }));
    button.addEventListener('click', () => onPress(example));
    return make('li', {}, button);
  }));
}
