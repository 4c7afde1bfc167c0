/** What can be done with the picture on the stage: save, copy, share, link. Buttons a browser cannot serve are hidden. */

import { $, keep, make } from './dom.js';
import { linkTo } from './link.js';
import { report } from './report.js';
import { brought } from './shell.js';
import { say } from './status.js';
import { sentence } from './words.js';

/** Whether pictures leave the page without prompt and settings, in their files and in the names of these. */
const isBare = () => Boolean(keep.read('bare'));

/** A picture's file as it leaves the page. @param {Blob} png @returns {Promise<Blob>} */
export const leaving = async (png) => (isBare() ? (await saving()).bare(png) : png);

/** What makes files of pictures. */
const saving = () => brought(() => import('./save.js'), new URL('./save.js', import.meta.url));

/** "a-red-apple-7.png" */
export function fileName({ prompt, seed }) {
  if (isBare()) return 'picture.png';
  const words = prompt.normalize('NFKD').replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 60);
  return `${words || 'picture'}-${seed}.png`;
}

/** @param {Blob} blob */
export function download(blob, name) {
  const link = make('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Copies text, or shows it where the browser does not let a page copy. */
export async function copyLink(values) {
  const link = linkTo(values);
  try {
    await navigator.clipboard.writeText(link);
    say('Link copied', 'it fills in the settings and draws nothing by itself');
  } catch {
    report('This browser does not let the page copy. The link:', [link]);
  }
}

export class Actions {
  /**
   * @param {object} options
   * @param {() => import('./gallery.js').Made} options.current what stands on the stage
   * @param {() => Promise<import('../client.js').OpenGen>} options.engine
   * @param {() => void} options.onVary
   * @param {() => void} options.onDelete
   */
  constructor({ current, engine, onVary, onDelete }) {
    Object.assign(this, { current, engine });
    $('copy').hidden = !navigator.clipboard?.write || !('ClipboardItem' in globalThis);
    $('share').hidden = !canShare();

    $('vary').addEventListener('click', onVary);
    $('save').addEventListener('click', () => this.save(current()));
    $('save-crisp').addEventListener('click', () => this.save(current(), { crisp: true }));
    $('save-exact').addEventListener('click', () => this.#saveExact(current()));
    $('save-graph').addEventListener('click', () => this.#saveGraph(current()));
    $('bare').checked = isBare();
    $('bare').addEventListener('change', () => keep.write('bare', $('bare').checked));
    $('copy').addEventListener('click', () => this.#copy());
    $('share').addEventListener('click', () => this.share(current()));
    $('link').addEventListener('click', () => copyLink({ ...current().settings, model: current().model }));
    $('delete').addEventListener('click', onDelete);
    for (const menu of document.querySelectorAll('details.menu')) closesByItself(menu);
  }

  /** Shows the buttons, or keeps their place. */
  show(on) {
    $('actions').toggleAttribute('data-off', !on);
    $('save').hidden = !on;
  }

  /** Saves a picture at a size that people can use. @param {import('./gallery.js').Made} made @param {{crisp?: boolean}} [how] */
  async save({ png, settings }, how) {
    try {
      const { useful } = await saving();
      download(await leaving(await useful(png, how)), fileName(settings));
      say('Saved', fileName(settings));
    } catch (error) {
      report('The picture could not be enlarged.', [`The browser says: ${error.message}`, 'Save exact pixels, under More, works all the same.']);
    }
  }

  async #saveExact({ png, settings }) {
    download(await leaving(png), fileName(settings));
  }

  /** Its settings as ComfyUI's nodes; what these cannot hold is said. @param {import('./gallery.js').Made} made */
  async #saveGraph({ png, settings }) {
    try {
      const { graph, notices } = await (await this.engine()).comfyuiGraph(png);
      const name = fileName(settings).replace(/png$/, 'json');
      download(new Blob([graph], { type: 'application/json' }), name);
      if (notices.length) report('Saved as a graph for ComfyUI.', notices);
      else say('Saved', name);
    } catch (error) {
      report('The graph could not be written.', [sentence(error.message)]);
    }
  }

  async #copy() {
    try {
      const { png } = this.current();
      // Some browsers want to be asked at once, and wait for what is copied themselves.
      await navigator.clipboard.write([new ClipboardItem({ 'image/png': isBare() ? leaving(png) : png })]);
      say('Picture copied');
    } catch (error) {
      report('The picture could not be copied.', [`The browser says: ${error.message}`, 'Save works all the same.']);
    }
  }

  /** @param {import('./gallery.js').Made} made */
  async share({ png, settings }) {
    try {
      await navigator.share({ files: [new File([await leaving(png)], fileName(settings), { type: 'image/png' })] });
    } catch (error) {
      if (error.name === 'AbortError') return; // the person closed the sheet
      report('The picture could not be shared.', [`The browser says: ${error.message}`, 'Save works all the same.']);
    }
  }
}

/** Whether this browser hands picture files to other programs. */
export const canShare = () =>
  Boolean(navigator.canShare?.({ files: [new File([new Blob()], 'a.png', { type: 'image/png' })] }));

/** A details element as a menu, in sight once it is open: a choice, Escape or a click elsewhere closes it. */
function closesByItself(menu) {
  const close = () => { menu.open = false; };
  menu.addEventListener('toggle', () => menu.open && menu.querySelector('.menu-panel').scrollIntoView({ block: 'nearest' }));
  menu.addEventListener('click', (event) => event.target.closest('[data-closes]') && close());
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return;
    event.preventDefault(); // it closes this, and stops nothing
    close();
    menu.querySelector('summary').focus();
  });
  addEventListener('pointerdown', (event) => menu.contains(event.target) || close());
}
