/** Painting over a picture what is to be drawn anew: the mask of *Repaint*, with its brush, its tools and its file. */

import { download } from '../js/actions.js';
import { $ } from '../js/dom.js';
import { report } from '../js/report.js';
import { pngOf, valuesOf } from './files.js';
import { Hands } from './hands.js';
import { Live } from './live.js';
import { Mask } from './mask.js';
import { Tools } from './tools.js';
import { View } from './view.js';

/** A small picture is painted over more finely than its pixels are: its longer side has so many of the mask's, or more. */
const FINE = 512;
/** How far a brush reaches, as a share of the picture's longer side. */
const SIZES = { from: 0.005, to: 0.6 };

export class Editor {
  /** @type {import('./hands.js').Tool} */ tool = 'brush';
  /** `size`: how far it reaches, as a share of the picture's longer side; `soft`: the share of that over which it fades. */
  brush = { size: 0.09, soft: 0.2 };
  /** @type {Mask | null} */ mask = null;
  /** The picture, in its own pixels. */ picture = { width: 1, height: 1 };
  /** The hashes of picture and mask, as they are kept. @type {{image: string, mask?: string}} */ #kept = { image: '' };
  /** Whether something is painted that is not kept yet, and whether what was last tried to keep could not be. */ #unsaved = false; #failed = false;
  /** @type {Promise<boolean> | null} */ #saving = null;
  /** The pictures that are opened, one after another. */ #opening = Promise.resolve();

  /** @param {import('../js/begin.js').Begin} begin */
  constructor(begin) {
    this.begin = begin;
    this.view = new View($('mask'));
    this.live = new Live(this);
    this.tools = new Tools(this);
    this.hands = new Hands(this);
    document.addEventListener('visibilitychange', () => document.hidden && this.settle());
  }

  /** Whether a picture is being painted over, to be seen. */
  get isOpen() {
    return this.mask !== null && this.view.root.checkVisibility();
  }

  /** Pixels of the mask to one of the picture. */
  get scale() {
    return this.mask.width / this.picture.width;
  }

  /** How far the brush reaches, in the mask's pixels. */
  get reach() {
    return this.brush.size * Math.max(this.mask.width, this.mask.height);
  }

  /**
   * Has a picture painted over, from the mask on that it has. Where both are here already nothing changes.
   * @param {object} begun
   * @param {string} begun.image its hash
   * @param {Blob} begun.png
   * @param {string} [begun.mask] the hash of its mask
   * @param {() => Promise<Blob | null>} begun.read reads the mask
   */
  open(begun) {
    this.#opening = this.#opening.then(() => this.#open(begun)).catch((error) => {
      report('The picture cannot be painted over.', [`The browser says: ${error.message}`]);
    });
    return this.#opening;
  }

  async #open({ image, png, mask, read }) {
    const same = image === this.#kept.image;
    if (same && mask === this.#kept.mask) return this.tools.draw();
    await this.settle();
    const bitmap = same ? null : await createImageBitmap(png);
    const { width, height } = bitmap ?? this.picture;
    const scale = Math.max(1, Math.ceil(FINE / Math.max(width, height)));
    const file = mask ? await read().catch(() => null) : null;
    const values = file && (await valuesOf(file, width * scale, height * scale)).values;
    // All of it is here: from one to the other in one go, and nothing that was begun on the one goes on on the other.
    this.hands.drop();
    if (this.#unsaved) this.#keep();
    this.#failed = false;
    if (bitmap) {
      this.picture = { width, height };
      this.mask = new Mask(width * scale, height * scale);
      this.live.clear();
      this.view.show(bitmap, this.mask);
    }
    this.#kept = { image, mask };
    if (values) {
      if (same) this.mask.begin(); // what was painted before can be had back
      this.mask.put(values);
      this.mask.end();
    }
    this.#show();
  }

  /** @param {import('./hands.js').Tool} tool */
  use(tool) {
    this.tool = tool;
    this.tools.draw();
  }

  /** @param {Partial<Editor['brush']>} brush */
  setBrush(brush) {
    Object.assign(this.brush, brush);
    this.tools.draw();
  }

  /** Makes the brush so many times as large. @param {number} by */
  resize(by) {
    this.setBrush({ size: Math.min(SIZES.to, Math.max(SIZES.from, this.brush.size * by)) });
  }

  /** Changes the mask in one step. @param {(mask: Mask) => void} act */
  change(act) {
    this.hands.drop();
    this.mask.begin();
    act(this.mask);
    this.finish();
  }

  /** A change is complete. */
  finish() {
    if (this.mask.end()) this.#changed();
  }

  undo() {
    if (!this.hands.isActing && this.mask.undo()) this.#changed();
  }

  redo() {
    if (!this.hands.isActing && this.mask.redo()) this.#changed();
  }

  /** Keeps what is painted, where that has not been done or could not be. @returns {Promise<boolean> | null} whether it could be */
  settle() {
    if (this.#unsaved || this.#failed) this.#keep();
    return this.#saving;
  }

  /** The mask as a file of the visitor's. */
  async save() {
    download(await pngOf(this.mask), 'mask.png');
  }

  /** Takes a file for the mask. Never rejects. @param {File} file */
  async load(file) {
    const { width, height } = this.mask;
    const read = await valuesOf(file, width, height).catch(() => null);
    if (!read) return report(`“${file.name}” was not taken.`, ['This browser reads no picture in it.', 'The mask is as it was.']);
    this.change((mask) => mask.put(read.values));
    if (read.stretched) report('The mask was stretched to the picture.', ['It has another shape.']);
    return undefined;
  }

  #changed() {
    this.#unsaved = true;
    this.begin.unmark('mask');
    if (!this.#saving) this.settle(); // what is painted while that goes on is kept after it
    this.#show();
  }

  #show() {
    this.view.draw();
    this.tools.draw();
    this.tools.say(this.mask.share);
    this.live.offer({ complete: true });
  }

  #keep() {
    this.#unsaved = this.#failed = false;
    const { mask } = this;
    const { image } = this.#kept;
    const kept = async () => {
      const hash = await this.begin.keepMask(image, mask.isEmpty ? null : await pngOf(mask));
      if (this.#kept.image === image) this.#kept.mask = hash;
      if (this.mask === mask) this.#failed = false;
      return true;
    };
    const saving = (this.#saving ?? Promise.resolve()).then(kept).catch((error) => {
      this.#failed = this.mask === mask; // it is tried again when it is asked for
      report('What is painted could not be kept.', [`The browser says: ${error.message}`, 'It stays here as long as the page does.']);
      return false;
    });
    this.#saving = saving;
    saving.then(() => {
      if (this.#saving !== saving) return;
      this.#saving = null;
      if (this.#unsaved) this.#keep();
    });
  }
}
