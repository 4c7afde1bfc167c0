/**
 * What a run is asked for beside the form's fields and what it begins with: a second pass, a tiling, control images. What these are
 * set to comes with the code of their parts, when one is opened, was on at the last visit, or is wanted for a picture's settings.
 */

import { keep } from './dom.js';
import { Part } from './parts.js';

export class Extras {
  /**
   * @param {{engine: () => Promise<import('../client.js').OpenGen>, pictures: import('./pictures.js').Pictures,
   *   settings: import('./settings.js').Settings, begin: import('./begin.js').Begin}} page
   */
  constructor(page) {
    /** @type {import('../steer/second.js').Second | null} */ this.second = null;
    /** @type {import('../steer/controls.js').Controls | null} */ this.controls = null;
    const secondAt = new URL('../steer/second.js', import.meta.url);
    const controlsAt = new URL('../steer/controls.js', import.meta.url);
    this.parts = {
      second: new Part({
        id: 'second', what: 'What a second pass needs', load: () => import('../steer/second.js'), address: secondAt, kept: 'steer',
        begin: ({ Second }) => (this.second = new Second(page)),
      }),
      controls: new Part({
        id: 'controls', what: 'What control images need', load: () => import('../steer/controls.js'), address: controlsAt, kept: 'steer',
        begin: async ({ Controls }) => (this.controls = await Controls.begin(page)),
      }),
    };
    this.isHere = false;
    /** Those that were on at the last visit, on their way. */
    this.coming = Promise.all(Object.entries(this.parts).map(([id, part]) => keep.read(id)?.on && part.here())).then(() => (this.isHere = true));
  }

  /** What a request says of it. @param {any} request what it says already */
  of(request) {
    return { ...this.second?.of(request), ...this.controls?.of() };
  }

  /** What is missing in it. @returns {{field: string, message: string} | null} */
  missing() {
    return this.second?.missing() ?? this.controls?.missing() ?? null;
  }

  /** Takes over what a picture was made with. @param {{hires?: any, tiling?: any, controls?: any[]}} settings */
  async take({ hires, tiling, controls }) {
    const second = hires || (tiling && tiling !== 'none') ? await this.parts.second.here() : this.second;
    second?.take({ hires, tiling });
    if (controls?.length || this.controls) (await this.parts.controls.here())?.take(controls ?? []);
  }

  /** A file that is a ControlNet. @param {File} file */
  async takeFile(file) {
    await (await this.parts.controls.here())?.add(file);
  }
}
