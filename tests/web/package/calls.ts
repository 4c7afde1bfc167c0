/**
 * Every call of the package, as a program in TypeScript makes it. pkg.test.mjs lays this folder into the installed
 * Vite example, type-checks it, builds it and runs it: each function below is one test's part in the browser.
 */

import {
  OpenGen, OpenGenError, type Capabilities, type CreateOptions, type ErrorCode, type Generated, type GenerateOptions,
  type LoadedModel, type LoadProgress, type ModelInfo, type StorageReport, type StoredModel,
} from 'opengen';

const PROMPT = 'a red apple on a light blue background';

/** How a promise ends: "fine", or the error's code and the option at fault. */
async function ending(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'fine';
  } catch (error) {
    if (!(error instanceof OpenGenError)) return `not typed: ${error}`;
    const code: ErrorCode = error.code;
    const field: string | null = error.field;
    return field ? `${code} ${field}` : code;
  }
}

/** Works with an engine on the CPU and disposes of it. */
async function using<T>(options: CreateOptions, work: (og: OpenGen) => Promise<T>): Promise<T> {
  const og = await OpenGen.create({ engine: 'cpu', ...options });
  try {
    return await work(og);
  } finally {
    og.dispose();
  }
}

const calls = {
  /** A picture in each type that it can have, with what comes along. */
  async pictures() {
    const phases = new Set<LoadProgress['phase']>();
    return using({ model: 'mini', onProgress: ({ phase }) => phases.add(phase) }, async (og) => {
      const capabilities: Capabilities = og.capabilities();
      const steps: number[] = [];
      const stages: string[] = [];
      const previews: boolean[] = [];
      const options: GenerateOptions = {
        prompt: PROMPT, negativePrompt: 'writing', steps: 3, guidance: 2, sampler: 'euler', seed: 7, width: 64, height: 64,
        onStage: ({ stage }) => stages.push(stage),
        onStep: ({ step, preview }) => { steps.push(step); previews.push(preview instanceof ImageData); },
      };
      const made: Generated = await og.generate(options);
      const bitmap: ImageBitmap = (await og.generate({ ...options, imageType: 'ImageBitmap' })).image;
      const { image, png } = await og.generate({ ...options, imageType: 'Blob', batch: 2, previews: false });
      const file: Blob = image;
      const pixels = await pixelsOf(file);
      return {
        engine: capabilities.engine, phases: [...phases], steps: steps.slice(0, 3), stages: stages.slice(0, 3),
        previews: previews.slice(0, 3), seed: made.seed, totalMs: made.timings.totalMs, notices: made.notices,
        imageData: made.image instanceof ImageData && [made.image.width, made.image.height],
        bitmap: bitmap instanceof ImageBitmap && [bitmap.width, bitmap.height],
        blob: file.type, files: png.length,
        same: pixels.data.every((value, i) => value === made.image.data[i]),
        deviation: deviation(made.image),
      };
    });
  },

  /** An aborted call rejects: while it runs, while it waits, before it begins, and while an engine is created. */
  async aborted() {
    return using({ model: 'mini' }, async (og) => {
      const stop = new AbortController();
      let after = 0;
      const running = ending(og.generate({
        prompt: PROMPT, steps: 50, signal: stop.signal,
        onStep: ({ step }) => {
          if (stop.signal.aborted) after += 1;
          if (step === 2) stop.abort();
        },
      }));
      const leave = new AbortController();
      const waiting = ending(og.generate({ prompt: PROMPT, steps: 2, signal: leave.signal }));
      leave.abort();
      const already = ending(og.generate({ prompt: PROMPT, signal: AbortSignal.abort() }));
      const began = new AbortController();
      const creating = ending(OpenGen.create({ model: 'mini', engine: 'cpu', signal: began.signal }));
      began.abort();
      const neverCreated = ending(OpenGen.create({ signal: AbortSignal.abort() }));
      return {
        running: await running, waiting: await waiting, already: await already, creating: await creating,
        neverCreated: await neverCreated, after, next: await ending(og.generate({ prompt: PROMPT, steps: 1 })),
      };
    });
  },

  /** What cannot be is refused by name. */
  async refused() {
    const of = {} as Record<string, string>;
    await using({}, async (og) => {
      of.withoutModel = await ending(og.generate({ prompt: PROMPT }));
      of.noSuchModel = await ending(og.models.load('nothing'));
      await og.models.load('mini');
      of.steps = await ending(og.generate({ prompt: PROMPT, steps: 0 }));
      of.width = await ending(og.generate({ prompt: PROMPT, steps: 1, width: 65 }));
      of.guidance = await ending(og.generate({ prompt: PROMPT, steps: 1, guidance: NaN }));
      of.seed = await ending(og.generate({ prompt: PROMPT, steps: 1, seed: 'x' }));
      of.batch = await ending(og.generate({ prompt: PROMPT, steps: 1, batch: 0 }));
      // @ts-expect-error a sampler that there is not
      of.sampler = await ending(og.generate({ prompt: PROMPT, steps: 1, sampler: 'heun' }));
      // @ts-expect-error a type that there is not
      of.imageType = await ending(og.generate({ prompt: PROMPT, steps: 1, imageType: 'Canvas' }));
      // @ts-expect-error the prompt is missing
      of.prompt = await ending(og.generate({}));
      // @ts-expect-error everything is missing
      of.nothing = await ending(og.generate());
    });
    // @ts-expect-error an engine that there is not
    of.engine = await ending(OpenGen.create({ engine: 'cuda' }));
    // @ts-expect-error no model at all
    of.model = await ending(OpenGen.create({ engine: 'cpu', model: 7 }));
    of.notThere = await ending(OpenGen.create({ engine: 'cpu', model: './not-there.gguf' }));
    of.noModelFile = await ending(OpenGen.create({ engine: 'cpu', model: { url: './index.html?x', id: 'page' } }));
    of.webgpu = await ending(OpenGen.create({ engine: 'webgpu' }));
    return of;
  },

  /** Queued calls, and two engines at once. */
  async several() {
    return using({ model: 'mini' }, (one) => using({ model: 'mini' }, async (two) => {
      const drawn = await Promise.all([1, 2].map(() => one.generate({ prompt: PROMPT, steps: 2 })));
      const [here, there] = await Promise.all([one, two].map((og) => og.generate({ prompt: PROMPT, steps: 2, seed: 5 })));
      // A model may be asked for and used in one breath.
      const loading = two.models.load('mini');
      const behind = await ending(two.generate({ prompt: PROMPT, steps: 1 }));
      await loading;
      return {
        seeds: drawn.map(({ seed }) => seed), behind,
        same: here.image.data.every((value, i) => value === there.image.data[i]),
      };
    }));
  },

  /** Models by file and by address: stored, listed, used, removed. */
  async models() {
    const known: readonly ModelInfo[] = OpenGen.catalog();
    return using({}, async (og) => {
      const bytes = await (await fetch(known[0].url)).blob();
      const file = new File([bytes], 'mine.gguf', { lastModified: 1 });
      const imported: StoredModel = await og.models.import(file);
      const unused = await ending(og.generate({ prompt: PROMPT, steps: 1 }));
      const listed = await og.models.list();
      const loaded: LoadedModel = await og.models.load(imported.id);
      const { image } = await og.generate({ prompt: PROMPT, steps: 2 });
      const byAddress = await og.models.load(new URL(known[0].url));
      const room: StorageReport = await og.storage();
      for (const { id } of room.models) await og.models.remove(id);
      const broken = await ending(og.models.import(new File([bytes.slice(0, 100_000)], 'half.gguf')));
      const stop = new AbortController();
      const stopped = await ending(og.models.import('mini', { signal: stop.signal, onProgress: () => stop.abort() }));
      return {
        known: known.map(({ id }) => id), imported, unused, listed: listed.map(({ id, complete }) => [id, complete]),
        loaded, size: [image.width, image.height], fetched: !byAddress.fromStore, room: room.models.length,
        used: room.usage > 0, broken, stopped, left: (await og.models.list()).filter(({ complete }) => complete),
      };
    });
  },

  /** dispose ends the worker and whatever still waits for it. */
  async disposed() {
    const og = await OpenGen.create({ engine: 'cpu', model: 'mini' });
    const running = ending(og.generate({ prompt: PROMPT, steps: 50 }));
    const waiting = ending(og.generate({ prompt: PROMPT, steps: 50 }));
    og.dispose();
    og.dispose();
    return [await running, await waiting, await ending(og.generate({ prompt: PROMPT })), await ending(og.storage())];
  },
};

async function pixelsOf(file: Blob): Promise<ImageData> {
  const bitmap = await createImageBitmap(file);
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!;
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Standard deviation of the green channel: 0 for a flat picture. */
function deviation({ data }: ImageData): number {
  const green = data.filter((_, i) => i % 4 === 1);
  const mean = green.reduce((a, b) => a + b, 0) / green.length;
  return Math.sqrt(green.reduce((a, b) => a + (b - mean) ** 2, 0) / green.length);
}

Object.assign(globalThis, { calls });
