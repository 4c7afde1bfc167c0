/**
 * Pictures that are blurred until they are pressed, for who wants that: on the stage, in the strip, in the grid of several and
 * in the large view. What is blurred is written in css/pictures.css; this is what a press does.
 */

import { $ } from './dom.js';

const root = document.documentElement;
/** The large view was just opened, from a picture that has been pressed. */
let opening = false;

document.addEventListener('click', (event) => {
  if (!root.hasAttribute('data-veil')) return;
  const at = (/** @type {string} */ selector) => /** @type {Element} */ (event.target).closest(selector);
  const frame = $('frame');
  at('#earlier button, #batch-grid button, #large-view')?.setAttribute('data-seen', '');
  if (at('#enlarge, #picture') && !frame.hasAttribute('data-seen')) {
    frame.setAttribute('data-seen', '');
    event.stopPropagation(); // this press shows it, the next one enlarges it
  } else if (at('#enlarge, #picture')) {
    opening = true;
  }
}, true);

// Another picture in the large view is one that nobody has pressed.
new MutationObserver(() => {
  $('large-view').toggleAttribute('data-seen', opening);
  opening = false;
}).observe($('large-picture'), { attributeFilter: ['src'] });
