/**
 * Pictures that are brought here, dropped, pasted or chosen, for the settings that their files carry (PNG, JPEG, WebP), or to
 * begin with. A model that is dropped is handed on.
 */

import { isModel } from './adding.js';
import { $, bytes, make } from './dom.js';
import { filesOf, isFolder } from './folders.js';
import { hideReport, report } from './report.js';
import { brief, sentence } from './words.js';

/** Larger files are not read: pictures with settings are far smaller, and the engine reads them whole. */
const MOST_BYTES = 64e6;

export class Recall {
  /**
   * @param {object} options
   * @param {() => Promise<import('../client.js').OpenGen>} options.engine the engine that reads the files
   * @param {(values: Record<string, string>) => {lines: string[], action?: {label: string, run: () => void}}} options.onSettings
   *   puts values into the form, by field; returns a sentence for each that could not be honoured, and what is offered
   * @param {(found: any) => void} options.onExtras puts in what is beside the form
   * @param {(file: File, name: string) => void} options.onBegin a picture is what the next one begins with
   * @param {() => boolean} options.begins whether that is what pictures are brought for
   * @param {(files: File[]) => void} options.onModel takes a model's files that were dropped
   * @param {(files: File[]) => void} options.onFolder takes the files of a folder that was dropped
   */
  constructor({ engine, onSettings, onExtras, onBegin, begins, onModel, onFolder }) {
    Object.assign(this, { engine, onSettings, onExtras, onBegin, begins, onModel, onFolder });
    $('recall').addEventListener('click', () => $('recall-file').click());
    $('recall-file').addEventListener('change', () => {
      const [file] = $('recall-file').files;
      if (file) this.read(file);
      $('recall-file').value = ''; // the same file may be chosen again
    });
    addEventListener('paste', (event) => this.#paste(event));
    addEventListener('dragover', (event) => this.#drag(event, true));
    addEventListener('dragleave', (event) => event.relatedTarget === null && this.#drag(event, false));
    addEventListener('drop', (event) => this.#drop(event));
  }

  /** @param {File} file @param {{pasted?: boolean}} [how] */
  async read(file, { pasted = false } = {}) {
    const name = pasted ? 'The pasted picture' : `“${file.name}”`;
    if (file.size > MOST_BYTES) {
      report(`${name} was not read.`, [`It has ${bytes(file.size)}; up to ${bytes(MOST_BYTES)} are read.`]);
      return;
    }
    const begin = { label: 'Begin with it', run: () => this.onBegin(file, pasted ? 'The pasted picture' : file.name) };
    try {
      const og = await this.engine();
      const { notices, loras, embeddings, template, negativeTemplate, ...settings } = await og.readSettings(file);
      const called = loras.length ? await import('./called.js').then(({ calledHere }) => calledHere(settings.prompt, loras, og)) : settings;
      settings.prompt = called.prompt;
      this.onExtras(settings);
      const { lines, action } = this.onSettings(valuesOf(settings));
      const from = pasted ? 'the pasted picture' : name;
      const fixed = settings.seed === null || settings.seed === undefined ? '' : ` Its seed is set: ${settings.seed}.`;
      const made = template ?? negativeTemplate ?? null;
      // By its seed they make the same words where the template was this page's own and the lists are the same; what they make is shown.
      const again = make('button', { type: 'button', className: 'link', textContent: 'Use its template' });
      again.addEventListener('click', () => {
        hideReport();
        this.onSettings({ ...(template !== null && { prompt: template }), ...(negativeTemplate !== null && { negativePrompt: negativeTemplate }) });
      });
      const told = made === null ? [] : [make('span', {}, `Its words were made of a template: “${brief(made)}”. `, again)];
      report(`Settings read from ${from}.${fixed}`, [...notices, ...told, ...(called.lines ?? []), ...lines], action ?? begin);
    } catch (error) {
      const hint = 'Copying a picture loses its settings in most browsers: drop the file instead.';
      report(`${name} was not read.`, [sentence(error.message), 'Your settings are as they were.', ...(pasted ? [hint] : [])],
        file.type.startsWith('image/') ? begin : undefined);
    }
  }

  #paste(event) {
    if (event.defaultPrevented) return;
    const [file] = event.clipboardData.files;
    if (!file || event.clipboardData.types.includes('text/plain')) return; // text goes where the cursor is
    event.preventDefault();
    this.#bring(file, { pasted: true });
  }

  #drag(event, over) {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    $('drop').hidden = !over;
    $('drop').toggleAttribute('data-begins', this.begins());
  }

  #drop(event) {
    $('drop').hidden = true;
    if (event.defaultPrevented || !event.dataTransfer?.files.length) return;
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    const inFolders = filesOf(event.dataTransfer);
    const models = inFolders || isFolder(files) ? [] : files.filter(isModel);
    const isOne = models.length || inFolders || isFolder(files);
    if ($('create').hidden && !(isOne && !$('models').hidden)) location.hash = '#'; // what becomes of it is said there
    if (inFolders) inFolders.then((found) => this.onFolder(found), () => this.onFolder(files));
    else if (isFolder(files)) this.onFolder(files);
    else if (models.length) this.onModel(models);
    else this.#bring(files.find(({ type }) => type.startsWith('image/')) ?? files[0]);
  }

  /** Begins with a picture where one begins with pictures, else reads its settings. */
  #bring(file, { pasted = false } = {}) {
    if (this.begins() && !$('create').hidden) this.onBegin(file, pasted ? 'The pasted picture' : file.name);
    else this.read(file, { pasted });
  }
}

/** The form's values for what a picture says; what it does not say is left out. @returns {Record<string, string>} */
function valuesOf({ variationStrength, variationSeed, dialect, ...settings }) {
  const varied = variationStrength ? { variationStrength, variationSeed } : { variationStrength: 0, variationSeed: '' };
  const words = settings.prompt === null ? {} : { dialect: dialect ?? 'a1111' };
  const known = Object.entries({ ...settings, ...varied, ...words }).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(known.map(([field, value]) => [field, String(value)]));
}
