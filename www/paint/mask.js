/**
 * A mask that is painted: how much of each pixel is drawn anew, and every change back to the first, as far as memory goes.
 * It knows of no page: points are in its own pixels, and what has changed is asked for by who shows it.
 */

/** Changes are kept in squares of this side: a stroke touches few of them. */
const TILE = 64;
/** What earlier states may take, in bytes; of more the oldest are forgotten. */
const MOST_BYTES = 64e6;
/** Lines within a pixel's height at which an area's edge is looked up. */
const LINES = 4;

/** @typedef {{x: number, y: number, r: number}} Dab where a brush is, and how far it reaches */

export class Mask {
  /** What each tile of a change held before it, by the tile's number. @typedef {Map<number, Uint8Array>} Change */
  /** @type {Change[]} */ #done = [];
  /** @type {Change[]} */ #undone = [];
  /** The change that goes on. @type {Change | null} */ #open = null;
  /** The rectangle that has changed since it was asked for, edges after the last pixel. */ #dirty = { left: 0, top: 0, right: 0, bottom: 0 };

  /** @param {number} width pixels @param {number} height pixels @param {{most?: number}} [options] */
  constructor(width, height, { most = MOST_BYTES } = {}) {
    Object.assign(this, { width, height, most });
    /** 0 stays, 255 is drawn anew. */
    this.data = new Uint8Array(width * height);
    this.across = Math.ceil(width / TILE);
    this.#soil(0, 0, width, height);
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  get isEmpty() {
    return this.data.every((value) => value === 0);
  }

  /** How much of the picture is painted, 0 … 1. */
  get share() {
    return this.data.reduce((sum, value) => sum + value, 0) / (255 * this.data.length);
  }

  /** Everything until `end` is one change. */
  begin() {
    this.end();
    this.#open = new Map();
  }

  /** @returns {boolean} whether anything was changed */
  end() {
    const change = this.#open;
    this.#open = null;
    if (!change?.size) return false;
    this.#done.push(change);
    this.#undone = [];
    for (let bytes = this.#bytes(); bytes > this.most && this.#done.length > 1;) bytes -= sizeOf(this.#done.shift());
    return true;
  }

  /** Takes back what was done since `begin`, as if it had not been. */
  cancel() {
    const change = this.#open;
    this.#open = null;
    if (change) this.#swap(change);
  }

  /** @returns {boolean} whether there was anything to take back */
  undo() {
    return this.#move(this.#done, this.#undone);
  }

  /** @returns {boolean} whether there was anything to do again */
  redo() {
    return this.#move(this.#undone, this.#done);
  }

  /**
   * A brush from one place to the next; over and over in one stroke it paints no more than once.
   * @param {Dab} from @param {Dab} to @param {{erase?: boolean, soft?: number}} [how] `soft`: the share of the reach over
   *   which it fades, 0 … 1
   */
  stroke(from, to, { erase = false, soft = 0 } = {}) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const square = dx * dx + dy * dy;
    const reach = Math.max(from.r, to.r) + 1;
    const box = this.#box(Math.min(from.x, to.x) - reach, Math.min(from.y, to.y) - reach,
      Math.max(from.x, to.x) + reach, Math.max(from.y, to.y) + reach);
    this.#touch(box);
    const { data, width } = this;
    for (let y = box.top; y < box.bottom; y++) {
      const py = y + 0.5 - from.y;
      for (let x = box.left; x < box.right; x++) {
        const at = y * width + x;
        if (data[at] === (erase ? 0 : 255)) continue; // as it shall be, as most of a stroke is
        const px = x + 0.5 - from.x;
        const t = square ? Math.min(1, Math.max(0, (px * dx + py * dy) / square)) : 0;
        const r = from.r + (to.r - from.r) * t;
        const [ox, oy] = [px - t * dx, py - t * dy];
        const far = ox * ox + oy * oy;
        if (far >= (r + 0.5) * (r + 0.5)) continue;
        this.#mix(at, smooth(Math.min(1, (r + 0.5 - Math.sqrt(far)) / (1 + soft * r))), erase);
      }
    }
  }

  /** All between two corners. @param {number} left @param {number} top @param {number} right @param {number} bottom */
  rectangle(left, top, right, bottom, how = {}) {
    this.area([{ x: left, y: top }, { x: right, y: top }, { x: right, y: bottom }, { x: left, y: bottom }], how);
  }

  /** All that a closed line goes around. @param {{x: number, y: number}[]} line @param {{erase?: boolean}} [how] */
  area(line, { erase = false } = {}) {
    const xs = line.map(({ x }) => x);
    const ys = line.map(({ y }) => y);
    const box = this.#box(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
    this.#touch(box);
    const cover = new Float32Array(this.width);
    for (let y = box.top; y < box.bottom; y++) {
      cover.fill(0, box.left, box.right);
      for (let i = 0; i < LINES; i++) for (const span of spans(line, y + (i + 0.5) / LINES)) addSpan(cover, span, box);
      for (let x = box.left; x < box.right; x++) if (cover[x]) this.#mix(y * this.width + x, Math.min(1, cover[x] / LINES), erase);
    }
  }

  invert() {
    this.#touch(this.#whole);
    this.data.forEach((value, i) => { this.data[i] = 255 - value; });
  }

  clear() {
    this.put(new Uint8Array(this.data.length));
  }

  /** Takes another mask of this size for it. @param {ArrayLike<number>} values one for each pixel, 0 … 255 */
  put(values) {
    this.#touch(this.#whole);
    this.data.set(values);
  }

  /** What has changed since this was asked last; null where nothing has. */
  takeChanged() {
    const { left, top, right, bottom } = this.#dirty;
    this.#dirty = { left: this.width, top: this.height, right: 0, bottom: 0 };
    return right > left && bottom > top ? { left, top, right, bottom } : null;
  }

  get #whole() {
    return { left: 0, top: 0, right: this.width, bottom: this.height };
  }

  #mix(i, cover, erase) {
    const value = Math.round(255 * cover);
    this.data[i] = erase ? Math.min(this.data[i], 255 - value) : Math.max(this.data[i], value);
  }

  /** The whole pixels of a rectangle, as far as they are here. */
  #box(left, top, right, bottom) {
    return {
      left: Math.max(0, Math.floor(left)), top: Math.max(0, Math.floor(top)),
      right: Math.min(this.width, Math.ceil(right)), bottom: Math.min(this.height, Math.ceil(bottom)),
    };
  }

  /** A rectangle is about to change: what it holds is remembered where a change goes on. */
  #touch({ left, top, right, bottom }) {
    if (right <= left || bottom <= top) return;
    this.#soil(left, top, right, bottom);
    if (!this.#open) return;
    for (let row = Math.floor(top / TILE); row * TILE < bottom; row++) {
      for (let column = Math.floor(left / TILE); column * TILE < right; column++) {
        const tile = row * this.across + column;
        if (!this.#open.has(tile)) this.#open.set(tile, this.#read(tile));
      }
    }
  }

  #soil(left, top, right, bottom) {
    const dirty = this.#dirty;
    Object.assign(dirty, { left: Math.min(dirty.left, left), top: Math.min(dirty.top, top),
      right: Math.max(dirty.right, right), bottom: Math.max(dirty.bottom, bottom) });
  }

  /** Its rows in order: where each begins in the mask, and how many pixels it has. */
  * #rows(tile) {
    const [x, y] = [(tile % this.across) * TILE, Math.floor(tile / this.across) * TILE];
    const wide = Math.min(TILE, this.width - x);
    for (let row = y; row < Math.min(y + TILE, this.height); row++) yield [row * this.width + x, wide];
  }

  #read(tile) {
    const kept = new Uint8Array(TILE * TILE);
    let at = 0;
    for (const [from, wide] of this.#rows(tile)) {
      kept.set(this.data.subarray(from, from + wide), at);
      at += wide;
    }
    return kept.subarray(0, at);
  }

  /** Puts back what a change's tiles held; the change then holds what was there now. @param {Change} change */
  #swap(change) {
    for (const [tile, before] of change) {
      change.set(tile, this.#read(tile));
      let at = 0;
      for (const [from, wide] of this.#rows(tile)) {
        this.data.set(before.subarray(at, at + wide), from);
        at += wide;
      }
      const [x, y] = [(tile % this.across) * TILE, Math.floor(tile / this.across) * TILE];
      this.#soil(x, y, Math.min(x + TILE, this.width), Math.min(y + TILE, this.height));
    }
  }

  /** @param {Change[]} from @param {Change[]} to */
  #move(from, to) {
    this.end();
    const change = from.pop();
    if (!change) return false;
    this.#swap(change);
    to.push(change);
    return true;
  }

  #bytes() {
    return this.#done.reduce((sum, change) => sum + sizeOf(change), 0);
  }
}

/** @param {Map<number, Uint8Array>} change */
const sizeOf = (change) => change.size * TILE * TILE;

/** A soft brush fades without an edge where it begins to. */
const smooth = (t) => t * t * (3 - 2 * t);

/** Where a line across lies within a closed line, however that crosses itself. */
function spans(line, y) {
  const crossings = [];
  line.forEach((a, i) => {
    const b = line[(i + 1) % line.length];
    if ((a.y <= y) !== (b.y <= y)) crossings.push({ x: a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x), turn: a.y < b.y ? 1 : -1 });
  });
  crossings.sort((a, b) => a.x - b.x);
  const found = [];
  let turns = 0;
  crossings.forEach(({ x, turn }, i) => {
    if (turns !== 0) found.push([crossings[i - 1].x, x]);
    turns += turn;
  });
  return found;
}

/** Adds how much of each pixel a span covers. @param {Float32Array} cover @param {number[]} span @param {{left: number, right: number}} box */
function addSpan(cover, [from, to], { left, right }) {
  for (let x = Math.max(left, Math.floor(from)); x < Math.min(right, Math.ceil(to)); x++) {
    cover[x] += Math.max(0, Math.min(to, x + 1) - Math.max(from, x));
  }
}
