/** Enlarging a picture: how many times, and by what: a network that the visitor brought, Lanczos, or by drawing on at the larger size. */

import { offered } from '../catalogue/offered.js';
import { LIMITS } from '../limits.js';
import { largerSize, mostTimes } from '../js/begun.js';
import { $, make } from '../js/dom.js';

const FACTORS = [1.5, 2, 3, 4];
/** A model that draws fewer pixels than so many knows no larger pictures either. */
const SMALL = 256 * 256;

export class EnlargeView {
  /** @param {import('../js/begin.js').Begin} begin */
  constructor(begin) {
    this.begin = begin;
    this.factor = make('select', { id: 'factor' });
    this.factor.addEventListener('change', () => { begin.factor = Number(this.factor.value); });
    this.words = make('p', { className: 'mask-words quiet', role: 'status' });
    this.file = make('input', { type: 'file', accept: '.safetensors', hidden: true, tabIndex: -1, ariaLabel: 'An upscaler’s file' });
    this.file.addEventListener('change', () => {
      const [chosen] = this.file.files;
      if (chosen) begin.takeNetwork(chosen);
      this.file.value = ''; // the same file may be chosen again
    });
    this.choose = make('button', { type: 'button', className: 'button small ghost' });
    this.choose.addEventListener('click', () => this.file.click());
    const leave = (words, drawnOn) => {
      const button = make('button', { type: 'button', className: 'link', textContent: words });
      button.addEventListener('click', () => {
        begin.leaveNetwork({ drawnOn });
        this.choose.focus();
      });
      return button;
    };
    this.without = leave('Without it', true);
    this.alone = leave('By Lanczos alone', false);
    const label = make('label', { textContent: 'How many times as large', htmlFor: 'factor' });
    $('enlarging').replaceChildren(
      make('div', { className: 'begin-ways' }, make('div', { className: 'field' }, label, this.factor), this.choose, this.without, this.alone, this.file),
      this.words, offered('upscaler', 'Get an upscaler', (file) => begin.takeNetwork(file)));
  }

  /** @param {Pick<import('../js/begun.js').Begun, 'size' | 'factor' | 'network'>} begun */
  async open({ size, factor, network }) {
    const most = mostTimes(size, network);
    const factors = [...new Set([...FACTORS, factor])].filter((times) => times <= most || times === factor).sort((a, b) => a - b);
    this.factor.replaceChildren(...factors.map((times) => make('option', { value: String(times), textContent: `${times} times` })));
    this.factor.value = String(factor);
    const to = largerSize({ size, factor, network });
    const { width, height } = this.begin.drawn();
    const small = to.width * to.height > 2 * width * height && width * height < SMALL
      ? ` This model draws ${width} × ${height} pixels: larger pictures it blurs and doubles, and an upscaler makes them better.` : '';
    const becomes = `${size.width} × ${size.height} pixels become ${to.width} × ${to.height}`;
    this.words.textContent = network?.hash ? `${becomes}, by “${network.name}” (${network.about}).`
      : network ? `${becomes}, by Lanczos alone: at once, and nothing is made up or drawn on.`
      : `${becomes}, enlarged by Lanczos and drawn on by the model, which adds detail. An upscaler’s file (ESRGAN, Real-ESRGAN or `
        + `SRVGGNetCompact, safetensors) does it by itself, and beyond ${LIMITS.size.to} pixels on a side.${small}`;
    this.choose.textContent = network?.hash ? 'Another upscaler' : 'Choose an upscaler';
    this.without.hidden = !network;
    this.without.textContent = network?.hash ? 'Without it' : 'Let the model draw on';
    this.alone.hidden = network !== null && !network.hash;
  }
}
