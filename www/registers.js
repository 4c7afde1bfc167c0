/**
 * A new thread inherits whether the upper halves of its vector registers count as used from the one that starts it. Where they
 * do, a change between an SSE instruction and an AVX one costs an Intel processor some hundred cycles (Intel's
 * Optimization Reference Manual, “Mixing AVX Code With SSE Code”), and Firefox compiles WebAssembly to a mixture of both: a
 * picture takes a hundred times as long. As Debian builds it, Firefox's own search for a character (`'text'.indexOf('x')`)
 * leaves them used.
 */

/** Has the browser's drawing code run on this thread, which leaves them unused: what is computed next runs at full speed. */
export function clearRegisters() {
  try {
    // A new canvas each time, which the processor draws: on one that has been drawn on, nothing might run here.
    new OffscreenCanvas(2, 2).getContext('2d', { willReadFrequently: true })?.fillRect(0, 0, 1, 1);
  } catch {
    // A browser that has none is not one that needs it.
  }
}
