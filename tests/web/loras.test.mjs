/** LoRAs: kept, named in a prompt or given, merged into the model and gone again; asked of the package's client on both ways. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { missingIn, sayMissing } from '../../www/catalogue/named.js';
import { madeFor, tagsOf, whenOf, whenRest } from '../../www/catalogue/tags.js';
import { lora } from './lora.mjs';
import { draw, psnr, ready, saveExact, set, stand, visitor } from './page.mjs';
import { safetensors, swin } from './upscaler.mjs';

const it = stand({ before, after, afterEach });

const about = {
  ss_base_model_version: 'mini', ss_output_name: 'Shiny things', 'modelspec.description': 'Everything shines.',
  ss_tag_frequency: JSON.stringify({ '4_shiny': { shiny: 9, apple: 2 }, more: { apple: 1, 'a photo': 30 } }),
};

for (const engine of ['cpu', 'webgpu']) {
  test(`a LoRA is kept, named, weighed, given, taken away (${engine})`, { timeout: 240_000 }, async () => {
    const page = await visitor(it, { path: 'blank.html' });
    const files = {
      'shiny.safetensors': lora({ metadata: about }), 'words.safetensors': lora({ seed: 2, text: true }),
      'wide.safetensors': lora({ wide: 2048, metadata: { ss_base_model_version: 'sdxl_base_v1-0' } }),
      'none.safetensors': Buffer.from('no network at all'),
    };
    for (const [name, body] of Object.entries(files)) {
      await page.route(`**/${name}`, (route) => route.fulfill({ body, contentType: 'application/octet-stream' }));
    }
    const made = await page.evaluate(async (engine) => {
      const [{ OpenGen }, { mini }] = await Promise.all([import('./client.js'), import('./models.js')]);
      const file = async (name) => new File([await (await fetch(name)).blob()], name);
      const og = await OpenGen.create({ engine, model: mini });
      const usual = { steps: 2, seed: 1, guidance: 1, width: 64, height: 64, previews: false };
      const draw = async (prompt, more = {}) => {
        const { image, png, notices } = await og.generate({ ...usual, prompt, ...more });
        const digest = await crypto.subtle.digest('SHA-256', image.data);
        return { picture: [...new Uint8Array(digest)].join(), notices, text: await png[0].text() };
      };
      const failed = (promise) => promise.then(() => 'fine', ({ code, field, message }) => `${code} ${field}: ${message}`);
      const said = (text) => text.match(/parameters\0[^]*?RNG: [^\0]*/)?.[0].slice(11) ?? text.slice(0, 400);
      const answers = { plain: await draw('a red apple') };
      answers.unknown = await draw('a red apple <lora:shiny:1>');
      answers.kept = await og.networks.add(await file('shiny.safetensors'));
      await og.networks.add('words.safetensors');
      answers.list = (await og.networks.list()).map(({ name }) => name);
      answers.named = await draw('a red apple <lora:shiny:1>');
      answers.titled = await draw('a red apple <lora:Shiny things>');
      answers.commented = await draw('a red apple # <lora:shiny:1>');
      answers.remarked = await draw('a red apple <lora:shiny:1> # shiny');
      answers.half = await draw('a red apple <lora:shiny:0.5>');
      answers.nothing = await draw('a red apple <lora:shiny:0>');
      answers.given = await draw('a red apple', { loras: [{ model: await file('shiny.safetensors') }] });
      answers.address = await draw('a red apple', { loras: [{ model: 'shiny.safetensors', weight: 1 }] });
      answers.byName = await draw('a red apple', { loras: [{ name: 'shiny' }] });
      answers.blocks = await draw('a red apple', { loras: [{ name: 'shiny', blocks: Array.from({ length: 26 }, (_, i) => Number(i < 14)) }] });
      answers.diffusers = await draw('a red apple <lora:shiny:1>', { dialect: 'diffusers' });
      answers.late = await draw('a red apple <lora:shiny:1:start=2>');
      answers.early = await draw('a red apple', { loras: [{ name: 'shiny', stop: 0.5 }] });
      answers.never = await draw('a red apple', { loras: [{ name: 'shiny', stop: 1 }] });
      answers.always = await draw('a red apple <lora:shiny:1:start=1:stop=3>');
      answers.moment = await failed(draw('a red apple', { loras: [{ name: 'shiny', start: 1.5 }] }));
      answers.text = await draw('a red apple <lora:words:1:0>');
      answers.both = await draw('a red apple <lora:shiny:1> <lora:words:0.7>');
      answers.after = await draw('a red apple');
      answers.wide = await failed(draw('a red apple', { loras: [{ model: 'wide.safetensors' }] }));
      answers.none = await failed(og.networks.add('none.safetensors'));
      answers.missing = await failed(draw('a red apple', { loras: [{ name: 'nowhere' }] }));
      answers.empty = await failed(draw('a red apple', { loras: [{ weight: 1 }] }));
      answers.misspelt = await failed(draw('a red apple', { loras: [{ name: 'shiny', wieght: 1 }] }));
      answers.short = await failed(draw('a red apple', { loras: [{ name: 'shiny', blocks: [1, 2] }] }));
      answers.again = await draw('a red apple <lora:shiny:1>');
      answers.same = await failed(og.networks.add('shiny.safetensors'));
      answers.other = await failed(og.networks.add('words.safetensors', { name: 'shiny' }));
      answers.badName = await failed(og.networks.add('words.safetensors', { name: 'a:b' }));
      await og.networks.rename('shiny', 'shinier');
      answers.taken = await failed(og.networks.rename('shinier', 'words'));
      answers.renamed = await draw('a red apple <lora:shinier:1>');
      answers.study = (await og.study({ what: 'begin', request: { ...usual, prompt: 'a red apple <lora:shinier:1>' } })) && await draw('a red apple');
      await og.networks.remove('shinier');
      answers.removed = await draw('a red apple <lora:shinier:1>');
      answers.left = (await og.networks.list()).map(({ name }) => name);
      og.dispose();
      for (const answer of Object.values(answers)) if (answer?.text) answer.text = said(answer.text);
      return answers;
    }, engine);
    const { plain, named, half, text, both } = made;
    const left = ['“<lora:shiny:1>” is left out: no network of that name is here.'];
    assert.deepEqual([made.unknown.picture, made.unknown.notices], [plain.picture, left]);
    assert.deepEqual({ ...made.kept, added: 0, hash: made.kept.hash.length }, {
      name: 'shiny', bytes: files['shiny.safetensors'].length, hash: 12, added: 0,
      about: { title: 'Shiny things', description: 'Everything shines.', base: 'mini', words: ['a photo', 'shiny', 'apple'], ranks: [4, 4], kind: 'lora' },
    });
    assert.deepEqual(made.list, ['shiny', 'words']);
    assert.deepEqual(named.notices, []);
    assert.equal(new Set([plain, named, half, made.blocks, made.late, made.early, text, both].map(({ picture }) => picture)).size, 8, 'all different');
    for (const same of ['titled', 'given', 'address', 'byName', 'again', 'renamed', 'always', 'remarked']) assert.equal(made[same].picture, named.picture, same);
    for (const same of ['nothing', 'commented', 'after', 'never', 'removed', 'study']) assert.equal(made[same].picture, plain.picture, `${same}: byte for byte`);
    assert.match(named.text, /^a red apple <lora:shiny:1>\n/);
    assert.match(named.text, new RegExp(`Lora hashes: "?shiny: ${made.kept.hash}`));
    assert.match(both.text, /^a red apple <lora:shiny:1> <lora:words:0\.7>\n/);
    assert.match(made.late.text, /^a red apple <lora:shiny:1:start=2>\n/);
    assert.match(made.early.text, /<lora:shiny:1:stop=0\.5>/);
    assert.match(made.moment, /INVALID_INPUT loras: start is 1\.5, expected a step from 1 on or a share below 1/);
    assert.match(text.text, /<lora:words:1:0>/);
    assert.doesNotMatch(plain.text, /lora/i);
    assert.match(made.wide, /BAD_MODEL .*wide.*another family of models; it was trained for sdxl_base_v1-0/);
    assert.match(made.none, /BAD_MODEL|OTHER_MODEL/);
    assert.match(made.missing, /INVALID_INPUT loras: there is no network nowhere/);
    assert.match(made.empty, /INVALID_INPUT loras: .*neither/);
    assert.match(made.misspelt, /lora has no option "wieght": did you mean "weight"/);
    assert.match(made.short, /INVALID_INPUT loras: blocks are 2 numbers, expected 26/);
    assert.equal(made.same, 'fine');
    assert.match(made.other, /INVALID_INPUT name: there is another network of the name shiny/);
    assert.match(made.badName, /INVALID_INPUT name: .*a:b/);
    assert.match(made.taken, /INVALID_INPUT name: there is a network of the name words/);
    assert.deepEqual(made.left, ['words']);
  });
}

test('tags are found in a prompt', () => {
  const tags = tagsOf('an <lora:a b:0.5:0.2> <lyco:c> <hypernet:d:1> <lora:e:te=0:unet=1> <lora:f:>');
  assert.deepEqual(tags.map(({ name, weight, rest }) => [name, weight, rest]), [['a b', 0.5, ':0.2'], ['c', 1, ''], ['e', 1, ':te=0:unet=1'], ['f', 1, '']]);
  assert.deepEqual([tags[0].start, tags[0].end], [3, 21]);
  // A1111's comments are passed over, and everything stays where it stands.
  const behind = '# <lora:a:1>\nan <lora:b:1> # <lora:c:1>';
  assert.deepEqual(tagsOf(behind).map(({ name, start }) => [name, start]), [['b', 16]]);
  assert.equal(tagsOf(behind, 'comfyui').length, 3);
});

test('a tag says in which steps its LoRA counts, and is written again so', () => {
  assert.deepEqual(whenOf(':te=0:start=4:stop=0.8'), { start: 4, stop: 0.8, other: ':te=0' });
  assert.deepEqual(whenOf(':step=5-10'), { start: 5, stop: 10, other: '' });
  assert.deepEqual(whenOf(':start=1.5:stop='), { start: null, stop: null, other: '' });
  assert.equal(whenRest({ start: 3, stop: null, other: ':0.2' }), ':0.2:start=3');
  assert.equal(whenRest({ start: null, stop: 0.5, other: '' }), ':stop=0.5');
});

test('what a prompt names and nobody has is found: LoRAs in tags, embeddings as ComfyUI and diffusers name them', () => {
  const all = [
    { name: 'shiny', about: { kind: 'lora', title: 'Shiny things' } }, { name: 'easyneg', about: { kind: 'embedding', token: '<cat-toy>' } },
    { name: 'canny', about: { kind: 'controlnet' } },
  ];
  const found = (text, how) => missingIn(text, all, how).map(({ kind, name, start, end }) => [kind, name, text.slice(start, end)]);
  assert.deepEqual(found('an apple <lora:shiny:1> <lyco:Shiny things> <lora:SHINY:0.5:2> embedding:EasyNeg, (embedding:a/easyneg.safetensors:1.2) <cat-toy>'), []);
  assert.deepEqual(found('a < b, i <3 you, (red:1.2) [a|b]'), []);
  assert.deepEqual(found('<lora: a b :0.5> (embedding:gone:1.2), <dog> <lora:canny>'), [
    ['lora', 'a b', 'a b'], ['embedding', 'gone', 'gone'], ['embedding', '<dog>', '<dog>'], ['lora', 'canny', 'canny'],
  ]);
  assert.deepEqual(found('<lora:gone> embedding:gone', { loras: false }), [['embedding', 'gone', 'gone']]);
  assert.equal(sayMissing([]), '');
  assert.equal(sayMissing(missingIn('<lora:a> <lora:a:0.5> embedding:b', all)), '“a” is a LoRA that is not here: without its file it is left out. '
    + '“b” is an embedding that is not here: without its file it is plain words.');
  assert.match(sayMissing(missingIn('<lora:a> <lora:b>', all)), /^“a” and “b” are LoRAs that are not here: without their files/);
  assert.match(sayMissing(missingIn('<lora:a> <lora:b> <lora:c> <lora:d>', all)), /^“a”, “b”, “c” and others are LoRAs/);
});

for (const viewport of [{ width: 1280, height: 800 }, { width: 390, height: 844 }]) {
  test(`what is named and not here is underlined where it stands, and said (${viewport.width} pixels)`, async () => {
    const page = await visitor(it, { path: '?engine=cpu', viewport, settings: viewport.width > 600, reducedMotion: 'reduce' });
    await ready(page);
    const prompt = page.getByLabel('Prompt', { exact: true });
    const said = page.locator('#prompt-names');
    const lines = page.locator('.composer .underlines u');
    const text = 'a red apple <lora:shiny things:0.8> next to a\nembedding:easyneg and a panda in the snow <cat-toy> <lora:gone:1>';
    await prompt.fill(text);
    await said.getByText('“shiny things” and “gone” are LoRAs that are not here').waitFor();
    await said.getByText('“easyneg” and “<cat-toy>” are embeddings that are not here').waitFor();
    assert.equal(await said.getAttribute('role'), 'status');
    assert.match(await prompt.getAttribute('aria-describedby'), /\bprompt-names\b/);
    assert.equal(await page.locator('.composer .underlines').getAttribute('aria-hidden'), 'true');
    // Each line lies under the very letters of the field that it means.
    const under = () => page.evaluate(() => {
      const field = document.getElementById('prompt');
      const box = field.getBoundingClientRect();
      return [...document.querySelectorAll('.composer .underlines u')].map((line) => {
        const [first, last] = [[...line.getClientRects()].at(0), [...line.getClientRects()].at(-1)];
        const at = (x, { top, height }) => document.caretPositionFromPoint(x, top + height / 2);
        const [from, to] = [at(first.left + 1, first), at(last.right - 1, last)];
        const isSeen = first.top >= box.top && last.bottom <= box.bottom;
        return [line.textContent, isSeen ? field.value.slice(from.offset, to.offset) : '', from.offsetNode === field || !isSeen];
      });
    });
    assert.deepEqual(await under(), ['shiny things', 'easyneg', '<cat-toy>', 'gone'].map((name) => [name, name, true]));
    const height = () => prompt.evaluate((field) => field.getBoundingClientRect().height);
    const before = await height();
    await page.evaluate(() => document.querySelectorAll('.underlines').forEach((layer) => { layer.style.display = 'none'; }));
    assert.equal(await height(), before, 'nothing moves for it');
    await page.evaluate(() => document.querySelectorAll('.underlines').forEach((layer) => { layer.style.display = ''; }));
    // A long prompt scrolls, and its lines with it.
    await prompt.fill(`${'a panda in the snow, '.repeat(30)}<lora:gone:1>`);
    await prompt.evaluate((field) => { field.scrollTop = field.scrollHeight; });
    await page.waitForFunction(() => {
      const [line, field] = [document.querySelector('.composer .underlines u'), document.getElementById('prompt')];
      return field.scrollTop > 0 && line?.getBoundingClientRect().bottom <= field.getBoundingClientRect().bottom;
    });
    assert.deepEqual(await under(), [['gone', 'gone', true]]);
    // Its file comes: the line is gone, and so are the words.
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), said.getByRole('button', { name: 'Add a file' }).click()]);
    await chooser.setFiles({ name: 'gone.safetensors', mimeType: '', buffer: lora() });
    await lines.waitFor({ state: 'detached' });
    await said.waitFor({ state: 'hidden' });
    assert.match(await prompt.inputValue(), /<lora:gone:1>$/);
    if (viewport.width > 600) {
      await page.getByLabel('Negative prompt').fill('embedding:missing <lora:not-read-here:1>');
      await said.getByText('“missing” is an embedding that is not here').waitFor();
      assert.deepEqual(await page.locator('.field .underlines u').allInnerTexts(), ['missing']);
    }
  });
}

test('what a LoRA was made for is told by its name', () => {
  assert.deepEqual(madeFor('LCM_LoRA_Weights_SD15'), { sampler: 'lcm', schedule: 'default', steps: '6', guidance: '1.5' });
  assert.equal(madeFor('x', 'Hyper-SD15-8steps-lora').steps, '8');
  assert.equal(madeFor('Hyper-SD15-12steps-CFG-lora').guidance, '5');
  assert.equal(madeFor('sd15_lightning_4step_lora').guidance, '1');
  assert.equal(madeFor('TCD-SD15-LoRA').sampler, 'tcd');
  assert.equal(madeFor('watercolour', ''), null);
});

/** Drops a file on the page. */
const drop = (page, name, bytes) => page.evaluate(async ([name, base64]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
  const event = (type) => new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
  for (const type of ['dragover', 'drop']) document.body.dispatchEvent(event(type));
}, [name, bytes.toString('base64')]);

test('a file that no memory holds is refused before it is read, with both sizes', async () => {
  const { add } = await import('../../www/networks.js');
  const about = { kind: 'lora' };
  const huge = { size: 4e9, slice: (from, to) => ({ size: to - from, arrayBuffer: async () => new ArrayBuffer(to - from) }) };
  const look = (name, beginning, bytes) => {
    assert.ok(beginning.length < 2 ** 20, 'no more than its beginning is read');
    assert.equal(bytes, 4e9);
    return about;
  };
  await assert.rejects(add(huge, { name: 'large', look }), /large has 4\.0 GB; one of up to 1 GB is taken/);
});

test('a file that is dropped is used, weighed by a slider or in words, renamed, deleted, put back', { timeout: 240_000 }, async () => {
  const page = await visitor(it, { path: '?engine=cpu' });
  await ready(page);
  const [prompt, state] = [page.locator('#prompt'), page.locator('#loras-state')];
  const report = page.locator('#report');
  const steps = { Steps: 3, Seed: 5 };
  const plain = await draw(page, 'a red apple', steps);
  await drop(page, 'shiny.safetensors', lora({ metadata: about }));
  await report.getByText('“shiny” changes what is drawn from now on.').waitFor({ timeout: 60_000 });
  assert.equal(await prompt.inputValue(), 'a red apple <lora:shiny:1>');
  assert.equal(await state.textContent(), '1 in use');
  const shiny = await draw(page, 'a red apple <lora:shiny:1>', steps);
  const change = psnr(plain, shiny);
  assert.ok(change < 30, `${change.toFixed(1)} dB: it shows`);
  const [saved] = await Promise.all([page.waitForEvent('download'), saveExact(page)]);

  const slider = page.getByLabel('How much of shiny');
  await slider.fill('0.3');
  assert.equal(await prompt.inputValue(), 'a red apple <lora:shiny:0.3>');
  const when = page.locator('.lora-when');
  await when.getByText('In all steps').click();
  const [from, until] = [page.getByLabel('From which step of shiny'), page.getByLabel('Until before which step of shiny')];
  await when.locator('label', { hasText: 'From' }).click();
  assert.equal(await from.evaluate((field) => field === document.activeElement), true, 'a label leads to its field');
  await from.fill('3');
  await until.fill('0.8');
  await until.blur();
  assert.equal(await prompt.inputValue(), 'a red apple <lora:shiny:0.3:start=3:stop=0.8>');
  await when.getByText('From step 3 on, until before 80 %').waitFor();
  await until.fill('2.5');
  await until.blur();
  assert.equal(await until.getAttribute('aria-invalid'), 'true');
  assert.equal(await prompt.inputValue(), 'a red apple <lora:shiny:0.3:start=3:stop=0.8>', 'nothing is written that is no step');
  for (const field of [from, until]) {
    await field.fill('');
    await field.blur(); // what is written takes the focus for a moment
  }
  assert.equal(await prompt.inputValue(), 'a red apple <lora:shiny:0.3>');
  await prompt.fill('a red apple <lora:shiny:-2:lbw=1>');
  assert.equal(await slider.inputValue(), '-2');
  await page.locator('.loras .switch').getByText('shiny', { exact: true }).click();
  assert.equal(await prompt.inputValue(), 'a red apple');
  assert.equal(await state.textContent(), 'none in use');
  await page.getByRole('button', { name: 'a photo', exact: true }).click();
  assert.equal(await prompt.inputValue(), 'a red apple, a photo');
  await prompt.fill('a red apple <lora:shiny:0.5> <lora:gone:1>');
  assert.equal(await state.textContent(), '1 missing');
  await page.locator('.loras-missing').getByText('“gone” is named in the prompt and is not here').waitFor();
  await page.locator('.loras-missing').getByRole('button', { name: 'Take it out' }).click();
  assert.equal(await prompt.inputValue(), 'a red apple <lora:shiny:0.5>');

  // One of nearly the same name is looked for among those that are here.
  await prompt.fill('a red apple <lora:the shiny_v2:1>');
  await page.locator('#prompt-names').getByText('“the shiny_v2” is a LoRA that is not here').waitFor();
  await page.locator('#prompt-names').getByRole('button', { name: 'Search yours' }).click();
  const find = page.getByLabel('Search your LoRAs');
  assert.deepEqual([await find.inputValue(), await find.evaluate((field) => field === document.activeElement)], ['shiny', true]);
  assert.equal(await page.locator('.loras li').filter({ hasText: 'shiny' }).isVisible(), true);
  await find.fill('round');
  assert.equal(await page.locator('.loras li').filter({ hasText: 'shiny' }).isVisible(), false);
  await find.fill('');
  await prompt.fill('a red apple <lora:shiny:0.5>');

  // Another file of the same name gets a name of its own; what is no LoRA is refused in words.
  await page.locator('#lora-file').setInputFiles({ name: 'shiny.safetensors', mimeType: '', buffer: lora({ seed: 9 }) });
  await report.getByText('“shiny 2” changes what is drawn from now on.').waitFor();
  await report.getByRole('button', { name: 'Take it out' }).click();
  assert.equal(await prompt.inputValue(), 'a red apple <lora:shiny:0.5>');
  await page.locator('#lora-file').setInputFiles({ name: 'other.safetensors', mimeType: '', buffer: swin() });
  await report.getByText('“other.safetensors” was not added.').waitFor();

  await page.getByRole('button', { name: 'Rename shiny', exact: true }).click();
  await page.getByLabel('Another name for shiny').fill('glossy');
  await page.keyboard.press('Enter');
  await page.getByLabel('How much of glossy').waitFor();
  assert.equal(await prompt.inputValue(), 'a red apple <lora:glossy:0.5>');
  // A picture that was drawn with it, under the name that it had, knows it by its hash.
  await page.locator('#recall-file').setInputFiles({ name: 'shiny.png', mimeType: 'image/png', buffer: readFileSync(await saved.path()) });
  await report.getByText('The LoRA “shiny” is called “glossy” here.').waitFor();
  assert.equal(await prompt.inputValue(), 'a red apple <lora:glossy:1>');
  await prompt.fill('a red apple <lora:glossy:0.5>');
  await page.getByRole('button', { name: 'Delete glossy' }).click();
  await report.getByText('“glossy” is deleted.').waitFor();
  assert.equal(await prompt.inputValue(), 'a red apple');
  await report.getByRole('button', { name: 'Put it back' }).click();
  await page.getByLabel('How much of glossy').waitFor();
  assert.equal(await prompt.inputValue(), 'a red apple <lora:glossy:0.5>');

  // One for few steps says so by its name, and brings its settings.
  await page.locator('#lora-file').setInputFiles({ name: 'lcm-lora-mini.safetensors', mimeType: '', buffer: lora({ seed: 4, size: 0.1 }) });
  await report.getByText('It was made for 6 steps, guidance 1.5 and the sampler LCM.').waitFor();
  await report.getByRole('button', { name: 'Set that' }).click();
  assert.deepEqual(await Promise.all(['#sampler', '#steps', '#guidance'].map((id) => page.locator(id).inputValue())), ['lcm', '6', '1.5']);
  await prompt.fill('a red apple <lora:glossy:0.5>');
  await set(page, { Sampler: 'ddim', Guidance: 2 });

  // An embedding is a word: it draws what it stands for wherever it is written, and its name means nothing to other models.
  const word = (width) => safetensors({ emb_params: { shape: [2, width], values: Float32Array.from({ length: 2 * width }, (_, i) => ((i * 37) % 19 - 9) / 90) } });
  await prompt.fill('a red apple gloop');
  const without = await draw(page, 'a red apple gloop', steps);
  await drop(page, 'gloop.safetensors', word(128));
  await report.getByText('“gloop” is a word of your own now.').waitFor({ timeout: 60_000 });
  const within = await draw(page, 'a red apple gloop', steps);
  assert.ok(psnr(without, within) < 45, `${psnr(without, within).toFixed(1)} dB: it shows`);
  assert.equal(await state.textContent(), '1 in use');
  await drop(page, 'wide.safetensors', word(768));
  await report.getByText('“wide” is a word of your own now.').waitFor({ timeout: 60_000 });
  await page.locator('.loras').getByText('for Stable Diffusion 1').waitFor();
  await draw(page, 'a wide red apple', steps); // as the word that it was
  await page.locator('.loras li').filter({ hasText: 'gloop' }).getByRole('button', { name: 'Into the negative prompt' }).click();
  assert.equal(await page.locator('#negativePrompt').inputValue(), 'gloop');
  await page.locator('#negativePrompt').fill('');
  await prompt.fill('a red apple <lora:glossy:0.5>');

  // It is there at the next visit.
  const glossy = await draw(page, 'a red apple <lora:glossy:1>', steps);
  assert.deepEqual(glossy.data, shiny.data, 'the same file under another name');
  await page.reload();
  await ready(page);
  assert.equal(await prompt.inputValue(), 'a red apple <lora:glossy:1>');
  await page.locator('#loras > summary').click();
  await page.getByLabel('How much of glossy').waitFor();
  assert.equal(await state.textContent(), '1 in use');
});
