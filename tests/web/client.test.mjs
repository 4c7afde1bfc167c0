/** The client's parts that need no browser: its options, a program's own fetch, a run as an iterator, previews. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS, OpenGen } from '../../www/client.js';
import { joined } from '../../www/folder.js';
import { checkHook, judge } from '../../www/judge.js';
import { MODELS } from '../../www/models.js';
import { check } from '../../www/options.js';
import { enlarge } from '../../www/preview.js';
import { filesOf, find, wire } from '../../www/source.js';
import { iterate } from '../../www/stream.js';
import { serve, through } from '../../www/through.js';

/** What an error says of the option at fault. */
function refusal(call, options) {
  try {
    check(call, options);
    return 'fine';
  } catch ({ code, field, message }) {
    assert.equal(code, 'INVALID_INPUT');
    return `${field}: ${message}`;
  }
}

test('an option that there is not is refused with the one that was probably meant', () => {
  for (const [call, name, meant] of [
    ['generate', 'cfg', 'guidance'], ['generate', 'guidance_scale', 'guidance'], ['generate', 'negative_prompt', 'negativePrompt'],
    ['generate', 'promt', 'prompt'], ['generate', 'widht', 'width'], ['generate', 'num_inference_steps', 'steps'],
    ['generate', 'onProgress', 'onStep'], ['generate', 'imagetype', 'imageType'], ['create', 'modle', 'model'],
    ['create', 'device', 'engine'], ['create', 'vram', 'memoryLimit'], ['create', 'workerURL', 'workerUrl'], ['load', 'onprogress', 'onProgress'],
    ['model', 'sha-256', 'sha256'], ['model', 'header', 'headers'], ['previews', 'sise', 'size'], ['walk', 'shares', 'share'],
    ['extend', 'rigth', 'right'], ['extend', 'feather', 'overlap'], ['hires', 'hr_scale', 'scale'], ['generate', 'hires_fix', 'hires'], ['generate', 'lora', 'loras'], ['lora', 'strength', 'weight'],
  ]) {
    assert.equal(refusal(call, { [name]: 1 }), `${name}: ${call} has no option "${name}": did you mean "${meant}"?`);
  }
  assert.match(refusal('generate', { refiner: 1 }), /^refiner: generate has no option "refiner"; it takes prompt, .*, signal$/);
  assert.match(refusal('load', { strength: 0.3 }), /it takes onProgress, signal, weights, allowNonFinite$/);
  assert.match(refusal('generate', 'a red apple'), /takes an object/);
});

test('an option that is left out, null or undefined included, is no unknown one', () => {
  for (const options of [undefined, null, {}, { prompt: 'x', signal: undefined }, { cfg: undefined }]) {
    assert.equal(refusal('generate', options), 'fine');
  }
});

test('the models that come along are described in fields that a description may have', async () => {
  for (const model of MODELS) assert.deepEqual(await find(model, async () => []), model);
});

test('in Node the client can be imported, and says what it needs', async () => {
  for (const call of [OpenGen.create, OpenGen.detect]) {
    await assert.rejects(call(), { name: 'OpenGenError', code: 'UNSUPPORTED', message: /a browser/ });
  }
  assert.ok(LIMITS.steps.to > 0);
});

/** A model with its own fetch, as the worker would have it: `ask` there, `close` here. */
function distant(fetch) {
  const { port, close } = serve(fetch);
  return { ask: through(port), close: () => { close(); port.close(); } };
}

test('a program’s own fetch is asked with the headers, and read as it streams', async () => {
  let asked;
  let pulled = 0;
  const { ask, close } = distant(async (url, init) => {
    asked = { url, range: init.headers.Range };
    const stream = new ReadableStream({
      pull(controller) {
        pulled += 1;
        if (pulled > 3) controller.close();
        else controller.enqueue(new Uint8Array(8).fill(pulled).subarray(2, 4));
      },
    }, { highWaterMark: 0 });
    return new Response(stream, { status: 206, headers: { 'Content-Range': 'bytes 5-10/11' } });
  });
  const response = await ask('https://example.com/a.gguf', { headers: { Range: 'bytes=5-' } });
  assert.deepEqual(asked, { url: 'https://example.com/a.gguf', range: 'bytes=5-' });
  assert.deepEqual([response.status, response.type, response.headers.get('content-range')], [206, 'default', 'bytes 5-10/11']);
  assert.equal(pulled, 0, 'nothing is read before it is wanted');
  const reader = response.body.getReader();
  assert.deepEqual([...(await reader.read()).value], [1, 1]);
  assert.equal(pulled, 1);
  assert.deepEqual([...(await reader.read()).value, ...(await reader.read()).value], [2, 2, 3, 3]);
  assert.equal((await reader.read()).done, true);
  close();
});

test('a program’s own fetch that fails, answers nonsense or breaks off fails there too', async () => {
  const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('torn')) });
  for (const [fetch, message] of [
    [async () => { throw new TypeError('no network'); }, /no network/],
    [async () => 'text', /has to resolve with a Response/],
    [async () => new Response(broken), /torn/],
  ]) {
    const { ask, close } = distant(fetch);
    await assert.rejects(ask('https://example.com/').then((response) => response.arrayBuffer()), { name: 'TypeError', message });
    close();
  }
});

test('a fetch that is cancelled stops where it runs, before and after its head', async () => {
  for (const early of [true, false]) {
    let stopped;
    const over = new Promise((resolve) => { stopped = resolve; });
    const { ask, close } = distant((_, { signal }) => {
      signal.addEventListener('abort', () => stopped('aborted'));
      const endless = new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(1)), cancel: () => stopped('cancelled') });
      return early ? new Promise(() => {}) : Promise.resolve(new Response(endless));
    });
    const stop = new AbortController();
    const asking = ask('https://example.com/', { signal: stop.signal });
    if (!early) await (await asking).body.getReader().read();
    stop.abort();
    if (early) await assert.rejects(asking, { name: 'AbortError' });
    assert.equal(await over, 'aborted');
    close();
  }
});

test('headers and fetch of a model are checked, and sent in a form that can be', () => {
  const url = 'https://example.com/a.gguf';
  const { file, transfer } = wire({ url }, { id: 'a', url, headers: { Authorization: 'Bearer x' } });
  assert.deepEqual([file.headers, file.fetch, transfer], [[['authorization', 'Bearer x']], undefined, []]);
  assert.throws(() => wire({ url }, { id: 'a', url, headers: { 'no header': 'x' } }), { field: 'headers' });
  assert.throws(() => wire({ url }, { id: 'a', url, fetch: 'fetch' }), { field: 'fetch' });
});

test('a licence goes along by its name or with all that is known of it', () => {
  const url = 'https://example.com/a.gguf';
  const sent = (license) => wire({ url }, { id: 'a', url, license }).file.license;
  assert.equal(sent(undefined), undefined);
  assert.deepEqual(sent('MIT'), { name: 'MIT', url: null, revision: null, accepted: null });
  assert.deepEqual(sent({ name: 'X', revision: 'abc' }), { name: 'X', url: null, revision: 'abc', accepted: null });
  for (const wrong of ['', {}, { name: 7 }]) assert.throws(() => sent(wrong), { code: 'INVALID_INPUT', field: 'license' });
});

test('a folder is a list of its files, each with its path; any other list is refused', () => {
  const file = new File(['{}'], 'config.json');
  const dropped = Object.assign(new File(['{}'], 'config.json'), { path: 'sd/unet/config.json' });
  assert.deepEqual(filesOf([file, dropped]).map(({ path }) => path), ['config.json', 'sd/unet/config.json']);
  assert.equal(filesOf(file), null);
  assert.equal(filesOf('mini'), null);
  for (const wrong of [[], [file, 'x']]) assert.throws(() => filesOf(wrong), { code: 'INVALID_INPUT', field: 'model' });
});

test('of a folder only what the reader needs is read, and the whole refers to its files', async () => {
  const header = new TextEncoder().encode('{"x":1}');
  const weights = new Uint8Array([header.length, 0, 0, 0, 0, 0, 0, 0, ...header, 1, 2, 3, 4]);
  const files = [
    { path: 'sd/model_index.json', file: new File(['{}'], 'model_index.json', { lastModified: 5 }) },
    { path: 'sd/unet/w.safetensors', file: new File([weights], 'w.safetensors', { lastModified: 9 }) },
    { path: 'sd/unet/w.bin', file: new File(['pickle'], 'w.bin', { lastModified: 1 }) },
    { path: 'sd/short.safetensors', file: new File(['abc'], 'short.safetensors', { lastModified: 1 }) },
  ];
  let asked;
  const joinFolder = (given) => {
    asked = given.map(({ path, bytes, length }) => [path, bytes.length, length]);
    return { title: 'sd', header: new Uint8Array([7, 7]), parts: [{ path: 'sd/unet/w.safetensors', from: 16, to: 18 }] };
  };
  const whole = await joined({ joinFolder }, files);
  assert.deepEqual(asked, [['sd/model_index.json', 2, 2], ['sd/unet/w.safetensors', 15, 19], ['sd/unet/w.bin', 0, 6], ['sd/short.safetensors', 3, 3]]);
  assert.deepEqual([whole.name, whole.lastModified, [...new Uint8Array(await whole.arrayBuffer())]], ['sd', 9, [7, 7, 2, 3]]);
});

test('a run as an iterator: all events in order, its end, and the caller’s own listeners too', async () => {
  const steps = [];
  const start = async ({ onStage, onStep }) => {
    onStage({ stage: 'text' });
    onStep({ step: 1, steps: 2, preview: null });
    await null;
    onStep({ step: 2, steps: 2, preview: null });
    return { seed: 7 };
  };
  const types = [];
  for await (const event of iterate(start, { onStep: ({ step }) => steps.push(step) })) types.push(event.type);
  assert.deepEqual([types, steps], [['stage', 'step', 'step', 'done'], [1, 2]]);
});

test('an iterator that is left stops its run; one whose run fails throws after its events', async () => {
  let signal;
  const endless = (given) => new Promise((_, reject) => {
    signal = given.signal;
    signal.addEventListener('abort', () => reject(new Error('stopped')));
    given.onStage({ stage: 'text' });
  });
  for await (const { type } of iterate(endless, {})) {
    assert.equal(type, 'stage');
    break;
  }
  assert.ok(signal.aborted);

  const outer = new AbortController();
  const events = iterate(endless, { signal: outer.signal });
  await events.next();
  outer.abort('enough');
  await assert.rejects(events.next(), { message: 'stopped' });
  assert.equal(signal.reason, 'enough');
});

test('a hook says of every picture what becomes of it, one after the other, when it likes', async () => {
  const images = ['a', 'b', 'c'];
  assert.deepEqual(await judge(undefined, images), ['keep', 'keep', 'keep'], 'nobody is asked');
  const seen = [];
  const said = await judge(async (image) => {
    await null;
    seen.push(image);
    return { a: 'drop', b: 'blur', c: 'keep' }[image];
  }, images);
  assert.deepEqual([said, seen], [['drop', 'blur', 'keep'], images]);
  for (const [count, message] of [[1, 'onPicture dropped the picture'], [2, 'onPicture dropped all pictures']]) {
    await assert.rejects(judge(() => 'drop', images.slice(0, count)), { name: 'OpenGenError', code: 'DROPPED', message });
  }
});

test('a hook that is broken lets nothing through', async () => {
  for (const answer of [undefined, null, true, 'Keep', 'toString']) {
    await assert.rejects(judge(() => answer, ['a']), {
      code: 'INVALID_INPUT', field: 'onPicture', message: `must answer with keep, blur, drop, not ${answer}`,
    });
  }
  const broken = new Error('the classifier did not load');
  await assert.rejects(judge(() => { throw broken; }, ['a']), broken);
  await assert.rejects(judge(async (image) => { if (image === 'b') throw broken; return 'keep'; }, ['a', 'b']), broken);
  for (const hook of [null, 'keep', {}]) assert.throws(() => checkHook(hook), { code: 'INVALID_INPUT', field: 'onPicture' });
  checkHook(undefined);
});

test('previews are enlarged smoothly to the longer side that is asked for', () => {
  const data = Uint8ClampedArray.from([0, 10, 0, 255, 100, 10, 0, 255]);
  const large = enlarge({ width: 2, height: 1, data }, 8);
  assert.deepEqual([large.width, large.height, large.data.length], [8, 4, 8 * 4 * 4]);
  const red = [...large.data].filter((_, i) => i % 4 === 0).slice(0, 8);
  assert.deepEqual(red, [...red].sort((a, b) => a - b), 'from dark to light');
  assert.deepEqual([red[0], red[7]], [0, 100]);
  assert.ok(new Set(red).size > 2, 'with values between');
  assert.ok([...large.data].every((value, i) => (i % 4 === 1 ? value === 10 : i % 4 !== 3 || value === 255)));
  assert.deepEqual([...enlarge({ width: 2, height: 1, data }, 2).data], [...data], 'its own size is itself');
});
