/** A grid of pictures as one PNG: its cells at their own size, the values beside them, and its settings in its text. */

import { crc32 } from '../js/zip.js';

/** The longest side that a sheet has: browsers draw no larger canvas. */
const MOST = 16_000;
const FONT = 'system-ui, sans-serif';

/**
 * @param {object} of
 * @param {ImageBitmap[]} of.pictures row by row, table by table
 * @param {string[][]} of.labels of columns, rows and tables
 * @returns {OffscreenCanvas}
 */
export function sheet({ pictures, labels: [columns, rows = [''], tables = ['']] }) {
  const [cell, tall] = [Math.max(...pictures.map(({ width }) => width)), Math.max(...pictures.map(({ height }) => height))];
  const size = Math.max(11, Math.round(Math.min(cell, tall) / 9));
  const measure = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(1, 1).getContext('2d'));
  measure.font = `${size}px ${FONT}`;
  const side = Math.min(2 * cell, Math.ceil(Math.max(0, ...rows.map((label) => measure.measureText(label).width)))) + (rows.some(Boolean) ? size : 0);
  const gap = Math.max(2, Math.round(size / 4));
  const lines = columns.map((label) => wrapped(measure, label, cell));
  const top = Math.ceil(Math.max(...lines.map(({ length }) => length)) * size * 1.25 + size / 2); // pictures lie on whole pixels
  const title = tables.some(Boolean) ? size * 2 : 0;
  const table = title + top + rows.length * (tall + gap);
  const [width, height] = [side + columns.length * (cell + gap) + gap, tables.length * table + gap];
  const scale = Math.min(1, MOST / width, MOST / height);
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.scale(scale, scale);
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.fillStyle = '#1d1b18';
  context.textBaseline = 'middle';
  tables.forEach((name, t) => {
    const from = t * table;
    context.font = `bold ${size}px ${FONT}`;
    context.textAlign = 'center';
    if (title) context.fillText(name, width / 2, from + title / 2, width);
    context.font = `${size}px ${FONT}`;
    lines.forEach((words, x) => words.forEach((line, i) => {
      const below = words.length - i - 0.5;
      context.fillText(line, side + x * (cell + gap) + cell / 2, from + title + top - size / 4 - below * size * 1.25, cell);
    }));
    rows.forEach((label, y) => {
      const row = from + title + top + y * (tall + gap);
      context.textAlign = 'right';
      context.fillText(label, side - size / 2, row + tall / 2, side - size / 2);
      columns.forEach((_, x) => {
        const picture = pictures[(t * rows.length + y) * columns.length + x];
        if (picture) context.drawImage(picture, side + x * (cell + gap) + ((cell - picture.width) >> 1), row + ((tall - picture.height) >> 1));
      });
    });
  });
  return canvas;
}

/** Words in lines no wider than a cell. @param {OffscreenCanvasRenderingContext2D} context @param {string} text @param {number} width */
function wrapped(context, text, width) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (lines.at(-1) && context.measureText(longer).width > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

/**
 * A PNG with the texts of another, whose settings get more fields.
 * @param {Blob} png without texts
 * @param {Blob} from one of the cells
 * @param {string} more fields
 */
export async function withTexts(png, from, more) {
  const [bytes, other] = await Promise.all([png, from].map(async (file) => new Uint8Array(await file.arrayBuffer())));
  const texts = chunksOf(other).filter(({ type }) => ['tEXt', 'iTXt'].includes(type)).map(({ type, data }) => {
    const isSettings = latin1(data.subarray(0, KEY.length)) === KEY;
    return isSettings ? settings(type, data, `, ${more}`) : chunk(type, data);
  });
  const head = 8 + 25; // signature and IHDR
  return new Blob([bytes.subarray(0, head), ...texts, bytes.subarray(head)], { type: 'image/png' });
}

/** How the chunk of a picture's settings begins. */
const KEY = 'parameters\0';
/** What follows the keyword in an iTXt chunk that is not compressed and says no language. */
const PLAIN = '\0\0\0\0';

/** @param {Uint8Array} bytes */
const latin1 = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
/** @param {string} text */
const bytesOf = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** The chunk of settings with more of them: as tEXt where Latin-1 can hold all, else as iTXt. @param {string} type @param {Uint8Array} data @param {string} more */
function settings(type, data, more) {
  if (type === 'iTXt') return chunk(type, concat(data, new TextEncoder().encode(more)));
  const text = latin1(data.subarray(KEY.length)) + more;
  if (/^[\0-\xff]*$/.test(text)) return chunk('tEXt', bytesOf(KEY + text));
  return chunk('iTXt', concat(bytesOf(KEY + PLAIN), new TextEncoder().encode(text)));
}

/** @param {Uint8Array} png */
function chunksOf(png) {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const chunks = [];
  for (let at = 8; at + 12 <= png.length;) {
    const length = view.getUint32(at);
    chunks.push({ type: latin1(png.subarray(at + 4, at + 8)), data: png.subarray(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return chunks;
}

/** @param {string} type @param {Uint8Array} data */
function chunk(type, data) {
  const body = concat(bytesOf(type), data);
  const [length, sum] = [new DataView(new ArrayBuffer(4)), new DataView(new ArrayBuffer(4))];
  length.setUint32(0, data.length);
  sum.setUint32(0, crc32(body));
  return concat(new Uint8Array(length.buffer), body, new Uint8Array(sum.buffer));
}

/** @param {Uint8Array[]} parts */
function concat(...parts) {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}
