/** Small helpers for the page: finding elements, keeping things, writing numbers for people. */

/** @returns {any} the element with this id */
export const $ = (id) => document.getElementById(id);

/** Makes an element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A JSON value that outlives the tab; a browser that refuses storage only forgets. */
export const keep = {
  read(key) {
    try {
      return JSON.parse(localStorage.getItem(`opengen.${key}`) ?? 'null');
    } catch {
      return null;
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(`opengen.${key}`, JSON.stringify(value));
    } catch {
      // private window or full: nothing to do
    }
  },
};

/** A prompt with blanks in the place of A1111's comments, from `#` to the end of a line; in its other dialects there are none. @param {string} prompt */
export const uncommented = (prompt, dialect = 'a1111') => (dialect === 'a1111' ? prompt.replace(/#[^\n]*/g, (comment) => ' '.repeat(comment.length)) : prompt);

/** "12.3 MB" */
export function bytes(count) {
  if (count < 1e6) return `${Math.max(count > 0 ? 1 : 0, Math.round(count / 1e3))} kB`;
  if (count < 1e9) return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;
  return `${(count / 1e9).toFixed(1)} GB`;
}

/** "4 s" or "2 min 10 s" */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const rest = whole % 60;
  return rest ? `${Math.floor(whole / 60)} min ${rest} s` : `${whole / 60} min`;
}

/** "3.4 s" of milliseconds */
export const seconds = (ms) => `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
