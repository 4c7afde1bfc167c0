/** What a program gives the client and gets from it; client.js holds to these types. */

import type {
  EnginePath, GenerateRequest, LoadedModel, LoadProgress, ModelInfo, Stats, StoredModel, Timings,
} from './protocol.d.ts';

/**
 * The model that is meant:
 * - a string: the id of a model that comes with the client ("mini") or that is stored here, or an address;
 * - a URL;
 * - a File that the visitor chose (a Content-Security-Policy has to allow `connect-src blob:` then);
 * - an object with an address, and what is known of the file. With `sha256` a stored copy is known to be the same.
 *
 * Relative addresses are relative to the page.
 */
export type ModelSource = string | URL | File | (Partial<ModelInfo> & { url: string });

export interface LoadOptions {
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

export interface CreateOptions extends LoadOptions {
  /** Loaded before the promise resolves; left out, `models.load` does it later. */
  model?: ModelSource;
  /** "auto" (the default) takes the CPU where there is no WebGPU; "webgpu" rejects there. */
  engine?: EnginePath;
}

/** The types in which a finished picture can be had. */
export interface ImageTypes {
  ImageData: ImageData;
  ImageBitmap: ImageBitmap;
  /** A PNG file with the settings in its text. */
  Blob: Blob;
}

export type ImageType = keyof ImageTypes;

/** Settings that are left out come from the model. */
export interface GenerateOptions<T extends ImageType = 'ImageData'> extends Partial<GenerateRequest> {
  prompt: string;
  imageType?: T;
  /** A stage of the work begins. */
  onStage?: (event: { stage: 'text' | 'denoise' | 'decode' }) => void;
  /** A step is done; the preview is small, and null where `previews` is false. */
  onStep?: (event: { step: number; steps: number; preview: ImageData | null }) => void;
  /** Stops the call, which then rejects with code ABORTED. */
  signal?: AbortSignal;
}

export interface Generated<T extends ImageType = 'ImageData'> {
  /** The first of `images`. */
  image: ImageTypes[T];
  /** As many as `batch` asked for; their seeds count up from `seed`. */
  images: ImageTypes[T][];
  /** Each image as a PNG file with the settings in its text. */
  png: Blob[];
  /** The seed that was given or drawn; a string where a double would lose digits. */
  seed: number | string;
  timings: Timings;
  /** What the visitor should know, such as a prompt that was cut. */
  notices: string[];
  stats: Stats;
}

export interface Models {
  /** The models that are stored in this browser, whole or in part. */
  list(): Promise<StoredModel[]>;
  /**
   * Fetches, verifies and stores a model, unless it is stored already. The model in use stays in use. What had arrived
   * of an address stays when this fails, to go on with; of a File nothing does.
   */
  import(source: ModelSource, options?: LoadOptions): Promise<StoredModel>;
  /** Makes a model the one in use: from the store, or fetched, verified and stored first. */
  load(source: ModelSource, options?: LoadOptions): Promise<LoadedModel>;
  /** Deletes a stored model; one that is in use works on until the client is disposed of. */
  remove(id: string): Promise<void>;
}

/** What a model says about its pictures, where it says something. */
export type ModelSettings = Pick<ModelInfo, 'width' | 'height'> & Partial<Pick<ModelInfo, 'defaults'>>;

/** A model with the address of its file. */
export type FoundModel = Pick<ModelInfo, 'id' | 'url'> & Partial<ModelInfo>;
