/** What a prompt's LoRAs are called in this browser: it comes with a picture that names some. */

import { meant } from '../networks.js';

/**
 * A prompt whose LoRAs are called what they are called in this browser: by their values, whatever their files were called elsewhere.
 * @param {string | null} prompt
 * @param {{name: string, hash: string}[]} loras that it was drawn with
 * @param {import('../client.js').OpenGen} og
 */
export async function calledHere(prompt, loras, og) {
  const kept = await og.networks.list().catch(() => []); // without storage there are none
  if (!kept.length) return { prompt, lines: [] };
  const lines = [];
  for (const { name, hash } of loras) {
    const here = meant(kept, name) ? null : kept.find((row) => row.about.kind === 'lora' && hash && row.hash?.startsWith(hash.slice(0, 12).toLowerCase()));
    const called = here && prompt.replaceAll(/<(lora|lyco):([^:>]+)/gi, (tag, kind, of) => (of.trim() === name ? `<${kind}:${here.name}` : tag));
    if (!here || called === prompt) continue;
    prompt = called;
    lines.push(`The LoRA “${name}” is called “${here.name}” here.`);
  }
  return { prompt, lines };
}
