/**
 * The service worker: keeps the page itself (not the models, which live in IndexedDB) so that it opens offline.
 *
 * The page is served from one complete copy. After each visit all of it is asked for again in the background;
 * when anything changed, a second complete copy is laid beside the first and takes its place at the next visit.
 * A copy is named after the digest of its files, so there is no version number to forget.
 */

const SHELL = [
  './', 'style.css', 'css/stage.css', 'css/controls.css', 'css/panels.css', 'css/pictures.css', 'css/large.css', 'css/access.css',
  'css/learn.css', 'css/machine.css',
  'css/noscript.css', 'icon.svg',
  'manifest.webmanifest', 'icons/icon-192.png', 'icons/icon-512.png', 'icons/maskable-512.png', 'icons/apple-touch-icon.png',
  'samples/apple.webp', 'samples/panda.webp', 'samples/fox.webp',
  'early.js', 'main.js', 'client.js', 'errors.js', 'knows.js', 'limits.js', 'link.js', 'models.js', 'options.js', 'source.js',
  'spawn.js', 'stream.js', 'through.js', 'worker.js', 'engines.js', 'detect.js', 'preview.js', 'stored.js',
  'js/actions.js',
  'js/adding.js',
  'js/batch.js',
  'js/choice.js',
  'js/dom.js',
  'js/filling.js',
  'js/gallery.js',
  'js/grain.js',
  'js/keys.js',
  'js/knowing.js',
  'js/languages.js',
  'js/large.js',
  'js/length.js',
  'js/link.js',
  'js/making.js',
  'js/near.js',
  'js/pictures.js',
  'js/queue.js',
  'js/reader.js',
  'js/recall.js',
  'js/removal.js',
  'js/report.js',
  'js/samples.js',
  'js/save.js',
  'js/session.js',
  'js/settings.js',
  'js/shell.js',
  'js/shown.js',
  'js/sizes.js',
  'js/stage.js',
  'js/state.js',
  'js/status.js',
  'js/storage.js',
  'js/typing.js',
  'js/understood.js',
  'js/using.js',
  'js/vocabulary.js',
  'js/waiting.js',
  'js/weigh.js',
  'js/words.js',
  'js/zip.js',
  'learn/alive.js',
  'learn/asked.js',
  'learn/attention.js',
  'learn/back.js',
  'learn/bring.js',
  'learn/fields.js',
  'learn/into.js',
  'learn/kit.js',
  'learn/lab.js',
  'learn/learn.js',
  'learn/machine.js',
  'learn/math.js',
  'learn/own.js',
  'learn/picture.js',
  'learn/plot.js',
  'learn/seen.js',
  'learn/texts.js',
  'learn/thin.js',
  'learn/training.js',
  'learn/vary.js',
  'learn/views.js',
  'learn/words.js',
];
/** Kept once a page has fetched it: the engines' code, of which a visitor needs one, and the words of other languages. */
const PARTS = {
  webgpu: ['opengen-gpu.js', 'opengen-gpu_bg.wasm'],
  cpu: ['opengen-cpu.js', 'opengen-cpu_bg.wasm'],
  languages: ['languages.json'],
};
const COPY = 'opengen-page-';
/** Holds which copy is in use, which is next, and which parts are kept. */
const BOOK = 'opengen-book';

const scope = new URL('./', self.location.href);
const ours = new Set([...SHELL, ...Object.values(PARTS).flat()].map((path) => new URL(path, scope).pathname));

self.addEventListener('install', (event) => {
  event.waitUntil(refresh().then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(promote().then(() => self.clients.claim()));
});

self.addEventListener('message', (event) => {
  if (event.data?.type === 'keep') event.waitUntil(keep(event.data.parts));
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== scope.origin) return;
  if (request.mode === 'navigate') {
    event.respondWith(page(request, url));
    event.waitUntil(lookForNews());
  } else if (ours.has(url.pathname)) {
    event.respondWith(kept(url.pathname).then((response) => response ?? fetch(request)));
  }
});

/** The page for a navigation: ours from the copy, anything else from the network while there is one. */
async function page(request, url) {
  await promote();
  const home = await kept(scope.pathname);
  const isHome = url.pathname === scope.pathname || url.pathname === `${scope.pathname}index.html`;
  if (home && isHome) return home;
  try {
    return await fetch(request);
  } catch (error) {
    if (home) return home;
    throw error;
  }
}

async function kept(pathname) {
  const name = await read('current');
  if (!name) return undefined;
  const copy = await caches.open(name);
  return copy.match(new URL(pathname, scope));
}

async function lookForNews() {
  await new Promise((resolve) => setTimeout(resolve, 1500)); // the page's own start comes first
  try {
    const fresh = await refresh();
    await tell({ type: fresh ? 'new-version' : 'online' });
  } catch {
    await tell({ type: 'offline' });
  }
}

/** Keeps these parts too, from the next visit on. */
async function keep(parts) {
  const kept = await keptParts();
  const all = Object.keys(PARTS).filter((name) => kept.includes(name) || parts.includes(name));
  if (all.length === kept.length) return;
  await write('parts', all.join(' '));
  await refresh();
}

const keptParts = async () => (await read('parts')).split(' ').filter((name) => Object.hasOwn(PARTS, name));

/** Runs what it is given one after another. */
function inTurn() {
  let last = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  };
}

/** The last refresh has seen what was written before it. */
const refreshing = inTurn();
/** No copy is taken into use while another is entered: one of the two would be lost. A navigation waits for this alone. */
const booking = inTurn();

const refresh = () => refreshing(fetchCopy);
const promote = () => booking(takeNext);

/** Fetches every file again. Returns whether that made a copy which differs from the one in use. */
async function fetchCopy() {
  const paths = [...SHELL, ...(await keptParts()).flatMap((name) => PARTS[name])];
  const files = await Promise.all(paths.map(async (path) => {
    const url = new URL(path, scope);
    const response = await fetch(url, { cache: 'no-cache', credentials: 'same-origin' });
    if (!response.ok || response.redirected) throw new Error(`${url.pathname}: ${response.status}`);
    const digest = await crypto.subtle.digest('SHA-256', await response.clone().arrayBuffer());
    return { url, response, digest };
  }));
  const name = COPY + (await nameOf(files));
  return booking(() => enter(name, files));
}

/** Makes these files the next copy, if they are not known yet. Returns whether that replaces one in use. */
async function enter(name, files) {
  if (name === (await read('current')) || name === (await read('next'))) return false;
  const copy = await caches.open(name);
  await Promise.all(files.map(({ url, response }) => copy.put(url, response)));
  await write('next', name);
  return Boolean(await read('current'));
}

/** Takes the next copy into use and lets the others go. */
async function takeNext() {
  const next = await read('next');
  if (!next) return;
  await write('current', next);
  await write('next', '');
  for (const name of await caches.keys()) {
    if (name.startsWith(COPY) && name !== next) await caches.delete(name);
  }
}

async function nameOf(files) {
  const all = new Uint8Array(files.length * 32);
  files.forEach(({ digest }, i) => all.set(new Uint8Array(digest), i * 32));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
  return [...digest.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function read(key) {
  const entry = await (await caches.open(BOOK)).match(new URL(`book/${key}`, scope));
  return entry ? entry.text() : '';
}

async function write(key, value) {
  await (await caches.open(BOOK)).put(new URL(`book/${key}`, scope), new Response(value));
}

async function tell(message) {
  for (const client of await self.clients.matchAll({ type: 'window' })) client.postMessage(message);
}
