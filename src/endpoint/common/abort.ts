/** A helper that listens to an AbortSignal, which many messages may share. */
import { getMaxListeners, setMaxListeners } from 'node:events';

/** Calls `cancel` when the signal aborts. The returned function removes the listener. */
export function whenAborted(signal: AbortSignal, cancel: () => void): () => void {
  allowListeners(signal);
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

/** Many messages may share one signal. From the eleventh listener of a signal on, Node would warn of a leak. */
function allowListeners(signal: AbortSignal): void {
  // Only Node's own signals have this limit. For any other signal, `getMaxListeners` would throw.
  if (Object.prototype.toString.call(signal) !== '[object AbortSignal]') return;
  if (getMaxListeners(signal) !== Infinity) setMaxListeners(Infinity, signal);
}
