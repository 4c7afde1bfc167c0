/**
 * A folder whose files lie at addresses, or a file in parts, as one file: a `fetch` that answers for it as a server would that had it whole, from
 * any byte on. Its header is made of the beginnings of all files; each file follows when its turn comes.
 */

import { beginning, isText } from './folder.js';

/** A file in half precision stands for the one without this in its name, which is asked for where there is none. */
const HALF = /\.fp16(?=[.-])/;

/**
 * @typedef {{path: string, url: string}} Place
 * @typedef {(url: string, init?: any) => Promise<Response>} Fetch
 * @typedef {{url: string, from: number, to: number, length: number, etag: string | null | undefined}} Part some bytes of a file; its
 *   tag counts where it is known
 * @typedef {{header: Uint8Array, parts: Part[], length: number, etag: string | null}} Whole
 */

/** An answer that is not the file; who asked for the whole is given it. */
class Refused extends Error {
  /** @param {Response} response */
  constructor(response) {
    super(`status ${response.status}`);
    this.response = response;
  }
}

/**
 * @param {() => import('./folder.js').Module} module the engine's
 * @param {{title: string, places: readonly Place[], ask?: Fetch}} folder `ask` in place of the browser's `fetch`
 * @returns {{fetch: Fetch, problem: () => unknown}} `problem`: what the reader last said against the files
 */
export function gathered(module, { title, places, ask = fetch }) {
  /** @type {Whole | null} */ let whole = null;
  /** @type {unknown} */ let problem = null;

  /** @param {any} init @returns {Promise<Whole>} */
  const look = async (init) => {
    problem = null;
    const seen = await beginnings(places, (url, more) => ask(url, { ...init, ...more }));
    let joined;
    try {
      joined = module().joinFolder(seen, title);
    } catch (error) {
      problem = error;
      throw error;
    }
    const parts = joined.parts.map(({ path, from, to }) => {
      const { url, length, etag } = /** @type {any} */ (seen.find((file) => file.path === path));
      return { url, from, to, length, etag };
    });
    const length = parts.reduce((sum, { from, to }) => sum + to - from, joined.header.length);
    const etags = parts.map(({ etag }) => etag?.replaceAll('"', ''));
    return { header: joined.header, parts, length, etag: etags.every(Boolean) ? `"${etags.join(' ')}"` : null };
  };

  return {
    problem: () => problem,
    fetch: async (_, { headers: { Range, 'If-Range': same, ...headers } = /** @type {any} */ ({}), ...init } = {}) => {
      const others = { ...init, headers };
      try {
        whole ??= await look(others);
      } catch (error) {
        if (error instanceof Refused) return error.response;
        throw error;
      }
      return answer(whole, Range, same, (url, more) => ask(url, { ...others, headers: { ...headers, ...more } }));
    },
  };
}

/**
 * What a server would answer that had the whole.
 * @param {Whole} whole
 * @param {string | undefined} range
 * @param {string | undefined} same If-Range
 * @param {(url: string, headers: Record<string, string>) => Promise<Response>} ask
 */
function answer(whole, range, same, ask) {
  const { length, etag } = whole;
  const isRange = range && (!same || same === etag);
  const from = isRange ? Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? NaN) : 0;
  if (!(from < length)) return new Response(null, { status: 416 });
  return new Response(streamed(bytesOf(whole, from, ask)), {
    status: isRange ? 206 : 200,
    headers: {
      'Content-Length': String(length - from),
      ...(isRange ? { 'Content-Range': `bytes ${from}-${length - 1}/${length}` } : {}),
      ...(etag ? { ETag: etag } : {}),
    },
  });
}

/** How the address of an index ends: the file that it describes lies in parts beside it (`opengen split`). */
const INDEX = /\.index\.json$/i;

/** Whether an address is that of an index. @param {string} url */
export const isIndex = (url) => URL.canParse(url) && INDEX.test(new URL(url).pathname);

/**
 * A file that lies in parts, as one: what its index says of it, and a `fetch` that answers for it from any byte on.
 * @param {string} url of the index
 * @param {{headers?: [string, string][], ask?: Fetch}} [how] `ask` in place of the browser's `fetch`
 * @returns {Promise<{bytes: number, sha256: string, fetch: Fetch}>}
 * @throws NETWORK where the index does not come, BAD_MODEL where it is none
 */
export async function inParts(url, { headers = [], ask = fetch } = {}) {
  const failed = (/** @type {string} */ code, /** @type {string} */ why) =>
    Object.assign(new Error(`the index of the model's parts, ${new URL(url).pathname.split('/').pop()}: ${why}`), { code, retryable: code === 'NETWORK' });
  const response = await ask(url, { headers: Object.fromEntries(headers), cache: 'no-store' }).catch((/** @type {any} */ error) => {
    throw failed('NETWORK', error.message);
  });
  if (!response.ok) throw failed('NETWORK', `the server answered with status ${response.status}`);
  const { bytes, sha256, parts } = await response.json().catch(() => ({}));
  const isPart = (/** @type {any} */ part) => typeof part?.path === 'string' && URL.canParse(part.path, url) && part.bytes > 0 && Number.isInteger(part.bytes);
  const length = Array.isArray(parts) && parts.every(isPart) ? parts.reduce((sum, part) => sum + part.bytes, 0) : 0;
  if (!length || length !== bytes || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw failed('BAD_MODEL', 'it is none that opengen split writes, or its parts are not as long as it says');
  }
  const all = parts.map((/** @type {any} */ part) => ({ url: new URL(part.path, url).href, from: 0, to: part.bytes, length: part.bytes, etag: undefined }));
  const whole = { header: new Uint8Array(), parts: all, length, etag: `"${sha256}"` };
  return {
    bytes, sha256,
    fetch: async (_, { headers: { Range, 'If-Range': same, ...rest } = /** @type {any} */ ({}), ...init } = {}) =>
      answer(whole, Range, same, (address, more) => ask(address, { ...init, headers: { ...rest, ...more } })),
  };
}

/** How the address of a folder's index ends, by which its component's weights lie in shards. */
const SHARDED = /\.safetensors\.index(\.fp16)?\.json$/;

/** The shards that indices name, beside them; the reader says what is wrong with one. @param {readonly (Place & {bytes: Uint8Array})[]} seen @returns {Place[]} */
function shardsOf(seen) {
  return seen.filter(({ path }) => SHARDED.test(path)).flatMap(({ path, url, bytes }) => {
    try {
      const names = new Set(Object.values(JSON.parse(new TextDecoder().decode(bytes)).weight_map));
      return [...names].filter((name) => /^[^/\\]+\.safetensors$/.test(name))
        .map((name) => ({ path: path.replace(/[^/]+$/, () => name), url: new URL(encodeURIComponent(name), url).href }));
    } catch {
      return [];
    }
  });
}

/** What the reader wants to see of all files that are there. @param {readonly Place[]} places @param {Fetch} ask */
async function beginnings(places, ask) {
  const see = async (/** @type {readonly Place[]} */ list) =>
    (await Promise.all(list.map((place) => beginningAt(place, ask)))).filter((seen) => seen !== null);
  const halves = new Map(places.filter(({ path }) => HALF.test(path)).map(({ path }) => [path.replace(HALF, ''), path]));
  const seen = await see(places.filter(({ path }) => !halves.has(path)));
  const isThere = (/** @type {string | undefined} */ wanted) => seen.some(({ path }) => path === wanted);
  const rest = await see(places.filter(({ path }) => halves.has(path) && !isThere(halves.get(path))));
  const all = [...seen, ...rest];
  const isSeen = (/** @type {Place} */ { path }) => all.some((one) => one.path === path);
  return [...all, ...await see(shardsOf(all).filter((place) => !isSeen(place)))];
}

/** @param {Place} place @param {Fetch} ask */
async function beginningAt({ path, url }, ask) {
  const text = isText(path);
  const response = await ask(url, text ? {} : { headers: { Range: 'bytes=0-' } });
  if (response.status === 404) return null;
  if (!isFile(response)) throw new Refused(response);
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  let here = new Uint8Array();
  const bytes = await beginning(path, async (most) => {
    while (here.length < most) {
      const { value, done } = await reader.read();
      if (done) break;
      here = joinedBytes(here, value);
    }
    return here.subarray(0, most);
  });
  reader.cancel().catch(() => {}); // nobody reads on
  const length = text ? bytes.length : totalOf(response) ?? endIn(bytes);
  return { path, url, bytes, length, etag: response.headers.get('etag') };
}

/** The bytes of the whole from one on. @param {Whole} whole @param {number} from @param {(url: string, headers: Record<string, string>) => Promise<Response>} ask */
async function* bytesOf({ header, parts }, from, ask) {
  if (from < header.length) yield header.slice(from);
  let skip = Math.max(0, from - header.length);
  for (const part of parts) {
    const length = part.to - part.from;
    if (skip < length) yield* bytesAt(part, part.from + skip, ask);
    skip = Math.max(0, skip - length);
  }
}

/** A part's bytes, from one of its file on. @param {Part} part @param {number} from @param {(url: string, headers: Record<string, string>) => Promise<Response>} ask */
async function* bytesAt({ url, to, length, etag }, from, ask) {
  const response = await ask(url, { Range: `bytes=${from}-` });
  if (!isFile(response)) throw new TypeError(`${url}: status ${response.status}`);
  if ((totalOf(response) ?? length) !== length || etag !== undefined && response.headers.get('etag') !== etag) {
    throw new TypeError(`${url}: it has changed meanwhile`);
  }
  let at = response.status === 206 ? from : 0;
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  try {
    while (at < to) {
      const { value, done } = await reader.read();
      if (done) throw new TypeError(`${url}: it broke off`);
      const wanted = value.subarray(Math.max(0, from - at), to - at);
      at += value.length;
      if (wanted.length) yield wanted;
    }
  } finally {
    reader.cancel().catch(() => {}); // nobody reads on
  }
}

/** Whether an answer is a file, and no page about it. @param {Response} response */
const isFile = ({ status, headers }) => (status === 200 || status === 206) && !/^\s*text\/html/.test(headers.get('content-type') ?? '');

/** How long a file is, where an answer about some of it says that and may be read. @param {Response} response */
function totalOf({ status, headers }) {
  const said = status === 206 ? /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] : headers.get('content-length');
  return said ? Number(said) : null;
}

/** How long a file is by its own header; 0 where that is none, of which the reader has more to say. @param {Uint8Array} bytes */
function endIn(bytes) {
  try {
    const ends = Object.values(JSON.parse(new TextDecoder().decode(bytes.subarray(8)))).map(({ data_offsets: at }) => at?.[1] ?? 0);
    return bytes.length + Math.max(0, ...ends);
  } catch {
    return 0;
  }
}

/** @param {Uint8Array} a @param {Uint8Array} b */
function joinedBytes(a, b) {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** A stream of pieces, none of which is asked for before it is read. @param {AsyncGenerator<Uint8Array>} pieces */
function streamed(pieces) {
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => void pieces.return(undefined),
  }, { highWaterMark: 0 });
}
