/** Which picture came from which: the one before is a press away, and those of one kin are marked in the strip. */

import { Before } from './before.js';
import { $ } from './dom.js';
import { report } from './report.js';

export class Origin {
  /** @type {Before | null} */ #before = null;
  /** Counts what was asked for: what was hidden again while it was read does not come. */ #asked = 0;

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
    this.#asked++;
    this.#before?.hide();
    $('before').setAttribute('aria-pressed', 'false');
  }

  async #toggle() {
    if ($('before').getAttribute('aria-pressed') === 'true') return this.#hide();
    const asked = ++this.#asked;
    const { image, settings } = this.current();
    const isWanted = () => asked === this.#asked && this.current()?.image === image;
    const png = await this.#source(settings.image);
    if (!png || !isWanted()) return undefined;
    this.#before ??= new Before();
    try {
      if (await this.#before.show(png, image, { sides: settings.extend, isWanted })) $('before').setAttribute('aria-pressed', 'true');
    } catch {
      if (isWanted()) report('The picture that it was made from cannot be shown.', ['This browser reads no picture in it.']);
    }
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
