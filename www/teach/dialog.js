/** A panel over the page that asks one thing, and is gone when it is answered. */

import { make } from '../js/dom.js';

/**
 * @param {string} title @param {HTMLElement[]} content @param {HTMLElement[]} actions
 * @returns {HTMLDialogElement} open
 */
export function panel(title, content, actions) {
  const dialog = /** @type {HTMLDialogElement} */ (make('dialog', { className: 'panel teach-panel' },
    make('div', { className: 'panel-head' }, make('h2', { id: 'teach-panel-title', textContent: title })), ...content,
    make('div', { className: 'teach-go' }, ...actions)));
  dialog.setAttribute('aria-labelledby', 'teach-panel-title');
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** @param {string} textContent @param {() => void} onClick @param {string} [kind] */
export function button(textContent, onClick, kind = 'small') {
  const element = make('button', { type: 'button', className: `button ${kind}`, textContent });
  element.addEventListener('click', onClick);
  return element;
}
