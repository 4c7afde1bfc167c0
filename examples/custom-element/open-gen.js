/**
 * <open-gen prompt="a fox in the snow">: drawn when it comes into view, and again when an attribute changes: prompt, seed,
 * steps, width, height, model (an address; else mini). `state`: loading, drawing, done, failed. Events: progress, done, error.
 * No shadow root: an <img> whose alt is the prompt, a <progress>, a line of status.
 */
import { OpenGen } from 'opengen';
import { mini } from 'opengen/mini';

let engine, loaded; // one for all elements of a page, which draw in turn
let line = Promise.resolve();

const SETTINGS = ['seed', 'steps', 'width', 'height'];
const view = new IntersectionObserver((seen) => seen.forEach((e) => e.isIntersecting && e.target.draw()));

customElements.define('open-gen', class extends HTMLElement {
  static observedAttributes = ['prompt', 'model', ...SETTINGS];
  #stop;

  connectedCallback() {
    if (!this.firstChild) this.innerHTML = '<img alt="" hidden><progress hidden></progress><span role="status"></span>';
    [this.img, this.bar, this.words] = this.children;
    view.observe(this);
  }

  disconnectedCallback() {
    view.unobserve(this);
    this.#stop?.abort();
  }

  attributeChangedCallback(name, old, now) {
    if (this.#stop && this.isConnected && old !== now) this.draw();
  }

  async draw() {
    view.unobserve(this);
    this.#stop?.abort();
    const { signal } = (this.#stop = new AbortController());
    const prompt = this.getAttribute('prompt') ?? '';
    const given = SETTINGS.filter((name) => this.hasAttribute(name)).map((name) => [name, this.getAttribute(name)]);
    const options = Object.fromEntries(given.map(([name, text]) => [name, name === 'seed' ? text : +text]));
    const turn = line.then(() => this.#make(this.getAttribute('model') ?? mini, { prompt, ...options, signal }));
    line = turn.catch(() => {});
    try {
      this.#be('loading', 'Loading');
      const { image, seed } = await turn;
      if (signal.aborted) return;
      URL.revokeObjectURL(this.img.src);
      Object.assign(this.img, { src: URL.createObjectURL(image), alt: prompt, hidden: false });
      this.#be('done', '', { seed, blob: image });
    } catch (error) {
      if (!signal.aborted) this.#be('failed', error.message, error);
    }
  }

  async #make(model, options) {
    const og = await (engine ??= OpenGen.create().catch((error) => { engine = null; throw error; }));
    if (loaded !== model) await og.models.load(model, { signal: options.signal });
    loaded = model;
    return og.generate({ ...options, imageType: 'Blob', onStep: (event) => {
      this.#be('drawing', 'Drawing', event);
      Object.assign(this.bar, { value: event.step, max: event.steps });
    } });
  }

  #be(state, words, detail) {
    this.setAttribute('state', state);
    this.words.textContent = words;
    this.bar.hidden = state !== 'drawing';
    const type = { drawing: 'progress', done: 'done', failed: 'error' }[state];
    if (type) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
});
