/** The list of words a model was trained on: to look through, and to put into the prompt. */

import { $, make } from './dom.js';

/**
 * @param {Record<string, readonly string[]>} knows words by heading
 * @param {(word: string) => void} choose
 */
export function showWords(knows, choose) {
  const groups = Object.entries(knows).map(([heading, words]) => {
    const buttons = words.map((word) => {
      const button = make('button', { type: 'button', textContent: word });
      button.addEventListener('click', () => choose(word));
      return button;
    });
    return { heading, buttons, element: make('div', {}, make('dt', { textContent: heading }), make('dd', {}, ...buttons)) };
  });
  $('knows-words').replaceChildren(...groups.map(({ element }) => element));
  const find = $('knows-find');
  find.value = '';
  find.oninput = () => filter(groups, find.value.trim().toLowerCase());
  filter(groups, '');
}

/** A prompt of words the model was trained on: a thing of some size, somewhere, on some background. */
export function surprisePrompt({ things, around }) {
  const pick = (list) => list[Math.floor(Math.random() * list.length)];
  const words = [pick(Object.values(things).flat()), pick(around.Backgrounds)];
  if (Math.random() < 0.3) words.splice(1, 0, pick(around.Positions));
  if (Math.random() < 0.3) words.unshift(pick(around.Sizes));
  return words.join(' ');
}

/** Shows the words that contain `text`, and all words of a heading that begins with it. */
function filter(groups, text) {
  for (const { heading, buttons, element } of groups) {
    const all = text.length > 2 && heading.toLowerCase().startsWith(text);
    for (const button of buttons) button.hidden = !all && !button.textContent.includes(text);
    element.hidden = buttons.every(({ hidden }) => hidden);
  }
  $('knows-none').hidden = groups.some(({ element }) => !element.hidden);
}
