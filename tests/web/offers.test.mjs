/** Parts that can be had: offered where they are missing, fetched in pieces that are kept, and put where they belong. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { LICENSES } from '../../www/catalogue/licenses.js';
import { OFFERS } from '../../www/catalogue/offers.js';
import { checkpoint, controlNet, tiny } from './checkpoint.mjs';
import { PATIENCE, draw, ready, stand, visitor } from './page.mjs';
import { nearest } from './upscaler.mjs';

const it = stand({ before, after, afterEach }, { path: '?engine=cpu', light: true });
const HUB = 'https://hub.example';

/** What the hub has, how it answers, and what it was asked: ranges, oldest first. */
const hub = { file: Buffer.alloc(0), answers: 'well', asked: [], sent: 0 };

/** A visitor of a site whose parts lie on the hub of the test. */
async function open() {
  Object.assign(hub, { answers: 'well', asked: [], sent: 0 });
  const page = await visitor(it, { open: false });
  await page.route('**/models.json', (route) => route.fulfill({ json: { hub: HUB, models: [] } }));
  await page.route(`${HUB}/**`, answer);
  await page.goto(it.server.url + it.path);
  await ready(page);
  return page;
}

/** Half of the file comes, then the line is broken; all of it comes, from where it is asked for; or it is not there. */
async function answer(route) {
  const range = (await route.request().allHeaders()).range ?? null;
  hub.asked.push(range);
  const from = range ? Number(/^bytes=(\d+)-$/.exec(range)[1]) : 0;
  const { file, answers } = hub;
  if (answers === 'gone') return route.fulfill({ status: 404, headers: { 'Access-Control-Allow-Origin': '*' } });
  if (from >= file.length) return route.fulfill({ status: 416, headers: { 'Access-Control-Allow-Origin': '*' } });
  if (answers === 'half' && from) return route.abort('connectionreset');
  const body = file.subarray(from, answers === 'half' ? file.length / 2 : undefined);
  hub.sent += body.length;
  const headers = {
    'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'ETag', ETag: '"one"', 'Content-Type': 'application/octet-stream',
    'Content-Length': String(file.length - from),
  };
  return route.fulfill({ status: from ? 206 : 200, headers, body });
}

/** Other hosts were asked, and none but the hub. */
function askedTheHubAlone(page) {
  const [own, all] = [page.trouble.filter((words) => words.includes(HUB)), page.trouble];
  assert.ok(own.length > 0);
  assert.deepEqual(all.filter((words) => !own.includes(words)), []);
  page.trouble = [];
}

test('each names a file, a licence that is known and a size, and docs/models.md has it', () => {
  const told = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');
  for (const { name, repo, path, license, bytes, sha256 = '' } of OFFERS) {
    assert.ok(LICENSES[license], name);
    assert.match(path, /^[\w.-]+\.safetensors$/);
    assert.ok(bytes > 1e6 && (!sha256 || /^[0-9a-f]{64}$/.test(sha256)), name);
    assert.ok(told.includes(`\`${repo}\``), `docs/models.md has ${repo}`);
  }
});

test('a ControlNet is fetched where one is missing; a line that breaks and a reload cost nothing', async () => {
  const page = await open();
  const file = controlNet(3);
  Object.assign(hub, { file, answers: 'half' });
  const offer = () => page.locator('.offers > li').filter({ hasText: 'Canny' });
  const show = async () => {
    await page.locator('#controls > summary').click();
    await page.getByText('Get a ControlNet').click();
  };
  await show();
  await offer().getByText('about 723 MB').waitFor();
  const said = /For Stable Diffusion 1.5[^]*from hub\.example, which sees your address[^]*CreativeML Open RAIL-M\. Whoever fetches one agrees to it[^]*It forbids what breaks a law/;
  assert.match(await page.locator('.offered').innerText(), said);
  assert.equal(hub.asked.length, 0, 'nothing is fetched before it is accepted');
  await offer().getByRole('button', { name: 'Accept and fetch Canny' }).click();
  await offer().getByText(/broke off. What has come is kept/).waitFor();
  assert.equal(hub.sent, file.length / 2);

  await page.reload();
  await ready(page);
  Object.assign(hub, { answers: 'well', asked: [], sent: 0 });
  if (!(await page.locator('#controls').evaluate((details) => details.open))) await show();
  else await page.getByText('Get a ControlNet').click();
  await offer().getByRole('button', { name: 'Accept and fetch Canny' }).click();
  await page.locator('#report').getByText('“control_v11p_sd15_canny_fp16” reads control images from now on.').waitFor();
  assert.deepEqual([hub.sent, hub.asked], [file.length / 2, [`bytes=${file.length / 2}-`]]);
  await page.locator('.steer-models').getByText('control_v11p_sd15_canny_fp16').waitFor();

  // What is not there any more is said, and nothing else changes.
  hub.answers = 'gone';
  await page.locator('.offers > li').filter({ hasText: 'Tile' }).getByRole('button').click();
  await page.locator('.offers > li').filter({ hasText: 'Tile' }).getByText('has no such file any more (404)').waitFor();
  askedTheHubAlone(page);
});

test('a decoder is fetched, given to a model that is here, and its own comes back; where none fits, it waits for one', async () => {
  const page = await open();
  const file = tiny();
  hub.file = file;
  // The file is known by its hash, which the smallest there is has not got: in this page it has.
  const { sha256: known } = OFFERS.find(({ name }) => name === 'TAESD');
  await page.evaluate(([bytes, hash]) => {
    const { digest } = SubtleCrypto.prototype;
    SubtleCrypto.prototype.digest = function (kind, data) {
      if (data.byteLength !== bytes) return digest.call(this, kind, data);
      return Promise.resolve(Uint8Array.from(hash.match(/../g), (pair) => parseInt(pair, 16)).buffer);
    };
  }, [file.length, known]);
  await page.getByRole('link', { name: 'Models', exact: true }).click();
  const shelf = page.locator('#models-decoders');
  const report = page.locator('#report');
  await shelf.getByText('Get a decoder').click();
  const offer = shelf.locator('.offers > li').filter({ hasText: 'TAESD' });
  await offer.getByText('9.8 MB', { exact: true }).waitFor();
  assert.match(await shelf.innerText(), /For Stable Diffusion 1 and 2\.[^]*from hub\.example, which sees your address[^]*Licence: MIT\./);
  await offer.getByRole('button', { name: 'Fetch TAESD' }).click();
  await report.getByText('“taesd.safetensors” fits no model that is here.').waitFor();
  assert.equal(hub.sent, file.length);

  await page.getByLabel('New models are kept at').selectOption('f16');
  await page.setInputFiles('#add-model-file', { name: 'dream.safetensors', mimeType: 'application/octet-stream', buffer: checkpoint() });
  const card = page.locator('.card').filter({ has: page.getByRole('heading', { name: 'dream', exact: true }) });
  await card.getByText('in use').waitFor({ timeout: PATIENCE });
  await page.getByRole('button', { name: 'Understood' }).click();
  await offer.getByRole('button', { name: 'Fetch TAESD' }).click();
  const asked = page.getByRole('dialog', { name: 'Which model is it for?' });
  await asked.getByRole('button', { name: 'Give it to dream' }).click();
  await report.getByText('dream draws with “taesd.safetensors” now.').waitFor({ timeout: PATIENCE });
  assert.equal(hub.sent, file.length, 'what had come was not fetched again');
  await card.getByText(/^taesd\.safetensors, .* in place of its own$/).waitFor();
  await card.getByRole('button', { name: 'Draw with dream’s own decoder again' }).click();
  await card.getByText('Decoder', { exact: true }).waitFor({ state: 'detached' });
  askedTheHubAlone(page);
});

test('an upscaler that is another file than the one that is known is not taken', async () => {
  const page = await open();
  const file = nearest(4);
  assert.notEqual(createHash('sha256').update(file).digest('hex'), OFFERS.find(({ kind }) => kind === 'upscaler').sha256);
  hub.file = file;
  await draw(page, 'a cat', { Steps: 1 });
  await page.getByRole('radio', { name: 'Enlarge', exact: true }).check({ force: true });
  await page.getByText('Get an upscaler').click();
  const offer = page.locator('.offers > li').filter({ hasText: 'Real-ESRGAN ×4' });
  await page.locator('.offered').getByText('BSD-3-Clause').waitFor();
  const byHand = page.locator('.offers > li').filter({ hasText: 'StarSample ×2' });
  assert.match(await byHand.innerText(), /1\.2 MB[^]*github\.com lets no page read its files, and sees your address: save this one, then drop it/);
  assert.equal(await byHand.getByRole('link', { name: 'Save StarSample ×2 from github.com' }).getAttribute('href'),
    'https://github.com/Derpiesaurus/models/releases/download/v1.0/2x.StarSample.V1.0.safetensors');
  await offer.getByRole('button', { name: 'Fetch Real-ESRGAN ×4' }).click();
  await offer.getByText('sent another file than the one that is known here, so it was not taken').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Choose an upscaler' }).isVisible(), true);
  askedTheHubAlone(page);
});
