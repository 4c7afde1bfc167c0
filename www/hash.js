/** SHA-256 in hexadecimal; null where the browser hashes nothing, as on a page without https. @param {BufferSource} bytes @returns {Promise<string | null>} */
export async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) return null;
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
