/** Settings as the part of an address after #, to be shared: `#prompt=a+red+apple&seed=200`. */

/** Field of the form → what it is called in a link. Fields at the value given here are left out. */
const NAMES = {
  prompt: ['prompt', ''], negativePrompt: ['negative', ''], steps: ['steps'], guidance: ['guidance'],
  sampler: ['sampler'], schedule: ['schedule', 'default'], seed: ['seed', ''], width: ['width'], height: ['height'],
  rng: ['noise', 'torch'], dialect: ['dialect', 'a1111'], batch: ['pictures', '1'], variationStrength: ['variation', '0'],
  variationSeed: ['variation-seed', ''], model: ['model'],
};

/**
 * A link to this page with settings.
 * @param {Record<string, unknown>} values by field of the form; what is missing is left out. `typed` is the prompt as it was
 *   typed, where that was translated: it means the same to whoever opens the link
 */
export function linkTo(values, page = location.href) {
  const query = new URLSearchParams();
  for (const [field, [name, plain]] of Object.entries(NAMES)) {
    const value = String((field === 'prompt' ? values.typed : undefined) ?? values[field] ?? '');
    if (value !== '' && value !== plain) query.set(name, value);
  }
  const url = new URL(page);
  url.search = '';
  url.hash = query.toString();
  return url.href;
}

/**
 * What a link asks for, unchecked.
 * @param {string} hash with or without its #
 * @returns {{values: Record<string, string>, unknown: string[]} | null} null when it is an ordinary anchor
 */
export function readLink(hash) {
  const text = hash.replace(/^#/, '');
  if (!text.includes('=')) return null;
  const fields = new Map(Object.entries(NAMES).map(([field, [name]]) => [name, field]));
  const values = {};
  const unknown = [];
  // What a link leaves out at its plain value is meant at that value; a prompt is never taken away.
  for (const [field, [, plain]] of Object.entries(NAMES)) if (plain !== undefined && field !== 'prompt') values[field] = plain;
  const given = new Set();
  for (const [name, value] of new URLSearchParams(text)) {
    const field = fields.get(name);
    if (!field) unknown.push(name);
    else if (!given.has(field)) values[field] = value;
    if (field) given.add(field);
  }
  return { values, unknown };
}
