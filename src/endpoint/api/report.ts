/**
 * Reports an error that a listener or a callback of the application threw. The library does not throw the error again:
 * that would end the process, or leave other callers waiting for ever.
 */
import { printable } from '../../wire/index.js';
import { messageOf, stackOf } from '../common/words.js';
import type { CertificateExpiry } from '../socket/certificate-watch.js';

/** @internal `tell` emits `handlerError`, and returns whether the event has a listener. Without one, warns. */
export function report(error: unknown, tell: () => boolean): void {
  try {
    if (tell()) return;
  } catch (another) {
    warn(another);
  }
  warn(error);
}

/** @internal Emits a process warning. The warning is a text, because Node refuses an error of another realm. */
export function warn(error: unknown): void {
  process.emitWarning(`A listener failed: ${messageOf(error)}`, {
    type: 'InterconnectWarning',
    detail: stackOf(error) ?? '',
  });
}

/** @internal A process warning of a certificate that nobody else is told of. */
export function warnOfExpiry({ subject, expires, days }: CertificateExpiry): void {
  const when = days < 0 ? 'has expired' : `expires in ${days} days`;
  process.emitWarning(
    `The certificate ${printable(subject)} of a listener ${when} (${expires.toISOString()}). Renew it, and call setSecureContext.`,
    { type: 'InterconnectWarning' },
  );
}
