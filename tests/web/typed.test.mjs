/** Nothing typed is lost: whatever the page writes into the prompt can be taken back, and looking changes nothing. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { weigh } from '../../www/js/weigh.js';
import { asFile, png } from './files.mjs';
import {
  MODEL, assertDone, begins, cancelButton, draw, finished, generateButton, picture, pixels, promptOf, psnr, ready, says, set, shows, stand,
  visitor,
} from './page.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const MINE = 'a birthday card for my sister';
const putBack = (page) => page.getByRole('button', { name: 'Put back what you typed' });
const status = (page) => page.getByRole('status').first().textContent();
const thumbnails = (page) => page.locator('#earlier button');
const random = (page) => page.getByRole('checkbox', { name: 'Random seed' });
const seedOf = async (page) => /seed (\d+)/.exec(await status(page))?.[1];

/** Presses something and waits for the picture it begins. */
async function drawn(page, act) {
  await begins(page, act);
  await finished(page);
  await assertDone(page);
}

/** A page with a picture of earlier on, words typed into it, and few steps. */
async function typedPage() {
  const page = await visitor(it);
  await ready(page);
  await draw(page, 'a ghost on orange', { Steps: 1, Seed: 5 });
  await random(page).check();
  await promptOf(page).fill('');
  await promptOf(page).pressSequentially(MINE);
  return page;
}

const WAYS = {
  'an example': (page) => drawn(page, () => page.getByRole('button', { name: MODEL.examples[0].prompt, exact: true }).click()),
  'Surprise me': (page) => drawn(page, () => page.getByRole('button', { name: 'Surprise me' }).click()),
  'an earlier picture’s settings': async (page) => {
    await thumbnails(page).first().click();
    await page.getByRole('button', { name: 'Use its settings' }).click();
  },
  'a link': async (page) => {
    await page.evaluate(() => { location.hash = 'prompt=a+dog'; });
    await page.waitForFunction(() => document.querySelector('#prompt').value === 'a dog');
  },
  'a picture’s file': async (page) => {
    await page.setInputFiles('#recall-file', asFile(png({ text: 'a cow\nSteps: 2, Sampler: DDIM, Seed: 5' })));
    await page.waitForFunction(() => document.querySelector('#prompt').value === 'a cow');
  },
};

test('whatever replaces typed words leaves two ways back: undo, and a line that puts them back', async () => {
  const page = await typedPage();
  for (const [what, act] of Object.entries(WAYS)) {
    await act(page);
    assert.notEqual(await promptOf(page).inputValue(), MINE, what);
    assert.match(await page.locator('#put-back').innerText(), /“a birthday card for my sister” was replaced\./, what);
    await promptOf(page).focus();
    await page.keyboard.press('ControlOrMeta+z');
    assert.equal(await promptOf(page).inputValue(), MINE, `undo after ${what}`);
    assert.equal(await putBack(page).count(), 0, 'the line goes when it is no longer needed');

    await act(page);
    await putBack(page).click();
    assert.equal(await promptOf(page).inputValue(), MINE, `put back after ${what}`);
    assert.equal(await promptOf(page).evaluate((element) => element === document.activeElement), true);
    assert.equal(await putBack(page).count(), 0);
  }
});

test('what the page wrote itself is replaced without a word; what was typed stays on offer meanwhile', async () => {
  const page = await typedPage();
  await promptOf(page).fill('');
  const [one, two] = MODEL.examples;
  await drawn(page, () => page.getByRole('button', { name: one.prompt, exact: true }).click());
  assert.equal(await putBack(page).count(), 0, 'an empty box loses nothing');
  await drawn(page, () => page.getByRole('button', { name: two.prompt, exact: true }).click());
  assert.equal(await putBack(page).count(), 0, 'nor does one with an example in it');
  await promptOf(page).press('End');
  await promptOf(page).pressSequentially(', mine');
  await drawn(page, () => page.getByRole('button', { name: one.prompt, exact: true }).click());
  await drawn(page, () => page.getByRole('button', { name: two.prompt, exact: true }).click());
  await putBack(page).click();
  assert.equal(await promptOf(page).inputValue(), `${two.prompt}, mine`);
});

test('a negative prompt that was typed comes back too, with the settings that went with it', async () => {
  const page = await typedPage();
  await set(page, { 'Negative prompt': 'green', Steps: 7 });
  await page.getByRole('button', { name: 'Reset' }).click();
  assert.equal(await page.getByLabel('Negative prompt').inputValue(), '');
  assert.match(await page.locator('#put-back').innerText(), /“green” was replaced/);
  await putBack(page).click();
  assert.equal(await page.getByLabel('Negative prompt').inputValue(), 'green');
  assert.equal(await page.locator('#steps').inputValue(), '7');
  assert.equal(await promptOf(page).inputValue(), MINE);
  assert.equal(await random(page).isChecked(), true);
});

test('a word from the list is added, and undo takes it away again', async () => {
  const page = await typedPage();
  await page.getByText('Everything it knows').click();
  await page.getByLabel('Find a word').fill('pizza');
  await page.getByRole('button', { name: 'slice of pizza', exact: true }).click();
  assert.equal(await promptOf(page).inputValue(), `${MINE} slice of pizza`);
  assert.equal(await putBack(page).count(), 0, 'nothing was replaced');
  await promptOf(page).focus();
  await page.keyboard.press('ControlOrMeta+z');
  assert.equal(await promptOf(page).inputValue(), MINE);
});

test('looking at an earlier picture changes no setting; its settings are one press away', async () => {
  const page = await typedPage();
  await set(page, { Steps: 2 });
  await drawn(page, () => promptOf(page).press('Enter'));
  const form = () => page.evaluate(() => localStorage.getItem('opengen.form'));
  const before = await form();
  assert.equal(await page.getByRole('button', { name: 'Use its settings' }).count(), 0, 'not for what has just been made of them');
  await page.getByRole('button', { name: 'a ghost on orange, seed 5' }).click();
  await says(page, 'An earlier picture · seed 5');
  const looked = await pixels(page);
  assert.equal(await form(), before);
  assert.equal(await promptOf(page).inputValue(), MINE);
  assert.equal(await random(page).isChecked(), true);

  await drawn(page, () => generateButton(page).click());
  assert.notEqual(await seedOf(page), '5', 'what is drawn next is the form’s, with a seed of its own');
  await page.getByRole('button', { name: 'a ghost on orange, seed 5' }).click();
  await page.getByRole('button', { name: 'Use its settings' }).click();
  assert.deepEqual(await page.evaluate(() => ['prompt', 'steps', 'seed'].map((id) => document.getElementById(id).value)), ['a ghost on orange', '1', '5']);
  await drawn(page, () => generateButton(page).click());
  assert.equal(psnr(await pixels(page), looked), Infinity);
  assert.equal(await thumbnails(page).count(), 3, 'the same picture is not kept twice');
  await page.getByText('among yours already, and was not kept twice').waitFor();
  assert.equal(await page.getByRole('button', { name: 'a ghost on orange, seed 5' }).getAttribute('aria-current'), 'true');

  await drawn(page, () => generateButton(page).click());
  assert.notEqual(await seedOf(page), '5', 'nothing changed and pressed again: another picture');
  assert.equal(await random(page).isChecked(), true);
  assert.equal(await thumbnails(page).count(), 4);
});

test('an example pressed twice draws another seed the second time; a seed that was typed holds', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 1 });
  const [{ prompt, seed }] = MODEL.examples;
  const example = page.getByRole('button', { name: prompt, exact: true });
  await drawn(page, () => example.click());
  assert.equal(await seedOf(page), String(seed));
  await drawn(page, () => example.click());
  assert.notEqual(await seedOf(page), String(seed));
  assert.equal(await thumbnails(page).count(), 2);

  await set(page, { Seed: 77 });
  for (const _ of [1, 2]) {
    await drawn(page, () => generateButton(page).click());
    assert.equal(await seedOf(page), '77');
  }
  assert.equal(await thumbnails(page).count(), 3, 'the same picture is not kept twice');
  await page.getByText('The seed is set to 77.').waitFor();
  await drawn(page, () => page.getByRole('button', { name: 'Draw a new seed' }).click());
  assert.notEqual(await seedOf(page), '77');
  assert.equal(await random(page).isChecked(), true);
});

test('an empty prompt draws what stands in the box as an example', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 1 });
  const shown = await promptOf(page).getAttribute('placeholder');
  for (const nothing of ['', '  ']) {
    await promptOf(page).fill(nothing);
    await drawn(page, () => generateButton(page).click());
    assert.equal(await picture(page).getAttribute('aria-label'), shown);
    assert.equal(await promptOf(page).inputValue(), shown);
  }
});

test('two variations are told apart', async () => {
  const page = await visitor(it);
  await ready(page);
  await draw(page, 'a cat on pink', { Steps: 1, Seed: 5 });
  const seen = new Set();
  for (const _ of [1, 2]) {
    await drawn(page, () => page.getByRole('button', { name: 'Vary' }).click());
    assert.match(await status(page), /seed 5, variation \d+$/);
    seen.add(await status(page).then((words) => /variation (\d+)/.exec(words)[1]));
  }
  assert.equal(seen.size, 2);
});

test('weights as A1111 has them', () => {
  /** `[` and `]` stand for the ends of the selection. */
  const after = (marked, way) => {
    const start = marked.indexOf('[');
    const text = marked.replace('[', '').replace(']', '');
    const end = marked.includes(']') ? marked.indexOf(']') - 1 : start;
    const change = weigh(text, start, end, way);
    if (!change) return null;
    const whole = text.slice(0, change.start) + change.text + text.slice(change.end);
    const [from, to] = change.select;
    return `${whole.slice(0, from)}[${whole.slice(from, to)}]${whole.slice(to)}`;
  };
  for (const [before, way, wanted] of [
    ['a [cat] on pink', 1, 'a ([cat]:1.1) on pink'],
    ['a ([cat]:1.1) on pink', 1, 'a ([cat]:1.2) on pink'],
    ['a ([cat]:1.1) on pink', -1, 'a [cat] on pink'],
    ['a [cat] on pink', -1, 'a ([cat]:0.9) on pink'],
    ['a ca[t on pink', 1, 'a ([cat]:1.1) on pink'],
    ['a cat[, pink', 1, 'a ([cat]:1.1), pink'],
    ['a (black c[at:1.25) on', 1, 'a ([black cat]:1.35) on'],
    ['a [(black cat:1.2) ]on', -1, 'a ([black cat]:1.1) on'],
    ['([cat]:0.1)', -1, '([cat]:0)'],
    ['([cat]:0)', -1, '([cat]:0)'],
    ['(a) (b) [red cat ]x', 1, '(a) (b) ([red cat]:1.1) x'],
    [' [ ', 1, null],
    ['[', 1, null],
  ]) assert.equal(after(before, way), wanted, `${before} ${way}`);
});

test('the keys: weights with undo, Ctrl+Enter anywhere, Escape cancels, ? lists them', async () => {
  const page = await visitor(it);
  await ready(page);
  await promptOf(page).fill('a cat on pink');
  await promptOf(page).evaluate((element) => element.setSelectionRange(2, 5));
  await promptOf(page).press('Control+ArrowUp');
  await promptOf(page).press('Control+ArrowUp');
  await page.waitForFunction(() => document.querySelector('#prompt').value === 'a (cat:1.2) on pink'); // its code comes at the first press
  assert.equal(await page.evaluate(() => getSelection().toString()), 'cat');
  await promptOf(page).press('ControlOrMeta+z');
  assert.equal(await promptOf(page).inputValue(), 'a (cat:1.1) on pink');
  await promptOf(page).press('Control+ArrowDown');
  assert.equal(await promptOf(page).inputValue(), 'a cat on pink');

  await set(page, { Steps: 60 });
  for (const place of ['#sampler', '#random-seed', '#model-chip']) {
    await page.locator(place).focus();
    await begins(page, () => page.keyboard.press('Control+Enter'));
    await page.keyboard.press('Escape');
    await finished(page);
    assert.match(await status(page), /^Cancelled/, place);
  }
  await page.locator('#model-chip').focus();
  await page.keyboard.press('?');
  const list = page.getByRole('dialog', { name: 'Keys' });
  assert.match(await list.innerText(), /Ctrl Enter/);
  await page.keyboard.press('Escape');
  assert.equal(await list.count(), 0);
  await promptOf(page).focus();
  await page.keyboard.type('?');
  assert.equal(await list.count(), 0, 'a question mark can be typed');
});

for (const gap of [0, 500]) {
  test(`a double click on Generate draws, with ${gap} ms between`, async () => {
    const page = await visitor(it);
    await ready(page);
    await set(page, { Steps: 60 });
    await promptOf(page).fill('a cat on pink');
    // Clicks with times of their own, as a mouse’s: the machine may be slow, the guard goes by when they were made.
    await shows(page, '#status', 'step 2 of 60', () => page.evaluate((ms) => {
      const press = (at, detail) => {
        const event = new MouseEvent('click', { bubbles: true, cancelable: true, detail });
        Object.defineProperty(event, 'timeStamp', { value: at });
        document.querySelector('#generate').dispatchEvent(event);
      };
      const now = performance.now();
      press(now, 1);
      press(now + ms, 2);
    }, gap));
    await cancelButton(page).click(); // much later, and meant
    await finished(page);
    assert.match(await status(page), /^Cancelled/);
  });
}

test('a first picture that is cancelled leaves a clean stage', async () => {
  const page = await visitor(it);
  await ready(page);
  await set(page, { Steps: 60 });
  await promptOf(page).fill('a cat on pink');
  await shows(page, '#status', 'step 3 of 60', () => promptOf(page).press('Enter'));
  await page.keyboard.press('Escape');
  await finished(page);
  assert.equal(await page.locator('#frame').getAttribute('data-state'), 'empty');
  const { data } = await pixels(page);
  assert.ok(data.every((value) => value === 0), 'nothing of the picture is left');
  assert.equal(await picture(page).getAttribute('aria-label'), 'No picture yet');
});
