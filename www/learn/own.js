/** Part 5, your own: what there is to bring, what this page can take today, and how the embedded model was trained. */

import { bytes, make } from '../js/dom.js';
import { section } from './kit.js';
import { TEXTS } from './texts.js';

const T = TEXTS.own;
const paragraph = (textContent) => make('p', { textContent });

/** @param {import('./lab.js').Lab} lab */
export function own(lab) {
  const terms = T.terms.flatMap(([term, meaning]) => [make('dt', { textContent: term }), make('dd', { textContent: meaning })]);
  const [words, href] = T.trainingLink;
  const { name, bytes: size } = lab.model;
  return section(T, make('dl', { className: 'terms' }, ...terms),
    make('h3', { textContent: T.now }), make('div', { className: 'prose' }, ...T.nowParagraphs.map(paragraph),
      paragraph(T.here(name, bytes(size)))),
    make('p', {}, make('a', { textContent: T.add, href: '#add-model', className: 'button small primary' })),
    make('pre', { className: 'command', tabIndex: 0, role: 'region', ariaLabel: T.commandLabel }, make('code', { textContent: T.command })),
    make('h3', { textContent: T.trained }), make('div', { className: 'prose' }, ...T.trainedParagraphs.map(paragraph),
      make('p', {}, make('a', { textContent: words, href, rel: 'noopener' }))));
}
