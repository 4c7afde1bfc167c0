/** A LoRA for the embedded model, made here: small random changes of what its words do, which show in every picture. */

import { safetensors } from './upscaler.mjs';

/** The model's transformers, and how many channels each has. */
const TRANSFORMERS = Object.entries({
  down_blocks_1_attentions_0: 128, down_blocks_2_attentions_0: 192, mid_block_attentions_0: 192,
  up_blocks_0_attentions_0: 192, up_blocks_0_attentions_1: 192, up_blocks_1_attentions_0: 128, up_blocks_1_attentions_1: 128,
});
const TEXT = 128;
const RANK = 4;

/** Numbers between -1 and 1, the same for the same seed. @param {number} seed */
function numbers(seed) {
  let state = seed;
  return (count, size) => Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return size * (state / 2 ** 31 - 1);
  });
}

/**
 * kohya's names; `text`: it changes the text encoder too.
 * @param {{seed?: number, size?: number, text?: boolean, metadata?: Record<string, string>, wide?: number}} [of]
 */
export function lora({ seed = 1, size = 0.3, text = false, metadata, wide = TEXT } = {}) {
  const random = numbers(seed);
  const layer = (name, rows, columns) => [
    [`${name}.lora_up.weight`, { shape: [rows, RANK], values: random(rows * RANK, size) }],
    [`${name}.lora_down.weight`, { shape: [RANK, columns], values: random(RANK * columns, size) }],
    [`${name}.alpha`, { shape: [], values: [RANK] }],
  ];
  const words = text ? layer('lora_te_text_model_encoder_layers_0_mlp_fc2', TEXT, 4 * TEXT) : [];
  const unet = TRANSFORMERS.flatMap(([at, channels]) => {
    const attention = `lora_unet_${at}_transformer_blocks_0_attn2`;
    return [...layer(`${attention}_to_v`, channels, wide), ...layer(`${attention}_to_out_0`, channels, channels)];
  });
  return safetensors(Object.fromEntries([...words, ...unet]), metadata);
}
