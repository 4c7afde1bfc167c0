/** The plot of signal and noise shares over time: two curves and where the slider stands. */

const NS = 'http://www.w3.org/2000/svg';
const WIDTH = 320;
const HEIGHT = 96;

export function shape(name, attributes) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export class Plot {
  #last = 1;

  constructor({ plot, signal, noise }) {
    this.root = shape('svg', { viewBox: `-2 -4 ${WIDTH + 4} ${HEIGHT + 8}`, role: 'img', 'aria-label': plot, class: 'plot' });
    this.curves = { signal: shape('path', { class: 'signal' }), noise: shape('path', { class: 'noise' }) };
    this.marker = shape('line', { class: 'marker', y1: -4, y2: HEIGHT + 4 });
    const frame = shape('path', { class: 'frame', d: `M0 0V${HEIGHT}H${WIDTH}` });
    const label = (text, kind, y) => { // they end where the plot does, however large type is
      const element = shape('text', { class: kind, x: WIDTH - 4, y, 'text-anchor': 'end' });
      element.textContent = text;
      return element;
    };
    this.root.append(frame, this.curves.signal, this.curves.noise, this.marker,
      label(signal, 'signal', 68), label(noise, 'noise', 18));
  }

  /** @param {{signal: Float32Array, noise: Float32Array, last: number}} schedule */
  draw({ signal, noise, last }) {
    this.#last = last;
    const stride = Math.max(1, Math.floor(last / 160));
    const path = (values) => {
      const points = [];
      for (let t = 0; t <= last; t += stride) {
        points.push(`${((t / last) * WIDTH).toFixed(1)} ${((1 - values[t]) * HEIGHT).toFixed(1)}`);
      }
      return `M${points.join('L')}`;
    };
    this.curves.signal.setAttribute('d', path(signal));
    this.curves.noise.setAttribute('d', path(noise));
    this.mark(0);
  }

  mark(t) {
    const x = (t / this.#last) * WIDTH;
    this.marker.setAttribute('x1', x);
    this.marker.setAttribute('x2', x);
  }
}
