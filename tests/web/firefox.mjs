/** A stock Firefox, driven through WebDriver BiDi, the protocol that it speaks without any driver beside it. */

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

/** A quiet profile: no first-run pages, and no request that the page under test did not make. */
const PREFERENCES = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.search.update': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.page': 0,
  'browser.startup.homepage_override.mstone': 'ignore',
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'toolkit.telemetry.enabled': false,
};
/** The key codes of WebDriver. */
const ENTER = '\uE007';

function executable() {
  const places = [process.env.OPENGEN_FIREFOX, '/usr/bin/firefox-esr', '/usr/bin/firefox',
    '/Applications/Firefox.app/Contents/MacOS/firefox'];
  const found = places.find((path) => path && existsSync(path));
  if (!found) throw new Error('no Firefox found; set OPENGEN_FIREFOX to its path');
  return found;
}

/** Longer than any question takes, in ms. */
const ANSWER = 5000;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export class Firefox {
  #calls = new Map();
  #next = 1;
  /** What must not happen, in any tab. @type {string[]} */ trouble = [];

  /** @param {{host: string}} options the only host that may be asked */
  static async launch({ host }) {
    const firefox = new Firefox();
    firefox.profile = mkdtempSync(join(tmpdir(), 'opengen-firefox-'));
    const lines = Object.entries(PREFERENCES).map(([key, value]) => `user_pref(${JSON.stringify(key)}, ${JSON.stringify(value)});`);
    writeFileSync(join(firefox.profile, 'user.js'), lines.join('\n'));
    firefox.process = spawn(executable(),
      ['--headless', '--no-remote', '--profile', firefox.profile, '--remote-debugging-port', '0', 'about:blank'],
      { stdio: ['ignore', 'ignore', 'pipe'] });
    firefox.ended = new Promise((done) => firefox.process.once('exit', done));
    const address = await firefox.#address();
    firefox.socket = new WebSocket(`${address}/session`);
    await new Promise((done, fail) => firefox.socket.on('open', done).on('error', fail));
    firefox.socket.on('message', (text) => firefox.#receive(JSON.parse(text), host));
    const { capabilities } = await firefox.call('session.new', { capabilities: {} });
    firefox.version = capabilities.browserVersion;
    await firefox.call('session.subscribe', { events: ['log.entryAdded', 'network.beforeRequestSent'] });
    // In a sandbox: without one, some versions of Firefox cannot call a preload script, and log an error of their own.
    await firefox.call('script.addPreloadScript', { sandbox: 'policy', functionDeclaration: `() => addEventListener(
      'securitypolicyviolation',
      (event) => console.error('Content Security Policy: ' + event.violatedDirective + ' ' + event.blockedURI))` });
    return firefox;
  }

  /** Where it listens: it says so once it does. */
  async #address() {
    const said = [];
    for await (const line of createInterface({ input: this.process.stderr })) {
      const [, address] = /WebDriver BiDi listening on (ws:\S+)/.exec(line) ?? [];
      said.push(line);
      if (!address) continue;
      this.process.stderr.resume(); // or it would block once the pipe is full
      return address;
    }
    throw new Error(`Firefox ended before it listened:\n${said.join('\n')}`);
  }

  #receive({ id, method, params, result, error, message, type }, host) {
    if (type === 'event') {
      if (method === 'log.entryAdded' && params.level === 'error') this.trouble.push(params.text);
      if (method === 'network.beforeRequestSent') {
        const url = new URL(params.request.url);
        if (url.protocol.startsWith('http') && url.host !== host) this.trouble.push(`asked another host: ${url}`);
      }
      return;
    }
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (type === 'error') call?.fail(new Error(`${error}: ${message}`));
    else call?.done(result);
  }

  call(method, params) {
    const id = this.#next++;
    return new Promise((done, fail) => {
      this.#calls.set(id, { done, fail });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /** A tab at an address, the page loaded. */
  async open(url) {
    const { context } = await this.call('browsingContext.create', { type: 'tab' });
    await this.call('browsingContext.setViewport', { context, viewport: { width: 1280, height: 800 } });
    const tab = new Tab(this, context);
    await tab.goto(url);
    return tab;
  }

  async close() {
    this.socket?.close();
    this.process.kill();
    await this.ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

class Tab {
  constructor(firefox, context) {
    Object.assign(this, { firefox, context });
  }

  goto(url) {
    return this.firefox.call('browsingContext.navigate', { context: this.context, url, wait: 'complete' });
  }

  reload() {
    return this.firefox.call('browsingContext.reload', { context: this.context, wait: 'complete' });
  }

  /** Calls a function in the page with JSON values. */
  async evaluate(work, ...values) {
    const answer = await this.firefox.call('script.callFunction', {
      functionDeclaration: `async (values) => JSON.stringify(await (${work})(...JSON.parse(values)) ?? null)`,
      arguments: [{ type: 'string', value: JSON.stringify(values) }],
      target: { context: this.context }, awaitPromise: true,
    });
    if (answer.type === 'exception') throw new Error(answer.exceptionDetails.text);
    return JSON.parse(answer.result.value);
  }

  /** Until the function gives something true, in the page; gives that. */
  async until(work, ...values) {
    const end = Date.now() + 120_000;
    for (;;) {
      // A page on its way to another one fails, or never answers.
      const found = await Promise.race([this.evaluate(work, ...values).catch(() => null), pause(ANSWER)]);
      if (found) return found;
      if (Date.now() > end) {
        const says = () => ['#status', '#banner', '#report'].map((id) => document.querySelector(id)?.innerText);
        const said = await Promise.race([this.evaluate(says).catch(String), pause(ANSWER)]);
        throw new Error(`not within two minutes: ${work} ${values}; the page says ${JSON.stringify(said)}`);
      }
      await pause(50);
    }
  }

  /** Clicks an element as a mouse does. */
  async click(selector) {
    await this.until((s) => Boolean(document.querySelector(s)), selector);
    const { result } = await this.firefox.call('script.callFunction', {
      functionDeclaration: `async (s) => {
        const e = document.querySelector(s);
        e.scrollIntoView({ block: 'center' });
        // What still moves is not pressed.
        const place = () => JSON.stringify(e.getBoundingClientRect());
        for (let before = ''; before !== place();) {
          before = place();
          await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
        }
        return e;
      }`,
      arguments: [{ type: 'string', value: selector }], target: { context: this.context }, awaitPromise: true,
    });
    const origin = { type: 'element', element: { sharedId: result.sharedId } };
    await this.#act('pointer', [{ type: 'pointerMove', x: 0, y: 0, origin }, { type: 'pointerDown', button: 0 }, { type: 'pointerUp', button: 0 }]);
  }

  /** Types into the focused element. */
  async type(text) {
    await this.#act('key', [...text].flatMap((value) => [{ type: 'keyDown', value }, { type: 'keyUp', value }]));
  }

  enter() {
    return this.type(ENTER);
  }

  #act(type, actions) {
    return this.firefox.call('input.performActions', { context: this.context, actions: [{ type, id: type, actions }] });
  }
}
