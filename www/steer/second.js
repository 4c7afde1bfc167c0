/**
 * A second pass at a larger size (hires fix), tiles without seams, and drawing in overlapping tiles (MultiDiffusion): off until they
 * are set.
 */

import { $, make } from '../js/dom.js';
import { wrongNumber } from '../js/settings.js';
import { LIMITS } from '../limits.js';
import { Fields, field, select } from './fields.js';

/** What enlarges in between, as A1111 calls it. @type {[import('../protocol.d.ts').Upscaler, string][]} */
const METHODS = [
  ['latent', 'Latent'], ['latent-antialiased', 'Latent (antialiased)'], ['latent-bicubic', 'Latent (bicubic)'],
  ['latent-bicubic-antialiased', 'Latent (bicubic antialiased)'], ['latent-nearest', 'Latent (nearest)'],
  ['latent-nearest-exact', 'Latent (nearest-exact)'], ['lanczos', 'Lanczos'],
];
/** The visitor's upscaler, that of *Enlarge*, in the place of one of them. */
const OWN = 'network';
/** @type {[import('../protocol.d.ts').Tiling, string][]} */
const TILINGS = [['none', 'Off'], ['both', 'All sides'], ['x', 'Left, right'], ['y', 'Top, bottom']];
/** A factor of 1 is no second pass. */
const FROM = 1;
const MOST = 4;
const PLAIN = { hiresScale: '1', hiresUpscaler: 'latent', hiresStrength: '0.7', hiresSteps: '', tiling: 'none', tiles: '', tilesOverlap: '' };

export class Second {
  /** @param {{settings: import('../js/settings.js').Settings, begin: import('../js/begin.js').Begin}} page */
  constructor({ settings, begin }) {
    Object.assign(this, { settings, begin });
    const number = (id, name, how) => field(id, name, make('input', { type: 'number', ...how }));
    const scale = number('hiresScale', 'Enlarge by', { min: FROM, max: MOST, step: 0.25, inputMode: 'decimal' });
    const method = field('hiresUpscaler', 'Method', select(METHODS));
    const range = make('input', { type: 'range', min: 0.05, max: 1, step: 0.05 });
    this.#strength = make('output', {});
    this.#strength.setAttribute('for', 'hiresStrength');
    const strength = field('hiresStrength', 'How much may change', make('div', { className: 'slider' }, range, this.#strength), range);
    const steps = number('hiresSteps', 'Its steps', { min: LIMITS.steps.from, max: LIMITS.steps.to, step: 1, inputMode: 'numeric', placeholder: 'the same' });
    this.#later = [method, strength, steps];
    this.#hint = make('p', { className: 'wide quiet hint' });
    this.#hint.setAttribute('aria-live', 'polite');
    const tiling = field('tiling', 'Seamless tile', select(TILINGS));
    const { from, to, step } = LIMITS.size;
    const tiles = number('tiles', 'Draw in tiles of', { min: from, max: to, step, inputMode: 'numeric', placeholder: 'whole' });
    this.#overlap = number('tilesOverlap', 'Tiles overlap by', { min: 0, max: to, step, inputMode: 'numeric' });
    this.#inTiles = make('p', { className: 'wide quiet hint', textContent: 'In tiles, in pixels, the model looks at one part after the other '
      + 'at every step, and what parts share is averaged: for pictures larger than it or the memory takes at once. Each part has the whole prompt.' });
    $('second-box').replaceChildren(make('div', { className: 'fields' }, scale, tiling, method, steps, strength, this.#hint, tiles, this.#overlap, this.#inTiles));
    strength.classList.add('wide');
    this.#offer();
    this.#fields = new Fields('second', PLAIN, { settings, changed: () => this.#draw() });
    for (const id of ['width', 'height']) for (const event of ['input', 'put']) $(id).addEventListener(event, () => this.#draw());
    for (const [element, event] of [[$('modes'), 'change'], [$('second'), 'toggle']]) element.addEventListener(event, () => this.#draw());
    this.#draw();
  }

  #fields;
  #strength;
  #later;
  #hint;
  #overlap;
  #inTiles;

  /** What a request says of it. @param {any} request what it says already */
  of({ image }) {
    const { hiresScale, hiresUpscaler, hiresStrength, hiresSteps, tiling, tiles, tilesOverlap } = this.#fields.values;
    const windows = tiles.trim() && { tiles: { size: Number(tiles), ...(tilesOverlap.trim() && { overlap: Number(tilesOverlap) }) } };
    const steps = hiresSteps.trim() === '' ? {} : { steps: Number(hiresSteps) };
    const { network } = this.begin;
    const by = hiresUpscaler === OWN ? network && { network: { hash: network.hash, name: network.name } } : { upscaler: hiresUpscaler };
    const hires = { scale: Number(hiresScale), ...by, strength: Number(hiresStrength), ...steps };
    return { ...(hires.scale > FROM && !image && { hires }), ...(tiling !== 'none' && { tiling }), ...windows };
  }

  /** What cannot be drawn as it is set. @returns {{field: string, message: string} | null} */
  missing() {
    const { hiresScale, hiresSteps } = this.#fields.values;
    this.#fields.unmark();
    const large = wrongNumber('Enlarge by', hiresScale, { from: FROM, to: MOST });
    if (large) return { field: 'hiresScale', message: large };
    const [width, height] = this.#size;
    const { to } = LIMITS.size;
    if (this.begin.mode === 'words' && Math.max(width, height) > to) {
      return { field: 'hiresScale', message: `That would be ${width} × ${height} pixels; up to ${to} on a side are drawn.` };
    }
    const steps = hiresSteps.trim() && wrongNumber('Its steps', hiresSteps, LIMITS.steps, { whole: true });
    return steps ? { field: 'hiresSteps', message: steps } : this.#wrongTiles();
  }

  /** What is wrong with the tiles. @returns {{field: string, message: string} | null} */
  #wrongTiles() {
    const { tiles, tilesOverlap } = this.#fields.values;
    const { step } = LIMITS.size;
    if (!tiles.trim()) return null;
    const pixels = (/** @type {string} */ name, /** @type {string} */ text, /** @type {{from: number, to: number}} */ range) =>
      wrongNumber(name, text, range, { whole: true }) || (Number(text) % step && `${name} takes a multiple of ${step}, such as ${Math.max(range.from, Math.round(Number(text) / step) * step)}.`);
    const size = pixels('The size of tiles', tiles, LIMITS.size);
    if (size) return { field: 'tiles', message: size };
    const overlap = tilesOverlap.trim() && pixels('What tiles share', tilesOverlap, { from: 0, to: Number(tiles) - step });
    return overlap ? { field: 'tilesOverlap', message: overlap } : null;
  }

  /** What a picture was made with; what it does not say is off. @param {{hires?: any, tiling?: any, tiles?: any}} settings */
  take({ hires, tiling, tiles }) {
    const { scale = 1, network, upscaler = network && network.hash === this.begin.network?.hash ? OWN : undefined, strength, steps } = hires ?? {};
    this.#fields.write({
      ...PLAIN, hiresScale: String(scale), tiling: tiling ?? 'none', ...(upscaler && { hiresUpscaler: upscaler }),
      ...(strength && { hiresStrength: String(strength) }), ...(steps && { hiresSteps: String(steps) }),
      ...(tiles && { tiles: String(tiles.size), tilesOverlap: String(tiles.overlap ?? '') }),
    });
    if (this.#isOn) $('second').open = true;
  }

  get #isOn() {
    const { hiresScale, tiling, tiles } = this.#fields.values;
    return Number(hiresScale) > FROM || tiling !== 'none' || tiles.trim() !== '';
  }

  /** How large it becomes: as the engine counts. */
  get #size() {
    const { step } = LIMITS.size;
    return ['width', 'height'].map((side) => Math.floor((Number($(side).value) * Number($('hiresScale').value)) / step) * step);
  }

  /** The visitor's upscaler among the methods, while there is one. */
  #offer() {
    const { network } = this.begin;
    const methods = $('hiresUpscaler');
    const there = [...methods.options].find(({ value }) => value === OWN);
    if (!network) {
      there?.remove();
      if (!methods.value) methods.value = PLAIN.hiresUpscaler;
    } else if (there) there.textContent = network.name;
    else methods.append(make('option', { value: OWN, textContent: network.name }));
  }

  /** Shows what is set, on the closed lid too, and keeps it. */
  #draw() {
    this.#offer();
    const { hiresScale, hiresStrength, tiling, tiles } = this.#fields.values;
    const larger = Number(hiresScale) > FROM;
    for (const element of this.#later) element.hidden = !larger;
    for (const element of [this.#overlap, this.#inTiles]) element.hidden = !tiles.trim();
    $('tilesOverlap').placeholder = String(Math.floor((Number(tiles) || 0) / 16) * 8);
    this.#strength.textContent = `${Math.round(Number(hiresStrength) * 100)} %`;
    const [width, height] = this.#size;
    const small = `Drawn at ${$('width').value} × ${$('height').value}, enlarged, and drawn on at ${width} × ${height}: more detail, and fewer doubles than drawing large at once.`;
    const hint = !larger ? 'More than 1 draws on at a larger size once the picture is there. A seamless tile can be put beside itself.'
      : this.begin.mode === 'words' ? small : 'A second pass follows on words alone; from a picture there is none.';
    if (this.#hint.textContent !== hint) this.#hint.textContent = hint;
    const words = [larger && `× ${Number(hiresScale)}`, tiling !== 'none' && 'tile', tiles.trim() && `in tiles of ${Number(tiles)}`].filter(Boolean).join(', ');
    $('second-state').textContent = words || 'off';
    $('second').toggleAttribute('data-on', this.#isOn);
    this.#fields.keep(this.#isOn);
  }
}
