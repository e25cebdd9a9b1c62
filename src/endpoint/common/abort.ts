/** Listening to an AbortSignal that many messages may share. */
import { getMaxListeners, setMaxListeners } from 'node:events';

/** Calls `cancel` when the signal aborts, unless the returned function was called before. */
export function whenAborted(signal: AbortSignal, cancel: () => void): () => void {
  allowListeners(signal);
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

/** Many may share a signal, a shutdown's say; Node would warn of a leak from the eleventh on. */
function allowListeners(signal: AbortSignal): void {
  // One that is not Node's own counts for itself; asking it would throw, with a stack, per message.
  if (Object.prototype.toString.call(signal) !== '[object AbortSignal]') return;
  if (getMaxListeners(signal) !== Infinity) setMaxListeners(Infinity, signal);
}
