/** What stands on the stage: the picture that was made last, or an earlier one that is looked at. */

import { $ } from './dom.js';

/** @typedef {import('./gallery.js').Made} Made */

export class Shown {
  /** @type {Made | null} */ current = null;
  /** Whether the stage shows the work; not while the visitor looks at an earlier picture. */
  following = true;
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
    this.stage.show(made.image, made.settings.prompt);
    this.showAsKept();
    this.onChange();
  }

  /** Marks the picture on the stage in the strip; what has no place there cannot be deleted from it. */
  showAsKept() {
    this.gallery.mark(this.current.entry?.id ?? null);
    $('delete').hidden = !this.current.entry;
  }

  /** Deleted pictures that stand on the stage stay there until another comes, and can still be saved. @param {number[]} ids */
  forget(ids) {
    if (!ids.includes(this.current?.entry?.id)) return;
    this.current = { ...this.current, entry: null };
    this.showAsKept();
  }
}
