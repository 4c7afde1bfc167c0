/** What a prompt says of LoRAs (`<lora:name:0.8>`), and what their names say of them. Nothing here touches the page. */

import { uncommented } from '../js/dom.js';

/**
 * A tag of the prompt. `rest` is what follows the weight.
 * @typedef {{name: string, weight: number, rest: string, start: number, end: number}} Tag
 */

/** Those that count: A1111 passes over its comments. @param {string} prompt @param {string} [dialect] @returns {Tag[]} */
export function tagsOf(prompt, dialect) {
  return [...uncommented(prompt, dialect).matchAll(/<(?:lora|lyco):([^<>:\n]+)(?::([^<>:\n]*))?((?::[^<>\n]*)?)>/g)].map((match) => {
    const number = match[2] === undefined || match[2].trim() === '' ? 1 : Number(match[2]);
    const isPlain = Number.isFinite(number);
    return {
      name: match[1].trim(), weight: isPlain ? number : 1, rest: isPlain ? match[3] : `:${match[2]}${match[3]}`,
      start: match.index, end: match.index + match[0].length,
    };
  });
}

/** @param {string} name @param {number} weight */
export const tag = (name, weight, rest = '') => `<lora:${name}:${Number(weight.toFixed(2))}${rest}>`;

/**
 * In which steps a tag's LoRA counts, as its `rest` says it (`:start=4:stop=0.8`, `:step=4-8`): below 1 shares of the steps, else steps counted
 * from 1; `null` where it says nothing. And the `rest` without that.
 * @param {string} rest
 * @returns {{start: number | null, stop: number | null, other: string}}
 */
export function whenOf(rest) {
  const when = { start: /** @type {number | null} */ (null), stop: /** @type {number | null} */ (null) };
  const put = (/** @type {'start' | 'stop'} */ name, /** @type {string} */ text) => {
    const number = text.trim() === '' ? NaN : Number(text);
    when[name] = isMoment(number) ? number : null;
  };
  const other = rest.replace(/:(start|stop|step)=([^:]*)/g, (_, name, text) => {
    if (name !== 'step') put(name, text);
    else if (text.includes('-')) text.split('-', 2).forEach((/** @type {string} */ part, /** @type {number} */ at) => put(at ? 'stop' : 'start', part));
    return '';
  });
  return { ...when, other };
}

/** Whether a number is a step, or a share of the steps. @param {number} number */
export const isMoment = (number) => (number > 0 && number < 1) || (Number.isInteger(number) && number >= 1 && number < 2 ** 32);

/** A `rest` that says so. @param {{start: number | null, stop: number | null, other: string}} when */
export const whenRest = ({ start, stop, other }) => `${other}${start === null ? '' : `:start=${start}`}${stop === null ? '' : `:stop=${stop}`}`;

/**
 * LoRAs that make a model draw in few steps, by their names, and the settings that they were made for (their model cards:
 * latent-consistency/lcm-lora-sdv1-5, ByteDance/Hyper-SD, h1t/TCD-SD15-LoRA, ByteDance/SDXL-Lightning).
 * @type {[RegExp, (steps: string | undefined) => Record<string, string>][]}
 */
const FAST = [
  [/\blcm/i, () => ({ sampler: 'lcm', schedule: 'default', steps: '6', guidance: '1.5' })],
  [/\btcd/i, () => ({ sampler: 'tcd', schedule: 'default', steps: '4', guidance: '1' })],
  [/hyper-?sd.*?(\d+)-?steps?-?cfg/i, (steps) => ({ sampler: 'ddim', schedule: 'trailing', steps: steps ?? '8', guidance: '5' })],
  [/(?:hyper-?sd|lightning).*?(\d+)-?steps?/i, (steps) => ({ sampler: 'ddim', schedule: 'trailing', steps: steps ?? '4', guidance: '1' })],
];

/** What a file that is called so was made for, where its name says it. @param {string[]} names */
export function madeFor(...names) {
  for (const name of names) {
    const plain = name.replace(/[_\s]+/g, '-');
    const found = FAST.find(([pattern]) => pattern.test(plain));
    if (found) return found[1](found[0].exec(plain)?.[1]);
  }
  return null;
}
