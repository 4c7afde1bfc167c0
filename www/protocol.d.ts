/**
 * What the client and the worker say to each other: one closed union in each direction.
 * link.js posts `ToWorker`, worker.js posts `FromWorker`; nothing else crosses.
 */

export type EnginePath = 'auto' | 'webgpu' | 'cpu';

export interface Capabilities {
  engine: 'webgpu' | 'cpu';
  /** Why the CPU is used, as a sentence for people; null on the GPU. */
  reason: string | null;
  /** Whose code was fetched: one engine's, or both where they were measured or one took over. */
  fetched: ('webgpu' | 'cpu')[];
  adapter: string;
  backend: string;
  isFallbackAdapter: boolean;
  f16: boolean;
  maxBufferBytes: number;
}

/** One model of models.js. */
export interface ModelInfo {
  id: string;
  name: string;
  url: string;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Native size in pixels. */
  width: number;
  height: number;
  defaults: { steps: number; guidance: number; sampler: Sampler; schedule: Schedule };
  examples: { prompt: string; seed: number }[];
  /** What it can draw, honestly, in one or two sentences. */
  about: string;
  /** The words it was trained on by heading, where that is a list. */
  knows?: {
    things: Record<string, string[]>;
    around: Record<string, string[]> & Record<'Two things' | 'Backgrounds' | 'Settings' | 'Styles', string[]>;
  };
  /** Of things in `knows`: other names, and plurals that do more than add an s. */
  synonyms?: Record<string, string[]>;
  /** All wordings of what goes around a thing, by what they say. */
  phrases?: Record<'colours' | 'sizes' | 'positions' | 'settings' | 'styles' | 'relations' | 'openings', string[]>;
  /** The emoji of the things in `knows`, in their order, one character each. */
  emoji?: string;
  license: string;
}

export interface StoredModel {
  id: string;
  name: string;
  /** Where it came from. */
  url: string;
  /** As packed in the store. */
  bytes: number;
  /** Native size in pixels; null where another version of the engine stored it. */
  width: number | null;
  height: number | null;
  /** False while a part of it is still to be fetched. */
  complete: boolean;
  /** False where another version of the engine stored it: it will be fetched again. */
  formatOk: boolean;
  /** A checksum did not match: fetching again replaces what is missing. */
  damaged: boolean;
}

export interface StorageReport {
  usage: number;
  quota: number;
  persisted: boolean;
  models: StoredModel[];
}

export interface LoadProgress {
  phase: 'wait' | 'download' | 'verify' | 'upload';
  /** Bytes. */
  loaded: number;
  total: number;
  /** Bytes per second. */
  rate: number;
  secondsLeft: number | null;
  /** Bytes that were here already when this download began. */
  resumedFrom: number;
}

export interface LoadedModel {
  id: string;
  name: string;
  bytes: number;
  fromStore: boolean;
  /** There was no room or no permission to keep it: it lives until the tab closes. */
  inMemoryOnly: boolean;
  /** What the visitor should know, such as why it is not kept. */
  notice: string | null;
  /** Native size in pixels. */
  width: number;
  height: number;
}

export type Sampler = 'ddim' | 'euler' | 'euler-a' | 'dpm++-2m';
export type Schedule = 'default' | 'karras';

export interface GenerateRequest {
  prompt: string;
  negativePrompt: string;
  steps: number;
  guidance: number;
  /** 0 … 2^64 − 1; a string where a double would lose digits. */
  seed: number | string;
  /** Noise `variationStrength` (0 … 1; left out: 0) of the way to another seed's, as A1111 has it. */
  variationSeed?: number | string;
  variationStrength?: number;
  /** Which generator's noise: PyTorch's CPU generator or Philox. */
  rng: 'torch' | 'philox';
  sampler: Sampler;
  schedule: Schedule;
  /** Pixels, multiples of 8. */
  width: number;
  height: number;
  batch: number;
  /** Send a small picture of the latents with each step. */
  previews: boolean;
  /** A stop on the way to another prompt or seed: share 0 is this request, 1 the other end. */
  walk?: { prompt?: string; seed?: number | string; share: number };
}

/** Latents as numbers `[channels, h, w]` and in preview colours. */
export interface Shown {
  latents: Float32Array;
  image: Pixels;
}

/** A step's noise level and coefficients: next = nextX · latents + nextModel · output + nextNoise · fresh noise. */
export interface StepNumbers {
  timestep: number;
  sigma: number;
  inputScale: number;
  nextX: number;
  nextModel: number;
  nextNoise: number;
  cleanX: number;
  cleanModel: number;
}

/** Where one cross attention looked: `[height, width, tokens]`, the mean over its heads. */
export interface AttentionMap {
  layer: string;
  width: number;
  height: number;
  tokens: number;
  values: Float32Array;
}

/** One step, looked into. */
export interface StepTrace extends StepNumbers {
  /** √ᾱ and √(1 − ᾱ) of what goes in. */
  signal: number;
  noiseShare: number;
  /** What the UNet sees, the noise it finds, its guess of the finished latents, what the next step's UNet will see. */
  input: Shown;
  noise: Shown;
  clean: Shown;
  after: Shown;
  /** What to pass as `latents` of the next step. */
  next: Float32Array;
  /** Empty unless asked. */
  maps: AttentionMap[];
}

/** A question about the loaded model, and what answers it. Times run from 0, the clean picture, to `last`. */
export type Study =
  /** `{ last, signal, noise, prediction, latentChannels, latentScale }`; the shares are Float32Arrays over time. */
  | { what: 'schedule' }
  /** `{ id, text }[]`; the tokens that begin and end the text have no text. */
  | { what: 'tokens'; prompt: string }
  /** Float32Array: scaled latents. */
  | { what: 'encode'; image: Pixels }
  /** Pixels. Width and height are the picture's. */
  | { what: 'decode'; latents: Float32Array; width: number; height: number }
  /** `{ image: Pixels }` */
  | { what: 'noise'; image: Pixels; t: number; seed: number | string }
  /** Shown */
  | { what: 'noise'; latents: Float32Array; width: number; height: number; t: number; seed: number | string }
  /** `{ first, latents, image, steps: StepNumbers[] }`: from pure noise, or from `clean` latents noised up to `t`. */
  | { what: 'begin'; request: GenerateRequest; clean?: Float32Array; t?: number }
  /** StepTrace */
  | { what: 'step'; request: GenerateRequest; index: number; latents: Float32Array; maps?: boolean }
  /** Uint8Array: an animated PNG, `delay` milliseconds a frame. */
  | { what: 'film'; frames: Pixels[]; delay: number };

/** RGBA, row by row from the top. */
export interface Pixels {
  width: number;
  height: number;
  data: ImageData['data'];
}

export type GenerateEvent =
  | { type: 'stage'; stage: 'text' | 'denoise' | 'decode' }
  | { type: 'step'; step: number; steps: number; preview: Pixels | null };

export interface Timings {
  textMs: number;
  denoiseMs: number;
  decodeMs: number;
  totalMs: number;
}

export interface Stats {
  dispatchesPerStep: number;
  newBuffersPerStep: number;
  newBindGroupsPerStep: number;
  gpuBytes: number;
  wasmHeapBytes: number;
}

export interface GenerateResult {
  images: Pixels[];
  /** One PNG file per image, with the settings in its text chunk. */
  png: Uint8Array[];
  seed: number | string;
  timings: Timings;
  /** What the visitor should know, such as a prompt that was cut. */
  notices: string[];
  stats: Stats;
  /** As of now: a lost device may have moved the work to the CPU. */
  capabilities: Capabilities;
}

/** What a picture's metadata says; null where it does not. Ranges are unchecked. */
export interface PictureSettings {
  prompt: string;
  negativePrompt: string;
  steps: number | null;
  guidance: number | null;
  /** Decimal digits. */
  seed: string | null;
  variationSeed: string | null;
  variationStrength: number | null;
  sampler: Sampler | null;
  schedule: Schedule | null;
  rng: 'torch' | 'philox' | null;
  width: number | null;
  height: number | null;
  /** The model's name as its maker wrote it. */
  model: string | null;
  /** What cannot be honoured here, as sentences. */
  notices: string[];
}

/** `Error::code` in src/error.rs maps what goes wrong in the engine to these. */
export type ErrorCode =
  /** Neither the GPU's nor the tab's memory suffices; a smaller picture needs less. */
  | 'OUT_OF_MEMORY'
  /** The model or the engine's files did not arrive; what has arrived of a model is kept. */
  | 'NETWORK'
  /** There is no room to keep the model, and it does not fit into memory either. */
  | 'QUOTA'
  /** This browser, or a model of this kind, cannot be used. */
  | 'UNSUPPORTED'
  /** An option is outside what it takes; `field` names it. */
  | 'INVALID_INPUT'
  /** The graphics device was lost and could not be replaced. */
  | 'DEVICE_LOST'
  /** The signal fired, or the client was disposed of. */
  | 'ABORTED'
  /** The file is no model, or not a whole one. */
  | 'BAD_MODEL'
  /** The stored model's checksum is wrong; loading it again fetches what is missing. */
  | 'DAMAGED'
  /** The browser's storage failed. */
  | 'STORAGE'
  /** The engine itself broke; make a new one. */
  | 'INTERNAL';

export interface WireError {
  code: ErrorCode;
  message: string;
  /** The setting at fault, for INVALID_INPUT. */
  field: string | null;
  retryable: boolean;
}

/** A model's file; `bytes` and `sha256` where they are known. */
export interface ModelFile {
  id: string;
  url: string;
  bytes?: number;
  sha256?: string;
}

export type ToWorker =
  | { type: 'create'; id: number; engine: EnginePath }
  | { type: 'listModels'; id: number }
  | { type: 'importModel'; id: number; model: ModelFile }
  | { type: 'loadModel'; id: number; model: ModelFile }
  | { type: 'generate'; id: number; request: GenerateRequest }
  | { type: 'study'; id: number; ask: Study }
  | { type: 'readSettings'; id: number; png: Uint8Array }
  | { type: 'removeModel'; id: number; model: string }
  | { type: 'storage'; id: number }
  /** Stops call `id`, if it is still running; that call then fails with ABORTED. */
  | { type: 'cancel'; id: number };

export type FromWorker =
  | { type: 'progress'; id: number; progress: LoadProgress }
  | { type: 'event'; id: number; event: GenerateEvent }
  | { type: 'done'; id: number; value: unknown }
  | { type: 'failed'; id: number; error: WireError };
