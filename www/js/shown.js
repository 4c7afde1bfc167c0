/** What stands on the stage: the picture that was made last, or an earlier one that is looked at. */

import { $ } from './dom.js';

/** @typedef {import('./gallery.js').Made} Made */

export class Shown {
  /** @type {Made | null} */ current = null;
  /** Whether the stage shows the work; not while the visitor looks at an earlier picture. */
  following = true;
  /** What was deleted from the stage last. @type {Made | null} */ #gone = null;
  /** Whether it stands there since the page was opened. */
  broughtBack = false;

  /**
   * @param {object} options
   * @param {import('./stage.js').Stage} options.stage
   * @param {import('./gallery.js').Gallery} options.gallery
   * @param {() => void} options.onChange another picture stands on the stage
   */
  constructor({ stage, gallery, onChange }) {
    Object.assign(this, { stage, gallery, onChange });
  }

  /** @param {Made} made */
  present(made) {
    this.current = made;
    this.stage.frame.toggleAttribute('data-seen', Boolean(made.pressed));
    this.stage.show(made.image, made.settings.prompt);
    this.showAsKept();
    this.onChange();
  }

  /** Marks the picture on the stage in the strip; what has no place there cannot be deleted from it. */
  showAsKept() {
    this.gallery.mark(this.current.entry?.id ?? null);
    $('delete').hidden = !this.current.entry;
  }

  /** Deleted pictures leave the stage. @param {number[]} ids @returns {boolean} whether one stood there */
  forget(ids) {
    if (!ids.includes(this.current?.entry?.id)) return false;
    this.#gone = this.current;
    this.current = null;
    this.stage.clear();
    this.gallery.mark(null);
    this.onChange();
    return true;
  }

  /** What was deleted is back: on the stage too, where it stood there and nothing else does. @param {number[]} ids */
  recall(ids) {
    if (this.current || !ids.includes(this.#gone?.entry.id)) return false;
    this.present(this.#gone);
    return true;
  }
}
