// Any folder that holds the package's dist/ will do: there is nothing to bundle.
import { OpenGen } from './node_modules/opengen/dist/client.js';
import { mini } from './node_modules/opengen/dist/models.js';

const say = (words) => { document.getElementById('status').textContent = words; };
const go = document.getElementById('go');
const picture = document.getElementById('picture');

try {
  const og = await OpenGen.create({ model: mini, onProgress: ({ phase }) => say(phase) });
  go.disabled = false;
  say('Ready');
  go.addEventListener('click', async () => {
    go.disabled = true;
    try {
      const { image, seed } = await og.generate({
        prompt: 'a panda on a pink background', imageType: 'Blob',
        onStep: ({ step, steps }) => say(`Step ${step} of ${steps}`),
      });
      URL.revokeObjectURL(picture.src);
      picture.src = URL.createObjectURL(image);
      picture.alt = 'a panda on a pink background';
      picture.hidden = false;
      say(`Seed ${seed}`);
    } catch (error) {
      say(`${error.code}: ${error.message}`);
    }
    go.disabled = false;
  });
} catch (error) {
  say(`${error.code}: ${error.message}`);
}
