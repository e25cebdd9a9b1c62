/**
 * The sessions of emitted messages. In Nest's TCP transport, an event has no id. Here events and requests are both messages that
 * are accepted or rejected. So a client emits in a session of its own, which is marked when it is opened. The messages need no
 * mark.
 */
import type { Session } from '../../endpoint/index.js';

const KIND = 'rpc-kind';
const EVENT = 'event';

/** The options that open such a session. In other sessions, messages are requests, and their callers get the handler's value. */
export const EVENT_SESSION = { metadata: { [KIND]: EVENT } };

/** Whether the messages of a session were emitted, so that their callers want no value. */
export function isEventSession({ metadata }: Session): boolean {
  return metadata[KIND] === EVENT;
}
