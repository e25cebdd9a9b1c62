/**
 * Makes room if unfinished requests and items have filled the memory. Without free memory, none of them could ever
 * become whole. `makeRoom` rejects the peer's unfinished message that holds the fewest octets. If its handler has not
 * started, the peer may send the message again. This library never fills the memory of its peer like this, but
 * another sender may.
 */
import { MIN_FRAGMENT } from '../../wire/index.js';
import type { IncomingMessage } from '../message/incoming-message.js';
import { connectionReserveOf, type Limits } from '../flow/limits.js';
import type { SessionMachine } from '../session/session.js';
import type { ReceiveWindow } from '../flow/windows.js';

/** While at least this number of octets is free, the peer can still go on with its unfinished messages. */
export function roomToGoOn(limits: Limits): number {
  return connectionReserveOf(limits) + MIN_FRAGMENT;
}

/**
 * Rejects one unfinished message if there are several and nothing else holds memory. Call this function only if fewer
 * octets are free than `roomToGoOn`.
 */
export function makeRoom(
  { held }: ReceiveWindow,
  sessions: { all(): readonly SessionMachine[] },
): void {
  let stuck = 0;
  let count = 0;
  let least: IncomingMessage | undefined;
  let where: SessionMachine | undefined;
  for (const session of sessions.all()) {
    // Items of responses hold memory as well. This side wants those responses, and does not give them up.
    for (const response of session.sender.streams.unfinished()) {
      if (response.stuck === 0) continue;
      stuck += response.stuck;
      count += 1;
    }
    for (const message of session.receiver.unfinished()) {
      if (message.stuck === 0) continue;
      stuck += message.stuck;
      count += 1;
      if (message.stuck < (least?.stuck ?? Infinity)) [least, where] = [message, session];
    }
  }
  // [IC-8.14]
  // A single message always fits: no message may be larger than the memory.
  if (least !== undefined && count > 1 && held <= stuck) where?.receiver.refuseUnfinished(least);
}
