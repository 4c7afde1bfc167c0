/** What the model reads of the prompt: its parts, its chunks, and each token with its weight. */

import { make } from './dom.js';

/** @param {number} weight */
const shown = (weight) => String(Math.round(weight * 100) / 100);

/** @param {import('../protocol.d.ts').UnderstoodToken} token */
function drawnToken({ text, weight, embedding }) {
  const item = make('li', { className: 'token', textContent: text.trim() || '·' });
  if (embedding) item.title = `A vector of the embedding “${embedding}”`;
  item.toggleAttribute('data-embedding', embedding !== null);
  if (Math.abs(weight - 1) > 0.004) item.append(make('span', { className: 'token-weight', textContent: shown(weight), ariaLabel: `weighs ${shown(weight)}` }));
  return item;
}

/** @param {import('../protocol.d.ts').Understood['prompts'][number]['texts'][number]} text @param {boolean} isOne of several at other steps */
function drawnText({ until, text, room, chunks }, isOne) {
  const each = room / Math.max(1, chunks.length);
  return [
    ...(isOne ? [make('p', { textContent: `Up to evaluation ${until + 1}: ${text}` })] : []),
    ...chunks.map((tokens, at) => make('div', {},
      make('p', { textContent: `${chunks.length > 1 ? `Chunk ${at + 1}: ` : ''}${tokens.length} of ${each} tokens` }),
      make('ol', { className: 'token-list' }, ...tokens.map(drawnToken)))),
  ];
}

/** @param {HTMLElement} root @param {import('../protocol.d.ts').Understood} understood */
export function drawTokens(root, { prompts, networks, unknown }) {
  const parts = prompts.flatMap(({ weight, texts }, at) => [
    ...(prompts.length > 1 ? [make('p', { className: 'token-part', textContent: `Part ${at + 1}, which counts ${shown(weight)}` })] : []),
    ...texts.flatMap((text) => drawnText(text, texts.length > 1)),
  ]);
  const said = [
    ...(networks.length ? [`No text of the model’s: ${networks.join(' ')}`] : []),
    ...(unknown.length ? [`Not here: ${unknown.map((name) => `“${name}”`).join(', ')}`] : []),
  ];
  root.replaceChildren(...parts, ...said.map((textContent) => make('p', { textContent })));
}
