/** The list of words a model was trained on: to look through, and to put into the prompt. */

import { $, make } from './dom.js';

/**
 * The words are listed when the list is opened: they are many, and most visits do without.
 * @param {import('../protocol.d.ts').ModelInfo} model
 * @param {(word: string) => void} choose
 */
export function showWords({ knows, synonyms }, choose) {
  const [list, find, words] = ['knows', 'knows-find', 'knows-words'].map($);
  let groups = null;
  words.replaceChildren();
  find.value = '';
  find.oninput = () => filter(groups, find.value.trim().toLowerCase());
  list.ontoggle = () => {
    if (!list.open || groups) return;
    const headings = Object.entries({ ...knows?.things, ...knows?.around });
    groups = headings.map(([heading, entries]) => group(heading, entries, synonyms, choose));
    words.replaceChildren(...groups.map(({ element }) => element));
    filter(groups, '');
  };
  list.ontoggle();
}

/** A heading with a button for each of its words, which are found by their synonyms too. */
function group(heading, words, synonyms, choose) {
  const buttons = words.map((word) => {
    const button = make('button', { type: 'button', textContent: word });
    button.dataset.found = [word, ...(synonyms?.[word] ?? [])].join('|');
    button.addEventListener('click', () => choose(word));
    return button;
  });
  return { heading, buttons, element: make('div', {}, make('dt', { textContent: heading }), make('dd', {}, ...buttons)) };
}

/** A prompt of words the model was trained on: a thing or two different ones, on some ground, perhaps in a style. */
export function surprisePrompt({ things, around }) {
  const pick = (list) => list[Math.floor(Math.random() * list.length)];
  const every = Object.values(things).flat();
  const first = pick(every);
  const second = () => pick(every.filter((thing) => thing !== first));
  const what = Math.random() < 0.3 ? `${first} ${pick(around['Two things'])} ${second()}` : first;
  const where = pick(Math.random() < 0.5 ? around.Settings : around.Backgrounds);
  return Math.random() < 0.3 ? `${what} ${where}, ${pick(around.Styles)}` : `${what} ${where}`;
}

/** Shows the words that contain `text`, and all words of a heading that begins with it. */
function filter(groups, text) {
  for (const { heading, buttons, element } of groups) {
    const all = text.length > 2 && heading.toLowerCase().startsWith(text);
    for (const button of buttons) button.hidden = !all && !button.dataset.found.includes(text);
    element.hidden = buttons.every(({ hidden }) => hidden);
  }
  $('knows-none').hidden = groups.some(({ element }) => !element.hidden);
}
