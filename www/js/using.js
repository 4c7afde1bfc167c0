/** Which model is in use: chosen, added, introduced with its examples and words. */

import { $, bytes, keep, make } from './dom.js';
import { report } from './report.js';
import { sampleCount, showSamples } from './samples.js';
import { brought } from './shell.js';
import { banner, say } from './status.js';
import { brief, errorWords } from './words.js';

/** What is said once of models that draw whatever they are asked for. */
const once = () => brought(() => import('../catalogue/once.js'), new URL('../catalogue/once.js', import.meta.url));

export class Using {
  /** What the form held for the model in use, while another one is on its way. @type {Record<string, string> | null} */
  #before = null;

  /**
   * @param {object} options
   * @param {import('./session.js').Session} options.session
   * @param {import('./choice.js').Choice} options.choice
   * @param {import('./removal.js').Removal} options.removal
   * @param {import('./settings.js').Settings} options.settings
   * @param {import('./making.js').Making} options.making
   * @param {(model: import('../protocol.d.ts').ModelInfo) => void} options.onIntroduced
   * @param {(action: string) => void} options.onWayOut what a banner offers was pressed
   */
  constructor({ session, choice, removal, settings, making, onIntroduced, onWayOut }) {
    Object.assign(this, { session, choice, removal, settings, making, onIntroduced, onWayOut, queue: making.queue });
    $('model').addEventListener('change', () => this.use(choice.find($('model').value)));
  }

  /** The model of last time, or the first. @param {string[]} typed fields that the visitor has changed already */
  start(typed) {
    const model = this.choice.find(keep.read('model')) ?? this.choice.all[0];
    this.settings.restore(model, typed);
    this.introduce(model);
    this.session.start(model);
    this.list();
    this.session.started().then((og) => this.choice.refresh(og)).catch(() => {}); // told through the session's state
  }

  /** The models under Settings. One that has been removed stays while it is in use. */
  list() {
    const { session, choice } = this;
    const there = choice.all.some(({ id }) => id === session.model.id) ? choice.all : [...choice.all, session.model];
    $('model').replaceChildren(...there.map(({ id, name }) => make('option', { value: id, textContent: name })));
    $('model').value = session.model.id;
  }

  /** Another model from now on; what waits for the one before is let go. */
  use(model) {
    const { queue } = this;
    const dropped = queue.waiting.length;
    queue.clear();
    queue.cancel();
    keep.write('model', model.id);
    const before = this.settings.fit(model);
    this.#before ??= before;
    this.introduce(model);
    this.session.start(model);
    this.list();
    this.tell(model);
    if (dropped) report(`${dropped} waiting for the other model ${dropped === 1 ? 'was' : 'were'} taken out of the queue.`);
  }

  /** What is said once of a model that draws whatever it is asked for. */
  tell(model) {
    if (model.general) once().then(({ tellOnce }) => tellOnce(model.name), () => {}); // offline: next time
  }

  /** The model is ready: what the form held for another one is not needed any more. */
  loaded() {
    this.#before = null;
  }

  /** Another model could not be loaded: the one before is in use still, with the settings it had. */
  kept(failed, error) {
    const { session } = this;
    keep.write('model', session.model.id);
    if (this.#before) this.settings.unfit(this.#before, failed);
    this.#before = null;
    this.introduce(session.model);
    this.list();
    const words = errorWords(error, failed, session.offline);
    const again = words.action === 'retry' || words.action === 'refetch';
    banner({ ...words, title: `${words.title} ${session.model.name} is still in use.` },
      (action) => (again ? this.use(failed) : this.onWayOut(action)));
    say(`${session.model.name} is still in use`, 'your prompt and settings are kept');
  }

  /** Changes to the model of that id or name. @returns {string[]} why not, if it is not here */
  choose(wanted) {
    const { session } = this;
    const model = this.choice.find(wanted);
    if (!model) return [`It was made with the model “${brief(wanted)}”, which is not here: ${session.model.name} draws something else.`];
    if (model.id !== session.model.id) this.use(model);
    return [];
  }

  /** A model of the visitor's is in the store: the one in use from now on, unless another one is at work. */
  async added({ id }) {
    this.removal.undo(id);
    await this.choice.refresh(this.session.og);
    const model = this.choice.find(id);
    const kept = 'It is kept in this browser, works offline, and can be deleted where the model’s name stands above.';
    const { session } = this;
    if (id === session.model.id && session.state !== 'ready') {
      // It was gone from the store. An attempt under way may have looked before it was there again.
      session.start(model);
      report(`${model.name} was added and is in use now.`, [kept]);
      if (this.queue.paused) this.queue.resume();
    } else if (this.queue.running || this.queue.waiting.length) {
      report(`${model.name} was added.`, [kept], { label: 'Use it', run: () => this.use(model) });
    } else {
      if (id !== session.model.id) this.use(model);
      report(`${model.name} was added and is in use now.`, [kept]);
    }
  }

  /** A model has another part from now on: the one in use is loaded with it. */
  async given(id) {
    const { session, choice } = this;
    await choice.refresh(session.og);
    if (id === session.model.id) session.start(choice.find(id) ?? session.model);
  }

  /** A model was deleted, or is wanted after all. */
  async forgotten(id) {
    const { session } = this;
    await this.choice.refresh(session.og).catch(() => {}); // as it was, then
    if (id !== session.model?.id || session.state !== 'ready') return;
    if (this.removal.has(id)) say(`${session.model.name} was deleted`, 'it still works until this tab is closed');
    else say(`${session.model.name} is kept`);
  }

  introduce(model) {
    $('welcome-size').textContent = model.own ? '' : `The model, ${bytes(model.bytes)}, is fetched once.`;
    $('model-about').textContent = model.about;
    $('knows').hidden = !model.knows;
    this.onIntroduced(model);
    const draw = ({ prompt, seed }) => {
      this.settings.setPrompt(prompt);
      this.making.generate({ seed });
    };
    showSamples(model, draw);
    const items = model.examples.map((example) => {
      const button = make('button', { type: 'button', textContent: example.prompt });
      button.addEventListener('click', () => draw(example));
      return make('li', {}, button);
    });
    const samples = items.splice(0, sampleCount(model)); // come last, since they are not there until there are pictures
    for (const item of samples) item.setAttribute('data-sample', '');
    $('examples').replaceChildren(...items, ...(model.knows ? [this.#surprise(model)] : []), ...samples);
  }

  /** @returns {HTMLLIElement} */
  #surprise(model) {
    const button = make('button', { type: 'button', className: 'surprise', textContent: 'Surprise me' });
    button.addEventListener('click', async () => {
      const { surprisePrompt } = await brought(() => import('./vocabulary.js'), new URL('./vocabulary.js', import.meta.url));
      this.settings.setPrompt(surprisePrompt(model.knows));
      this.making.generate();
    });
    return make('li', {}, button);
  }
}
