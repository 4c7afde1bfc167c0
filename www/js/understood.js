/** The quiet lines under the prompt that say how the model understands its words, with what it knows instead to press. */

import { $, make } from './dom.js';

/** After the last key, so that a word is not judged half typed and a screen reader is left in peace. */
const PAUSE = 400;
/** More words than these are not explained at once: the next one's turn comes when one of them has been changed. */
const MOST = 2;
/** Prompts that are offered where nothing comes near, the shortest of the examples. */
const IDEAS = 3;

export class Understood {
  #model = null;
  #timer = 0;
  #turn = 0;
  #shown = '';

  /**
   * @param {object} options
   * @param {import('./reader.js').Reader} options.reader
   * @param {(start: number, end: number, text: string) => void} options.onPress puts words in place of others in the prompt
   */
  constructor({ reader, onPress }) {
    Object.assign(this, { reader, onPress });
    $('prompt').addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#look(), PAUSE);
    });
    $('prompt').addEventListener('put', () => this.#look());
  }

  /** @param {import('../protocol.d.ts').ModelInfo} model whose words count from now on */
  use(model) {
    this.#model = model;
    this.#look();
  }

  async #look() {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    const prompt = $('prompt').value;
    const reading = this.#model && prompt.trim() ? await this.reader.read(this.#model, prompt) : null;
    if (turn === this.#turn) this.#show(prompt, reading);
  }

  #show(prompt, reading) {
    const lines = reading ? linesOf(this.#model, reading) : [];
    const key = JSON.stringify(lines);
    if (key === this.#shown) return; // nothing new to be read out
    this.#shown = key;
    const press = ({ start, end, text }) => {
      if ($('prompt').value === prompt) this.onPress(start, end, text);
      $('prompt').focus();
      this.#look();
    };
    $('understood').replaceChildren(...lines.map((line) => drawLine(line, press)));
    $('understood').hidden = lines.length === 0;
  }
}

/**
 * What is said, line by line: text, words that are not known, and what can be pressed.
 * @typedef {string | {strange: string} | {unseen: string} | {label: string, start: number, end: number, text: string}} Part
 * @typedef {{kind: 'echo' | 'said' | 'sr', parts: Part[]}} Line
 * @returns {Line[]}
 */
function linesOf({ name, examples }, { pieces, strange, tips, said, drawn, names, untold }) {
  const lines = [];
  const line = (...parts) => lines.push({ kind: 'said', parts });
  const read = (...parts) => lines.push({ kind: 'sr', parts }); // to ears only: eyes have the underline
  const explained = strange.filter(({ near }) => near.length).slice(0, MOST);
  const others = strange.filter(({ near }) => !near.length);
  const underlined = pieces.map(({ text, strange: is }) => (is ? { strange: text } : text));
  if (strange.length) lines.push({ kind: 'echo', parts: underlined });
  const pairs = said.map(([from, to]) => `${from} → ${to}`).join(', ');
  if (said.length) line(said.length > 1 ? `${pairs}: “${drawn}”` : pairs);
  for (const { word, near } of explained) line(`${name} knows no `, { strange: word }, '; it knows ', ...listed(near));
  if (others.length) {
    const some = others.slice(0, MOST).map(({ text }) => ({ strange: text }));
    const end = others.length > MOST ? ' and others.' : '.';
    if (explained.length) read('Nor does it know ', ...listed(some), end);
    else if (names) line(`${name} does not know `, ...listed(some), end);
    else read(`${name} does not know `, ...listed(some), end);
  }
  for (const tip of tips) line('Colours are for the ground: ', tip);
  if (!names) {
    const short = examples.map(({ prompt }) => prompt).sort((a, b) => a.length - b.length).slice(0, IDEAS);
    const ideas = short.map((prompt) => ({ label: prompt, start: 0, end: Infinity, text: prompt }));
    if (explained.length) line(`Nothing here is something that ${name} can draw yet.`);
    else line(`Nothing here is something that ${name} can draw. Try `, ...listed(ideas));
  }
  if (untold) line('The words of other languages are not here yet; they come when the network does.');
  return lines;
}

/** With commas between; what can be pressed has an edge, so that its comma is for ears only. */
const listed = (parts) => parts.flatMap((part, i) => (i ? [part.label ? { unseen: ', ' } : ', ', part] : [part]));

/** @param {Line} line @param {(exchange: object) => void} press */
function drawLine({ kind, parts }, press) {
  const children = parts.map((part) => {
    if (typeof part === 'string') return part;
    if (part.unseen !== undefined) return make('span', { className: 'sr', textContent: part.unseen });
    if (part.strange !== undefined) return make('u', { textContent: part.strange });
    const button = make('button', { type: 'button', textContent: part.label });
    button.addEventListener('click', () => press(part));
    return button;
  });
  const element = make('p', { className: kind, dir: 'auto' }, ...children);
  if (kind === 'echo') element.ariaHidden = 'true'; // the prompt says the same
  return element;
}
