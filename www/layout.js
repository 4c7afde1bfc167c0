/** diffusers' layout: the files of a folder that a model is made of, by component; half precision stands for full, an index for shards. */

/** @param {string} stem what a component's weights are called */
const weights = (stem) => ['.fp16.safetensors', '.safetensors', '.safetensors.index.fp16.json', '.safetensors.index.json'].map((end) => stem + end);

/** @type {Record<string, string[]>} */
const PARTS = {
  unet: ['config.json', ...weights('diffusion_pytorch_model')],
  text_encoder: ['config.json', ...weights('model')],
  vae: ['config.json', ...weights('diffusion_pytorch_model')],
  tokenizer: ['tokenizer.json', 'vocab.json', 'merges.txt', 'tokenizer_config.json', 'special_tokens_map.json'],
  scheduler: ['scheduler_config.json'],
};
/** What says how the parts belong together, and what they may be used for. */
const WHOLE = ['model_index.json', 'README.md'];

/**
 * The files that a folder may have, each with its address: those of some components, or all of them and what is said of the whole.
 * @param {string} base the folder's address, without a slash at its end
 * @param {string[]} [parts]
 * @returns {{path: string, url: string}[]}
 */
export function filesIn(base, parts) {
  const paths = (parts ?? Object.keys(PARTS)).flatMap((part) => PARTS[part].map((name) => `${part}/${name}`));
  return [...(parts ? [] : WHOLE), ...paths].map((path) => ({ path, url: `${base}/${path}` }));
}
