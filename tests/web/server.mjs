/** A static server for the built page that can misbehave with the model file on request. */

import { createServer } from 'node:http';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
export const DIST = resolve(process.env.OPENGEN_DIST ?? join(here, '../../dist'));

const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png', '.webp': 'image/webp',
  '.json': 'application/json', '.webmanifest': 'application/manifest+json', '.wasm': 'application/wasm',
  '.gguf': 'application/octet-stream',
};

/** What isolates a page, so that its engine may compute on several threads: left out as static hosts do, unless asked for. */
const ISOLATION = ['Cross-Origin-Opener-Policy', 'Cross-Origin-Embedder-Policy'];

/** What `cargo xtask serve` sends too: the headers of Trunk.toml. */
const HEADERS = Object.fromEntries(
  [...readFileSync(join(here, '../../Trunk.toml'), 'utf8').split('[serve.headers]')[1].split('\n[')[0]
    .matchAll(/^([\w-]+) = "(.*)"$/gm)].map(([, name, value]) => [name, value]),
);

/**
 * How the model file is served. All false or zero: as a good server would.
 * @typedef {object} Faults
 * @property {number} [status] answer with this status
 * @property {boolean} [html] answer 200 with a web page
 * @property {number} [cutAt] end the connection once this many bytes of the file have been sent
 * @property {boolean} [noRange] ignore Range headers
 * @property {number} [wrongLength] send this many bytes, honestly announced, instead of the file
 * @property {number} [bytesPerSecond] send slowly
 * @property {boolean} [flip] send the right length with one byte changed
 * @property {boolean} [noLength] send it chunked, without its length
 * @property {string} [etag] the file's tag; a range of another file is not sent
 * @property {Buffer} [instead] other bytes of the same length
 */

export class Server {
  /** @type {Faults} */ faults = {};
  /** Requests for model files, oldest first: {range, sent}. */ models = [];
  /** Paths of all other requests. @type {string[]} */ paths = [];
  /** All that came from the browser: of every request its method, its address with the query, and its body. @type {string[]} */
  log = [];
  /** Answers to these paths wait until their promise settles. @type {Map<string, Promise<unknown>>} */ held = new Map();
  /** Files served from here instead of from disk: path → text. @type {Map<string, string>} */ overlay = new Map();
  /** A path that answers 404. @type {string | null} */ missing = null;
  /** Asks for this header wherever a path begins with `/private/`. @type {[string, string]} */ key = ['x-key', 'secret'];
  #folder;
  #headers;
  #server = createServer((request, response) => this.#answer(request, response));
  #sockets = new Set();

  /**
   * @param {string} [folder] what is served
   * @param {{cors?: boolean, policy?: string | null, isolated?: boolean}} [options] whether other origins may read it;
   *   another Content-Security-Policy than the page's, or none; whether the page is isolated
   */
  constructor(folder = DIST, { cors = false, policy, isolated = false } = {}) {
    this.#folder = folder;
    this.#headers = { ...HEADERS };
    if (!isolated) ISOLATION.forEach((name) => delete this.#headers[name]);
    if (policy) this.#headers['Content-Security-Policy'] = policy;
    if (policy === null) delete this.#headers['Content-Security-Policy'];
    if (cors) this.#headers['Access-Control-Allow-Origin'] = '*';
  }

  async start() {
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise((done) => this.#server.listen(this.port ?? 0, '127.0.0.1', done));
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}/`;
    return this;
  }

  /** Gone, as if the machine had been switched off. */
  async kill() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }

  /** Forgets what was asked and behaves again. */
  reset() {
    this.faults = {};
    this.models = [];
    this.paths = [];
    this.log = [];
    this.held.clear();
    this.overlay.clear();
    this.missing = null;
  }

  async #answer(request, response) {
    const body = await text(request);
    this.log.push(`${request.method} ${decodeURIComponent(request.url)} ${JSON.stringify(request.headers)} ${body}`);
    const path = decodeURIComponent(new URL(request.url, 'http://x').pathname);
    await this.held.get(path);
    if (response.destroyed) return undefined;
    const name = path.endsWith('/') ? `${path}index.html` : path;
    const send = (...answer) => sendWith(this.#headers, response, ...answer);
    const [header, value] = this.key;
    if (path.startsWith('/private/') && request.headers[header] !== value) return send(403, 'text/plain', 'not for you');
    if (name === '/blank.html') return send(200, TYPES['.html'], '<!doctype html><title>blank</title>');
    if (extname(name) === '.gguf') return this.#model(request, response, join(this.#folder, name));
    this.paths.push(path);
    if (this.missing === name) return send(404, 'text/plain', 'not found');
    if (this.overlay.has(name)) return send(200, TYPES[extname(name)] ?? 'text/plain', this.overlay.get(name));
    const file = join(this.#folder, name);
    if (!file.startsWith(this.#folder) || !existsSync(file) || !statSync(file).isFile()) {
      return send(404, 'text/plain', 'not found');
    }
    const { size, mtimeMs } = statSync(file);
    const etag = `"${size}-${Math.round(mtimeMs)}"`;
    if (request.headers['if-none-match'] === etag) return response.writeHead(304, this.#headers).end();
    response.writeHead(200, { ...this.#headers, ETag: etag, 'Content-Type': TYPES[extname(name)] ?? 'text/plain',
      'Content-Length': size });
    createReadStream(file).pipe(response);
  }

  async #model(request, response, file) {
    const { status, html, cutAt, noRange, wrongLength, bytesPerSecond, flip, noLength, etag, instead } = this.faults;
    const entry = { method: request.method, range: request.headers.range ?? null, sent: 0 };
    this.models.push(entry);
    const send = (...answer) => sendWith(this.#headers, response, ...answer);
    if (status) return send(status, 'text/plain', `status ${status}`);
    if (html) return send(200, TYPES['.html'], '<!doctype html><h1>Please log in</h1>');
    if (!existsSync(file)) return send(404, 'text/plain', 'not found');

    const size = wrongLength ?? statSync(file).size;
    const isOther = etag && request.headers['if-range'] && request.headers['if-range'] !== etag;
    const from = noRange || isOther ? 0 : Number(/^bytes=(\d+)-/.exec(entry.range ?? '')?.[1] ?? 0);
    if (from >= size) return response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
    const partial = !noRange && !isOther && entry.range !== null;
    response.writeHead(partial ? 206 : 200, {
      ...this.#headers, 'Content-Type': TYPES['.gguf'], ...(noLength ? {} : { 'Content-Length': size - from }),
      ...(etag ? { ETag: etag } : {}),
      ...(noRange ? {} : { 'Accept-Ranges': 'bytes' }),
      ...(partial ? { 'Content-Range': `bytes ${from}-${size - 1}/${size}` } : {}),
    });
    if (request.method === 'HEAD') return response.end();

    const piece = bytesPerSecond ? Math.max(1024, Math.floor(bytesPerSecond / 20)) : 65536;
    let at = from;
    for await (let bytes of createReadStream(file, { start: from, end: size - 1, highWaterMark: piece })) {
      if (cutAt !== undefined && at + bytes.length > cutAt) {
        bytes = bytes.subarray(0, Math.max(0, cutAt - at));
        if (bytes.length) await write(response, bytes);
        entry.sent += bytes.length;
        await pause(400); // let what was sent arrive and be kept
        return response.destroy();
      }
      if (instead) bytes = instead.subarray(at, at + bytes.length);
      if (flip && at <= size / 2 && size / 2 < at + bytes.length) bytes[Math.floor(size / 2) - at] ^= 1;
      if (!(await write(response, bytes))) return undefined;
      at += bytes.length;
      entry.sent += bytes.length;
      if (bytesPerSecond) await pause(50);
    }
    return response.end();
  }
}

/** What a request carries; as far as it came, where it broke off. */
async function text(request) {
  let body = '';
  try {
    for await (const piece of request) body += piece;
  } catch {
    // the other side has gone
  }
  return body;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Resolves with false when the other side has gone. */
function write(response, bytes) {
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((done) => response.write(bytes, (error) => done(!error)));
}

function sendWith(headers, response, status, type, text) {
  response.writeHead(status, { ...headers, 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}
