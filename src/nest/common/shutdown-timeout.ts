/** The time that running handlers or pending calls get when their server or client is closed. */
import { InterconnectError } from '../../endpoint/index.js';

/** Milliseconds. */
const DEFAULT = 10_000;
const MOST = 2 ** 31 - 1;

/** Milliseconds. Throws `IC_ERR_OPTION` for a value out of range. */
export function shutdownTimeoutOf({
  shutdownTimeout = DEFAULT,
}: {
  shutdownTimeout?: number | undefined;
}): number {
  const isTime =
    Number.isInteger(shutdownTimeout) && shutdownTimeout >= 0 && shutdownTimeout <= MOST;
  if (isTime) return shutdownTimeout;
  throw new InterconnectError(
    'IC_ERR_OPTION',
    `shutdownTimeout must be an integer from 0 to ${MOST}, and is ${String(shutdownTimeout)}.`,
  );
}
