/** The page: binds the form, the picture and the session together. Nothing here computes. */

import { Actions, copyLink } from './js/actions.js';
import { Adding } from './js/adding.js';
import { Begin } from './js/begin.js';
import { Choice } from './js/choice.js';
import { $, keep } from './js/dom.js';
import { Filling } from './js/filling.js';
import { Gallery } from './js/gallery.js';
import { Keys } from './js/keys.js';
import { Making } from './js/making.js';
import { Pictures } from './js/pictures.js';
import { Reader } from './js/reader.js';
import { Removal } from './js/removal.js';
import { Session } from './js/session.js';
import { Settings } from './js/settings.js';
import { LOOKING_ON, Sheet, followNetwork, keepPage, keepRest } from './js/shell.js';
import { Shown } from './js/shown.js';
import { Sizes } from './js/sizes.js';
import { Stage } from './js/stage.js';
import { State } from './js/state.js';
import { banner, bar, hideBanner, notes, say } from './js/status.js';
import { Using } from './js/using.js';
import { Views } from './learn/views.js';
import { seedWords, sentence } from './js/words.js';
import { MODELS } from './models.js';

if (keep.read('veil')) {
  document.documentElement.toggleAttribute('data-veil', true);
  import('./js/veil.js').catch(() => {}); // they stay blurred
}
const ENGINES = ['auto', 'webgpu', 'cpu'];
const wanted = [new URLSearchParams(location.search).get('engine'), keep.read('engine')];
const engine = wanted.find((name) => ENGINES.includes(name)) ?? 'auto';

/** What a first moment does without. @type {Promise<ReturnType<import('./js/later.js').furnish>> | null} */
let coming = null;
/** Does something with it, as soon as it is here. @param {(rest: Awaited<typeof coming>) => void} act */
const later = (act) => (coming ??= furnished()).then(act);

const removal = new Removal();
const stage = new Stage($('frame'), $('picture'), $('screen'));
const sheet = new Sheet();
const settings = new Settings({ onRefused: reveal });
const session = new Session({
  engine, onChange: () => state.draw(), onLoaded: greet, onKept: (...failed) => using.kept(...failed),
  beforeLoad: (og) => removal.sweep(og).catch(() => {}), // what cannot be deleted now is tried at the next start
});
const pictures = new Pictures({ onChange: () => gallery.refresh() });
const gallery = new Gallery({
  pictures, onPick: pick,
  onDeleted: forget, onRestored: recall,
});
const shown = new Shown({ stage, gallery, onChange: drawQueue });
const choice = new Choice({ catalog: MODELS, removal, onChange: () => using.list() });
const openStorage = (id) => later(({ storage }) => storage.open(id));
const adding = new Adding({
  engine: () => session.started(), onAdded: (stored) => using.added(stored), onChange: () => state.draw(), onFull: () => openStorage(),
  models: () => choice.all, onGiven: (id) => using.given(id), onUpscaler: (file) => begin.takeNetwork(file), onLora: (file) => later(({ networks }) => networks.take(file)),
  onControl: (file) => later(({ extras }) => extras.takeFile(file)),
});
const reader = new Reader();
const begin = new Begin({
  pictures, current: () => shown.current, drawn: () => ({ width: Number($('width').value), height: Number($('height').value) }),
  onChange: drawQueue, onUsed: use, onSketch: (mask, signal) => making.sketch(mask, signal),
  onNetwork: async (file) => (await session.started()).upscale(new ImageData(1, 1), { model: file }),
});
const making = new Making({
  session, settings, stage, shown, pictures, gallery, adding, reader, begin,
  onBegin: begins, onQueue: drawQueue, onMade: () => state.showEngine(),
  onBatch: (made) => later(({ batch }) => batch.show(made)), onFault: reveal, onWayOut: wayOut, onFull: () => openStorage(),
  onExtras: () => later(({ extras }) => extras.coming),
});
const { queue } = making;
const state = new State({ session, queue, adding, stage, shown, onWayOut: wayOut });
const actions = new Actions({
  current: () => shown.current, engine: () => session.started(), onVary: () => making.vary(), onDelete: () => gallery.delete([shown.current.entry]),
});
const using = new Using({
  session, choice, removal, settings, making,
  onIntroduced: (model) => later(({ introduce }) => introduce(model)), onWayOut: wayOut,
});
const views = new Views({ session, queue, pictures, reader, choice, removal, openStorage, adding, using });
const filling = new Filling({ settings, using, sizes: new Sizes({ settings, model: () => session.model }), begin, onExtras: (found) => later(({ extras }) => extras.take(found)) });
new Keys({ onGenerate: () => making.generate(), onCancel: cancel });

/** Stops what is being made. @returns {boolean} whether there was anything */
function cancel() {
  const on = queue.running !== null;
  queue.cancel();
  return on;
}

function start() {
  // Without early.js, which may have been lost on the way, nothing can have been remembered.
  const { presses, typed } = globalThis.early?.takeOver() ?? { presses: [], typed: [] };
  hideBanner(); // which may have said that this code has not come
  bar(null);
  followNetwork({ onOffline: (offline) => {
    state.setOffline(offline);
    views.markMissing(offline);
  } });
  $('engine').value = engine;
  using.start(typed);
  begin.start(typed);
  followAddress();
  gallery.refresh().then(bringBack);
  pictures.sweepSources([...begin.inUse, ...['controls', 'regions'].flatMap((part) => (keep.read(part)?.list ?? []).map(({ image, mask }) => image ?? mask))]).catch(() => {}); // at the next visit, then
  views.show();
  for (const id of presses) $(id).click();
}

/** Fetches what a first moment does without. Never rejects: acts that wait for it are dropped where it does not come. */
async function furnished() {
  const { furnish } = await import('./js/later.js').catch(() => ({ furnish: null }));
  if (!furnish) {
    banner({ title: 'A part of the page did not arrive.', text: 'A reload brings it; what you typed is kept.', action: 'reload' }, wayOut);
    return new Promise(() => {});
  }
  const rest = furnish({
    session, settings, shown, gallery, actions, making, adding, reader, choice, removal, filling, using, begin,
  });
  for (const id of globalThis.early?.takeLater() ?? []) $(id).click();
  return rest;
}

/** What stands in the address after #, beside the names of views: a link with settings, or the way to one's own model. */
function followAddress() {
  if (location.hash === '#add-model') setTimeout(() => reveal('add-model')); // once its view is shown
  filling.openLink();
}

/** The last picture stands on the stage again after a reload, unless something else is there by now. */
async function bringBack() {
  const made = await gallery.latest().catch(() => null); // one that cannot be read is told when it is picked
  if (!made || shown.current || queue.running) return;
  shown.present(made);
  shown.broughtBack = true;
  state.draw();
}

/** A picture is about to be made. */
function begins() {
  if (shown.following) later(({ batch }) => batch.hide());
  shown.broughtBack = false;
  state.draw();
}

/** The model has become ready: says what there is to say about that, and asks the browser to keep it. */
function greet({ og, loaded }) {
  later(({ length, strength }) => {
    length.look();
    strength.look();
  });
  using.loaded();
  keepPage(); // its files compete with the model's no more
  setTimeout(keepRest, LOOKING_ON);
  if (loaded.notice) notes([sentence(loaded.notice)]);
  if (!loaded.inMemoryOnly) og.requestPersist().catch(() => {});
}

/** What a banner offers. */
function wayOut(action) {
  if (action === 'storage') openStorage();
  else if (action === 'add') adding.pick();
  else if (action === 'reload') location.reload();
  else if (action === 'restart') session.restart();
  else session.start();
  if (action !== 'storage' && action !== 'add' && queue.paused) queue.resume();
}

/** An earlier picture is looked at; the form stays as it is. @param {import('./js/gallery.js').Made} made */
function pick(made) {
  shown.following = false;
  shown.broughtBack = false;
  begin.look(false);
  later(({ batch }) => batch.hide());
  shown.present({ ...made, pressed: true });
  $('frame').scrollIntoView({ block: 'nearest' });
  if (!queue.running) say('An earlier picture', seedWords(made.settings));
}

/** A picture that was made here is begun with: what comes of it will know it. */
function use(entry, hash) {
  pictures.markSource(entry, hash).then(() => gallery.refresh(), () => {}); // it is not marked as kin then
}

/** Pictures were deleted. @param {number[]} ids */
function forget(ids) {
  const looked = shown.forget(ids);
  if (looked && !queue.running) say('Deleted');
  later(({ batch }) => batch.forget(ids, looked));
}

/** They are back. @param {number[]} ids */
function recall(ids) {
  if (shown.recall(ids) && !queue.running) say('It is here again', seedWords(shown.current.settings));
  later(({ batch }) => batch.recall(ids));
}

/** Draws what works and what waits. */
function drawQueue() {
  const on = queue.running !== null;
  $('generate').textContent = on ? 'Cancel' : 'Generate';
  $('generate').toggleAttribute('data-working', on);
  state.showEngine();
  $('enqueue').hidden = !on;
  $('queue-actions').hidden = !on && queue.waiting.length === 0;
  actions.show(!on && shown.current !== null && !begin.isLooking);
  $('enlarge').hidden = shown.current === null || (on && shown.following) || begin.isLooking;
  $('use-settings').hidden = shown.following || begin.isLooking;
  later(({ waiting, origin, strength }) => {
    waiting.draw();
    origin.look(!begin.isLooking && !(on && shown.following));
    strength.look();
  });
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

/** Brings a field into view and focus, wherever it hides. */
function reveal(field) {
  $(field).closest('details')?.setAttribute('open', '');
  if ($('settings').contains($(field))) sheet.open(field);
  else $(field).focus();
}

// ---- what can be touched -----------------------------------------------------------------------------------

/**
 * The second press of a double click comes within this time, in ms: what the browser counts as one, however slow the
 * hand, and any two presses that nobody could have thought between.
 */
const DOUBLE = { counted: 700, any: 300 };
let pressed = -Infinity;

$('generate').addEventListener('click', ({ timeStamp, detail }) => {
  const soon = timeStamp - pressed < (detail > 1 ? DOUBLE.counted : DOUBLE.any);
  if (queue.running) return soon || queue.cancel();
  if (soon && detail > 1) return undefined; // the picture was quick
  pressed = timeStamp;
  return making.generate();
});
$('generate').addEventListener('keydown', (event) => event.repeat && event.preventDefault());

$('skip').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter') return;
  event.preventDefault(); // else the same key press breaks a line in the prompt
  $('prompt').focus();
});

addEventListener('hashchange', followAddress);
$('use-settings').addEventListener('click', () => filling.takeFrom(shown.current));
$('enqueue').addEventListener('click', () => making.generate());
$('copy-settings').addEventListener('click', () => copyLink({ ...settings.shared(), model: session.model.id }));
$('reset').addEventListener('click', () => settings.reset(session.model));
$('engine').addEventListener('change', () => useEngine($('engine').value));

start();
performance.mark('interactive'); // what is typed and pressed from here on is answered
