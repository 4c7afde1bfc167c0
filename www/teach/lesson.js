/** A training as the view Teach and the last part of How it works run it: on an engine of its own, and one at a time in this browser. */

import { OpenGen } from '../client.js';
import { keepParts } from '../js/shell.js';
import { TEXTS as T } from './texts.js';

/** The engine that learns. @type {OpenGen | null} */
let learning = null;
/** Whether it is to wait. */
let isHeld = false;

/** Lets what learns wait, now and as long as nothing else is said, or go on. @param {boolean} waits */
export function hold(waits) {
  isHeld = waits;
  learning?.hold(waits).catch(() => {}); // it broke down, which its training says
}

/** Held by the tab that trains. */
const LOCK = 'opengen-teach';

/**
 * Teaches the page's model, on the GPU if pictures are drawn there, while the page's own engine stays free. Rejects at once where
 * another training is under way, here or in another tab.
 * @param {import('../js/session.js').Session} session
 * @param {import('../api.d.ts').TrainOptions} options
 * @returns {Promise<import('../api.d.ts').Trained>}
 */
export const taught = (session, options) => alone(async () => {
  const { signal } = options;
  const { model } = session;
  const { id, url, prediction, files } = model;
  const engine = session.capabilities()?.engine ?? 'cpu';
  const source = /** @type {any} */ (model.own ? { id, url, prediction, files } : model); // of stored models the store alone knows the rest
  const og = await OpenGen.create({ engine, learns: true, model: source, signal });
  keepParts(og.capabilities().fetched).catch(() => {}); // so that it learns without a network, too
  learning = og;
  hold(isHeld);
  try {
    return await og.train(options);
  } finally {
    learning = null;
    og.dispose();
  }
});

/** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
function alone(work) {
  if (!navigator.locks) return work(); // an old browser: the tabs do not know of each other
  return navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
    if (!lock) throw new Error(T.elsewhere);
    return work();
  });
}

/** Whether a training is under way, here or in another tab. */
export async function isUnderWay() {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return held.some(({ name }) => name === LOCK);
}

/** Resolves when no training is under way any more. @returns {Promise<void>} */
export const whenOver = async () => navigator.locks?.request(LOCK, { mode: 'shared' }, () => {});

/**
 * A picture of what a prompt means to the page's model now, with what was learnt or without.
 * @param {import('../js/session.js').Session} session
 * @param {{prompt: string, seed: number, file?: Blob | null, word?: string | null, strength?: number, signal?: AbortSignal}} of `word`: the
 *   file is that word's embedding
 */
export async function sampled(session, { prompt, seed, file = null, word = null, strength = 1, signal }) {
  await session.ready(signal ?? AbortSignal.timeout(60_000));
  const loras = file && !word ? [{ name: 'teach', model: file, weight: strength }] : [];
  const embeddings = file && word ? [{ name: word, file }] : [];
  return session.og.generate({ prompt, seed, previews: false, loras, embeddings, signal });
}
