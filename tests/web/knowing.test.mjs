/** How Mini understands prompts: what it knows, what comes near, emoji, other languages. Without a browser. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import { lexiconOf, read } from '../../www/js/knowing.js';
import { Languages } from '../../www/js/languages.js';
import { distance } from '../../www/js/near.js';
import { MODELS } from '../../www/models.js';

const [MINI] = MODELS;
const file = (path) => readFileSync(new URL(`../../${path}`, import.meta.url));
const TABLE = JSON.parse(file('www/languages.json'));
const ALL = new Languages(TABLE);

/** A prompt with what is not known in brackets: "my cat [sleeping] on a [sofa]". */
const marked = (prompt, languages = null) =>
  read(prompt, MINI, languages).pieces.map(({ text, strange }) => (strange ? `[${text}]` : text)).join('');
/** What Mini knows instead, by word. */
const near = (prompt, languages = null) =>
  Object.fromEntries(read(prompt, MINI, languages).strange.map(({ word, near: names }) => [word, names.map(({ label }) => label)]));
const drawn = (prompt, languages = ALL) => read(prompt, MINI, languages).drawn;
/** The prompt after a press on what is offered under that label. */
function pressed(prompt, label) {
  const { strange, tips } = read(prompt, MINI);
  const { start, end, text } = [...strange.flatMap(({ near: names }) => names), ...tips].find((offer) => offer.label === label);
  return prompt.slice(0, start) + text + prompt.slice(end);
}

test('words that are not known are marked, one by one', () => {
  for (const prompt of [
    'my cat [sleeping] on a [sofa]', 'a [happy] [family] at the [beach]', '[Happy] [birthday] [Anna]!', 'a dog and a [ball]',
    '[flowers] in a [vase]', 'kitten [playing] with ball of yarn', 'a [woman]', '[Paris]', 'the [president]', '[three] red apples',
    'a [cyberpunk] [city]', '[hello]', '[1girl]', '[我的猫]', '[Ein] [Hund] [im] [Schnee]',
  ]) {
    assert.equal(marked(prompt.replace(/[[\]]/g, '')), prompt);
  }
});

test('names count whole: a happy face is known, happiness is not', () => {
  assert.equal(marked('happy face'), 'happy face');
  assert.equal(marked('a happy cat'), 'a [happy] cat');
  assert.equal(marked('a sleeping face and a sleeping cat'), 'a sleeping face and a [sleeping] cat');
  assert.equal(marked('birthday cakes'), 'birthday cakes');
});

test('what is known stays unmarked: names, plurals, colours, places, styles, and how prompts are written', () => {
  const { things, around } = MINI.knows;
  const all = [things, around].flatMap((groups) => Object.values(groups).flat());
  for (const prompt of [
    ...all, ...MINI.examples.map(({ prompt: example }) => example), ...Object.values(MINI.synonyms).flat(), ...Object.values(MINI.phrases).flat(),
    'two mice', 'WOLVES at night', 'puppies', '(cat:1.2), ((a dog)), [fox]', 'a cat BREAK a dog', '<lora:style:0.8> a cat', 'two T-Rexes',
    '# for Anna\na cat # sofa?',
    'please draw my beautiful cat, masterpiece, best quality, 8k', 'a cat’s boot', 'slices of pizza', 'a medium-sized owl', '',
  ]) {
    assert.equal(read(prompt, MINI).strange.length, 0, `${prompt}: ${marked(prompt)}`);
    assert.equal(drawn(prompt), prompt);
  }
});

test('whether a prompt names anything is said of full names', () => {
  for (const prompt of ['hello', 'Ein Hund im Schnee', 'a cyberpunk city', 'on a red background', 'happy family', 'birthday Anna', 'sleeping', '1girl', '🦤', '# a cat']) {
    assert.equal(read(prompt, MINI).names, false, prompt);
  }
  const named = ['a cat', 'two mice', 'puppies', '(donut:1.2)', 'the smiling sun', 'red dress', 'an orange', '🐱', '❤️', '🍎 and 🍌'];
  for (const prompt of [...named, ...MINI.examples.map(({ prompt: example }) => example), ...Object.values(MINI.knows.things).flat()]) {
    assert.equal(read(prompt, MINI).names, true, prompt);
  }
  assert.equal(read('Ein Hund im Schnee', MINI, ALL).names, true);
});

test('the nearest known words are offered, or none', () => {
  assert.deepEqual(near('my cat sleeping on a sofa'), { sleeping: [], sofa: ['bed', 'chair'] });
  assert.deepEqual(near('a dog and a ball'), { ball: ['soccer ball', 'basketball', 'tennis ball'] });
  assert.deepEqual(near('flowers in a vase'), {
    flowers: ['bouquet of flowers', 'rose', 'sunflower'], vase: ['potted plant', 'bouquet of flowers'],
  });
  assert.deepEqual(near('a happy family at the beach'), { happy: [], family: [], beach: ['desert island', 'wave'] });
  assert.deepEqual(near('Happy birthday Anna!'), { Happy: [], birthday: ['birthday cake'], Anna: [] });
  assert.deepEqual(near('a woman'), { woman: ['princess', 'mermaid'] });
  assert.deepEqual(near('three red apples'), { three: ['two'] });
  assert.deepEqual(near('the president of Paris'), { president: [], Paris: [] });
});

test('slips of the keyboard find their name, other English words do not', () => {
  for (const [typed, name] of [
    ['elefant', 'elephant'], ['girafe', 'giraffe'], ['tigre', 'tiger'], ['caterpiller', 'caterpillar'], ['strawbery', 'strawberry'],
    ['aple', 'apple'], ['unicron', 'unicorn'],
  ]) assert.deepEqual(near(typed), { [typed]: [name] });
  for (const word of ['beard', 'start', 'place', 'three', 'whole', 'month', 'present time', 'president', 'stairs', 'soda pop']) {
    for (const names of Object.values(near(word))) assert.deepEqual(names, [], word);
  }
  assert.equal(distance('unicron', 'unicorn'), 1);
  assert.equal(distance('kitten', 'sitting'), 3);
});

test('every word that is offered is one that Mini knows', () => {
  const lexicon = lexiconOf(MINI);
  const related = file('www/js/near.js').toString().match(/RELATED = `([^`]*)`/)[1].trim().split('\n');
  assert.ok(related.length > 100);
  for (const line of related) {
    const [, names] = line.split(': ');
    for (const name of names.split(', ')) assert.notEqual(lexicon.kindOf(name), 'unknown', line);
  }
});

test('a press puts a name in place of the word, with its own article and preposition', () => {
  assert.equal(pressed('my cat sleeping on a sofa', 'bed'), 'my cat sleeping on a bed');
  assert.equal(pressed('a lime', 'orange'), 'an orange');
  assert.equal(pressed('An owl and an aircraft', 'plane'), 'An owl and a plane');
  assert.equal(pressed('a whale in the ocean', 'under water'), 'a whale under water');
  assert.equal(pressed('three red apples', 'two'), 'two red apples');
});

test('a colour before a thing is said to be the ground’s, unless the ground has one', () => {
  assert.equal(marked('a blue elephant'), 'a blue elephant');
  assert.equal(pressed('a blue elephant', 'elephant on a blue background'), 'an elephant on a blue background');
  assert.equal(pressed('an orange cat', 'cat on an orange background'), 'a cat on an orange background');
  for (const prompt of ['red apple', 'an orange', 'a blue elephant on grass', 'a blue elephant on a red background', 'a cat on orange', 'dark blue background, cat']) {
    assert.deepEqual(read(prompt, MINI).tips, [], prompt);
  }
});

test('emoji are their words', () => {
  const first = Object.values(MINI.knows.things).flat();
  assert.equal([...MINI.emoji].length, first.length);
  for (const [i, glyph] of [...MINI.emoji].entries()) {
    assert.equal(drawn(glyph, null), first[i]);
    assert.equal(drawn(`${glyph}\uFE0F`, null), first[i]);
  }
  for (const [prompt, words] of [
    ['🐱', 'cat'], ['❤️', 'red heart'], ['🍎 and 🍌', 'red apple and banana'], ['🐱🐶', 'cat and dog'], ['a 🦊 in the snow', 'a fox in the snow'], ['👍🏽', 'thumbs up'],
  ]) assert.equal(drawn(prompt, null), words);
  // Others that show the same, and colours, come with the languages.
  assert.equal(marked('🐈 on 🟩'), '[🐈] on [🟩]');
  assert.equal(drawn('🐈 on 🟩'), 'cat on green');
  assert.equal(drawn('🦊🟦'), 'fox on blue');
  assert.deepEqual(read('🐱', MINI).said, [['🐱', 'cat']]);
});

test('each word of the table is drawn as what it stands beside, in each language', () => {
  const own = Object.fromEntries(TABLE.languages.map((code) => [code, new Languages(TABLE, [code])]));
  let count = 0;
  for (const line of file('training/languages.txt').toString().split('\n')) {
    if (line === '# What stands between') break;
    const [word, ...columns] = line.split(' | ');
    columns.forEach((column, i) => {
      for (const form of column === '-' ? [] : column.split(', ')) {
        // What English has too is left to sentences: "rot" alone is no red.
        const { drawn: is, foreign, said } = read(form, MINI, own[TABLE.languages[i]]);
        if (!foreign || !said.length) continue;
        count += 1;
        assert.ok([word, `on a ${word}`].includes(is), `${TABLE.languages[i]} "${form}": "${is}", not "${word}"`);
      }
    });
  }
  assert.ok(count > 3000, `${count} words`);
});

test('every common noun is known in every language', () => {
  const things = [
    'cat', 'dog', 'red apple', 'house', 'tree', 'car', 'fish', 'bird', 'red heart', 'sun', 'crescent moon', 'star', 'horse', 'cow', 'banana',
    'bread', 'egg', 'rainbow', 'cloud', 'train', 'plane', 'book', 'key', 'chair', 'bed', 'door', 'crown', 'balloon', 'gift', 'princess',
    'robot', 'ghost', 'rose', 'butterfly', 'elephant', 'lion',
  ];
  for (const thing of things) {
    const columns = TABLE.words[thing].split('|');
    assert.equal(columns.length, TABLE.languages.length);
    columns.forEach((column, i) => assert.ok(column, `${thing} in ${TABLE.languages[i]}`));
  }
});

test('phrases of thirteen languages are drawn in English', () => {
  for (const [prompt, words] of [
    ['eine Katze auf rotem Grund', 'a cat on a red background'], ['Katze', 'cat'], ['Bäume und Häuser', 'tree and house'], ['die Äpfel', 'the red apple'],
    ['ein Hund neben einer Eule', 'a dog next to an owl'],
    ['un chat noir sur fond bleu', 'a black cat on a blue background'], ['l’arbre', 'the tree'], ['un éléphant', 'an elephant'],
    ['un gato en la nieve', 'a cat in the snow'], ['una manzana roja sobre fondo amarillo', 'a red apple on a yellow background'],
    ['un cane e un gatto', 'a dog and a cat'], ['um cachorro na grama', 'a dog on grass'], ['een paard in de sneeuw', 'a horse in the snow'],
    ['czarny kot na czerwonym tle', 'black cat on a red background'], ['kırmızı arka planda bir kedi', 'cat on a red background'],
    ['赤いリンゴ', 'red apple'], ['雪の中の猫', 'cat in the snow'], ['犬と猫', 'dog and cat'], ['一只猫在雪地里', 'cat in the snow'], ['红色背景上的狗', 'dog on a red background'],
    ['고양이와 개', 'cat and dog'], ['파란 배경에 고양이', 'cat on a blue background'], ['नीली पृष्ठभूमि पर एक बिल्ली', 'cat on a blue background'],
    ['تفاحة حمراء على خلفية زرقاء', 'red apple on a blue background'], ['القطة', 'cat'],
    ['my Katze', 'my cat'], ['Katze 🐶', 'cat and dog'],
  ]) {
    const reading = read(prompt, MINI, ALL);
    assert.equal(reading.drawn, words, prompt);
    assert.ok(reading.foreign && reading.said.length, `${prompt}: said`);
  }
  assert.deepEqual(read('eine Katze', MINI, ALL).said, [['Katze', 'cat']]);
});

test('English is not taken for another language', () => {
  for (const prompt of [
    'a chat with friends', 'the pain', 'a man in a robe', 'my boss rode to the bank', 'a cat and a sofa', 'a happy family at the beach', 'Paris',
    'Happy birthday Anna!', 'the president', 'Lisa and Leon', 'an angry comet', 'four coins on a table', 'his main argument',
  ]) assert.equal(drawn(prompt), prompt);
  // One's own language decides where a word is of both.
  assert.equal(drawn('chat', new Languages(TABLE, ['fr-CA', 'en'])), 'cat');
  assert.equal(drawn('chat'), 'chat');
});

test('what another language says and Mini does not know is marked, with what it knows instead', () => {
  assert.equal(marked('eine Katze auf einem Sofa', ALL), 'eine Katze auf einem [Sofa]');
  assert.deepEqual(near('eine Blume', ALL), { flower: ['bouquet of flowers', 'rose', 'sunflower'] });
  assert.equal(marked('猫と電子レンジ', ALL), '猫と[電子レンジ]');
});

test('words of other languages are asked for where a word may be one', () => {
  for (const prompt of ['a cat on pink', '🐱', 'a dog and a ball', 'flowers in a vase', '']) assert.equal(read(prompt, MINI).foreign, false, prompt);
  for (const prompt of ['Katze', 'eine Katze', '猫', '🐈', 'le chat']) assert.equal(read(prompt, MINI).foreign, true, prompt);
});

test('the languages’ file is small and says where it comes from', () => {
  const bytes = brotliCompressSync(file('www/languages.json')).length;
  assert.ok(bytes <= 60_000, `${bytes} bytes`);
  assert.match(TABLE.source, /Unicode CLDR.*Unicode-3\.0/);
  assert.deepEqual(TABLE.languages, ['de', 'fr', 'es', 'it', 'pt', 'nl', 'pl', 'tr', 'ja', 'zh', 'ko', 'hi', 'ar']);
  for (const word of Object.values(MINI.knows.things).flat()) assert.ok(TABLE.words[word], `${word} has a line`);
});
