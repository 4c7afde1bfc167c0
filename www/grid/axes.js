/**
 * The axes of a grid of pictures: which settings can be one, how a list of values is written, and what a cell asks for.
 *
 * Lists are A1111's: `10, 20, 30`; `1-5`; `1-10 (+3)`, with the step; `0-1 [5]`, with how many; text in quotation marks may
 * hold commas. Nothing here touches the page.
 */

import { LIMITS, SAMPLERS } from '../limits.js';
import { ROWS, told } from '../steer/finer.js';

/** More values than this an axis does not have. */
const MOST = 200;

/**
 * @typedef {object} Axis
 * @property {string} id
 * @property {string} title to people
 * @property {string} a1111 as A1111 writes it into a picture's settings
 * @property {'whole' | 'number' | 'seed' | 'choice' | 'model' | 'text' | 'order'} kind
 * @property {string} hint
 * @property {string[]} [choices] of models their names, which the page fills in
 * @property {readonly [number, number]} [range] of numbers
 * @property {boolean} [finer] whether it is one of the finer settings, whose `id` is theirs
 * @property {boolean} [second] whether it is one of the second, larger pass, whose `id` is `hires` and its name there
 * @property {(request: any, value: any, values: any[]) => any} set what a request becomes
 */

/** @param {string} field */
const field = (field) => (/** @type {any} */ request, /** @type {any} */ value) => ({ ...request, [field]: value });

/** Every weight of a LoRA that the prompt names, set. @param {any} request @param {number} value */
const weigh = (request, value) => ({
  ...request, prompt: request.prompt.replace(/<(lora|lyco):([^<>:\n]+)(?::[^<>:\n]*)?((?::[^<>\n]*)?)>/g, `<$1:$2:${value}$3>`),
});

/** @param {any} request @param {string} value @param {string[]} values the first of which is looked for */
const replaced = (request, value, [first]) => ({
  ...request,
  prompt: request.prompt.split(first).join(value),
  negativePrompt: (request.negativePrompt ?? '').split(first).join(value),
});

/** @param {any} request @param {string[]} order of words that are in the prompt, each where the next of them stood */
function ordered(request, order) {
  let next = 0;
  const words = [...order].sort((a, b) => b.length - a.length).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return { ...request, prompt: request.prompt.replace(new RegExp(words.join('|'), 'g'), (/** @type {string} */ word) => order[next++] ?? word) };
}

/** A finer setting waits beside the request, for whether it has an effect is known when the cell is whole: {@link besides}. */
const FINER = ROWS.map(({ id, name, a1111, range, whole, step, choices }) => /** @type {Axis} */ ({
  id, title: name, a1111, kind: choices ? 'choice' : whole ? 'whole' : 'number', range, finer: true,
  choices: choices?.map(([value]) => value).filter(Boolean),
  hint: choices ? choices.map(([value]) => value).filter(Boolean).join(', ') : whole ? '1-3' : `${step}, ${2 * step}`,
  set: (request, value) => ({ ...request, finer: { ...request.finer, [id]: String(value) } }),
}));

/** What the second pass is told waits like that. @param {string} id @param {Omit<Axis, 'id' | 'set' | 'second'>} told @returns {Axis} */
const second = (id, told) => ({
  ...told, id: `hires-${id}`, second: true, set: (request, value) => ({ ...request, second: { ...request.second, [id]: value } }),
});

/** @type {Axis[]} */
export const AXES = [
  { id: 'steps', title: 'Steps', a1111: 'Steps', kind: 'whole', hint: '5-20 (+5)', set: field('steps') },
  { id: 'guidance', title: 'Guidance', a1111: 'CFG Scale', kind: 'number', hint: '1, 2, 4, 7.5', set: field('guidance') },
  { id: 'seed', title: 'Seed', a1111: 'Seed', kind: 'seed', hint: '1-4', set: field('seed') },
  {
    id: 'sampler', title: 'Sampler', a1111: 'Sampler', kind: 'choice', hint: 'DDIM, Euler, LCM',
    choices: Object.keys(SAMPLERS), set: field('sampler'),
  },
  { id: 'schedule', title: 'Schedule', a1111: 'Schedule type', kind: 'choice', hint: LIMITS.schedules.join(', '), choices: LIMITS.schedules, set: field('schedule') },
  { id: 'model', title: 'Model', a1111: 'Checkpoint name', kind: 'model', hint: '', choices: [], set: field('model') },
  { id: 'words', title: 'Words (search, replace)', a1111: 'Prompt S/R', kind: 'text', hint: 'apple, pear, fox', set: replaced },
  { id: 'lora', title: 'How much of the LoRA', a1111: 'Lora weight', kind: 'number', hint: '0-1 [5]', set: weigh },
  { id: 'strength', title: 'How much may change', a1111: 'Denoising', kind: 'number', hint: '0.25-1 [4]', set: field('strength') },
  { id: 'width', title: 'Width', a1111: 'Width', kind: 'whole', hint: '64, 96, 128', set: field('width') },
  { id: 'height', title: 'Height', a1111: 'Height', kind: 'whole', hint: '64, 96, 128', set: field('height') },
  { id: 'variation', title: 'Variation', a1111: 'Var. strength', kind: 'number', hint: '0-0.5 [4]', set: field('variationStrength') },
  { id: 'variationSeed', title: 'Variation’s seed', a1111: 'Var. seed', kind: 'seed', hint: '1-4', set: field('variationSeed') },
  { id: 'order', title: 'Order of words', a1111: 'Prompt order', kind: 'order', hint: 'red, shiny', set: ordered },
  second('upscaler', { title: 'Larger by', a1111: 'Hires upscaler', kind: 'choice', choices: LIMITS.upscalers, hint: 'latent, lanczos' }),
  second('scale', { title: 'Larger', a1111: 'Hires upscale', kind: 'number', range: [LIMITS.scale.from, LIMITS.scale.to], hint: '1.5, 2' }),
  second('steps', { title: 'Steps when larger', a1111: 'Hires steps', kind: 'whole', range: [LIMITS.steps.from, LIMITS.steps.to], hint: '5-20 (+5)' }),
  ...FINER,
];

/** @param {string} id */
export const axisOf = (id) => AXES.find((axis) => axis.id === id);

/**
 * The values of a list.
 * @param {Axis} axis
 * @param {string} text as typed
 * @returns {any[]}
 * @throws {Error} what is wrong with it
 */
export function valuesOf(axis, text) {
  const parts = listOf(text);
  if (!parts.length) throw new Error(`${axis.title} has no values yet: write some, such as ${axis.hint}.`);
  const values = axis.kind === 'text' ? parts : axis.kind === 'order' ? ordersOf(parts) : parts.flatMap((part) => valueOf(axis, part));
  if (values.length > MOST) throw new Error(`${axis.title} has ${values.length.toLocaleString('en')} values; up to ${MOST} can be one side of a grid.`);
  return values;
}

/** Every order of words, the one that they come in first. @param {string[]} words @returns {string[][]} */
function ordersOf(words) {
  if (words.length > 5) throw new Error(`${words.length} words have more than ${MOST} orders; up to five can be told.`);
  return words.length < 2 ? [words] : words.flatMap((word, i) => ordersOf(words.toSpliced(i, 1)).map((rest) => [word, ...rest]));
}

/** Parts between commas, those in quotation marks whole. @param {string} text */
function listOf(text) {
  const parts = [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)];
  return parts.map(([, quoted, plain]) => (quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'))).filter((part) => part !== '');
}

/** @param {Axis} axis @param {string} part @returns {any[]} */
function valueOf(axis, part) {
  if (axis.kind === 'choice' || axis.kind === 'model') {
    const low = part.toLowerCase();
    const found = axis.choices?.find((name) => name.toLowerCase() === low || SAMPLERS[/** @type {keyof typeof SAMPLERS} */ (name)]?.title.toLowerCase() === low);
    if (!found) throw new Error(`There is no ${axis.title.toLowerCase()} “${part}”; there are ${written(axis.choices ?? [])}.`);
    return [found];
  }
  const number = '[-+]?\\d+(?:\\.\\d+)?';
  const range = new RegExp(`^(${number})\\s*-\\s*(${number})(?:\\s*\\(([-+]?\\d+(?:\\.\\d+)?)\\)|\\s*\\[(\\d+)\\])?$`).exec(part);
  const numbers = range ? spread(range, axis) : [part];
  return numbers.map((text) => {
    if (!new RegExp(`^${number}$`).test(String(text))) throw new Error(`“${part}” is no value of ${axis.title}: write a list, such as ${axis.hint}.`);
    if (axis.kind === 'seed') return String(text).replace(/^\+/, '');
    const value = Number(text);
    if (axis.range && (value < axis.range[0] || value > axis.range[1])) throw new Error(`${axis.title} goes from ${axis.range[0]} to ${axis.range[1]}, not to ${value}.`);
    if (axis.kind === 'whole' && !Number.isInteger(value)) throw new Error(`“${part}” is no whole number, as ${axis.title} is.`);
    return value;
  });
}

/** `1-5`, with a step or a number of values. @param {RegExpExecArray} range @param {Axis} axis @returns {(number | string)[]} */
function spread([whole, first, last, by, count], axis) {
  const [from, to] = [Number(first), Number(last)];
  const round = (/** @type {number} */ value) => (axis.kind === 'number' ? Number(value.toFixed(6)) : Math.round(value));
  if (count !== undefined) {
    const many = Number(count);
    if (many < 1 || many > MOST) throw new Error(`“${whole}” asks for ${count} values; 1 to ${MOST} can be asked for.`);
    return Array.from({ length: many }, (_, i) => round(many === 1 ? from : from + ((to - from) * i) / (many - 1)));
  }
  const step = by === undefined ? Math.sign(to - from) || 1 : Number(by);
  if (step === 0 || (to !== from && Math.sign(step) !== Math.sign(to - from))) throw new Error(`“${whole}” never gets from ${from} to ${to} by ${step}.`);
  const many = Math.floor((to - from) / step + 1e-9) + 1;
  if (many > MOST) throw new Error(`“${whole}” has ${many.toLocaleString('en')} values; up to ${MOST} can be one side of a grid.`);
  return Array.from({ length: many }, (_, i) => round(from + i * step));
}

/** What a value is called beside the grid. @param {Axis} axis @param {any} value */
export function labelOf(axis, value) {
  if (axis.kind === 'text' || axis.kind === 'model') return value;
  if (axis.kind === 'order') return value.join(', ');
  if (axis.kind === 'choice' && !axis.finer && !axis.second) return SAMPLERS[/** @type {keyof typeof SAMPLERS} */ (value)]?.title ?? value;
  return `${axis.title} ${value}`;
}

/**
 * What every cell asks for, row by row, table by table.
 * @param {any} base the request that all have in common
 * @param {{axis: Axis, values: any[]}[]} sides columns, rows, tables; the last ones may be left out
 * @returns {any[]}
 * @throws {Error} where words are to be replaced that are not there
 */
export function cellsOf(base, sides) {
  for (const { axis, values } of sides) {
    if (axis.id === 'words' && !`${base.prompt}\n${base.negativePrompt ?? ''}`.includes(values[0])) {
      throw new Error(`“${values[0]}” is not in the prompt: the first of the words is the one that the others stand for.`);
    }
    const absent = axis.kind === 'order' && values[0].find((/** @type {string} */ word) => !base.prompt.includes(word));
    if (absent) throw new Error(`“${absent}” is not in the prompt: the words are those whose order changes.`);
    if (axis.id === 'lora' && !/<(lora|lyco):/.test(base.prompt)) throw new Error('The prompt names no LoRA.');
  }
  // The slowest side first: tables, rows, columns.
  return [...sides].reverse().reduce((requests, { axis, values }) =>
    requests.flatMap((request) => values.map((value) => axis.set(request, value, values))), [base]);
}

/**
 * What every cell asks for, its finer settings and those of its second pass where requests have them.
 * @param {any[]} cells of {@link cellsOf}, with all that belongs to them
 * @param {{axis: Axis}[]} sides
 * @returns {any[]}
 * @throws {Error} where a side has an effect in none
 */
export function besides(cells, sides) {
  const how = (/** @type {any} */ cell) => ({ dialect: 'a1111', ...cell, ...cell.samplerOptions, ...cell.finer });
  for (const { axis: { id, title } } of sides.filter(({ axis }) => axis.finer)) {
    const row = ROWS.find((row) => row.id === id);
    if (!cells.some((cell) => row?.takes(how(cell)))) throw new Error(`${title} has no effect with what is set, so it cannot be a side of the grid.`);
  }
  if (sides.some(({ axis }) => axis.second) && cells.some(({ hires }) => !hires)) throw new Error('Set “Enlarge by” under “Larger, seamless” first: these belong to a second pass.');
  if (sides.some(({ axis }) => axis.id === 'strength') && cells.some(({ image, hires }) => !image && !hires)) {
    throw new Error('How much may change belongs to a picture that the run begins with, or to a second pass.');
  }
  return cells.map(({ finer, second, ...cell }) => {
    const { samplerOptions, ...beside } = finer ? told(finer, how({ ...cell, finer })) : {};
    return { ...larger(cell, second), ...beside, ...(samplerOptions && { samplerOptions: { ...cell.samplerOptions, ...samplerOptions } }) };
  });
}

/** A cell whose second pass is told what waits; how much may change is its own where the run begins with no picture. @param {any} cell @param {any} told */
function larger(cell, told) {
  if (!cell.hires) return cell;
  const { strength, ...kept } = cell;
  const { network, ...rest } = cell.hires;
  const by = told?.upscaler === undefined && network ? { network } : {};
  if (cell.image) return { ...cell, hires: { ...rest, ...by, ...told } };
  return { ...kept, hires: { ...rest, ...by, ...told, ...(strength !== undefined && { strength }) } };
}

/** A list as A1111 writes it into a picture's settings. @param {any[]} values */
export const written = (/** @type {any[]} */ values) => values.map((value) => (/[",]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value))).join(', ');

/** The fields by which A1111 tells of a grid. @param {{axis: Axis, values: any[]}[]} sides */
export const fieldsOf = (sides) => ['Script: X/Y/Z plot', ...sides.flatMap(({ axis, values }, i) => [
  `${'XYZ'[i]} Type: ${axis.a1111}`, `${'XYZ'[i]} Values: ${JSON.stringify(written(axis.kind === 'order' ? values[0] : values))}`,
])].join(', ');
