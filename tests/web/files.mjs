/** PNG files for the tests, as the tools of others would write them. */

import { deflateSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { crc32 } from '../../www/js/zip.js';

function chunk(type, body) {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, crc]);
}

const KINDS = {
  tEXt: (keyword, text) => Buffer.from(`${keyword}\0${text}`, 'latin1'),
  zTXt: (keyword, text) => Buffer.concat([Buffer.from(`${keyword}\0\0`, 'latin1'), deflateSync(Buffer.from(text, 'latin1'))]),
  iTXt: (keyword, text) => Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(text, 'utf8')]),
  compressed: (keyword, text) => Buffer.concat([Buffer.from(`${keyword}\0\x01\0\0\0`, 'latin1'), deflateSync(Buffer.from(text, 'utf8'))]),
};

/** A small grey PNG. @param {{kind?: keyof KINDS, keyword?: string, text?: string, behind?: boolean}} [options] */
export function png({ kind = 'tEXt', keyword = 'parameters', text, behind = false } = {}) {
  const plain = PNG.sync.write(Object.assign(new PNG({ width: 8, height: 8 }), { data: Buffer.alloc(8 * 8 * 4, 160) }));
  if (text === undefined) return plain;
  const added = chunk(kind === 'compressed' ? 'iTXt' : kind, KINDS[kind](keyword, text));
  const at = behind ? plain.length - 12 : 33; // before IEND, or behind IHDR
  return Buffer.concat([plain.subarray(0, at), added, plain.subarray(at)]);
}

export const asFile = (buffer, name = 'picture.png', mimeType = 'image/png') => ({ name, mimeType, buffer });
