/**
 * Formulas as MathML, from a line as one would type it: `x_t = √{ᾱ_t} · x_0 + √{1 − ᾱ_t} · ε`.
 * `_` and `^` take what follows down or up, `√` its root, `a / b` is a fraction, `{ }` keep together; hats and bars are
 * Unicode's combining ones.
 */

const NS = 'http://www.w3.org/1998/Math/MathML';
/** What is drawn above a letter for a combining character. */
const ABOVE = { '\u0302': '^', '\u0304': '¯' };
const TOKEN = /\d+(?:\.\d+)?|[\p{L}∅∞][\p{L}\p{M}′]*|\S/gu;

function element(name, ...children) {
  const made = document.createElementNS(NS, name);
  made.append(...children);
  return made;
}

/** A line in MathML. @param {string} line */
export function math(line) {
  const tokens = line.normalize('NFD').match(TOKEN);
  const made = element('math', ...series(tokens));
  made.setAttribute('display', 'block');
  return made;
}

/** Reads up to the end, or up to the brace that closes. @param {string[]} tokens what is still to be read */
function series(tokens) {
  const read = [];
  while (tokens.length && tokens[0] !== '}') {
    const token = tokens.shift();
    if (token === '_' || token === '^') read.push(element(token === '_' ? 'msub' : 'msup', read.pop(), atom(tokens)));
    else if (token === '/') read.push(element('mfrac', read.pop(), scripted(tokens)));
    else read.push(start(token, tokens));
  }
  tokens.shift();
  return read;
}

const atom = (tokens) => start(tokens.shift(), tokens);

/** What stands under a fraction's line: one piece with what hangs on it. */
function scripted(tokens) {
  const base = atom(tokens);
  const hung = { _: 'msub', '^': 'msup' }[tokens[0]];
  return hung ? element(hung, base, (tokens.shift(), atom(tokens))) : base;
}

/** An operator, or a parenthesis as tall as its line. */
function sign(token) {
  const made = element('mo', token);
  made.setAttribute('stretchy', 'false');
  return made;
}

function start(token, tokens) {
  if (token === '{') return element('mrow', ...series(tokens));
  if (token === '√') return element('msqrt', atom(tokens));
  if (/\d/.test(token)) return element('mn', token);
  if (!/[\p{L}∅∞]/u.test(token)) return sign(token);
  const above = ABOVE[token[1]];
  if (!above) return element('mi', token);
  const cover = element('mover', element('mi', token[0]), element('mo', above));
  cover.setAttribute('accent', 'true');
  return cover;
}
