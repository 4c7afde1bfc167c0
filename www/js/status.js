/** What is going on, in words: the status line, the bar under the picture, the banner and the notes. */

import { $ } from './dom.js';
import { ACTIONS } from './words.js';

/**
 * @param {string} words announced when they change
 * @param {string} [detail] numbers that run; shown, not announced
 * @param {string} [what] announced after the words, and not shown: the picture shows it
 */
export function say(words, detail = '', what = '') {
  if ($('status-words').textContent !== words) $('status-words').textContent = words;
  $('status-what').textContent = what && `: ${what}`;
  $('status-detail').textContent = detail && ` · ${detail}`;
}

/** @param {number | null} done 0 … 1, or null when nothing runs */
export function bar(done) {
  const element = $('progress');
  if (done === null) {
    element.setAttribute('data-idle', '');
    done = 0;
  } else {
    element.removeAttribute('data-idle');
  }
  const share = Math.min(1, Math.max(0, done));
  element.setAttribute('aria-valuenow', String(Math.round(share * 100)));
  element.style.setProperty('--done', String(share));
}

/** Shows an error with its way out. @param {{title: string, text: string, action: string | null}} words */
export function banner({ title, text, action }, onAction) {
  $('banner-title').textContent = title;
  $('banner-text').textContent = text;
  $('banner-action').hidden = !action;
  $('banner-action').textContent = action ? ACTIONS[action] : '';
  $('banner-close').hidden = false;
  $('banner-action').onclick = () => {
    hideBanner();
    onAction(action);
  };
  $('banner').hidden = false;
}

export function hideBanner() {
  $('banner').hidden = true;
}

$('banner-close').addEventListener('click', hideBanner);

/** Quiet lines under the prompt. @param {string[]} lines */
export function notes(lines) {
  $('notes').textContent = lines.join(' ');
  $('notes').hidden = lines.length === 0;
}
