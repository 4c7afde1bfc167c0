/** A run as an async iterator: the events that it calls back with, one after the other, and what it makes. */

/**
 * Starts a run when the first event is asked for; stops it when no more are.
 * @template {import('./api.d.ts').ImageType} T
 * @param {(listeners: Pick<import('./api.d.ts').GenerateOptions<T>, 'onStage' | 'onStep' | 'signal'>) =>
 *   Promise<import('./api.d.ts').Generated<T>>} start
 * @param {Pick<import('./api.d.ts').GenerateOptions<T>, 'onStage' | 'onStep' | 'signal'>} given what the caller listens with
 * @returns {AsyncGenerator<import('./api.d.ts').StreamEvent<T>, void, void>}
 */
export async function* iterate(start, { onStage, onStep, signal }) {
  const stop = new AbortController();
  const passOn = () => stop.abort(signal?.reason);
  signal?.addEventListener('abort', passOn);
  if (signal?.aborted) passOn();
  /** @type {import('./api.d.ts').StreamEvent<T>[]} */
  const events = [];
  let wake = () => {};
  /** @param {import('./api.d.ts').StreamEvent<T>} event */
  const tell = (event) => {
    events.push(event);
    wake();
  };
  let running = true;
  const run = start({
    signal: stop.signal,
    onStage: (event) => {
      onStage?.(event);
      tell({ type: 'stage', ...event });
    },
    onStep: (event) => {
      onStep?.(event);
      tell({ type: 'step', ...event });
    },
  }).then((made) => tell({ type: 'done', ...made })).finally(() => {
    running = false;
    wake();
  });
  run.catch(() => {}); // told below, once the events before it are
  try {
    while (running || events.length > 0) {
      const event = events.shift();
      if (event) yield event;
      else await new Promise((resolve) => { wake = () => resolve(undefined); });
    }
    await run;
  } finally {
    signal?.removeEventListener('abort', passOn);
    stop.abort(); // of a run that is over this stops nothing
    await run.catch(() => {});
  }
}
