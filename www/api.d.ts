/** What a program gives the client and gets from it; client.js holds to these types. */

/// <reference lib="esnext.disposable" />

import type {
  Capabilities, Control, EnginePath, ErrorCode as EngineErrorCode, Extension, GenerateRequest, HiresFix, LoadedModel, Lora,
  LoadProgress, ModelInfo, ModuleName, ModelLicense, Pixels, Prediction, PreviewOptions, Recipe, Region, StageName, Stats, StoredModel, StoredNetwork, Tiling, Timings, TrainMemory, Upscaler, Walk, WeightType,
} from './protocol.d.ts';

export type { Extension, HiresFix, ModelLicense, PreviewOptions, Recipe, StoredNetwork, Tiling, TrainMemory, Upscaler, Walk, WeightType };

/**
 * The model that is meant:
 * - a description: `mini` of opengen/mini, or one of your own, with an address;
 * - a string: an address, or the id of a model that is stored here;
 * - a URL;
 * - a File that the visitor chose (a Content-Security-Policy has to allow `connect-src blob:` then);
 * - the Files of a folder in diffusers' layout, as `<input webkitdirectory>` gives them: half precision is preferred, shards are
 *   put together.
 *
 * Relative addresses are relative to the page.
 */
export type ModelSource = OneFile | readonly File[] | FileList;

/** A model in one file. */
export type OneFile = string | URL | File | ModelDescription;

/**
 * A model's file and what is known of it. With `sha256` a stored copy is known to be the same, and what arrives is held
 * against it from the first byte to the last; `bytes` is found out where it is not said.
 */
export interface ModelDescription extends Omit<Partial<ModelInfo>, 'license'> {
  url: string;
  /**
   * Where the model is a folder in diffusers' layout: its files by their paths in it, each with its address; those that are not
   * there (404) are passed over. A file in half precision (`….fp16.safetensors`) stands for the one in full. `url` is where
   * the folder lies as a whole, for people. Left out, a `url` that ends with a slash is that of such a folder, with the usual
   * files in it, shards and their index among them.
   */
  files?: readonly { path: string, url: string }[];
  /** What its UNet predicts, whatever its files have; left out, these count, else it is asked itself. */
  prediction?: Prediction;
  /**
   * Its licence, which is written down with it in the store, also where it is stored already; a text is the licence's name.
   * Left out, what stands there stays, or what the file itself states.
   */
  license?: string | ModelLicense;
  /** Sent along when the file is fetched, to authorize it say. They are not stored. */
  headers?: HeadersInit;
  /**
   * Fetches the file in place of the browser's `fetch`, in the program's own thread: gets the address, and `headers`
   * among which `Range` may be. Its answer is read as it streams. It is called again where a download is resumed, and
   * where a model that could not be stored is loaded again after the graphics device was lost.
   */
  fetch?: typeof globalThis.fetch;
}

/** What happened, as an error's `code`: what the engine says, and what the client alone does. */
export type ErrorCode =
  | EngineErrorCode
  /** `onPicture` dropped every picture of the call. */
  | 'DROPPED';

/**
 * What a program says of a picture: it is handed over; it is handed over to be shown blurred until somebody asks to see
 * it; or nobody gets it.
 */
export type Verdict = 'keep' | 'blur' | 'drop';

export interface LoadOptions {
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

export interface ImportOptions extends LoadOptions {
  /**
   * What matrices in wider types are rounded to on their way into the store, as `opengen import --type` does; those that are
   * in blocks already stay as they are. Left out, all do. Of a model that is stored it changes nothing.
   */
  weights?: WeightType;
  /**
   * Weights that are infinite or no numbers (NaN) are taken as they are. Left out, they are refused as soon as they come, as
   * NON_FINITE with the name of their tensor: pictures of such a model are no numbers either, unless what is broken does not count.
   */
  allowNonFinite?: boolean;
}

export interface CreateOptions extends LoadOptions {
  /** Loaded before the promise resolves; left out, `models.load` does it later. */
  model?: ModelSource;
  /** "auto" (the default) takes the CPU where there is no WebGPU; "webgpu" rejects there. */
  engine?: EnginePath;
  /** Whether `train` is to work on the GPU, too: another, larger module then. On the processor it always does. */
  learns?: boolean;
  /**
   * How many bytes of the graphics device the engine may use; left out, as many as its models and pictures need. Within a
   * limit weights leave the device while other stages of a run need the room, and come back from the browser's store. A
   * picture that cannot be made within it rejects with OUT_OF_MEMORY and the numbers. No limit of the CPU path, nor of a
   * model that the browser does not store.
   */
  memoryLimit?: number;
  /**
   * Where worker.js lies with the engine's files beside it, if not where the package's own address or the bundler says;
   * of another origin, which has to allow it (CORS), too.
   */
  workerUrl?: string | URL;
  /**
   * Looks at every finished picture before `generate` or `stream` hands it over, so before it can be shown or kept.
   * When it throws or rejects, so does the call, and nothing is handed over. Where it is given, steps bring no previews
   * unless `previews` asks for them: nobody has looked at those.
   */
  onPicture?: (image: ImageData) => Verdict | Promise<Verdict>;
}

/** The same options as for `create`, but those that change nothing of the answer. */
export type DetectOptions = Omit<CreateOptions, 'model' | 'onProgress' | 'onPicture' | 'learns' | 'memoryLimit'> & { model?: OneFile };

/** What `create` would do. */
export interface Detected {
  /** The engine that would start; null where a short measurement between the two would tell. */
  engine: 'webgpu' | 'cpu' | null;
  /** Why, as a sentence for people. */
  reason: string;
  /** What the browser says of the graphics adapter; null where there is none or none was asked for. */
  adapter: string | null;
  /** The adapter is a program that runs on the processor. */
  isFallbackAdapter: boolean;
  /** Whether it would compute in 16-bit floats. */
  f16: boolean;
  /** The engines' code that is needed: bytes on the way, null where the server does not say, and whether it is here. */
  engines: { name: ModuleName; bytes: number | null; cached: boolean }[];
  /** The model's file, and whether it is stored. */
  model: { id: string; bytes: number | null; stored: boolean } | null;
  /** Bytes that would have to be fetched; null where a server does not say. */
  download: number | null;
  /** Estimates in bytes: the weights in memory, and beside them a picture of the model's own size. */
  memory: { weights: number | null; working: number | null } | null;
}

/** What an engine tells beside its calls, through `addEventListener`. */
export interface OpenGenEventMap {
  /** A graphics device was lost. Where it can be, another takes its place and the work is done again. */
  devicelost: CustomEvent<{ message: string }>;
  /** Another engine took over: the processor's, where the graphics device was lost a second time. */
  engine: CustomEvent<{ capabilities: Capabilities }>;
  /** The number of calls that run or wait has changed. */
  queue: CustomEvent<{ length: number }>;
}

/** The types in which a finished picture can be had. */
export interface ImageTypes {
  ImageData: ImageData;
  ImageBitmap: ImageBitmap;
  /** A PNG file with the settings in its text. */
  Blob: Blob;
}

export type ImageType = keyof ImageTypes;

/** What makes a picture. Settings that are left out come from the model. */
export type PictureOptions = Partial<Omit<GenerateRequest, 'image' | 'mask' | 'hires' | 'regions' | 'controls' | 'loras' | 'embeddings'>> & {
  /** What the run begins with, instead of noise alone (img2img). */
  image?: PictureSource;
  /** The part of `image` that is drawn anew, white (inpainting). */
  mask?: PictureSource;
  /** What is drawn is enlarged and drawn on at the larger size (hires fix); not with `image`. */
  hires?: HiresOptions;
  /** Where in the picture parts of a prompt joined by `AND` count; at most 64. A part without a region counts everywhere. */
  regions?: RegionOptions[];
  /** Maps that steer the run, each by a ControlNet; at most 4. */
  controls?: ControlOptions[];
  /**
   * What is merged into the model for this call, beside what tags of the prompt (`<lora:name:0.8>`) name of what is kept in this
   * browser. The next call without them has the model as it was.
   */
  loras?: LoraOptions[];
  /** Words of one's own (textual inversion) that the prompts may use, at most 64. */
  embeddings?: EmbeddingOptions[];
};

/** A LoRA or one of its family, and how much of it. */
export type LoraOptions = Partial<Omit<Lora, 'network'>> & {
  /** Its file in safetensors, or the address of one; left out, `name` is of one that is kept in this browser. */
  model?: NetworkSource;
};

/** A second pass at a larger size. */
export type HiresOptions = Omit<HiresFix, 'network'> & {
  /** A network that enlarges in between, as `upscale` takes one, in the place of `upscaler`: its file, or the address of one. */
  model?: NetworkSource;
};

/** An embedding for Stable Diffusion 1 or 2, as safetensors. */
export interface EmbeddingOptions {
  /** What prompts call it: `name` in A1111's dialect, `embedding:name` in ComfyUI's. Default: the file's name without its ending. */
  name?: string;
  file: File | Blob | ArrayBuffer | Uint8Array;
}

/** Where a part of a prompt counts: in a rectangle, or where a mask is white. */
export type RegionOptions = Omit<Region, 'mask'> & { mask?: PictureSource };

/** A map that steers a run, or a picture of which one is made. */
export type ControlOptions = Omit<Control, 'model' | 'image'> & {
  /**
   * A ControlNet of the loaded model's family, in safetensors: an address, or a file. It is fetched when it is first asked for,
   * and kept beside the model until another one is loaded; nothing of it is stored.
   */
  model: string | URL | File;
  image: PictureSource;
};

/** A picture: a file, pixels (RGBA, row by row from the top), a canvas, or an address, which has to allow this page to read it (CORS). */
export type PictureSource = Blob | ImageData | Pixels | ImageBitmap | HTMLCanvasElement | OffscreenCanvas | string | URL;

/** Settings that are left out come from the model. */
export interface GenerateOptions<T extends ImageType = 'ImageData'> extends PictureOptions {
  prompt: string;
  /** The type of `image` and `images`. Default: "ImageData". */
  imageType?: T;
  /** A stage of the work begins. */
  onStage?: (event: { stage: StageName }) => void;
  /** A step is done; the preview is null where `previews` says so. */
  onStep?: (event: { step: number; steps: number; preview: ImageData | null }) => void;
  /** Stops the call, which then rejects with code ABORTED, the signal's reason as its `cause`. */
  signal?: AbortSignal;
}

/** A network of its own kind: its safetensors file, or the address of one, relative to the page. */
export type NetworkSource = Blob | string | URL;

export interface UpscaleOptions<T extends ImageType = 'ImageData'> {
  /** Left out, Lanczos enlarges by `scale`: at once, and nothing is made up. */
  model?: NetworkSource;
  /**
   * How many times as wide and high, above 0; what the network makes is brought to that by Lanczos. Default: the network's own
   * factor.
   */
  scale?: number;
  /** Along which axes the picture is a tile without seams; the larger one is one too. Default "none". */
  tiling?: Tiling;
  /** The type of `image`. Default: "ImageData". */
  imageType?: T;
  /** A tile is done: how many of them, and how much of all the work, 0 … 1. */
  onProgress?: (progress: { tile: number; tiles: number; share: number }) => void;
  /** Stops the call, which then rejects with code ABORTED, the signal's reason as its `cause`. */
  signal?: AbortSignal;
}

/** What `train` is asked. Presets and defaults are those of `opengen train`. */
export interface TrainOptions {
  /**
   * Pictures of what is learnt, three to twenty; each with a caption of its own, or all under `instancePrompt`. With a mask only what
   * is white in it is learnt; black and what is transparent does not count. It has the picture's shape. With `repeats` it comes
   * so often in a round of all pictures, as kohya's repeats.
   */
  images: (PictureSource | { image: PictureSource; caption?: string; mask?: PictureSource; repeats?: number })[];
  /** What all of them show, such as "a photo of a zorp dog": a word that means nothing yet, and what kind of thing it is. */
  instancePrompt?: string;
  /** What the model draws itself beforehand, to keep it (prior preservation), such as "a photo of a dog". */
  classPrompts?: string[];
  /** Settings that go together. "word" learns an embedding (textual inversion) and leaves the network as it is. Default: "thing". */
  preset?: 'thing' | 'character' | 'style' | 'word';
  /** Some settings in place of the preset's. */
  recipe?: Partial<Recipe>;
  /** Pixels to which pictures are cut, multiples of 64. Default: the model's own size. */
  width?: number;
  height?: number;
  /** What the file is called inside; of an embedding the word that captions and prompts say. Default: "taught". */
  name?: string;
  /**
   * How a LoRA's file calls its layers. "kohya" (the default) is read everywhere, "diffusers" are PEFT's names, as diffusers
   * writes them (`unet.….lora_A.weight`), with alpha multiplied in.
   */
  naming?: 'kohya' | 'diffusers';
  /** The words that call it. Default: `instancePrompt`. */
  trigger?: string;
  /** Steps after which `onKept` is called. Default: 50; 0: never. */
  saveEvery?: number;
  /** What an earlier call with the same pictures and settings was interrupted with: it goes on from there. */
  checkpoint?: Blob;
  /** Pictures of the class are drawn, then all are encoded. */
  onPrepare?: (progress: { what: 'class' | 'pictures'; done: number; all: number }) => void;
  /** It is ready: what memory it takes, and the shapes that pictures keep. */
  onBegin?: (memory: TrainMemory) => void;
  onStep?: (step: TrainStep) => void;
  /** What was learnt so far: every some steps, and when the call stops early. */
  onKept?: (trained: Trained) => void;
  /** Stops the call, which then rejects with code ABORTED, after `onKept`. */
  signal?: AbortSignal;
}

export interface TrainStep {
  /** Counted from 1. */
  step: number;
  steps: number;
  /** Mean squares of the error over pictures of what is learnt. */
  loss: number;
  /** The same over pictures of its class, where there are some. */
  priorLoss: number | null;
  /** The length of all gradients before they are cut; `Infinity` where one was too large for f16, and the step was left out. */
  gradient: number;
  /** The learning rate of the UNet, or of a word's vectors. */
  rate: number;
}

export interface Trained {
  /** Steps taken. */
  step: number;
  /** What `file` is. */
  kind: 'lora' | 'embedding';
  /**
   * A safetensors file: a LoRA in kohya's naming or the one asked for, for `loras`, `og.networks`, A1111 and ComfyUI; or an embedding in A1111's, for
   * `embeddings` and `og.networks`.
   */
  file: Blob;
  /** What is needed to go on. */
  checkpoint: Blob;
}

export interface Upscaled<T extends ImageType = 'ImageData'> {
  image: ImageTypes[T];
  /** The same as a PNG file with the mark that a model made it (XMP). */
  png: Blob;
  /** What the network's file is called, without its ending; "Lanczos" without one. */
  name: string;
  /** What the network is, such as "RRDBNet (ESRGAN) x4, 23 blocks of 64 channels". */
  about: string;
  /** The network's own factor; that which was asked for, without one. */
  scale: number;
}

/** What `stream` yields; the last one is `done`. */
export type StreamEvent<T extends ImageType = 'ImageData'> =
  | { type: 'stage'; stage: StageName }
  | { type: 'step'; step: number; steps: number; preview: ImageData | null }
  | ({ type: 'done' } & Generated<T>);

export interface Generated<T extends ImageType = 'ImageData'> {
  /** The first of `images`. */
  image: ImageTypes[T];
  /** As many as `batch` asked for, but those that `onPicture` dropped; their seeds count up from `seed`. */
  images: ImageTypes[T][];
  /** Each image as a PNG file with the settings in its text. */
  png: Blob[];
  /** What `onPicture` said of each picture that was made, dropped ones included; "keep" where there is no such hook. */
  verdicts: Verdict[];
  /** The seed that was given or drawn; a string where a double would lose digits. */
  seed: number | string;
  timings: Timings;
  /** What the visitor should know, such as a prompt that was cut. */
  notices: string[];
  stats: Stats;
}

/** What is known of an autoencoder in files of its own. */
export interface FittingModels {
  /** It is a tiny one (TAESD). */
  tiny: boolean;
  /** The half of a tiny one that is in another file, which is needed too; no models fit then. */
  missing: 'encoder' | 'decoder' | null;
  /** Ids of stored models. */
  models: string[];
}

/** Networks that change models (LoRA, LoCon, LoHa, LoKr), kept in this browser apart from the models. */
export interface Networks {
  /** All of them, by name. */
  list(): Promise<StoredNetwork[]>;
  /**
   * Looks at a file and keeps it. Rejects with BAD_MODEL or OTHER_MODEL where it is none, and with INVALID_INPUT where there is
   * another one of the name already and `replace` is not true.
   */
  add(source: NetworkSource, options?: { name?: string; replace?: boolean }): Promise<StoredNetwork>;
  /** Its file, as it was added. */
  file(name: string): Promise<Blob>;
  rename(name: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
}

export interface Models {
  /** The models that are stored in this browser, whole or in part. */
  list(): Promise<StoredModel[]>;
  /**
   * Fetches, verifies and stores a model, unless it is stored already. The model in use stays in use. What had arrived
   * of an address stays when this fails, to go on with; of a File nothing does.
   */
  import(source: ModelSource, options?: ImportOptions): Promise<StoredModel>;
  /**
   * Makes a model the one in use: from the store, or fetched, verified and stored first. When this fails, the model in use
   * stays in use: its memory may have been needed meanwhile, and it is then loaded again from the store.
   */
  load(source: ModelSource, options?: ImportOptions): Promise<LoadedModel>;
  /**
   * How many bytes a model in a file, or in the Files of a folder, would take in the store, by the type that it is kept in
   * (`weights` of `import`). Told from its header; rejects with BAD_MODEL where it is none.
   */
  sizes(source: File | readonly File[] | FileList): Promise<Record<WeightType, number>>;
  /**
   * What files hold that are an autoencoder by itself (safetensors, in CompVis's, diffusers' or TAESD's naming), and the ids of
   * the stored models that it fits: those that know latents of its shape. Rejects with BAD_MODEL where they are none.
   */
  fitting(files: File | readonly File[] | FileList): Promise<FittingModels>;
  /**
   * Stores such files beside a stored model, which draws with them instead of its own autoencoder from the next time on that it
   * is loaded; with null, its own is used again.
   */
  setAutoencoder(id: string, files: File | readonly File[] | FileList | null, options?: ImportOptions): Promise<StoredModel>;
  /**
   * Packs a stored model, which is not the one in use, in a smaller type, in place of what is stored, as `opengen import`
   * would: matrices that are no blocks yet. Larger again it gets only by being fetched again.
   */
  quantize(id: string, to: WeightType, options?: LoadOptions): Promise<StoredModel>;
  /** Deletes a stored model; one that is in use works on until the client is disposed of. */
  remove(id: string): Promise<void>;
}

/** What a model says about its pictures, where it says something. */
export type ModelSettings = Pick<ModelInfo, 'width' | 'height'> & Partial<Pick<ModelInfo, 'defaults'>>;

/** A model with the address of its file. */
export type FoundModel = ModelDescription & { id: string };
