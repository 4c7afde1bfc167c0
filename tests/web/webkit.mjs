/** WebKitGTK, Safari's engine without Safari, driven through its WebDriver, on a screen that is only in memory. */

import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const DRIVER = '/usr/bin/WebKitWebDriver';
/** The key code of WebDriver. */
const ENTER = '\uE007';
/** The name under which WebDriver hands an element over. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

/** Debian's browser for tests, in a folder that is named after the machine and the version. */
function executable() {
  const lib = '/usr/lib';
  for (const machine of existsSync(lib) ? readdirSync(lib) : []) {
    for (const version of ['4.1', '6.0', '4.0']) {
      const path = join(lib, machine, `webkit2gtk-${version}`, 'MiniBrowser');
      if (existsSync(path)) return path;
    }
  }
  return null;
}

/** Whether there is one on this machine. */
export const isThere = () => existsSync(DRIVER) && existsSync('/usr/bin/Xvfb') && executable() !== null;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

const freePort = () => new Promise((done, fail) => {
  const server = createServer().on('error', fail).listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

/** Starts a screen and says which. */
async function screen() {
  const process = spawn('/usr/bin/Xvfb', ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  for await (const line of createInterface({ input: process.stdio[3] })) return { process, display: `:${line.trim()}` };
  throw new Error('Xvfb ended before it had a screen');
}

export class WebKit {
  static async launch() {
    const webkit = new WebKit();
    const { process: xvfb, display } = await screen();
    webkit.xvfb = xvfb;
    const port = await freePort();
    webkit.url = `http://127.0.0.1:${port}`;
    webkit.driver = spawn(DRIVER, [`--port=${port}`], { stdio: 'ignore', env: { ...process.env, DISPLAY: display, GDK_BACKEND: 'x11' } });
    const options = { binary: executable(), args: ['--automation'] };
    const session = await webkit.#session({ 'webkitgtk:browserOptions': options });
    webkit.path = `/session/${session.sessionId}`;
    webkit.version = session.capabilities.browserVersion;
    return webkit;
  }

  /** Asked for until the driver listens. */
  async #session(alwaysMatch) {
    const end = Date.now() + 20_000;
    for (;;) {
      try {
        return await this.call('POST', '/session', { capabilities: { alwaysMatch } });
      } catch (error) {
        if (Date.now() > end || error.cause?.code !== 'ECONNREFUSED') throw error;
        await pause(100);
      }
    }
  }

  async call(method, path, body) {
    const response = await fetch(this.url + path, { method, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
    return value;
  }

  /** A tab at an address, the page loaded. */
  async open(url) {
    const tab = new Tab(this);
    await tab.goto(url);
    return tab;
  }

  async close() {
    await this.call('DELETE', this.path).catch(() => {}); // it has ended by itself
    this.driver.kill();
    this.xvfb.kill();
  }
}

class Tab {
  /** @param {WebKit} webkit */
  constructor(webkit) {
    this.webkit = webkit;
  }

  #call(path, body) {
    return this.webkit.call('POST', this.webkit.path + path, body);
  }

  goto(url) {
    return this.#call('/url', { url });
  }

  /** Calls a function in the page with JSON values. */
  async evaluate(work, ...values) {
    const script = `const [values, done] = arguments;
      (async () => JSON.stringify(await (${work})(...JSON.parse(values)) ?? null))().then(
        (value) => done({ value }), (error) => done({ error: String(error) }));`;
    const { value, error } = await this.#call('/execute/async', { script, args: [JSON.stringify(values)] });
    if (error) throw new Error(error);
    return JSON.parse(value);
  }

  /** Until the function gives something true, in the page; gives that. */
  async until(work, ...values) {
    const end = Date.now() + 120_000;
    for (;;) {
      const found = await this.evaluate(work, ...values).catch(() => null); // a page on its way to another one
      if (found) return found;
      if (Date.now() > end) throw new Error(`not within two minutes: ${work} ${values}`);
      await pause(50);
    }
  }

  /** Clicks an element as a mouse does. */
  async click(selector) {
    await this.until((s) => Boolean(document.querySelector(s)), selector);
    const found = await this.#call('/element', { using: 'css selector', value: selector });
    await this.#call(`/element/${found[ELEMENT]}/click`, {});
  }

  /** Types into the focused element. */
  async type(text) {
    const focused = await this.webkit.call('GET', `${this.webkit.path}/element/active`);
    await this.#call(`/element/${focused[ELEMENT]}/value`, { text });
  }

  enter() {
    return this.type(ENTER);
  }
}
