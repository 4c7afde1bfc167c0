/** Writing into fields that a person types into, so that nothing of theirs is lost: the browser's own undo knows of it. */

import { $ } from './dom.js';
import { brief } from './words.js';

/**
 * Puts text in place of a part of a field's, as if it had been typed there. The focus stays where it is.
 * @param {HTMLTextAreaElement} field
 * @param {string} text
 */
export function insert(field, text, start = 0, end = field.value.length) {
  const wanted = field.value.slice(0, start) + text + field.value.slice(end);
  if (wanted === field.value) return;
  const focused = document.activeElement;
  field.inputMode = 'none'; // no keyboard comes up on a phone
  field.focus({ preventScroll: true });
  field.setSelectionRange(start, end);
  // The one way of changing a field that undo knows of, in every browser.
  if (document.activeElement === field) document.execCommand(text ? 'insertText' : 'delete', false, text);
  field.inputMode = '';
  if (field.value !== wanted) {
    field.value = wanted; // it is out of sight, or the browser refuses
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }
  if (focused === field) return;
  field.blur();
  focused?.focus?.({ preventScroll: true });
}

/** Words of the visitor's that the page replaced, and the way back to them. */
export class PutBack {
  /** What the page wrote last, by field: nobody misses it. @type {Record<string, string>} */ written = {};
  /** What the fields held that were changed then. @type {Record<string, string> | null} */ #before = null;

  /** @param {{fields: string[], onPutBack: (values: Record<string, string>) => void}} options fields of words */
  constructor({ fields, onPutBack }) {
    Object.assign(this, { fields, onPutBack });
    $('put-back-do').addEventListener('click', () => {
      const before = this.#before;
      this.settle();
      this.onPutBack(before);
      $(this.fields.find((field) => field in before)).focus();
    });
  }

  /**
   * The page has filled fields in: what each held before, and what it holds now.
   * @param {Record<string, string>} before
   * @param {Record<string, string>} now
   * @param {{part?: boolean}} [how] only a part of the words was replaced: the others are still the visitor's
   */
  replaced(before, now, { part = false } = {}) {
    const changed = Object.keys(before).filter((field) => before[field] !== now[field]);
    const lost = this.fields.find((field) => changed.includes(field) && before[field].trim() !== ''
      && before[field] !== this.written[field] && !now[field].startsWith(before[field].trimEnd()));
    for (const field of part ? [] : this.fields) {
      if (changed.includes(field) && !now[field].startsWith(before[field].trimEnd() || '\0')) this.written[field] = now[field];
    }
    if (!lost) return;
    this.#before = Object.fromEntries(changed.map((field) => [field, before[field]]));
    $('put-back-words').textContent = `“${brief(before[lost])}” was replaced.`;
    $('put-back').hidden = false;
  }

  /** The visitor has gone on, or has the words back. */
  settle() {
    this.#before = null;
    $('put-back').hidden = true;
  }
}
