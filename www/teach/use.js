/** What can be done with a thing that was learnt: draw it, save its file, share a picture of it. */

import { canShare, fileName, leaving } from '../js/actions.js';
import { $, make } from '../js/dom.js';
import { report } from '../js/report.js';
import { useful } from '../js/save.js';
import { button } from './dialog.js';
import { TEXTS as T } from './texts.js';

/** As far as the strength goes here; more can be written into the prompt. */
const MOST = 1.5;
/** Where the file can be saved from that was learnt last. */
let address = '';

/**
 * @param {{file: Blob, word: string, kind: string, isWord: boolean, seed: number, png: Blob | null}} learnt `png`: a picture of it
 * @returns {HTMLElement[]}
 */
export function usesOf({ file, word, kind, isWord, seed, png }) {
  const prompt = make('input', { type: 'text', id: 'teach-prompt', value: `a ${word} ${kind} in the snow`, autocomplete: 'off' });
  const strength = make('input', { type: 'range', id: 'teach-strength', min: '0', max: String(MOST), step: '0.05', value: '1' });
  const label = make('label', { htmlFor: 'teach-strength', textContent: T.strength(1) });
  strength.addEventListener('input', () => { label.textContent = T.strength(strength.valueAsNumber); });
  const draw = button(T.draw, () => write(`${prompt.value.trim()}${isWord ? '' : ` <lora:${word}:${strength.valueAsNumber}>`}`), 'primary');
  draw.id = 'teach-draw';
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(file);
  const save = make('a', { className: 'button', id: 'teach-save', href: address, download: `${word}.safetensors`, textContent: T.save });
  const share = button(T.share, () => handOver(png, { prompt: `a ${word} ${kind}`, seed }), 'ghost');
  share.hidden = !png || !canShare();
  return [
    make('div', { className: 'teach-fields' }, make('div', { className: 'field' }, make('label', { htmlFor: 'teach-prompt', textContent: T.prompt }), prompt),
      make('div', { className: 'field', hidden: isWord }, label, strength)),
    make('div', { className: 'teach-go' }, draw, save, share), make('p', { className: 'quiet', textContent: isWord ? T.saveWord : T.saveHint }),
  ];
}

/** Puts a prompt into the view Create, and goes there. @param {string} prompt */
export function write(prompt) {
  $('prompt').value = prompt;
  $('prompt').dispatchEvent(new Event('input', { bubbles: true }));
  $('prompt').dispatchEvent(new Event('put'));
  location.hash = '';
  $('prompt').focus();
}

/** @param {Blob} png @param {{prompt: string, seed: number}} settings */
async function handOver(png, settings) {
  try {
    await navigator.share({ files: [new File([await leaving(await useful(png))], fileName(settings), { type: 'image/png' })] });
  } catch (error) {
    if (error.name !== 'AbortError') report('The picture could not be shared.', [`The browser says: ${error.message}`]);
  }
}
