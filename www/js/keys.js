/** The keys: Enter and Ctrl+Enter draw, Escape cancels, Ctrl with the arrows weighs words, ? lists them all. */

import { $ } from './dom.js';
import { brought } from './shell.js';
import { insert } from './typing.js';

const TEXTS = ['prompt', 'negativePrompt'];

export class Keys {
  /** @param {{onGenerate: () => void, onCancel: () => boolean}} options `onCancel` says whether there was something to stop */
  constructor({ onGenerate, onCancel }) {
    Object.assign(this, { onGenerate, onCancel });
    for (const field of TEXTS) $(field).addEventListener('keydown', (event) => this.#inText(event));
    $('fields').addEventListener('keydown', (event) => {
      // else a refusal would put the line break into the field it leads to
      if (event.key === 'Enter' && event.target.type === 'number') this.#draw(event);
    });
    addEventListener('keydown', (event) => this.#anywhere(event));
    $('show-keys').addEventListener('click', () => $('keys').showModal());
    $('keys-close').addEventListener('click', () => $('keys').close());
  }

  async #inText(event) {
    const { key, target, shiftKey, isComposing } = event;
    if (key === 'Enter' && !shiftKey && !isComposing) return this.#draw(event);
    if (!(event.ctrlKey || event.metaKey) || (key !== 'ArrowUp' && key !== 'ArrowDown')) return;
    event.preventDefault();
    const { weigh } = await brought(() => import('./weigh.js'), new URL('./weigh.js', import.meta.url));
    const { selectionStart, selectionEnd, value } = target;
    const change = weigh(value, selectionStart, selectionEnd, key === 'ArrowUp' ? 1 : -1);
    if (!change) return;
    insert(target, change.text, change.start, change.end);
    target.setSelectionRange(...change.select);
  }

  #anywhere(event) {
    const { key, target, isComposing } = event;
    if (event.defaultPrevented || isComposing || document.querySelector('dialog[open]')) return;
    if (key === '?' && !target.matches?.('input:not([type="checkbox"]), textarea, select')) {
      event.preventDefault();
      $('keys').showModal();
    } else if ($('create').hidden) {
      return;
    } else if (key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      this.#draw(event);
    } else if (key === 'Escape' && this.onCancel()) {
      event.preventDefault();
    }
  }

  /** Lines up while another picture is being made; a key that is held down draws once. */
  #draw(event) {
    event.preventDefault();
    if (!event.repeat) this.onGenerate();
  }
}
