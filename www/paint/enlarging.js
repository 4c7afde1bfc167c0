/** A picture enlarged by a network of the visitor's, or by Lanczos. */

import { invalid } from '../errors.js';
import { duration } from '../js/dom.js';
import { bar, say } from '../js/status.js';

/** The network that enlarged last: the engine knows this one again. @type {{hash: string, file: File} | null} */
let last = null;

/**
 * The file of a network of the visitor's.
 * @param {{hash: string, name: string}} network @param {import('../js/pictures.js').Pictures} pictures
 * @throws {import('../errors.js').OpenGenError} INVALID_INPUT where the browser has let go of it
 */
export async function fileOf({ hash, name }, pictures) {
  if (last?.hash !== hash) {
    const file = await pictures.source(hash);
    if (!file) throw invalid('image', 'the upscaler is not here any more: choose its file again, or enlarge without one');
    last = { hash, file: new File([file], `${name}.safetensors`) };
  }
  return last.file;
}

/**
 * @param {any} request whose `network` is named by its hash, or is none of the visitor's @param {Blob} image
 * @param {{session: import('../js/session.js').Session, pictures: import('../js/pictures.js').Pictures, signal: AbortSignal}} by
 * @throws {import('../errors.js').OpenGenError} INVALID_INPUT where the browser has let go of the network
 */
export async function enlarged({ network, factor, seed, tiling }, image, { session, pictures, signal }) {
  const { name } = network;
  const model = network.hash ? await fileOf(network, pictures) : undefined;
  const started = performance.now();
  say('Enlarging', name);
  const onProgress = (/** @type {{share: number}} */ { share }) => {
    const left = ((performance.now() - started) / share) * (1 - share);
    say('Enlarging', `${Math.round(share * 100)} % · ${duration(left / 1000)} left`);
    bar(share);
  };
  const made = await session.upscale(image, { model, scale: factor, tiling, onProgress, signal });
  const totalMs = performance.now() - started;
  return { image: made.image, png: [made.png], seed, timings: { totalMs }, notices: [] };
}
