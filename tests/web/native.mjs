/** The native program beside the page. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

const LAVAPIPE = '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json';

/** Runs it, on lavapipe where there is no other adapter. @param {string[]} words */
export function native(words) {
  const env = existsSync(LAVAPIPE) ? { VK_DRIVER_FILES: LAVAPIPE, ...process.env } : process.env;
  execFileSync(program(), words, { env, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** OPENGEN_BIN, or the newest build. */
function program() {
  if (process.env.OPENGEN_BIN) return process.env.OPENGEN_BIN;
  const target = process.env.CARGO_TARGET_DIR ?? join(import.meta.dirname, '../../target');
  const built = ['release', 'debug'].map((profile) => join(target, profile, 'opengen')).filter((path) => existsSync(path));
  built.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  assert.ok(built.length, `no opengen under ${target}: run cargo build, or set OPENGEN_BIN`);
  return built[0];
}
