/**
 * How a model that has a list of words understands a prompt: which of its words are known, which names come near the
 * others, what emoji and other languages say, and what is drawn then. Nothing here touches the page.
 *
 * Names count whole: "happy face" is known, "happy" is not.
 */

import { isRelated, nearest, singulars } from './near.js';

/** Words that stand between the others, and words that prompts are full of; none says what to draw. */
const FILLERS = new Set((''
  + 'a an the this that these those some any one my your our his her its their i you he she it we they me him us them '
  + 'of in on at by for from to into onto with without and or but as is are was be been has have do does not no so very too '
  + 'also just only really quite here there now s t re ll ve m d don doesn isn please draw show make create give want like would can could '
  + 'let see picture pictures image images emoji art artwork beautiful pretty nice lovely cute wonderful good great best '
  + 'better perfect masterpiece quality high highly low detailed extremely detail details intricate sharp focus trending '
  + 'artstation award winning photorealistic realistic hd uhd hdr 4k 8k resolution professional aesthetic stunning amazing '
  + 'background colour color break up down near behind beside inside').split(' '));
/** Counts that no model of two things at most can draw. */
const MANY = new Set('3 4 5 6 7 8 9 10 three four five six seven eight nine ten many several dozens hundreds'.split(' '));

const PICTOGRAPH = '\\p{Extended_Pictographic}[\\uFE0F\\p{Emoji_Modifier}]*';
/** Scripts that leave no spaces between words: each character is a token. */
const UNSPACED = '[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}ー々]';
const TOKEN = new RegExp(
  `(?<tag><[^<>]*>|#[^\\n]*|\\bembedding:[^\\s,;:()[\\]<>|]+)|(?<emoji>${PICTOGRAPH}(?:\\u200D${PICTOGRAPH})*)|(?<sign>${UNSPACED})`
  + `|(?<word>(?:(?!${UNSPACED})[\\p{L}\\p{N}])(?:(?!${UNSPACED})[\\p{L}\\p{M}\\p{N}])*)`,
  'gu',
);
/** Tokens of the longest phrases: signs, and words. */
const LONGEST = { sign: 12, word: 6 };

/**
 * @typedef {object} Token
 * @property {string} text
 * @property {number} start
 * @property {number} end
 * @property {string} key lower-case, without accents
 * @property {'emoji' | 'sign' | 'word' | 'number'} kind
 * @property {string[]} keys of the phrases that begin here: of one token, of two, and so on
 */

/**
 * @typedef {object} Segment tokens that mean one thing together
 * @property {string} text as typed
 * @property {number} start
 * @property {number} end
 * @property {string} key
 * @property {string} kind 'thing', 'colour', 'size', 'position', 'setting', 'style', 'relation', 'ground', 'filler', 'many' or
 *   'unknown'
 * @property {number} count how many tokens
 * @property {boolean} emoji
 * @property {string} [to] what is drawn in place of it
 * @property {string} [joined] the word that its ending or beginning stands for: "and"
 */

/**
 * @typedef {object} Strange something that the model does not know
 * @property {string} text as typed
 * @property {string} word in English, as far as that is known
 * @property {{label: string, start: number, end: number, text: string}[]} near what it knows instead, and what that puts
 *   in place of which part of the prompt
 */

/**
 * @typedef {object} Reading a prompt as a model understands it
 * @property {{text: string, strange: boolean}[]} pieces the prompt, part by part
 * @property {Strange[]} strange
 * @property {{label: string, start: number, end: number, text: string}[]} tips colours that belong to the ground
 * @property {[string, string][]} said what was translated, and into what
 * @property {string} drawn the prompt that is drawn
 * @property {boolean} names whether it names anything that the model can draw
 * @property {boolean} foreign whether a word may be of another language: worth looking for
 */

/** Lower-case, without accents, one alphabet of kana: what is compared. */
export function fold(text) {
  if (/^[ -~]*$/.test(text)) return text.toLowerCase();
  return text.toLowerCase().normalize('NFD').replace(/[\u0300-\u036f\u064b-\u0652\u0640]/g, '').normalize('NFC')
    .replace(/[\u30a1-\u30f6]/g, (kana) => String.fromCharCode(kana.charCodeAt(0) - 0x60))
    .replace(/ł/g, 'l').replace(/ı/g, 'i').replace(/ß/g, 'ss').replace(/œ/g, 'oe').replace(/[’ʼ]/g, "'");
}

/** The words, signs and emoji of a text. @returns {Token[]} */
export function tokensOf(text) {
  const tokens = [...text.matchAll(TOKEN)].filter(({ groups }) => !groups.tag).map(({ 0: found, index, groups }) => ({
    text: found,
    start: index,
    end: index + found.length,
    key: fold(found),
    kind: groups.emoji ? 'emoji' : groups.sign ? 'sign' : /^\p{N}+$/u.test(found) ? 'number' : 'word',
    keys: [],
  }));
  for (const [i, token] of tokens.entries()) token.keys = phrasesFrom(text, tokens, i);
  return tokens;
}

/** A phrase goes on over spaces, hyphens and apostrophes; an emoji stands alone. */
function phrasesFrom(text, tokens, from) {
  const keys = [tokens[from].key];
  if (tokens[from].kind === 'emoji') return keys;
  const most = from + LONGEST[tokens[from].kind === 'sign' ? 'sign' : 'word'];
  for (let i = from + 1; i < tokens.length && i < most && tokens[i].kind !== 'emoji'; i++) {
    const gap = text.slice(tokens[i - 1].end, tokens[i].start);
    if (!/^[\s'’-]*$/.test(gap)) break;
    keys.push(keys.at(-1) + (gap ? ' ' : '') + tokens[i].key);
  }
  return keys;
}

/** What compares equal to a phrase of words, however it is hyphenated. */
export const keyOf = (phrase) => fold(phrase).replace(/[\s'’-]+/g, ' ').trim();

/**
 * Cuts a prompt into segments: at each token the first of the look-ups that knows a phrase from there on, the longest one.
 * @param {string} text
 * @param {Token[]} tokens
 * @param {((key: string, around: {before?: string, after?: string}) => object | null)[]} lookups
 * @returns {Segment[]}
 */
export function segmentsOf(text, tokens, lookups) {
  const segments = [];
  for (let i = 0; i < tokens.length;) {
    const found = longest(tokens, i, lookups);
    const count = found?.count ?? 1;
    const last = tokens[i + count - 1];
    const whole = { text: text.slice(tokens[i].start, last.end), start: tokens[i].start, end: last.end };
    const plain = tokens[i].kind === 'number' ? 'filler' : 'unknown';
    const key = found?.key ?? tokens[i].key;
    // "éléphant" is known without its accents, so it is drawn without them.
    const bare = found && /[^\x00-\x7f’]/.test(whole.text) ? { to: key } : {};
    const emoji = tokens[i].kind === 'emoji';
    segments.push({ ...whole, key, kind: plain, emoji, count, ...bare, ...found?.meaning });
    i += count;
  }
  return segments;
}

function longest(tokens, from, lookups) {
  const { keys } = tokens[from];
  for (const lookup of lookups) {
    for (let count = keys.length; count > 0; count--) {
      const around = { before: tokens[from - 1]?.key, after: tokens[from + count]?.key };
      const meaning = lookup(keys[count - 1], around, tokens[from]);
      if (meaning) return { count, key: keys[count - 1], meaning };
    }
  }
  return null;
}

const lexicons = new WeakMap();

/**
 * What a model's words mean.
 * @param {import('../protocol.d.ts').ModelInfo} model one with `knows`
 * @returns {{look: Function, names: string[], emoji: Map<string, string>, kindOf: (phrase: string) => string}}
 */
export function lexiconOf(model) {
  if (!lexicons.has(model)) lexicons.set(model, makeLexicon(model));
  return lexicons.get(model);
}

function makeLexicon({ knows, synonyms = {}, phrases = {}, emoji = '' }) {
  const first = Object.values(knows.things).flat();
  const meanings = new Map();
  const learn = (kind, words) => words.map(keyOf).forEach((key) => { if (key && !meanings.has(key)) meanings.set(key, kind); });
  learn('thing', first);
  learn('thing', Object.values(synonyms).flat());
  const things = [...meanings.keys()];
  for (const kind of ['colour', 'size', 'position', 'setting', 'style', 'relation']) learn(kind, phrases[`${kind}s`] ?? []);
  learn('filler', phrases.openings ?? []);
  learn('ground', ['background', 'background colour', 'background color', 'gradient', 'gradient background']);
  // The parts of "in the top left corner" and of "under the stars" are at home in a prompt too.
  const around = ['positions', 'settings', 'styles'].flatMap((heading) => phrases[heading] ?? []);
  learn('filler', around.flatMap((phrase) => phrase.split(' ')));
  learn('filler', [...FILLERS]);
  const colours = new Set((phrases.colours ?? []).map(keyOf));
  const isGround = (key) => meanings.get(key) === 'ground';
  /** "orange" is a fruit, and a colour behind "on" and before "background" or a thing: "an orange cat". */
  const tint = (key, { before, after }) => colours.has(key) && meanings.get(key) === 'thing'
    && (before === 'on' || before === 'from' || isGround(after) || (before !== 'and' && meanings.get(after) === 'thing'));
  const pictures = new Map([...emoji].map((glyph, i) => [glyph, first[i]]));
  const look = (key, around = {}) => {
    const kind = meanings.get(key) ?? (singulars(key).some((form) => meanings.get(form) === 'thing') ? 'thing' : null);
    return kind ? { kind: tint(key, around) ? 'colour' : kind } : null;
  };
  const kindOf = (phrase) => look(keyOf(phrase))?.kind ?? (phrase.endsWith(' background') ? 'ground' : 'unknown');
  return { look, names: things, emoji: pictures, kindOf };
}

/** What an emoji shows, by the model's own list and then by the languages' file. */
export function pictureLookup(lexicon, languages) {
  return (key, around, { text, kind }) => {
    if (kind !== 'emoji') return null;
    const parts = text.replace(/[\uFE0F\p{Emoji_Modifier}]/gu, '').split('\u200D');
    const wordOf = (glyph) => lexicon.emoji.get(glyph) ?? languages?.emoji.get(glyph);
    const to = wordOf(parts.join('\u200D')) ?? wordOf(parts[0]); // "❤️‍🔥" is a heart first
    return to ? { to, kind: lexicon.kindOf(to) } : null;
  };
}

/**
 * Reads a prompt.
 * @param {string} prompt
 * @param {import('../protocol.d.ts').ModelInfo} model one with `knows`
 * @param {import('./languages.js').Languages | null} [languages] where they are here
 * @returns {Reading}
 */
export function read(prompt, model, languages = null) {
  const lexicon = lexiconOf(model);
  const tokens = tokensOf(prompt);
  const english = segmentsOf(prompt, tokens, [lexicon.look, pictureLookup(lexicon, languages)]);
  const foreign = english.some(({ kind, key }) => kind === 'unknown' && !isRelated(key));
  const translation = foreign ? languages?.translate(prompt, tokens, english, lexicon) : null;
  const segments = joined(translation?.segments ?? english);
  for (const [i, segment] of segments.entries()) {
    const next = segments[i + 1];
    if (MANY.has(segment.key) && next?.kind === 'thing' && spaceBetween(prompt, segment, next)) segment.kind = 'many';
  }
  const drawn = translation?.drawn ?? render(prompt, segments);
  return {
    pieces: piecesOf(prompt, segments),
    strange: strangeOf(prompt, segments, lexicon),
    tips: tipsOf(prompt, segments),
    said: segments.filter((one) => !BETWEEN.has(one.kind) && isTranslated(one)).map(({ text, to }) => [text, to]),
    drawn,
    names: segments.some(({ kind }) => kind === 'thing'),
    foreign,
  };
}

/** Signs without a meaning, in scripts that leave no spaces, make up one unknown word. @param {Segment[]} segments */
function joined(segments) {
  const out = [];
  for (const segment of segments) {
    const last = out.at(-1);
    const blank = ({ kind, to, emoji }) => kind === 'unknown' && to === undefined && !emoji;
    if (last && blank(segment) && blank(last) && last.end === segment.start) {
      const [text, key, count] = ['text', 'key', 'count'].map((field) => last[field] + segment[field]);
      out[out.length - 1] = { ...last, text, key, count, end: segment.end };
    } else {
      out.push(segment);
    }
  }
  return out;
}

const BETWEEN = new Set(['filler', 'relation']);
/** Whether another word is drawn than the one that was typed. @param {Segment} segment */
export const isTranslated = ({ text, key, to }) => to !== undefined && (keyOf(to) !== key || /[^\x00-\x7f’]/.test(text));

const spaceBetween = (text, before, after) => /^\s+$/.test(text.slice(before.end, after.start));

/** The prompt with what was translated in its place. @param {Segment[]} segments */
export function render(prompt, segments) {
  let out = '';
  let at = 0;
  for (const [i, segment] of segments.entries()) {
    const before = segments[i - 1];
    out += between(prompt.slice(at, segment.start), before, segment);
    out += segment.to ?? segment.text;
    at = segment.end;
  }
  return out + prompt.slice(at);
}

/** What stands between two segments, once they are words: "🐱🐶" is a cat and a dog, "🦊🟩" a fox on green. */
function between(gap, before, segment) {
  if (!before || !/^[\s'’]*$/.test(gap)) return gap;
  if (before.kind === 'thing' && (before.emoji || segment.emoji)) {
    if (segment.kind === 'thing') return ' and ';
    if (segment.kind === 'colour' && segment.emoji) return ' on ';
  }
  // "l’arbre" is two words in English; where nothing came in place of the "l", its apostrophe stays.
  if (before.to === undefined && (gap || segment.to === undefined)) return gap;
  return /^\s+$/.test(gap) ? gap : ' ';
}

function piecesOf(prompt, segments) {
  const pieces = [];
  const add = (text, strange) => {
    if (!text) return;
    if (pieces.at(-1)?.strange === strange) pieces.at(-1).text += text;
    else pieces.push({ text, strange });
  };
  let at = 0;
  for (const { start, end, text, kind } of segments) {
    add(prompt.slice(at, start), false);
    add(text, kind === 'unknown' || kind === 'many');
    at = end;
  }
  add(prompt.slice(at), false);
  return pieces;
}

/** @returns {Strange[]} each word once */
function strangeOf(prompt, segments, lexicon) {
  const found = new Map();
  for (const segment of segments) {
    const { kind, key, text, to } = segment;
    if ((kind !== 'unknown' && kind !== 'many') || found.has(key)) continue;
    const known = (name) => lexicon.kindOf(name) !== 'unknown';
    const names = kind === 'many' ? ['two'] : segment.emoji ? [] : nearest(to ?? key, lexicon.names, known);
    found.set(key, { text, word: to ?? text, near: names.map((name) => exchange(prompt, segment, name)) });
  }
  return [...found.values()];
}

/** How a name gets into the prompt: with its own article, and with its own preposition where it has one. */
function exchange(prompt, { start, end }, name) {
  const before = prompt.slice(0, start);
  const own = /^(in|on|at|under) /.test(name) ? before.match(/(?:\b(?:in|on|at|by|near|under)\s+)?(?:\b(?:the|an?)\s+)?$/i)[0] : '';
  const article = own ? '' : before.match(/\ban?\s+$/i)?.[0] ?? '';
  return { label: name, start: start - own.length - article.length, end, text: withArticle(article.trim(), name) };
}

const withArticle = (article, name) => {
  if (!article) return name;
  const right = /^[aeiou]/i.test(name) ? 'an' : 'a';
  return `${article[0] === 'A' ? right[0].toUpperCase() + right.slice(1) : right} ${name}`;
};

/** A colour before a thing colours the ground: what would say so, unless the prompt says what is behind the thing. */
function tipsOf(prompt, segments) {
  const grounds = segments.filter(({ kind }) => kind === 'ground' || kind === 'setting' || kind === 'colour');
  const i = segments.findIndex(({ kind }, at) => kind === 'colour' && segments[at + 1]?.kind === 'thing');
  if (grounds.length !== 1 || i < 0 || segments[i].to !== undefined) return [];
  const [colour, thing] = [segments[i], segments[i + 1]];
  if (!spaceBetween(prompt, colour, thing)) return [];
  const label = `${thing.to ?? thing.text} on ${withArticle('a', colour.text)} background`;
  return [{ ...exchange(prompt, { start: colour.start, end: thing.end }, label), label }];
}
