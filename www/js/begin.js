/**
 * Where a run begins: with noise alone, or with a picture of the visitor's, noised a part of the way and drawn anew from
 * there. Settings name that picture by its hash; the picture itself is kept among the visitor's own (`pictures.js`).
 */

import { $, bytes, keep } from './dom.js';
import { report } from './report.js';

/** Larger files are not read. */
const MOST_BYTES = 64e6;
/** A picture is kept no longer or wider than this: nothing here draws one that is larger. */
const MOST_SIDE = 2048;
/** What is taken where nobody said otherwise: the things stay where they are, and become what the words say. */
const STRENGTH = '0.6';

export class Begin {
  /** The picture's hash, or null where a run begins with noise. @type {string | null} */
  #image = null;
  /** Counts what was chosen: a picture that has been overtaken while it was read is passed over. */ #chosen = 0;

  /**
   * @param {object} options
   * @param {import('./pictures.js').Pictures} options.pictures
   * @param {() => import('./gallery.js').Made | null} options.current what stands on the stage
   */
  constructor({ pictures, current }) {
    Object.assign(this, { pictures, current });
    $('image').addEventListener('click', () => $('begin-file').click());
    $('begin-file').addEventListener('change', () => {
      const [file] = $('begin-file').files;
      if (file) this.choose(file, file.name);
      $('begin-file').value = ''; // the same file may be chosen again
    });
    $('begin-shown').addEventListener('click', () => this.useShown());
    $('begin-from').addEventListener('click', () => this.useShown());
    $('begin-none').addEventListener('click', () => {
      this.#use(null);
      $('image').focus();
    });
    $('strength').addEventListener('input', () => this.#tell());
    $('strength').addEventListener('change', () => this.#save());
    const { image = null, strength = STRENGTH } = keep.read('begin') ?? {};
    $('strength').value = strength;
    this.#image = image; // a run that is asked for before it has been read begins with it all the same
    this.#restore(image);
  }

  /** What a request says of its beginning: nothing, where it is noise. @returns {{image?: string, strength?: number}} */
  get request() {
    return this.#image ? { image: this.#image, strength: Number($('strength').value) } : {};
  }

  /** Begins with a picture from now on. Never rejects. @param {Blob} file @param {string} name what a message calls it */
  async choose(file, name) {
    const chosen = ++this.#chosen;
    const refuse = (why) => report(`“${name}” was not taken.`, [why, 'The picture that runs begin with is as it was.']);
    if (file.size > MOST_BYTES) return refuse(`It has ${bytes(file.size)}; up to ${bytes(MOST_BYTES)} are read.`);
    const png = await plain(file).catch(() => null);
    if (chosen !== this.#chosen) return undefined;
    if (!png) return refuse('This browser reads no picture in it. Another program can save it as PNG or JPEG.');
    try {
      this.#use(await this.pictures.keepSource(png), png);
    } catch (error) {
      refuse(`The browser did not keep it: ${error.message}.`);
    }
    return undefined;
  }

  /** Begins with what stands on the stage. */
  useShown() {
    const { png } = this.current() ?? {};
    if (!png) return report('There is no picture yet to begin with.', ['Draw one, or choose one of your own.']);
    return this.choose(png, 'The picture');
  }

  /** Takes over the beginning of a picture that was made. @param {{image?: string, strength?: number}} settings */
  async take({ image = null, strength }) {
    this.#chosen++;
    if (strength !== undefined) $('strength').value = String(strength);
    await this.#restore(image, 'The picture that it began with is not here any more: runs begin with noise.');
  }

  /** @param {string | null} image @param {string} [lost] what to say where the picture is gone */
  async #restore(image, lost) {
    const chosen = this.#chosen;
    const png = image && await this.pictures.source(image).catch(() => null);
    if (chosen !== this.#chosen) return;
    this.#use(png ? image : null, png);
    if (image && !png && lost) report(lost, []);
  }

  /** @param {string | null} image @param {Blob | null} [png] */
  #use(image, png = null) {
    this.#image = image;
    URL.revokeObjectURL($('begin-image').src);
    $('begin-image').src = png ? URL.createObjectURL(png) : '';
    for (const id of ['begin-image', 'begin-none', 'begin-how']) $(id).hidden = !png;
    $('begin').toggleAttribute('data-on', Boolean(png));
    if (png) $('begin').open = true;
    this.#tell();
    this.#save();
  }

  #tell() {
    const percent = `${Math.round(Number($('strength').value) * 100)} %`;
    $('begin-state').textContent = this.#image ? percent : 'off';
    $('strength-words').textContent = percent;
  }

  #save() {
    keep.write('begin', { image: this.#image, strength: $('strength').value });
  }
}

/**
 * A picture as it is kept: upright, no larger than is of use, and without anything else that its file says, such as where it
 * was taken.
 * @param {Blob} file
 * @returns {Promise<Blob>}
 */
async function plain(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.fillStyle = '#fff'; // what is transparent shows paper
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/png' });
}
