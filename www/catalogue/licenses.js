/**
 * Licences of models: what each allows and what it asks, one sentence each, as docs/models.md says where that was read.
 * Whoever takes a model under one that is not `free` agrees to it first.
 */

/**
 * @typedef {object} License
 * @property {string} name
 * @property {string | null} url its full text
 * @property {boolean} free MIT, Apache, BSD or CC0: little is asked beyond keeping the notice
 * @property {string} allows
 * @property {string} forbids
 */

const RAIL = {
  free: false,
  allows: 'It allows everyone to use, change and pass on the model, for money too, and claims no rights in the pictures.',
  forbids: 'It forbids what breaks a law, harms minors or exploits people, defames, harasses or discriminates, spreads falsehoods '
    + 'to harm, gives medical advice or serves justice, police or asylum procedures, and decides by machine about people’s '
    + 'rights; who passes the model on has to pass these terms on.',
};

/** @type {Record<string, License>} */
export const LICENSES = {
  mit: {
    name: 'MIT', url: 'https://opensource.org/license/mit', free: true,
    allows: 'It allows everything.', forbids: 'It asks to keep its notice.',
  },
  apache: {
    name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0', free: true,
    allows: 'It allows everything.', forbids: 'It asks to keep its notices and to say what was changed.',
  },
  bsd: {
    name: 'BSD-3-Clause', url: 'https://opensource.org/license/bsd-3-clause', free: true,
    allows: 'It allows everything.', forbids: 'It asks to keep its notice, and not to advertise with the names of its makers.',
  },
  cc0: {
    name: 'CC0-1.0', url: 'https://creativecommons.org/publicdomain/zero/1.0/', free: true,
    allows: 'Its makers gave up their rights: it allows everything.', forbids: 'It asks for nothing.',
  },
  'openrail-m': {
    name: 'CreativeML Open RAIL-M', url: 'https://github.com/Nota-NetsPresso/BK-SDM/blob/main/LICENSE', ...RAIL,
  },
  'openrail++-m': {
    name: 'CreativeML Open RAIL++-M', url: 'https://github.com/Stability-AI/stablediffusion/blob/main/LICENSE-MODEL', ...RAIL,
  },
  'sd-turbo': {
    name: 'Stability AI Non-Commercial Research Community', free: false,
    url: 'https://github.com/Stability-AI/generative-models/blob/main/model_licenses/LICENCE-SD-Turbo',
    allows: 'It allows research and what earns no money: to use, change and pass on the model.',
    forbids: 'It forbids any commercial or production use, offering the model as a service, and what Stability AI’s acceptable '
      + 'use policy forbids; it ends where its terms are broken.',
  },
  unknown: {
    name: 'unknown: yours to check', url: null, free: false,
    allows: 'This page does not know the licence of this file.',
    forbids: 'Look at the page that you have the address from: what you may do with it is yours to check.',
  },
};

/**
 * What a model is under: names in the list above, or licences that a site describes itself.
 * @typedef {string | License | (string | License)[]} Under
 */

/** All licences that a model is under. @param {Under} under @returns {License[]} */
export const licensesOf = (under) =>
  [under].flat().map((license) => (typeof license === 'string' ? LICENSES[license] ?? LICENSES.unknown : license));

/**
 * What a model is under, as one: where there are several, all of them hold.
 * @param {Under} under
 * @returns {Pick<License, 'name' | 'url' | 'free'>} the address is that of one that asks for something, where one does
 */
export function licenseOf(under) {
  const all = licensesOf(under);
  const { url } = all.find(({ free }) => !free) ?? all[0];
  return { name: all.map(({ name }) => name).join(' and '), url, free: all.every(({ free }) => free) };
}
