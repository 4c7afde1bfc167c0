/**
 * What the page and the worker say to each other: one closed union in each direction.
 * client.js posts `ToWorker`, worker.js posts `FromWorker`; nothing else crosses.
 */

export type EnginePath = 'auto' | 'webgpu' | 'cpu';

export interface Capabilities {
  engine: 'webgpu' | 'cpu';
  /** Why the CPU is used, as a sentence for people; null on the GPU. */
  reason: string | null;
  adapter: string;
  backend: string;
  isFallbackAdapter: boolean;
  f16: boolean;
  maxBufferBytes: number;
}

/** One line of models.json. */
export interface ModelInfo {
  id: string;
  name: string;
  /** Relative to models.json. */
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
  /** The words it was trained on, where that is a list. */
  knows?: { things: string[]; backgrounds: string[] };
  license: string;
}

export interface StoredModel {
  id: string;
  name: string;
  bytes: number;
  complete: boolean;
  formatOk: boolean;
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
  /** Empty unless asked; WebGPU only. */
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
  data: Uint8ClampedArray;
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

export type ErrorCode =
  | 'OUT_OF_MEMORY'
  | 'NETWORK'
  | 'QUOTA'
  | 'UNSUPPORTED'
  | 'INVALID_INPUT'
  | 'DEVICE_LOST'
  | 'ABORTED'
  | 'BAD_MODEL'
  | 'DAMAGED'
  | 'STORAGE'
  | 'GPU'
  /** The worker itself broke; make a new one. */
  | 'INTERNAL';

export interface WireError {
  code: ErrorCode;
  message: string;
  /** The setting at fault, for INVALID_INPUT. */
  field: string | null;
  retryable: boolean;
}

export type ToWorker =
  | { type: 'create'; id: number; engine: EnginePath }
  | { type: 'listModels'; id: number }
  | { type: 'loadModel'; id: number; model: { id: string; url: string; bytes: number; sha256: string } }
  | { type: 'generate'; id: number; request: GenerateRequest }
  | { type: 'study'; id: number; ask: Study }
  | { type: 'removeModel'; id: number; model: string }
  | { type: 'storage'; id: number }
  /** Stops call `id`, if it is still running; that call then fails with ABORTED. */
  | { type: 'cancel'; id: number };

export type FromWorker =
  | { type: 'progress'; id: number; progress: LoadProgress }
  | { type: 'event'; id: number; event: GenerateEvent }
  | { type: 'done'; id: number; value: unknown }
  | { type: 'failed'; id: number; error: WireError };
