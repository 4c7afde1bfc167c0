/**
 * What a prompt names that is not kept here, underlined where it stands: a field of text cannot underline, so its words lie over it
 * once more, unseen but for their lines. Below is said, to ears too, what can be done.
 */

import { make } from '../js/dom.js';
import { meant, words } from '../networks.js';
import { tagsOf } from './tags.js';

/** What of a field's look decides where its words lie. */
const LOOK = [
  'font', 'letterSpacing', 'wordSpacing', 'textIndent', 'textAlign', 'textTransform', 'tabSize', 'lineHeight', 'paddingTop', 'paddingRight',
  'paddingBottom', 'paddingLeft', 'borderTopWidth', 'borderRightWidth', 'borderBottomWidth', 'borderLeftWidth', 'boxSizing',
];
/** More names than these are not said at once. */
const MOST = 3;

/** @typedef {import('../protocol.d.ts').StoredNetwork} StoredNetwork */
/** @typedef {{kind: 'lora' | 'embedding', name: string, start: number, end: number}} Named a name, and where in the text it stands */

/**
 * The names in a text that none of these has: LoRAs in tags (`<lora:name:0.8>`), embeddings as ComfyUI (`embedding:name`) and as
 * diffusers name them (`<token>`). As A1111 names embeddings, every word could be one.
 * @param {string} text @param {StoredNetwork[]} all @param {{loras?: boolean, dialect?: string}} [options] whether LoRAs are named there
 * @returns {Named[]} in order
 */
export function missingIn(text, all, { loras = true, dialect } = {}) {
  const tags = loras ? tagsOf(text, dialect).filter(({ name }) => !meant(all, name)) : [];
  const named = tags.map(({ name, start }) => {
    const from = text.indexOf(name, start);
    return { kind: /** @type {const} */ ('lora'), name, start: from, end: from + name.length };
  });
  const has = (/** @type {string} */ name) => words(all).some((word) => word === name.toLowerCase());
  for (const match of text.matchAll(/\bembedding:([^\s,;:()[\]<>|]+)/gi)) {
    const name = match[1];
    const bare = /** @type {string} */ (name.split(/[/\\]/).pop()).replace(/\.(safetensors|pt|bin)$/i, '');
    const start = match.index + match[0].length - name.length;
    if (!has(bare)) named.push({ kind: 'embedding', name, start, end: start + name.length });
  }
  for (const match of text.matchAll(/<[^\s<>:,]+>/g)) {
    if (!has(match[0])) named.push({ kind: 'embedding', name: match[0], start: match.index, end: match.index + match[0].length });
  }
  return named.sort((a, b) => a.start - b.start);
}

/** What is said of names that are not here. @param {Named[]} missing @returns {string} nothing where there are none */
export function sayMissing(missing) {
  const of = (/** @type {Named['kind']} */ kind) => [...new Set(missing.filter((one) => one.kind === kind).map(({ name }) => `“${name}”`))];
  const said = (/** @type {string[]} */ names, /** @type {string} */ one, /** @type {string} */ many) => {
    if (!names.length) return '';
    const some = names.length > MOST ? `${names.slice(0, MOST).join(', ')} and others` : names.join(' and ');
    return `${some} ${names.length > 1 ? many : one}`;
  };
  return [
    said(of('lora'), 'is a LoRA that is not here: without its file it is left out.', 'are LoRAs that are not here: without their files they are left out.'),
    said(of('embedding'), 'is an embedding that is not here: without its file it is plain words.',
      'are embeddings that are not here: without their files they are plain words.'),
  ].filter(Boolean).join(' ');
}

/** Lines under parts of a field's text. */
export class Underlines {
  #layer = make('div', { className: 'underlines', hidden: true, ariaHidden: 'true' });
  /** @type {Named[]} */ #named = [];

  /** @param {HTMLTextAreaElement} field */
  constructor(field) {
    this.field = field;
    field.after(this.#layer);
    field.addEventListener('scroll', () => this.#follow());
    new ResizeObserver(() => this.#place()).observe(field);
    document.fonts?.addEventListener?.('loadingdone', () => this.#place());
  }

  /** @param {Named[]} named parts of the field's text as it is now */
  show(named) {
    this.#named = named;
    this.#layer.hidden = !named.length;
    const { value } = this.field;
    const parts = named.flatMap(({ start, end }, at) => [value.slice(named[at - 1]?.end ?? 0, start), make('u', { textContent: value.slice(start, end) })]);
    // A line break at the end has a line of its own only where something follows.
    this.#layer.replaceChildren(make('div', { dir: this.field.dir || 'auto' }, ...parts, `${value.slice(named.at(-1)?.end ?? 0)}\u200b`));
    this.#place();
  }

  /** Over the field, as wide as its words go. */
  #place() {
    if (!this.#named.length) return;
    const style = getComputedStyle(this.field);
    for (const name of LOOK) this.#layer.style[name] = style[name];
    const { offsetLeft, offsetTop, offsetWidth, offsetHeight, clientWidth } = this.field;
    const edges = parseFloat(style.borderLeftWidth) + parseFloat(style.borderRightWidth);
    Object.assign(this.#layer.style, {
      left: `${offsetLeft}px`, top: `${offsetTop}px`, height: `${offsetHeight}px`, width: `${Math.min(offsetWidth, clientWidth + edges)}px`, // without a scrollbar
    });
    this.#follow();
  }

  #follow() {
    /** @type {HTMLElement} */ (this.#layer.firstElementChild)?.style.setProperty('transform', `translateY(${-this.field.scrollTop}px)`);
  }
}
