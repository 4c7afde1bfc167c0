/**
 * A file on its way from the network, in pieces that are kept in this browser: whatever ends it, it goes on from there at the next
 * attempt, after a reload too.
 */

import { Database } from '../database.js';
import { sha256 as hashOf } from '../hash.js';

const DATABASE = new Database('opengen-arriving', (database) => database.createObjectStore('files'));
/** Bytes of a piece. */
const PIECE = 8 * 2 ** 20;
/** A line that breaks is taken up again so often without anything new having come. */
const ATTEMPTS = 3;
/** Larger files are not looked at whole. */
const MOST_HASHED = 2 ** 29;

/** @typedef {{etag: string | null, total: number, pieces: Blob[]}} Arrived */

/** What has come of a file. @param {string} url @returns {Promise<number>} bytes */
export const cameOf = async (url) => lengthOf((await read(url))?.pieces ?? []);

/** Lets go of what has come. @param {string} url */
export const forget = (url) => change((store) => store.delete(url));

/**
 * Fetches a file, or the rest of it. Rejects with a sentence; what has come stays, unless it turned out to be another file.
 * @param {string} url
 * @param {{name: string, sha256?: string, signal: AbortSignal, onProgress: (loaded: number, total: number) => void}} how
 * @returns {Promise<File>} call `forget` once it is where it belongs
 */
export async function fetched(url, { name, sha256, signal, onProgress }) {
  const host = new URL(url).host;
  let arrived = (await read(url)) ?? { etag: null, total: 0, pieces: [] };
  for (let left = ATTEMPTS; ;) {
    const before = lengthOf(arrived.pieces);
    try {
      arrived = await more(url, arrived, signal, onProgress);
    } catch (error) {
      if (error.name === 'AbortError' || error.isFinal) throw error;
      arrived = (await read(url)) ?? arrived;
      left = lengthOf(arrived.pieces) > before ? ATTEMPTS : left - 1;
      if (left > 0) continue;
      throw new Error(`The line to ${host} broke off. What has come is kept: press again, and it goes on from there.`);
    }
    if (!arrived.total || lengthOf(arrived.pieces) >= arrived.total) break;
  }
  const file = new File(arrived.pieces, name);
  const hash = sha256 && file.size <= MOST_HASHED ? await hashOf(await file.arrayBuffer()) : null;
  if (hash && hash !== sha256) {
    await forget(url);
    throw new Error(`${host} sent another file than the one that is known here, so it was not taken.`);
  }
  return file;
}

/** @param {string} url @param {Arrived} arrived @param {AbortSignal} signal @param {(loaded: number, total: number) => void} onProgress @returns {Promise<Arrived>} */
async function more(url, arrived, signal, onProgress) {
  let had = lengthOf(arrived.pieces);
  const response = await fetch(url, { headers: had ? { Range: `bytes=${had}-` } : {}, credentials: 'omit', cache: 'no-store', signal });
  const etag = response.headers.get('ETag');
  if (response.status === 416 && had && had === arrived.total) return arrived;
  const other = had && (response.status !== 206 || (etag && arrived.etag && etag !== arrived.etag));
  if (other || response.status === 416) {
    // Another file by now, or a server that begins anew.
    await forget(url);
    await response.body?.cancel();
    if (had) return more(url, { etag: null, total: 0, pieces: [] }, signal, onProgress);
  }
  if (!response.ok || !response.body) throw final(refusal(response.status, new URL(url).host));
  if (/text\/html/i.test(response.headers.get('Content-Type') ?? '')) throw final(`${new URL(url).host} answered with a page instead of the file.`);
  const length = Number(response.headers.get('Content-Length')) || 0;
  arrived = { etag: etag ?? arrived.etag, total: length ? had + length : arrived.total, pieces: arrived.pieces };
  const reader = response.body.getReader();
  let waiting = [];
  const put = async () => {
    if (!waiting.length) return;
    arrived = { ...arrived, pieces: [...arrived.pieces, new Blob(waiting)] };
    waiting = [];
    await change((store) => store.put(arrived, url)).catch(() => {}); // without a store it comes in one go
  };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      waiting.push(value);
      had += value.length;
      onProgress(had, arrived.total);
      if (waiting.reduce((sum, { length: bytes }) => sum + bytes, 0) >= PIECE) await put();
    }
  } finally {
    await put();
  }
  return arrived;
}

/** @param {number} status @param {string} host */
function refusal(status, host) {
  if (status === 401 || status === 403) return `${host} wants to know who fetches it (${status}): fetch the file there in a tab of its own, and add it here.`;
  if (status === 404) return `${host} has no such file any more (404).`;
  return `${host} refused it (${status}). Try again later.`;
}

/** @param {string} message */
const final = (message) => Object.assign(new Error(message), { isFinal: true });

/** @param {Blob[]} pieces */
const lengthOf = (pieces) => pieces.reduce((sum, { size }) => sum + size, 0);

/** @param {string} url @returns {Promise<Arrived | undefined>} */
const read = (url) => DATABASE.read('files', (store) => store.get(url)).catch(() => undefined);

/** @param {(store: IDBObjectStore) => unknown} work */
const change = (work) => DATABASE.change(['files'], ([files]) => work(files));
