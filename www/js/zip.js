/**
 * A ZIP archive of files that are compressed already: PNGs gain nothing from deflate, so they are stored as they are
 * (APPNOTE.TXT 6.3.10, method 0), and one small module does it.
 */

/** Without ZIP64 an archive holds this many files, and this many bytes; the largest numbers mean that there is one. */
const MOST_FILES = 0xfffe;
const MOST_BYTES = 0xffff_fffe;
/** Bit 11: names are UTF-8. */
const UTF8 = 1 << 11;
const VERSION = 20;

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** CRC-32 as ZIP and PNG use it. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffff_ffff) >>> 0;
}

/**
 * @param {AsyncIterable<{name: string, time: number, file: Blob}>} files names without folders, each once;
 *   `time` in milliseconds since 1970. One file at a time is read; the archive refers to the others.
 * @returns {Promise<Blob>}
 * @throws {RangeError} when there are more files or bytes than an archive holds
 */
export async function zip(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  for await (const { name, time, file } of files) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const label = new TextEncoder().encode(name);
    const common = [
      [2, VERSION], [2, UTF8], [2, 0], [4, dosTime(time)], [4, crc32(bytes)], [4, bytes.length], [4, bytes.length],
      [2, label.length], [2, 0],
    ];
    directory.push(record(0x0201_4b50, [[2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), label);
    const header = record(0x0403_4b50, common);
    parts.push(header, label, file);
    at += header.length + label.length + bytes.length;
    if (directory.length / 2 > MOST_FILES || at > MOST_BYTES) {
      throw new RangeError('one ZIP file holds at most 65,534 pictures and 4 GB; search for some of them first');
    }
  }
  const count = directory.length / 2;
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record(0x0605_4b50, [[2, 0], [2, 0], [2, count], [2, count], [4, length], [4, at], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}

/** A signature and fields of [bytes, value], little-endian. */
function record(signature, fields) {
  const view = new DataView(new ArrayBuffer(4 + fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  return new Uint8Array(view.buffer);
}

/** Local time as MS-DOS writes it, in steps of two seconds: the date in the high half, the time in the low one. */
function dosTime(time) {
  const t = new Date(time);
  const date = ((t.getFullYear() - 1980) << 9) | ((t.getMonth() + 1) << 5) | t.getDate();
  return ((date << 16) | (t.getHours() << 11) | (t.getMinutes() << 5) | (t.getSeconds() >> 1)) >>> 0;
}
