/** Pictures that a visitor brings to a part: as a file, dropped on it, or pasted while it is looked at. */

import { isModel } from '../js/adding.js';
import { make } from '../js/dom.js';
import { button } from './kit.js';
import { fileOf } from './picture.js';

/** The parts that take pictures, and how. @type {Map<HTMLElement, (file: File) => void>} */
const takers = new Map();

/** How far a part is from the middle of the window. */
function distance(part) {
  const { top, bottom } = part.getBoundingClientRect();
  return Math.max(top - innerHeight / 2, innerHeight / 2 - bottom, 0);
}

addEventListener('paste', (event) => {
  const file = fileOf(event.clipboardData);
  for (const part of takers.keys()) if (!part.isConnected) takers.delete(part); // another model, another view
  const [part] = [...takers.keys()].filter((each) => !each.closest('[hidden]')).sort((a, b) => distance(a) - distance(b));
  if (!file || !part) return;
  event.preventDefault();
  takers.get(part)(file);
});

/** The button that asks for a file. @param {string} label @param {(file: File) => void} take */
export function fileButton(label, take) {
  const file = make('input', { type: 'file', accept: 'image/*', className: 'sr', ariaLabel: label, tabIndex: -1 }); // the button does the same
  file.addEventListener('change', () => {
    if (file.files[0]) take(file.files[0]);
    file.value = ''; // so that the same file may be chosen again
  });
  return [button(label, () => file.click()), file];
}

/** Takes what is dropped on a part or pasted. @param {HTMLElement} part @param {HTMLElement} box shows where @param {(file: File) => void} take */
export function takePictures(part, box, take) {
  takers.set(part, take);
  part.addEventListener('dragover', (event) => {
    event.preventDefault();
    box.dataset.over = '';
  });
  part.addEventListener('dragleave', () => delete box.dataset.over);
  part.addEventListener('drop', (event) => {
    delete box.dataset.over;
    const file = fileOf(event.dataTransfer);
    if (!file || [...event.dataTransfer.files].some(isModel)) return; // the page's affair
    event.preventDefault();
    take(file);
  });
}
