/** Previews in another size: as large as the latents they come from the engine, some 16 or 64 pixels wide. */

/**
 * Enlarges a picture smoothly (bilinear), or makes it smaller.
 * @param {import('./protocol.d.ts').Pixels} pixels
 * @param {number} size of the longer side, in pixels
 * @returns {import('./protocol.d.ts').Pixels}
 */
export function enlarge({ width, height, data }, size) {
  const scale = size / Math.max(width, height);
  const [wide, high] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  const columns = between(width, wide);
  const out = new Uint8ClampedArray(wide * high * 4);
  let at = 0;
  for (const [above, below, down] of between(height, high)) {
    for (const [left, right, along] of columns) {
      for (let channel = 0; channel < 4; channel++) {
        const value = (x, y) => data[(y * width + x) * 4 + channel];
        const top = value(left, above) * (1 - along) + value(right, above) * along;
        const bottom = value(left, below) * (1 - along) + value(right, below) * along;
        out[at++] = top * (1 - down) + bottom * down;
      }
    }
  }
  return { width: wide, height: high, data: out };
}

/** For each of `to` places along a side of `from` pixels: the two pixels it lies between, and how far from the first. */
function between(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    const first = Math.floor(place);
    return [first, Math.min(from - 1, first + 1), place - first];
  });
}
