/** What steers a run, as the engine takes it: settings name painted regions and control images by their hashes, ControlNets by name. */

import { invalid } from '../errors.js';

/** What to say where the browser has let go of it. */
const GONE = {
  regions: 'what was painted for a part of the prompt is not here any more: paint it again, or choose another place',
  controls: 'a control image or its ControlNet is not here any more: add it again, or remove the control image',
};
/** ControlNets that were asked for, by their names: the engine knows a file again. @type {Map<string, File>} */
const files = new Map();

/**
 * @param {{regions?: any[], controls?: import('./controls.js').Kept[]}} settings
 * @param {import('../js/pictures.js').Pictures} pictures
 * @param {import('../client.js').OpenGen} og
 * @throws {import('../errors.js').OpenGenError} INVALID_INPUT what is not here any more
 */
export async function steering({ regions = [], controls = [] }, pictures, { networks }) {
  const source = async (/** @type {keyof typeof GONE} */ field, /** @type {string} */ hash) => {
    const png = await pictures.source(hash);
    if (!png) throw invalid(field, GONE[field]);
    return png;
  };
  const placed = await Promise.all(regions.map(async (region) => (region.mask ? { ...region, mask: await source('regions', region.mask) } : region)));
  const steered = await Promise.all(controls.map(async ({ model, image, ...how }) => {
    if (!files.has(model)) {
      const file = await networks.file(model).catch(() => { throw invalid('controls', GONE.controls); });
      files.set(model, new File([file], `${model}.safetensors`));
    }
    return { ...how, model: files.get(model), image: await source('controls', /** @type {string} */ (image)) };
  }));
  return { regions: placed, controls: steered };
}
