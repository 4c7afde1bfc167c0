/** Upscalers' files for tests: the smallest there are, whose results can be told. */

/**
 * A file of safetensors in f32.
 * @param {Record<string, {shape: number[], values: ArrayLike<number>}>} tensors
 * @param {Record<string, string>} [metadata]
 */
export function safetensors(tensors, metadata) {
  const parts = Object.values(tensors).map(({ values }) => Buffer.from(Float32Array.from(values).buffer));
  let at = 0;
  const header = Object.fromEntries(Object.entries(tensors).map(([name, { shape }], i) => {
    const from = at;
    at += parts[i].length;
    return [name, { dtype: 'F32', shape, data_offsets: [from, at] }];
  }));
  const json = Buffer.from(JSON.stringify(metadata ? { __metadata__: metadata, ...header } : header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

const zeros = (...shape) => ({ shape, values: new Float32Array(shape.reduce((product, side) => product * side, 1)) });

/** SRVGGNetCompact that adds nothing to the picture enlarged by its nearest pixels. @param {number} scale */
export const nearest = (scale) => safetensors({
  'body.0.weight': zeros(4, 3, 3, 3), 'body.0.bias': zeros(4), 'body.1.weight': zeros(4),
  'body.2.weight': zeros(3 * scale * scale, 4, 3, 3), 'body.2.bias': zeros(3 * scale * scale),
});

/** SRVGGNetCompact of random weights, small enough that the picture stays one. @param {number} scale */
export function random(scale) {
  let state = 5;
  const next = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5) / 6;
  const filled = (...shape) => ({ shape, values: Float32Array.from({ length: shape.reduce((product, side) => product * side, 1) }, next) });
  return safetensors({
    'body.0.weight': filled(8, 3, 3, 3), 'body.0.bias': filled(8), 'body.1.weight': filled(8),
    'body.2.weight': filled(8, 8, 3, 3), 'body.2.bias': filled(8), 'body.3.weight': filled(8),
    'body.4.weight': filled(3 * scale * scale, 8, 3, 3), 'body.4.bias': filled(3 * scale * scale),
  });
}

/** One of an architecture that nobody here reads. */
export const swin = () => safetensors({ 'layers.0.residual_group.blocks.0.norm1.weight': zeros(8), 'conv_first.weight': zeros(8, 3, 3, 3) });
