/**
 * A worker that computes beside the one that owns the engine, over its memory: `engines.js` starts as many as there are
 * cores. It is told which code, which module and which memory, says that it is there, and then computes until it is ended.
 */

import { clearRegisters } from './registers.js';

self.addEventListener('message', async ({ data: { code, module, memory } }) => {
  try {
    const engine = await import(/* @vite-ignore */ /* webpackIgnore: true */ code);
    await engine.default({ module_or_path: module, memory });
    clearRegisters(); // nothing but the engine runs here from now on
    self.postMessage(null);
    try {
      engine.joinCrew();
    } finally {
      engine.brokeOff(); // only a fault in the engine comes here; nobody is to wait for this worker
    }
  } catch (error) {
    self.postMessage(String(error?.message ?? error));
  }
}, { once: true });
