/** A picture with edges, for maps to be made of. */

import { PNG } from 'pngjs';

/** A square on black, 64 × 64. @param {number} [light] of it: white */
export function square(light = 255) {
  const png = new PNG({ width: 64, height: 64 });
  for (let at = 0; at < 64 * 64; at++) {
    const inside = [at % 64, Math.floor(at / 64)].every((side) => side >= 16 && side < 48);
    png.data.fill(inside ? light : 0, 4 * at, 4 * at + 3);
    png.data[4 * at + 3] = 255;
  }
  return PNG.sync.write(png);
}
