/** The first steps of the cases about resuming. */
import {
  Capability,
  encodePreface,
  type Frame,
  FrameType,
  type Meta,
} from '../../../wire/index.js';
import { converse, type Conversation } from '../conversation.js';
import { GENEROUS } from '../limits.js';
import { demand, Mismatch, Skip } from '../mismatch.js';
import { frame } from '../octets.js';
import type { Peer } from '../peer.js';
import type { Subject } from '../subject.js';

/** The fields with which the suite's HELLO or WELCOME offers to resume. */
export const RESUMABLE: Meta = { caps: Capability.RESUME };

/** A connection to a listener. The listener has offered to resume it. @throws Skip */
export async function resumable(
  subject: Subject,
  meta: Meta = {},
  data = '',
): Promise<{ readonly conversation: Conversation; readonly token: Buffer }> {
  const conversation = await converse(subject, { ...RESUMABLE, ...meta }, data);
  const { caps = 0, token } = conversation.greeting.meta;
  if ((caps & Capability.RESUME) === 0)
    throw new Skip('RESUME is not in the CAPS of the other side');
  demand(token !== undefined, 'TOKEN on WELCOME', 'none');
  return { conversation, token: token.token };
}

/** `former`: the conversation whose limits the suite has read. `payload`: the data of HELLO. */
interface ResumeParts {
  readonly meta?: Meta;
  readonly former?: Conversation;
  readonly payload?: string;
}

/** Dials, sends a HELLO with RESUME, and waits for WELCOME. */
export async function resume(
  subject: Subject,
  token: Buffer,
  received: number,
  { meta = {}, former, payload = '' }: ResumeParts = {},
): Promise<{ readonly peer: Peer; readonly welcome: Frame }> {
  const peer = await subject.connect();
  if (former !== undefined) peer.learn(former.greeting);
  const hello = { ...GENEROUS, ...RESUMABLE, ...meta, resume: { token, received } };
  peer.write(encodePreface(), frame(FrameType.HELLO, { meta: hello, payload }));
  const welcome = await peer.frame(FrameType.WELCOME);
  return { peer, welcome };
}

/**
 * As `resume`, but the listener must resume the connection with this count. The session numbers continue those of the
 * former socket.
 */
export async function resumed(
  subject: Subject,
  former: Conversation,
  token: Buffer,
  count: number,
): Promise<Conversation> {
  const { peer, welcome } = await resume(subject, token, former.peer.read, { former });
  const { resumed: actual } = welcome.meta;
  if (actual === undefined) throw new Mismatch(`RESUMED ${count}`, 'a new connection');
  demand(actual === count, `RESUMED ${count}`, actual);
  peer.read += former.peer.read;
  return former.on(peer);
}

/** Destroys the socket without notice. */
export function cut({ peer }: Conversation): void {
  peer.socket.destroy();
}
