/**
 * Makes the PNG icons of www/icons/ from www/icon.svg: node icons.mjs
 *
 * The mark is a grid of coloured cells with rounded corners, so it is painted here cell by cell: every machine makes the
 * same pixels, whichever browsers it has. look.test.mjs holds the files to that.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PNG } from 'pngjs';

const WWW = join(import.meta.dirname, '../../www');
/** Points per pixel side where the corner's edge cuts a pixel. */
const FINE = 8;

/**
 * What is made. Where the system cuts its own shape out of the icon, it gets the whole square: the mark's cells go to
 * the edge, and all that matters lies within the circle of 80 % that is never cut.
 */
export const ICONS = [
  { file: 'icon-192.png', size: 192, rounded: true },
  { file: 'icon-512.png', size: 512, rounded: true },
  { file: 'maskable-512.png', size: 512, rounded: false },
  { file: 'apple-touch-icon.png', size: 180, rounded: false },
];

/** The mark: its side, its cells' side, its corners' radius, and the colour at each cell. */
function mark() {
  const svg = readFileSync(join(WWW, 'icon.svg'), 'utf8');
  const side = Number(/viewBox="0 0 (\d+) \d+"/.exec(svg)[1]);
  const radius = Number(/rx="(\d+)"/.exec(svg)[1]);
  const cell = Number(/h(\d+)v\1h-\1z/.exec(svg)[1]);
  const cells = new Map();
  for (const [, colour, path] of svg.matchAll(/fill="#([0-9a-f]{6})" d="([^"]+)"/g)) {
    const rgb = [0, 2, 4].map((at) => parseInt(colour.slice(at, at + 2), 16));
    for (const [, x, y] of path.matchAll(/M(\d+) (\d+)/g)) cells.set(`${x / cell},${y / cell}`, rgb);
  }
  if (cells.size !== (side / cell) ** 2) throw new Error(`icon.svg: ${cells.size} cells do not fill the square`);
  return { side, radius, cell, cells };
}

/** @param {{size: number, rounded: boolean}} icon @returns {PNG} */
export function paint({ size, rounded }) {
  const { side, radius, cell, cells } = mark();
  const png = new PNG({ width: size, height: size });
  const r = (radius / side) * size;
  const inside = (x, y) => {
    const [dx, dy] = [Math.max(r - x, x - (size - r), 0), Math.max(r - y, y - (size - r), 0)];
    return dx * dx + dy * dy <= r * r;
  };
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const at = [x, y].map((v) => Math.floor(((v + 0.5) / size) * (side / cell)));
      const alpha = rounded ? coverage(x, y, inside) : 255;
      png.data.set([...cells.get(at.join()), alpha], 4 * (y * size + x));
    }
  }
  return png;
}

/** How much of a pixel lies inside, 0 … 255. */
function coverage(x, y, inside) {
  let count = 0;
  for (let j = 0; j < FINE; j++) for (let i = 0; i < FINE; i++) count += inside(x + (i + 0.5) / FINE, y + (j + 0.5) / FINE);
  return Math.round((count / FINE ** 2) * 255);
}

if (import.meta.filename === process.argv[1]) {
  mkdirSync(join(WWW, 'icons'), { recursive: true });
  for (const icon of ICONS) {
    const opaque = !icon.rounded; // three bytes a pixel, and what Apple's devices expect
    const file = PNG.sync.write(paint(icon), { deflateLevel: 9, colorType: opaque ? 2 : 6, inputHasAlpha: true });
    writeFileSync(join(WWW, 'icons', icon.file), file);
    console.log(`${icon.file}: ${file.length} bytes`);
  }
}
