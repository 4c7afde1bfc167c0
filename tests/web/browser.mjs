/** Chromium for the tests: with WebGPU on SwiftShader, or without WebGPU. */

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
];
const WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** The browser that is there: OPENGEN_CHROMIUM, else Debian's, else what a desktop has. */
function executable() {
  const places = [process.env.OPENGEN_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];
  const found = places.find((path) => path && existsSync(path));
  if (!found) throw new Error('no Chromium found; set OPENGEN_CHROMIUM to its path');
  return found;
}

/** @param {{webgpu?: boolean}} [options] */
export function launch({ webgpu = true } = {}) {
  return chromium.launch({ executablePath: executable(), args: [...FLAGS, ...(webgpu ? WEBGPU : [])] });
}

/**
 * A browser with one visitor, who keeps things on disk, in this folder: a window of `launch` keeps them in memory, and not
 * many.
 * @param {string} folder
 */
export function launchIn(folder) {
  return chromium.launchPersistentContext(folder, { executablePath: executable(), args: FLAGS, serviceWorkers: 'block' });
}
