/** Which options the calls take. Others are refused by name, with the one that was probably meant. */

import { invalid } from './errors.js';

/**
 * Of a type, every field by name: the type checker refuses one that is missing here, and one too many.
 * @template T
 * @typedef {Record<keyof T, true>} Names
 */

/** @type {Names<Required<import('./api.d.ts').CreateOptions>>} */
const CREATE = { model: true, engine: true, learns: true, memoryLimit: true, workerUrl: true, onPicture: true, onProgress: true, signal: true };
/** @type {Names<Required<import('./api.d.ts').LoadOptions>>} */
const LOAD = { onProgress: true, signal: true };
/** @type {Names<Required<import('./api.d.ts').ImportOptions>>} */
const IMPORT = { ...LOAD, weights: true, allowNonFinite: true };
/** @type {Names<Required<import('./api.d.ts').DetectOptions>>} */
const DETECT = { model: true, engine: true, workerUrl: true, signal: true };
/** @type {Names<Required<import('./api.d.ts').ModelDescription>>} */
const MODEL = {
  id: true, name: true, url: true, bytes: true, sha256: true, width: true, height: true, working: true, defaults: true,
  examples: true, open: true, about: true, knows: true, synonyms: true, phrases: true, classPrompts: true, emoji: true, license: true, headers: true,
  fetch: true, prediction: true, files: true,
};
/** @type {Names<Required<import('./api.d.ts').PictureOptions>>} */
const PICTURE = {
  prompt: true, negativePrompt: true, dialect: true, emphasis: true, clipSkip: true, embeddings: true, wildcards: true, templates: true, steps: true, guidance: true, seed: true, variationSeed: true,
  variationStrength: true, rng: true, sampler: true, schedule: true, width: true, height: true, batch: true,
  previews: true, walk: true, guidanceRescale: true, samplerOptions: true, tiling: true, tiles: true, image: true, latents: true, strength: true, exactSteps: true, resize: true, encode: true,
  mask: true, maskBlur: true, maskedContent: true, differential: true, onlyMasked: true, extend: true, hires: true, regions: true, controls: true, loras: true,
};
/** @type {Names<Required<import('./api.d.ts').GenerateOptions>>} */
const GENERATE = { ...PICTURE, imageType: true, onStage: true, onStep: true, signal: true };
/** @type {Names<Required<import('./api.d.ts').UpscaleOptions>>} */
const UPSCALE = { model: true, scale: true, tiling: true, imageType: true, onProgress: true, signal: true };
/** @type {Names<Required<import('./api.d.ts').TrainOptions>>} */
const TRAIN = {
  images: true, instancePrompt: true, classPrompts: true, preset: true, recipe: true, width: true, height: true, name: true, naming: true, trigger: true,
  saveEvery: true, checkpoint: true, onPrepare: true, onBegin: true, onStep: true, onKept: true, signal: true,
};
/** @type {Names<import('./protocol.d.ts').Recipe>} */
const RECIPE = {
  layers: true, rank: true, alpha: true, textEncoder: true, vectors: true, initial: true, learningRate: true, textLearningRate: true, vectorLearningRate: true, schedule: true, warmup: true,
  steps: true, batch: true, classBatch: true, classImages: true, priorWeight: true, captionDropout: true, flip: true, buckets: true, minSnr: true, noiseOffset: true,
  maxGradient: true, weightDecay: true, seed: true, memory: true,
};
/** @type {Names<Required<import('./api.d.ts').PreviewOptions>>} */
const PREVIEWS = { size: true, every: true };
/** @type {Names<Required<import('./protocol.d.ts').Walk>>} */
const WALK = { prompt: true, seed: true, share: true };
/** @type {Names<Required<import('./api.d.ts').HiresOptions>>} */
const HIRES = { scale: true, strength: true, steps: true, upscaler: true, model: true };
/** @type {Names<Required<import('./protocol.d.ts').SamplerOptions>>} */
const SAMPLER_OPTIONS = {
  eta: true, sChurn: true, sTmin: true, sTmax: true, sNoise: true, sigmaMin: true, sigmaMax: true, rho: true,
  discardNextToLastSigma: true, sgmNoiseMultiplier: true, dynamicThresholdingRatio: true, sampleMaxValue: true, etaNoiseSeedDelta: true,
};
/** @type {Names<Required<import('./api.d.ts').RegionOptions>>} */
const REGION = { part: true, rect: true, mask: true, weight: true };
/** @type {Names<Required<import('./protocol.d.ts').Tiles>>} */
const TILES = { size: true, overlap: true };
/** @type {Names<import('./protocol.d.ts').Rectangle>} */
const RECT = { left: true, top: true, width: true, height: true };
/** @type {Names<Required<import('./api.d.ts').ControlOptions>>} */
const CONTROL = { model: true, image: true, strength: true, start: true, end: true, preprocessor: true, importance: true, resize: true };
/** @type {Names<Required<import('./api.d.ts').LoraOptions>>} */
const LORA = { name: true, model: true, weight: true, textWeight: true, blocks: true, start: true, stop: true };
/** @type {Names<{name: string, replace: boolean}>} */
const NETWORK = { name: true, replace: true };
/** @type {Names<Required<import('./api.d.ts').EmbeddingOptions>>} */
const EMBEDDING = { name: true, file: true };
/** @type {Names<Required<import('./protocol.d.ts').Latents>>} */
const LATENTS = { values: true, step: true };
/** @type {Names<Required<import('./protocol.d.ts').Extension>>} */
const EXTEND = { left: true, top: true, right: true, bottom: true, overlap: true };
/** @type {Names<{signal: AbortSignal}>} */
const SIGNAL = { signal: true };
/** @type {Names<Required<import('./protocol.d.ts').Reading>>} */
const READING = { dialect: true, emphasis: true, embeddings: true };
/** What `study` asks. @type {Record<import('./protocol.d.ts').Study['what'], Record<string, true>>} */
export const STUDY = {
  schedule: {},
  tokens: { prompt: true, ...READING },
  length: { prompt: true, ...READING },
  understood: { prompt: true, steps: true, ...READING },
  expand: { prompt: true, negativePrompt: true, wildcards: true, seed: true },
  encode: { image: true },
  decode: { latents: true, width: true, height: true },
  noise: { image: true, latents: true, width: true, height: true, t: true, seed: true },
  begin: { request: true, clean: true, t: true },
  step: { request: true, index: true, latents: true, maps: true },
  film: { frames: true, delay: true },
  map: { image: true, preprocessor: true, resize: true, width: true, height: true },
};

/** The options of each call, by what an error calls it. */
const TAKES = {
  create: CREATE, detect: DETECT, load: IMPORT, import: IMPORT, quantize: LOAD, setAutoencoder: IMPORT, model: MODEL, generate: GENERATE, previews: PREVIEWS,
  upscale: UPSCALE, train: TRAIN, recipe: RECIPE, walk: WALK, latents: LATENTS, extend: EXTEND, hires: HIRES, samplerOptions: SAMPLER_OPTIONS, tiles: TILES, region: REGION, rect: RECT, control: CONTROL, embedding: EMBEDDING, lora: LORA, add: NETWORK, request: PICTURE, study: SIGNAL,
};

/** What others call an option; without capitals, dashes and underscores. */
const ELSEWHERE = /** @type {Record<string, string>} */ ({
  cfg: 'guidance', cfgscale: 'guidance', guidancescale: 'guidance', scale: 'guidance',
  numinferencesteps: 'steps', numsteps: 'steps', inferencesteps: 'steps', iterations: 'steps',
  negative: 'negativePrompt', text: 'prompt', scheduler: 'sampler', samplername: 'sampler', method: 'sampler',
  n: 'batch', count: 'batch', batchsize: 'batch', numimages: 'batch', numimagesperprompt: 'batch',
  initimage: 'image', initlatents: 'latents', latentimage: 'latents', startatstep: 'step', denoisingstrength: 'strength', denoise: 'strength', maskimage: 'mask', outpaint: 'extend', seamless: 'tiling', circular: 'tiling', hiresfix: 'hires', highres: 'hires', hrscale: 'scale', textualinversion: 'embeddings', textualinversions: 'embeddings', embedding: 'embeddings', region: 'regions', areas: 'regions', controlnet: 'controls', controlnets: 'controls', lora: 'loras', networks: 'loras', adapters: 'loras', network: 'model', strength: 'weight', te: 'textWeight', unet: 'weight', weight: 'strength', controlnetconditioningscale: 'strength', guidancestart: 'start', guidanceend: 'end', module: 'preprocessor', map: 'image', controlmode: 'importance', hrupscaler: 'upscaler', feather: 'overlap', feathering: 'overlap', inpaintfullrespadding: 'onlyMasked', paddingmaskcrop: 'onlyMasked', maskedareapadding: 'onlyMasked', ensd: 'etaNoiseSeedDelta', discardpenultimatesigma: 'discardNextToLastSigma', subseed: 'variationSeed', subseedstrength: 'variationStrength', w: 'width', h: 'height',
  callback: 'onStep', onprogress: 'onStep', onpreview: 'onStep', abortsignal: 'signal', type: 'imageType',
  format: 'imageType', device: 'engine', backend: 'engine', worker: 'workerUrl', src: 'url', href: 'url', path: 'url',
  hash: 'sha256', size: 'bytes', memory: 'memoryLimit', maxmemory: 'memoryLimit', vram: 'memoryLimit',
});

/**
 * Refuses what a call does not take. What is undefined counts as left out.
 * @param {keyof typeof TAKES} call
 * @param {unknown} given
 */
export function check(call, given) {
  refuse(call, given, TAKES[call]);
}

/**
 * @param {string} call
 * @param {unknown} given
 * @param {Record<string, true>} takes
 */
export function refuse(call, given, takes) {
  if (given === undefined || given === null) return;
  if (typeof given !== 'object') throw invalid(call, `${call} takes an object of options`);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || Object.hasOwn(takes, name)) continue;
    const meant = nearest(name, Object.keys(takes));
    const more = Object.keys(takes).length ? `it takes ${Object.keys(takes).join(', ')}` : 'it takes none';
    throw invalid(name, `${call} has no option "${name}"${meant ? `: did you mean "${meant}"?` : `; ${more}`}`);
  }
}

/**
 * @param {string} name
 * @param {string[]} known
 * @returns {string | undefined}
 */
function nearest(name, known) {
  const plain = bare(name);
  if (known.includes(ELSEWHERE[plain])) return ELSEWHERE[plain];
  const [best] = known.map((word) => ({ word, far: distance(plain, bare(word)) })).sort((a, b) => a.far - b.far);
  return best && best.far <= (plain.length < 5 ? 1 : 2) ? best.word : undefined;
}

/** @param {string} name */
const bare = (name) => name.toLowerCase().replace(/[-_]/g, '');

/** Levenshtein's: letters to change, insert or remove. @param {string} a @param {string} b */
function distance(a, b) {
  let row = [...b, ''].map((_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + Number(letter !== other)));
    }
    row = next;
  }
  return row[b.length];
}
