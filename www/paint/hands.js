/** What mouse, pen, fingers and keys do to the picture that is painted over. */

import { $ } from '../js/dom.js';

/** Who turns the wheel so far, in its pixels, has the brush grow or the picture come nearer by a factor of e. */
const WHEEL = 700;
/** A key makes the brush so much larger. */
const KEY = 1.2;
/** Of its size a pen has so much without any pressure. */
const LEAST = 0.2;
/** The button at the other end of a pen, as `buttons` has it. */
const PEN_ERASER = 32;

/** @typedef {'brush' | 'eraser' | 'rectangle' | 'lasso'} Tool */

/** The tools by their keys. @type {Record<string, Tool>} */
const TOOLS = { b: 'brush', e: 'eraser', r: 'rectangle', l: 'lasso' };

export class Hands {
  /** Fingers on the picture, by pointer. @type {Map<number, {clientX: number, clientY: number}>} */ #fingers = new Map();
  /** What is being done, from the first touch on. @type {{tool: Tool | 'pan', pointer: number, erase: boolean, points: any[]} | null} */ #act = null;
  /** Whether the pointer is over the picture, and whether the space bar is held. */ #over = false; #space = false;

  /** @param {import('./editor.js').Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.view = editor.view;
    const { root } = this.view;
    root.addEventListener('pointerdown', (event) => this.#down(event));
    root.addEventListener('pointermove', (event) => this.#move(event));
    root.addEventListener('pointerup', (event) => this.#up(event));
    root.addEventListener('pointercancel', (event) => this.#up(event, { lost: true }));
    root.addEventListener('lostpointercapture', (event) => { // after an end there is nothing to lose
      if (event.target === root) this.#up(event, { lost: true });
    });
    root.addEventListener('pointerenter', () => { this.#over = true; });
    root.addEventListener('pointerleave', () => {
      this.#over = false;
      if (!this.#act) this.view.point(null);
    });
    root.addEventListener('contextmenu', (event) => event.preventDefault()); // a long press paints
    root.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    addEventListener('keydown', (event) => this.#key(event));
    addEventListener('keyup', (event) => {
      if (event.key !== ' ' || !this.#space) return;
      event.preventDefault(); // a button that has the focus was not meant
      this.#hold(false);
    });
    addEventListener('blur', () => {
      this.#hold(false);
      this.#fingers.clear();
      this.drop();
    });
  }

  /** Whether something is begun and not complete. */
  get isActing() {
    return this.#act !== null;
  }

  #down(event) {
    const { root } = this.view;
    const { pointerId, pointerType, button, buttons, altKey } = event;
    root.focus({ preventScroll: true });
    if (pointerType === 'touch') this.#fingers.set(pointerId, event);
    if (this.#fingers.size > 1) return this.drop(); // two fingers move the picture
    if (this.#act || (button !== 0 && button !== 1 && !(buttons & PEN_ERASER))) return undefined;
    event.preventDefault(); // the focus is set
    root.setPointerCapture(pointerId);
    const pan = button === 1 || this.#space;
    const turned = Boolean(buttons & PEN_ERASER);
    const tool = pan ? 'pan' : turned ? 'eraser' : this.editor.tool;
    this.#act = { tool, pointer: pointerId, erase: altKey !== (tool === 'eraser'), points: [] };
    if (!pan) this.editor.mask.begin();
    return this.#follow(event);
  }

  #move(event) {
    const { pointerId, pointerType } = event;
    if (this.#fingers.size > 1 && this.#fingers.has(pointerId)) return this.#pinch(event);
    if (pointerType === 'touch' && this.#fingers.has(pointerId)) this.#fingers.set(pointerId, event);
    if (this.#act?.pointer !== pointerId) return this.#hover(event);
    const all = this.#act.tool === 'pan' ? [] : event.getCoalescedEvents?.() ?? [];
    for (const each of all.length ? all : [event]) this.#follow(each);
    return undefined;
  }

  /** A place that the hand has come to. */
  #follow(event) {
    const { tool, erase, points } = this.#act;
    const last = points.at(-1);
    if (tool === 'pan') {
      const { clientX: x, clientY: y } = event;
      if (last) this.view.move(x - last.x, y - last.y);
      points.push({ x, y });
      return;
    }
    const point = { ...this.view.at(event), r: this.editor.reach * pressed(event) };
    points.push(point);
    if (tool === 'brush' || tool === 'eraser') {
      this.editor.mask.stroke(last ?? point, point, { erase, soft: this.editor.brush.soft });
      this.view.draw();
      this.editor.live.offer();
      this.#hover(event);
    } else {
      this.view.outline(tool === 'lasso' ? points : corners(points[0], point));
    }
  }

  #up(event, { lost = false } = {}) {
    this.#fingers.delete(event.pointerId);
    if (event.pointerType !== 'mouse') this.view.point(null);
    if (this.#act?.pointer !== event.pointerId) return;
    if (lost) return void this.drop();
    const { tool, erase, points } = this.#act;
    this.#act = null;
    if (tool === 'pan') return;
    const { mask } = this.editor;
    if (tool === 'rectangle') mask.area(corners(points[0], points.at(-1)), { erase });
    if (tool === 'lasso') mask.area(points, { erase });
    this.view.outline([]);
    this.editor.finish();
  }

  /** What was begun is taken back. @returns {boolean} whether there was anything */
  drop() {
    if (!this.#act) return false;
    if (this.#act.tool !== 'pan') {
      this.editor.mask.cancel();
      this.editor.live.offer();
    }
    this.#act = null;
    this.view.outline([]);
    return true;
  }

  /** Two fingers bring the picture nearer and move it. */
  #pinch(event) {
    const before = [...this.#fingers.values()].slice(0, 2);
    this.#fingers.set(event.pointerId, event);
    const now = [...this.#fingers.values()].slice(0, 2);
    const [from, to] = [middle(before), middle(now)];
    this.view.move(to.clientX - from.clientX, to.clientY - from.clientY);
    this.view.nearer(this.view.scale * apart(now) / Math.max(1, apart(before)), to);
  }

  /** The brush is seen where there is one. */
  #hover(event) {
    const { tool } = this.editor;
    const brush = !this.#space && (tool === 'brush' || tool === 'eraser') && event.pointerType !== 'touch';
    this.view.point(brush ? event : null, this.editor.reach);
  }

  #wheel(event) {
    event.preventDefault();
    const by = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 16 : 1) / WHEEL);
    if (event.ctrlKey || event.metaKey) this.view.nearer(this.view.scale * by ** 3, event);
    else this.editor.resize(by);
    this.#hover(event);
  }

  #key(event) {
    const { key, target, ctrlKey, metaKey, altKey, shiftKey } = event;
    const { root } = this.view;
    const typing = target.closest?.('textarea, select, input:not([type="range"], [type="radio"], [type="checkbox"])');
    if (event.defaultPrevented || typing || !root.checkVisibility() || document.querySelector('dialog[open]')) return;
    const { left, top, width, height } = root.getBoundingClientRect();
    const centre = { clientX: left + width / 2, clientY: top + height / 2 };
    const nearer = (by) => () => this.view.nearer(by ? this.view.scale * by : 1, centre);
    const letter = key.toLowerCase();
    const third = event.getModifierState('AltGraph'); // a character of its own, such as “[”: neither Ctrl nor Alt was meant
    const here = this.#over || root.contains(target) || $('tools').contains(target);
    let act;
    if (key === 'Escape') {
      this.#fingers.clear();
      if (this.drop()) act = () => {};
    } else if ((ctrlKey || metaKey) && !third) {
      if (letter === 'z') act = () => (shiftKey ? this.editor.redo() : this.editor.undo());
      if (letter === 'y') act = () => this.editor.redo();
    } else if ((altKey && !third) || !here) {
      return;
    } else if (Object.hasOwn(TOOLS, letter)) act = () => this.editor.use(TOOLS[letter]);
    else if (key === '[') act = () => this.editor.resize(1 / KEY);
    else if (key === ']') act = () => this.editor.resize(KEY);
    else if (key === '+' || key === '=') act = nearer(1.5);
    else if (key === '-') act = nearer(1 / 1.5);
    else if (key === '0') act = nearer(0);
    else if (key === ' ' && (this.#over || target === root)) act = () => this.#hold(true);
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** The space bar is held: the hand takes hold of the picture. @param {boolean} on */
  #hold(on) {
    this.#space = on;
    this.view.root.toggleAttribute('data-pan', on);
  }
}

/** How much of the brush there is at a place. @param {PointerEvent} event */
const pressed = ({ pointerType, pressure }) => (pointerType === 'pen' ? LEAST + (1 - LEAST) * pressure : 1);

/** The corners of the rectangle between two points. */
const corners = (a, b) => [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }];

const middle = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
const apart = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
