import { cpSync } from 'node:fs';

export default {
  mode: 'production',
  entry: './src/main.js',
  output: { filename: 'main.js', clean: true },
  plugins: [{
    apply: (compiler) => compiler.hooks.afterEmit.tap('page', () => cpSync('index.html', 'dist/index.html')),
  }],
};
