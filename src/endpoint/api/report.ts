/**
 * Reports an error that a listener or a callback of the application threw. The application is told, and the library
 * goes on: a further throw would end the process, or leave other callers waiting for ever.
 */
import { messageOf, stackOf } from '../common/words.js';

/** @internal `tell` emits `handlerError`, and returns whether somebody listens for it. */
export function report(error: unknown, tell: () => boolean): void {
  try {
    if (tell()) return;
  } catch (another) {
    warn(another);
  }
  warn(error);
}

/** @internal A process warning, as text: Node takes no error of another realm. */
export function warn(error: unknown): void {
  process.emitWarning(`A listener failed: ${messageOf(error)}`, {
    type: 'InterconnectWarning',
    detail: stackOf(error) ?? '',
  });
}
