/**
 * Files of Stable Diffusion 1 as people bring them, small and with random weights: a checkpoint in one file, and autoencoders by
 * themselves. Names and shapes are those of tests/golden/single/sd1.json and tests/golden/models/taesd.
 */

import { readFileSync } from 'node:fs';

const golden = (path) => readFileSync(new URL(`../golden/${path}`, import.meta.url));
const facts = () => JSON.parse(golden('single/sd1.json'));
const VAE = 'first_stage_model.';

/** @typedef {{dtype: string, shape: number[], bytes: Buffer}} Entry */

/** A safetensors file. @param {Record<string, Entry>} entries */
export function safetensors(entries) {
  const header = {};
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(entries)) header[name] = { dtype, shape, data_offsets: [end, end += bytes.length] };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, ...Object.values(entries).map(({ bytes }) => bytes)]);
}

/** Random weights in half precision. @param {Record<string, number[]>} shapes @param {number} seed @returns {Record<string, Entry>} */
function weights(shapes, seed) {
  let state = seed;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 16;
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => {
    const values = new Uint16Array(shape.reduce((a, b) => a * b, 1)); // zeros
    if (shape.length === 1 && name.endsWith('weight')) values.fill(0x3c00); // the gains of a norm, 1
    // ±1 to 2 times the power of two that keeps the size of what comes in.
    const power = 14 - Math.ceil(Math.log2(shape.slice(1).reduce((a, b) => a * b, 1)) / 2);
    if (shape.length > 1) values.forEach((_, i) => { const bits = random(); values[i] = ((bits & 1) << 15) | (power << 10) | (bits >> 6); });
    return [name, { dtype: 'F16', shape, bytes: Buffer.from(values.buffer) }];
  }));
}

/** A checkpoint under CompVis's names, with what such files carry beside the weights. */
export function checkpoint() {
  return safetensors({
    ...weights(facts().shapes, 1),
    'cond_stage_model.transformer.text_model.embeddings.position_ids': { dtype: 'I64', shape: [1, 77], bytes: Buffer.alloc(616) },
    alphas_cumprod: { dtype: 'F64', shape: [1000], bytes: Buffer.alloc(8000) },
  });
}

/** An autoencoder in a file of its own, other than the checkpoint's. @param {'CompVis' | 'diffusers'} naming */
export function autoencoder(naming) {
  const { shapes, folder } = facts();
  const entries = weights(Object.fromEntries(Object.entries(shapes).filter(([name]) => name.startsWith(VAE))), 7);
  if (naming === 'diffusers') {
    return safetensors(Object.fromEntries(Object.entries(folder.vae).map(([name, [from, , shape]]) => [name, { ...entries[from], shape }])));
  }
  return safetensors(Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name.slice(VAE.length), entry])));
}

/** A ControlNet of the checkpoint’s family, under the names of lllyasviel’s code; of another one where its text is wider. @param {number} seed @param {number} [wider] @param {{text?: number}} [how] */
export function controlNet(seed, wider = 1, { text = 1 } = {}) {
  const [UNET, CONTROL] = ['model.diffusion_model.', 'control_model.'];
  const shapes = {};
  const layer = (name, out, inputs, side) => {
    shapes[`${CONTROL}${name}.weight`] = [out, inputs, side, side];
    shapes[`${CONTROL}${name}.bias`] = [out];
  };
  const widths = [];
  for (const [name, shape] of Object.entries(facts().shapes)) {
    const rest = name.startsWith(UNET) ? name.slice(UNET.length) : '';
    if (!/^(time_embed|input_blocks|middle_block)\./.test(rest)) continue;
    shapes[CONTROL + rest] = /attn2\.to_[kv]\./.test(rest) ? [shape[0], text * shape[1]] : shape;
    const end = rest.match(/^input_blocks\.(\d+)\.0\.(?:op\.|out_layers\.3\.)?weight$/);
    if (end) widths[Number(end[1])] = shape[0];
  }
  widths.forEach((width, number) => layer(`zero_convs.${number}.0`, width, width, 1));
  layer('middle_block_out.0', widths.at(-1), widths.at(-1), 1);
  const maps = [3, 16, 16, 32, 32, 96, 96, 256, wider * widths[0]];
  maps.slice(1).forEach((width, number) => layer(`input_hint_block.${2 * number}`, width, maps[number], 3));
  return safetensors(weights(shapes, seed));
}

/** The tiny autoencoder of the goldens, in diffusers' naming. */
export const tiny = () => golden('models/taesd/diffusion_pytorch_model.safetensors');

/** The same in its author's: each half a file, whose layers are counted from 0. @param {'encoder' | 'decoder'} half */
export function tinyHalf(half) {
  const file = tiny();
  const data = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, data).toString());
  const start = `${half}.layers.`;
  const entries = Object.entries(header).filter(([name]) => name.startsWith(start)).map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
    const [number, ...rest] = name.slice(start.length).split('.');
    const counted = Number(number) + (half === 'decoder' ? 1 : 0); // the decoder's begins with a layer without weights
    return [[counted, ...rest].join('.'), { dtype, shape, bytes: file.subarray(data + from, data + to) }];
  });
  return safetensors(Object.fromEntries(entries));
}
