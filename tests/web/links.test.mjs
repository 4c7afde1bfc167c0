/** Links and addresses, changed at random: they are read or refused, and nothing is thrown. The engine's readers have tests/fuzz. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HUB, fileName, understand } from '../../www/catalogue/sources.js';
import { linkTo, readLink } from '../../www/js/link.js';

const RUNS = Number(process.env.OPENGEN_FUZZ_RUNS ?? 100_000);
const SEED = Number(process.env.OPENGEN_FUZZ_SEED ?? 1);
const SEEDS = [
  '#prompt=a+red+apple&seed=200&negative=b&steps=3&guidance=2&variation=0.5&width=128', '#how-words', `${HUB}/a/b/blob/main/m.gguf`,
  'https://civitai.com/models/12/x?modelVersionId=34', 'https://github.com/a/b/blob/main/m.safetensors?download=true#x',
];
const WORDS = ['%', '%zz', '%C3', '#', '=', '&', '?', '/', '://', 'https:', '+', '.gguf', '/blob/', '/resolve/', '/models/', '\u0000', 'é', '🍎',
  '\ud800', ' ', 'localhost', '[::1]', '..', '@', 'a'.repeat(300)];

/** Numbers from 0 to 1, the same ones for a seed (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

test('changed links and addresses are read or refused', () => {
  const next = random(SEED);
  const below = (end) => Math.floor(next() * end);
  const pick = (list) => list[below(list.length)];
  for (let run = 0; run < RUNS; run++) {
    let text = pick(SEEDS);
    do {
      const at = below(text.length + 1);
      const end = at + below(4);
      const middle = [pick(WORDS), '', text.slice(at, end).repeat(2), String.fromCharCode(below(0x3000))][below(4)];
      text = (text.slice(0, at) + middle + text.slice(end)).slice(0, 4000);
    } while (next() < 0.5);
    try {
      const read = readLink(text);
      if (read) assert.deepEqual(readLink(new URL(linkTo(read.values, 'https://example.org/')).hash)?.values.prompt, read.values.prompt || undefined);
      const meant = understand(text, HUB);
      if ('url' in meant) assert.equal(typeof fileName(meant.url), 'string');
      else assert.ok(meant.problem);
    } catch (error) {
      error.message = `run ${run}, ${JSON.stringify(text)}: ${error.message}`;
      throw error;
    }
  }
});
