/**
 * What is said once, at the first choice of a model that draws whatever it is asked for; and the preference that goes with it.
 */

import { keep, make } from '../js/dom.js';
import { TEXTS as T } from './texts.js';

/** Says it, unless it has been said. @param {string} name of the model */
export function tellOnce(name) {
  if (keep.read('told')) return;
  const close = make('button', { type: 'button', className: 'button primary', textContent: T.once.understood });
  const dialog = make('dialog', { className: 'panel', id: 'once' },
    make('div', { className: 'panel-head' }, make('h2', { id: 'once-title', textContent: T.once.title(name) })),
    ...T.once.lines.map((textContent) => make('p', { textContent })), make('p', {}, veilSwitch()),
    make('div', { className: 'panel-actions' }, close));
  dialog.setAttribute('aria-labelledby', 'once-title');
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    keep.write('told', true);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

/** The switch of the preference that blurs pictures until they are pressed. */
export function veilSwitch() {
  const box = make('input', { type: 'checkbox', checked: Boolean(keep.read('veil')) });
  box.addEventListener('change', () => {
    keep.write('veil', box.checked);
    document.documentElement.toggleAttribute('data-veil', box.checked);
    import('../js/veil.js').catch(() => {}); // they stay blurred
  });
  return make('label', { className: 'switch' }, box, make('span', { textContent: T.once.veil }));
}
