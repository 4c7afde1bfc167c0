/** A quiet panel under the prompt for what deserves more than a line: what was read, what was not, and why. */

import { $, make } from './dom.js';

/**
 * @param {string} title one sentence
 * @param {string[]} [lines] one sentence each
 * @param {{label: string, run: () => void}} [action]
 */
export function report(title, lines = [], action) {
  $('report-title').textContent = title;
  $('report-lines').replaceChildren(...lines.map((line) => make('li', { textContent: line })));
  $('report-lines').hidden = lines.length === 0;
  $('report-action').hidden = !action;
  $('report-action').textContent = action?.label ?? '';
  $('report-action').onclick = () => {
    hideReport();
    action?.run();
  };
  $('report').hidden = false;
  $('report').scrollIntoView({ block: 'nearest' });
}

export function hideReport() {
  $('report').hidden = true;
}

$('report-close').addEventListener('click', hideReport);
