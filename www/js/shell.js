/** The page around the tool: the service worker that keeps it, the settings sheet on phones. */

import { $, keep, make } from './dom.js';

const narrow = matchMedia('(max-width: 899px)');

/** @param {{onOffline: (offline: boolean) => void}} options */
export function followNetwork({ onOffline }) {
  addEventListener('online', () => onOffline(false));
  addEventListener('offline', () => onOffline(true));
  navigator.serviceWorker?.addEventListener('message', ({ data }) => {
    if (data.type === 'new-version') offerReload();
    else onOffline(data.type === 'offline');
  });
}

/** How often a module did not arrive, by its address. @type {Map<string, number>} */
const failures = new Map();

/**
 * A module that is loaded when it is wanted. One that did not arrive is asked for under another address: a browser remembers
 * for as long as the page is open that there was nothing under the first.
 * @template T
 * @param {() => Promise<T>} load its import, as bundlers find it
 * @param {URL} address the same module's
 * @returns {Promise<T>}
 */
export async function brought(load, { href }) {
  const failed = failures.get(href) ?? 0;
  try {
    return await (failed ? import(`${href}?again=${failed}`) : load());
  } catch (error) {
    failures.set(href, failed + 1);
    throw error;
  }
}

/** Style sheets that are here or on their way. @type {Map<string, Promise<void>>} */
const sheets = new Map();

/** Resolves when a style sheet is here. @param {string} href */
export function dressed(href) {
  if (!sheets.has(href)) sheets.set(href, dress(href));
  return sheets.get(href);
}

/** @param {string} href @returns {Promise<void>} */
const dress = (href) => new Promise((resolve, reject) => {
  const failed = () => {
    link.remove();
    sheets.delete(href);
    reject(new Error(`${href} did not arrive`));
  };
  const link = make('link', { rel: 'stylesheet', href, onload: () => resolve(), onerror: failed });
  document.head.append(link);
});

/** Keeps the page for visits without a network. All of it is fetched for that, so that the model goes first. */
export function keepPage() {
  navigator.serviceWorker?.register(new URL('../sw.js', import.meta.url)).catch(() => {}); // a private window may refuse
}

/**
 * Has what this page fetched kept for the next visit, which may be offline.
 * @param {('webgpu' | 'learn' | 'cpu' | 'threads' | 'languages' | 'models' | 'how' | 'paint' | 'loras' | 'teach' | 'grid' | 'steer' | 'rest' | 'checkpoints')[]} parts as sw.js names them
 */
export async function keepParts(parts) {
  const registration = await navigator.serviceWorker?.ready;
  registration?.active?.postMessage({ type: 'keep', parts });
}

/** Who looks on for so long, in ms, before a first picture has everything kept too. */
export const LOOKING_ON = 20_000;

/** Keeps what the first picture did not need, too, when there is nothing else to do; not for who pays for every byte. */
export function keepRest() {
  if (/** @type {any} */ (navigator).connection?.saveData) return;
  const idle = globalThis.requestIdleCallback ?? ((/** @type {() => void} */ work) => setTimeout(work, 1000)); // Safari
  idle(() => keepParts(['how', 'paint', 'loras', 'teach', 'grid', 'steer', 'rest', 'models', 'languages', 'checkpoints']));
}

/** How often an unreachable server is asked again, in ms. */
const PATROL = 3000;
/** Who waits for the server, by what for. @type {Map<string, () => void>} */
const awaiting = new Map();
let patrol = 0;

/** Whether this page's server answers at all; `navigator.onLine` only knows whether there is some network. */
export async function reachable() {
  if (!navigator.onLine) return false;
  try {
    await fetch(new URL('../manifest.webmanifest', import.meta.url), { method: 'HEAD', cache: 'no-store' });
    return true;
  } catch {
    return false;
  }
}

/**
 * Calls back once the server answers again.
 * @param {string} what waits; the last to ask for it is called
 * @param {() => void} onReachable
 */
export function untilReachable(what, onReachable) {
  awaiting.set(what, onReachable);
  patrol ||= setTimeout(ask, PATROL);
}

async function ask() {
  const there = await reachable();
  patrol = there ? 0 : setTimeout(ask, PATROL);
  if (!there) return;
  const all = [...awaiting.values()];
  awaiting.clear();
  for (const onReachable of all) onReachable();
}

function offerReload() {
  $('toast-words').textContent = 'A new version of this page is here.';
  $('toast-action').onclick = () => location.reload();
  $('toast').hidden = false;
}

/** The settings: on wide screens a column, there from the first time it is opened; on narrow ones a sheet from below. */
export class Sheet {
  constructor() {
    $('sheet-toggle').addEventListener('click', () => this.#toggle());
    $('sheet-close').addEventListener('click', () => this.close());
    $('shade').addEventListener('click', () => this.close());
    $('settings').addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !narrow.matches) return;
      event.preventDefault(); // it closes this, and stops nothing
      this.close();
    });
    narrow.addEventListener('change', () => this.close(false));
    // What becomes of a chosen file is said in the page, which the sheet covers.
    for (const id of ['recall-file', 'add-model-file']) $(id).addEventListener('change', () => this.close(false));
    this.close(false);
  }

  open(focus = 'settings-title') {
    if (narrow.matches) {
      $('settings').inert = false;
      $('settings').setAttribute('data-open', '');
      $('shade').hidden = false;
      $('sheet-toggle').setAttribute('aria-expanded', 'true');
    } else {
      this.#column(true);
    }
    $(focus).focus();
  }

  /** Closes the sheet; a column stays as it is. */
  close(focus = true) {
    $('settings').removeAttribute('data-open');
    $('settings').inert = narrow.matches;
    $('shade').hidden = true;
    $('sheet-toggle').setAttribute('aria-expanded', String(!narrow.matches && columnIsOpen()));
    if (focus && narrow.matches) $('sheet-toggle').focus();
  }

  #toggle() {
    if (narrow.matches || !columnIsOpen()) this.open();
    else this.#column(false);
  }

  /** Remembered, and set again by early.js before the first paint of the next visit. */
  #column(open) {
    document.documentElement.toggleAttribute('data-settings', open);
    keep.write('settings', open);
    this.close(false);
  }
}

const columnIsOpen = () => document.documentElement.hasAttribute('data-settings');
