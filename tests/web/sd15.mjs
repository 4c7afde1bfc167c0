/** The tensors of Stable Diffusion 1.5, as diffusers names them: what a file of it has to hold, without its numbers. */

/** @typedef {[name: string, shape: number[]]} Tensor */

/** The model in numbers, as a file of this engine says it: what is left out is as everywhere. */
const CONFIG = {
  name: 'sd15',
  text: { hidden_size: 768, intermediate_size: 3072, num_attention_heads: 12 },
  unet: { cross_attention_dim: 768 },
  vae: { block_out_channels: [128, 256, 512, 512], layers_per_block: 2 },
  scheduler: {},
};

const WIDTHS = [320, 640, 1280, 1280];
const TIME = 1280;
const VAE_WIDTHS = [128, 256, 512, 512];

/** @returns {Tensor[]} in the order in which diffusers saves them, component by component */
export function tensors() {
  return [...text(), ...unet(), ...vae()];
}

/**
 * The head of a safetensors file of these tensors in f16 that says all of itself, and how long the file is.
 * @param {Tensor[]} list
 * @param {string} tokenizer the text of a `tokenizer.json`
 */
export function headOf(list, tokenizer) {
  const table = { __metadata__: { 'opengen.config': JSON.stringify(CONFIG), 'opengen.tokenizer': tokenizer } };
  let at = 0;
  for (const [name, shape] of list) {
    const bytes = 2 * shape.reduce((a, b) => a * b);
    table[name] = { dtype: 'F16', shape, data_offsets: [at, at += bytes] };
  }
  const json = Buffer.from(JSON.stringify(table));
  const length = Buffer.alloc(8);
  length.writeUInt32LE(json.length);
  return { head: Buffer.concat([length, json]), bytes: 8 + json.length + at };
}

/** A map with its bias. @param {string} name @param {number[]} shape @returns {Tensor[]} */
const biased = (name, ...shape) => [[`${name}.weight`, shape], [`${name}.bias`, [shape[0]]]];
/** @param {string} name @param {number} width @returns {Tensor[]} */
const norm = (name, width) => biased(name, width);
/** @param {number} count @param {(index: number) => Tensor[]} of */
const each = (count, of) => Array.from({ length: count }, (_, index) => of(index)).flat();

function text() {
  const at = 'text_encoder.text_model';
  const layer = (path) => [
    ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((name) => biased(`${path}.self_attn.${name}`, 768, 768)),
    ...norm(`${path}.layer_norm1`, 768), ...norm(`${path}.layer_norm2`, 768),
    ...biased(`${path}.mlp.fc1`, 3072, 768), ...biased(`${path}.mlp.fc2`, 768, 3072),
  ];
  return [
    [`${at}.embeddings.token_embedding.weight`, [49408, 768]], [`${at}.embeddings.position_embedding.weight`, [77, 768]],
    ...each(12, (i) => layer(`${at}.encoder.layers.${i}`)), ...norm(`${at}.final_layer_norm`, 768),
  ];
}

/** A residual block; the UNet's knows the time. */
function resnet(path, from, to, time = 0) {
  return [
    ...norm(`${path}.norm1`, from), ...biased(`${path}.conv1`, to, from, 3, 3),
    ...(time ? biased(`${path}.time_emb_proj`, to, time) : []),
    ...norm(`${path}.norm2`, to), ...biased(`${path}.conv2`, to, to, 3, 3),
    ...(from === to ? [] : biased(`${path}.conv_shortcut`, to, from, 1, 1)),
  ];
}

function transformer(path, width) {
  const block = `${path}.transformer_blocks.0`;
  const attention = (name, from) => [
    [`${name}.to_q.weight`, [width, width]], [`${name}.to_k.weight`, [width, from]], [`${name}.to_v.weight`, [width, from]],
    ...biased(`${name}.to_out.0`, width, width),
  ];
  return [
    ...norm(`${path}.norm`, width), ...biased(`${path}.proj_in`, width, width, 1, 1),
    ...[1, 2, 3].flatMap((i) => norm(`${block}.norm${i}`, width)),
    ...attention(`${block}.attn1`, width), ...attention(`${block}.attn2`, 768),
    ...biased(`${block}.ff.net.0.proj`, 8 * width, width), ...biased(`${block}.ff.net.2`, width, 4 * width),
    ...biased(`${path}.proj_out`, width, width, 1, 1),
  ];
}

function unet() {
  const all = [
    ...biased('unet.conv_in', 320, 4, 3, 3), ...biased('unet.time_embedding.linear_1', TIME, 320),
    ...biased('unet.time_embedding.linear_2', TIME, TIME),
  ];
  const skips = [320];
  let width = 320;
  for (const [block, to] of WIDTHS.entries()) {
    const path = `unet.down_blocks.${block}`;
    for (const layer of [0, 1]) {
      all.push(...resnet(`${path}.resnets.${layer}`, width, to, TIME));
      if (block < 3) all.push(...transformer(`${path}.attentions.${layer}`, to));
      width = to;
      skips.push(width);
    }
    if (block === 3) continue;
    all.push(...biased(`${path}.downsamplers.0.conv`, to, to, 3, 3));
    skips.push(width);
  }
  all.push(...resnet('unet.mid_block.resnets.0', width, width, TIME), ...transformer('unet.mid_block.attentions.0', width),
    ...resnet('unet.mid_block.resnets.1', width, width, TIME));
  for (const [block, to] of [...WIDTHS].reverse().entries()) {
    const path = `unet.up_blocks.${block}`;
    for (const layer of [0, 1, 2]) {
      all.push(...resnet(`${path}.resnets.${layer}`, width + skips.pop(), to, TIME));
      if (block > 0) all.push(...transformer(`${path}.attentions.${layer}`, to));
      width = to;
    }
    if (block < 3) all.push(...biased(`${path}.upsamplers.0.conv`, to, to, 3, 3));
  }
  return [...all, ...norm('unet.conv_norm_out', 320), ...biased('unet.conv_out', 4, 320, 3, 3)];
}

function vae() {
  const middle = (path) => [
    ...resnet(`${path}.resnets.0`, 512, 512), ...norm(`${path}.attentions.0.group_norm`, 512),
    ...['to_q', 'to_k', 'to_v', 'to_out.0'].flatMap((name) => biased(`${path}.attentions.0.${name}`, 512, 512)),
    ...resnet(`${path}.resnets.1`, 512, 512),
  ];
  const blocks = (path, widths, layers, sampler) => {
    let width = widths[0];
    return widths.flatMap((to, block) => {
      const resnets = each(layers, (layer) => resnet(`${path}.${block}.resnets.${layer}`, layer ? to : width, to));
      width = to;
      return block < 3 ? [...resnets, ...biased(`${path}.${block}.${sampler}.0.conv`, to, to, 3, 3)] : resnets;
    });
  };
  return [
    ...biased('vae.encoder.conv_in', 128, 3, 3, 3), ...blocks('vae.encoder.down_blocks', VAE_WIDTHS, 2, 'downsamplers'),
    ...middle('vae.encoder.mid_block'), ...norm('vae.encoder.conv_norm_out', 512), ...biased('vae.encoder.conv_out', 8, 512, 3, 3),
    ...biased('vae.quant_conv', 8, 8, 1, 1), ...biased('vae.post_quant_conv', 4, 4, 1, 1),
    ...biased('vae.decoder.conv_in', 512, 4, 3, 3), ...middle('vae.decoder.mid_block'),
    ...blocks('vae.decoder.up_blocks', [...VAE_WIDTHS].reverse(), 3, 'upsamplers'),
    ...norm('vae.decoder.conv_norm_out', 128), ...biased('vae.decoder.conv_out', 3, 128, 3, 3),
  ];
}
