/** Changes of a text field that count as typed: the browser's own undo takes them back. */

/**
 * Types over a part of a field's text. The field gets the focus, and hears of it as of any key.
 * @param {HTMLTextAreaElement} field
 * @param {number} start
 * @param {number} end beyond its end is its end
 * @param {string} text not empty
 */
export function typeOver(field, start, end, text) {
  field.focus();
  field.setSelectionRange(start, Math.min(end, field.value.length));
  if (document.execCommand('insertText', false, text)) return;
  field.setRangeText(text, field.selectionStart, field.selectionEnd, 'end'); // a browser that cannot: without undo
  field.dispatchEvent(new Event('input', { bubbles: true }));
}
