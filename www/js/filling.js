/** Settings that come from elsewhere, a link or a picture, put into the form. */

import { keep } from './dom.js';
import { readLink } from './link.js';
import { report } from './report.js';
import { brief } from './words.js';

/** Whether braces are text, as the visitor wants it. */
const isOff = () => Boolean(keep.read('dynamic')?.off);

export class Filling {
  /**
   * @param {object} options
   * @param {import('./settings.js').Settings} options.settings
   * @param {import('./using.js').Using} options.using
   * @param {import('./sizes.js').Sizes} options.sizes
   * @param {import('./begin.js').Begin} options.begin
   * @param {(settings: any) => void} options.onExtras a picture's settings beside the form are taken over
   */
  constructor({ settings, using, sizes, begin, onExtras }) {
    Object.assign(this, { settings, using, sizes, begin, onExtras });
  }

  /**
   * Puts what a picture was made with into the form; a size that the model was not made for is only offered.
   * @param {Record<string, string>} brought by field
   * @returns {{lines: string[], action?: {label: string, run: () => void}}} what to say, and what can be pressed
   */
  takePicture({ model, ...brought }) {
    const lines = model ? this.using.choose(model) : [];
    const { values, lines: ofSize, action } = this.sizes.judge(brought);
    return { lines: [...lines, ...ofSize, ...this.take(values)], action };
  }

  /**
   * Puts values that a link brought into the form.
   * @param {Record<string, string>} values by field
   * @returns {string[]} a sentence for each that could not be honoured
   */
  take({ model, ...values }) {
    const lines = model ? this.using.choose(model) : [];
    const refused = Object.entries(this.settings.take(values));
    return [...lines, ...refused.map(([field, why]) => `“${brief(values[field])}” was not taken: ${why}`)];
  }

  /** A picture's settings, its seed too. @param {import('./gallery.js').Made} made */
  takeFrom({ model, settings }) {
    const lines = this.using.choose(model);
    // The words as they were typed, which mean the same to the same model; or the template, of which the seed makes them again.
    const { prompt = settings.typed ?? settings.prompt, negativePrompt = settings.negativePrompt } = isOff() ? {} : settings.templates ?? {};
    const { width, height, ...rest } = { ...settings, prompt, negativePrompt };
    this.settings.apply(settings.extend ? rest : { ...rest, width, height }); // a grown picture's size is none to draw others at
    this.begin.take(settings);
    this.onExtras(settings);
    if (lines.length) report('Its settings are in the form.', lines);
  }

  /** A link fills in the form and is then taken out of the address, so that a reload keeps what is typed. */
  openLink() {
    const link = readLink(location.hash);
    if (!link) return;
    history.replaceState(history.state, '', location.pathname + location.search);
    const unknown = link.unknown.map((name) => `There is no setting “${brief(name)}” here.`);
    report('Settings filled in from the link. Nothing is drawn until you press Generate.', [...this.take(link.values), ...unknown]);
  }
}
