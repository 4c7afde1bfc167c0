/**
 * What a run begins with: noise alone (words), a picture of the visitor's, noised a part of the way and drawn anew from there
 * (picture), or one of which only what is painted over is drawn anew (repaint). Settings name picture and mask by their hashes;
 * both are kept among the visitor's own (`pictures.js`). The brush comes when it is first wanted (`paint/editor.js`).
 */

import { $, bytes, keep } from './dom.js';
import { report } from './report.js';
import { brought, dressed, keepParts } from './shell.js';

/** Larger files are not read. */
const MOST_BYTES = 64e6;
/** A picture is kept no longer or wider than this: nothing here draws one that is larger. */
const MOST_SIDE = 2048;
/** So many pictures keep the mask that was painted over them last. */
const MOST_MASKS = 16;
/** Pixels of the longer side to each of a mask's soft edge: A1111's 4 at 512. */
const SIDE_PER_BLUR = 128;

/** @typedef {'words' | 'picture' | 'repaint'} Mode */

/**
 * @typedef {object} Kept
 * @property {Mode} mode
 * @property {string | null} image the picture's hash
 * @property {number} side the pixels of its longer side
 * @property {Record<string, string>} masks by a picture's hash that of its mask, the newest last
 * @property {Record<'picture' | 'repaint', string>} strengths how much may change, as the slider has it
 * @property {number | null} maskBlur null: as fits the picture
 * @property {'original' | 'noise' | 'zero' | 'fill'} maskedContent
 * @property {boolean} differential
 * @property {boolean} looking whether the stage shows what is begun with, and not what came of it
 * @property {boolean} own whether the visitor brought the picture, so that nothing but another choice takes it away
 */

/** What is taken where nobody said otherwise: the things stay where they are; what is painted over may become anything. */
const PLAIN = /** @type {Kept} */ ({
  mode: 'words', image: null, side: 0, masks: {}, strengths: { picture: '0.6', repaint: '1' }, maskBlur: null,
  maskedContent: 'original', differential: false, looking: false, own: false,
});

export class Begin {
  /** @type {Kept} */ #kept = { ...PLAIN, ...keep.read('begin') };
  /** Counts what was chosen: a picture that has been overtaken while it was read is passed over. */ #chosen = 0;
  /** The picture itself, once it has been read. @type {Blob | null} */ #png = null;
  /** What stood on the stage when words were chosen. */ #left = null;
  /** Whether the run that goes on was asked for while its beginning was looked at. */ #wasLooking = false;
  /** @type {Promise<import('../paint/editor.js').Editor | null> | null} */ #coming = null;
  /** @type {import('../paint/editor.js').Editor | null} */ #editor = null;

  /**
   * @param {object} options
   * @param {import('./pictures.js').Pictures} options.pictures
   * @param {() => import('./gallery.js').Made | null} options.current what stands on the stage
   * @param {() => void} options.onChange the stage shows something else, or another run would be asked for
   * @param {(entry: import('./pictures.js').Entry, hash: string) => void} options.onUsed a picture that was made here is begun with
   */
  constructor({ pictures, current, onChange, onUsed }) {
    Object.assign(this, { pictures, current, onChange, onUsed });
    for (const [button, file] of [['image', 'begin-file'], ['begin-camera', 'begin-photograph']]) {
      $(button).addEventListener('click', () => $(file).click());
      $(file).addEventListener('change', () => {
        const [chosen] = $(file).files;
        if (chosen) this.choose(chosen, chosen.name);
        $(file).value = ''; // the same file may be chosen again
      });
    }
    $('begin-shown').addEventListener('click', () => this.useShown());
    $('begin-from').addEventListener('click', () => this.useShown());
    $('begin-none').addEventListener('click', () => {
      this.#chosen++;
      this.#use(null);
      $('image').focus();
    });
    for (const button of ['begin-look', 'begin-again']) $(button).addEventListener('click', () => this.look($('begin-look').ariaPressed !== 'true'));
    $('modes').addEventListener('change', ({ target }) => this.#enter(target.value));
    $('strength').addEventListener('input', () => this.#setStrength());
  }

  /** Shows what is kept. A run that is asked for before the picture has been read begins with it all the same. @param {string[]} pressed */
  start(pressed) {
    const chosen = $('modes').querySelector(':checked').value; // before this code had come
    if (pressed.includes(`mode-${chosen}`)) this.#enter(chosen);
    else this.#draw();
    this.#restore(this.#kept.image);
  }

  get mode() {
    return this.#kept.mode;
  }

  /** Whether there is a picture to begin with. */
  get isThere() {
    return this.#kept.mode !== 'words' && this.#kept.image !== null;
  }

  /** Whether what is begun with covers the stage. */
  get isLooking() {
    return this.isThere && this.#kept.looking;
  }

  /** The hash of what is painted over the picture, if anything is. @returns {string | undefined} */
  get mask() {
    return this.#kept.masks[this.#kept.image ?? ''];
  }

  /** The soft edge of a mask in pixels of the picture. */
  get blur() {
    return this.#kept.maskBlur ?? Math.round(10 * this.#kept.side / SIDE_PER_BLUR) / 10;
  }

  /** How a mask is read. */
  get how() {
    const { maskedContent, differential } = this.#kept;
    return { maskBlur: this.blur, maskedContent, differential };
  }

  /** @param {{maskBlur?: number | null, maskedContent?: Kept['maskedContent'], differential?: boolean}} how */
  set how(how) {
    Object.assign(this.#kept, how);
    this.#save();
  }

  /** The hashes of all that a later run may begin with. @returns {string[]} */
  get inUse() {
    return [this.#kept.image, ...Object.keys(this.#kept.masks), ...Object.values(this.#kept.masks)].filter(Boolean);
  }

  /** What a request says of its beginning: nothing, where it is noise. */
  get request() {
    const { mode, image } = this.#kept;
    if (mode === 'words') return {};
    const start = { image, strength: Number(this.#kept.strengths[mode]) };
    return mode === 'picture' ? start : { ...start, mask: this.mask, ...this.how };
  }

  /** What is missing to begin; it is shown where that is. @returns {{field: string, message: string} | null} */
  missing() {
    for (const field of ['image', 'mask', 'strength', 'maskBlur']) this.unmark(field);
    const { mode, image } = this.#kept;
    if (mode === 'words') return null;
    if (!image) return { field: 'image', message: 'There is no picture to begin with yet: choose one, or begin from words.' };
    if (mode === 'picture' || this.mask) return null;
    this.look(true);
    return { field: 'mask', message: 'Nothing is painted over yet. Paint over what shall become something else.' };
  }

  /** Keeps what is painted, where that has not been done. @returns {Promise<boolean> | null} whether it could be */
  settle() {
    return this.#kept.mode === 'repaint' ? this.#editor?.settle() ?? null : null;
  }

  /** A run that was asked for is shown where it happens. */
  runs() {
    this.#wasLooking = this.isLooking;
    if (this.isLooking) this.look(false);
  }

  /** It has ended. @param {boolean} made whether there is anything to see of it */
  ran(made) {
    if (!made && this.#wasLooking) this.look(true);
    this.#wasLooking = false;
  }

  /**
   * Begins with a picture from now on. Never rejects.
   * @param {Blob} file @param {string} name what a message calls it
   * @param {{entry?: import('./pictures.js').Entry | null}} [made] its place in the strip, where it was made here
   */
  async choose(file, name, { entry } = {}) {
    const chosen = ++this.#chosen;
    const refuse = (why) => report(`“${name}” was not taken.`, [why, 'The picture that runs begin with is as it was.']);
    if (file.size > MOST_BYTES) return refuse(`It has ${bytes(file.size)}; up to ${bytes(MOST_BYTES)} are read.`);
    const png = await plain(file).catch(() => null);
    if (chosen !== this.#chosen) return undefined;
    if (!png) return refuse('This browser reads no picture in it. Another program can save it as PNG or JPEG.');
    try {
      const hash = await this.pictures.keepSource(png);
      if (chosen !== this.#chosen) return undefined;
      if (this.#kept.mode === 'words') this.#kept.mode = 'picture';
      Object.assign(this.#kept, { looking: true, own: entry === undefined });
      if (entry) this.onUsed(entry, hash);
      await this.#use(hash, png);
    } catch (error) {
      refuse(`The browser did not keep it: ${error.message}.`);
    }
    return undefined;
  }

  /** Begins with what stands on the stage. */
  useShown() {
    const { png } = this.current() ?? {};
    if (!png) return report('There is no picture yet to begin with.', ['Draw one, or choose one of your own.']);
    return this.choose(png, 'The picture', { entry: this.current().entry });
  }

  /** Takes over the beginning of a picture that was made. @param {Record<string, any>} settings @param {{look?: boolean}} [how] */
  async take({ image = null, mask, strength, maskBlur = null, maskedContent = 'original', differential = false }, { look = false } = {}) {
    this.#chosen++;
    const kept = this.#kept;
    kept.mode = !image ? 'words' : mask ? 'repaint' : 'picture';
    kept.looking = look;
    if (mask) Object.assign(kept, { maskBlur, maskedContent, differential });
    if (mask) this.#remember(image, mask);
    if (image) kept.image = image;
    if (strength !== undefined && image) kept.strengths = { ...kept.strengths, [kept.mode]: String(strength) };
    if (!image) return this.#draw();
    return this.#restore(image, 'The picture that it began with is not here any more: choose one, or begin from words.');
  }

  /** Shows what is begun with, or what came of it. @param {boolean} on */
  look(on) {
    this.#kept.looking = on;
    this.#draw();
  }

  /**
   * Something was painted over a picture.
   * @param {string} image its hash @param {Blob | null} png null: nothing is painted any more
   * @returns {Promise<string | undefined>} the mask's hash
   */
  async keepMask(image, png) {
    const mask = png ? await this.pictures.keepSource(png) : undefined;
    this.#remember(image, mask);
    this.#save();
    return mask;
  }

  #remember(image, mask) {
    const { [image]: _, ...masks } = this.#kept.masks;
    const entries = [...Object.entries(masks), ...(mask ? [[image, mask]] : [])];
    this.#kept.masks = Object.fromEntries(entries.slice(-MOST_MASKS));
  }

  /** The visitor chose another mode: with nothing to begin with, or something new on the stage, that is begun with. */
  #enter(mode) {
    const { mode: before, image, own } = this.#kept;
    const current = this.current();
    if (mode === 'words') this.#left = current;
    const isNew = before === 'words' && !own && current !== this.#left && current?.settings.image !== image;
    const take = mode !== 'words' && current !== null && (!image || isNew);
    this.#kept.mode = mode;
    this.#kept.looking = !take && mode !== 'words';
    this.#draw();
    if (take) this.useShown();
  }

  /** @param {string | null} image @param {string} [lost] what to say where the picture is gone */
  async #restore(image, lost) {
    const chosen = this.#chosen;
    const png = image && await this.pictures.source(image).catch(() => null);
    if (chosen !== this.#chosen) return;
    await this.#use(png ? image : null, png || null);
    if (image && !png && lost) report(lost, []);
  }

  /** @param {string | null} image @param {Blob | null} [png] */
  async #use(image, png = null) {
    const chosen = this.#chosen;
    const side = png ? await sideOf(png) : 0;
    if (chosen !== this.#chosen) return;
    Object.assign(this.#kept, { image, side, maskBlur: image === this.#kept.image ? this.#kept.maskBlur : null });
    this.#png = png;
    URL.revokeObjectURL($('begin-image').src);
    $('begin-image').src = $('begin-view').src = png ? URL.createObjectURL(png) : '';
    this.unmark('image');
    this.unmark('mask');
    this.#draw();
  }

  /** Shows what is, and keeps it. */
  #draw() {
    const { mode, strengths } = this.#kept;
    const on = mode !== 'words';
    const there = this.isThere;
    const seen = this.isLooking;
    $(`mode-${mode}`).checked = true;
    $('begin').hidden = !on;
    $('begin').toggleAttribute('data-on', there);
    for (const id of ['begin-look', 'begin-how', 'begin-none']) $(id).hidden = !there;
    $('begin-empty').hidden = $('begin-camera').hidden = there;
    $('begin-look').ariaPressed = String(seen);
    $('begin-again').hidden = !there || seen || mode !== 'repaint';
    $('begin-shown').hidden = !this.current() || seen;
    $('begin-view').hidden = !seen || (mode === 'repaint' && this.#editor !== null);
    $('mask').hidden = !seen || mode !== 'repaint';
    $('tools').hidden = !seen || mode !== 'repaint';
    $('frame').toggleAttribute('data-looking', seen);
    $('image').textContent = there ? 'Another picture' : 'Choose a picture';
    if (on) $('strength').value = strengths[mode];
    $('strength-words').textContent = `${Math.round(Number($('strength').value) * 100)} %`;
    if (mode === 'repaint' && there) this.#paint();
    this.#save();
    this.onChange();
  }

  /** Has the picture painted over; fetches what that needs. */
  async #paint() {
    this.#coming ??= this.#fetchEditor();
    this.#editor = await this.#coming;
    const { image } = this.#kept;
    if (!this.#editor || !image || !this.#png) return;
    const mask = this.mask;
    await this.#editor.open({ image, png: this.#png, mask, read: () => this.pictures.source(mask ?? '') });
    $('begin-view').hidden ||= this.#kept.mode === 'repaint';
  }

  /** @returns {Promise<import('../paint/editor.js').Editor | null>} null where it did not come */
  async #fetchEditor() {
    try {
      const [{ Editor }] = await Promise.all([
        brought(() => import('../paint/editor.js'), new URL('../paint/editor.js', import.meta.url)), dressed('css/paint.css'),
      ]);
      keepParts(['paint']);
      return new Editor(this);
    } catch {
      this.#coming = null;
      report('The brush did not arrive.', ['What you have is kept.'], { label: 'Try again', run: () => this.#draw() });
      return null;
    }
  }

  #setStrength() {
    const { mode, strengths } = this.#kept;
    if (mode !== 'words') this.#kept.strengths = { ...strengths, [mode]: $('strength').value };
    this.unmark('strength');
    this.#draw();
  }

  /** Takes back what was said at a field. */
  unmark(field) {
    $(`${field}-error`)?.toggleAttribute('hidden', true);
    $(field)?.removeAttribute('aria-invalid');
  }

  #save() {
    keep.write('begin', this.#kept);
  }
}

/** The pixels of a PNG's longer side, which its header says. @param {Blob} png */
async function sideOf(png) {
  const header = new DataView(await png.slice(16, 24).arrayBuffer());
  return Math.max(header.getUint32(0), header.getUint32(4));
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
