/** Addresses: where an entry's file lies, and what a visitor means who pastes the address of a page instead of a file's. */

import { filesIn } from '../layout.js';
import listed from './entries.json' with { type: 'json' };

/** Where models lie unless a site says otherwise. */
export const HUB = listed.hub;
const FILES = /\.(gguf|safetensors)(\.index\.json)?$/i;

/** @param {import('./entries.js').Source} source @param {string} hub */
export const pageOf = ({ at, repo, revision, path }, hub) =>
  at ?? `${hub}/${repo}${path ? `/blob/${revision ?? 'main'}/${path}` : revision ? `/tree/${revision}` : ''}`;

/** Whether a model comes as a folder of files. @param {import('./entries.js').Entry} entry */
export const isFolder = ({ url, sources = [] }) => !url && sources.length > 0 && sources.every(({ path }) => !path);

/**
 * The files of an entry that is a folder, each with its address; undefined where it is one file. What says how the parts
 * belong together comes from a source that has them all.
 * @param {import('./entries.js').Entry} entry
 * @param {string} hub
 * @returns {{path: string, url: string}[] | undefined}
 */
export function filesOf(entry, hub) {
  if (!isFolder(entry)) return undefined;
  return (entry.sources ?? []).flatMap(({ at, repo, revision, parts }) =>
    filesIn(at?.replace(/\/$/, '') ?? `${hub}/${repo}/resolve/${revision ?? 'main'}`, parts));
}

/**
 * The ready file to fetch in place of an entry's original: the one in the type that is wanted, or, where there is no original,
 * the first.
 * @param {import('./entries.js').Entry} entry
 * @param {string} type what new models are kept in
 */
export const readyOf = ({ ready = [], url, sources = [] }, type) =>
  ready.find((one) => one.type === type) ?? (url || sources.length ? undefined : ready[0]);

/**
 * The address that an entry's original is fetched from; of a folder, that of its page. Null where it cannot be told.
 * @param {import('./entries.js').Entry} entry
 * @param {string} hub
 * @param {string} base what relative addresses are relative to
 */
export function addressOf({ url, sources = [] }, hub, base) {
  if (url) return new URL(url, base).href;
  const [source] = sources;
  if (!source || sources.length > 1 && source.path) return null;
  if (!source.path) return pageOf(source, hub);
  return `${hub}/${source.repo}/resolve/${source.revision ?? 'main'}/${source.path}`;
}

/** The last part of an address; as it stands where a % in it stands for nothing. @param {string} address */
export function fileName(address) {
  const name = new URL(address).pathname.split('/').pop() ?? '';
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/**
 * What is meant by an address as it was pasted: a file's, that of a folder in diffusers' layout (a model's page on the hub, or any
 * address that ends with a slash), or in words what to press to find one.
 * @param {string} text
 * @param {string} hub
 * @returns {{url: string, source?: import('./entries.js').Source} | {problem: string, href?: string}}
 */
export function understand(text, hub) {
  const typed = text.trim();
  const given = /^[a-z][a-z\d+.-]*:/i.test(typed) ? typed : `https://${typed}`;
  if (!typed || !URL.canParse(given) || !new URL(given).hostname.includes('.') && new URL(given).hostname !== 'localhost') {
    return { problem: 'This is no address: paste one that begins with https://, of a .gguf or .safetensors file.' };
  }
  const url = new URL(given);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal(url.hostname))) {
    return {
      problem: `Only https addresses can be fetched from this page, and this one begins with ${url.protocol}//. Save the file and `
        + 'choose it here.',
    };
  }
  if (/(^|\.)civitai\.com$/.test(url.hostname)) return ofCivitai(url);
  if (url.hostname === 'github.com') url.pathname = url.pathname.replace(/^(\/[^/]+\/[^/]+)\/blob\//, '$1/raw/');
  if (url.href.startsWith(`${hub}/`)) return ofHub(url, hub);
  if (url.pathname.endsWith('/') && url.pathname.length > 1 && !url.search) {
    const at = url.href;
    return { url: at, source: { at, repo: url.host + url.pathname.slice(0, -1), seen: false } };
  }
  return { url: url.href };
}

const isLocal = (host) => ['localhost', '127.0.0.1', '[::1]'].includes(host);

/**
 * A page of the hub: `/owner/name`, its files under `/tree/`, one of them under `/blob/`.
 * @param {URL} url
 * @param {string} hub
 */
function ofHub(url, hub) {
  const root = new URL(hub).pathname.replace(/\/$/, '');
  const [, owner, name, kind, revision, ...path] = url.pathname.slice(root.length).replace(/\/$/, '').split('/');
  const tree = `${url.origin}${root}/${owner}/${name}/tree`;
  if (!owner || !name) {
    return { problem: 'This is the hub’s own page: open a model there, and paste the address of its page.' };
  }
  if ((kind === 'blob' || kind === 'resolve') && path.length) {
    url.pathname = `${root}/${owner}/${name}/resolve/${revision}/${path.join('/')}`;
    url.search = '';
    if (FILES.test(url.pathname)) return { url: url.href };
    return {
      problem: `${path.at(-1)} is no model’s file: under Files and versions choose one that ends in .gguf or .safetensors.`,
      href: `${tree}/${revision}`,
    };
  }
  if (!kind || kind === 'tree' && revision && !path.length) {
    const source = { repo: `${owner}/${name}`, ...(revision ? { revision } : {}), seen: false };
    return { url: pageOf(source, hub), source };
  }
  return {
    problem: `This is a page of ${owner}/${name}, but not a file: open Files and versions there, press a file that ends `
      + 'in .gguf or .safetensors, and paste its address.',
    href: `${tree}/main`,
  };
}

/** A page of Civitai names a version, or only a model, of which the newest version is shown. */
function ofCivitai(url) {
  if (/^\/api\/download\/models\/\d+$/.test(url.pathname)) return { url: url.href };
  const version = url.searchParams.get('modelVersionId');
  if (version && /^\d+$/.test(version)) return { url: `${url.origin}/api/download/models/${version}` };
  return {
    problem: 'This page of Civitai does not say which version is meant: press Download there, and choose the saved file here.',
    href: url.href,
  };
}
