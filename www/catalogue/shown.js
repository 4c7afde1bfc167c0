/** What a card says of a model, an entry, or something on its way. The view does what its buttons ask for. */

import { bytes } from '../js/dom.js';
import { fitOf } from './fit.js';
import { licenseOf, licensesOf } from './licenses.js';
import { isFolder, pageOf, readyOf } from './sources.js';
import { TEXTS as T } from './texts.js';

/** @typedef {import('./card.js').Shown} Shown */
/** @typedef {import('./view.js').Catalogue} View */
/** @typedef {import('./entries.js').Entry} Entry */

/** A model that can be drawn with. @param {View} view @returns {Shown} */
export function shownModel(view, model, { row, inUse, naming, now, error, step }) {
  const { id, name, about, own } = model;
  const facts = factsOf(model, row);
  if (now) {
    const cancel = { label: T.cancel, name: T.cancelName(name), run: () => view.pause(id) };
    return { name, about, facts, tag: T.tags[now.phase], progress: progressOf(now), actions: [cancel] };
  }
  if (step === 'shrink' && row) return { name, about, facts, ...shrinkStep(view, name, row) };
  if (step === 'predict') return { name, about, facts, ...predictStep(view, model) };
  const form = naming && {
    ...naming, label: T.newName(name), save: (text) => view.rename(id, text), back: () => view.name(null),
  };
  const actions = [inUse
    ? { label: T.draw, name: T.drawName(name), look: 'primary', run: () => view.toCreate() }
    : { label: T.use, name: T.useName(name), look: 'plain', run: () => view.use(model) }];
  if (own) actions.push({ label: T.rename, name: T.renameName(name), run: () => view.name({ id, value: name, problem: '' }) });
  if (own && !inUse && LARGE.includes(row?.weights ?? '')) {
    actions.push({ label: T.shrink, name: T.shrinkName(name), run: () => view.step(id, 'shrink') });
  }
  if (own) actions.push({ label: T.predict, name: T.predictName(name), run: () => view.step(id, 'predict') });
  if (row?.autoencoder) actions.push({ label: T.takePart, name: T.takePartName(name), run: () => view.takePart(id) });
  if (row) actions.push({ label: T.remove, name: T.removeName(name), run: () => view.remove(id) });
  return {
    name, about, tag: inUse ? T.inUse : undefined, mood: 'good', form, facts, actions: form ? [] : actions,
    lines: error ? [{ text: error.message }] : [],
  };
}

/** Into which types a model can be packed, and which share of itself in 16 bits it then takes; those of Stable Diffusion 1. */
const SMALLER = { q8_0: 0.585, q5_0: 0.383, q4_0: 0.353 };
/** Types whose matrices have not been rounded to blocks yet. */
const LARGE = ['f16', 'f32'];

/** Into which of them it is to go. */
function shrinkStep(view, name, { id, bytes: size, weights }) {
  const whole = weights === 'f32' ? size / 2 : size;
  return {
    lines: [{ text: T.shrinkText }],
    actions: [
      ...Object.entries(SMALLER).map(([to, share]) => {
        const label = T.shrinkTo(to, share * whole);
        return { label, name: `${label}: ${name}`, look: 'plain', run: () => view.quantize(id, to, size) };
      }),
      { label: T.notNow, name: T.notNowName(name), run: () => view.step() },
    ],
  };
}

/** What its UNet predicts: as its file says, or one of both. */
function predictStep(view, { id, name, found, prediction }) {
  const choices = [[undefined, T.asFound(found)], ...Object.entries(T.predictions).map(([kind, text]) => [kind, T.itIs(text)])];
  return {
    lines: [{ text: T.predictText }],
    actions: [
      ...choices.map(([kind, label]) => (
        { label, name: `${label}: ${name}`, look: kind === prediction ? 'primary' : 'plain', run: () => view.predict(id, kind) }
      )),
      { label: T.notNow, name: T.notNowName(name), run: () => view.step() },
    ],
  };
}

/** What is to be known of a model before one uses it. */
function factsOf({ id, own, fromFile, url, bytes: size, width, height, defaults, license, licensed, prediction, found }, row) {
  const facts = [
    { term: T.terms.size, text: row ? T.kept(bytes(row.bytes), row.weights) : T.notKept(bytes(size)) },
    { term: T.terms.picture, text: T.pixels(width, height) },
    { term: T.terms.run, text: T.run(defaults) },
    ...(prediction || found?.prediction ? [{ term: T.terms.predicts, text: T.predicts(prediction, found) }] : []),
    ...(row?.autoencoder ? [{ term: T.terms.autoencoder, text: T.part(row.autoencoder.name, bytes(row.autoencoder.bytes)) }] : []),
    { term: T.terms.license, text: licensed ? T.licensed(licensed) : license, href: licensed?.url ?? undefined },
  ];
  return own ? [...facts, { term: T.terms.from, text: fromFile ? T.yours(/\.\w+( \d+)?$/.test(id)) : new URL(url).host }] : facts;
}

/** What is stored and cannot be used as it is. @param {View} view @returns {Shown} */
export function shownRow(view, { id, name: called, damaged, formatOk, bytes: size }) {
  const name = called || id;
  const tag = damaged ? T.state.damaged : formatOk ? T.state.part : T.state.old;
  return {
    name, tag, mood: 'bad', about: T.broken, facts: [{ term: T.terms.size, text: bytes(size) }],
    actions: [{ label: T.remove, name: T.removeName(name), run: () => view.remove(id) }],
  };
}

/** A file on its way into the store. @param {View} view @returns {Shown} */
export function shownAdding(view, { name, bytes: size, share }) {
  return {
    name, tag: T.adding, about: size ? T.copied(bytes(size)) : T.copiedFolder, progress: { share, words: T.came(share * size, size) },
    actions: [{ label: T.cancel, name: T.cancelName(name), run: () => view.page.adding.stop() }],
  };
}

/**
 * What can be had.
 * @param {View} view
 * @param {Entry} entry
 * @param {object} known
 * @param {string} known.hub
 * @param {string | null} known.url where it is fetched from
 * @param {import('./fit.js').Device} known.device
 * @param {string} known.type what new models are kept in
 * @param {Entry[]} known.all the others too
 * @param {import('../protocol.d.ts').StoredModel | undefined} known.row what the store has of it
 * @param {import('./fetching.js').State | undefined} known.now how far it is, if it is on its way
 * @param {import('../client.js').OpenGenError | undefined} known.error why it did not arrive
 * @param {boolean} known.asking whether its licence is being read
 * @param {boolean} known.asked whether it is of an address that the visitor gave
 * @param {import('../js/book.js').Written} known.written
 * @returns {Shown}
 */
export function shownEntry(view, entry, known) {
  const { name, about, missing } = entry;
  const { hub, url, row, now, error, asking, written, asked } = known;
  const host = new URL(url ?? hub).host;
  const ready = readyOf(entry, known.type);
  const ofFolder = !ready && isFolder(entry);
  const shown = { name, about, facts: entryFacts(entry, hub, host, ready), actions: [] };
  if (now) return { ...shown, ...underWay(view, entry, now) };
  const fit = fitOf(entry, known.device, known.type);
  const better = !fit.fits && known.all.find((other) => !other.missing && fitOf(other, known.device, known.type).fits);
  const verdict = { mood: fit.mood, text: better ? `${fit.text} ${T.instead(better.name)}` : fit.text };
  if (missing) return { ...shown, verdict: { ...fit, mood: fit.fits ? 'plain' : 'bad' } };
  const dismiss = { label: T.dismiss, name: T.dismissName(name), run: () => view.dismiss(entry.id) };
  if (asking) return { ...shown, ...licenseStep(view, entry, host) };
  const begun = row || written.came;
  const progress = begun && written.came ? progressOf(written.came) : undefined;
  const drop = { label: T.drop, name: T.dropName(name), run: () => view.drop(entry.id) };
  if (error) {
    return {
      ...shown, progress, tag: T.tags.failed, mood: 'bad', lines: wordsOf(error, host, url, ofFolder),
      actions: [
        { label: T.again, name: T.againName(name), look: 'plain', run: () => view.begin(entry) },
        ...(error.code === 'NON_FINITE' ? [{ label: T.anyway, name: T.anywayName(name), run: () => view.begin(entry, undefined, true) }] : []),
        ...(error.code !== 'NETWORK' ? [] : [ofFolder
          ? { label: T.savedFolder, name: T.savedName(name), run: () => view.page.adding.pickFolder() }
          : { label: T.saved, name: T.savedName(name), run: () => view.page.adding.pick() }]),
        ...(row ? [drop] : asked ? [dismiss] : []),
      ],
    };
  }
  if (begun) {
    return {
      ...shown, verdict, progress, tag: T.tags.paused,
      actions: [{ label: T.resume, name: T.resumeName(name), look: 'primary', run: () => view.fetch(entry) }, drop],
    };
  }
  const fetchIt = { label: T.fetchIt, name: T.fetchName(name), look: 'plain', run: () => view.fetch(entry) };
  return { ...shown, verdict, actions: [...(fit.fits ? [fetchIt] : []), ...(asked ? [dismiss] : [])] };
}

function entryFacts({ missing, download, family, width, height, defaults, license, sources = [] }, hub, host, ready) {
  const { name, url } = licenseOf(license);
  const from = ready ? [] : sources.map((source) => ({ text: source.repo, href: pageOf(source, hub) }));
  return [
    ...(ready ?? download ? [{ term: T.terms.download, text: bytes(ready?.bytes ?? download) }] : []),
    ...(width && height ? [{ term: T.terms.picture, text: T.pixels(width, height) }] : []),
    ...(defaults?.steps ? [{ term: T.terms.run, text: T.run(defaults) }] : []),
    ...(family ? [{ term: T.terms.family, text: family }] : []),
    { term: T.terms.license, text: name, href: url ?? undefined },
    ...(missing ? [{ term: T.terms.lacks, text: T.missing[missing] }] : []),
    ...(from.length ? from : [{ text: host }]).map((place) => ({ term: T.terms.from, ...place })),
  ];
}

/** What the licence says, before the first byte. */
function licenseStep(view, entry, host) {
  const asking = licensesOf(entry.license).filter(({ free }) => !free);
  const said = asking.flatMap(({ name, allows, forbids, url }) =>
    [{ text: allows }, { text: forbids }, ...(url ? [{ text: T.fullText(name), href: url }] : [])]);
  return {
    lines: [...said, { text: T.host(host) }],
    actions: [
      { label: T.accept, name: T.acceptName(entry.name), look: 'primary', run: () => view.accept(entry) },
      { label: T.notNow, name: T.notNowName(entry.name), run: () => view.ask('') },
    ],
  };
}

/** On its way. @param {import('./fetching.js').State} now */
function underWay(view, { id, name }, { phase, loaded, total, rate, secondsLeft, tensors }) {
  const pace = phase === 'fetching' ? [tensors ? T.tensors(...tensors) : '', rate > 0 ? T.rate(rate) : '', secondsLeft ? T.left(secondsLeft) : ''] : [];
  return {
    tag: T.tags[phase],
    progress: progressOf({ loaded, total }, pace),
    actions: [
      { label: T.pause, name: T.pauseName(name), look: 'plain', run: () => view.pause(id) },
      { label: T.cancel, name: T.cancelName(name), run: () => view.drop(id) },
    ],
  };
}

const progressOf = ({ loaded, total }, more = []) =>
  ({ share: total ? loaded / total : 0, words: [T.came(loaded, total), ...more].filter(Boolean).join(' · ') });

/** Why a model did not arrive, and what can be done. */
function wordsOf(error, host, url, ofFolder) {
  if (error.code === 'QUOTA') return [{ text: T.full }];
  const message = /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
  const text = message[0].toUpperCase() + message.slice(1);
  if (error.code === 'BAD_MODEL' && ofFolder) return [{ text }, { text: T.noFolder, href: url }];
  if (error.code !== 'NETWORK') return [{ text }];
  return [...(ofFolder ? T.networkFolder : T.network)(text, host).map((line) => ({ text: line })), { text: T.openTab(host), href: url }];
}
