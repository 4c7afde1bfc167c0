/**
 * What a run is asked for beside the form's fields and what it begins with: options of the sampler, a second pass, tiles, regions, control
 * images. What these are set to comes with the code of their parts, when one is opened, was on at the last visit, or is wanted for a picture's settings.
 */

import { $, keep, uncommented } from './dom.js';
import { Part } from './parts.js';

export class Extras {
  /**
   * @param {{engine: () => Promise<import('../client.js').OpenGen>, pictures: import('./pictures.js').Pictures,
   *   settings: import('./settings.js').Settings, begin: import('./begin.js').Begin}} page
   */
  constructor(page) {
    /** @type {import('../steer/second.js').Second | null} */ this.second = null;
    /** @type {import('../steer/controls.js').Controls | null} */ this.controls = null;
    /** @type {import('../steer/regions.js').Regions | null} */ this.regions = null;
    /** @type {import('../steer/sampling.js').Sampling | null} */ this.sampling = null;
    const samplingAt = new URL('../steer/sampling.js', import.meta.url);
    const secondAt = new URL('../steer/second.js', import.meta.url);
    const controlsAt = new URL('../steer/controls.js', import.meta.url);
    const regionsAt = new URL('../steer/regions.js', import.meta.url);
    /** @type {import('../steer/dynamic.js').Dynamic | null} */ this.dynamic = null;
    const dynamicAt = new URL('../steer/dynamic.js', import.meta.url);
    this.parts = {
      sampling: new Part({
        id: 'sampling', what: 'What the sampler is told beside', load: () => import('../steer/sampling.js'), address: samplingAt, kept: 'steer',
        begin: ({ Sampling }) => (this.sampling = new Sampling(page)),
      }),
      second: new Part({
        id: 'second', what: 'What a second pass needs', load: () => import('../steer/second.js'), address: secondAt, kept: 'steer',
        begin: ({ Second }) => (this.second = new Second(page)),
      }),
      regions: new Part({
        id: 'regions', what: 'What regions need', load: () => import('../steer/regions.js'), address: regionsAt, kept: 'steer',
        begin: ({ Regions }) => (this.regions = new Regions(page, partsOf)),
      }),
      dynamic: new Part({
        id: 'becomes', what: 'What dynamic prompts need', load: () => import('../steer/dynamic.js'), address: dynamicAt, kept: 'steer',
        begin: ({ Dynamic }) => (this.dynamic = new Dynamic(page, isTemplate)),
      }),
      controls: new Part({
        id: 'controls', what: 'What control images need', load: () => import('../steer/controls.js'), address: controlsAt, kept: 'steer',
        begin: async ({ Controls }) => (this.controls = await Controls.begin(page)),
      }),
    };
    for (const id of ['prompt', 'negativePrompt', 'dialect']) for (const event of ['input', 'put', 'change']) $(id).addEventListener(event, () => this.#offer());
    this.#offer();
    this.#isHere = false;
    /** Those that were on at the last visit, on their way. */
    this.#coming = Promise.all(Object.entries(this.parts).map(([id, part]) => keep.read(id)?.on && part.here())).then(() => (this.#isHere = true));
  }

  #isHere;
  #coming;

  /** Whether all is here, and what is painted kept. */
  get isHere() {
    return this.#isHere && !this.regions?.saving;
  }

  /** Resolves when it is. */
  get coming() {
    return this.#coming.then(() => this.regions?.saving).then(() => true);
  }

  /** Regions are offered while the prompt has parts that could have some; what becomes of a template is shown. */
  #offer() {
    if (!this.dynamic && ['prompt', 'negativePrompt'].some((id) => isTemplate($(id).value))) this.parts.dynamic.here();
    $('regions').hidden = partsOf({ prompt: $('prompt').value, dialect: $('dialect').value }).length < 2;
  }

  /** What a request says of it. @param {any} request what it says already */
  of(request) {
    if (request.network) {
      // What enlarges does it by itself: of all that it is told only whether the picture is a tile.
      const { tiling } = this.second?.of(request) ?? {};
      return tiling ? { tiling } : {};
    }
    return { ...this.sampling?.of(request), ...this.second?.of(request), ...this.regions?.of(request), ...this.controls?.of() };
  }

  /**
   * Requests with the prompts that become of their templates, each by its own seed, and with what belongs to these.
   * @param {any[]} requests of one picture each
   * @returns {any[] | Promise<any[]>} at once where there is nothing to choose; none where what chooses did not arrive, which is said;
   *   rejects with what is wrong with a template
   */
  chosen(requests) {
    if (!requests.some((request) => isTemplate(request.prompt) || isTemplate(request.negativePrompt))) return requests;
    return this.parts.dynamic.here().then((dynamic) => dynamic?.chosen(requests, (request) => this.of(request)) ?? []);
  }

  /** A request with the prompts that its seed makes of its templates, and nothing beside. @param {any} request @returns {Promise<any>} */
  async inWords(request) {
    if (![request.prompt, request.negativePrompt].some((text) => isTemplate(text))) return request;
    const [made] = (await (await this.parts.dynamic.here())?.chosen([request])) ?? [];
    return made ?? request;
  }

  /** What is missing in it. @returns {{field: string, message: string} | null} */
  missing() {
    return this.sampling?.missing() ?? this.second?.missing() ?? this.regions?.missing() ?? this.controls?.missing() ?? null;
  }

  /** Takes over what a picture was made with. @param {Record<string, any>} settings */
  async take({ hires, tiling, tiles, regions, controls, ...told }) {
    const { samplerOptions, guidanceRescale, emphasis, clipSkip } = told;
    const sampling = samplerOptions || (guidanceRescale ?? emphasis ?? clipSkip ?? null) !== null ? await this.parts.sampling.here() : this.sampling;
    sampling?.take(told);
    const second = hires || tiles || (tiling && tiling !== 'none') ? await this.parts.second.here() : this.second;
    second?.take({ hires, tiling, tiles });
    if (regions?.length || this.regions) (await this.parts.regions.here())?.take(regions ?? []);
    if (controls?.length || this.controls) (await this.parts.controls.here())?.take(controls ?? []);
  }

  /** A file that is a ControlNet. @param {File} file */
  async takeFile(file) {
    await (await this.parts.controls.here())?.add(file);
  }
}

/** A1111's word between prompts that are drawn into one picture: not within another. */
const AND = /(?<![\p{Alphabetic}\p{N}_])AND(?![\p{Alphabetic}\p{N}_])/u;

/** The parts of a prompt, as the engine takes it apart. @param {{prompt: string, dialect?: string}} of @returns {string[]} */
export function partsOf({ prompt, dialect = 'a1111' }) {
  return dialect === 'a1111' ? uncommented(prompt).split(AND).map((part) => part.trim()) : [prompt];
}

/**
 * Whether a text has something to choose: braces with `|` or `$$` in them, or a list's `__name__`. What it becomes the engine alone says.
 * @param {string} text
 */
export const isTemplate = (text = '') => /__[\p{L}\p{N}](?:[\p{L}\p{N}_\-/. ]*[\p{L}\p{N}\-/.])?__|\{(?:[^{}]|\{[^{}]*\})*?(?:\||\$\$)(?:[^{}]|\{[^{}]*\})*\}/u.test(text);
