/**
 * A program's own `fetch` for a model: it is called where the program runs, and the worker reads what it answers, a piece
 * at a time as it asks for them. Streams themselves cannot move to a worker in every browser.
 *
 * Each call has a port of its own. The worker sends "more" and "cancel"; back come the head, pieces, and the end.
 */

/**
 * The program's side.
 * @param {typeof globalThis.fetch} fetch
 * @returns {{port: MessagePort, close: () => void}} the port is the worker's
 */
export function serve(fetch) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data: { url, init }, ports: [port] }) => answer(fetch, url, init, port);
  return { port: port2, close: () => port1.close() };
}

/**
 * @param {typeof globalThis.fetch} fetch
 * @param {string} url
 * @param {RequestInit} init
 * @param {MessagePort} port
 */
async function answer(fetch, url, init, port) {
  const stop = new AbortController();
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  let reader;
  /** @param {unknown} error */
  const fail = (error) => {
    port.postMessage({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
    port.close();
  };
  port.onmessage = async ({ data }) => {
    if (data === 'cancel') {
      stop.abort();
      reader?.cancel().catch(() => {}); // nobody reads on
      return port.close();
    }
    try {
      const { value } = (await reader?.read()) ?? {};
      // A piece of its own: it may be a view into something much larger.
      port.postMessage(value ? { type: 'piece', bytes: value.slice() } : { type: 'end' });
      if (!value) port.close();
    } catch (error) {
      fail(error);
    }
  };
  try {
    const response = await fetch(url, { ...init, signal: stop.signal });
    if (!(response instanceof Response)) throw new TypeError('fetch has to resolve with a Response');
    if (response.type === 'opaque') throw new TypeError('the answer cannot be read: the server does not allow it (CORS)');
    reader = response.body?.getReader();
    const { status, type } = response;
    port.postMessage({ type: 'head', status, kind: type, headers: [...response.headers], hasBody: Boolean(reader) });
  } catch (error) {
    fail(error);
  }
}

/**
 * The worker's side.
 * @param {MessagePort} port
 * @returns {typeof globalThis.fetch}
 */
export function through(port) {
  return (url, { signal, ...init } = {}) => new Promise((resolve, reject) => {
    const { port1, port2 } = new MessageChannel();
    /** @type {ReadableStreamDefaultController<Uint8Array>} */
    let body;
    const stream = new ReadableStream({
      start: (controller) => { body = controller; },
      pull: () => port1.postMessage('more'),
      cancel: () => end('cancel'),
    }, { highWaterMark: 0 });
    /** @param {'cancel'} [last] */
    const end = (last) => {
      signal?.removeEventListener('abort', leave);
      if (last) port1.postMessage(last);
      port1.close();
    };
    /** @param {Error} error */
    const fail = (error) => {
      reject(error);
      body.error(error);
    };
    const leave = () => {
      end('cancel');
      fail(new DOMException('cancelled', 'AbortError'));
    };
    port1.onmessage = ({ data }) => {
      switch (data.type) {
        case 'head': {
          const response = new Response(data.hasBody ? stream : null, { status: data.status, headers: data.headers });
          // Whether its length can be believed depends on where it came from.
          return resolve(Object.defineProperty(response, 'type', { value: data.kind }));
        }
        case 'piece':
          return body.enqueue(data.bytes);
        case 'end':
          end();
          return body.close();
        case 'failed':
          end();
          return fail(new TypeError(data.message));
      }
    };
    if (signal?.aborted) return leave();
    signal?.addEventListener('abort', leave);
    return port.postMessage({ url: String(url), init }, [port2]);
  });
}
