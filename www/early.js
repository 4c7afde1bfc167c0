/**
 * What a visitor types and presses before the page's own code has come is remembered here, for main.js to take up.
 * A small script of the old kind, ahead of everything else: it runs before the first thing can be pressed.
 */
{
  /** How long the page's code may take until something is said of it, in ms. */
  const LONG = 30_000;

  const early = {
    /** Ids of the buttons that were pressed, in order, each once. @type {Set<string>} */ presses: new Set(),
    /** Of those that js/later.js answers. @type {Set<string>} */ later: new Set(),
    /** Ids of the fields that were changed. @type {Set<string>} */ typed: new Set(),
    /** From here on main.js answers; gives what it has to take up. */
    takeOver() {
      stop.abort();
      clearTimeout(timer);
      return { presses: [...early.presses], typed: [...early.typed] };
    },
    /** From here on js/later.js answers too; gives what it has to take up. */
    takeLater() {
      stopLater.abort();
      return [...early.later];
    },
  };
  const stop = new AbortController();
  const stopLater = new AbortController();
  const listen = (type, act, { signal } = stop) => addEventListener(type, act, { capture: true, signal });
  const $ = (id) => document.getElementById(id);

  function press(id) {
    early.presses.add(id);
    if (id === 'generate' && $('banner').hidden) $('status-words').textContent = 'Loading, then drawing';
  }

  /** The code did not come, or has not come yet: says so, and offers to try again. */
  function sayLate(title, text) {
    if (stop.signal.aborted) return;
    $('banner-title').textContent = title;
    $('banner-text').textContent = `${text} Nothing was sent, and what you typed is kept.`;
    $('banner-action').textContent = 'Reload the page';
    $('banner-action').hidden = false;
    $('banner-close').hidden = true;
    $('banner').hidden = false;
    $('status-words').textContent = title.replace(/\.$/, '');
  }

  /** Where main.js looks at the next visit for what was typed. */
  function keep() {
    if (!early.typed.size) return;
    try {
      const form = JSON.parse(localStorage.getItem('opengen.form') ?? '{}') ?? {};
      for (const id of early.typed) form[id === 'random-seed' ? 'random' : id] = id === 'random-seed' ? $(id).checked : $(id).value;
      localStorage.setItem('opengen.form', JSON.stringify(form));
    } catch {
      // a browser that refuses storage only forgets
    }
  }

  listen('click', ({ target }) => {
    const { id } = target.closest?.('button:not([data-later])') ?? {};
    if (id === 'banner-action') location.reload();
    else if (id) press(id);
  });
  listen('click', ({ target }) => {
    const button = target.closest?.('button[data-later]');
    if (button) early.later.add(button.id);
  }, stopLater);
  listen('input', ({ target }) => target.id && early.typed.add(target.id));
  listen('keydown', (event) => {
    if (event.key !== 'Enter' || event.target.id !== 'prompt' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    press('generate');
  });
  listen('error', ({ target }) => {
    if (target.tagName !== 'SCRIPT') return;
    const say = () => sayLate('The page’s code did not arrive.', 'Without it nothing can be drawn.');
    if (document.readyState === 'loading') listen('DOMContentLoaded', say);
    else say();
  });
  listen('pagehide', keep);
  const timer = setTimeout(sayLate, LONG, 'The page’s code has not arrived yet.',
    'It goes on by itself if it comes; a reload may be quicker.');

  try {
    document.documentElement.toggleAttribute('data-settings', localStorage.getItem('opengen.settings') === 'true');
  } catch {
    // closed, as at a first visit
  }

  globalThis.early = early;
}
