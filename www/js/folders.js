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
