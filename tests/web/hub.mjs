/**
 * A hub of models on other origins than the page: an address that redirects to a signed one on a third origin, where the
 * file lies; with headers that pages may or may not read, and answers of every kind.
 */

import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

/**
 * How the file is answered with. Left out: as a good hub would.
 * @typedef {object} Manner
 * @property {boolean} [direct] no redirect: the second origin has the file itself
 * @property {string[]} [expose] headers that pages may read beside those that they always may
 * @property {boolean | 'refused'} [ranges] false: Range is ignored; 'refused': it is answered with 416
 * @property {'said' | 'chunked' | 'closed'} [length] in a header, in no header, or by closing the connection
 * @property {string | null} [etag]
 * @property {string | null} [date] Last-Modified
 * @property {boolean} [gzip] compressed, as proxies do that look at no type
 * @property {boolean} [closed] other sites may not read it
 * @property {number} [cutAt] the connection breaks off once this many bytes of the file have been sent
 * @property {string} [cutIn] of several files only the one whose path ends so
 * @property {number} [endAt] the file ends there as if it were whole
 */

const ALL = ['Content-Range', 'ETag', 'Accept-Ranges', 'Content-Encoding'];

export class Hub {
  /** @type {Manner} */ manner = {};
  /** What is served. @type {Buffer} */ file;
  /** In place of that, files by their paths; of others it says that they are not there. @type {Map<string, Buffer> | null} */ files = null;
  /** Requests for the file itself, oldest first: {range, sent}. */ asked = [];
  #signatures = new Set();
  #front = createServer((request, response) => this.#answer(request, response));
  #store = createServer((request, response) => this.#signed(request, response));
  #sockets = new Set();

  /** @param {Buffer} file */
  constructor(file) {
    this.file = file;
  }

  async start() {
    for (const server of [this.#front, this.#store]) {
      server.on('connection', (socket) => {
        this.#sockets.add(socket);
        socket.on('close', () => this.#sockets.delete(socket));
      });
      await new Promise((done) => server.listen(0, '127.0.0.1', done));
    }
    this.url = `http://127.0.0.1:${this.#front.address().port}/`;
    this.storeUrl = `http://127.0.0.1:${this.#store.address().port}/`;
    return this;
  }

  async stop() {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of [this.#front, this.#store]) await new Promise((done) => server.close(done));
  }

  /** Behaves again, with this file. @param {Manner} [manner] @param {Buffer} [file] */
  reset(manner = {}, file = this.file) {
    Object.assign(this, { manner, file, files: null, asked: [] });
  }

  /** Bytes of the file that were sent. */
  get sent() {
    return this.asked.reduce((sum, { sent }) => sum + sent, 0);
  }

  get #readable() {
    const { closed, expose = ALL } = this.manner;
    return closed ? {} : {
      'Access-Control-Allow-Origin': '*',
      ...(expose.length ? { 'Access-Control-Expose-Headers': expose.join(', ') } : {}),
    };
  }

  /** The address that people know. A preflight is refused, as nobody needs one here. */
  #answer(request, response) {
    if (request.method === 'OPTIONS') return response.writeHead(405).end();
    if (this.manner.direct) return this.#send(request, response);
    const signature = String(Math.random()).slice(2);
    this.#signatures.add(signature);
    const { pathname } = new URL(request.url, this.url);
    return response.writeHead(302, { ...this.#readable, Location: `${this.storeUrl}blobs${pathname}?signature=${signature}` }).end();
  }

  /** A signed address is good once. */
  #signed(request, response) {
    if (request.method === 'OPTIONS') return response.writeHead(405).end();
    if (!this.#signatures.delete(new URL(request.url, this.url).searchParams.get('signature'))) {
      return response.writeHead(403, { ...this.#readable, 'Content-Type': 'text/plain' }).end('expired');
    }
    return this.#send(request, response);
  }

  async #send(request, response) {
    const { ranges = true, length = 'said', etag = null, date = null, gzip, cutIn = '', endAt } = this.manner;
    const path = new URL(request.url, this.url).pathname.replace('/blobs/', '/');
    const file = this.files ? this.files.get(path) : this.file;
    if (!file) return response.writeHead(404, this.#readable).end();
    const entry = { path, range: request.headers.range ?? null, sent: 0 };
    this.asked.push(entry);
    const cutAt = path.endsWith(cutIn) ? this.manner.cutAt : undefined;
    const whole = gzip ? gzipSync(file, { level: 1 }) : file;
    if (ranges === 'refused' && entry.range) return response.writeHead(416, this.#readable).end();
    const from = ranges && entry.range ? Number(/^bytes=(\d+)-$/.exec(entry.range)[1]) : null;
    const body = whole.subarray(from ?? 0, endAt);
    if (length === 'closed') response.useChunkedEncodingByDefault = false;
    response.writeHead(from === null ? 200 : 206, {
      ...this.#readable, 'Content-Type': 'application/octet-stream',
      ...(length === 'said' ? { 'Content-Length': body.length } : {}),
      ...(length === 'closed' ? { Connection: 'close' } : {}),
      ...(from === null ? {} : { 'Content-Range': `bytes ${from}-${whole.length - 1}/${whole.length}` }),
      ...(etag ? { ETag: etag } : {}), ...(date ? { 'Last-Modified': date } : {}), ...(gzip ? { 'Content-Encoding': 'gzip' } : {}),
    });
    const end = Math.min(cutAt ?? Infinity, whole.length) - (from ?? 0);
    for (let at = 0; at < Math.min(body.length, end); at += 65536) {
      const bytes = body.subarray(at, Math.min(at + 65536, end));
      if (!(await write(response, bytes))) return undefined;
      entry.sent += bytes.length;
    }
    if (end >= body.length) return response.end();
    await new Promise((done) => setTimeout(done, 700)); // let what was sent arrive and be kept
    return response.destroy();
  }
}

/** Resolves with false when the other side has gone. */
function write(response, bytes) {
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((done) => response.write(bytes, (error) => done(!error)));
}
