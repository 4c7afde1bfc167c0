/** The page: binds the form, the picture and the session together. Nothing here computes. */

import { OpenGen } from './client.js';
import { Actions, copyLink } from './js/actions.js';
import { Adding } from './js/adding.js';
import { Choice } from './js/choice.js';
import { $, bytes, duration, keep, make, seconds } from './js/dom.js';
import { Gallery } from './js/gallery.js';
import { readLink } from './js/link.js';
import { Pictures } from './js/pictures.js';
import { Queue } from './js/queue.js';
import { Recall } from './js/recall.js';
import { hideReport, report } from './js/report.js';
import { Session } from './js/session.js';
import { Settings, drawSeed } from './js/settings.js';
import { Sheet, keepEngines, keepPage, untilReachable } from './js/shell.js';
import { Stage } from './js/stage.js';
import { banner, bar, hideBanner, notes, say } from './js/status.js';
import { StoragePanel } from './js/storage.js';
import { namesNothing, showWords, surprisePrompt } from './js/vocabulary.js';
import { showViews } from './learn/views.js';
import { Waiting } from './js/waiting.js';
import { STAGES, engineWords, errorWords, foreignWords, keepingWords, sentence } from './js/words.js';

const ENGINES = ['auto', 'webgpu', 'cpu'];
const wanted = [new URLSearchParams(location.search).get('engine'), keep.read('engine')];
const engine = wanted.find((name) => ENGINES.includes(name)) ?? 'auto';

/** How far a variation goes when the form does not say. */
const GENTLE = 0.2;

const stage = new Stage($('frame'), $('picture'), $('screen'));
const sheet = new Sheet();
const settings = new Settings({ onRefused: reveal });
const session = new Session({ engine, onChange: render, onLoaded: greet });
const pictures = new Pictures({ onChange: () => gallery.refresh() });
const gallery = new Gallery({ pictures, onPick: pick, onDeleted: forget });
const queue = new Queue({ draw, onChange: renderQueue });
const waiting = new Waiting(queue);
const actions = new Actions({ current: () => current, onVary: vary, onDelete: () => gallery.delete([current.entry]) });
const choice = new Choice({ catalog: OpenGen.catalog(), onChange: listModels });
const storage = new StoragePanel({ session, choice, onRemoved: forgotten });
const adding = new Adding({ engine: () => session.started(), onAdded: added, onChange: render, onFull: () => storage.open() });
new Recall({ engine: () => session.started(), onSettings: take, onModel: (file) => adding.add(file) });

/** What the status line says when there is nothing else to say: with a network, and without. */
const READY = ['Ready', 'Ready, and offline: everything needed is here'];
/** The session's state as it was drawn last. */
let drawn = '';
/** Whether the stage shows the work; not while the visitor looks at an earlier picture. */
let following = true;
/** What to say about the job before when the next one begins. */
let parting = '';
/** Why pictures are not kept, as far as that has been said. @type {Set<string>} */
const told = new Set();
/** What stands on the stage. @type {import('./js/gallery.js').Made | null} */
let current = null;

// ---- the model -------------------------------------------------------------------------------------------

function start() {
  bar(null);
  keepPage({ onOffline });
  const model = choice.find(keep.read('model')) ?? choice.all[0];
  $('engine').value = engine;
  settings.restore(model);
  introduce(model);
  session.start(model);
  listModels();
  session.started().then((og) => choice.refresh(og)).catch(() => {}); // told through the session's state
  openLink();
  gallery.refresh();
  showViews({ session });
}

/** The models under Settings. One that has been removed stays while it is in use. */
function listModels() {
  const there = choice.all.some(({ id }) => id === session.model.id) ? choice.all : [...choice.all, session.model];
  $('model').replaceChildren(...there.map(({ id, name }) => make('option', { value: id, textContent: name })));
  $('model').value = session.model.id;
}

/** A model of the visitor's is in the store: the one in use from now on, unless another one is at work. */
async function added({ id }) {
  await choice.refresh(session.og);
  const model = choice.find(id);
  const kept = 'It is kept in this browser, works offline, and can be deleted where the model’s name stands above.';
  if (queue.running || queue.waiting.length) {
    report(`${model.name} was added.`, [kept], { label: 'Use it', run: () => useModel(model) });
  } else {
    if (id !== session.model.id) useModel(model);
    report(`${model.name} was added and is in use now.`, [kept]);
  }
}

/** What computes and why; to be changed while nothing is at work. */
function showEngine() {
  $('engine-line').textContent = engineWords(session.capabilities());
  $('engine').disabled = queue.running !== null || adding.now !== null;
}

/** What computes from now on; an address that asked for something else does so no longer. */
function useEngine(name) {
  keep.write('engine', name);
  const address = new URL(location.href);
  address.searchParams.delete('engine');
  history.replaceState(history.state, '', address);
  hideBanner();
  session.restart(name);
}

function introduce(model) {
  $('welcome-size').textContent = model.own ? '' : `The model, ${bytes(model.bytes)}, is fetched once.`;
  $('model-about').textContent = model.about;
  $('knows').hidden = !model.knows;
  showWords(model, (word) => settings.addToPrompt(word));
  $('examples').replaceChildren(...model.examples.map(({ prompt, seed }) => {
    const button = make('button', { type: 'button', textContent: prompt });
    button.addEventListener('click', () => {
      settings.setPrompt(prompt);
      generate({ seed });
    });
    return make('li', {}, button);
  }));
  if (!model.knows) return;
  const surprise = make('button', { type: 'button', className: 'surprise', textContent: 'Surprise me' });
  surprise.addEventListener('click', () => {
    settings.setPrompt(surprisePrompt(model.knows));
    generate();
  });
  $('examples').append(make('li', {}, surprise));
}

/** The model has become ready: says what there is to say about that, and asks the browser to keep it. */
function greet({ og, loaded }) {
  if (loaded.notice) notes([sentence(loaded.notice)]);
  if (!loaded.inMemoryOnly) og.requestPersist().catch(() => {});
}

function forgotten(id) {
  choice.refresh(session.og).catch(() => {});
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
  const came = state === 'ready' ? adding.now : null; // another model, on its way into the store
  $('chip-name').textContent = came?.name ?? model.name;
  $('chip-size').textContent = bytes((came ?? model).bytes);
  $('chip-state').textContent = came ? `adding ${Math.floor(came.share * 100)} %` : chip[state];
  $('model-chip').dataset.state = came ? 'fetching' : state === 'ready' && offline ? 'offline' : state;
  showEngine();
  if (state === 'ready') stage.setFill(1);
  else if (state === 'fetching') stage.setFill(share);
  if (queue.running && state === 'ready') return;

  const before = drawn;
  drawn = came ? 'adding' : state;
  const then = queue.running ? ', then drawing' : '';
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
      if (came) {
        say(`Adding ${came.name}`, `${bytes(came.share * came.bytes)} of ${bytes(came.bytes)}`);
        return bar(came.share);
      }
      // What was said of a picture stays when the network comes or goes.
      if (before !== 'ready' || READY.includes($('status-words').textContent)) say(READY[Number(offline)]);
      return bar(null);
    case 'failed':
      bar(null);
      say(`${model.name} is not ready`, 'your prompt and settings are kept');
      if (offline && session.error.code === 'NETWORK') untilReachable(() => onOffline(false));
      return banner(errorWords(session.error, model, offline), retry);
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
  else if (action === 'add') adding.pick();
  else if (action === 'restart') session.restart();
  else session.start();
  if (action !== 'storage' && action !== 'add' && queue.paused) queue.resume();
}

// ---- a picture -------------------------------------------------------------------------------------------

function generate({ seed } = {}) {
  const request = settings.read();
  if (!request) return;
  if (seed !== undefined) request.seed = String(seed);
  hideReport();
  if (!queue.running) following = true;
  queue.add(request);
}

/** Other pictures like the one on the stage: the same settings, noise a little way towards another seed's. */
function vary() {
  const { batch, variationStrength } = settings.shared();
  hideReport();
  following = true;
  queue.add({
    ...current.settings,
    batch: Math.min(8, Math.max(1, Math.floor(Number(batch)) || 1)),
    variationStrength: Number(variationStrength) || GENTLE,
    variationSeed: drawSeed(),
  });
}

/**
 * Makes the pictures of a job, one after the other. Never rejects.
 * @param {import('./js/queue.js').Job} job
 */
async function draw({ pictures: requests }, signal) {
  hideBanner();
  notes(parting ? [parting] : []);
  parting = '';
  const made = [];
  try {
    for (const [i, request] of requests.entries()) {
      render();
      await session.ready(signal);
      if (adding.now) say(`Drawing begins when ${adding.now.name} is added`);
      if (following) stage.begin(request);
      const progress = progressOf(request, i, requests.length);
      const result = await session.og.generate({ ...request, previews: true, signal, ...progress });
      made.push(await finish(request, result));
    }
    sayDone(made);
    return 'done';
  } catch (error) {
    if (following) stage.restore();
    return fail(error, made.length, requests.length);
  } finally {
    bar(null);
  }
}

/** Callbacks that turn the engine's events into words, bar and previews; picture `index` of `count`. */
function progressOf(request, index, count) {
  let started = performance.now();
  const decodeMs = keep.read('decodeMs') ?? 0;
  const which = count > 1 ? `picture ${index + 1} of ${count} · ` : '';
  const advance = (share) => bar((index + share) / count);
  return {
    onStage({ stage: name }) {
      if (name === 'denoise') started = performance.now();
      say(STAGES[name], name === 'denoise' ? `${which}step 1 of ${request.steps}` : '');
      advance(name === 'decode' ? 0.97 : 0);
    },
    onStep({ step, steps, preview }) {
      const each = (performance.now() - started) / step;
      const left = ((steps - step) * each + decodeMs) / 1000;
      say(STAGES.denoise, `${which}step ${step} of ${steps} · ${duration(left)} left`);
      advance((step / steps) * 0.97);
      if (preview && following) stage.preview(preview);
    },
  };
}

/** Shows a picture and keeps it. */
async function finish(request, { image, png, seed, timings, notices }) {
  const made = { entry: null, image, png: png[0], settings: { ...request, seed: String(seed) }, model: session.model.id };
  if (following) present(made);
  if (settings.random.checked) settings.showSeed(seed);
  keep.write('decodeMs', timings.decodeMs);
  const foreign = namesNothing(session.model, request.prompt) ? [foreignWords(session.model)] : [];
  notes([...foreign, ...notices.map(sentence)]);
  showEngine();
  keepEngines(session.capabilities()); // another may have taken over

  const { entry, problem } = await pictures.add(made);
  made.entry = entry;
  await gallery.refresh();
  if (current === made) showAsKept();
  if (problem && !told.has(problem)) report(...keepingWords(problem), { label: 'Show storage', run: () => storage.open() });
  if (problem) told.add(problem);
  else told.clear();
  return { ...made, totalMs: timings.totalMs };
}

function sayDone(made) {
  const total = seconds(made.reduce((sum, { totalMs }) => sum + totalMs, 0));
  const seeds = made.map(({ settings: { seed, variationStrength, variationSeed } }) => (variationStrength > 0 ? variationSeed : seed));
  if (made.length === 1) say(`Done in ${total}`, `seed ${made[0].settings.seed}`);
  else say(`Done in ${total}`, `${made.length} pictures, seeds ${seeds[0]} to ${seeds.at(-1)}`);
}

/** An earlier picture, with its settings. @param {import('./js/gallery.js').Made} made */
function pick(made) {
  following = false;
  present(made);
  const lines = chooseModel(made.model);
  settings.apply(made.settings);
  if (lines.length) report('The settings are back.', lines);
  if (!queue.running) say('An earlier picture', `seed ${made.settings.seed}`);
}

/** @param {import('./js/gallery.js').Made} made */
function present(made) {
  current = made;
  stage.show(made.image, made.settings.prompt);
  showAsKept();
  renderQueue();
}

/** Marks the picture on the stage in the strip; what has no place there cannot be deleted from it. */
function showAsKept() {
  gallery.mark(current.entry?.id ?? null);
  $('delete').hidden = !current.entry;
}

/** Deleted pictures that stand on the stage stay there until another comes, and can still be saved. */
function forget(ids) {
  if (!ids.includes(current?.entry?.id)) return;
  current = { ...current, entry: null };
  showAsKept();
}

/** Says why a job ended early. @returns {'cancelled' | 'done' | 'failed'} what that means for the ones that wait */
function fail(error, made, of) {
  const rest = queue.waiting.length;
  const kept = of > 1 ? `${made} of ${of} pictures were made and are kept` : '';
  if (error.code === 'ABORTED') {
    if (session.state === 'ready') say('Cancelled', kept);
    if (rest) parting = `Cancelled${kept && `: ${kept}`}. ${rest} more in the queue ${rest === 1 ? 'goes' : 'go'} on.`;
    return 'cancelled';
  }
  if (error === session.error) return 'failed'; // the banner is up already
  if (error.code === 'INVALID_INPUT' && settings.mark(error.field, sentence(error.message))) {
    say('One setting needs a look', kept);
    reveal(error.field);
    return 'done';
  }
  say('No picture this time', 'your prompt and settings are kept');
  banner(errorWords(error, session.model, session.offline), retry);
  return 'failed';
}

/** Draws what works and what waits. */
function renderQueue() {
  const on = queue.running !== null;
  $('generate').textContent = on ? 'Cancel' : 'Generate';
  $('generate').toggleAttribute('data-working', on);
  showEngine();
  $('enqueue').hidden = !on;
  $('queue-actions').hidden = !on && queue.waiting.length === 0;
  actions.show(!on && current !== null);
  waiting.draw();
}

// ---- settings from elsewhere -----------------------------------------------------------------------------

/**
 * Puts values that a link or a picture brought into the form.
 * @param {Record<string, string>} values by field
 * @returns {string[]} a sentence for each that could not be honoured
 */
function take({ model, ...values }) {
  const lines = model ? chooseModel(model) : [];
  const refused = Object.entries(settings.take(values));
  return [...lines, ...refused.map(([field, why]) => `“${brief(values[field])}” was not taken: ${why}`)];
}

/** Changes to the model of that id or name. @returns {string[]} why not, if it is not here */
function chooseModel(wanted) {
  const model = choice.find(wanted);
  if (!model) return [`It was made with the model “${brief(wanted)}”, which is not here: ${session.model.name} draws something else.`];
  if (model.id !== session.model.id) useModel(model);
  return [];
}

function useModel(model) {
  const dropped = queue.waiting.length;
  queue.clear();
  queue.cancel();
  keep.write('model', model.id);
  settings.reset(model);
  introduce(model);
  session.start(model);
  listModels();
  if (dropped) report(`${dropped} waiting for the other model ${dropped === 1 ? 'was' : 'were'} taken out of the queue.`);
}

/** A link fills in the form and is then taken out of the address, so that a reload keeps what is typed. */
function openLink() {
  if (location.hash === '#add-model') setTimeout(() => reveal('add-model')); // once its view is shown
  const link = readLink(location.hash);
  if (!link) return;
  history.replaceState(history.state, '', location.pathname + location.search);
  const unknown = link.unknown.map((name) => `There is no setting “${brief(name)}” here.`);
  report('Settings filled in from the link. Nothing is drawn until you press Generate.', [...take(link.values), ...unknown]);
}

const brief = (text) => (text.length > 60 ? `${text.slice(0, 59)}…` : text);

/** Brings a field into view and focus, wherever it hides. */
function reveal(field) {
  if ($('more').contains($(field))) $('more').open = true;
  if ($('settings').contains($(field))) sheet.open(field);
  else $(field).focus();
}

// ---- what can be touched -----------------------------------------------------------------------------------

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  if (queue.running) queue.cancel();
  else generate();
});

for (const field of ['prompt', 'negativePrompt']) {
  $(field).addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!event.repeat) generate(); // lines up while another picture is being made
  });
}

$('fields').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.target.type !== 'number') return;
  event.preventDefault(); // else a refusal would put the line break into the field it leads to
  if (!event.repeat) generate();
});

$('skip').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter') return;
  event.preventDefault(); // else the same key press breaks a line in the prompt
  $('prompt').focus();
});

$('enqueue').addEventListener('click', () => generate());
$('copy-settings').addEventListener('click', () => copyLink({ ...settings.shared(), model: session.model.id }));
addEventListener('hashchange', openLink);
$('reset').addEventListener('click', () => settings.reset(session.model));
$('engine').addEventListener('change', () => useEngine($('engine').value));
$('model').addEventListener('change', () => {
  useModel(choice.find($('model').value));
});

start();
performance.mark('interactive'); // what is typed and pressed from here on is answered
