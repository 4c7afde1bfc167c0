/** Where a picture's places looked among the words: shares of attention, out of the maps of layers and steps. */

/**
 * @typedef {{width: number, height: number, tokens: number, values: Float32Array}} Grid for each place, row by row,
 *   the share every token has
 */

/** One layer's maps of several steps as one: their mean. @param {Grid[]} maps @returns {Grid} */
function meanOfSteps([first, ...rest]) {
  const values = Float32Array.from(first.values);
  for (const map of rest) map.values.forEach((value, i) => { values[i] += value; });
  return { ...first, values: values.map((value) => value / (rest.length + 1)) };
}

/**
 * The shares at the places of the finest of the layers: the mean over steps and layers, the coarser ones filled in.
 * One token more than the maps have stands for what fills up the text, and makes every place's shares add up to 1.
 * @param {Grid[][]} steps the same layers' maps for each step @returns {Grid}
 */
export function meanOf(steps) {
  const layers = steps[0].map((_, i) => meanOfSteps(steps.map((maps) => maps[i])));
  const { width, height, tokens } = layers.reduce((a, b) => (b.width > a.width ? b : a));
  const values = new Float32Array(width * height * (tokens + 1));
  for (let place = 0; place < width * height; place++) {
    const [u, v] = [(place % width + 0.5) / width, (Math.floor(place / width) + 0.5) / height];
    let rest = 1;
    for (let token = 0; token < tokens; token++) {
      const share = layers.reduce((sum, layer) => sum + sample(layer, token, u, v), 0) / layers.length;
      values[place * (tokens + 1) + token] = share;
      rest -= share;
    }
    values[place * (tokens + 1) + tokens] = Math.max(rest, 0);
  }
  return { width, height, tokens: tokens + 1, values };
}

/** Each token's share of all attention. @param {Grid} grid */
export function shares({ width, height, tokens, values }) {
  const sums = new Float32Array(tokens);
  values.forEach((value, i) => { sums[i % tokens] += value; });
  return [...sums.map((sum) => sum / (width * height))];
}

/** What each token has at one place. @param {Grid} grid */
export const sharesAt = ({ width, tokens, values }, x, y) => [...values.subarray((y * width + x) * tokens, (y * width + x + 1) * tokens)];

/** The largest share that one of the given tokens has anywhere. @param {Grid} grid @param {number[]} of */
export function largest({ tokens, values }, of) {
  const wanted = new Set(of);
  return values.reduce((most, value, i) => (wanted.has(i % tokens) && value > most ? value : most), 0);
}

/** The colour of a place whose share is the whole of the scale. */
const HOT = [255, 196, 64];

/**
 * A picture, dark where the token has no share, bright where it has `most` or more; between the places smoothly.
 * @param {ImageData} picture @param {Grid} grid @param {number} side of the square that is drawn
 */
export function heat(picture, grid, token, most, side) {
  const image = new ImageData(side, Math.round(side * picture.height / picture.width));
  for (let i = 0; i < image.width * image.height; i++) {
    const [u, v] = [(i % image.width + 0.5) / image.width, (Math.floor(i / image.width) + 0.5) / image.height];
    const light = most > 0 ? Math.min(sample(grid, token, u, v) / most, 1) : 0;
    const at = 4 * (Math.floor(v * picture.height) * picture.width + Math.floor(u * picture.width));
    const [r, g, b] = picture.data.subarray(at, at + 3);
    const grey = (r * 0.3 + g * 0.59 + b * 0.11) * 0.35;
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = grey * (1 - light) + HOT[c] * light;
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/** One token's share at a point (0 … 1 each way), bilinear between the places' middles. */
function sample({ width, height, tokens, values }, token, u, v) {
  const x = Math.min(Math.max(u * width - 0.5, 0), width - 1);
  const y = Math.min(Math.max(v * height - 0.5, 0), height - 1);
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const [x1, y1] = [Math.min(x0 + 1, width - 1), Math.min(y0 + 1, height - 1)];
  const at = (cx, cy) => values[(cy * width + cx) * tokens + token];
  const top = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * (x - x0);
  const bottom = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * (x - x0);
  return top + (bottom - top) * (y - y0);
}

/**
 * The token that ends the first thing a prompt names which the model knows by a list; else its longest word.
 * @param {{text: string}[]} tokens those that begin and end the text have no text
 * @param {import('../protocol.d.ts').ModelInfo} model
 */
export function firstNoun(tokens, { knows, synonyms = {} }) {
  const texts = tokens.map(({ text }) => text.toLowerCase());
  const names = [...Object.values(knows?.things ?? {}), ...Object.values(synonyms)].flat();
  const known = new Set(names.flatMap((name) => [name, `${name}s`]).map((name) => name.toLowerCase().replaceAll(' ', '')));
  for (let end = 1; end < texts.length; end++) {
    for (let from = 1; from <= end; from++) {
      if (texts[end] && known.has(texts.slice(from, end + 1).join(''))) return end;
    }
  }
  return texts.reduce((best, text, i) => (text.length > texts[best].length ? i : best), 0);
}
