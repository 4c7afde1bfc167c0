/** Part 3, words into pictures: the prompt's tokens, and where in the picture each was looked at. */

import { make } from '../js/dom.js';
import { Figure, Work, button, field, input, range, row, section, select } from './kit.js';
import { toImageData } from './lab.js';
import { TEXTS } from './texts.js';

const T = TEXTS.words;
const MEAN = 'mean';

export class Words {
  /** The maps of every step, oldest first. */ #steps = [];
  #tokens = [];
  #chosen = 1;
  #image = null;
  #asked = 0;

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.work = new Work();
    this.prompt = input({ value: lab.model.examples[0]?.prompt ?? '' });
    this.prompt.addEventListener('input', () => this.#read());
    this.tokens = make('div', { className: 'tokens', role: 'group', ariaLabel: T.tokens });
    this.layer = select([[MEAN, T.allLayers]]);
    this.layer.addEventListener('change', () => this.#paint());
    this.step = range({ min: 1, max: 1, value: 1 });
    this.step.addEventListener('input', () => this.#paint());
    this.result = new Figure(T.result);
    this.heat = new Figure('');
    this.draw = button(T.draw, () => this.#run(), { primary: true });
    this.looks = row('looks', row('controls', field(T.layer, this.layer), field(T.step, this.step, { wide: true })),
      row('shots two', this.result.root, this.heat.root));
    this.looks.hidden = true;
    this.root = section(T, row('controls', field(TEXTS.prompt, this.prompt, { wide: true }), this.draw),
      this.tokens, this.work.root, this.looks);
    lab.ready().then(() => this.#read()).catch(() => {}); // told when something is asked
  }

  /** Shows the tokens of what is typed. */
  async #read() {
    const turn = ++this.#asked;
    const tokens = await this.lab.ask({ what: 'tokens', prompt: this.prompt.value });
    if (turn === this.#asked) this.#showTokens(tokens);
  }

  #showTokens(tokens) {
    this.#tokens = tokens;
    this.#chosen = Math.min(this.#chosen, tokens.length - 1);
    this.tokens.replaceChildren(...tokens.map((token, i) => {
      const chip = make('button', { type: 'button', className: 'token', textContent: this.#name(i), ariaPressed: 'false' });
      chip.toggleAttribute('data-special', !token.text);
      chip.addEventListener('click', () => this.#choose(i));
      return chip;
    }));
    this.#choose(this.#chosen);
  }

  #name(i) {
    return this.#tokens[i]?.text || (i === 0 ? T.begin : T.end);
  }

  #choose(i) {
    this.#chosen = i;
    for (const [k, chip] of [...this.tokens.children].entries()) chip.ariaPressed = String(k === i);
    this.#paint();
  }

  async #run() {
    this.looks.hidden = true;
    await this.work.run(async (signal) => {
      await this.lab.ready(signal);
      const request = this.lab.request({ prompt: this.prompt.value, seed: this.lab.model.examples[0]?.seed ?? 0 });
      this.#showTokens(await this.lab.ask({ what: 'tokens', prompt: request.prompt }, signal));
      const { latents: start, steps } = await this.lab.ask({ what: 'begin', request }, signal);
      let latents = start;
      const taken = [];
      for (let index = 0; index < steps.length; index++) {
        this.work.progress(T.working(index + 1, steps.length));
        const trace = await this.lab.ask({ what: 'step', request, index, latents, maps: true }, signal);
        latents = trace.next;
        taken.push(trace.maps);
      }
      const { width, height } = request;
      this.#image = toImageData(await this.lab.ask({ what: 'decode', latents, width, height }, signal));
      this.#steps = taken;
      this.result.show(this.#image, request.prompt);
      this.#shape();
      this.work.say(T.done);
    });
  }

  /** The layers and steps there are to choose from. */
  #shape() {
    const layers = this.#steps[0] ?? [];
    const options = [[MEAN, T.allLayers], ...layers.map((map, i) => [String(i), layerName(map)])];
    this.layer.replaceChildren(...options.map(([value, textContent]) => make('option', { value, textContent })));
    Object.assign(this.step, { max: this.#steps.length, value: this.#steps.length });
    this.looks.hidden = false;
    this.#paint();
  }

  #paint() {
    const step = this.step.valueAsNumber;
    const maps = this.#steps[step - 1];
    if (!maps?.length || !this.#image) return;
    const chosen = this.layer.value === MEAN ? maps : [maps[Number(this.layer.value)]];
    if (this.#chosen >= chosen[0].tokens) return; // typed since, and not drawn yet
    const words = T.heat(this.#name(this.#chosen));
    const { image, largest } = heatMap(this.#image, chosen, this.#chosen);
    this.step.setAttribute('aria-valuetext', T.stepOf(step, this.#steps.length));
    this.heat.show(image, `${words}, ${T.share(largest)}`);
    this.heat.caption.replaceChildren(words, ' ', this.heat.detail);
    this.heat.detail.textContent = `${T.stepOf(step, this.#steps.length)} · ${T.share(largest)}`;
  }
}

/** "way down 2, layer 1 (16 × 16)" of a module's path. */
function layerName({ layer, width, height }) {
  const [, block, number, index] = /unet\.(down_blocks|mid_block|up_blocks)(?:\.(\d+))?\.attentions\.(\d+)/.exec(layer);
  return T.layerName(T.blocks[block], number === undefined ? '' : ` ${Number(number) + 1}`, Number(index) + 1, width, height);
}

/** The picture, darkened where the token was not looked at: the mean of the maps, smoothly enlarged. */
function heatMap({ width, height, data }, maps, token) {
  const mean = meanOf(maps, token, Math.min(width, FINEST), Math.min(height, FINEST));
  const largest = mean.values.reduce((a, b) => Math.max(a, b), 0);
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const share = sample(mean, 0, (i % width + 0.5) / width, (Math.floor(i / width) + 0.5) / height);
    const light = largest > 0 ? share / largest : 0;
    const grey = (data[4 * i] * 0.3 + data[4 * i + 1] * 0.59 + data[4 * i + 2] * 0.11) * 0.25;
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = grey * (1 - light) + HOT[c] * light;
    image.data[4 * i + 3] = 255;
  }
  return { image, largest };
}

/** No layer of these models looks more finely than at so many cells a side. */
const FINEST = 64;

/** The mean of one token's maps, all enlarged to one size. */
function meanOf(maps, token, width, height) {
  const values = new Float32Array(width * height);
  for (const map of maps) {
    for (let i = 0; i < values.length; i++) {
      values[i] += sample(map, token, (i % width + 0.5) / width, (Math.floor(i / width) + 0.5) / height) / maps.length;
    }
  }
  return { width, height, tokens: 1, values };
}

/** The colour of the place that was looked at most. */
const HOT = [255, 196, 64];

/** One token's share at a place (0 … 1 each way), bilinear between the cells' middles. */
function sample({ width, height, tokens, values }, token, u, v) {
  const x = Math.min(Math.max(u * width - 0.5, 0), width - 1);
  const y = Math.min(Math.max(v * height - 0.5, 0), height - 1);
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const [x1, y1] = [Math.min(x0 + 1, width - 1), Math.min(y0 + 1, height - 1)];
  const at = (cx, cy) => values[(cy * width + cx) * tokens + token];
  const top = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * (x - x0);
  const bottom = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * (x - x0);
  return top + (bottom - top) * (y - y0);
}
