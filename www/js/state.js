/** The session's state on the page: the chip, the dust, and the status line while no picture is being made. */

import { $, bytes, duration } from './dom.js';
import { untilReachable } from './shell.js';
import { banner, bar, hideBanner, say } from './status.js';
import { engineWords, errorWords } from './words.js';

/** What the status line says when there is nothing else to say: with a network, and without. */
const READY = ['Ready', 'Ready, and offline: everything needed is here'];

export class State {
  /** The state as it was drawn last. */
  #drawn = '';
  /** What the banner said last of a failure: once closed, it stays so until there is something else to say. */
  #told = '';

  /**
   * @param {object} options
   * @param {import('./session.js').Session} options.session
   * @param {import('./queue.js').Queue} options.queue
   * @param {import('./adding.js').Adding} options.adding
   * @param {import('./stage.js').Stage} options.stage
   * @param {import('./shown.js').Shown} options.shown
   * @param {(action: string) => void} options.onWayOut what the banner offers was pressed
   */
  constructor({ session, queue, adding, stage, shown, onWayOut }) {
    Object.assign(this, { session, queue, adding, stage, shown, onWayOut });
  }

  /** What computes and why; to be changed while nothing is at work. */
  showEngine() {
    $('engine-line').textContent = engineWords(this.session.capabilities());
    $('engine').disabled = this.queue.running !== null || this.adding.now !== null;
  }

  draw() {
    const { state, progress, offline } = this.session;
    const share = progress?.total ? progress.loaded / progress.total : 0;
    this.#drawChip(share);
    this.showEngine();
    if (state === 'ready') this.stage.setFill(1);
    else if (state === 'fetching') this.stage.setFill(share);
    if (this.queue.running && state === 'ready') return;

    const came = this.#came();
    const before = this.#drawn;
    this.#drawn = came ? 'adding' : state;
    if (before === 'failed' && state !== 'failed') {
      hideBanner();
      this.#told = '';
    }
    if (state === 'failed') this.#sayFailed();
    else if (state !== 'ready') this.#sayWork(share);
    else if (came) {
      say(`Adding ${came.name}`, `${bytes(came.share * came.bytes)} of ${bytes(came.bytes)}`);
      bar(came.share);
    } else {
      // What was said of a picture stays when the network comes or goes.
      if (before !== 'ready' || READY.includes($('status-words').textContent)) {
        say(READY[Number(offline)], this.shown.broughtBack ? 'your last picture' : '');
      }
      bar(null);
    }
  }

  /** The network came or went. @param {boolean} offline */
  setOffline(offline) {
    const { session } = this;
    session.setOffline(offline);
    if (!offline && session.state === 'failed' && session.error?.code === 'NETWORK') this.onWayOut('retry');
  }

  /** Another model, on its way into the store while one is in use. */
  #came() {
    return this.session.state === 'ready' ? this.adding.now : null;
  }

  /** @param {number} share how much of the model is here, 0 … 1 */
  #drawChip(share) {
    const { state, model, former, offline } = this.session;
    const chip = {
      starting: 'starting', waiting: 'another tab is fetching', fetching: `fetching ${Math.floor(share * 100)} %`, checking: 'checking',
      loading: 'loading', ready: offline ? 'ready, offline' : 'ready', failed: offline ? 'offline' : 'not ready',
    };
    const came = this.#came();
    // A model that is on its way takes no name from the one in use.
    const named = came ?? former ?? model;
    $('chip-name').textContent = named.name;
    $('chip-size').textContent = bytes(named.bytes);
    const words = former ? `${chip[state]} ${model.name}` : chip[state];
    $('chip-state').textContent = came ? `adding ${Math.floor(came.share * 100)} %` : words;
    $('model-chip').dataset.state = came ? 'fetching' : state === 'ready' && offline ? 'offline' : state;
  }

  /** What is done to make the model ready. @param {number} share */
  #sayWork(share) {
    const { state, progress, model } = this.session;
    const then = this.queue.running ? ', then drawing' : '';
    switch (state) {
      case 'starting':
        return say(`Starting the engine${then}`);
      case 'waiting':
        return say('Another tab is downloading the model', 'this one goes on when it is done');
      case 'fetching':
        say(`Fetching ${model.name}, once${then}`, fetchDetail(progress));
        return bar(share);
      case 'checking':
        say(`Checking what arrived${then}`);
        return bar(1);
      case 'loading':
        say(`Loading ${model.name}${then}`);
        return bar(progress?.phase === 'upload' ? share : null);
    }
  }

  #sayFailed() {
    const { error, model, offline } = this.session;
    bar(null);
    say(`${model.name} is not ready`, 'your prompt and settings are kept');
    if (offline && error.code === 'NETWORK') untilReachable('model', () => this.setOffline(false));
    const words = errorWords(error, model, offline);
    if (this.#told === JSON.stringify(words)) return;
    this.#told = JSON.stringify(words);
    banner(words, this.onWayOut);
  }
}

function fetchDetail({ loaded, total, rate, secondsLeft }) {
  const parts = [`${bytes(loaded).replace(/ MB$/, total < 1e9 ? '' : ' MB')} of ${bytes(total)}`];
  if (rate > 0) parts.push(`${bytes(rate)}/s`);
  if (secondsLeft !== null && Number.isFinite(secondsLeft)) parts.push(`${duration(secondsLeft)} left`);
  return parts.join(' · ');
}
