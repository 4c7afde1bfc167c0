/** A quiet panel under the prompt for what deserves more than a line: what was read, what was not, and why. */

import { $, make } from './dom.js';

/** More lines than these are counted. */
const MOST_LINES = 20;

/**
 * @param {string} title one sentence
 * @param {(string | HTMLElement)[]} [lines] one sentence each, with what can be pressed beside it
 * @param {{label: string, run: () => void}} [action]
 * @param {string | null} [details] what only the curious want to know: folded
 */
export function report(title, lines = [], action, details) {
  const told = lines.length > MOST_LINES ? [...lines.slice(0, MOST_LINES), `And ${lines.length - MOST_LINES} more.`] : lines;
  $('report-title').textContent = title;
  $('report-lines').replaceChildren(...told.map((line) => make('li', {}, line)));
  $('report-lines').hidden = lines.length === 0;
  $('report-details').hidden = !details;
  $('report-details').open = false;
  $('report-details-text').textContent = details ?? '';
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
