/** Listening to an AbortSignal that many messages may share. */
import { getMaxListeners, setMaxListeners } from 'node:events';

/** Calls `cancel` when the signal aborts, unless the returned function was called before. */
export function whenAborted(signal: AbortSignal, cancel: () => void): () => void {
  allowListeners(signal);
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

/** Many messages may share one signal, such as that of a shutdown. Node would warn of a leak from the eleventh on. */
function allowListeners(signal: AbortSignal): void {
  // A signal that is not Node's own counts its listeners itself. To ask it would throw an error per message.
  if (Object.prototype.toString.call(signal) !== '[object AbortSignal]') return;
  if (getMaxListeners(signal) !== Infinity) setMaxListeners(Infinity, signal);
}
