import { cpSync } from 'node:fs';
import { build } from 'esbuild';

await build({ entryPoints: ['src/main.js'], bundle: true, format: 'esm', minify: true, outfile: 'dist/main.js' });
cpSync('index.html', 'dist/index.html');
// Worker, engine and model find each other beside the worker.
cpSync('node_modules/opengen/dist', 'dist/opengen', { recursive: true, filter: (path) => !path.endsWith('.d.ts') });
