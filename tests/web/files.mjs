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

/** A JPEG or WebP with A1111's text in its EXIF: a user comment in UTF-16, big-endian. @param {'image/jpeg' | 'image/webp'} type */
export function withExif(type, text) {
  const comment = Buffer.concat([Buffer.from('UNICODE\0', 'latin1'), Buffer.from(text, 'utf16le').swap16()]);
  const entry = (tag, kind, count, value) => {
    const field = Buffer.alloc(12);
    field.writeUInt16BE(tag);
    field.writeUInt16BE(kind, 2);
    field.writeUInt32BE(count, 4);
    field.writeUInt32BE(value, 8);
    return Buffer.concat([Buffer.from([0, 1]), field, Buffer.alloc(4)]); // one field, and no directory after it
  };
  const head = Buffer.from([0x4d, 0x4d, 0, 42, 0, 0, 0, 8]);
  const exif = Buffer.concat([head, entry(0x8769, 4, 1, 26), entry(0x9286, 7, comment.length, 44), comment]);
  if (type === 'image/webp') {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(exif.length);
    return Buffer.concat([Buffer.from('RIFF\0\0\0\0WEBPEXIF', 'latin1'), length, exif]);
  }
  const segment = Buffer.from([0xff, 0xd8, 0xff, 0xe1, 0, 0]);
  segment.writeUInt16BE(2 + 6 + exif.length, 4);
  return Buffer.concat([segment, Buffer.from('Exif\0\0', 'latin1'), exif, Buffer.from([0xff, 0xd9])]);
}

export const asFile = (buffer, name = 'picture.png', mimeType = 'image/png') => ({ name, mimeType, buffer });
