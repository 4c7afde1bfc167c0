/** The page: binds the form, the picture and the session together. Nothing here computes. */

import { OpenGen } from './client.js';
import { $, bytes, duration, keep, make, seconds } from './js/dom.js';
import { Gallery } from './js/gallery.js';
import { Session } from './js/session.js';
import { Settings } from './js/settings.js';
import { Sheet, keepPage } from './js/shell.js';
import { Stage } from './js/stage.js';
import { banner, bar, hideBanner, notes, say } from './js/status.js';
import { StoragePanel } from './js/storage.js';
import { showViews } from './learn/views.js';
import { STAGES, engineWords, errorWords, sentence } from './js/words.js';

const asked = new URLSearchParams(location.search).get('engine');
const engine = ['webgpu', 'cpu'].includes(asked) ? asked : 'auto';

const stage = new Stage($('frame'), $('picture'), $('screen'));
const sheet = new Sheet();
const settings = new Settings({ onRefused: reveal });
const session = new Session({ engine, onChange: render, onLoaded: greet });
const gallery = new Gallery((made) => {
  if (working) return;
  present(made);
  settings.apply(made.request);
  say('An earlier picture', `seed ${made.request.seed}`);
});
const storage = new StoragePanel({ session, catalog: () => catalog, onRemoved: forgotten });

/** @type {import('./protocol.d.ts').ModelInfo[]} */
let catalog = [];
/** The picture being made. @type {AbortController | null} */
let working = null;
/** What stands on the stage. @type {import('./js/gallery.js').Made | null} */
let current = null;

// ---- the model -------------------------------------------------------------------------------------------

async function start() {
  bar(null);
  keepPage({ onOffline });
  try {
    catalog = await OpenGen.catalog();
  } catch (error) {
    say('The page is not complete');
    banner(errorWords(error), () => location.reload());
    return;
  }
  const wanted = keep.read('model');
  const model = catalog.find(({ id }) => id === wanted) ?? catalog[0];
  $('model').replaceChildren(...catalog.map(({ id, name }) => make('option', { value: id, textContent: name })));
  $('model').value = model.id;
  settings.restore(model);
  introduce(model);
  session.start(model);
  showViews({ session });
}

function introduce(model) {
  $('chip-name').textContent = model.name;
  $('chip-size').textContent = bytes(model.bytes);
  $('model-about').textContent = model.about;
  $('knows').hidden = !model.knows;
  $('knows-things').textContent = model.knows ? `Things: ${model.knows.things.join(', ')}.` : '';
  $('knows-backgrounds').textContent = model.knows ? `Backgrounds: ${model.knows.backgrounds.join(', ')}.` : '';
  $('examples').replaceChildren(...model.examples.map(({ prompt, seed }) => {
    const button = make('button', { type: 'button', textContent: prompt });
    button.addEventListener('click', () => {
      if (working) return;
      settings.setPrompt(prompt);
      generate({ seed });
    });
    return make('li', {}, button);
  }));
}

/** The model has become ready: says what there is to say about that, and asks the browser to keep it. */
function greet({ og, loaded }) {
  if (loaded.notice) notes([sentence(loaded.notice)]);
  if (!loaded.inMemoryOnly) og.requestPersist().catch(() => {});
}

function forgotten(id) {
  if (id === session.model?.id && session.state === 'ready') {
    say(`${session.model.name} was deleted`, 'it still works until this tab is closed');
  }
}

function onOffline(offline) {
  session.setOffline(offline);
  if (!offline && session.state === 'failed' && session.error?.code === 'NETWORK') retry('retry');
}

/** Draws the session's state: the chip, the dust, and the status line while no picture is being made. */
function render() {
  const { state, progress, model, offline } = session;
  const share = progress?.total ? progress.loaded / progress.total : 0;
  const percent = `${Math.floor(share * 100)} %`;
  const chip = {
    starting: 'starting', waiting: 'another tab is fetching', fetching: `fetching ${percent}`, checking: 'checking',
    loading: 'loading', ready: offline ? 'ready, offline' : 'ready', failed: offline ? 'offline' : 'not ready',
  };
  $('chip-state').textContent = chip[state];
  $('model-chip').dataset.state = state === 'ready' && offline ? 'offline' : state;
  $('engine-line').textContent = engineWords(session.capabilities());
  if (state === 'ready') stage.setFill(1);
  else if (state === 'fetching') stage.setFill(share);
  if (working && state === 'ready') return;

  const then = working ? ', then drawing' : '';
  switch (state) {
    case 'starting':
      return say(`Starting the engine${then}`);
    case 'waiting':
      return say('Another tab is downloading the model', 'this one goes on when it is done');
    case 'fetching':
      say(`Fetching ${model.name}, once${then}`, fetchDetail(progress));
      return bar(share);
    case 'checking':
      say(`Checking what arrived${then}`);
      return bar(1);
    case 'loading':
      say(`Loading ${model.name}${then}`);
      return bar(progress?.phase === 'upload' ? share : null);
    case 'ready':
      say(offline ? 'Ready, and offline: everything needed is here' : 'Ready');
      return bar(null);
    case 'failed':
      bar(null);
      say(`${model.name} is not ready`, 'your prompt and settings are kept');
      return banner(errorWords(session.error, model), retry);
  }
}

function fetchDetail({ loaded, total, rate, secondsLeft }) {
  const parts = [`${bytes(loaded).replace(/ MB$/, total < 1e9 ? '' : ' MB')} of ${bytes(total)}`];
  if (rate > 0) parts.push(`${bytes(rate)}/s`);
  if (secondsLeft !== null && Number.isFinite(secondsLeft)) parts.push(`${duration(secondsLeft)} left`);
  return parts.join(' · ');
}

function retry(action) {
  if (action === 'storage') storage.open();
  else if (action === 'restart') session.restart();
  else session.start();
}

// ---- a picture -------------------------------------------------------------------------------------------

async function generate({ seed } = {}) {
  const request = settings.read();
  if (!request) return;
  if (seed !== undefined) request.seed = String(seed);
  working = new AbortController();
  const { signal } = working;
  setWorking(true);
  try {
    render();
    await session.ready(signal);
    stage.begin(request);
    const result = await session.og.generate({ ...request, previews: true, signal, ...progressOf(request) });
    finish(request, result);
  } catch (error) {
    stage.restore();
    fail(error);
  } finally {
    working = null;
    setWorking(false);
    bar(null);
  }
}

/** Callbacks that turn the engine's events into words, bar and previews. */
function progressOf(request) {
  let started = performance.now();
  const decodeMs = keep.read('decodeMs') ?? 0;
  return {
    onStage({ stage: name }) {
      if (name === 'denoise') started = performance.now();
      say(STAGES[name], name === 'denoise' ? `step 1 of ${request.steps}` : '');
      bar(name === 'decode' ? 0.97 : 0);
    },
    onStep({ step, steps, preview }) {
      const each = (performance.now() - started) / step;
      const left = ((steps - step) * each + decodeMs) / 1000;
      say(STAGES.denoise, `step ${step} of ${steps} · ${duration(left)} left`);
      bar((step / steps) * 0.97);
      if (preview) stage.preview(preview);
    },
  };
}

function finish(request, { image, png, seed, timings, notices }) {
  const made = { image, png: png[0], request: { ...request, seed: String(seed) } };
  present(made);
  gallery.add(made);
  if (settings.random.checked) settings.showSeed(seed);
  keep.write('decodeMs', timings.decodeMs);
  notes(notices.map(sentence));
  say(`Done in ${seconds(timings.totalMs)}`, `seed ${seed}`);
  $('engine-line').textContent = engineWords(session.capabilities());
}

/** @param {import('./js/gallery.js').Made} made */
function present(made) {
  current = made;
  stage.show(made.image, made.request.prompt);
  $('save').hidden = false;
}

function fail(error) {
  if (error.code === 'ABORTED') return session.state === 'ready' ? say('Cancelled') : undefined;
  if (error === session.error) return; // the banner is up already
  if (error.code === 'INVALID_INPUT' && settings.mark(error.field, sentence(error.message))) {
    say('One setting needs a look');
    return reveal(error.field);
  }
  say('No picture this time', 'your prompt and settings are kept');
  banner(errorWords(error, session.model), retry);
}

function setWorking(on) {
  $('generate').textContent = on ? 'Cancel' : 'Generate';
  $('generate').toggleAttribute('data-working', on);
  $('save').hidden = on || !current;
  if (on) {
    hideBanner();
    notes([]);
  }
}

/** Brings a field into view and focus, wherever it hides. */
function reveal(field) {
  if ($('more').contains($(field))) $('more').open = true;
  if ($('settings').contains($(field))) sheet.open(field);
  else $(field).focus();
}

function save() {
  const { png, request } = current;
  const words = request.prompt.normalize('NFKD').replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 60);
  const link = make('a', { href: URL.createObjectURL(png), download: `${words || 'picture'}-${request.seed}.png` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// ---- what can be touched -----------------------------------------------------------------------------------

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  if (working) working.abort();
  else generate();
});

for (const field of ['prompt', 'negativePrompt']) {
  $(field).addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!working) generate();
  });
}

$('fields').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.target.type !== 'number') return;
  event.preventDefault(); // else a refusal would put the line break into the field it leads to
  if (!working) generate();
});

$('skip').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter') return;
  event.preventDefault(); // else the same key press breaks a line in the prompt
  $('prompt').focus();
});

$('save').addEventListener('click', save);
$('reset').addEventListener('click', () => settings.reset(session.model));
$('model').addEventListener('change', () => {
  working?.abort();
  const model = catalog.find(({ id }) => id === $('model').value);
  keep.write('model', model.id);
  settings.reset(model);
  introduce(model);
  session.start(model);
});

start();
