/** Pictures of something that nobody drew before, to be learnt from. */

/** A made-up creature on grounds of several colours, as PNGs in base64: drawn in the page. @param {import('playwright-core').Page} page @param {number} count at most 5 */
export const drawn = (page, count) => page.evaluate(async (many) => {
  const files = [];
  for (const [at, ground] of ['white', 'pink', 'lightblue', 'yellow', 'green'].slice(0, many).entries()) {
    const canvas = new OffscreenCanvas(256, 256);
    const context = canvas.getContext('2d');
    context.fillStyle = ground;
    context.fillRect(0, 0, 256, 256);
    const blob = (x, y, radius, colour) => {
      context.fillStyle = colour;
      context.beginPath();
      context.arc(x + 8 * at - 16, y, radius, 0, 7);
      context.fill();
    };
    blob(128, 140, 80, 'teal');
    for (const x of [90, 128, 166]) blob(x, 120, 18, 'white');
    for (const x of [92, 130, 168]) blob(x, 122, 8, 'black');
    blob(90, 40, 12, 'orange');
    blob(166, 40, 12, 'orange');
    const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
    files.push(btoa(String.fromCharCode(...bytes)));
  }
  return files;
}, count);

/** The same as files that are chosen. @param {string[]} all */
export const asFiles = (all) => all.map((text, at) => ({ name: `${at}.png`, mimeType: 'image/png', buffer: Buffer.from(text, 'base64') }));
