/** What goes wrong, as an error with a code that a program can act upon and a message that a person can read. */

/** @typedef {import('./protocol.d.ts').ErrorCode} ErrorCode */

/** Every error that the client throws or rejects with. */
export class OpenGenError extends Error {
  /** @param {{code: ErrorCode, message: string, field?: string | null, retryable?: boolean}} wire */
  constructor({ code, message, field = null, retryable = false }) {
    super(message);
    // As fetch has it, so that code which knows aborted requests knows this one too.
    this.name = code === 'ABORTED' ? 'AbortError' : 'OpenGenError';
    /** What happened; the list with its meanings is in protocol.d.ts. @type {ErrorCode} */
    this.code = code;
    /** The option at fault, for INVALID_INPUT. @type {string | null} */
    this.field = field;
    /** Whether the same call may succeed when it is made again. @type {boolean} */
    this.retryable = retryable;
  }
}

/** @returns {OpenGenError} the answer to a call whose signal fired */
export const aborted = () => new OpenGenError({ code: 'ABORTED', message: 'cancelled' });

/**
 * @param {string} field the option at fault
 * @param {string} message what it takes
 * @returns {OpenGenError}
 */
export const invalid = (field, message) => new OpenGenError({ code: 'INVALID_INPUT', field, message });
