/** Folders in the visitor's hands: a diffusers model, chosen or dropped, as files with their paths. */

/** @typedef {File & {path?: string}} Found a file; `path` is where it lies in what was dropped */

/** The names by which a folder is taken for a model. */
const MARKS = /(^|\/)(model_index\.json|unet\/config\.json|vae\/config\.json)$/;

/** Where a file lies in what was chosen or dropped. @param {Found} file */
export const pathOf = ({ path, webkitRelativePath, name }) => path ?? (webkitRelativePath || name);

/** Whether files are those of a model's folder. @param {Found[]} files */
export const isFolder = (files) => files.some((file) => MARKS.test(pathOf(file)));

/** What the folder of these files is called. @param {Found[]} files */
export function folderName(files) {
  const mark = files.map(pathOf).filter((path) => MARKS.test(path)).sort((a, b) => a.length - b.length)[0] ?? '';
  return mark.replace(MARKS, '').split('/').filter(Boolean).pop() ?? 'model';
}

/** What diffusers and PEFT call every file of their kind: the folder's name says more. */
const UNNAMED = /^(diffusion_pytorch_model|pytorch_lora_weights|adapter_model|learned_embeds|model)$/;

/**
 * The one file of weights in a folder that is no model: a ControlNet, a LoRA, a decoder; of its precisions the smaller.
 * @param {Found[]} files
 * @returns {File | null} null where there are several, or none
 */
export function networkOf(files) {
  const weights = files.filter((file) => /\.safetensors$/i.test(pathOf(file))).sort((a, b) => a.size - b.size);
  const stems = weights.map((file) => pathOf(file).replace(/(\.fp16)?\.safetensors$/i, ''));
  if (new Set(stems).size !== 1) return null;
  const [stem, folder] = stems[0].split('/').reverse();
  const name = folder && UNNAMED.test(stem) ? folder : stem;
  return new File([weights[0]], `${name}.safetensors`, { lastModified: weights[0].lastModified });
}

/**
 * All files of what was dropped, folders looked into; to be called before anything is awaited, as the browser forgets.
 * @param {DataTransfer} dropped
 * @returns {Promise<Found[]> | null} null where there is no folder among it
 */
export function filesOf(dropped) {
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some(({ isDirectory }) => isDirectory)) return null;
  return Promise.all(entries.map((entry) => below(entry))).then((found) => found.flat());
}

/** @param {any} entry @returns {Promise<Found[]>} */
async function below(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [Object.assign(file, { path: entry.fullPath.replace(/^\//, '') })];
  }
  const reader = entry.createReader();
  const found = [];
  // A reader gives some at a time, and none when there are no more.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const each of some) found.push(...(await below(each)));
  }
}
