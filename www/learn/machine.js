/** The whole machine as one drawing: its pieces are lit as a run goes through them, and each leads to its part. */

import { make } from '../js/dom.js';
import { Work, button, row } from './kit.js';
import { toImageData } from './lab.js';
import { TEXTS } from './texts.js';

const T = TEXTS.machine;
const NS = 'http://www.w3.org/2000/svg';
/** Where each piece is taken apart. */
const PARTS = {
  words: 'words', tokens: 'words', text: 'words', noise: 'into', unet: 'back', scheduler: 'back', vae: 'into', picture: 'vary',
};
/** Boxes as x, y, width, height; arrows as the piece they lead to and their path; what is seen inside as x, y, side. */
const WIDE = {
  size: [1000, 262],
  boxes: {
    words: [2, 2, 190, 68], tokens: [232, 2, 130, 68], text: [402, 2, 150, 68], noise: [178, 132, 184, 100],
    unet: [402, 132, 150, 100], scheduler: [618, 132, 180, 100], vae: [618, 2, 180, 68], picture: [834, 2, 164, 230],
  },
  arrows: [['tokens', 'M192 36H228'], ['text', 'M362 36H398'], ['unet', 'M477 70V128'], ['unet', 'M362 182H398'],
    ['scheduler', 'M552 160C574 148 592 148 614 158'], ['unet', 'M618 206C596 218 578 218 556 206'],
    ['vae', 'M708 132V74'], ['picture', 'M798 36H830']],
  seen: { noise: [288, 146, 62], scheduler: [730, 164, 58], picture: [846, 68, 140] },
};
const TALL = {
  size: [344, 524],
  boxes: {
    words: [2, 2, 340, 60], tokens: [2, 92, 150, 60], text: [192, 92, 150, 60], noise: [2, 192, 150, 92],
    unet: [192, 192, 150, 92], scheduler: [192, 332, 150, 92], vae: [2, 332, 150, 60], picture: [2, 444, 340, 78],
  },
  arrows: [['tokens', 'M77 62V88'], ['text', 'M152 122H188'], ['unet', 'M267 152V188'], ['unet', 'M152 238H188'],
    ['scheduler', 'M296 284C306 300 306 312 298 328'], ['unet', 'M238 332C228 316 228 304 236 288'],
    ['vae', 'M192 362H156'], ['picture', 'M77 392V440']],
  seen: { noise: [84, 206, 60], scheduler: [282, 366, 50], picture: [270, 450, 66] },
};
/** How long an arrow's barbs are. */
const HEAD = 8;
const narrow = matchMedia('(max-width: 799px)');

function shape(name, attributes, ...children) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A way with its head in one path: they have one colour whatever lights them. */
function arrow(d) {
  const way = shape('path', { d, class: 'arrow' });
  const long = way.getTotalLength();
  const [from, to] = [way.getPointAtLength(long - 4), way.getPointAtLength(long)];
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  const barb = (turn) => `${(to.x - HEAD * Math.cos(angle + turn)).toFixed(1)} ${(to.y - HEAD * Math.sin(angle + turn)).toFixed(1)}`;
  way.setAttribute('d', `${d}M${barb(0.5)}L${to.x} ${to.y}L${barb(-0.5)}`);
  return way;
}

export class Machine {
  #turn = 0;
  /** What stands in the second line of a box. */ #says = { ...T.says };

  /** @param {import('./lab.js').Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.work = new Work();
    this.seen = Object.fromEntries(Object.keys(WIDE.seen).map((name) =>
      [name, make('canvas', { width: 1, height: 1, ariaHidden: 'true', className: name === 'picture' ? '' : 'cells' })]));
    this.svg = shape('svg', { role: 'group', 'aria-label': T.label });
    this.now = make('p', { className: 'now quiet', textContent: T.idle });
    this.root = make('section', { className: 'machine', ariaLabel: T.label }, row('drawing', this.svg, ...Object.values(this.seen)),
      row('controls', button(T.run, () => this.#run(), { primary: true }), this.now, this.work.root));
    narrow.addEventListener('change', () => this.#lay());
    lab.session.runs.addEventListener('run', ({ detail }) => this.#show(detail));
    this.#lay();
  }

  arrive() {
    return this.#run();
  }

  leave() {
    this.work.abort();
  }

  /** One example after the other. */
  #run() {
    const { examples } = this.lab.model;
    const example = examples[this.#turn++ % examples.length];
    if (!example) return Promise.resolve(null);
    return this.work.run(async (signal) => {
      const { image } = await this.lab.ask({ what: 'begin', request: this.lab.request(example) }, signal);
      this.#draw('noise', toImageData(image));
      const drawn = await this.lab.example(example, signal);
      this.work.say('');
      return drawn;
    });
  }

  /** Places everything for the room there is. */
  #lay() {
    const { size: [w, h], boxes, arrows, seen } = narrow.matches ? TALL : WIDE;
    this.svg.setAttribute('viewBox', `0 0 ${w} ${h}`);
    this.boxes = Object.fromEntries(Object.entries(boxes).map(([name, [x, y, width, height]]) => {
      const line = (dy, className, words) => shape('text', { x: x + 12, y: y + dy, class: className }, words);
      this.boxWords ??= {};
      this.boxWords[name] = line(48, 'says', this.#says[name]);
      return [name, shape('a', { href: `#how-${PARTS[name]}` },
        shape('rect', { x, y, width, height, rx: 8 }), line(26, 'name', T.names[name]), this.boxWords[name])];
    }));
    this.arrows = arrows.map(([to, d]) => [to, arrow(d)]);
    this.svg.replaceChildren(...this.arrows.map(([, path]) => path), ...Object.values(this.boxes));
    for (const [name, [x, y, side]] of Object.entries(seen)) {
      Object.assign(this.seen[name].style, { left: `${(100 * x) / w}%`, top: `${(100 * y) / h}%`, width: `${(100 * side) / w}%` });
    }
  }

  #say(name, words) {
    this.#says[name] = words;
    this.boxWords[name].textContent = words;
  }

  #draw(name, image) {
    Object.assign(this.seen[name], { width: image.width, height: image.height });
    this.seen[name].getContext('2d').putImageData(image, 0, 0);
  }

  /** @param {import('../js/session.js').Run} run */
  #show({ pieces, prompt, step, steps, preview, image }) {
    for (const [name, box] of Object.entries(this.boxes)) box.toggleAttribute('data-lit', pieces.includes(name));
    for (const [to, path] of this.arrows) path.toggleAttribute('data-lit', pieces.includes(to));
    if (prompt) this.#say('words', short(prompt));
    if (step) this.#say('scheduler', T.step(step, steps));
    if (preview) this.#draw('scheduler', toImageData(preview));
    if (image) this.#draw('picture', image);
    if (pieces.length) this.now.textContent = T.now[pieces.at(-1)](step, steps);
  }
}

/** As much of a prompt as the box has room for. */
const short = (prompt) => (prompt.length > 22 ? `${prompt.slice(0, 21)}…` : prompt);
