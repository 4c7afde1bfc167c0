/**
 * Lays compressed twins, F.br and F.gz, beside each file of a page that gains from them.
 *
 *     node compress.mjs FOLDER KEPT
 *
 * Node has both codings in C, and the task runner, which is compiled to be built quickly, would take three times as long. Results are
 * kept by content in KEPT, since the page's folder is made anew.
 */

import { createHash, randomUUID } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

/** Kinds of file that gain; a model's numbers and a picture do not. */
const TEXT = /\.(html|m?js|css|wasm|json|svg|webmanifest|txt|wgsl)$/;

/** Below this one network packet carries the file anyway. */
const SMALLEST = 512;

/** Each coding at its best, by what a file's name gets. */
const CODINGS = {
  br: (bytes) => promisify(brotliCompress)(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_DEFAULT_WINDOW,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  }),
  gz: (bytes) => promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION }),
};

const [folder, kept] = argv.slice(2);
mkdirSync(kept, { recursive: true });

/** One file's twin in one coding. */
async function twin(path, coding) {
  const bytes = readFileSync(path);
  const ready = join(kept, `${createHash('sha256').update(bytes).digest('hex')}.${coding}`);
  if (!existsSync(ready)) {
    // Named only when whole: an interruption leaves nothing half, and two files may be alike.
    const part = `${ready}.part-${randomUUID()}`;
    writeFileSync(part, await CODINGS[coding](bytes));
    renameSync(part, ready);
  }
  copyFileSync(ready, `${path}.${coding}`);
}

const paths = readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
const gaining = paths.map((path) => ({ path, stat: statSync(path) }))
  .filter(({ path, stat }) => stat.isFile() && TEXT.test(path) && stat.size >= SMALLEST)
  .sort((a, b) => b.stat.size - a.stat.size); // the largest first, so that no core ends with one alone
await Promise.all(gaining.flatMap(({ path }) => Object.keys(CODINGS).map((coding) => twin(path, coding))));
