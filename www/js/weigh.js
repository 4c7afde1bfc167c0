/** The weight of words in a prompt, changed as A1111 does with Ctrl and the arrows: `cat` becomes `(cat:1.1)`. */

const STEP = 0.1;
/** What ends a word. */
const ENDS = /[\s.,\\/!?%^*;:{}=`~()[\]]/;
/** What follows weighted words. */
const WEIGHT = /^:\s*(\d*\.?\d+)\s*\)/;

/**
 * @param {string} text
 * @param {number} start of the selection; where nothing is selected, of the cursor
 * @param {number} end
 * @param {1 | -1} way heavier or lighter
 * @returns {{start: number, end: number, text: string, select: [number, number]} | null} what to put in place of which part,
 *   and what to select then; null where there are no words
 */
export function weigh(text, start, end, way) {
  [start, end] = start === end ? wordsAt(text, start) : trimmed(text, start, end);
  if (start >= end) return null;
  const words = text.slice(start, end);
  const weighted = text[start - 1] === '(' ? WEIGHT.exec(text.slice(end)) : null;
  const weight = Math.max(0, (weighted ? Number(weighted[1]) : 1) + way * STEP);
  const number = String(Number(weight.toFixed(2)));
  const from = weighted ? start - 1 : start;
  const to = weighted ? end + weighted[0].length : end;
  const plain = number === '1';
  const first = from + (plain ? 0 : 1);
  return { start: from, end: to, text: plain ? words : `(${words}:${number})`, select: [first, first + words.length] };
}

/** The weighted words around the cursor, else the word that it stands in or beside. */
function wordsAt(text, at) {
  const open = text.lastIndexOf('(', at - 1);
  if (open >= 0 && !text.slice(open + 1, at).includes(')')) {
    const inside = /^[^()]*?(?=:\s*\d*\.?\d+\s*\))/.exec(text.slice(open + 1));
    const close = text.indexOf(')', open);
    if (inside && at <= close) return [open + 1, open + 1 + inside[0].length];
  }
  let [start, end] = [at, at];
  while (start > 0 && !ENDS.test(text[start - 1])) start--;
  while (end < text.length && !ENDS.test(text[end])) end++;
  return [start, end];
}

/** Without spaces at the ends, and without the brackets and the weight that were selected with the words. */
function trimmed(text, start, end) {
  while (start < end && /\s/.test(text[start])) start++;
  while (end > start && /\s/.test(text[end - 1])) end--;
  const inside = /^\(([^()]*):\s*\d*\.?\d+\s*\)$/.exec(text.slice(start, end));
  return inside ? [start + 1, start + 1 + inside[1].length] : [start, end];
}
