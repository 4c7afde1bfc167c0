/**
 * Prompts in other languages: which language it is, what its words are called in English, and in which order they go.
 * Words come from `languages.json`; this is no grammar, only enough of it for "eine Katze auf rotem Grund".
 */

import { isTranslated, keyOf, pictureLookup, render, segmentsOf } from './knowing.js';

/**
 * By code: `name`; `endings` that a word may have, each with the English word it stands for; `beginnings` likewise; `after`
 * where adjectives follow their noun; `pieced` where word order is so different that the prompt is put together anew.
 */
const GRAMMAR = {
  de: { name: 'German', endings: ['n', 'en', 's', 'e', 'er', 'ern'] },
  fr: { name: 'French', endings: ['s', 'x'], after: true },
  es: { name: 'Spanish', endings: ['s', 'es'], after: true },
  it: { name: 'Italian', after: true },
  pt: { name: 'Portuguese', endings: ['s', 'es'], after: true },
  nl: { name: 'Dutch', endings: ['s', 'en'] },
  pl: { name: 'Polish' },
  tr: { name: 'Turkish', endings: ['lar', 'ler', 'i', 'u'], pieced: true },
  ja: { name: 'Japanese', pieced: true },
  zh: { name: 'Chinese', pieced: true },
  ko: {
    name: 'Korean', pieced: true,
    endings: { 이: '', 가: '', 은: '', 는: '', 을: '', 를: '', 의: '', 에: '', 에서: '', 들: '', 와: 'and', 과: 'and', 랑: 'and', 하고: 'and' },
  },
  hi: { name: 'Hindi', pieced: true },
  ar: { name: 'Arabic', after: true, beginnings: { ال: '', وال: 'and', و: 'and' } },
};

/** Words of other languages that are English ones or names as well; alone among English words they are not translated. */
const ENGLISH_TOO = new Set((''
  + 'adam ape bad bank basket berg bone boom brood but cam cane case chaise chariot chat com con corona couch crane crayon '
  + 'cylinder dart darts desktop diana do donna due fare fond golf grand gross hart insect journal kale kaplan kurt lama lard las '
  + 'leon leone les lisa lit los lot male mail manga marron met mia mine montana motor mum nave no notebook ours pain pane paprika '
  + 'parasol pastel peer peru pet pile pod portable prince raisin raisins robe rode rosa rossi rot rote slang slot sole sous spin '
  + 'stella stern tart ten terra to tour vague van viola violet vis wanna we wit').split(' '));

/** The language of a long prompt shows in as many tokens. */
const ENOUGH = 60;

/** A table of words as compared, with what each means in English. */
class Tongue {
  /** @type {Map<string, string>} */ words = new Map();

  constructor(code) {
    this.code = code;
    Object.assign(this, { after: false, pieced: false }, GRAMMAR[code]);
    const endings = this.endings ?? {};
    this.endings = Array.isArray(endings) ? endings.map((ending) => [ending, '']) : Object.entries(endings);
    this.beginnings = Object.entries(this.beginnings ?? {});
  }

  /** @returns {{to: string, joined?: string} | null} */
  find(key) {
    const to = this.words.get(key);
    if (to !== undefined) return { to };
    for (const [ending, joined] of this.endings) {
      const found = key.endsWith(ending) && this.#stem(key.slice(0, -ending.length));
      if (found) return { to: found, joined };
    }
    for (const [beginning, joined] of this.beginnings) {
      const found = key.startsWith(beginning) && this.words.get(key.slice(beginning.length));
      if (found) return { to: found, joined };
    }
    return null;
  }

  /** Where letters are sounds, a noun has three of them or more. Dutch doubles the last before "en": "katten". */
  #stem(stem) {
    if (this.code !== 'ko' && stem.length < 3) return undefined;
    const doubled = this.code === 'nl' && stem.at(-1) === stem.at(-2);
    return this.words.get(stem) ?? (doubled ? this.words.get(stem.slice(0, -1)) : undefined);
  }
}

export class Languages {
  /** @type {Map<string, string>} what emoji show that are none of the model's */
  emoji = new Map();
  /** @type {Tongue[]} */ #tongues;

  /**
   * @param {{languages: string[], emoji: Record<string, string>, words: Record<string, string>}} table languages.json
   * @param {readonly string[]} [preferred] the visitor's languages: they come first where a word is in several
   */
  constructor({ languages, emoji, words }, preferred = []) {
    const rank = (code) => (preferred.findIndex((one) => one.split('-')[0] === code) + 1) || Infinity;
    const tongues = languages.map((code) => new Tongue(code));
    for (const [word, columns] of Object.entries(words)) {
      columns.split('|').forEach((column, i) => {
        for (const form of column.split(',').filter(Boolean).map(keyOf)) {
          if (!tongues[i].words.has(form)) tongues[i].words.set(form, word);
        }
      });
    }
    for (const [word, glyphs] of Object.entries(emoji)) for (const glyph of glyphs) this.emoji.set(glyph, word);
    this.preferred = new Set(languages.filter((code) => rank(code) < Infinity));
    this.#tongues = tongues.toSorted((a, b) => rank(a.code) - rank(b.code) || 0);
  }

  /**
   * Translates a prompt that has words which are not English.
   * @param {string} prompt
   * @param {import('./knowing.js').Token[]} tokens
   * @param {import('./knowing.js').Segment[]} english what English makes of it
   * @param {ReturnType<typeof import('./knowing.js').lexiconOf>} lexicon
   * @returns {{segments: import('./knowing.js').Segment[], drawn: string} | null} null where it is in no language that is
   *   known here
   */
  translate(prompt, tokens, english, lexicon) {
    const until = tokens[Math.min(tokens.length, ENOUGH) - 1].end;
    const explained = english.filter(({ kind, end }) => kind !== 'unknown' && end <= until).reduce((sum, { count }) => sum + count, 0);
    const isStrange = (segment) => !segment.emoji && (segment.kind === 'unknown' || isTranslated(segment));
    const strange = new Set(english.filter(isStrange).map(({ start }) => start));
    const begin = tokens.slice(0, ENOUGH);
    let best = null;
    for (const tongue of this.#tongues) {
      const covers = this.#coverage(prompt, begin, strange, tongue, lexicon);
      if (covers > (best?.covers ?? 0)) best = { tongue, covers };
    }
    if (!best) return null;
    const { tongue, covers } = best;
    const pictures = pictureLookup(lexicon, this);
    const own = (key) => meaningOf(tongue, key, lexicon);
    const noun = (key) => {
      const meaning = ENGLISH_TOO.has(key) ? null : own(key);
      return meaning?.kind === 'thing' ? meaning : null;
    };
    const throughout = covers >= explained; // else it is English with a word of it
    const segments = segmentsOf(prompt, tokens, throughout ? [pictures, own, lexicon.look] : [pictures, lexicon.look, noun]);
    if (!segments.some(isTranslated)) return null;
    // Weights are at home with their words.
    const anew = throughout && tongue.pieced && !/[()[\]]/.test(prompt);
    return { segments, drawn: anew ? pieced(segments) : inOrder(prompt, segments, tongue) };
  }

  /** How many tokens a language explains; none unless one of them is a word that English does not have. */
  #coverage(prompt, tokens, strange, tongue, lexicon) {
    const found = segmentsOf(prompt, tokens, [(key) => meaningOf(tongue, key, lexicon)]).filter(({ to }) => to !== undefined);
    const fresh = found.filter((segment) => isTranslated(segment) && isFresh(segment, tokens, strange));
    const sure = fresh.some(({ key, kind }) => kind !== 'filler' && kind !== 'relation' && !ENGLISH_TOO.has(key));
    const backed = fresh.length > 1 || (fresh.length === 1 && this.preferred.has(tongue.code));
    if (!sure && !(backed && fresh.some(({ kind }) => kind === 'thing'))) return 0;
    return found.reduce((sum, { count }) => sum + count, 0);
  }
}

const isFresh = ({ start, end }, tokens, strange) =>
  tokens.some((token) => token.start >= start && token.end <= end && strange.has(token.start));

function meaningOf(tongue, key, lexicon) {
  const found = tongue.find(key);
  return found && { ...found, kind: lexicon.kindOf(found.to) };
}

/** The prompt word for word, adjectives before their nouns. */
function inOrder(prompt, segments, { after }) {
  const ordered = segments.map((one) => (one.joined ? { ...one, to: `${one.joined} ${one.to}` } : one));
  const isNoun = ({ kind, to }) => to !== undefined && ['thing', 'ground', 'unknown'].includes(kind);
  const isAdjective = ({ kind, to }) => to !== undefined && ['colour', 'size'].includes(kind);
  for (let i = 0; after && i + 1 < ordered.length; i++) {
    const [noun, adjective] = [ordered[i], ordered[i + 1]];
    if (!isNoun(noun) || !isAdjective(adjective) || !/^\s+$/.test(prompt.slice(noun.end, adjective.start))) continue;
    ordered[i] = { ...noun, ...pick(adjective) };
    ordered[i + 1] = { ...adjective, ...pick(noun) };
  }
  return tidy(render(prompt, ordered));
}

const pick = ({ to, kind, emoji }) => ({ to, kind, emoji });

/** The prompt put together anew from what it names: where languages have it the other way round. */
function pieced(segments) {
  const things = [];
  const behind = [];
  let adjectives = [];
  let join = 'and';
  for (const { kind, to, text, joined: ending } of segments) {
    const word = to ?? (kind === 'unknown' ? null : text);
    if (word === null || kind === 'filler') continue;
    if (kind === 'size' || kind === 'colour' || word === 'two') {
      adjectives.push(word);
    } else if (kind === 'thing' || kind === 'unknown') {
      things.push([...adjectives, word].join(' '));
      adjectives = [];
    } else if (kind === 'ground') {
      behind.push(`on a ${[...adjectives, word].join(' ')}`);
      adjectives = [];
    } else if (kind === 'setting' || kind === 'position') {
      behind.push(word);
    } else if (kind === 'style') {
      behind.push(`, ${word}`);
    } else if (word === 'next to') {
      join = word;
    }
    if (ending) join = join === 'and' ? ending : join;
  }
  return tidy([things.join(` ${join} `), ...behind, ...adjectives].join(' ').replaceAll(' ,', ',').replace(/^[ ,]+/, '').trim());
}

/** Articles as English has them. */
function tidy(text) {
  return text.replace(/\b(on|with) (?=(?:[a-z]+ ){1,2}background\b)(?!an? |the )/g, '$1 a ')
    .replace(/\ba (?=[aeiou])/g, 'an ').replace(/\ban (?=[^aeiou\s])/g, 'a ').replace(/ {2,}/g, ' ');
}
