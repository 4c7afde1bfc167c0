/** Addresses: where an entry's file lies, and what a visitor means who pastes the address of a page instead of a file's. */

import listed from './entries.json' with { type: 'json' };

/** Where models lie unless a site says otherwise. */
export const HUB = listed.hub;
const FILES = /\.(gguf|safetensors)(\.index\.json)?$/i;

/** @param {import('./entries.js').Source} source @param {string} hub */
export const pageOf = ({ repo, revision, path }, hub) =>
  `${hub}/${repo}${path ? `/blob/${revision ?? 'main'}/${path}` : revision ? `/tree/${revision}` : ''}`;

/** The files of a folder in diffusers' layout, by component; half precision stands for full (www/gathered.js). */
const PARTS = {
  unet: ['config.json', 'diffusion_pytorch_model.fp16.safetensors', 'diffusion_pytorch_model.safetensors'],
  text_encoder: ['config.json', 'model.fp16.safetensors', 'model.safetensors'],
  vae: ['config.json', 'diffusion_pytorch_model.fp16.safetensors', 'diffusion_pytorch_model.safetensors'],
  tokenizer: ['tokenizer.json', 'vocab.json', 'merges.txt', 'tokenizer_config.json', 'special_tokens_map.json'],
  scheduler: ['scheduler_config.json'],
};

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
  return (entry.sources ?? []).flatMap(({ repo, revision, parts }) => {
    const paths = (parts ?? Object.keys(PARTS)).flatMap((part) => PARTS[part].map((name) => `${part}/${name}`));
    return [...(parts ? [] : ['model_index.json']), ...paths]
      .map((path) => ({ path, url: `${hub}/${repo}/resolve/${revision ?? 'main'}/${path}` }));
  });
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
 * What is meant by an address as it was pasted: a file's, or in words what to press to find it.
 * @param {string} text
 * @param {string} hub
 * @returns {{url: string} | {problem: string, href?: string}}
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
  if (url.href.startsWith(`${hub}/`)) return ofHub(url, new URL(hub).pathname.replace(/\/$/, ''));
  return { url: url.href };
}

const isLocal = (host) => ['localhost', '127.0.0.1', '[::1]'].includes(host);

/**
 * A page of the hub: `/owner/name`, its files under `/tree/`, one of them under `/blob/`.
 * @param {URL} url
 * @param {string} root the hub's own path
 */
function ofHub(url, root) {
  const [, owner, name, kind, revision, ...path] = url.pathname.slice(root.length).split('/');
  const tree = `${url.origin}${root}/${owner}/${name}/tree`;
  if (!owner || !name) {
    return { problem: 'This is the hub’s own page: open a model there, then Files and versions, and paste a file’s address.' };
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
  return {
    problem: `This is the front page of ${owner}/${name}, not a file: open Files and versions there, press a file that ends `
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
