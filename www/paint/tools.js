/** What the brush is told by buttons and fields, below the picture. */

import { $, make } from '../js/dom.js';

/** Strokes on 20 × 20. */
const ICONS = {
  brush: 'M3.5 16.4c2 .3 4.4-.2 4.4-2.5a2.1 2.1 0 0 0-2.2-2.1c-2 0-1.3 2.7-2.2 4.6zM7.7 12l6.9-7.4a1.5 1.5 0 0 1 2.1 2.1L9.2 13.5',
  eraser: 'M8 16.5h8.5M4.1 11.6l7-7a1.6 1.6 0 0 1 2.2 0l2.4 2.4a1.6 1.6 0 0 1 0 2.2l-7 7.1H6.3l-2.2-2.4a1.6 1.6 0 0 1 0-2.3zM7.8 8.2l4.6 4.6',
  rectangle: 'M3.5 7V5h3M9 5h2M13.5 5h3v2M16.5 9.2v1.6M16.5 13v2h-3M11 15H9M6.5 15h-3v-2M3.5 10.8V9.2',
  lasso: 'M10 3.8c3.9 0 6.6 1.9 6.6 4.4s-2.7 4.4-6.6 4.4-6.6-1.9-6.6-4.4S6.1 3.8 10 3.8zM6.4 12.1c-1.6.3-1.9 2.2-.3 2.5 1.5.3 1.6 1.7.2 2.2',
  undo: 'M7.4 4.6 4 8l3.4 3.4M4.2 8h7.4a4 4 0 0 1 0 8H8.8',
  redo: 'M12.6 4.6 16 8l-3.4 3.4M15.8 8H8.4a4 4 0 0 0 0 8h2.8',
};
const TOOLS = { brush: ['Brush', 'B'], eraser: ['Eraser', 'E'], rectangle: ['Rectangle', 'R'], lasso: ['Lasso', 'L'] };
/** What is in the place of what is painted over, before the run. */
const CONTENTS = { original: 'The picture', fill: 'The colours around', noise: 'Noise', zero: 'Nothing' };

function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** @param {string} label @param {() => void} act */
function button(label, act, className = 'button small ghost') {
  const made = make('button', { type: 'button', className, textContent: label });
  made.addEventListener('click', act);
  return made;
}

function slider(id, label, { min, max, step }, act) {
  const input = make('input', { type: 'range', id, min, max, step });
  input.addEventListener('input', () => act(Number(input.value)));
  return make('div', { className: 'brush-slider' }, make('label', { htmlFor: id, textContent: label }), input);
}

function field(id, label, input, ...more) {
  return make('div', { className: 'field' }, make('label', { htmlFor: id, textContent: label }), Object.assign(input, { id }), ...more);
}

export class Tools {
  /** @param {import('./editor.js').Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.words = make('p', { className: 'mask-words quiet', id: 'mask-words', role: 'status' });
    $('tools').replaceChildren(this.#row(), this.#sliders(), editor.live.root, make('div', { className: 'tool-more' }, this.words, this.#more()));
    this.draw();
  }

  /** Shows what is set. */
  draw() {
    const { tool, brush, mask, begin } = this.editor;
    for (const [name, one] of Object.entries(this.tools)) one.setAttribute('aria-pressed', String(name === tool));
    for (const [name, can] of [['undo', mask?.canUndo], ['redo', mask?.canRedo]]) this[name].setAttribute('aria-disabled', String(!can));
    this.sliders.toggleAttribute('data-off', tool !== 'brush' && tool !== 'eraser');
    $('brush-size').value = String(Math.sqrt(brush.size));
    $('brush-soft').value = String(brush.soft);
    const { maskBlur, maskedContent, differential, onlyMasked } = begin.how;
    if (document.activeElement !== $('maskBlur')) $('maskBlur').value = String(maskBlur);
    $('maskedContent').value = maskedContent;
    $('differential').checked = differential;
    $('onlyMasked').checked = onlyMasked;
  }

  /** Says how much is painted. @param {number} share 0 … 1 */
  say(share) {
    const percent = share < 0.01 ? 'Less than 1' : `${Math.round(100 * share)}`;
    this.words.textContent = share === 0
      ? 'Paint over what shall become something else, then say what the whole picture shows.'
      : `${percent} % of the picture is drawn anew; everything else stays as it is.`;
  }

  #row() {
    this.tools = Object.fromEntries(Object.entries(TOOLS).map(([name, [label, key]]) => {
      const one = make('button', { type: 'button', className: 'tool', title: `${label} (${key})` },
        icon(name), make('span', { textContent: label }));
      one.addEventListener('click', () => this.editor.use(name));
      return [name, one];
    }));
    for (const [name, label, keys] of [['undo', 'Undo', 'Ctrl+Z'], ['redo', 'Redo', 'Ctrl+Shift+Z']]) {
      this[name] = make('button', { type: 'button', className: 'tool', title: `${label} (${keys})`, ariaLabel: label }, icon(name));
      this[name].addEventListener('click', () => this.editor[name]());
    }
    const all = make('div', { className: 'tool-row', role: 'toolbar', ariaLabel: 'Painting' }, ...Object.values(this.tools),
      make('span', { className: 'tool-gap' }), this.undo, this.redo);
    return all;
  }

  #sliders() {
    this.sliders = make('div', { className: 'brush-sliders' },
      slider('brush-size', 'Size', { min: 0.08, max: 0.8, step: 0.01 }, (value) => this.editor.setBrush({ size: value ** 2 })),
      slider('brush-soft', 'Soft edge', { min: 0, max: 1, step: 0.05 }, (value) => this.editor.setBrush({ soft: value })));
    return this.sliders;
  }

  #more() {
    const { editor } = this;
    const file = make('input', { type: 'file', id: 'mask-file', accept: 'image/*', hidden: true, tabIndex: -1 });
    file.setAttribute('aria-label', 'A mask');
    file.addEventListener('change', () => {
      if (file.files[0]) editor.load(file.files[0]);
      file.value = '';
    });
    const ways = make('div', { className: 'begin-ways' },
      button('Invert', () => editor.change((mask) => mask.invert())),
      button('Clear', () => editor.change((mask) => mask.clear())),
      button('Save mask', () => editor.save()),
      button('Load mask', () => file.click()),
      button('Whole picture', () => editor.view.whole()), file);
    return make('details', { className: 'more' }, make('summary', { textContent: 'More' }), ways, this.#numbers(), this.#options());
  }

  /** A rectangle for who paints with keys. */
  #numbers() {
    const names = { x: 'From the left', y: 'From the top', w: 'Width', h: 'Height' };
    const inputs = Object.fromEntries(Object.keys(names).map((name) => [name, make('input', { type: 'number', min: 0, step: 1, inputMode: 'numeric' })]));
    const error = make('p', { className: 'field-error', id: 'rectangle-error', hidden: true });
    const act = (erase) => {
      const [x, y, w, h] = Object.values(inputs).map(({ value }) => (value.trim() === '' ? NaN : Number(value)));
      const fits = [x, y, w, h].every(Number.isFinite) && w > 0 && h > 0;
      error.hidden = fits;
      const { width, height } = this.editor.picture;
      error.textContent = fits ? '' : `The rectangle takes four numbers of pixels; the picture has ${width} × ${height}.`;
      if (!fits) return void inputs.x.focus();
      const { scale } = this.editor;
      this.editor.change((mask) => mask.rectangle(x * scale, y * scale, (x + w) * scale, (y + h) * scale, { erase }));
    };
    for (const input of Object.values(inputs)) input.setAttribute('aria-describedby', 'rectangle-error');
    return make('fieldset', { className: 'group' }, make('legend', { textContent: 'A rectangle by numbers, in pixels' }),
      make('div', { className: 'fields four' }, ...Object.entries(names).map(([name, label]) => field(`rectangle-${name}`, label, inputs[name]))),
      error, make('div', { className: 'begin-ways' }, button('Paint it', () => act(false)), button('Erase it', () => act(true))));
  }

  #options() {
    const { begin } = this.editor;
    const blur = make('input', { type: 'number', min: 0, max: 64, step: 0.1, inputMode: 'decimal' });
    blur.addEventListener('input', () => { begin.how = { maskBlur: blur.value === '' ? null : Number(blur.value) }; });
    blur.setAttribute('aria-describedby', 'maskBlur-error');
    const content = make('select', {}, ...Object.entries(CONTENTS).map(([value, textContent]) => make('option', { value, textContent })));
    content.addEventListener('change', () => { begin.how = { maskedContent: content.value }; });
    const soft = make('input', { type: 'checkbox', id: 'differential' });
    soft.addEventListener('change', () => { begin.how = { differential: soft.checked }; });
    const only = make('input', { type: 'checkbox', id: 'onlyMasked' });
    only.addEventListener('change', () => { begin.how = { onlyMasked: only.checked }; });
    return make('fieldset', { className: 'group' }, make('legend', { textContent: 'How it is drawn anew' }),
      make('div', { className: 'fields' },
        field('maskBlur', 'Mask blur, in pixels', blur, make('p', { className: 'field-error', id: 'maskBlur-error', hidden: true })),
        field('maskedContent', 'There before it begins', content),
        make('label', { className: 'switch wide' }, only, make('span', { textContent: 'Only this part is drawn, as large as a whole picture' })),
        make('p', { className: 'field-error wide', id: 'onlyMasked-error', hidden: true }),
        make('label', { className: 'switch wide' }, soft, make('span', { textContent: 'Where it is painted softly, less may change' })),
        make('p', { className: 'field-error wide', id: 'differential-error', hidden: true })));
  }
}
