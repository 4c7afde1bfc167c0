/** Pictures from the device's camera. */

import { make } from '../js/dom.js';
import { sentence } from '../js/words.js';
import { button, panel } from './dialog.js';
import { TEXTS as T } from './texts.js';

/** What a camera's refusal means, by its name. @type {Record<string, string>} */
const REFUSALS = { NotAllowedError: T.cameraRefused, NotFoundError: T.cameraNone, NotReadableError: T.cameraBusy };

/** Shows what the camera sees until it is closed. @param {(image: Blob) => Promise<void>} take is given each picture */
export async function takePictures(take) {
  const video = make('video', { muted: true, playsInline: true, ariaLabel: T.cameraSees });
  const said = make('p', { className: 'quiet', role: 'status', textContent: T.cameraWaits });
  /** @type {MediaStream | null} */ let stream = null;
  let [count, open] = [0, true];
  const shoot = button(T.shoot, async () => {
    shoot.disabled = true;
    await take(await frameOf(video));
    said.textContent = T.taken(++count);
    shoot.disabled = false;
    shoot.focus();
  }, 'primary');
  shoot.disabled = true;
  const dialog = panel(T.camera, [video, said, make('p', { className: 'quiet', textContent: T.person })], [shoot, button(T.close, () => dialog.close(), 'ghost')]);
  const closed = new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      open = false;
      stream?.getTracks().forEach((track) => track.stop());
      resolve(undefined);
    });
  });
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment', width: { ideal: 1280 }, height: { ideal: 1280 } } });
    if (!open) stream.getTracks().forEach((track) => track.stop());
    video.srcObject = stream;
    await video.play();
    said.textContent = T.cameraReady;
    shoot.disabled = false;
    shoot.focus();
  } catch (error) {
    if (open) said.textContent = REFUSALS[error.name] ?? sentence(error.message);
  }
  await closed;
}

/** @param {HTMLVideoElement} video */
async function frameOf(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext('2d').drawImage(video, 0, 0);
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.95 });
}
