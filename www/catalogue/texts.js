/** Every sentence of the view Models, in one place. */

import { SAMPLERS } from '../limits.js';
import { bytes, duration } from '../js/dom.js';

/** What stored types are called. */
const TYPES = { q8_0: 'at 8 bits', q5_0: 'at 5 bits', q4_0: 'at 4 bits', f16: 'at 16 bits', f32: 'at 32 bits', as: '' };

/** What a UNet can predict that people bring. */
const PREDICTIONS = { epsilon: 'the noise (epsilon)', v_prediction: 'the velocity (v)' };

/** What people call a sampler. @param {string} name */
const samplerName = (name) => SAMPLERS[name]?.title ?? '';

/** "27 November 2026". @param {string} iso */
const dateOf = (iso) => new Date(iso).toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric' });

export const TEXTS = {
  title: 'Models',
  lede: 'What draws is a model: a file of numbers that learned from pictures. Each is fetched once, kept in this browser, and '
    + 'works offline from then on.',
  here: 'On this device',
  use: 'Use',
  useName: (name) => `Use ${name}`,
  draw: 'Draw',
  drawName: (name) => `Draw with ${name}`,
  rename: 'Rename',
  renameName: (name) => `Rename ${name}`,
  newName: (name) => `New name for ${name}`,
  save: 'Save',
  back: 'Cancel',
  remove: 'Delete',
  removeName: (name) => `Delete ${name}…`,
  cancel: 'Cancel',
  cancelName: (name) => `Cancel ${name}`,
  shrink: 'Make smaller',
  shrinkName: (name) => `Make smaller: ${name}`,
  shrinkText: 'Its weights are rounded inside this browser’s store; nothing is fetched. At 8 bits hardly a picture changes, at 5 and 4 '
    + 'bits details do. Larger again it gets only by being brought again.',
  shrinkTo: (type, size) => `${TYPES[type][0].toUpperCase()}${TYPES[type].slice(1)}, about ${bytes(size)}`,
  predict: 'What it predicts',
  predictName: (name) => `What ${name} predicts`,
  predictText: 'At every step its UNet answers with the noise in the picture (epsilon), or with the velocity (v). Most files show '
    + 'which. If its pictures are mere noise, it is the other.',
  predictions: PREDICTIONS,
  predicts: (said, { prediction, asked }) => (said ? `${PREDICTIONS[said]}, as you say`
    : asked ? 'what it answers when it is asked itself' : PREDICTIONS[prediction] ?? 'the picture (sample)'),
  asFound: ({ prediction, asked }) => (asked || !PREDICTIONS[prediction] ? 'As found' : `As found, ${PREDICTIONS[prediction]}`),
  itIs: (what) => `${what[0].toUpperCase()}${what.slice(1)}`,
  inUse: 'in use',
  adding: 'being added',
  copied: (name) => `${name} is copied into this browser’s store. Nothing is sent anywhere.`,
  copiedFolder: 'What is needed of it is copied into this browser’s store. Nothing is sent anywhere.',
  kept: (size, type) => `${size} on this device${TYPES[type] ? `, ${TYPES[type]}` : ''}`,
  notKept: (size) => `${size}, fetched when it is used`,
  state: { damaged: 'damaged', old: 'from an older version', part: 'partly here' },
  broken: 'What is here of it cannot be used. Add its file again, or delete it.',
  terms: {
    size: 'Size', picture: 'Pictures', run: 'A run', license: 'Licence', from: 'From', download: 'Download', family: 'Family',
    lacks: 'Lacks', predicts: 'Predicts', autoencoder: 'Decoder',
  },
  pixels: (width, height) => `${width} × ${height} pixels`,
  run: ({ steps, guidance, sampler }) => [`${steps} ${steps === 1 ? 'step' : 'steps'}`,
    guidance === undefined ? '' : guidance > 1 ? `guidance ${guidance}` : 'no guidance', samplerName(sampler)]
    .filter(Boolean).join(', '),
  yours: (isFile) => (isFile ? 'a file of yours' : 'a folder of yours'),
  page: 'this page',

  keptLabel: 'New models are kept at',
  keptIn: {
    f16: '16 bits: as most files are', q8_0: '8 bits: half, hardly a change', q5_0: '5 bits: a third, small changes',
    q4_0: '4 bits: least, more changes',
  },
  keptText: 'They are rounded on their way in. What is smaller already stays as it is.',

  had: 'To be had',
  hadText: 'Nothing is fetched before you press.',
  notYet: 'Not yet',
  notYetText: 'What this page lacks to fetch them itself stands on each. They can be brought today: who has the folder that its '
    + 'makers publish chooses it above.',
  fetchIt: 'Fetch',
  fetchName: (name) => `Fetch ${name}`,
  accept: 'Accept and fetch',
  acceptName: (name) => `Accept and fetch ${name}`,
  notNow: 'Not now',
  notNowName: (name) => `Not now: ${name}`,
  pause: 'Pause',
  pauseName: (name) => `Pause ${name}`,
  resume: 'Resume',
  resumeName: (name) => `Resume ${name}`,
  again: 'Try again',
  againName: (name) => `Try again: ${name}`,
  anyway: 'Take it all the same',
  anywayName: (name) => `Take it all the same: ${name}`,
  drop: 'Delete what has come',
  dropName: (name) => `Delete what has come of ${name}`,
  saved: 'Choose the saved file',
  savedFolder: 'Choose the saved folder',
  savedName: (name) => `Choose the saved file of ${name}`,
  tags: {
    queued: 'next', waiting: 'another tab is fetching it', fetching: 'being fetched', checking: 'being checked',
    packing: 'being made smaller', paused: 'paused', failed: 'did not arrive',
  },
  missing: {
    names: 'the names of its own files, which nobody here has seen',
  },
  types: TYPES,
  or: ' or ',
  fits: (kept, free) => `Fits this device: it keeps ${kept}; ${bytes(free)} are free.`,
  fitsUnknown: (kept) => `It keeps ${kept}; this browser does not say how much room there is.`,
  slow: 'The processor draws here, without WebGPU: with the large ones of these a picture takes minutes.',
  smaller: (widest, buffer) => `In its own size a picture takes ${bytes(widest)} at once, more than this graphics adapter allows `
    + `(${bytes(buffer)}): draw smaller ones.`,
  noRoomFor: (size, free) => `No room: it keeps ${bytes(size)} at the least, and ${bytes(free)} are free. Deleting a model or `
    + 'pictures makes room.',
  tooLarge: (needs, memory) => `Too large for this device: it needs ${bytes(needs)} at the least while it draws, and the `
    + `machine has about ${bytes(memory)} in all.`,
  tooLargePhone: (needs) => `Too large for this device: it needs ${bytes(needs)} at the least while it draws, and iPhones and `
    + 'iPads close a tab that uses more than about 1.5 GB.',
  fewerBits: 'At fewer bits it would fit: that is chosen above.',
  instead: (name) => `${name} would fit.`,
  fullText: (name) => `The full text: ${name}`,
  host: (host) => `The file comes from ${host}, which sees this device’s address, as every site does that one visits.`,
  licensed: ({ name, url, revision, accepted }) => [
    name, accepted && url ? `, accepted on ${dateOf(accepted)}` : '', revision ? `, for revision ${revision.slice(0, 12)}` : '',
  ].join(''),
  full: 'There is no room for the rest of it. Deleting a model or pictures makes room; then it goes on where it stopped.',
  network: (message, host) => [`${message} What has come is kept.`,
    `If ${host} lets no other site read the file, or wants you to log in: open it in a tab, save it, and choose the saved `
      + 'file here.'],
  networkFolder: (message, host) => [`${message} What has come is kept.`,
    `If ${host} lets no other site read its files, or wants you to log in: save the folder by hand, and choose the saved folder here.`],
  openTab: (host) => `Open it at ${host}`,

  decoders: 'Another decoder',
  decodersText: 'A model’s decoder (its autoencoder, VAE) makes the picture of what it has drawn. Another one is kept with a model that '
    + 'is here, which you choose once it has come; the model’s own comes back at a press on its card.',
  getDecoder: 'Get a decoder',

  own: 'Bring your own',
  ownText: 'A checkpoint of the Stable Diffusion 1 or 2 family in one file (.safetensors, .gguf), what opengen import made of one, or '
    + 'a folder as diffusers writes it. Choose it here, or drop it anywhere on this page. It is copied into this browser and sent '
    + 'nowhere.',
  choose: 'Choose a file',
  chooseFolder: 'Choose a folder',
  address: 'Or the address of a file',
  addressHint: 'https://…/model.safetensors',
  look: 'Look',
  there: 'Open that page',
  asked: (host) => `At ${host}, by an address of yours.`,
  noFolder: 'Where it lies there as one file: open its page, press that file, and paste its address.',
  sizeUnknown: 'How large it is, its server says when it is fetched.',
  dismiss: 'Remove',
  dismissName: (name) => `Remove ${name}`,
  command: 'opengen import MODEL --type q8 -o model.gguf',
  commandLabel: 'The command that makes such a file',

  takePart: 'Its own decoder',
  takePartName: (name) => `Draw with ${name}’s own decoder again`,
  part: (name, size) => `${name}, ${size}, in place of its own`,
  parts: {
    title: 'Which model is it for?',
    what: (name, tiny) => `“${name}” is ${tiny ? 'a tiny autoencoder (TAESD)' : 'an autoencoder (VAE)'}: it makes the picture of what a model `
      + 'has drawn. It is kept with the model that you choose, in place of its own, which comes back on its card.',
    to: (name) => `Give it to ${name}`,
    back: 'Cancel',
    half: (name) => `“${name}” is half a tiny autoencoder (TAESD).`,
    needed: (missing) => `Its ${missing} is in another file, taesd_${missing}.safetensors or the like: choose both together.`,
    none: (name) => `“${name}” fits no model that is here.`,
    noneText: (tiny) => `It is ${tiny ? 'a tiny autoencoder (TAESD)' : 'an autoencoder (VAE)'} of other latents than those of the models on this `
      + 'device. Add the model first that it is for.',
  },

  once: {
    title: (name) => `${name} draws whatever it is asked for`,
    lines: [
      'It may make adult, violent or false pictures, also where nobody asked for one. No filter looks at them, and nobody but you '
        + 'sees them.',
      'What you make with it, and what you do with that, is yours to answer for.',
    ],
    veil: 'Blur pictures until they are pressed',
    understood: 'Understood',
  },
  care: 'What models may draw',
  careText: 'Mini knows emoji and nothing else. Other models may make adult, violent or false pictures, also where nobody asked for '
    + 'one; no filter looks at them, and what you make is yours to answer for.',

  room: 'Room',
  roomText: (used, free) => `${bytes(used)} used, ${bytes(free)} free for this site.`,
  noRoom: 'This browser does not say how much room there is.',
  keeping: 'Kept on this device',

  came: (loaded, total) => `${bytes(loaded)} of ${bytes(total)}`,
  tensors: (come, all) => `${come} of ${all} tensors`,
  rate: (rate) => `${bytes(rate)}/s`,
  left: (seconds) => `${duration(seconds)} left`,
};
