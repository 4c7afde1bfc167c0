/** Pictures of the kinds that people have, as files: those that are read, and those that no browser here reads. */

import { readFileSync } from 'node:fs';
import { deflateSync, crc32 } from 'node:zlib';
import { PNG } from 'pngjs';

/** One of those that were made beforehand. @param {string} name */
export const data = (name) => readFileSync(new URL(`../data/kinds/${name}`, import.meta.url));

/** A PNG chunk by chunk: what pngjs does not write. */
export function png(width, height, depth, color, scanlines) {
  const chunk = (kind, body) => {
    const all = Buffer.concat([Buffer.from(kind, 'latin1'), body]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(body.length);
    check.writeUInt32BE(crc32(all));
    return Buffer.concat([length, all, check]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([depth, color], 8);
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', head), chunk('IDAT', deflateSync(scanlines)), chunk('IEND', Buffer.alloc(0))]);
}

/** 16 bits a channel, red at the left and blue at the right. */
function deep(width, height) {
  const line = Buffer.alloc(1 + 6 * width);
  for (let x = 0; x < width; x++) [x < width / 2 ? [220, 30, 30] : [30, 60, 200]][0].forEach((value, c) => line.writeUInt16BE(257 * value, 1 + 6 * x + 2 * c));
  return png(width, height, 16, 2, Buffer.concat(Array(height).fill(line)));
}

/** Nothing to be seen at the left, blue at the right. */
function sheer(width, height) {
  const image = new PNG({ width, height });
  for (let i = 0; i < width * height; i++) image.data.set(i % width < width / 2 ? [220, 30, 30, 0] : [30, 60, 200, 255], 4 * i);
  return PNG.sync.write(image);
}

const [RED, BLUE, WHITE] = [[220, 30, 30], [30, 60, 200], [255, 255, 255]];
const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><rect width="64" height="48" fill="red"/></svg>';
const heic = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from('ftypheic\0\0\0\0mif1heic', 'latin1'), Buffer.alloc(200)]);

/** Each with its size, and the colours at the left and at the right. */
export const TAKEN = [
  { name: 'one.png', type: 'image/png', bytes: () => png(1, 1, 8, 2, Buffer.from([0, ...RED])), size: [1, 1], left: RED, right: RED },
  { name: 'deep.png', type: 'image/png', bytes: () => deep(64, 48), size: [64, 48], left: RED, right: BLUE },
  { name: 'sheer.png', type: 'image/png', bytes: () => sheer(64, 48), size: [64, 48], left: WHITE, right: BLUE },
  { name: 'turned.jpg', type: 'image/jpeg', bytes: () => data('turned.jpg'), size: [64, 48], left: RED, right: BLUE },
  { name: 'moving.gif', type: 'image/gif', bytes: () => data('moving.gif'), size: [64, 48], left: RED, right: BLUE },
  { name: 'cmyk.jpg', type: 'image/jpeg', bytes: () => data('cmyk.jpg'), size: [80, 48], left: RED, right: BLUE, far: 60 },
  // 108 megapixels: black and white, a bit each.
  { name: 'huge.png', type: 'image/png', bytes: () => png(12_000, 9000, 1, 0, Buffer.alloc(1501 * 9000)), size: [2048, 1536], left: [0, 0, 0], right: [0, 0, 0] },
];
export const REFUSED = [
  ['drawing.svg', 'image/svg+xml', () => Buffer.from(svg)],
  ['phone.heic', 'image/heic', () => heic],
  ['short.jpg', 'image/jpeg', () => data('whole.jpg').subarray(0, 200)],
  ['short.png', 'image/png', () => png(64, 48, 8, 2, Buffer.alloc(64)).subarray(0, 40)],
  ['empty.png', 'image/png', () => Buffer.alloc(0)],
];
