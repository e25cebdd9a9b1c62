/**
 * Makes room when requests and items that are all unfinished have filled the memory: none of them could ever
 * become whole. Of the other side's messages, the one of which least has come is rejected, and may be sent
 * again. Our own sender never brings it that far; others may.
 */
import { MIN_FRAGMENT } from '../../wire/index.js';
import type { IncomingMessage } from '../message/incoming-message.js';
import { connectionReserveOf, type Limits } from '../flow/limits.js';
import type { SessionMachine } from '../session/session.js';
import type { ReceiveWindow } from '../flow/windows.js';

export function makeRoom(
  { room, freed, held }: ReceiveWindow,
  limits: Limits,
  sessions: { all(): readonly SessionMachine[] },
): void {
  // A sender that leaves the reserve to settlements stops above it.
  if (room + freed >= connectionReserveOf(limits) + MIN_FRAGMENT) return;
  let stuck = 0;
  let count = 0;
  let least: IncomingMessage | undefined;
  let where: SessionMachine | undefined;
  for (const session of sessions.all()) {
    // Items of answers hold room as well. Their messages are this side's own: it does not give them up.
    for (const answer of session.sender.streams.unfinished()) {
      if (answer.stuck === 0) continue;
      stuck += answer.stuck;
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
  // One alone always fits: no message may be larger than that.
  if (least !== undefined && count > 1 && held <= stuck) where?.receiver.refuseUnfinished(least);
}
