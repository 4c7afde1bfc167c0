import { OpenGen, OpenGenError, type LoadProgress } from 'opengen';
import { mini } from 'opengen/mini';
import './style.css';

const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const prompt = find<HTMLInputElement>('prompt');
const go = find<HTMLButtonElement>('go');
const picture = find<HTMLCanvasElement>('picture');

const say = (words: string) => { find('status').textContent = words; };
/** Every error of the package has a code for programs and a sentence for people. */
const fail = (error: unknown) => say(error instanceof OpenGenError ? `${error.code}: ${error.message}` : String(error));

/** The picture being made; pressing the button again cancels it. */
let working: AbortController | null = null;

async function start() {
  const og = await OpenGen.create({ model: mini, onProgress: showProgress });
  find('form').addEventListener('submit', (event) => {
    event.preventDefault();
    if (working) working.abort();
    else draw(og).catch(fail);
  });
  go.disabled = false;
  say(`Ready, on the ${og.capabilities().engine === 'webgpu' ? 'graphics card' : 'processor'}`);
}

function showProgress({ phase, loaded, total }: LoadProgress) {
  say(total ? `${phase} ${Math.floor((100 * loaded) / total)} %` : phase);
}

async function draw(og: OpenGen) {
  working = new AbortController();
  go.textContent = 'Cancel';
  try {
    const { image, seed, timings } = await og.generate({
      prompt: prompt.value,
      signal: working.signal,
      onStep: ({ step, steps, preview }) => {
        say(`Step ${step} of ${steps}`);
        if (preview) show(preview);
      },
    });
    show(image);
    picture.setAttribute('aria-label', prompt.value);
    say(`Seed ${seed}, ${(timings.totalMs / 1000).toFixed(1)} s`);
  } finally {
    working = null;
    go.textContent = 'Generate';
  }
}

function show(image: ImageData) {
  picture.width = image.width;
  picture.height = image.height;
  picture.getContext('2d')?.putImageData(image, 0, 0);
}

start().catch(fail);
