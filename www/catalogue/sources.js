/** Addresses: where an entry's file lies, and what a visitor means who pastes the address of a page instead of a file's. */

/** Where models lie unless a site says otherwise. */
export const HUB = 'https://huggingface.co';
const FILES = /\.(gguf|safetensors)$/i;

/** @param {import('./entries.js').Source} source @param {string} hub */
export const pageOf = ({ repo, revision, path }, hub) =>
  `${hub}/${repo}${path ? `/blob/${revision ?? 'main'}/${path}` : revision ? `/tree/${revision}` : ''}`;

/**
 * The address that an entry is fetched from; null where it is not one file.
 * @param {import('./entries.js').Entry} entry
 * @param {string} hub
 * @param {string} base what relative addresses are relative to
 */
export function addressOf({ url, sources = [] }, hub, base) {
  if (url) return new URL(url, base).href;
  const [source] = sources;
  if (sources.length !== 1 || !source.path) return null;
  return `${hub}/${source.repo}/resolve/${source.revision ?? 'main'}/${source.path}`;
}

/** The last part of an address. @param {string} address */
export const fileName = (address) => decodeURIComponent(new URL(address).pathname.split('/').pop() ?? '');

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
