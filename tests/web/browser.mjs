/** Chromium for the tests: with WebGPU on SwiftShader, or without WebGPU. */

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

/**
 * Off, for a third of what a visit costs the machine: the browser's own pages that it loads with every window, and the
 * process that it keeps for the next. The last list of such names is the one that counts, so the names that
 * playwright-core gives for tests' sake are among them.
 */
const OFF = [
  'WebUIOmniboxPopup', 'WebUIOmniboxFullPopup', 'WebUIOmniboxAimPopup', 'SpareRendererForSitePerProcess',
  'AvoidUnnecessaryBeforeUnloadCheckSync', 'DestroyProfileOnBrowserClose', 'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable', 'LensOverlay', 'MediaRouter', 'PaintHolding', 'ThirdPartyStoragePartitioning',
  'AvoidCorsURLLoaderRestartOnRedirect', 'OptimizationHints', 'NetworkTimeServiceQuerying', 'AimEnabled',
  'PreconnectToSearch',
];
const FLAGS = [
  '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', `--disable-features=${OFF}`,
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
  return chromium.launchPersistentContext(folder, { executablePath: executable(), args: [...FLAGS, ...WEBGPU], serviceWorkers: 'block' });
}
