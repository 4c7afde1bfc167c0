/** Every sentence the page says about what happened, in one place. */

import { bytes } from './dom.js';

const KEPT = 'Your prompt and settings are still here.';

/**
 * An error in words: what happened, what was kept, and what can be done.
 * @param {import('../client.js').OpenGenError} error
 * @param {import('../protocol.d.ts').ModelInfo | null} model the one in use
 * @param {boolean} [offline] whether the page's server cannot be reached
 * @returns {{title: string, text: string, action: null | 'retry' | 'refetch' | 'restart' | 'reload' | 'storage' | 'add'}}
 */
export function errorWords(error, model, offline = false) {
  const detail = sentence(error.message);
  if (model?.fromFile && !['engine', 'version'].includes(error.field) && ['NETWORK', 'DAMAGED'].includes(error.code)) {
    return {
      title: error.code === 'DAMAGED' ? `${model.name} is damaged in the store.` : `${model.name} is not here any more.`,
      text: 'It came from a file of yours: add that file again, or choose another model under Settings. Your prompt and '
        + 'settings are kept.',
      action: 'add',
    };
  }
  switch (error.code) {
    case 'NETWORK':
      if (error.field === 'version') {
        return {
          title: 'This page has been renewed.',
          text: 'This tab keeps the version it began with, and that needs a part now which the server does not have any more. '
            + `Reload to go on with the new one. ${KEPT}`,
          action: 'reload',
        };
      }
      if (error.field === 'engine') {
        return {
          title: offline ? 'You are offline.' : 'The engine did not arrive.',
          text: `${detail} The code that computes pictures this way has to be fetched once; nothing else is affected.`,
          action: 'retry',
        };
      }
      return offline
        ? {
            title: 'You are offline.',
            text: `${model?.name ?? 'The model'} has to be fetched once; what has arrived so far is kept. It goes on by `
              + 'itself when the network is back.',
            action: 'retry',
          }
        : { title: 'The model did not arrive.', text: `${detail} What has arrived so far is kept.`, action: 'retry' };
    case 'DAMAGED':
      return {
        title: 'The stored model is damaged.',
        text: `${detail} Nothing else is affected. Fetch it again (${bytes(model?.bytes ?? 0)})?`,
        action: 'refetch',
      };
    case 'BAD_MODEL':
    case 'NON_FINITE':
      return { title: 'This file is not a model that works here.', text: `${detail} ${KEPT}`, action: 'retry' };
    case 'QUOTA':
    case 'STORAGE':
      return { title: 'There is no room to keep the model.', text: `${detail} ${KEPT}`, action: 'storage' };
    case 'OUT_OF_MEMORY':
      return {
        title: 'There was not enough memory.',
        text: `A smaller picture needs less. ${KEPT}`,
        action: 'restart',
      };
    case 'DEVICE_LOST':
      return {
        title: 'The graphics card went away.',
        text: `${detail} Your prompt and settings are still here.`,
        action: 'restart',
      };
    case 'UNSUPPORTED':
      return {
        title: 'This cannot be done in this browser.',
        text: `${detail} Try a current Chrome, Edge, Firefox or Safari, or another model. ${KEPT}`,
        action: null,
      };
    case 'INVALID_INPUT':
      return { title: 'That setting does not work.', text: `${detail} Change it and try again. ${KEPT}`, action: null };
    default:
      return {
        title: 'The engine stopped.',
        text: `${KEPT} ${detail}`,
        action: 'restart',
      };
  }
}

/** Why a picture is only in memory. @param {'full' | 'refused'} problem @returns {[string, string[]]} title and lines */
export function keepingWords(problem) {
  const meanwhile = 'It stays here until this tab is closed: save it as PNG to have it longer.';
  return problem === 'full'
    ? ['There is no room to keep this picture.', [meanwhile, 'Deleting pictures or a model makes room.']]
    : ['This browser does not keep pictures here.', [meanwhile, 'A private window may be the reason.']];
}

export const ACTIONS = {
  retry: 'Retry', refetch: 'Fetch again', restart: 'Start again', reload: 'Reload', storage: 'Show storage', add: 'Add its file',
};

export const STAGES = { encode: 'Looking at the picture', text: 'Reading the words', denoise: 'Drawing', decode: 'Developing the picture' };

/** The quiet line about where pictures are computed. */
export function engineWords(capabilities) {
  if (!capabilities) return '';
  if (capabilities.engine === 'cpu') {
    const threads = capabilities.threads > 1 ? ` ${capabilities.threads} threads compute.` : '';
    return sentence(capabilities.reason ?? 'Pictures are made on the processor: the same ones, only slower') + threads;
  }
  const name = capabilities.adapter ? ` (${capabilities.adapter})` : '';
  if (capabilities.isFallbackAdapter) return `Pictures are made through WebGPU, which this browser draws on the processor${name}.`;
  return `Pictures are made on this machine’s graphics processor${name}.`;
}

/** What to say of a picture whose prompt names nothing that the model knows. @returns {string[]} */
export function foreignWords({ name }, { names, strange }) {
  if (names) return [];
  const words = strange.slice(0, 3).map(({ text }) => `“${brief(text)}”`).join(', ');
  return [`This prompt names nothing that ${name} can draw${words && ` (it does not know ${words})`}, so the picture means little. `
    + '“Everything it knows”, below, lists what it can.'];
}

/** What was drawn of a prompt that was translated. @returns {string[]} */
export const translatedWords = ({ said, drawn }) => (said.length ? [`Drawn as “${brief(drawn)}”.`] : []);

/** First letter large, full stop at the end. */
export function sentence(text) {
  const trimmed = String(text ?? '').trim();
  if (!trimmed) return '';
  const large = trimmed[0].toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(large) ? large : `${large}.`;
}

/** "seed 5", or "seed 5, variation 77": what tells a picture from others of its prompt. */
export const seedWords = ({ seed, variationStrength, variationSeed }) =>
  (variationStrength > 0 ? `seed ${seed}, variation ${variationSeed}` : `seed ${seed}`);

/** A long text in short, to be named in a sentence. */
export const brief = (text) => (text.length > 60 ? `${text.slice(0, 59)}…` : text);
