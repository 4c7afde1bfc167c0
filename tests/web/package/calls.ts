/**
 * Every call of the package, as a program in TypeScript makes it. pkg.test.mjs lays this folder into the installed
 * Vite example, type-checks it, builds it and runs it: each function below is one test's part in the browser.
 */

import {
  DEFAULTS, LIMITS, OpenGen, OpenGenError, type Capabilities, type CreateOptions, type Detected, type ErrorCode,
  type Generated, type GenerateOptions, type GenerateRequest, type LoadedModel, type LoadProgress, type ModelDescription,
  type ModelInfo, type PictureSettings, type StorageReport, type StoredModel, type StreamEvent, type StudyAnswer,
} from 'opengen';
import { MODELS, mini } from 'opengen/mini';

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
    return using({ model: mini, onProgress: ({ phase }) => phases.add(phase) }, async (og) => {
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
    return using({ model: mini }, async (og) => {
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
      const creating = ending(OpenGen.create({ model: mini, engine: 'cpu', signal: began.signal }));
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
      await og.models.load(mini);
      of.steps = await ending(og.generate({ prompt: PROMPT, steps: 0 }));
      of.width = await ending(og.generate({ prompt: PROMPT, steps: 1, width: 65 }));
      of.guidance = await ending(og.generate({ prompt: PROMPT, steps: 1, guidance: NaN }));
      of.seed = await ending(og.generate({ prompt: PROMPT, steps: 1, seed: 'x' }));
      of.batch = await ending(og.generate({ prompt: PROMPT, steps: 1, batch: 0 }));
      // @ts-expect-error a sampler that there is not
      of.sampler = await ending(og.generate({ prompt: PROMPT, steps: 1, sampler: 'no-such' }));
      // @ts-expect-error a type that there is not
      of.imageType = await ending(og.generate({ prompt: PROMPT, steps: 1, imageType: 'Canvas' }));
      // @ts-expect-error the prompt is missing
      of.prompt = await ending(og.generate({}));
      // @ts-expect-error everything is missing
      of.nothing = await ending(og.generate());
      // @ts-expect-error an option that there is not
      of.cfg = await ending(og.generate({ prompt: PROMPT, cfg: 9 }));
      // @ts-expect-error an option that there is not
      of.load = await ending(og.models.load(mini, { strength: 1 }));
      // @ts-expect-error a model's fields are known
      of.description = await ending(og.models.load({ url: mini.url, sha: 'x' }));
      // @ts-expect-error a question that there is not
      of.question = await ending(og.study({ what: 'everything' }));
      // which types cannot tell here
      of.part = await ending(og.study({ what: 'tokens', prompt: PROMPT, text: 'x' }));
      of.size = await ending(og.generate({ prompt: PROMPT, previews: { size: 0 } }));
      of.every = await ending(og.generate({ prompt: PROMPT, previews: { every: 0 } }));
      of.share = await ending(og.generate({ prompt: PROMPT, steps: 1, walk: { share: 2 } }));
      // @ts-expect-error no picture's file
      of.file = await ending(og.readSettings('x'));
      // @ts-expect-error a setting that cannot be sent to a worker
      of.function = await ending(og.generate({ prompt: PROMPT, negativePrompt: () => 'x' }));
    });
    // @ts-expect-error an engine that there is not
    of.engine = await ending(OpenGen.create({ engine: 'cuda' }));
    // @ts-expect-error an option that there is not
    of.create = await ending(OpenGen.create({ modle: mini }));
    of.unstored = await ending(OpenGen.create({ engine: 'cpu', model: 'another' }));
    of.noWorker = await ending(OpenGen.create({ workerUrl: './not-there.js' }));
    of.badWorker = await ending(OpenGen.create({ workerUrl: 'https://' }));
    // @ts-expect-error no model at all
    of.model = await ending(OpenGen.create({ engine: 'cpu', model: 7 }));
    of.notThere = await ending(OpenGen.create({ engine: 'cpu', model: './not-there.gguf' }));
    of.noModelFile = await ending(OpenGen.create({ engine: 'cpu', model: { url: './index.html?x', id: 'page' } }));
    of.webgpu = await ending(OpenGen.create({ engine: 'webgpu' }));
    return of;
  },

  /** A signal's reason comes along, and running out of time is told apart. */
  async reasons() {
    return using({ model: mini }, async (og) => {
      const late = await og.generate({ prompt: PROMPT, steps: 1000, signal: AbortSignal.timeout(50) }).catch((e) => e);
      const stop = new AbortController();
      const why = new Error('the visitor left');
      const left = await og.generate({
        prompt: PROMPT, steps: 100, signal: stop.signal, onStep: () => stop.abort(why),
      }).catch((e) => e);
      const never = await OpenGen.create({ signal: AbortSignal.abort(why) }).catch((e) => e);
      og.dispose();
      const closed = await og.storage().catch((e) => e);
      const told = (e: unknown) => e instanceof OpenGenError && [e.code, e.name, e.retryable];
      return {
        late: told(late), lateCause: late.cause instanceof DOMException && late.cause.name,
        left: told(left), leftCause: left.cause === why, never: told(never), neverCause: never.cause === why,
        closed: told(closed),
      };
    });
  },

  /** Before an engine starts: what would be. */
  async detected() {
    const before: Detected = await OpenGen.detect({ model: mini });
    const path = await OpenGen.detect({ engine: 'cpu' });
    const webgpu = await OpenGen.detect({ engine: 'webgpu' });
    const wrong = [
      // @ts-expect-error an engine that there is not
      await ending(OpenGen.detect({ engine: 'cuda' })),
      // @ts-expect-error an option that there is not
      await ending(OpenGen.detect({ onProgress: () => {} })),
      await ending(OpenGen.detect({ model: 'another' })), await ending(OpenGen.detect({ signal: AbortSignal.abort() })),
    ];
    const databases = await indexedDB.databases();
    await using({ model: mini }, async () => {});
    const after = await OpenGen.detect({ model: mini });
    const stored = await OpenGen.detect({ model: 'mini' });
    return { before, path, webgpu, wrong, databases: databases.length, after, stored };
  },

  detectedAgain: () => OpenGen.detect({ model: mini }),

  /** Seeds of 64 bits, as BigInt and as text, here, in variations and on walks. */
  async seeds() {
    return using({ model: mini }, async (og) => {
      const of = (options: Partial<GenerateOptions>) => og.generate({ prompt: PROMPT, steps: 1, width: 64, height: 64, ...options });
      const most = 2n ** 64n - 1n;
      const [big, text] = [await of({ seed: most }), await of({ seed: String(most) })];
      const same = (a: Generated, b: Generated) => a.image.data.every((value, i) => value === b.image.data[i]);
      const varied = await of({ seed: 1n, variationSeed: most, variationStrength: 1 });
      const walked = await of({ seed: 1n, walk: { seed: most, share: 1 } });
      return {
        seed: big.seed, same: same(big, text), small: (await of({ seed: 7n })).seed,
        varied: same(varied, big), walked: same(walked, big), beyond: await ending(of({ seed: most + 1n })),
      };
    });
  },

  /** Previews of a size and at a rate; a run as an iterator, left in the middle and to its end. */
  async streamed() {
    return using({ model: mini }, async (og) => {
      const queue: number[] = [];
      og.addEventListener('queue', ({ detail }) => queue.push(detail.length));
      const options = { prompt: PROMPT, steps: 5, width: 64, height: 128, seed: 3, previews: { size: 96, every: 2 } } as const;
      const steps: [number, number[] | null][] = [];
      let made: Generated | null = null;
      const types = new Set<StreamEvent['type']>();
      for await (const event of og.stream(options)) {
        types.add(event.type);
        if (event.type === 'step') steps.push([event.step, event.preview && [event.preview.width, event.preview.height]]);
        if (event.type === 'done') made = event;
      }
      let left = 0;
      for await (const event of og.stream({ ...options, steps: 1000, imageType: 'Blob' })) {
        if (event.type === 'done') event.image.arrayBuffer();
        if (event.type === 'step' && (left = event.step) === 2) break;
      }
      const next = await ending(og.generate({ prompt: PROMPT, steps: 1 }));
      let failed = '';
      try {
        for await (const _ of og.stream({ prompt: PROMPT, width: 65 })) failed = 'an event';
      } catch (error) {
        failed = (error as OpenGenError).code;
      }
      return { types: [...types], steps, size: made && [made.image.width, made.image.height], left, next, failed, queue,
        length: og.queueLength };
    });
  },

  /** The model looked into, each answer of its type; and the settings in a file. */
  async studied() {
    return using({ model: mini }, async (og) => {
      const request: GenerateRequest = {
        ...DEFAULTS, ...mini.defaults, prompt: 'a cat', negativePrompt: '', seed: 5n, rng: 'torch', width: 64, height: 64, batch: 1,
        previews: false,
      };
      const schedule = await og.study({ what: 'schedule' });
      const tokens: StudyAnswer<{ what: 'tokens'; prompt: string }> = await og.study({ what: 'tokens', prompt: 'a cat' });
      const { latents, first, steps } = await og.study({ what: 'begin', request });
      const trace = await og.study({ what: 'step', request, index: first, latents, maps: true });
      const picture = await og.study({ what: 'decode', latents: trace.next, width: 64, height: 64 });
      const noised = await og.study({ what: 'noise', image: picture, t: 500, seed: 1n });
      const film: Uint8Array = await og.study({ what: 'film', frames: [picture, noised.image], delay: 80 });
      const { png } = await og.generate({ prompt: 'a cat', seed: 2n ** 60n, steps: 2 });
      const settings: PictureSettings = await og.readSettings(png[0]);
      return {
        last: schedule.last, prediction: schedule.prediction, tokens: tokens.map(({ text }) => text).filter(Boolean),
        steps: steps.length, maps: trace.maps.length > 0, picture: [picture.width, picture.height], film: film.length > 1000,
        settings: [settings.prompt, settings.seed, settings.steps],
      };
    });
  },

  /** A model that takes a header to be had, and one that the program fetches by itself. */
  async privately() {
    const url = new URL('/private/mini-q8_0.gguf', location.href).href;
    const { bytes, sha256 } = mini;
    const load = async (model: ModelDescription) => using({}, async (og) => {
      const ended = await ending(og.models.load(model));
      const stored = await og.models.list();
      for (const { id } of stored) await og.models.remove(id);
      return [ended, JSON.stringify(stored).includes('secret')];
    });
    const asked: string[] = [];
    const fetched = await load({
      url: 'vault:mini', id: 'vaulted', bytes, sha256,
      fetch: async (address, init) => {
        asked.push(String(address));
        return fetch(mini.url, init);
      },
    });
    return {
      refused: await load({ url }), allowed: await load({ url, headers: { 'X-Key': 'secret' } }), fetched, asked,
      failing: await load({ url, fetch: async () => { throw new Error('sealed'); } }),
      stopped: await using({}, async (og) => {
        const stop = new AbortController();
        return ending(og.models.load({
          url, bytes, fetch: async (_, init) => {
            stop.abort();
            return fetch(mini.url, init);
          },
        }, { signal: stop.signal }));
      }),
    };
  },

  /** `using` ends the worker. */
  async used() {
    let kept: OpenGen;
    {
      await using og = await OpenGen.create({ engine: 'cpu' });
      kept = og;
    }
    const asynchronously = await ending(kept.storage());
    {
      using og = await OpenGen.create({ engine: 'cpu' });
      kept = og;
    }
    return [asynchronously, await ending(kept.storage()), LIMITS.steps];
  },

  /** Queued calls, and two engines at once. */
  async several() {
    return using({ model: mini }, (one) => using({ model: mini }, async (two) => {
      const drawn = await Promise.all([1, 2].map(() => one.generate({ prompt: PROMPT, steps: 2 })));
      const [here, there] = await Promise.all([one, two].map((og) => og.generate({ prompt: PROMPT, steps: 2, seed: 5 })));
      // A model may be asked for and used in one breath.
      const loading = two.models.load(mini);
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
    const known: readonly ModelInfo[] = MODELS;
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
      const stopped = await ending(og.models.import(mini, { signal: stop.signal, onProgress: () => stop.abort() }));
      return {
        known: known.map(({ id }) => id), imported, unused, listed: listed.map(({ id, complete }) => [id, complete]),
        loaded, size: [image.width, image.height], fetched: !byAddress.fromStore, room: room.models.length,
        used: room.usage > 0, broken, stopped, left: (await og.models.list()).filter(({ complete }) => complete),
      };
    });
  },

  /** dispose ends the worker and whatever still waits for it. */
  async disposed() {
    const og = await OpenGen.create({ engine: 'cpu', model: mini });
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
