/**
 * The service worker: keeps the page itself (not the models, which live in IndexedDB) so that it opens offline.
 *
 * The page is served from one complete copy. After each visit all of it is asked for again in the background;
 * when anything changed, a second complete copy is laid beside the first and takes its place at the next visit.
 * A copy is named after the digests of its files, so there is no version number to forget: of those that every visitor
 * has, which are its version, and of all.
 *
 * A tab keeps the copy that it began with, its workers too, until it is closed or reloaded, however many newer ones come.
 * What that copy lacks comes from the network only while the server still has the tab's version.
 */

const SHELL = [
  './', 'style.css', 'css/stage.css', 'css/begin.css', 'css/controls.css', 'css/panels.css', 'css/pictures.css', 'css/large.css',
  'css/access.css', 'css/noscript.css', 'icon.svg',
  'manifest.webmanifest',
  'samples/apple.webp', 'samples/panda.webp', 'samples/fox.webp',
  'early.js', 'main.js', 'client.js', 'errors.js', 'judge.js', 'knows.js', 'limits.js', 'link.js', 'models.js', 'options.js', 'source.js',
  'spawn.js', 'stream.js', 'through.js', 'worker.js', 'engines.js', 'detect.js', 'folder.js', 'gathered.js', 'layout.js', 'database.js', 'hash.js', 'networks.js', 'pixels.js',
  'preview.js', 'registers.js', 'stored.js', 'threads.js',
  'js/actions.js',
  'js/adding.js',
  'js/batch.js',
  'js/before.js',
  'js/begin.js',
  'js/begun.js',
  'js/book.js',
  'js/choice.js',
  'js/difference.js',
  'js/dom.js',
  'js/extras.js',
  'js/filling.js',
  'js/folders.js',
  'js/gallery.js',
  'js/grain.js',
  'js/keptin.js',
  'js/keys.js',
  'js/knowing.js',
  'js/large.js',
  'js/later.js',
  'js/length.js',
  'js/link.js',
  'js/making.js',
  'js/near.js',
  'js/networks.js',
  'js/origin.js',
  'js/parts.js',
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
  'js/tokens.js',
  'js/strength.js',
  'js/typing.js',
  'js/understood.js',
  'js/using.js',
  'js/vocabulary.js',
  'js/waiting.js',
  'js/weigh.js',
  'js/words.js',
  'learn/views.js',
];
/**
 * What the first picture does not need: the engines' code, of which a visitor needs one, the other views, the brush, the words
 * of other languages, the vocabulary for checkpoints of one's own. Kept once a page says so: when it has fetched it, or when
 * nothing else is to be done.
 */
const PARTS = {
  webgpu: ['opengen-gpu.js', 'opengen-gpu_bg.wasm'],
  learn: ['opengen-learn.js', 'opengen-learn_bg.wasm'],
  cpu: ['opengen-cpu.js', 'opengen-cpu_bg.wasm'],
  threads: ['crew.js', 'opengen-threads.js', 'opengen-threads_bg.wasm'],
  languages: ['js/languages.js', 'languages.json'],
  checkpoints: ['clip/merges.txt'],
  models: [
    'css/catalogue.css', 'css/offers.css',
    'models.json',
    'catalogue/arriving.js',
    'catalogue/card.js',
    'catalogue/entries.js', 'catalogue/entries.json',
    'catalogue/fetching.js',
    'catalogue/fit.js',
    'catalogue/licenses.js',
    'catalogue/offered.js',
    'catalogue/offers.js',
    'catalogue/once.js',
    'catalogue/parts.js',
    'catalogue/shown.js',
    'catalogue/site.js',
    'catalogue/sources.js',
    'catalogue/texts.js',
    'catalogue/view.js',
  ],
  teach: [
    'css/catalogue.css', 'css/teach.css',
    'train.js',
    'catalogue/thumbnail.js',
    'teach/camera.js',
    'teach/crop.js',
    'teach/curve.js',
    'teach/dialog.js',
    'teach/finer.js',
    'teach/keeping.js',
    'paint/brush.js', 'paint/files.js', 'paint/mask.js',
    'teach/lesson.js',
    'teach/mask.js',
    'teach/samples.js',
    'teach/set.js',
    'teach/square.js',
    'teach/texts.js',
    'teach/use.js',
    'teach/view.js',
  ],
  loras: ['css/loras.css', 'js/called.js', 'catalogue/loras.js', 'catalogue/named.js', 'catalogue/tags.js', 'catalogue/thumbnail.js'],
  grid: ['css/grid.css', 'grid/axes.js', 'grid/sheet.js', 'grid/view.js', 'steer/finer.js', 'steer/takes.js'],
  rest: [
    'icons/icon-192.png', 'icons/icon-512.png', 'icons/maskable-512.png', 'icons/apple-touch-icon.png', 'js/room.js', 'js/veil.js', 'js/zip.js',
  ],
  steer: ['css/steer.css',
    'css/offers.css', 'steer/controls.js', 'steer/dynamic.js', 'steer/fields.js', 'steer/finer.js', 'steer/listing.js', 'steer/lists.js', 'steer/painted.js', 'paint/brush.js', 'paint/files.js', 'paint/mask.js', 'steer/regions.js', 'steer/sampling.js', 'steer/second.js', 'steer/sources.js', 'steer/takes.js',
    'catalogue/arriving.js', 'catalogue/licenses.js', 'catalogue/offered.js', 'catalogue/offers.js', 'catalogue/site.js', 'catalogue/entries.json', 'catalogue/sources.js'],
  paint: [
    'css/paint.css', 'css/offers.css',
    'catalogue/arriving.js', 'catalogue/licenses.js', 'catalogue/offered.js', 'catalogue/offers.js', 'catalogue/site.js', 'catalogue/entries.json', 'catalogue/sources.js',
    'paint/editor.js',
    'paint/enlarge.js',
    'paint/enlarging.js',
    'paint/files.js',
    'paint/hands.js',
    'paint/live.js',
    'paint/mask.js',
    'paint/sides.js',
    'paint/tools.js',
    'paint/view.js',
  ],
  how: [
    'css/learn.css', 'css/machine.css',
    'css/teach.css', 'train.js', 'teach/curve.js', 'teach/lesson.js', 'teach/samples.js', 'teach/texts.js',
    'learn/alive.js',
    'learn/asked.js',
    'learn/attention.js',
    'learn/back.js',
    'learn/bring.js',
    'learn/creature.js',
    'learn/fields.js',
    'learn/into.js',
    'learn/kit.js',
    'learn/lab.js',
    'learn/learn.js',
    'learn/machine.js',
    'learn/math.js',
    'learn/middle.js',
    'learn/own.js',
    'learn/pair.js',
    'learn/picture.js',
    'learn/plot.js',
    'learn/seen.js',
    'learn/strange.js',
    'learn/taught.js',
    'learn/texts.js',
    'learn/thin.js',
    'learn/training.js',
    'learn/vary.js',
    'learn/words.js',
  ],
};
const COPY = 'opengen-page-';
/** Holds which copy is in use, which is next, which parts are kept, whether some are owing, and what each tab and worker began with. */
const BOOK = 'opengen-book';
const CLIENT = 'client/';
/** The server is not asked again within this time, in ms, whether it still has a version. */
const TRUSTED = 5000;

/** Who began so short a time ago, in ms, may still be loading, and is not seen among the living. */
const YOUNG = 120_000;

const scope = new URL('./', self.location.href);
const ours = new Set([...SHELL, ...Object.values(PARTS).flat()].map((path) => new URL(path, scope).pathname));

self.addEventListener('install', (event) => {
  event.waitUntil(refresh().then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(promote().then(claim));
});

self.addEventListener('message', (event) => {
  if (event.data?.type === 'keep') event.waitUntil(keep(event.data.parts));
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== scope.origin) return;
  if (request.mode === 'navigate') {
    event.respondWith(page(event, url));
    event.waitUntil(lookForNews());
  } else if (ours.has(url.pathname)) {
    event.respondWith(file(event, url.pathname).then(isolated));
  }
});

/** The page for a navigation: ours from the copy, anything else from the network while there is one. */
async function page({ request, resultingClientId }, url) {
  await promote();
  const name = await read('current');
  const home = name && (await kept(name, scope.pathname));
  const fromCopy = async () => {
    await begins(resultingClientId, name);
    return isolated(home);
  };
  const isHome = url.pathname === scope.pathname || url.pathname === `${scope.pathname}index.html`;
  if (home && isHome) return fromCopy();
  try {
    return await fetch(request);
  } catch (error) {
    if (home) return fromCopy();
    throw error;
  }
}

/**
 * An answer with the headers that isolate a page, so that its engine may compute on several threads, also where the server
 * sends none. A first visit comes without this worker, and is left as it is.
 * @param {Response} response
 */
function isolated(response) {
  const { status, statusText, body } = response;
  if (status === 0 || !body) return response;
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  return new Response(body, { status, statusText, headers });
}

/**
 * A file for a tab, or for a worker of one: of the version that it began with, or none. A part that was kept since lies in
 * a later copy of that version.
 */
async function file({ request, clientId, resultingClientId }, pathname) {
  const name = await copyOf(clientId, request.referrer);
  if (!name) return fetch(request);
  if (request.destination === 'worker') {
    await begins(resultingClientId, name); // as the tab that starts it
    lastOfWorkers = name;
  }
  for (const copy of [name, await read('next'), await read('current')]) {
    const found = copy && versionOf(copy) === versionOf(name) ? await kept(copy, pathname) : null;
    if (found) return found;
  }
  const still = await serverVersion().then((version) => version === versionOf(name), () => true); // offline: fails by itself
  return still ? fetch(request) : new Response('another version of the page is on the server now', { status: 409 });
}

/** The copy that a worker was started with last: what one goes by that its browser did not announce. */
let lastOfWorkers = '';

/**
 * The copy that a tab or a worker began with; for one that began without a copy the one that is in use when it first asks.
 * What a client is cannot be asked here: `clients.get` answers when it has loaded, and it loads when it has this file.
 * @param {string} id
 * @param {string} [referrer] what asks for the file: of a worker that is not known yet its own script
 */
async function copyOf(id, referrer = '') {
  const { name: known } = await beginning(id);
  if (known) return known;
  const name = (/\/(worker|crew)\.js$/.test(referrer) && lastOfWorkers) || (await read('current'));
  await begins(id, name);
  return name;
}

async function begins(id, name) {
  if (id && name) await write(CLIENT + id, `${name} ${Date.now()}`);
}

/** What a client began with, and when, in ms. */
async function beginning(id) {
  const [name = '', time = '0'] = (await read(CLIENT + id)).split(' ');
  return { name, time: Number(time) };
}

/** Tabs that were there before go on with the copy in use, which was fetched right after them. */
async function claim() {
  await self.clients.claim();
  for (const { id } of await self.clients.matchAll()) await copyOf(id);
}

async function kept(name, pathname) {
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
  await booking(tidy);
}

/**
 * Keeps these parts too, from the next visit on. Two that are asked for at once are entered one after the other: each would
 * write its own list otherwise, and one be forgotten. What did not arrive is tried again when anything is asked for.
 */
const keep = (parts) => refreshing(async () => {
  const before = await keptParts();
  const all = Object.keys(PARTS).filter((name) => before.includes(name) || parts.includes(name));
  if (all.length === before.length && !(await read('owing'))) return;
  await write('parts', all.join(' '));
  await write('owing', 'yes');
  await fetchCopy();
});

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
  let { name, files } = await gathered();
  // Another version may be on its way onto the server, file by file: it is taken once it has stood still.
  const current = await read('current');
  while (current && versionOf(name) !== versionOf(current)) {
    const again = await gathered();
    const stands = again.name === name;
    ({ name, files } = again);
    if (stands) break;
  }
  const differs = await booking(() => enter(name, files));
  await write('owing', '');
  return differs;
}

/** Every file as it is on the server now, and what a copy of them is called. */
async function gathered() {
  const shell = await fetchAll(SHELL);
  const parts = await fetchAll([...new Set((await partsThere()).flatMap((name) => PARTS[name]))]); // some share a file
  const files = [...shell, ...parts];
  return { name: `${COPY}${await digestOf(shell)}-${await digestOf(files)}`, files };
}

/** The parts to be kept that the server has: the engine for several threads is not built everywhere, nor at once. */
async function partsThere() {
  const names = await keptParts();
  if (!names.includes('threads')) return names;
  const url = new URL(PARTS.threads.at(-1), scope);
  const { status } = await fetch(url, { method: 'HEAD', cache: 'no-cache', credentials: 'same-origin' });
  return names.filter((name) => name !== 'threads' || status !== 404);
}

const fetchAll = (paths) => Promise.all(paths.map(async (path) => {
  const url = new URL(path, scope);
  const response = await fetch(url, { cache: 'no-cache', credentials: 'same-origin' });
  if (!response.ok || response.redirected) throw new Error(`${url.pathname}: ${response.status}`);
  const digest = await crypto.subtle.digest('SHA-256', await response.clone().arrayBuffer());
  return { url, response, digest };
}));

/** The version of a copy: the digest of what every visitor has. */
const versionOf = (name) => name.slice(COPY.length).split('-')[0];

/** The version that the server has now. */
const asked = { at: -Infinity, version: Promise.resolve('') };
function serverVersion() {
  if (Date.now() - asked.at > TRUSTED) {
    asked.at = Date.now();
    asked.version = fetchAll(SHELL).then(digestOf);
    asked.version.catch(() => { asked.at = -Infinity; });
  }
  return asked.version;
}

/** Makes these files the next copy, if they are not known yet. Returns whether that replaces one in use. */
async function enter(name, files) {
  if (name === (await read('current')) || name === (await read('next'))) return false;
  const copy = await caches.open(name);
  await Promise.all(files.map(({ url, response }) => copy.put(url, response)));
  await write('next', name);
  return Boolean(await read('current'));
}

/** Takes the next copy into use. */
async function takeNext() {
  const next = await read('next');
  if (!next) return;
  await write('current', next);
  await write('next', '');
  await tidy();
}

/** Lets copies go that nobody uses any more: neither the next visit nor a tab that began with one. */
async function tidy() {
  const used = new Set([await read('current'), await read('next')]);
  const living = await self.clients.matchAll({ type: 'all', includeUncontrolled: true });
  const book = await caches.open(BOOK);
  const clients = new URL(`book/${CLIENT}`, scope).href;
  for (const { url } of await book.keys()) {
    if (!url.startsWith(clients)) continue;
    const id = url.slice(clients.length);
    const { name, time } = await beginning(id);
    if (Date.now() - time < YOUNG || living.some((client) => client.id === id)) used.add(name);
    else await book.delete(url);
  }
  for (const name of await caches.keys()) {
    if (name.startsWith(COPY) && !used.has(name)) await caches.delete(name);
  }
}

/** @param {{digest: ArrayBuffer}[]} files */
async function digestOf(files) {
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
