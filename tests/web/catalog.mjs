/** Writes length and digest of each model file under www/ into www/models.js: node catalog.mjs */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const path = join(import.meta.dirname, '../../www/models.js');
const { MODELS } = await import(pathToFileURL(path));
let text = readFileSync(path, 'utf8');
for (const { id, url, bytes, sha256 } of MODELS) {
  const file = readFileSync(fileURLToPath(url));
  const digest = createHash('sha256').update(file).digest('hex');
  const at = text.indexOf(`id: '${id}'`);
  const entry = text.slice(at)
    .replace(`bytes: ${bytes}`, `bytes: ${file.length}`)
    .replace(`sha256: '${sha256}'`, `sha256: '${digest}'`);
  text = text.slice(0, at) + entry;
  console.log(`${id}: ${file.length} bytes, ${digest}`);
}
writeFileSync(path, text);
