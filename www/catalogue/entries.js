/**
 * Models that can be had elsewhere: those of entries.json, which `opengen models` lists too. Sizes are bytes. What is kept
 * (`stored`), `working` (the largest stage of a picture of the model's own size in f32, beside the weights) and `widest` (the
 * largest of its values, which lies in one buffer) are those of `opengen plan --limits webgpu`, or computed from the count of
 * parameters as docs/models.md says. `examples` at the head are those of every entry that has none of its own.
 */

import listed from './entries.json' with { type: 'json' };

/**
 * What this page lacks for a model; the words are in texts.js.
 * @typedef {'names'} Lack
 * names: what its files are called is not known here
 *
 * @typedef {object} Source a file, or with no `path` a folder in diffusers' layout
 * @property {string} repo on the hub
 * @property {string | null} revision a commit; null where none has been pinned: the newest is fetched then
 * @property {string} [path]
 * @property {string[]} [parts] which of the model's components come from it; left out, all
 * @property {string} [at] the address of the folder, where it does not lie on the hub
 * @property {boolean} seen whether this project has had the file in its hands
 *
 * @typedef {object} Ready the model as a GGUF of ours in one type, as `opengen import` writes it
 * @property {import('../protocol.d.ts').WeightType} type
 * @property {string} url of the file, or where it lies in parts of their index (`opengen split`)
 * @property {number} bytes of the whole file
 * @property {string} sha256 of the whole file
 *
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} name
 * @property {string} about one sentence of what it is good at
 * @property {string} family
 * @property {import('./licenses.js').Under} license of all its sources together
 * @property {Lack | null} missing null where this page can fetch it and draw with it
 * @property {Source[]} [sources]
 * @property {string} [url] where a single file lies, in place of `sources`
 * @property {string} [sha256] of a single file, where it is known
 * @property {Ready[]} [ready] preferred where one is in the type that new models are kept in
 * @property {number | null} download
 * @property {Record<string, number>} stored by type: what is kept of it
 * @property {number} [working]
 * @property {number} [widest]
 * @property {number} [width]
 * @property {number} [height]
 * @property {Partial<import('../protocol.d.ts').ModelInfo['defaults']>} [defaults]
 * @property {{prompt: string, seed: number}[]} [examples]
 * @property {string | null} [revision]
 * @property {boolean} general it draws whatever it is asked for
 */

/** @type {readonly Entry[]} */
export const ENTRIES = /** @type {any[]} */ (listed.models).map((entry) => (
  { examples: listed.examples, revision: entry.sources.length === 1 ? entry.sources[0].revision : null, ...entry }));
