/** The panel of the visitor's lists: what there is, one that is written, files that are brought. */

import { bytes, make } from '../js/dom.js';
import { MOST_BYTES, isName, linesOf } from './lists.js';

const many = (/** @type {number} */ count) => `${count.toLocaleString('en')} ${count === 1 ? 'line' : 'lines'}`;
const button = (/** @type {string} */ textContent, /** @type {string} */ className, /** @type {() => void} */ press) => {
  const made = make('button', { type: 'button', className, textContent });
  made.addEventListener('click', press);
  return made;
};

export class Listing {
  /** The list that is being changed; null: a new one. @type {string | null} */ #of = null;
  /** What was deleted last. @type {{name: string, text: string} | null} */ #gone = null;

  /** @param {{lists: import('./lists.js').Lists, onChange: () => void}} options called whenever a list is another */
  constructor({ lists, onChange }) {
    Object.assign(this, { lists, onChange });
    this.#rows = make('ul', { className: 'stored' });
    this.#none = make('p', { className: 'quiet', textContent: 'There are none yet.' });
    this.#said = make('p', { className: 'quiet' });
    this.#said.setAttribute('role', 'status');
    this.#name = make('input', { type: 'text', id: 'list-name', autocomplete: 'off', spellcheck: false });
    this.#text = make('textarea', { id: 'list-text', rows: 8, spellcheck: false, dir: 'auto' });
    this.#error = make('p', { className: 'field-error', id: 'list-error', hidden: true });
    for (const control of [this.#name, this.#text]) control.setAttribute('aria-describedby', 'list-error');
    const labelled = (/** @type {string} */ words, /** @type {HTMLElement} */ control) =>
      make('div', { className: 'field' }, make('label', { htmlFor: control.id, textContent: words }), control);
    this.#form = make('form', { className: 'list-form', hidden: true },
      labelled('Name', this.#name), labelled('Lines, one choice each', this.#text), this.#error,
      make('div', { className: 'panel-actions' }, button('Cancel', 'button small ghost', () => this.#close()), make('button', { className: 'button small', textContent: 'Keep it' })));
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault(); // it is kept here
      this.#keep();
    });
    this.#file = make('input', { type: 'file', id: 'list-files', accept: '.txt,text/plain', multiple: true, hidden: true, tabIndex: -1 });
    this.#file.setAttribute('aria-label', 'Files of lines');
    this.#file.addEventListener('change', () => {
      const files = [...this.#file.files];
      this.#file.value = ''; // the same files may be chosen again
      this.#bring(files);
    });
    this.#new = button('New list', 'button small', () => this.edit(''));
    this.#ways = make('div', { className: 'panel-actions' }, button('Import .txt files', 'button small ghost', () => this.#file.click()), this.#new);
    this.#dialog = make('dialog', { className: 'panel', id: 'lists' },
      make('div', { className: 'panel-head' }, make('h2', { id: 'lists-title', textContent: 'Lists' }), button('Close', 'button small ghost', () => this.#dialog.close())),
      make('p', { className: 'quiet', textContent: 'In a prompt, __colour__ becomes a line of the list “colour”. Lines may name other lists, and hold {this|that}; those that begin with # are passed over.' }),
      this.#rows, this.#none, this.#said, this.#form, this.#ways, this.#file);
    this.#dialog.setAttribute('aria-labelledby', 'lists-title');
    document.body.append(this.#dialog);
  }

  #rows;
  #none;
  #said;
  #name;
  #text;
  #error;
  #form;
  #file;
  #new;
  #ways;
  #dialog;

  async open() {
    await this.#draw();
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  /** Opens a list to be written. @param {string} name of one that is there, or of a new one */
  async edit(name) {
    await this.open();
    const text = (await this.lists.all()).get(name);
    this.#of = text === undefined ? null : name;
    this.#name.value = name;
    this.#text.value = text ?? '';
    this.#tell('');
    this.#form.hidden = false;
    this.#ways.hidden = true;
    (name ? this.#text : this.#name).focus();
  }

  #close() {
    this.#form.hidden = true;
    this.#ways.hidden = false;
    this.#new.focus();
  }

  /** @param {string} error */
  #tell(error) {
    this.#error.textContent = error;
    this.#error.hidden = !error;
  }

  async #keep() {
    const [name, text] = [this.#name.value.trim(), this.#text.value];
    const all = await this.lists.all();
    const wrong = !name ? 'Give it a name, such as colour.'
      : !isName(name) ? `“${name}” cannot be called in a prompt: use letters, digits, spaces and - / . alone.`
        : name !== this.#of && all.has(name) ? `There is a list “${name}” already: choose another name, or change that one.`
          : !linesOf(text).length ? 'Write at least one line.' : '';
    if (wrong) {
      this.#tell(wrong);
      (wrong.startsWith('Write') ? this.#text : this.#name).focus();
      return;
    }
    const kept = await this.lists.put(name, text);
    if (this.#of !== null && this.#of !== name) await this.lists.remove(this.#of);
    this.#close();
    await this.#changed(`“${name}” has ${many(linesOf(text).length)}.${kept ? '' : ' This browser does not keep it: it is here until the tab is closed.'}`);
  }

  /** Files of lines. None that is there already is written over. @param {File[]} files */
  async #bring(files) {
    const said = [];
    for (const file of files) {
      const all = await this.lists.all();
      const plain = file.name.replace(/\.txt$/i, '').replace(/__+/g, '_').replace(/[^\p{Alphabetic}\p{N}_\-/. ]/gu, '-').replace(/_$/, '').trim() || 'list';
      if (file.size > MOST_BYTES) {
        said.push(`“${file.name}” was not taken: it has ${bytes(file.size)}, up to ${bytes(MOST_BYTES)} are read.`);
        continue;
      }
      const text = await file.text().catch(() => '');
      const lines = linesOf(text);
      if (!lines.length || text.includes('\0')) {
        said.push(`“${file.name}” was not taken: ${text.includes('\0') ? 'it is no text' : 'it has no lines'}.`);
        continue;
      }
      if (all.get(plain) === text) {
        said.push(`“${plain}” is here already.`);
        continue;
      }
      let name = plain;
      for (let number = 2; all.has(name); number++) name = `${plain} ${number}`;
      const kept = await this.lists.put(name, text);
      said.push(`“${name}” has ${many(lines.length)}${name === plain ? '' : `; “${plain}” stays as it is`}.${kept ? '' : ' It is here until the tab is closed.'}`);
    }
    await this.#changed(said.join(' '));
  }

  /** @param {string} name @param {string} text */
  async #remove(name, text) {
    await this.lists.remove(name);
    this.#gone = { name, text };
    await this.#changed(`“${name}” was deleted.`);
    this.#said.append(' ', button('Put it back', 'link', () => this.#putBack()));
    this.#new.focus();
  }

  async #putBack() {
    const { name, text } = this.#gone;
    await this.lists.put(name, text);
    await this.#changed(`“${name}” is here again.`);
    this.#new.focus();
  }

  /** @param {string} words */
  async #changed(words) {
    this.#said.textContent = words;
    await this.#draw();
    this.onChange();
  }

  async #draw() {
    const all = await this.lists.all();
    this.#none.hidden = all.size > 0;
    this.#rows.replaceChildren(...[...all].map(([name, text]) => {
      const change = button('Change', 'link', () => this.edit(name));
      const remove = button('Delete', 'link', () => this.#remove(name, text));
      for (const one of [change, remove]) one.setAttribute('aria-label', `${one.textContent} ${name}`);
      return make('li', {}, make('div', {}, make('span', { textContent: name }), make('span', { className: 'quiet list-count', textContent: many(linesOf(text).length) })), make('div', {}, change, remove));
    }));
  }
}
