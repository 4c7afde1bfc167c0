/**
 * Parts that a mode needs and a model does not have, and where they can be had: offered where they are missing. Names, sizes and
 * licences are those that docs/models.md gives sources for; this project has had none of these files in its hands.
 */

/**
 * @typedef {object} Offer
 * @property {'controlnet' | 'upscaler'} kind
 * @property {string} name
 * @property {string} about one sentence of what it is for
 * @property {string} [suits] models that it is for, where not all
 * @property {string} repo on the hub
 * @property {string} path of its file there
 * @property {number} bytes about so many, where `sha256` is missing
 * @property {string} [sha256]
 * @property {string} license a name in licenses.js
 */

/** @param {string} path @param {string} name @param {string} about @returns {Offer} */
const control = (path, name, about) => ({
  kind: 'controlnet', name, about, suits: 'Stable Diffusion 1.5 and what was made from it', repo: 'comfyanonymous/ControlNet-v1-1_fp16_safetensors', path, bytes: 723_000_000, license: 'openrail-m',
});

/** @type {Offer[]} */
export const OFFERS = [
  control('control_v11p_sd15_canny_fp16.safetensors', 'Canny', 'Follows the edges of a picture.'),
  control('control_v11p_sd15_scribble_fp16.safetensors', 'Scribble', 'Makes a picture of a rough drawing.'),
  control('control_v11p_sd15_lineart_fp16.safetensors', 'Lineart', 'Follows a line drawing, or the lines of a picture.'),
  control('control_v11f1e_sd15_tile_fp16.safetensors', 'Tile', 'Keeps what a picture shows, and draws its details anew.'),
  {
    kind: 'upscaler', name: 'Real-ESRGAN ×4', about: 'Enlarges pictures four times by itself, with any model.', repo: 'Comfy-Org/Real-ESRGAN_repackaged',
    path: 'RealESRGAN_x4plus.safetensors', bytes: 66_857_836, sha256: '37f9a931c215f040aa6d50f711f2cb115f713c46df1d0d6469a8bd7bfe9a60bb', license: 'bsd',
  },
];
