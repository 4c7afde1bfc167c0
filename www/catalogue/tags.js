/** What a prompt says of LoRAs (`<lora:name:0.8>`), and what their names say of them. Nothing here touches the page. */

/**
 * A tag of the prompt. `rest` is what follows the weight.
 * @typedef {{name: string, weight: number, rest: string, start: number, end: number}} Tag
 */

/** @param {string} prompt @returns {Tag[]} */
export function tagsOf(prompt) {
  return [...prompt.matchAll(/<(?:lora|lyco):([^<>:\n]+)(?::([^<>:\n]*))?((?::[^<>\n]*)?)>/g)].map((match) => {
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
