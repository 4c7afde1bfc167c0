/**
 * Parts that a mode needs and a model does not have, and where they can be had: offered where they are missing. Names, sizes and
 * licences are those that docs/models.md gives sources for; this project has had none of these files in its hands.
 */

/**
 * @typedef {object} Offer
 * @property {'controlnet' | 'upscaler' | 'autoencoder'} kind
 * @property {string} name
 * @property {string} about one sentence of what it is for
 * @property {string} [suits] models that it is for, where not all
 * @property {string} repo on the hub, or on GitHub where `release` is given
 * @property {string} path of its file there
 * @property {string} [file] what the file is called here, where its own name says nothing
 * @property {number} bytes about so many, where `sha256` is missing
 * @property {string} [sha256]
 * @property {string} license a name in licenses.js
 * @property {string} [release] on GitHub, which lets no page read its files: a visitor saves it and drops it
 */

/** @param {string} path @param {string} name @param {string} about @returns {Offer} */
const control = (path, name, about) => ({
  kind: 'controlnet', name, about, suits: 'Stable Diffusion 1.5 and what was made from it', repo: 'comfyanonymous/ControlNet-v1-1_fp16_safetensors', path, bytes: 723_000_000, license: 'openrail-m',
});

/** @param {string} path @param {string} name @param {string} about @param {Partial<Offer>} known @returns {Offer} */
const upscaler = (path, name, about, known) => (
  { kind: 'upscaler', name, about, repo: 'Comfy-Org/Real-ESRGAN_repackaged', path, bytes: 67_000_000, license: 'bsd', ...known }
);

/** @type {Offer[]} */
export const OFFERS = [
  control('control_v11p_sd15_canny_fp16.safetensors', 'Canny', 'Follows the edges of a picture.'),
  control('control_v11p_sd15_scribble_fp16.safetensors', 'Scribble', 'Makes a picture of a rough drawing.'),
  control('control_v11p_sd15_lineart_fp16.safetensors', 'Lineart', 'Follows a line drawing, or the lines of a picture.'),
  control('control_v11f1e_sd15_tile_fp16.safetensors', 'Tile', 'Keeps what a picture shows, and draws its details anew.'),
  upscaler('RealESRGAN_x4plus.safetensors', 'Real-ESRGAN ×4', 'Enlarges pictures four times by itself, with any model.',
    { bytes: 66_857_836, sha256: '37f9a931c215f040aa6d50f711f2cb115f713c46df1d0d6469a8bd7bfe9a60bb' }),
  upscaler('RealESRGAN_x2plus.safetensors', 'Real-ESRGAN ×2', 'The same to twice the size, in a quarter of the time.', {}),
  upscaler('RealESRGAN_x4plus_anime_6B.safetensors', 'Real-ESRGAN for drawings', 'Four times as well, small and quick: for drawings and anime.',
    { bytes: 17_900_000 }),
  {
    kind: 'upscaler', name: 'StarSample ×2', about: 'Cleans cartoons and drawings at twice their size: a megabyte, and many times as quick.',
    repo: 'Derpiesaurus/models', path: '2x.StarSample.V1.0.safetensors', bytes: 1_205_456, license: 'cc0',
    sha256: 'a83685aa15674a955ed2eec9cdffe2e1a591967f581d6c356a63f1cf4ae07a49',
    release: 'v1.0',
  },
  {
    kind: 'autoencoder', name: 'TAESD', about: 'Makes the picture of what was drawn in a fraction of the time and memory, a little coarser.',
    suits: 'Stable Diffusion 1 and 2', repo: 'madebyollin/taesd', path: 'diffusion_pytorch_model.safetensors', file: 'taesd.safetensors',
    bytes: 9_793_292, sha256: 'db169d69145ec4ff064e49d99c95fa05d3eb04ee453de35824a6d0f325513549', license: 'mit',
  },
  {
    kind: 'autoencoder', name: 'VAE ft-MSE', about: 'Smoother faces, eyes and letters than Stable Diffusion 1’s own: most models made from it are used with this.',
    suits: 'Stable Diffusion 1 and 2', repo: 'stabilityai/sd-vae-ft-mse-original', path: 'vae-ft-mse-840000-ema-pruned.safetensors',
    bytes: 334_641_190, sha256: '735e4c3a447a3255760d7f86845f09f937809baa529c17370d83e4c3758f3c75', license: 'mit',
  },
];
