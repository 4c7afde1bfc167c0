/** A model's GGUF file in 16 bits, made of one in 8: what somebody might bring who has not quantized anything. */

const ALIGNMENT = 32;
const [F16, Q8_0] = [1, 8];
/** Sizes of metadata's values, by type; 8 is text. */
const SIZES = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
/** Bytes of so many values, by type: as stored, and of a block of 32. */
const bytesOf = (type, count) => ({ 0: count * 4, [F16]: count * 2, [Q8_0]: (count / 32) * 34 })[type];

/**
 * What lies where in it.
 * @param {Buffer} file
 * @returns {{before: Buffer, infos: {name: string, shape: number[], type: number, offset: number}[], data: number}}
 *   all that is said before the tensors, these, and where their bytes begin
 */
function read(file) {
  let at = 8;
  const number = () => Number(file.readBigUInt64LE((at += 8) - 8));
  const word = () => file.readUInt32LE((at += 4) - 4);
  const text = () => { const length = number(); return file.toString('utf8', at, (at += length)); };
  const [tensors, pairs] = [number(), number()];
  for (let i = 0; i < pairs; i++) {
    text();
    const type = word();
    if (type === 8) text();
    else at += SIZES[type];
  }
  const before = file.subarray(0, at);
  const infos = Array.from({ length: tensors }, () => {
    const name = text();
    const shape = Array.from({ length: word() }, number);
    return { name, shape, type: word(), offset: number() };
  });
  return { before, infos, data: align(at) };
}

/** The same file, but a tensor's first value is no number. @param {Buffer} file @param {string} tensor of type F32 */
export function withNaN(file, tensor) {
  const { infos, data } = read(file);
  const broken = Buffer.from(file);
  broken.writeFloatLE(NaN, data + infos.find(({ name }) => name === tensor).offset);
  return broken;
}

/** @param {Buffer} file @returns {Buffer} */
export function inHalves(file) {
  const { before, infos, data } = read(file);
  const parts = [before];
  const values = [];
  let offset = 0;
  for (const { name, shape, type, offset: from } of infos) {
    const count = shape.reduce((a, b) => a * b, 1);
    const bytes = file.subarray(data + from, data + from + bytesOf(type, count));
    const to = type === Q8_0 ? F16 : type;
    const wide = type === Q8_0 ? halves(bytes, count) : bytes;
    parts.push(info(name, shape, to, offset));
    values.push(wide, Buffer.alloc(align(wide.length) - wide.length));
    offset += align(wide.length);
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, Buffer.alloc(align(header.length) - header.length), ...values]);
}

const align = (length) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

function info(name, shape, type, offset) {
  const out = Buffer.alloc(8 + Buffer.byteLength(name) + 4 + 8 * shape.length + 4 + 8);
  let at = out.writeBigUInt64LE(BigInt(Buffer.byteLength(name)));
  at += out.write(name, at);
  at = out.writeUInt32LE(shape.length, at);
  for (const side of shape) at = out.writeBigUInt64LE(BigInt(side), at);
  at = out.writeUInt32LE(type, at);
  out.writeBigUInt64LE(BigInt(offset), at);
  return out;
}

/** Blocks of a scale and 32 whole numbers, as numbers of 16 bits. */
function halves(blocks, count) {
  const out = Buffer.alloc(count * 2);
  for (let block = 0; block < count / 32; block++) {
    const at = block * 34;
    const scale = fromHalf(blocks.readUInt16LE(at));
    for (let i = 0; i < 32; i++) out.writeUInt16LE(toHalf(scale * blocks.readInt8(at + 2 + i)), (block * 32 + i) * 2);
  }
  return out;
}

function fromHalf(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** To the nearest; small enough for no infinity to come. */
function toHalf(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size === 0) return sign;
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const steps = Math.round(size * 2 ** (10 - exponent)); // of the distance between neighbours there
  return sign + (steps < 1024 ? steps : ((exponent + 15) << 10) + steps - 1024);
}
