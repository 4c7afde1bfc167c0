/**
 * LoRAs and embeddings in the settings: those that are kept in this browser, and how much of each the prompt asks for. The prompt
 * alone says it, as A1111 has it (`<lora:name:0.8>`): what is switched on or moved here is written there, and what is typed there
 * shows here.
 */

import { $, bytes, make, uncommented } from '../js/dom.js';
import { SAMPLERS } from '../limits.js';
import { report } from '../js/report.js';
import { insert } from '../js/typing.js';
import { sentence } from '../js/words.js';
import { meant } from '../networks.js';
import { Underlines, missingIn, sayMissing } from './named.js';
import { isMoment, madeFor, tag, tagsOf, whenOf, whenRest } from './tags.js';
import { thumbnailOf } from './thumbnail.js';

/** As far as the slider goes unless the prompt asks for more. */
const MOST = 1.5;
/** From so many on they are searched. */
const MANY = 7;
/** Where names stand. */
const FIELDS = ['prompt', 'negativePrompt'];
/** After the last key, so that a name is not judged half typed, in ms. */
const PAUSE = 600;

/** @typedef {import('../protocol.d.ts').StoredNetwork} StoredNetwork */
/** @typedef {import('./tags.js').Tag} Tag */

/** Fields for steps, which their labels know by numbers. */
let fieldsMade = 0;

/** What one of them is found by. @param {StoredNetwork} network */
const saidOf = ({ name, about }) => [name, about.title, about.base, about.token, ...(about.words ?? [])].join('\n').toLowerCase();

export class Loras {
  /** @type {StoredNetwork[]} */ #kept = [];
  /** The rows on the page, by name. @type {Map<string, {element: HTMLElement, show: (tag: Tag | undefined) => void}>} */ #rows = new Map();

  /** @param {{engine: () => Promise<import('../client.js').OpenGen>, settings: import('../js/settings.js').Settings}} page */
  constructor({ engine, settings }) {
    Object.assign(this, { engine, settings });
    const box = $('loras-box');
    this.#list = make('ul', { className: 'loras' });
    this.#list.setAttribute('aria-label', 'LoRAs');
    this.#missing = make('ul', { className: 'loras-missing' });
    this.#find = make('input', { type: 'search', placeholder: 'Search', autocomplete: 'off', hidden: true });
    this.#find.setAttribute('aria-label', 'Search your LoRAs');
    this.#find.addEventListener('input', () => this.#filter());
    const file = make('input', { type: 'file', accept: '.safetensors', multiple: true, hidden: true, tabIndex: -1 });
    file.id = 'lora-file';
    file.setAttribute('aria-label', 'A LoRA’s or embedding’s file');
    file.addEventListener('change', async () => {
      const files = [...file.files];
      file.value = ''; // the same file may be chosen again
      for (const one of files) await this.add(one);
    });
    const pick = make('button', { type: 'button', className: 'button small ghost', id: 'lora-add', textContent: 'Add a file' });
    pick.addEventListener('click', () => file.click());
    const hint = make('p', { className: 'quiet hint' },
      'A LoRA changes how a model draws: a style, a person, a thing. Its strength stands in the prompt, as ',
      make('code', { textContent: '<lora:name:0.8>' }), '. An embedding is a word of its own. Drop their files anywhere; they have to be '
      + 'made for the model’s family.');
    box.replaceChildren(this.#missing, this.#find, this.#list, make('div', { className: 'loras-add' }, pick, file), hint);
    // Whoever reads with their ears is told once nothing is typed for a moment, and at the field.
    this.#said = make('p', { className: 'understood', id: 'prompt-names', role: 'status', hidden: true });
    $('understood').before(this.#said);
    for (const field of FIELDS) $(field).setAttribute('aria-describedby', `${$(field).getAttribute('aria-describedby') ?? ''} prompt-names`.trim());
    this.#lines = FIELDS.map((field) => new Underlines($(field)));
    for (const event of ['input', 'put']) {
      for (const field of [...FIELDS, 'dialect']) $(field).addEventListener(event, () => this.#show());
    }
  }

  #list;
  #missing;
  #said;
  /** @type {Underlines[]} */ #lines;
  #timer = 0;
  /** What was said last of what is not here. */ #words = '';
  #find;

  /** What is kept here, as it is now. */
  async refresh() {
    try {
      this.#kept = (await (await this.engine()).networks.list()).filter(({ about }) => about.kind !== 'controlnet'); // these have a part of their own
    } catch (error) {
      this.#missing.replaceChildren(make('li', { className: 'quiet', textContent: `What is kept here cannot be read. ${sentence(error.message)}` }));
      return;
    }
    const row = (network) => (network.about.kind === 'lora' ? this.#row(network) : this.#word(network));
    this.#rows = new Map(this.#kept.map((network) => [network.name, row(network)]));
    this.#list.replaceChildren(...[...this.#rows.values()].map(({ element }) => element));
    this.#find.hidden = this.#kept.length < MANY;
    this.#filter();
    this.#show();
  }

  /** Keeps a file and uses it. Never rejects: says how it ended. @param {File} file */
  async add(file) {
    const stem = file.name.replace(/\.[^.]*$/, '').replace(/[<>:\n]/g, ' ').trim() || 'lora';
    try {
      const { networks } = await this.engine();
      const taken = new Set((await networks.list()).map(({ name }) => name));
      let name = stem;
      const kept = await networks.add(file, { name }).catch(async (error) => {
        if (error.field !== 'name' || !taken.has(stem)) throw error;
        for (let count = 2; taken.has(name); count++) name = `${stem} ${count}`; // another file of the same name
        return networks.add(file, { name });
      });
      await this.refresh();
      $('loras').open = true;
      if (kept.about.kind === 'embedding') return this.#told(kept);
      const { base, words, title } = kept.about;
      if (!this.#tag(kept.name)) this.#write(kept.name, 1);
      const fast = madeFor(kept.name, title ?? '');
      const how = fast && `It was made for ${fast.steps} steps, guidance ${fast.guidance} and the sampler ${SAMPLERS[fast.sampler]?.title ?? fast.sampler}.`;
      report(`“${kept.name}” changes what is drawn from now on.`, [
        ...(base ? [`It was trained for ${base}.`] : []),
        ...(words.length ? [`Words that call it: ${words.slice(0, 5).join(', ')}.`] : []),
        ...(how ? [how] : []),
        'How much of it stands in the prompt and under LoRAs in the settings. It is kept in this browser.',
      ], fast ? { label: 'Set that', run: () => this.#set(fast) } : { label: 'Take it out', run: () => this.#erase(kept.name) });
    } catch (error) {
      report(`“${file.name}” was not added.`, [sentence(error.message.replace(`${stem}: `, ''))]);
    }
  }

  /** An embedding is kept. @param {StoredNetwork} kept */
  #told({ name, about: { vectors } }) {
    report(`“${name}” is a word of your own now.`, [
      `It stands for ${vectors} ${vectors === 1 ? 'token' : 'tokens'} wherever it is written, in the prompt or in the negative prompt.`,
      'It is listed under LoRAs in the settings, and kept in this browser.',
    ], { label: 'Put it into the prompt', run: () => this.#say(name) });
  }

  /** @param {Record<string, string>} values what a LoRA was made for */
  #set(values) {
    const refused = Object.values(this.settings.take(values));
    if (refused.length) report('Not all of it can be set here.', refused);
  }

  /** @returns {Tag[]} */
  get #tags() {
    return tagsOf($('prompt').value, $('dialect').value);
  }

  /** The first of some tags that means one of them. @param {string} name */
  #tag(name, tags = this.#tags) {
    return tags.find((one) => meant(this.#kept, one.name)?.name === name);
  }

  /**
   * Writes a weight into the prompt, where its tag stands or behind everything, and what else the tag says where that changes.
   * @param {string} name @param {number} weight @param {string} [rest]
   */
  #write(name, weight, rest) {
    const field = $('prompt');
    const found = this.#tag(name);
    if (found) return insert(field, tag(found.name, weight, rest ?? found.rest), found.start, found.end);
    const end = field.value.trimEnd().length;
    insert(field, `${behindComment(field, end) || (end ? ' ' : '')}${tag(name, weight)}`, end, field.value.length);
  }

  /** Takes the tags of a name out of the prompt. @param {string} name */
  #erase(name) {
    for (let found = this.#tag(name); found; found = this.#tag(name)) this.#cut(found);
  }

  /** @param {Tag} found */
  #cut({ start, end }) {
    const before = $('prompt').value.slice(0, start);
    insert($('prompt'), '', before.endsWith(' ') ? start - 1 : start, end);
  }

  /** Everything as the prompt has it. */
  #show() {
    const tags = this.#tags;
    for (const [name, row] of this.#rows) row.show(this.#tag(name, tags));
    this.#underline();
    const missing = tags.filter((one) => !meant(this.#kept, one.name));
    this.#missing.replaceChildren(...missing.map((one) => {
      const out = make('button', { type: 'button', className: 'link', textContent: 'Take it out' });
      out.addEventListener('click', () => this.#cut(this.#tags.find(({ name }) => name === one.name) ?? one));
      return make('li', {}, `“${one.name}” is named in the prompt and is not here: pictures are drawn without it. `, out, ...this.#offer(one.name));
    }));
    const isUsed = ({ name, about }) => (about.kind === 'lora' ? this.#tag(name, tags) : this.#isSaid(name));
    const used = this.#kept.filter(isUsed).length;
    $('loras-state').textContent = missing.length ? `${missing.length} missing` : used ? `${used} in use` : this.#kept.length ? 'none in use' : 'none';
  }

  /** Underlines what the prompts name and is not here, and says what can be done. */
  #underline() {
    const missing = FIELDS.map((field) => missingIn($(field).value, this.#kept, { loras: field === 'prompt', dialect: $('dialect').value }));
    this.#lines.forEach((lines, at) => lines.show(missing[at]));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(missing.flat()), PAUSE);
  }

  /** @param {import('./named.js').Named[]} missing */
  #tell(missing) {
    const words = sayMissing(missing);
    if (words === this.#words) return; // nothing new to be read out
    this.#words = words;
    this.#said.hidden = !words;
    const add = make('button', { type: 'button', textContent: 'Add a file' });
    add.addEventListener('click', () => $('lora-file').click());
    this.#said.replaceChildren(...(words ? [`${words} `, add, ...this.#offer(missing[0].name)] : []));
  }

  /** A button that looks for something like a name among what is kept, if there is anything. @param {string} name */
  #offer(name) {
    if (!this.#kept.length) return [];
    const search = make('button', { type: 'button', className: 'link', textContent: 'Search yours' });
    search.addEventListener('click', () => this.#search(name));
    return [' ', search];
  }

  /** Shows what has a word of a name, the longest that finds anything. @param {string} name */
  #search(name) {
    const words = name.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean).sort((a, b) => b.length - a.length);
    $('loras').open = true;
    this.#find.hidden = false;
    this.#find.value = words.find((word) => this.#kept.some((one) => saidOf(one).includes(word))) ?? words[0] ?? '';
    this.#filter();
    this.#find.focus();
  }

  #filter() {
    const words = this.#find.hidden ? '' : this.#find.value.trim().toLowerCase();
    for (const one of this.#kept) this.#rows.get(one.name).element.hidden = !saidOf(one).includes(words);
  }

  /** @param {StoredNetwork} network */
  #row({ name, bytes: size, about }) {
    const on = make('input', { type: 'checkbox' });
    const label = make('label', { className: 'switch' }, on, make('span', { textContent: name }));
    const range = make('input', { type: 'range', min: '0', max: String(MOST), step: '0.05', value: '1' });
    range.setAttribute('aria-label', `How much of ${name}`);
    const output = make('output');
    const slider = make('div', { className: 'slider' }, range, output);
    const facts = [about.base, about.ranks[1] ? `rank ${[...new Set(about.ranks)].join('–')}` : null, bytes(size)].filter(Boolean).join(' · ');
    const words = about.words.slice(0, 6).map((word) => {
      const button = make('button', { type: 'button', className: 'word', textContent: word });
      button.title = 'Put it into the prompt';
      button.addEventListener('click', () => this.#say(word));
      return button;
    });
    on.addEventListener('change', () => (on.checked ? this.#write(name, Number(range.value)) : this.#erase(name)));
    range.addEventListener('input', () => {
      output.textContent = Number(range.value).toFixed(2);
    });
    range.addEventListener('change', () => this.#write(name, Number(range.value)));
    const when = this.#when(name);
    const element = make('li', {}, label, slider, when.element, make('p', { className: 'quiet', textContent: about.title && about.title !== name ? `${about.title} · ${facts}` : facts }),
      ...(words.length ? [make('p', { className: 'lora-words' }, ...words)] : []), this.#acts(name, label));
    if (about.description) element.title = about.description.slice(0, 300);
    this.#picture(name, element);
    return {
      element,
      /** @param {Tag | undefined} found */
      show(found) {
        on.checked = Boolean(found);
        slider.hidden = !found;
        when.show(found);
        if (!found) return;
        range.max = String(Math.max(MOST, found.weight));
        range.min = String(Math.min(0, found.weight));
        range.value = String(found.weight);
        const { other } = whenOf(found.rest);
        output.textContent = found.weight.toFixed(2) + (other ? ` ${other.slice(1)}` : '');
      },
    };
  }

  /** In which steps one counts: two fields behind a line that says it. @param {string} name */
  #when(name) {
    const fields = [['start', 'From', 'the first'], ['stop', 'Until before', 'the end']].map(([key, text, placeholder]) => {
      const input = make('input', { type: 'number', min: '0', step: 'any', placeholder, inputMode: 'decimal' });
      input.setAttribute('aria-label', `${text} which step of ${name}`);
      input.dataset.key = key;
      input.id = `lora-${key}-${++fieldsMade}`;
      return { key, input, field: make('div', { className: 'field' }, make('label', { textContent: text, htmlFor: input.id }), input) };
    });
    const summary = make('summary', { textContent: 'In all steps' });
    const hint = make('p', { className: 'quiet', textContent: 'Steps, counted from 1, or a share of them, as 0.5. Where it begins or ends on the '
      + 'way, the model is changed again, which takes as long as switching it on; twice in a picture at most.' });
    const element = make('details', { className: 'lora-when', hidden: true }, summary, make('div', { className: 'fields' }, ...fields.map(({ field }) => field)), hint);
    for (const { key, input } of fields) {
      input.addEventListener('change', () => {
        const found = this.#tag(name);
        const number = input.value.trim() === '' ? null : Number(input.value);
        if (!found || (number !== null && !isMoment(number))) {
          input.setAttribute('aria-invalid', String(Boolean(found)));
          return;
        }
        this.#write(name, found.weight, whenRest({ ...whenOf(found.rest), [key]: number }));
      });
    }
    return {
      element,
      /** @param {Tag | undefined} found */
      show(found) {
        element.hidden = !found;
        if (!found) return;
        const said = whenOf(found.rest);
        for (const { key, input } of fields) {
          input.removeAttribute('aria-invalid');
          if (document.activeElement !== input) input.value = said[key] ?? '';
        }
        const at = (number) => (number < 1 ? `${Math.round(number * 100)} %` : `step ${number}`);
        const words = [said.start === null ? '' : `from ${at(said.start)} on`, said.stop === null ? '' : `until before ${at(said.stop)}`].filter(Boolean);
        summary.textContent = words.length ? words.join(', ').replace(/^./, (first) => first.toUpperCase()) : 'In all steps';
      },
    };
  }

  /** The picture that its file has of itself. @param {string} name @param {HTMLElement} element */
  async #picture(name, element) {
    const address = await this.engine().then(({ networks }) => networks.file(name)).then(thumbnailOf).catch(() => null);
    if (address) element.prepend(make('img', { src: address, alt: '', className: 'lora-picture' }));
  }

  /** Whether a word of one's own is written anywhere. @param {string} name */
  #isSaid(name) {
    return [$('prompt'), $('negativePrompt')].some(({ value }) => value.toLowerCase().includes(name.toLowerCase()));
  }

  /** An embedding, which is used by being written. @param {StoredNetwork} network */
  #word({ name, bytes: size, about: { token, vectors, width } }) {
    const made = { 768: 'for Stable Diffusion 1', 1024: 'for Stable Diffusion 2' }[width] ?? `${width} values wide`;
    const facts = ['embedding', made, `${vectors} ${vectors === 1 ? 'token' : 'tokens'}`, bytes(size)].join(' · ');
    const said = make('span', { className: 'lora-said', textContent: 'in use', hidden: true });
    const label = make('p', { className: 'lora-title' }, make('strong', { textContent: name }), ' ', said);
    const put = [['Into the prompt', 'prompt'], ['Into the negative prompt', 'negativePrompt']].map(([text, field]) => {
      const button = make('button', { type: 'button', className: 'word', textContent: text });
      button.addEventListener('click', () => this.#say(name, $(field)));
      return button;
    });
    const element = make('li', {}, label, make('p', { className: 'quiet', textContent: token ? `${token} · ${facts}` : facts }),
      make('p', { className: 'lora-words' }, ...put), this.#acts(name, label));
    return { element, show: () => {
      said.hidden = !this.#isSaid(name);
    } };
  }

  /** Renaming and deleting. @param {string} name @param {HTMLElement} label in whose place the name is typed */
  #acts(name, label) {
    const [rename, remove] = ['Rename', 'Delete'].map((text) => make('button', { type: 'button', className: 'link', textContent: text }));
    rename.setAttribute('aria-label', `Rename ${name}`);
    remove.setAttribute('aria-label', `Delete ${name}`);
    rename.addEventListener('click', () => this.#rename(name, label));
    remove.addEventListener('click', () => this.#remove(name));
    return make('p', { className: 'lora-acts' }, rename, remove);
  }

  /** Puts a word in front of the tags. @param {string} word @param {HTMLTextAreaElement} field */
  #say(word, field = $('prompt')) {
    const at = field.value.slice(0, tagsOf(field.value, $('dialect').value)[0]?.start ?? field.value.length).trimEnd().length;
    insert(field, `${behindComment(field, at) || (at ? ', ' : '')}${word}`, at, at);
  }

  /** @param {string} name @param {HTMLElement} label in whose place the name is typed */
  #rename(name, label) {
    const field = make('input', { type: 'text', value: name, maxLength: 200, className: 'lora-name' });
    field.setAttribute('aria-label', `Another name for ${name}`);
    label.replaceWith(field);
    field.focus();
    field.select();
    let done = false;
    const end = async (keep) => {
      if (done) return;
      done = true;
      const to = field.value.trim();
      field.replaceWith(label);
      if (!keep || !to || to === name) return;
      try {
        const { networks } = await this.engine();
        const found = this.#tag(name);
        await networks.rename(name, to);
        if (found) insert($('prompt'), tag(to, found.weight, found.rest), found.start, found.end);
        await this.refresh();
      } catch (error) {
        report(`“${name}” keeps its name.`, [sentence(error.message)]);
      }
    };
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' || event.key === 'Escape') {
        event.preventDefault();
        end(event.key === 'Enter');
      }
    });
    field.addEventListener('blur', () => end(true));
  }

  /** @param {string} name */
  async #remove(name) {
    try {
      const { networks } = await this.engine();
      const file = await networks.file(name);
      const { start, end } = this.#tag(name) ?? {};
      const words = start === undefined ? '' : $('prompt').value.slice(start, end);
      this.#erase(name);
      await networks.remove(name);
      await this.refresh();
      report(`“${name}” is deleted.`, [`${bytes(file.size)} are free again.`], { label: 'Put it back', run: async () => {
        await networks.add(file, { name }).catch((error) => report(`“${name}” could not be put back.`, [sentence(error.message)]));
        await this.refresh();
        const length = $('prompt').value.length;
        if (words) insert($('prompt'), `${length ? ' ' : ''}${words}`, length, length);
      } });
    } catch (error) {
      report(`“${name}” was not deleted.`, [sentence(error.message)]);
    }
  }
}

/** A new line, where a prompt has a comment that ends there: what is put behind it is to be read. @param {HTMLTextAreaElement} field @param {number} end */
function behindComment(field, end) {
  return uncommented(field.value, $('dialect').value).slice(0, end).trimEnd().length < end ? '\n' : '';
}
