/** The client's parts that need no browser: the calls to a worker, and which model is meant. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Link } from '../../www/link.js';
import { mini } from '../../www/models.js';
import { find } from '../../www/source.js';

/** A worker that writes down what it is sent; the test answers. */
class Paper extends EventTarget {
  sent = [];
  ended = false;
  postMessage(message) { this.sent.push(message); }
  terminate() { this.ended = true; }
  say(data) { this.dispatchEvent(new MessageEvent('message', { data })); }
}

function link(listeners) {
  const worker = new Paper();
  return { worker, link: new Link(worker, listeners) };
}

/** All microtasks and what they lead to. */
const settled = () => new Promise((done) => setImmediate(done));
const code = (promise) => promise.then(() => 'fine', (error) => error.code);

test('answers find their calls, in whatever order they come', async () => {
  const { worker, link: it } = link();
  const [a, b] = [it.call({ type: 'storage' }), it.call({ type: 'listModels' })];
  assert.deepEqual(worker.sent, [{ type: 'storage', id: 1 }, { type: 'listModels', id: 2 }]);
  worker.say({ type: 'done', id: 2, value: 'b' });
  worker.say({ type: 'done', id: 1, value: 'a' });
  worker.say({ type: 'done', id: 1, value: 'again' });
  assert.deepEqual(await Promise.all([a, b]), ['a', 'b']);
});

test('progress and events go to their own call, and end with it', async () => {
  const { worker, link: it } = link();
  const heard = [];
  const call = it.call({ type: 'generate' }, { onEvent: (e) => heard.push(e), onProgress: (p) => heard.push(p) });
  it.call({ type: 'generate' }, { onEvent: () => assert.fail('the other call') });
  worker.say({ type: 'progress', id: 1, progress: 'half' });
  worker.say({ type: 'event', id: 1, event: 'step' });
  worker.say({ type: 'done', id: 1 });
  worker.say({ type: 'event', id: 1, event: 'late' });
  await call;
  assert.deepEqual(heard, ['half', 'step']);
});

test('a failure keeps its code, field and words', async () => {
  const { worker, link: it } = link();
  const call = it.call({ type: 'generate' });
  worker.say({ type: 'failed', id: 1, error: { code: 'INVALID_INPUT', message: 'no', field: 'steps', retryable: false } });
  await assert.rejects(call, { name: 'OpenGenError', code: 'INVALID_INPUT', message: 'no', field: 'steps' });
});

test('work is done in turn, also after work that failed', async () => {
  const { link: it } = link();
  const order = [];
  const gate = deferred();
  const first = it.inTurn(async () => { await gate.promise; order.push(1); throw new Error('broke'); });
  const second = it.inTurn(async () => { order.push(2); return 'two'; });
  await settled();
  assert.deepEqual(order, []);
  gate.resolve();
  await assert.rejects(first, /broke/);
  assert.equal(await second, 'two');
  assert.deepEqual(order, [1, 2]);
});

/** Promise.withResolvers, which Node 20 lacks. */
function deferred() {
  let resolve;
  const promise = new Promise((done) => { resolve = done; });
  return { promise, resolve };
}

test('what waits is taken back at once and never begun; its neighbours go on', async () => {
  const { link: it } = link();
  const gate = deferred();
  const stop = new AbortController();
  const first = it.inTurn(() => gate.promise);
  const second = code(it.inTurn(async () => assert.fail('begun'), stop.signal));
  const third = it.inTurn(async () => 'three');
  const already = code(it.inTurn(async () => assert.fail('begun'), AbortSignal.abort()));
  stop.abort();
  assert.equal(await second, 'ABORTED');
  assert.equal(await already, 'ABORTED');
  gate.resolve('one');
  assert.deepEqual(await Promise.all([first, third]), ['one', 'three']);
});

test('a running call is asked to stop, and rejects when the worker says so', async () => {
  const { worker, link: it } = link();
  const stop = new AbortController();
  const call = code(it.call({ type: 'generate' }, { signal: stop.signal }));
  stop.abort();
  assert.deepEqual(worker.sent.at(-1), { type: 'cancel', id: 1 });
  worker.say({ type: 'failed', id: 1, error: { code: 'ABORTED', message: 'cancelled' } });
  assert.equal(await call, 'ABORTED');
  assert.equal(await code(it.call({ type: 'generate' }, { signal: stop.signal })), 'ABORTED');
  assert.equal(worker.sent.length, 2, 'a call that is aborted already is not posted');
});

test('a signal that fires after its call says nothing more', async () => {
  const { worker, link: it } = link();
  const stop = new AbortController();
  const call = it.inTurn(() => it.call({ type: 'generate' }, { signal: stop.signal }), stop.signal);
  await settled();
  worker.say({ type: 'done', id: 1, value: 'made' });
  assert.equal(await call, 'made');
  stop.abort();
  assert.equal(worker.sent.length, 1);
});

test('a signal’s reason is the cause, and one that ran out of time is a TimeoutError', async () => {
  const { worker, link: it } = link();
  const why = new Error('the visitor left');
  const late = new DOMException('too late', 'TimeoutError');
  const failing = (signal) => it.call({ type: 'generate' }, { signal }).catch((error) => error);
  for (const [reason, name, message] of [[why, 'AbortError', 'cancelled'], [late, 'TimeoutError', 'timed out']]) {
    const stop = new AbortController();
    const running = failing(stop.signal);
    const waiting = it.inTurn(() => assert.fail('left the line'), stop.signal).catch((error) => error);
    stop.abort(reason);
    const { id } = worker.sent.at(-1);
    worker.say({ type: 'failed', id, error: { code: 'ABORTED', message: 'cancelled', field: null, retryable: true } });
    const all = await Promise.all([running, waiting, failing(stop.signal)]);
    for (const error of all) {
      assert.deepEqual([error.code, error.name, error.message, error.cause, error.retryable],
        ['ABORTED', name, message, reason, true]);
    }
  }
});

test('what cannot be sent rejects with a code, and leaves nothing behind', async () => {
  const { worker, link: it } = link();
  const stop = new AbortController();
  worker.postMessage = (message) => {
    if (typeof message.bad === 'function') throw new DOMException('bad could not be cloned', 'DataCloneError');
    worker.sent.push(message);
  };
  await assert.rejects(it.call({ type: 'generate', bad() {} }, { signal: stop.signal }),
    { name: 'OpenGenError', code: 'INVALID_INPUT', message: /cannot be sent.*bad could not be cloned/ });
  stop.abort();
  assert.deepEqual(worker.sent, [], 'its signal is not listened to any more');
});

test('what happens beside the calls is told, and how many are in line', async () => {
  const heard = [];
  const { worker, link: it } = link({ onHappened: (event) => heard.push(event), onQueue: (length) => heard.push(length) });
  worker.say({ type: 'happened', event: { type: 'devicelost', message: 'gone' } });
  const both = [it.inTurn(async () => {}), it.inTurn(async () => { throw new Error('no'); })];
  assert.equal(it.queueLength, 2);
  await Promise.allSettled(both);
  await settled();
  assert.deepEqual(heard, [{ type: 'devicelost', message: 'gone' }, 1, 2, 1, 0]);
});

test('closing ends the worker, and every call there is or will be', async () => {
  const { worker, link: it } = link();
  const running = code(it.inTurn(() => it.call({ type: 'generate' })));
  const waiting = code(it.inTurn(() => it.call({ type: 'generate' })));
  await settled();
  it.close({ code: 'ABORTED', message: 'the engine was closed' });
  it.close({ code: 'INTERNAL', message: 'the first reason counts' });
  assert.ok(worker.ended);
  assert.deepEqual(await Promise.all([running, waiting, code(it.call({ type: 'storage' }))]), Array(3).fill('ABORTED'));
  assert.equal(worker.sent.length, 1);
});

test('a worker that breaks is INTERNAL, one whose files did not come is NETWORK', async () => {
  for (const [event, expected] of [[{ message: 'x is not defined' }, 'INTERNAL'], [{}, 'NETWORK']]) {
    const { worker, link: it } = link();
    const call = code(it.call({ type: 'create', engine: 'auto' }));
    worker.dispatchEvent(Object.assign(new Event('error'), event));
    assert.equal(await call, expected);
    assert.ok(worker.ended);
  }
});

test('a model is meant by id, address, description or file', async () => {
  const nothing = async () => [];
  const kept = { id: 'mine', name: 'Mine', url: 'https://example.com/mine.gguf', bytes: 5 };
  const described = await find(mini, () => assert.fail('the store is not asked'));
  assert.deepEqual(described, mini);
  assert.deepEqual(await find('mine', async () => [kept]), { id: 'mine', url: kept.url });
  const url = 'https://example.com/a/b.gguf';
  for (const source of [url, `${url}#part`, new URL(url), { url }]) {
    assert.equal((await find(source, nothing)).id, url);
  }
  assert.deepEqual(await find({ id: 'b', url, bytes: 7 }, nothing), { id: 'b', url, bytes: 7 });

  const file = new File(['GGUF'], 'mine.gguf', { lastModified: 1 });
  const found = await find(file, nothing);
  assert.deepEqual([found.id, found.bytes], ['mine.gguf 1', 4]);
  assert.match(found.url, /^blob:/);
  URL.revokeObjectURL(found.url);
});

test('mini by its name alone says where it is, unless it is stored', async () => {
  await assert.rejects(find('mini', async () => []), { field: 'model', message: /import \{ mini \} from 'opengen\/mini'/ });
  assert.equal((await find('mini', async () => [mini])).id, 'mini');
});

test('what is no model is INVALID_INPUT at "model"', async () => {
  for (const source of ['nothing', '', 'https://', null, undefined, 7, {}, { url: 7 }, new Blob(['GGUF'])]) {
    await assert.rejects(find(source, async () => []), { code: 'INVALID_INPUT', field: 'model' }, String(source));
  }
});
