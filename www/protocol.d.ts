/**
 * What the client and the worker say to each other: one closed union in each direction.
 * link.js posts `ToWorker`, worker.js posts `FromWorker`; nothing else crosses.
 */

export type EnginePath = 'auto' | 'webgpu' | 'cpu';

/** A module of the engine, as its code is kept: the GPU's, the one that learns there, the processor's, and that on several threads. */
export type ModuleName = 'webgpu' | 'learn' | 'cpu' | 'threads';

export interface Capabilities {
  engine: 'webgpu' | 'cpu';
  /** Why the CPU is used, as a sentence for people; null on the GPU. */
  reason: string | null;
  /** Whose code was fetched: one engine's, or two where they were measured or one took over. */
  fetched: ModuleName[];
  /** On how many threads of the processor pictures are computed: several only where the page is isolated; 1 on the GPU. */
  threads: number;
  adapter: string;
  backend: string;
  isFallbackAdapter: boolean;
  f16: boolean;
  maxBufferBytes: number;
  /** How many bytes of the graphics device may be used; null without a limit, and on the CPU. */
  memoryLimit: number | null;
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
  /** Bytes that a picture of that size takes in f32 beside the weights, where that is known. */
  working?: number;
  defaults: { steps: number; guidance: number; sampler: Sampler; schedule: Schedule };
  examples: { prompt: string; seed: number }[];
  /** A prompt that leaves much open, and two seeds that make different pictures of it; what the first example may become. */
  open?: { prompt: string; seed: number; toSeed: number; change?: string };
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
  /** What it draws beforehand when it is taught something, to keep what it knows; `{}` stands for the kind of thing, such as "a dog". */
  classPrompts?: string[];
  /** The emoji of the things in `knows`, in their order, one character each. */
  emoji?: string;
  license: string;
}

/** The licence of a stored model. */
export interface ModelLicense {
  /** As whoever brought it, or its file, calls it. */
  name: string;
  /** Its full text. */
  url?: string | null;
  /** The model's revision that it was read for. */
  revision?: string | null;
  /** When it was agreed to, as ISO 8601 writes it; null where nobody was asked. */
  accepted?: string | null;
}

export interface StoredModel {
  id: string;
  name: string;
  /** Where it came from. */
  url: string;
  /** Null where neither its file nor whoever brought it says: unknown, and the visitor's to check. */
  license: ModelLicense | null;
  /** As packed in the store. */
  bytes: number;
  /** Native size in pixels; null where another version of the engine stored it. */
  width: number | null;
  height: number | null;
  /** What its maker suggests a run should take. */
  suggested: { steps?: number; guidance?: number; sampler?: Sampler; schedule?: Schedule };
  /** What its UNet predicts; null where another version of the engine stored it. */
  prediction: Prediction | null;
  /**
   * Nothing in its file says what it predicts, nor did who added it: `prediction` is what it is taken for until it is asked
   * itself, before its first picture, whose `notices` say what came of that.
   */
  asksPrediction: boolean;
  /** The autoencoder that it was given in place of its own: its files' name, and how large it is here. */
  autoencoder: { name: string, bytes: number } | null;
  /** The type that most of it is packed in; null where another version of the engine stored it. */
  weights: WeightType | 'f32' | null;
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
  /** Tensors that have come, and all of them, once the file's header is here. */
  tensors?: [number, number] | null;
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
  /** Values of a token's vector in its first text encoder: those of an embedding are as many. */
  textWidth: number;
}

/** Types that a stored model can be packed in. */
export type WeightType = 'f16' | 'q8_0' | 'q5_0' | 'q4_0';

/** 0 … 2^64 − 1; a BigInt, or digits as text, where a double would lose some. */
export type Seed = number | string | bigint;
export type Sampler = 'ddim' | 'euler' | 'euler-a' | 'heun' | 'lms' | 'dpm++-2m' | 'lcm' | 'dpm2' | 'dpm2-a' | 'dpm++-2s-a' | 'dpm++-sde' | 'dpm++-2m-sde' | 'dpm++-2m-sde-heun' | 'dpm++-3m-sde' | 'unipc' | 'unipc-bh1' | 'plms' | 'ddpm' | 'tcd' | 'restart' | 'er-sde';
export type Schedule = 'default' | 'karras' | 'normal' | 'exponential' | 'polyexponential' | 'sgm-uniform' | 'simple' | 'ddim-uniform' | 'beta' | 'align-your-steps' | 'trailing' | 'linspace';
/** What a UNet answers with: the noise, the velocity, or the finished latents. */
export type Prediction = 'epsilon' | 'v_prediction' | 'sample';
export type Dialect = 'a1111' | 'comfyui' | 'diffusers' | 'compel';
/** What brackets do in A1111's prompts: its setting of that name. */
export type Emphasis = 'original' | 'no-norm' | 'ignore' | 'none';

/** A word of one's own (textual inversion): the whole safetensors file, by whose name without the ending prompts call it. */
export interface EmbeddingFile {
  name: string;
  bytes: Uint8Array;
}

/** Along which axes a picture is a tile. */
export type Tiling = 'none' | 'both' | 'x' | 'y';

/** Ranges and defaults are those of src/pipeline/limits.rs; `LIMITS` and `DEFAULTS` have them as values. */
export interface GenerateRequest {
  /** What the picture shows, at most 20000 characters; `(word:1.2)` weighs, as A1111 has it. */
  prompt: string;
  /** What it shall not show; has an effect where `guidance` is above 1. Default: "". */
  negativePrompt: string;
  /**
   * Whose way prompts are read. "a1111": brackets weigh, `BREAK` and length make parts, `[red:green:0.5]` and `[cat|dog]` change
   * words on the way, `AND` draws several prompts into one picture, from `#` to the end of a line is a comment, and the text is cleaned as original CLIP
   * cleans it;
   * "comfyui": round brackets weigh, each word from what the empty prompt has in its place on; "diffusers": every character is
   * text, as transformers tokenizes it, up to one part; "compel": `word++`, `word--` and `(phrase)1.3` weigh from the empty prompt on,
   * `("one", "other").blend(0.7, 0.3)` mixes, `("one", "other").and()` reads one behind the other. Default: "a1111".
   */
  dialect?: Dialect;
  /**
   * What brackets do in A1111's prompts. "original": they weigh, and the mean of all is restored; "no-norm": they weigh; "ignore":
   * they are read, and weigh nothing; "none": they are text. Default: "original".
   */
  emphasis?: Emphasis;
  /**
   * Which of the text encoder's layers is read, 1 … 12, counted from its last, 1, as A1111 does; the final norm follows in any case.
   * diffusers' `clip_skip` is one less. Default: 1.
   */
  clipSkip?: number;
  /** Words of one's own that the prompts may use, at most 64. */
  embeddings?: EmbeddingFile[];
  /**
   * Where it is there, even empty, prompts are templates of which the seed makes prompts: `{a|b}` is one of the two, `{2$$a|b|c}` two
   * of three, `{0.5::a|b}` weighs, `__name__` is one of these lines of that name; `\\{` is a brace. The picture's settings have
   * what became of them and, as A1111's `Template`, the template. Default: prompts are what they say.
   */
  wildcards?: Record<string, string[]>;
  /** What the prompts were made of, where somebody else made them of templates: the picture's settings have it, nothing else does. */
  templates?: { prompt?: string; negativePrompt?: string };
  /** Denoising steps, 1 … 1000, and no more than the model was trained with. Default: the model's, else 20. */
  steps: number;
  /** Classifier-free guidance, 0 … 100; up to 1 half the work is saved. Default: the model's, else 7.5. */
  guidance: number;
  /**
   * How far guided answers are brought back to the spread of the prompt's own, 0 … 1, as diffusers has it. Default: the
   * model's, 0.7 where its last noise level is noise alone, else 0.
   */
  guidanceRescale?: number;
  /** Picture i of a batch has seed + i. Default: drawn anew. */
  seed: Seed;
  /** Another seed, towards whose noise a variation goes; picture i of a batch has variationSeed + i. */
  variationSeed?: Seed;
  /** How far it goes, 0 … 1, as A1111 has it. Default: 0. */
  variationStrength?: number;
  /** Whose noise: PyTorch's CPU generator's or Philox's. Default: "torch". */
  rng: 'torch' | 'philox';
  /** Some ask the model twice per step and take twice as long, which `SAMPLERS` says. Default: the model's, else "dpm++-2m". */
  sampler: Sampler;
  /**
   * How the noise levels are spaced; "ddim", "plms" and "ddpm" take "default", "trailing" and "linspace", "lcm" and "tcd" their
   * own alone. Default: the model's, else "default".
   */
  schedule: Schedule;
  /** What sampler and schedule are told beside; what would have no effect is refused. */
  samplerOptions?: SamplerOptions;
  /** Pixels, 32 … 2048, multiples of 8. Default: the model's. */
  width: number;
  /** Pixels, 32 … 2048, multiples of 8. Default: the model's. */
  height: number;
  /** Pictures at once, 1 … 8. Default: 1. */
  batch: number;
  /**
   * Along which axes the picture is a tile without seams (A1111's tiling): left and right borders meet, or top and bottom ones. Not
   * with `onlyMasked`. Default: "none".
   */
  tiling?: Tiling;
  /**
   * The denoiser sees the picture in overlapping windows, one after the other, and in each cell their answers are averaged
   * (MultiDiffusion): for sizes that a model or the memory does not hold at once. Each has the whole prompt, and what of a control's map lies in it.
   */
  tiles?: Tiles;
  /** Whether steps bring a picture of the latents: of what size, and with which steps. Default: true. */
  previews: boolean | PreviewOptions;
  /** A stop on the way to another prompt or seed. */
  walk?: Walk;
  /** What the run begins with, instead of noise alone (img2img); what is transparent shows white. */
  image?: Pixels;
  /**
   * What the run begins with instead of noise, in the place of `image`: latents of the request's size. They enter a step, so that a
   * run is gone on with; with `strength` they are finished ones, as `study` encodes them, and drawn on as an image would be.
   */
  latents?: Latents;
  /**
   * How much of the run is taken from there, above 0 to 1: the last `strength · steps` of its steps, as diffusers has it.
   * Default: 0.75; latents enter a step without one.
   */
  strength?: number;
  /** All the steps are taken, as the last ones of a longer run, and not only their share (A1111's option). Default: false. */
  exactSteps?: boolean;
  /** How an image of another shape is brought to the size: stretched, cut off, or its edges going on. Default: "just". */
  resize?: 'just' | 'crop' | 'fill';
  /** What is taken of the latents that an image may have: drawn by the seed, or their mean. Default: "sample". */
  encode?: 'sample' | 'mean';
  /**
   * Only a part of `image` is drawn anew (inpainting), where this is white; brought to the image's size. The result has that
   * size too, and is the image to the byte where the mask is black beyond its blur.
   */
  mask?: Pixels;
  /** How soft the mask's edge is made: a Gaussian's standard deviation in pixels of the image, 0 … 64. Default: 4. */
  maskBlur?: number;
  /** What is in the masked part before the run: the image, noise, nothing, or the colours around. Default: "original". */
  maskedContent?: 'original' | 'noise' | 'zero' | 'fill';
  /** How grey the mask is says how much of the run a place takes part in. Default: false. */
  differential?: boolean;
  /** What is drawn is enlarged and drawn on at the larger size (hires fix); not with `image`. */
  hires?: HiresFix;
  /** Where in the picture parts of a prompt joined by `AND` count; at most 64. A part without a region counts everywhere. */
  regions?: Region[];
  /** Maps that steer the run, each by a ControlNet; at most 4. */
  controls?: Control[];
  /** What is merged into the model for this run, beside what the prompt names. */
  loras?: Lora[];
  /** More of `image` is drawn on its sides (outpainting); the result has its size and that. */
  extend?: Extension;
  /**
   * Of `image` only the part that is masked, or new, is drawn, at the full `width` and `height`, with so many pixels of the image around it,
   * 0 … 256, and widened to that shape (A1111's "Only masked", whose own number is 32). Default: the whole image is drawn.
   */
  onlyMasked?: number;
}

/** How much of a LoRA, LoCon, LoHa or LoKr is merged into the model; what it changes comes from the stored model each time. */
export interface Lora {
  /** What a prompt and a picture's settings call it: the name of one that is kept in this browser, or of `network`. */
  name: string;
  /** Its file, where it is not one of those. */
  network?: NetworkFile;
  /** Of the UNet's change. Default: 1. */
  weight?: number;
  /** Of the text encoder's. Default: `weight`. */
  textWeight?: number;
  /**
   * Beside these, of 26 blocks: the text encoder, the twelve on the way down, the middle, the twelve on the way up, as users of
   * A1111's LoRA Block Weight know them.
   */
  blocks?: number[];
  /**
   * Its change of the UNet counts from this step on, counted from 1, or, below 1, from this share of the steps on; `stop` is the first step,
   * or the share, from which it does not count any more. Each begin and end within a run merges what it changes again, which takes as long as
   * a change of its strength; a run takes two such changes in all. Default: all steps.
   */
  start?: number;
  stop?: number;
}

/** A network's file: here, or at an address. `key` is the same for the same file. */
export interface NetworkFile {
  key: string;
  name: string;
  url?: string;
  file?: Blob;
}

/** A network that is kept in this browser. */
export interface StoredNetwork {
  /** Its file's name without the ending, or what it was given: what a prompt calls it. */
  name: string;
  bytes: number;
  /** By which A1111 knows it (`Lora hashes`); null where the browser offers no hashes, as outside of secure contexts. */
  hash: string | null;
  /** When it was added, milliseconds since 1970. */
  added: number;
  /** What its file says of itself. */
  about: AboutLora | AboutEmbedding | AboutControl;
}

export interface AboutLora {
  kind: 'lora';
  title: string | null;
  description: string | null;
  /** What it was trained on. */
  base: string | null;
  /** Words that call it, or the most frequent ones of the pictures that it was trained with. */
  words: string[];
  /** The ranks of its layers, from the smallest to the largest. */
  ranks: [number, number];
}

/** A ControlNet. */
export interface AboutControl {
  kind: 'controlnet';
}

/** A word of one's own (textual inversion). */
export interface AboutEmbedding {
  kind: 'embedding';
  /** What diffusers' prompts call it, such as `<cat-toy>`, where the file says so. */
  token: string | null;
  /** How many tokens it stands for. */
  vectors: number;
  /** Values of each: a model's text encoder has to be as wide (`LoadedModel.textWidth`). */
  width: number;
}

/** Options of samplers and schedules, as A1111 and k-diffusion name them. */
export interface SamplerOptions {
  /** How much of the noise that a step takes away it draws anew. Default: 1, with "tcd" 0.3, with "ddim" 0. */
  eta?: number;
  /** How much noise is added before the steps of "euler", "heun" and "dpm2", over all of them. Default: 0. */
  sChurn?: number;
  /** The lowest noise level at which it is. Default: 0. */
  sTmin?: number;
  /** The highest. Default: none. */
  sTmax?: number;
  /** What fresh noise is multiplied by. Default: 1. */
  sNoise?: number;
  /** The lowest noise level before the clean end, of schedules between two levels. Default: the model's. */
  sigmaMin?: number;
  /** The highest. Default: the model's. */
  sigmaMax?: number;
  /** How far "karras" (7) and "polyexponential" (1) bend. */
  rho?: number;
  /** One level more is made and the last but one left out. Default: with "dpm2" and "dpm2-a". */
  discardNextToLastSigma?: boolean;
  /** The run begins with noise of √(1 + σ²), as ComfyUI does, and not of σ, as A1111. Default: as the sampler's origin. */
  sgmNoiseMultiplier?: boolean;
  /**
   * Dynamic thresholding, for models of pictures in [-1, 1], not of latents: of every clean estimate this share of the values,
   * 0 … 1, such as 0.995, decides what it is brought within. Default: off.
   */
  dynamicThresholdingRatio?: number;
  /** The most that that may be, 1 … 10000. Default: 1, by which values are cut at 1. */
  sampleMaxValue?: number;
  /** What is added to the seed for the noise that steps draw (ENSD), a whole number. Default: 0. */
  etaNoiseSeedDelta?: number;
}

/** By what a picture is enlarged: its latents, as PyTorch's `interpolate` does it, or its pixels. A1111's. */
export type Upscaler = 'latent' | 'latent-antialiased' | 'latent-bicubic' | 'latent-bicubic-antialiased' | 'latent-nearest'
  | 'latent-nearest-exact' | 'lanczos';

/** A second pass at a larger size, from what the first one drew; steps and previews of both are told. */
export interface HiresFix {
  /** How many times as wide and high, 1 … 4, up to 2048 pixels on a side. Default: 2. */
  scale?: number;
  /** How much of a run it is, above 0 to 1. Default: 0.7. */
  strength?: number;
  /** Its steps, all of which are taken. Default: as many as `steps`. */
  steps?: number;
  /** Default: "latent". */
  upscaler?: Upscaler;
  /** A network of its own, as `upscale` takes one, enlarges the picture in the place of `upscaler`. */
  network?: NetworkFile;
}

/** Windows of a picture, in pixels, multiples of 8. */
export interface Tiles {
  /** Of a side, 32 … 2048. */
  size: number;
  /** How many neighbours share, less than `size`. Default: half of it. */
  overlap?: number;
}

/** A rectangle in shares of a picture: 0 … 1 from its left, or top, to its right, or bottom. */
export interface Rectangle {
  left: number;
  top: number;
  width: number;
  height: number;
}

/**
 * Where a part of a prompt counts. In every cell of the latents all parts are averaged by their weights there, as ComfyUI's masked
 * conditioning has it; where no part is, the picture is drawn without a prompt. Several of one part add up. Has `rect` or `mask`.
 */
export interface Region {
  /** The first part is number 1. */
  part: number;
  rect?: Rectangle;
  /** White where the part is, grey by so much; stretched over the picture. */
  mask?: Pixels;
  /** How much the part counts there beside others, 0 … 10. Default: its own weight in the prompt (`a dog :0.7`), else 1. */
  weight?: number;
}

/** What counts more, prompt or map, as sd-webui-controlnet has it. */
export type Importance = 'balanced' | 'prompt' | 'control';

/** How a ControlNet's map is made of a picture; `canny` also with thresholds. */
export type Preprocessor = 'none' | 'canny' | `canny,${number},${number}` | 'lineart' | 'scribble' | 'color' | 'tile' | 'inpaint';

/** A ControlNet's file. */
export interface ControlFile {
  id: string;
  url: string;
  /** What the pictures' metadata call it. */
  name: string;
}

/** A map that steers a run, and the ControlNet that reads it. */
export interface Control {
  model: ControlFile;
  image: Pixels;
  /** How much it counts, 0 … 2. Default: 1. */
  strength?: number;
  /** From which share of the steps on, 0 … 1. Default: 0. */
  start?: number;
  /** Up to which. Default: 1. */
  end?: number;
  /** How the map is made of `image`, at the size that is drawn. Default: "none", it is the map. */
  preprocessor?: Preprocessor;
  /** What counts more, as sd-webui-controlnet has it. Default: "balanced". */
  importance?: Importance;
  /** How an image of another shape is brought to the size. Default: "crop". */
  resize?: 'just' | 'crop' | 'fill';
}

/** What steered a picture, as its metadata says it; the maps are not in its file. */
export interface Steered {
  model: string | null;
  preprocessor: string | null;
  strength: number | null;
  start: number | null;
  end: number | null;
  importance: Importance | null;
  resize: 'just' | 'crop' | 'fill' | null;
}

/** How far an image grows on its sides, in its pixels; the result has at most 33 million. */
export interface Extension {
  /** Default: 0, as of the others. */
  left?: number;
  top?: number;
  right?: number;
  bottom?: number;
  /** Over so many pixels of the image, 0 … 256, new becomes old; behind them it is the image to the byte. Default: 16. */
  overlap?: number;
}

export interface PreviewOptions {
  /** Pixels of the longer side, 1 … 2048: smoothly enlarged. Default: as large as the latents, or as the
   *  picture where the model brings a tiny decoder for previews. */
  size?: number;
  /** Every how many steps, 1 or more; the last step always brings one. Default: 1. */
  every?: number;
}

/** Latents of a run that is gone on with, or finished ones. */
export interface Latents {
  /** `[channels, height / 8, width / 8]`, or as many of these as `batch`. */
  values: Float32Array;
  /**
   * The step that they enter, counted from 0, as the one before left them (`next` of `study`): those before it are not taken, and what
   * the seed drew up to there is not drawn again. Not with `strength`. Default: 0.
   */
  step?: number;
}

/** A stop on the way from a request to another prompt, another seed, or both; between them lies an arc (slerp). */
export interface Walk {
  /** Default: the request's. */
  prompt?: string;
  /** Default: the request's. */
  seed?: Seed;
  /** 0 … 1: 0 is the request itself, 1 the other end. */
  share: number;
}

/** Latents as numbers `[channels, h, w]` and in preview colours. */
export interface Shown {
  latents: Float32Array;
  image: Pixels;
}

/**
 * A step's noise level and coefficients: next = nextX · latents + Σ nextModels · outputs + Σ nextNoises · fresh noise,
 * with one of each per evaluation of the model. The other numbers are those of the first evaluation.
 */
export interface StepNumbers {
  timestep: number;
  sigma: number;
  inputScale: number;
  nextX: number;
  nextModels: number[];
  nextNoises: number[];
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

/** A model's noise schedule. Times run from 0, the clean picture, to `last`. */
export interface NoiseSchedule {
  last: number;
  /** √ᾱ and √(1 − ᾱ) over time. */
  signal: Float32Array;
  noise: Float32Array;
  prediction: 'epsilon' | 'v_prediction' | 'sample';
  latentChannels: number;
  /** Pixels per latent. */
  latentScale: number;
}

/** A run laid out before its first step. */
export interface RunPath {
  /** The step it begins with. */
  first: number;
  latents: Float32Array;
  image: Pixels;
  steps: StepNumbers[];
}

/** A question about the loaded model; `StudyAnswer` says what answers it. */
export type Study =
  | { what: 'schedule' }
  /** The tokens that begin and end the text have no text. */
  | { what: 'tokens'; prompt: string } & Reading
  /** Of the whole prompt, without the tokens that begin and end each chunk. */
  | { what: 'length'; prompt: string } & Reading
  /** What is made of a prompt; `steps` are evaluations of the UNet, 20 if left out. */
  | { what: 'understood'; prompt: string; steps?: number } & Reading
  /** The prompts that a seed makes of templates, as `wildcards` of a request has them; needs no model, and waits for none. */
  | { what: 'expand'; prompt: string; negativePrompt?: string; wildcards?: Record<string, string[]>; seed: Seed }
  /** To scaled latents. */
  | { what: 'encode'; image: Pixels }
  /** Width and height are the picture's. */
  | { what: 'decode'; latents: Float32Array; width: number; height: number }
  | { what: 'noise'; image: Pixels; t: number; seed: Seed }
  | { what: 'noise'; latents: Float32Array; width: number; height: number; t: number; seed: Seed }
  /** From pure noise, or from `clean` latents noised up to `t`. */
  | { what: 'begin'; request: GenerateRequest; clean?: Float32Array; t?: number }
  | { what: 'step'; request: GenerateRequest; index: number; latents: Float32Array; maps?: boolean }
  /** An animated PNG, `delay` milliseconds a frame. */
  | { what: 'film'; frames: Pixels[]; delay: number }
  /** What a ControlNet would read of a picture, at the size that is drawn; needs no model. */
  | { what: 'map'; image: Pixels; preprocessor?: Preprocessor; resize?: 'just' | 'crop' | 'fill'; width: number; height: number };

/** What answers a question. */
/** How a prompt is read, as a request says it. */
export type Reading = Pick<GenerateRequest, 'dialect' | 'emphasis' | 'embeddings'>;

/** A prompt as the engine reads it. */
export interface Understood {
  /** One, or with `AND` several, each with the weight by which it counts. */
  prompts: {
    weight: number;
    /** What is read, up to which evaluation, counted from 0, it included. */
    texts: { until: number; text: string; tokens: number; room: number; chunks: UnderstoodToken[][] }[];
  }[];
  /** Such as `<lora:name:1>`. */
  networks: string[];
  /** Embeddings that are asked for, and are not there. */
  unknown: string[];
}

/** A token of a text, without those that begin and end each chunk. */
export interface UnderstoodToken {
  id: number;
  text: string;
  weight: number;
  /** The name of the embedding whose vector it is. */
  embedding: string | null;
}

export type StudyAnswer<S extends Study> =
  S extends { what: 'schedule' } ? NoiseSchedule :
  S extends { what: 'tokens' } ? { id: number; text: string }[] :
  /** `room`: the tokens that the chunks of this prompt hold, 75 each in Stable Diffusion. */
  S extends { what: 'length' } ? { tokens: number; room: number } :
  S extends { what: 'understood' } ? Understood :
  S extends { what: 'expand' } ? { prompt: string; negativePrompt: string } :
  S extends { what: 'encode' } ? Float32Array :
  S extends { what: 'decode' } ? Pixels :
  S extends { what: 'noise'; image: Pixels } ? { image: Pixels } :
  S extends { what: 'noise' } ? Shown :
  S extends { what: 'begin' } ? RunPath :
  S extends { what: 'step' } ? StepTrace :
  S extends { what: 'film' } ? Uint8Array :
  S extends { what: 'map' } ? Pixels :
  never;

/** RGBA, row by row from the top. */
export interface Pixels {
  width: number;
  height: number;
  data: ImageData['data'];
}

/** "encode" where the run begins with a picture. */
export type StageName = 'encode' | 'text' | 'denoise' | 'decode';

/** All settings of a training but its pictures and words. */
export interface Recipe {
  /** Which layers of the UNet learn: attention (diffusers' choice), linear (kohya's), all, convolutions too, or none: a word does. */
  layers: 'attention' | 'linear' | 'all' | 'none';
  /** 1 … 128. */
  rank: number;
  /** What is learnt counts alpha / rank. */
  alpha: number;
  textEncoder: boolean;
  /** Vectors of a word that learn instead of layers: 0 … 32. */
  vectors: number;
  /** The words that they begin as. Default: the last word of the first class prompt. */
  initial: string;
  learningRate: number;
  textLearningRate: number;
  vectorLearningRate: number;
  schedule: 'constant' | 'cosine';
  warmup: number;
  steps: number;
  /** Pictures of what is learnt a step. */
  batch: number;
  /** Pictures of the class a step. */
  classBatch: number;
  /** Pictures of the class that are drawn beforehand. */
  classImages: number;
  priorWeight: number;
  /** How often a caption is left out, 0 … 1. */
  captionDropout: number;
  /** Pictures are mirrored half of the time. */
  flip: boolean;
  /** Pictures keep their shapes: each is cut to the one most like its own of several of about `width` · `height` pixels. */
  buckets: boolean;
  /** γ of min-SNR weighting; null: none. */
  minSnr: number | null;
  noiseOffset: number;
  maxGradient: number;
  weightDecay: number;
  seed: number;
  /** Bytes that a step may keep for its way back: with less, parts of the network are computed twice; null: as many as it takes. */
  memory: number | null;
}

/** What `train` is asked. */
export interface TrainRequest {
  images: { image: Pixels; caption: string; mask?: Pixels; repeats?: number }[];
  classPrompts: string[];
  preset?: 'thing' | 'character' | 'style' | 'word';
  recipe?: Partial<Recipe>;
  /** How pictures of the class are drawn, and how large all are. */
  request: GenerateRequest;
  name: string;
  naming?: 'kohya' | 'diffusers';
  trigger: string;
  saveEvery?: number;
  checkpoint?: Uint8Array;
}

/** What was learnt as a file, and what is needed to go on. */
export interface Learnt {
  step: number;
  kind: 'lora' | 'embedding';
  file: Uint8Array;
  checkpoint: Uint8Array;
}

/** What memory a training takes, in bytes, what came of too little, and the shapes of what is learnt from. */
export interface TrainMemory {
  /** All of the model's weights, where they are the graphics device's; null on the processor. */
  weights: number | null;
  /** What is kept for the way back, and in between, by all pictures that are learnt from at once. */
  kept: number;
  /** What is learnt, its gradients and what the optimizer remembers. */
  learnt: number;
  /** So many parts of the network are computed twice, of `parts`, which takes less. */
  again: number;
  parts: number;
  /** The rank it learns at: smaller than the one asked for where memory ended. */
  rank: number;
  askedRank: number;
  /** How many pictures are cut to each shape where they keep theirs (`buckets`); else none. */
  shapes: { width: number; height: number; pictures: number }[];
}

export type TrainEvent =
  | { type: 'prepare'; what: 'class' | 'pictures'; done: number; all: number }
  | ({ type: 'begin' } & TrainMemory)
  | { type: 'step'; step: number; steps: number; loss: number; priorLoss: number | null; gradient: number; rate: number }
  | ({ type: 'kept' } & Learnt);

/** What `upscale` is asked. */
export interface UpscaleRequest {
  /** Without one Lanczos enlarges. */
  network?: NetworkFile;
  image: Pixels;
  /** How many times as wide and high. Default: the network's own factor; without one it is needed. */
  scale?: number;
  tiling?: Tiling;
}

/** So many tiles are done, and so much of all the work, 0 … 1. */
export type UpscaleEvent = { type: 'tile'; tile: number; tiles: number; share: number };

export interface UpscaleResult {
  /** One. */
  images: Pixels[];
  png: Uint8Array[];
  /** What the network's file is called, or Lanczos. */
  name: string;
  /** What it is, with its numbers. */
  about: string;
  /** Its own factor; that which was asked for, where there is none. */
  scale: number;
}

export type GenerateEvent =
  | { type: 'stage'; stage: StageName }
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
  /** On the graphics device when the steps were done, weights included. */
  gpuBytes: number;
  /** The most that was on it at once during the run. */
  gpuPeakBytes: number;
  /** Weights of five and four bits in eight, in which LoRAs are merged into them; 0 where none is or there was no room. */
  widenedBytes: number;
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
  prompt: string | null;
  negativePrompt: string | null;
  /** What the prompts were made of, where that was a template (A1111's `Template`). */
  template: string | null;
  negativeTemplate: string | null;
  /** Whose way the prompts were read; null is A1111's. */
  dialect: Dialect | null;
  /** What brackets did; null is A1111's own. */
  emphasis: Emphasis | null;
  /** Which layer of the text encoder was read, counted from the last, 1. */
  clipSkip: number | null;
  /** Embeddings that the prompts use, with the hashes by which A1111 knows their files. */
  embeddings: { name: string; hash: string }[];
  /** LoRAs that the prompt names, with the hashes by which A1111 knows them. */
  loras: { name: string; hash: string }[];
  steps: number | null;
  guidance: number | null;
  /** How far guided answers were brought back, 0 … 1. */
  guidanceRescale: number | null;
  /** Decimal digits. */
  seed: string | null;
  variationSeed: string | null;
  variationStrength: number | null;
  /** How much of the run was taken from another picture, 0 … 1, where it was. */
  strength: number | null;
  /** How the picture was brought to the size, where that was not by just resizing. */
  resize: 'crop' | 'fill' | 'just' | null;
  /** The step, counted from 0, that it entered with latents, which its file does not hold. */
  latentsStep: number | null;
  /** Of a mask that was drawn with. */
  maskBlur: number | null;
  maskedContent: 'original' | 'noise' | 'zero' | 'fill' | null;
  onlyMasked: number | null;
  extend: Required<Extension> | null;
  tiling: Tiling | null;
  hires: { scale: number; strength: number | null; steps: number | null; upscaler: Upscaler | null } | null;
  tiles: Required<Tiles> | null;
  /** Where parts of the prompt counted; a mask is not in the file, and null is in its place. */
  regions: { part: number; rect: Rectangle | null; weight: number | null }[];
  controls: Steered[];
  sampler: Sampler | null;
  schedule: Schedule | null;
  samplerOptions: SamplerOptions | null;
  rng: 'torch' | 'philox' | null;
  width: number | null;
  height: number | null;
  /** The model's name as its maker wrote it. */
  model: string | null;
  /** What cannot be honoured here, as sentences. */
  notices: string[];
}

/** A picture's settings as a graph of ComfyUI's nodes. */
export interface ComfyUiGraph {
  /** JSON in its API format. Text, for JavaScript's numbers do not hold all of a seed. */
  graph: string;
  /** What was not read, or is not in the graph, as sentences. */
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
  /** Weights in the file are infinite or no numbers; `allowNonFinite` takes them as they are. */
  | 'NON_FINITE'
  /** A checkpoint in one file needs CLIP's vocabulary, which the worker then fetches, and it did not arrive. */
  | 'NO_VOCABULARY'
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
  /** The technical part of the message, where a person's words leave it out. */
  detail?: string | null;
  /** For BAD_MODEL: what the file is good for instead. */
  kind?: 'lora' | 'embedding' | 'controlnet' | 'upscaler' | null;
}

/** A model's file; `bytes` and `sha256` where they are known. */
export interface ModelFile {
  id: string;
  url: string;
  bytes?: number;
  sha256?: string;
  /** It is a folder: its files, by their paths in it. */
  files?: { path: string, url: string }[];
  /** What its UNet predicts, where somebody knows. */
  prediction?: Prediction;
  /** What its matrices are rounded to on their way into the store. */
  weights?: WeightType;
  /** Weights that are infinite or no numbers are taken as they are. */
  allowNonFinite?: boolean;
  /** Written down with it; left out, what its file states. */
  license?: ModelLicense;
  /** Sent along when it is fetched; never stored. */
  headers?: [string, string][];
  /** The program's own `fetch` is at its other end; see through.js. */
  fetch?: MessagePort;
}

/** What happens beside the calls. */
export type Happened =
  /** A graphics device was lost. Where it can be, another takes its place. */
  | { type: 'devicelost'; message: string }
  /** Another engine took over. */
  | { type: 'engine'; capabilities: Capabilities };

export type ToWorker =
  /** `learns`: on the GPU, too. `memoryLimit`: bytes of the graphics device. */
  | { type: 'create'; id: number; engine: EnginePath; learns?: boolean; memoryLimit?: number }
  | { type: 'detect'; id: number; engine: EnginePath; model: { file: ModelFile; working: number | null } | null }
  /** As listModels, in short, before there is an engine. */
  | { type: 'storedRows'; id: number }
  | { type: 'listModels'; id: number }
  | { type: 'importModel'; id: number; model: ModelFile }
  /** A folder's files, by their paths, as one file. */
  | { type: 'joinFolder'; id: number; files: { path: string; file: File }[] }
  /** How large a file's model gets in the store, by type. */
  | { type: 'keptSizes'; id: number; file: File }
  /** What an autoencoder's files are, and which stored models they fit. */
  | { type: 'fittingModels'; id: number; files: { path: string; file: File }[] }
  | { type: 'giveAutoencoder'; id: number; model: string; files: { path: string; file: File }[]; weights?: WeightType }
  | { type: 'takeAutoencoder'; id: number; model: string }
  | { type: 'loadModel'; id: number; model: ModelFile }
  | { type: 'quantizeModel'; id: number; model: string; to: WeightType }
  | { type: 'generate'; id: number; request: GenerateRequest }
  | { type: 'upscale'; id: number; ask: UpscaleRequest }
  | { type: 'train'; id: number; ask: TrainRequest }
  /** A training waits before its next step, or goes on. */
  | { type: 'hold'; id: number; waits: boolean }
  | { type: 'study'; id: number; ask: Study }
  | { type: 'listNetworks'; id: number }
  | { type: 'addNetwork'; id: number; network: NetworkFile; name: string; replace?: boolean }
  | { type: 'networkFile'; id: number; name: string }
  | { type: 'renameNetwork'; id: number; name: string; to: string }
  | { type: 'removeNetwork'; id: number; name: string }
  | { type: 'readSettings'; id: number; png: Uint8Array }
  | { type: 'comfyuiGraph'; id: number; png: Uint8Array }
  | { type: 'removeModel'; id: number; model: string }
  | { type: 'storage'; id: number }
  /** Stops call `id`, if it is still running; that call then fails with ABORTED. */
  | { type: 'cancel'; id: number };

export type FromWorker =
  | { type: 'progress'; id: number; progress: LoadProgress }
  | { type: 'event'; id: number; event: GenerateEvent | UpscaleEvent | TrainEvent }
  | { type: 'done'; id: number; value: unknown }
  | { type: 'failed'; id: number; error: WireError }
  | { type: 'happened'; event: Happened };
