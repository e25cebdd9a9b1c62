/**
 * How a server tells what was emitted from what was sent. Nest's TCP transport does so by the id, which an event lacks; here
 * both are messages that are accepted or rejected. So a client emits in a session of its own, which says so when it is
 * opened: nothing is added to any message.
 */
import type { Session } from '../../endpoint/index.js';

const KIND = 'rpc-kind';
const EVENT = 'event';

/** What such a session is opened with. Without it, a message is a request, and its caller gets what the handler returns. */
export const EVENT_SESSION = { metadata: { [KIND]: EVENT } };

/** Whether the messages of a session were emitted: their callers want to know that they were handled, and no value. */
export function isEventSession({ metadata }: Session): boolean {
  return metadata[KIND] === EVENT;
}
