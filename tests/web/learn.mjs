/** What the tests do with the view "How it works". */

import { PNG } from 'pngjs';
import { PATIENCE, ready, visitor } from './page.mjs';

/** The part with this heading. */
export const part = (page, title) => page.locator('section.part').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
/** The canvas whose caption begins so. */
export const shot = (scope, caption) => scope.locator('figure', { hasText: new RegExp(`^\\s*${caption}`) }).locator('canvas');

/** The pixels of a canvas as `width,height,base64`: equal texts, equal pictures. */
export const pixelsOf = (canvas) => canvas.evaluate((element) => {
  const { data } = element.getContext('2d').getImageData(0, 0, element.width, element.height);
  return `${element.width},${element.height},${btoa(String.fromCharCode(...data))}`;
});

/** Resolves when a part's line says `words`. */
export const says = (scope, words) => scope.getByRole('status').filter({ hasText: words }).first().waitFor({ timeout: PATIENCE });

/** A PNG file of one colour. */
export function flat(width, height, [r, g, b]) {
  const png = new PNG({ width, height });
  png.data.fill(Buffer.from([r, g, b, 255]));
  return PNG.sync.write(png, { filterType: 1 }); // each pixel is its neighbour: no filter is looked for
}

/** Moves a slider. */
export const slide = (range, value) => range.evaluate((element, to) => {
  element.value = to;
  element.dispatchEvent(new Event('input', { bubbles: true }));
}, value);

/** A visitor of the view, once the model is there. Nothing moves or begins by itself unless a test says so. */
export async function open(it, options) {
  const page = await visitor(it, { reducedMotion: 'reduce', ...options });
  await page.getByRole('heading', { name: 'How it works', level: 1 }).waitFor();
  await ready(page);
  return page;
}

/** Trainings in this tab are as they are, but short; what was asked for is written down in `asked`. */
export const hasten = (page) => page.evaluate(async () => {
  const { OpenGen } = await import('/client.js');
  const { train } = OpenGen.prototype;
  window.asked = [];
  OpenGen.prototype.train = function short(options) {
    const { images, classPrompts, saveEvery, recipe } = options;
    window.asked.push({ ...options, images: images.map(({ caption }) => caption) });
    return train.call(this, { ...options, saveEvery: saveEvery && 3, recipe: { ...recipe, steps: 6, ...(classPrompts.length && { classImages: 1 }) } });
  };
});
