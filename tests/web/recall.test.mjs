/** Settings that come from elsewhere: out of a picture's file, out of a link. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { linkTo, readLink } from '../../www/js/link.js';
import { asFile, png, withExif } from './files.mjs';
import {
  begins, cancelButton, draw, finished, generateButton, pixels, promptOf, psnr, ready, saveExact, set, stand, tab,
  visitor,
} from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const report = (page) => page.locator('#report');
const lines = (page) => report(page).getByRole('listitem').allTextContents();
const says = (page, words) => report(page).getByText(words).waitFor();

/** The time that a note names. */
const seconds = async (note) => {
  const [, minutes = 0, rest = 0] = /takes about (?:(\d+) min)? ?(?:(\d+) s)?/.exec(await note.textContent());
  return 60 * Number(minutes) + Number(rest);
};

/** What the form holds, by field. */
const form = (page) => page.evaluate(() => Object.fromEntries(
  ['prompt', 'negativePrompt', 'steps', 'guidance', 'seed', 'sampler', 'schedule', 'rng', 'dialect', 'width', 'height', 'batch',
    'variationStrength', 'variationSeed'].map((id) => [id, document.getElementById(id).value])));

/** Brings a file to the page: chosen, dropped or pasted. */
const bring = {
  chosen: (page, file) => page.setInputFiles('#recall-file', file),
  dropped: (page, file) => act(page, file, (data) => {
    const event = (type) => new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event('dragover'));
    window.offered = !document.querySelector('#drop').hidden;
    document.body.dispatchEvent(event('drop'));
  }),
  pasted: (page, file) => act(page, file, (data) => {
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  }),
};

function act(page, { name, mimeType, buffer }, gesture) {
  return page.evaluate(([file, type, bytes, source]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], file, { type }));
    new Function('data', `(${source})(data)`)(data); // evaluated by the tests' own connection, which no policy binds
  }, [name, mimeType, buffer.toString('base64'), gesture.toString()]);
}

test('our own picture brings everything back and makes the same picture, however it is brought', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.locator('#variation').evaluate((element) => { element.open = true; });
  await set(page, { 'Negative prompt': 'green', Strength: 0.25, 'Variation seed': 77, Schedule: 'karras', Noise: 'philox' });
  const shown = await draw(page, 'яблоко, (red:1.2)', { Steps: 2, Guidance: 2.5, Seed: '18446744073709551615', Sampler: 'dpm++-2m' });
  const before = await form(page);
  const [download] = await Promise.all([page.waitForEvent('download'), saveExact(page)]);
  const file = asFile(readFileSync(await download.path()), 'apple.png');

  for (const [how, brought] of Object.entries(bring)) {
    const other = await tab(page.context(), it);
    await ready(other);
    await other.getByRole('button', { name: 'Reset' }).click();
    await promptOf(other).fill('something else');
    await brought(other, file);
    await says(other, /^Settings read from /);
    assert.deepEqual(await form(other), { ...before, batch: '1' }, how);
    assert.deepEqual(await lines(other), [], how);
    assert.equal(await cancelButton(other).count(), 0, 'nothing is drawn unasked');
    if (how === 'dropped') {
      assert.equal(await other.evaluate(() => window.offered), true, 'the page says that it takes files');
      assert.equal(await other.locator('#drop').isVisible(), false);
      await begins(other, () => generateButton(other).click());
      await finished(other);
      assert.equal(psnr(await pixels(other), shown), Infinity);
    }
    assert.deepEqual(other.trouble, []);
    await other.close();
  }
});

const A1111 = `masterpiece, 1girl, <lora:detail:0.8> smiling
Negative prompt: (worst quality:1.4), lowres
Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1234567890, Size: 512x768, Model hash: ab12, Model: v1-5-pruned, `
  + 'Denoising strength: 0.4, Clip skip: 2, Face restoration: CodeFormer, Hires upscale: 2, Lora hashes: "detail: 1f2e", Version: v1.9.4';

/** As nobody would leave it who sees whether a file's settings arrive. */
async function cleared(page) {
  await page.getByRole('button', { name: 'Reset' }).click();
  await promptOf(page).fill('what I was typing');
  return form(page);
}

test('A1111’s picture, in each kind of text, also behind the pixels: what can be is taken, the rest is said', async () => {
  const page = await visitor(it);
  await ready(page);
  const before = await cleared(page);
  const kinds = [['tEXt', false], ['tEXt', true], ['zTXt', false], ['iTXt', false], ['compressed', false]];
  for (const [kind, behind] of kinds) {
    const name = `${kind}, ${behind ? 'behind' : 'before'} the pixels`;
    assert.deepEqual(await cleared(page), before, name);
    assert.equal(await page.locator('#sampling-state').textContent(), 'as usual', name);
    await bring.dropped(page, asFile(png({ kind, text: A1111, behind }), `${name}.png`));
    await says(page, `Settings read from “${name}.png”.`);
    assert.deepEqual(await form(page), {
      prompt: 'masterpiece, 1girl, <lora:detail:0.8> smiling', negativePrompt: '(worst quality:1.4), lowres', steps: '28', guidance: '7.5',
      seed: '1234567890', sampler: 'dpm++-2m', schedule: 'karras', rng: 'philox', dialect: 'a1111', width: '128', height: '128', batch: '1',
      variationStrength: '0', variationSeed: '',
    }, name);
    const said = (await lines(page)).join('\n');
    for (const words of [/Not used here: Face restoration\./, /“v1-5-pruned”, which is not here/,
      /It is 512×768, and Mini was made for 128×128: 128×128 stays/]) {
      assert.match(said, words, name);
    }
    await page.locator('#loras-state').getByText('1 missing').waitFor();
    await page.locator('#second-state').getByText('× 2').waitFor(); // hires fix
    await page.locator('#sampling-state').getByText('1 set').waitFor(); // clip skip
    assert.equal(await page.locator('#clipSkip').inputValue(), '2', name);
    assert.equal(await page.getByRole('checkbox', { name: 'Random seed' }).isChecked(), false, name);
  }
});

test('A1111’s text in JPEG and WebP', async () => {
  const page = await visitor(it);
  await ready(page);
  for (const type of ['image/jpeg', 'image/webp']) {
    await cleared(page);
    const text = 'яблоко 🍎\nNegative prompt: ugly\nSteps: 12, Sampler: Euler a, CFG scale: 3, Seed: 42, Size: 128x96';
    await bring.dropped(page, asFile(withExif(type, text), `apple in ${type}`, type));
    await says(page, `Settings read from “apple in ${type}”.`);
    const { prompt, negativePrompt, steps, sampler, seed, width, height } = await form(page);
    assert.deepEqual([prompt, negativePrompt, steps, sampler, seed, width, height],
      ['яблоко 🍎', 'ugly', '12', 'euler-a', '42', '128', '96'], type);
    assert.deepEqual(await lines(page), ['Its size, 128×96, was taken.'], type);
  }
});

test('a size that the model was not made for is offered, with the time each takes', async () => {
  const page = await visitor(it);
  await ready(page);
  const note = page.locator('#size-note');
  await draw(page, 'a cat', { Steps: 2 });
  await bring.dropped(page, asFile(png({ text: 'a dog\nSteps: 4, Sampler: DDIM, CFG scale: 2, Seed: 5, Size: 512x768' }), 'dog.png'));
  await says(page, 'Settings read from “dog.png”.');
  const [line] = await lines(page);
  assert.match(line, /^It is 512×768, and Mini was made for 128×128: 128×128 stays \(about \d+ s\)\.$/);
  assert.deepEqual([(await form(page)).width, (await form(page)).height], ['128', '128']);
  assert.equal(await note.isHidden(), true);
  await report(page).getByRole('button', { name: /^Take 512×768 \(about \d+ (s|min.*)\)$/ }).click();
  assert.deepEqual([(await form(page)).width, (await form(page)).height], ['512', '768']);
  assert.match(await note.textContent(), /^Mini was made for 128×128: much beyond that it repeats what it knows\. 512×768 takes about \d+ (s|min)/);
  // Up to one and a half times its own size nothing is said.
  await set(page, { Width: 192, Height: 192 });
  assert.equal(await note.isHidden(), true);
  await set(page, { Height: 200 });
  assert.match(await note.textContent(), /192×200 takes about/);
  // A step of Heun's asks the model twice.
  await set(page, { Steps: 1000, Sampler: 'euler' });
  const once = await seconds(note);
  await set(page, { Sampler: 'heun' });
  const ratio = (await seconds(note)) / once;
  assert.ok(ratio > 1.9 && ratio < 2.1, `${ratio} times as long`);
  await page.getByRole('button', { name: 'Reset' }).click();
  assert.equal(await note.isHidden(), true);
  assert.deepEqual(page.trouble, []);
});

const GRAPH = JSON.stringify({
  3: { class_type: 'KSampler', inputs: { seed: 7, steps: 9, cfg: 3, sampler_name: 'euler', scheduler: 'karras', positive: ['6', 0], negative: ['7', 0], latent_image: ['5', 0] } },
  5: { class_type: 'EmptyLatentImage', inputs: { width: 128, height: 128 } },
  6: { class_type: 'CLIPTextEncode', inputs: { text: 'a fox' } },
  7: { class_type: 'CLIPTextEncode', inputs: { text: 'ugly' } },
});

test('ComfyUI’s pictures say what they are: a plain graph is read, of another as much as can be', async () => {
  const page = await visitor(it);
  await ready(page);
  await bring.dropped(page, asFile(png({ keyword: 'prompt', text: GRAPH }), 'fox.png'));
  await says(page, 'Settings read from “fox.png”.');
  const { prompt, negativePrompt, steps, sampler, schedule, seed, rng, dialect } = await form(page);
  assert.deepEqual(
    [prompt, negativePrompt, steps, sampler, schedule, seed, rng, dialect],
    ['a fox', 'ugly', '9', 'euler', 'karras', '7', 'torch', 'comfyui'],
  );
  assert.match((await lines(page)).join('\n'), /Made by ComfyUI/);
  await promptOf(page).fill('what I was typing');
  await bring.dropped(page, asFile(png({ keyword: 'prompt', text: '{"3":{"class_type":"KSampler","inputs":{"seed":42}}}' }), 'bare.png'));
  await says(page, 'Settings read from “bare.png”.');
  assert.equal(await promptOf(page).inputValue(), 'what I was typing');
  assert.match((await lines(page)).join('\n'), /could not be read; what is typed stays/);
});

test('values that cannot be are named, and the others are taken', async () => {
  const page = await visitor(it);
  await ready(page);
  const before = await form(page);
  await bring.chosen(page, asFile(png({ text: 'a cat\nSteps: 5000, Sampler: DPM fast, CFG scale: 310, Seed: -1, Size: 500x9000, Schedule type: KL Optimal' })));
  await says(page, /^Settings read from/);
  assert.deepEqual(await form(page), { ...before, prompt: 'a cat' });
  const said = await lines(page);
  for (const words of [/“5000” was not taken: Steps/, /sampler “DPM fast”/, /“310” was not taken: Guidance/, /Seed is “-1”/,
    /multiple of 8/, /“9000” was not taken: Height/, /schedule “kl optimal”/]) {
    assert.ok(said.some((line) => words.test(line)), `${words} in\n${said.join('\n')}`);
  }
});

const good = png({ text: 'a cat\nSteps: 2, Sampler: DDIM, Seed: 5' });

test('a file without settings: a clear message, nothing changes, and the next one is read as ever', async () => {
  const page = await visitor(it);
  await ready(page);
  for (const [what, file, words] of [
    ['a JPEG', asFile(Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xd9]), 'photo.jpg', 'image/jpeg'), /“photo\.jpg” was not read.*no settings in it/s],
    ['a GIF', asFile(Buffer.from('GIF89a'), 'film.gif', 'image/gif'), /This is a GIF; settings are read from PNG, JPEG and WebP files/],
    ['a text file', asFile(Buffer.from('hello'), 'note.txt', 'text/plain'), /This is no picture; settings are read from PNG/],
    ['an empty file', asFile(Buffer.alloc(0), 'empty.png'), /This is an empty file/],
    ['a PNG without settings', asFile(png()), /no settings in it/],
    ['a PNG with other texts', asFile(png({ keyword: 'Comment', text: 'hi' })), /no settings in it/],
    ['a ComfyUI picture', asFile(png({ keyword: 'workflow', text: '{}' })), /ComfyUI/],
    ['a PNG that is cut short', asFile(good.subarray(0, 30)), /damaged/],
    ['a PNG with a broken checksum', asFile(Buffer.concat([good.subarray(0, 20), Buffer.from([9]), good.subarray(21)])), /damaged/],
  ]) {
    const before = await cleared(page);
    await bring.chosen(page, file);
    await says(page, 'was not read.');
    assert.match(await report(page).innerText(), words, what);
    assert.deepEqual(await form(page), before, what);
    assert.equal(await page.getByRole('alert').count(), 0, what);
    assert.deepEqual(page.trouble, [], what);
    await bring.chosen(page, asFile(good));
    await says(page, /^Settings read from/);
    assert.equal(await promptOf(page).inputValue(), 'a cat', what);
  }
});

test('a huge file is not read, and says how large one may be', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'opengen-'));
  try {
    const path = join(folder, 'huge.png');
    writeFileSync(path, Buffer.concat([good, Buffer.alloc(65e6)]));
    const page = await visitor(it);
    await ready(page);
    await page.setInputFiles('#recall-file', path);
    await says(page, '“huge.png” was not read.');
    assert.deepEqual(await lines(page), ['It has 65 MB; up to 64 MB are read.']);
    assert.equal(await promptOf(page).inputValue(), '');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a picture whose end is missing still gives its settings, and says so', async () => {
  const page = await visitor(it);
  await ready(page);
  await bring.chosen(page, asFile(good.subarray(0, good.length - 14)));
  await says(page, 'The picture itself is damaged (it breaks off before its end); its settings could be read.');
  assert.equal(await promptOf(page).inputValue(), 'a cat');
});

test('a pasted picture without settings says why; pasted text goes into the prompt as ever', async () => {
  const page = await visitor(it, { permissions: ['clipboard-read', 'clipboard-write'] });
  await ready(page);
  await bring.pasted(page, asFile(png(), 'image.png'));
  await says(page, /Copying a picture loses its settings/);
  await report(page).getByRole('button', { name: 'Close' }).click();
  await page.evaluate(() => navigator.clipboard.writeText('a pasted prompt'));
  await promptOf(page).focus();
  await page.keyboard.press('ControlOrMeta+v');
  assert.equal(await promptOf(page).inputValue(), 'a pasted prompt');
  assert.equal(await report(page).isVisible(), false);
});

test('links: what goes in comes out', () => {
  const values = { prompt: 'a & b = “c” #1 яблоко 🍎\nline', negativePrompt: '+%20', steps: '7', seed: '18446744073709551615', sampler: 'dpm++-2m', schedule: 'default' };
  const link = new URL(linkTo(values, 'https://example.org/x/?engine=cpu#old'));
  assert.equal(link.origin + link.pathname + link.search, 'https://example.org/x/');
  assert.ok(!link.hash.includes('schedule'), 'plain values are left out');
  const read = readLink(link.hash);
  for (const [field, value] of Object.entries(values)) assert.equal(read.values[field], value, field);
  assert.deepEqual([read.values.variationStrength, read.values.batch, read.unknown], ['0', '1', []]);
  assert.deepEqual(readLink('#steps=%zz&steps=4&__proto__=1').values.steps, '%zz');
  assert.deepEqual(readLink('#x=1&__proto__=2').unknown, ['x', '__proto__']);
  for (const anchor of ['', '#', '#prompt']) assert.equal(readLink(anchor), null);
});

test('a link fills in the settings and never draws by itself', async () => {
  const page = await visitor(it, { permissions: ['clipboard-read', 'clipboard-write'] });
  await ready(page);
  const shown = await draw(page, 'a cat & a “dog” #1 🦊', { Steps: 2, Seed: 5, Sampler: 'euler', 'Negative prompt': 'green' });
  const before = await form(page);
  await page.getByText('More', { exact: true }).click();
  await page.getByRole('button', { name: 'Copy link to its settings' }).click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.includes('Link copied'));
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(link.startsWith(`${it.server.url}#`), link);

  const other = await visitor(it, { open: false });
  await other.goto(link.replace('#', '?engine=cpu#'));
  await ready(other);
  await says(other, /Nothing is drawn until you press Generate/);
  assert.deepEqual(await form(other), before);
  assert.deepEqual(await lines(other), []);
  assert.equal(await other.locator('#status').textContent(), 'Ready');
  assert.equal(await other.locator('#frame').getAttribute('data-state'), 'empty');
  assert.equal(await other.evaluate(() => location.hash), '', 'a reload keeps what is typed from here on');
  await begins(other, () => generateButton(other).click());
  await finished(other);
  assert.equal(psnr(await pixels(other), shown), Infinity);
});

test('the settings of the form are a link too, without a random seed', async () => {
  const page = await visitor(it, { permissions: ['clipboard-read', 'clipboard-write'] });
  await ready(page);
  await promptOf(page).fill('a cat');
  await set(page, { Steps: 7 });
  await page.getByRole('button', { name: 'Copy link', exact: true }).click();
  await page.waitForFunction(() => document.querySelector('#status').textContent.includes('Link copied'));
  const { values } = readLink(new URL(await page.evaluate(() => navigator.clipboard.readText())).hash);
  assert.deepEqual([values.prompt, values.steps, values.seed], ['a cat', '7', '']);
  // Opened in the page that is there already.
  await page.evaluate(() => { location.hash = 'prompt=a+dog&steps=3'; });
  await says(page, /Nothing is drawn/);
  assert.equal(await promptOf(page).inputValue(), 'a dog');
  assert.equal(await page.getByRole('checkbox', { name: 'Random seed' }).isChecked(), true);
});

test('bad values in a link are refused one by one, and never break the page', async () => {
  const page = await visitor(it, { open: false });
  const bad = new URLSearchParams({
    prompt: '<img src=x onerror=alert(1)>', steps: '0', guidance: 'NaN', sampler: '__proto__', schedule: 'x', seed: '1e3',
    width: '65', height: '99999999999', noise: 'dice', pictures: '99', variation: '-1', 'variation-seed': '-5', model: 'sdxl',
    nonsense: '1',
  });
  await page.goto(`${it.server.url}?engine=cpu#${bad}`);
  await ready(page);
  await says(page, /Nothing is drawn/);
  const said = await lines(page);
  for (const words of [/“0” was not taken: Steps/, /“NaN” was not taken: Guidance/, /“__proto__” was not taken: There is no such sampler/, /“x” was not taken/, /“1e3” was not taken/,
    /multiple of 8, such as 64/, /“99999999999” was not taken/, /“dice” was not taken: There is no such noise/, /“99” was not taken: Pictures/, /“-1” was not taken: The strength/,
    /“-5” was not taken/, /model “sdxl”, which is not here/, /no setting “nonsense”/]) {
    assert.ok(said.some((line) => words.test(line)), `${words} in\n${said.join('\n')}`);
  }
  assert.equal(said.length, 13);
  assert.equal(await promptOf(page).inputValue(), '<img src=x onerror=alert(1)>');
  assert.equal((await form(page)).steps, '10', 'the model’s own stays');
  assert.deepEqual(page.trouble, []);

  for (const hash of ['%%%=%%%', `prompt=${'a'.repeat(5000)}`, '=&=&=', 'prompt=%F0%9F%A6%8A&seed=']) {
    await page.evaluate((text) => { location.hash = text; }, hash);
    await says(page, /Nothing is drawn/);
    await page.waitForFunction(() => location.hash === '');
  }
  assert.equal(await promptOf(page).inputValue(), '🦊');
  await draw(page, 'a cat', { Steps: 1 });
  assert.deepEqual(page.trouble, []);
});

test('a picture’s settings are saved as a graph for ComfyUI, with what it cannot hold said, and chosen again', async () => {
  const page = await visitor(it);
  await ready(page);
  await page.locator('#dialect').selectOption('comfyui');
  await draw(page, 'a (red:1.2) apple', { Steps: 3, Seed: 77, Guidance: 3 });
  await page.locator('#picture-menu > summary').click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save as a graph for ComfyUI' }).click()]);
  assert.match(download.suggestedFilename(), /^a-red-1-2-apple-77\.json$/);
  await page.locator('#report').getByText('Saved as a graph for ComfyUI.').waitFor();
  await page.locator('#report').getByText(/It begins with noise of size/).waitFor();
  const graph = readFileSync(await download.path(), 'utf8');
  const nodes = Object.values(JSON.parse(graph));
  assert.equal(nodes.find(({ class_type: kind }) => kind === 'KSampler').inputs.seed, 77);
  await set(page, { Steps: 9, Seed: 1 });
  await page.setInputFiles('#recall-file', { name: 'graph.json', mimeType: 'application/json', buffer: Buffer.from(graph) });
  await page.locator('#report').getByText('Settings read from “graph.json”. Its seed is set: 77.').waitFor();
  assert.equal(await page.locator('#steps').inputValue(), '3');
  assert.equal(await page.locator('#prompt').inputValue(), 'a (red:1.2) apple');
  assert.deepEqual(page.trouble, []);
});
