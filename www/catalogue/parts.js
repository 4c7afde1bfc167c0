/** An autoencoder that was brought by itself: what it is, and which model it is for. */

import { make } from '../js/dom.js';
import { report } from '../js/report.js';
import { TEXTS as T } from './texts.js';

/** @typedef {{id: string, name: string}} Model */

/**
 * Asks for which model it is, among those that it fits; where there is none, says why.
 * @param {object} part
 * @param {File[]} part.files
 * @param {import('../api.d.ts').FittingModels} part.found
 * @param {Model[]} part.models that there are
 * @returns {Promise<Model | null>} null where none was chosen
 */
export async function askPart({ files, found: { tiny, missing, models: ids }, models }) {
  const name = files.map((file) => file.name).join(', ');
  const fitting = models.filter(({ id }) => ids.includes(id));
  if (missing || !fitting.length) {
    if (missing) report(T.parts.half(name), [T.parts.needed(missing)]);
    else report(T.parts.none(name), [T.parts.noneText(tiny)]);
    return null;
  }
  /** @type {Model | null} */
  let chosen = null;
  const close = make('button', { type: 'button', className: 'button ghost', textContent: T.parts.back });
  const choices = fitting.map((model) => {
    const button = make('button', { type: 'button', className: 'button', textContent: T.parts.to(model.name) });
    button.addEventListener('click', () => {
      chosen = model;
      dialog.close();
    });
    return button;
  });
  const dialog = make('dialog', { className: 'panel', id: 'part' },
    make('div', { className: 'panel-head' }, make('h2', { id: 'part-title', textContent: T.parts.title })),
    make('p', { textContent: T.parts.what(name, tiny) }), make('div', { className: 'panel-actions' }, ...choices, close));
  dialog.setAttribute('aria-labelledby', 'part-title');
  close.addEventListener('click', () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener('close', done));
  dialog.remove();
  return chosen;
}
