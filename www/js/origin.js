/** Which picture came from which: the one before is a press away, and those of one kin are marked in the strip. */

import { Before } from './before.js';
import { $ } from './dom.js';
import { report } from './report.js';

export class Origin {
  /** @type {Before | null} */ #before = null;

  /**
   * @param {object} options
   * @param {import('./pictures.js').Pictures} options.pictures
   * @param {import('./gallery.js').Gallery} options.gallery
   * @param {import('./begin.js').Begin} options.begin
   * @param {() => import('./gallery.js').Made | null} options.current what stands on the stage
   */
  constructor({ pictures, gallery, begin, current }) {
    Object.assign(this, { pictures, gallery, begin, current });
    $('before').addEventListener('click', () => this.#toggle());
    $('original').addEventListener('click', () => this.#back());
    this.look();
  }

  /** Offers what there is of the picture on the stage. @param {boolean} [seen] whether it is seen */
  look(seen = true) {
    const image = this.current()?.settings.image;
    $('original').hidden = !image;
    if ($('before').hidden !== !(image && seen) || $('before').dataset.image !== image) this.#hide();
    $('before').dataset.image = image ?? '';
    $('before').hidden = !image || !seen;
  }

  #hide() {
    this.#before?.hide();
    $('before').setAttribute('aria-pressed', 'false');
  }

  async #toggle() {
    if ($('before').getAttribute('aria-pressed') === 'true') return this.#hide();
    const { image, settings } = this.current();
    const png = await this.#source(settings.image);
    if (!png || this.current()?.image !== image) return undefined;
    this.#before ??= new Before();
    await this.#before.show(png, image, settings.extend);
    $('before').setAttribute('aria-pressed', 'true');
    return undefined;
  }

  /** Shows the picture that this one was made from; one that was not made here is begun with. */
  async #back() {
    const { settings } = this.current();
    if (await this.gallery.openSource(settings.image)) return;
    if (await this.#source(settings.image)) this.begin.take(settings, { look: true });
  }

  /** @param {string} hash */
  async #source(hash) {
    const png = await this.pictures.source(hash).catch(() => null);
    if (!png) report('The picture that it was made from is not here any more.', []);
    return png;
  }
}
