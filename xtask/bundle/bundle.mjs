/**
 * Makes few files of the page's many: a visitor waits for one module instead of forty, and for one style sheet.
 *
 *     node bundle.mjs FOLDER
 *
 * FOLDER holds the page as www/ has it. Rollup puts the modules together, and what is loaded later stays apart, under the
 * name of the module that is asked for; of the code itself only comments go, but those of licences. index.html and sw.js,
 * which list files, list the new ones, and the files that nothing asks for any more are removed.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { argv } from 'node:process';
import { rollup } from 'rollup';
import { parseAst } from 'rollup/parseAst';

/** What is asked for by name, apart from what pages load later. Each row keeps its modules to itself: a worker has its own. */
const ENTRIES = [['main.js', 'client.js', 'models.js'], ['worker.js'], ['crew.js']];

const folder = argv[2];
const read = (path) => readFileSync(join(folder, path), 'utf8');
const write = (path, text) => writeFileSync(join(folder, path), text);
/** A file's path in the page. */
const inPage = (file) => relative(folder, file).split(sep).join('/');

/** A module finds what lies beside it where its own file would be, wherever its code lies now. */
const home = {
  name: 'home',
  resolveImportMeta(property, { moduleId, chunkId }) {
    if (property !== 'url' || dirname(inPage(moduleId)) === dirname(chunkId)) return null;
    const path = relative(dirname(chunkId), inPage(moduleId)).split(sep).join('/');
    return `new URL(${JSON.stringify(path)}, import.meta.url).href`;
  },
};

/** Data that a module imports as one. */
const data = {
  name: 'data',
  transform: (code, id) => (id.endsWith('.json') ? `export default ${code}` : null),
};

/** Where text and regular expressions stand in code, in order: what looks like a comment there is none. */
function literals(node) {
  if (node.type === 'Literal' || node.type === 'TemplateElement') return [[node.start, node.end]];
  const children = Object.values(node).flat().filter((value) => value?.type);
  return children.flatMap(literals).sort(([a], [b]) => a - b);
}

/** Code without comments and the lines that held nothing else; notices of a licence stay. */
function withoutComments(code) {
  const gone = (comment) => (/^\/\*!|@license|@preserve/.test(comment) ? comment : comment.includes('\n') ? '\n' : ' ');
  const plain = (text) => text.replace(/\/\/[^\n]*|\/\*[^]*?\*\//g, gone).replace(/[ \t]*\n(?:[ \t]*\n)+/g, '\n');
  let [at, out] = [0, ''];
  for (const [start, end] of literals(parseAst(code))) {
    out += plain(code.slice(at, start)) + code.slice(start, end);
    at = end;
  }
  return out + plain(code.slice(at));
}

/** The modules put together: which file holds what, and what each imports before it runs. */
async function bundle(entries) {
  const built = await rollup({
    input: Object.fromEntries(entries.map((path) => [path.replace(/\.js$/, ''), join(folder, path)])),
    preserveEntrySignatures: 'allow-extension',
    plugins: [home, data],
    onwarn(warning) {
      throw new Error(warning.message);
    },
  });
  const { output } = await built.generate({
    format: 'es',
    entryFileNames: '[name].js',
    chunkFileNames: ({ facadeModuleId }) => (facadeModuleId ? inPage(facadeModuleId) : 'js/shared-[name].js'),
    generatedCode: 'es2015',
  });
  return output.map(({ fileName, code, imports, modules }) => ({ fileName, code, imports, modules: Object.keys(modules).map(inPage) }));
}

/** Each file once, in order. */
const once = (paths) => [...new Set(paths)];

const outputs = (await Promise.all(ENTRIES.map(bundle))).flat();
const names = outputs.map(({ fileName }) => fileName);
if (once(names).length < names.length) throw new Error(`two bundles have a file of one name: ${names.join(', ')}`);
const modules = once(outputs.flatMap((output) => output.modules));
for (const { code } of outputs) {
  const [, nameless] = code.match(/import\('([^']*\/shared-[^']*)'\)/) ?? [];
  if (nameless) throw new Error(`${nameless} is asked for later and has lost its module's name: what other files import of it has to be handed over`);
}

/** The files that must be here before one of them runs, itself included. */
function closure(fileName, seen = new Set()) {
  if (seen.has(fileName)) return seen;
  seen.add(fileName);
  outputs.find((output) => output.fileName === fileName).imports.forEach((path) => closure(path, seen));
  return seen;
}

/** The style sheets that every visitor needs, in the order in which they count, become the first of them. */
function joinSheets(html) {
  const links = [...html.matchAll(/^ *<link rel="stylesheet" href="([^"]+)">\n/gm)];
  const sheets = links.map(([, path]) => path);
  const css = sheets.map(read);
  if (css.some((text) => /url\(|@import|@charset|@namespace/.test(text))) {
    throw new Error('a style sheet has url(), @import, @charset or @namespace, which would mean something else in another place');
  }
  write(sheets[0], css.join('\n').replace(/\/\*[^]*?\*\//g, '').replace(/\n(?:[ \t]*\n)+/g, '\n'));
  links.slice(1).forEach(([link]) => { html = html.replace(link, ''); });
  return { html, sheets };
}

/** The modules that are fetched ahead: those for the page's own script, and after it those for the client. */
function preload(html) {
  const link = (path) => `  <link rel="modulepreload" href="${path}">\n`;
  const first = [...closure('main.js')].filter((path) => path !== 'main.js');
  const next = [...closure('client.js')].filter((path) => !first.includes(path));
  const script = '  <script type="module" src="main.js"></script>\n';
  const [before, after, ...more] = html.replace(/^ *<link rel="modulepreload"[^>]*>\n/gm, '').split(script);
  if (after === undefined || more.length > 0) throw new Error('index.html has not one line with main.js');
  return before + first.map(link).join('') + script + next.map(link).join('') + after;
}

/** The lists of sw.js: where it named modules and style sheets, the files that hold them now. */
function relist(sw, sheets) {
  const list = /^const SHELL = (\[[^]*?\n\]);$/m;
  const table = /^const PARTS = (\{[^]*?\n\});$/m;
  const [shell, parts] = [list, table].map((pattern) => {
    const found = sw.match(pattern);
    if (!found) throw new Error('sw.js has no SHELL or no PARTS as they are looked for');
    return new Function(`return ${found[1]}`)();
  });
  const ofParts = new Set(Object.values(parts).flat());
  const listed = new Set([...shell, ...ofParts]);
  const unlisted = modules.filter((path) => !listed.has(path));
  if (unlisted.length > 0) throw new Error(`sw.js does not name ${unlisted.join(', ')}`);
  const holders = (path) => {
    if (sheets.includes(path)) return [sheets[0]];
    if (!modules.includes(path)) return [path];
    // What a part's own file holds too, such as the crew's worker, is no reason for everybody to fetch that part.
    const all = outputs.filter((output) => output.modules.includes(path)).map(({ fileName }) => fileName);
    const others = all.filter((fileName) => fileName === path || !ofParts.has(fileName));
    return others.length > 0 ? others : all;
  };
  const every = once(shell.flatMap(holders).concat('main.js'));
  const rest = Object.entries(parts).map(([name, paths]) => [name, once(paths.flatMap(holders)).filter((path) => !every.includes(path))]);
  const lines = (paths, indent) => paths.map((path) => `${indent}'${path}',\n`).join('');
  return sw
    .replace(list, () => `const SHELL = [\n${lines(every, '  ')}];`)
    .replace(table, () => `const PARTS = {\n${rest.map(([name, paths]) => `  ${name}: [\n${lines(paths, '    ')}  ],\n`).join('')}};`);
}

const { html, sheets } = joinSheets(read('index.html'));
write('index.html', preload(html));
write('sw.js', withoutComments(relist(read('sw.js'), sheets)));
write('early.js', withoutComments(read('early.js')));
[...modules, ...sheets.slice(1)].forEach((path) => rmSync(join(folder, path)));
outputs.forEach(({ fileName, code }) => write(fileName, withoutComments(code)));
console.log(`${modules.length} modules in ${outputs.length} files, ${sheets.length} style sheets in one`);
