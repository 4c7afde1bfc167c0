/**
 * What a run begins with: noise alone (words), a picture of the visitor's, noised a part of the way and drawn anew from there
 * (picture), one of which only what is painted over is drawn anew (repaint), one with more room on its sides (extend), or one that
 * becomes larger (enlarge).
 * Settings name picture and mask by their hashes; both are kept among the visitor's own (`pictures.js`). What it is stands in
 * `begun.js`; what one works with comes when it is first wanted (`paint/`).
 */

import { LANCZOS, another, begun, hashesOf, howOf, maskOf, missingOf, remember, requestOf, takeOver } from './begun.js';
import { $, bytes, keep } from './dom.js';
import { plain } from './pictures.js';
import { report } from './report.js';
import { brought, dressed, keepParts } from './shell.js';
import { sentence } from './words.js';

/** Larger files are not read. */
const MOST_BYTES = 64e6;
/** The size of no picture. */
const NOWHERE = { width: 0, height: 0 };
/** What one works with in a mode. @type {Record<string, () => Promise<any>>} */
const TOOLS = {
  repaint: () => brought(() => import('../paint/editor.js'), new URL('../paint/editor.js', import.meta.url)).then(({ Editor }) => Editor),
  extend: () => brought(() => import('../paint/sides.js'), new URL('../paint/sides.js', import.meta.url)).then(({ SidesView }) => SidesView),
  enlarge: () => brought(() => import('../paint/enlarge.js'), new URL('../paint/enlarge.js', import.meta.url)).then(({ EnlargeView }) => EnlargeView),
};
/** What covers the picture that is worked on. */
const COVERS = ['repaint', 'extend'];

export class Begin {
  #kept = begun(keep.read('begin'));
  /** Counts what was chosen: a picture that has been overtaken while it was read is passed over. */ #chosen = 0;
  /** The picture itself, once it has been read. @type {Blob | null} */ #png = null;
  /** The picture of settings that were taken over is being read. @type {Promise<boolean> | null} */ #reading = null;
  /** What stood on the stage when words were chosen. */ #left = null;
  /** Whether the run that goes on was asked for while its beginning was looked at. */ #wasLooking = false;
  /** What one works with, by mode. @type {Map<string, Promise<any>>} */ #coming = new Map();
  /** What of it is here. @type {{repaint?: import('../paint/editor.js').Editor, extend?: import('../paint/sides.js').SidesView, enlarge?: import('../paint/enlarge.js').EnlargeView}} */ #here = {};

  /**
   * @param {object} options
   * @param {import('./pictures.js').Pictures} options.pictures
   * @param {() => import('./gallery.js').Made | null} options.current what stands on the stage
   * @param {() => import('./begun.js').Size} options.drawn how large pictures are drawn
   * @param {() => void} options.onChange the stage shows something else, or another run would be asked for
   * @param {(entry: import('./pictures.js').Entry, hash: string) => void} options.onUsed a picture that was made here is begun with
   * @param {(mask: ImageData, signal: AbortSignal) => Promise<ImageData>} options.onSketch what comes of what is painted now
   * @param {(file: File) => Promise<{name: string, about: string, scale: number}>} options.onNetwork what a file is that shall enlarge
   */
  constructor({ pictures, current, drawn, onChange, onUsed, onSketch, onNetwork }) {
    Object.assign(this, { pictures, current, drawn, onChange, onUsed, onSketch, onNetwork });
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

  /** How a mask is read. */
  get how() {
    return howOf(this.#kept, this.drawn());
  }

  /** @param {Partial<Pick<import('./begun.js').Begun, 'maskBlur' | 'maskedContent' | 'differential' | 'onlyMasked'>>} how */
  set how(how) {
    Object.assign(this.#kept, how);
    this.unmark('maskBlur');
    this.#save();
  }

  /** How the picture grows. @param {import('./begun.js').Sides} sides */
  set extend(sides) {
    this.#kept.extend = sides;
    this.unmark('extend');
    this.#draw();
  }

  /** How many times as large the picture becomes. @param {number} factor */
  set factor(factor) {
    this.#kept.factor = factor;
    this.#draw();
  }

  /** Enlarges by a network of the visitor's from now on. Never rejects. @param {File} file */
  async takeNetwork(file) {
    try {
      const { name, about, scale } = await this.onNetwork(file);
      this.#kept.network = { hash: await this.pictures.keepSource(file), name, about, scale };
      if (scale > 1) this.#kept.factor = scale;
      if (this.#kept.mode === 'enlarge') this.#draw();
      else this.#enter('enlarge');
      report(`“${file.name}” enlarges pictures from now on.`, [about, 'It stays in this browser until another takes its place.']);
      return true;
    } catch (error) {
      report(`“${file.name}” was not taken.`, [sentence(error.message.replace(`${file.name}: `, ''))]);
      return false;
    }
  }

  /** Enlarges without a network of the visitor's from now on. @param {{drawnOn: boolean}} how by drawing on, or by Lanczos alone */
  leaveNetwork({ drawnOn }) {
    this.#kept.network = drawnOn ? null : LANCZOS;
    this.#draw();
  }

  /** The hashes of all that a later run may begin with. @returns {string[]} */
  get inUse() {
    return hashesOf(this.#kept);
  }

  /** The network that enlarges, where the visitor has brought one. */
  get network() {
    return this.#kept.network?.hash ? this.#kept.network : null;
  }

  /** What a request says of its beginning: nothing, where it is noise. */
  get request() {
    return requestOf(this.#kept, this.drawn());
  }

  /** What is missing to begin; it is shown where that is. @returns {{field: string, message: string} | null} */
  missing() {
    for (const field of ['image', 'mask', 'extend', 'strength', 'maskBlur']) this.unmark(field);
    const missing = missingOf(this.#kept);
    if (missing && missing.field !== 'image') this.look(true);
    return missing;
  }

  /**
   * Has all that a run begins with read, and what is painted kept, where that has not been done.
   * @returns {Promise<boolean> | null} whether it could be
   */
  settle() {
    if (this.#reading && this.#kept.mode !== 'words') return this.#reading;
    return this.#kept.mode === 'repaint' ? this.#here.repaint?.settle() ?? null : null;
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
    const png = await plain(file, { paper: true }).catch(() => null);
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
  async take(settings, { look = false } = {}) {
    this.#chosen++;
    takeOver(this.#kept, settings);
    this.#kept.looking = look;
    if (!settings.image) return this.#draw();
    this.#png = null; // it is of the one before
    const lost = 'The picture that it began with is not here any more: choose one, or begin from words.';
    const reading = this.#restore(settings.image, lost).then(() => {
      if (this.#reading === reading) this.#reading = null;
      return true;
    });
    this.#reading = reading;
    return reading;
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
    remember(this.#kept, image, mask);
    this.#save();
    return mask;
  }

  /** The visitor chose another mode: with nothing to begin with, or something new on the stage, that is begun with. */
  #enter(mode) {
    const { mode: before, image, own } = this.#kept;
    const current = this.current();
    if (mode === 'words') {
      this.#left = current;
      this.#chosen++; // what is still read would leave the words again
    }
    const isNew = before === 'words' && !own && current !== this.#left && current?.settings.image !== image;
    const take = mode !== 'words' && current !== null && (!image || isNew);
    this.#kept.mode = mode;
    this.#kept.looking = !take && mode !== 'words';
    this.#draw();
    if (take) this.useShown();
  }

  /** @param {string | null} image @param {string} [lost] what to say where the picture is gone */
  async #restore(image, lost) {
    const png = image && await this.pictures.source(image).catch(() => null);
    const size = png ? await sizeOf(png).catch(() => null) : null;
    if (image !== this.#kept.image) return; // another has come meanwhile
    this.#put(size ? image : null, size ? png : null, size ?? NOWHERE);
    if (image && !size && lost) report(lost, []);
  }

  /** @param {string | null} image @param {Blob | null} [png] */
  async #use(image, png = null) {
    const chosen = this.#chosen;
    const size = png ? await sizeOf(png) : NOWHERE;
    if (chosen === this.#chosen) this.#put(image, png, size);
  }

  /** @param {string | null} image @param {Blob | null} png @param {import('./begun.js').Size} size */
  #put(image, png, size) {
    another(this.#kept, image, size);
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
    $('begin-how').hidden ||= mode === 'enlarge' && this.#kept.network !== null;
    $('enlarging').hidden = !there || mode !== 'enlarge';
    $('begin-empty').hidden = $('begin-camera').hidden = there;
    $('begin-look').ariaPressed = String(seen);
    $('begin-again').hidden = !there || seen || !COVERS.includes(mode);
    $('begin-again').textContent = mode === 'extend' ? 'Change its sides' : 'Paint again';
    $('begin-shown').hidden = !this.current() || seen;
    $('begin-view').hidden = !seen || (COVERS.includes(mode) && Boolean(this.#here[mode]));
    $('mask').hidden = $('tools').hidden = !seen || mode !== 'repaint';
    $('extend').hidden = $('sides').hidden = !seen || mode !== 'extend';
    $('frame').toggleAttribute('data-looking', seen);
    $('image').textContent = there ? 'Another picture' : 'Choose a picture';
    if (on) $('strength').value = strengths[mode];
    $('strength-words').textContent = `${Math.round(Number($('strength').value) * 100)} %`;
    if (there && TOOLS[mode]) this.#work(mode);
    this.#save();
    this.onChange();
  }

  /** Has the picture worked on; fetches what that needs. @param {'repaint' | 'extend' | 'enlarge'} mode */
  async #work(mode) {
    if (!this.#coming.has(mode)) this.#coming.set(mode, this.#fetch(mode));
    await this.#coming.get(mode);
    const { image, size, extend, factor, network } = this.#kept;
    if (!this.#here[mode] || !image || !this.#png || this.#kept.mode !== mode) return;
    const mask = maskOf(this.#kept);
    const read = () => this.pictures.source(mask ?? '');
    await this.#here[mode].open({ image, png: this.#png, size, mask, read, extend, factor, network });
    $('begin-view').hidden ||= this.#kept.mode === mode && COVERS.includes(mode);
  }

  /** @param {'repaint' | 'extend' | 'enlarge'} mode */
  async #fetch(mode) {
    try {
      const [Tool] = await Promise.all([TOOLS[mode](), dressed('css/paint.css')]);
      keepParts(['paint']);
      this.#here[mode] = new Tool(this);
    } catch {
      this.#coming.delete(mode);
      report('What this needs did not arrive.', ['What you have is kept.'], { label: 'Try again', run: () => this.#draw() });
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

/** How large a picture is, which a PNG's header says. @param {Blob} png */
async function sizeOf(png) {
  const header = new DataView(await png.slice(16, 24).arrayBuffer());
  return { width: header.getUint32(0), height: header.getUint32(4) };
}
