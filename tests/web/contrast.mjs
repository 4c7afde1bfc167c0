/** The page in every look, and whether its texts can be read. */

import { resize } from './page.mjs';

/**
 * Resolves when no colour is on its way to another, or after some seconds: in a part that is not drawn a transition may never
 * end. Runs in the page.
 */
async function settled() {
  const onItsWay = () => document.getAnimations().some((one) => one instanceof CSSTransition && one.playState === 'running');
  for (let turns = 0; turns < 200 && onItsWay(); turns++) await new Promise((done) => setTimeout(done, 16));
}

/** Visible texts with less than 4.5 : 1 (3 : 1 when large), by the WCAG formula. Runs in the page. */
export function poorContrast() {
  const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || element.closest('.sr, .skip')) continue;
    let behind = element;
    while (behind && (parse(getComputedStyle(behind).backgroundColor)[3] ?? 1) < 1) behind = behind.parentElement;
    const style = getComputedStyle(element);
    const [a, b] = [parse(style.color), parse(getComputedStyle(behind ?? document.documentElement).backgroundColor)]
      .map(luminance).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const needed = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    if (ratio < needed) poor.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}

/**
 * Does something at each of these widths in px, light and dark, once no colour is on its way; then all is as it was.
 * @param {import('playwright-core').Page} page
 * @param {number[]} widths
 * @param {(look: string, width: number) => Promise<void>} check
 */
export async function everyLook(page, widths, check) {
  const before = page.viewportSize();
  for (const width of widths) {
    await resize(page, { ...before, width });
    for (const colorScheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(settled);
      await check(`${colorScheme} at ${width} px`, width);
    }
  }
  await resize(page, before);
}
