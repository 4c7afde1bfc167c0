/** What goes wrong, as an error with a code that a program can act upon and a message that a person can read. */

/** @typedef {import('./api.d.ts').ErrorCode} ErrorCode */

/** Every error that the client throws or rejects with. */
export class OpenGenError extends Error {
  /**
   * @param {{code: ErrorCode, message: string, field?: string | null, retryable?: boolean, detail?: string | null,
   *   kind?: string | null, cause?: unknown}} wire
   *   `cause`: what led to it, such as a signal's reason
   */
  constructor({ code, message, field = null, retryable = false, detail = null, kind = null, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    // As fetch has it, so that code which knows aborted requests and AbortSignal.timeout knows this one too.
    this.name = code === 'ABORTED' ? (isTimeout(cause) ? 'TimeoutError' : 'AbortError') : 'OpenGenError';
    /** What happened; the list with its meanings is in api.d.ts and protocol.d.ts. @type {ErrorCode} */
    this.code = code;
    /** The option at fault, for INVALID_INPUT. @type {string | null} */
    this.field = field;
    /** Whether the same call may succeed when it is made again. @type {boolean} */
    this.retryable = retryable;
    /** What only the curious want to know, such as the tensor at which a file breaks off. @type {string | null} */
    this.detail = detail;
    /** What a file is good for instead of being a model: "lora", "embedding", "controlnet" or "upscaler", for BAD_MODEL. @type {string | null} */
    this.kind = kind;
  }
}

/** @param {unknown} reason */
const isTimeout = (reason) => /** @type {any} */ (reason)?.name === 'TimeoutError';

/**
 * The answer to a call whose signal fired, as `OpenGenError` takes it. The call did not fail: it may be made again.
 * @param {AbortSignal} signal
 * @returns {{code: 'ABORTED', message: string, retryable: true, cause: unknown}}
 */
export const abortion = ({ reason }) =>
  ({ code: 'ABORTED', message: isTimeout(reason) ? 'timed out' : 'cancelled', retryable: true, cause: reason });

/** @param {AbortSignal} signal @returns {OpenGenError} the answer to a call whose signal fired */
export const aborted = (signal) => new OpenGenError(abortion(signal));

/**
 * @param {string} field the option at fault
 * @param {string} message what it takes
 * @returns {OpenGenError}
 */
export const invalid = (field, message) => new OpenGenError({ code: 'INVALID_INPUT', field, message });
