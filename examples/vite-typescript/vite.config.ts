import { defineConfig } from 'vite';

export default defineConfig({
  // `vite build` needs no setting. The development server would bundle the package's modules into one file somewhere
  // else, where they no longer find the worker, the engine and the model beside them.
  optimizeDeps: { exclude: ['opengen'] },
});
