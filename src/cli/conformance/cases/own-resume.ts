/** A connection that survives its sockets, with a dialer under test. */
import { Capability, Code, encodePreface, FrameType, type Meta } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { GENEROUS } from '../limits.js';
import { demand, Skip } from '../mismatch.js';
import { accept, close, frame, opened } from '../octets.js';
import type { Peer } from '../peer.js';
import type { Subject } from '../subject.js';
import { RESUMABLE } from './resuming.js';

const { HELLO, OPEN, SEND, WELCOME } = FrameType;
const TOKEN = Buffer.alloc(32, 9);
/** Milliseconds: a little less than the least time for which a dialer must stay away. */
const ABSENCE = 900;

function welcome(peer: Peer, meta: Meta): void {
  const all = { ...GENEROUS, ...RESUMABLE, ...meta };
  peer.write(encodePreface(), frame(WELCOME, { meta: all }));
}

/** A dialer that has got a token. It has opened `t.echo` and sent `ping`, and the suite has answered neither. */
async function begun(subject: Subject): Promise<Peer> {
  const peer = await subject.connect();
  const hello = await peer.frame(HELLO);
  if (((hello.meta.caps ?? 0) & Capability.RESUME) === 0) {
    throw new Skip('RESUME is not in the CAPS of the dialer');
  }
  welcome(peer, { token: { token: TOKEN, ttl: 60_000 } });
  await peer.frame(OPEN, 1);
  await peer.frame(SEND, 1);
  return peer;
}

/** The dialer's next socket after the loss of this one, and the meta of the HELLO on it. */
async function returned(subject: Subject, former: Peer): Promise<{ peer: Peer; meta: Meta }> {
  former.socket.destroy();
  const peer = await subject.connect();
  const hello = await peer.frame(HELLO);
  return { peer, meta: hello.meta };
}

/** The next socket of the dialer, if the dialer opens one within this many milliseconds. */
function returnedWithin(subject: Subject, milliseconds: number): Promise<Peer | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), milliseconds);
    const settle = (peer?: Peer): void => {
      clearTimeout(timer);
      resolve(peer);
    };
    subject.connect().then(settle, () => settle());
  });
}

function ofDialer(
  id: string,
  clauses: readonly string[],
  sentence: string,
  run: (subject: Subject) => Promise<void>,
): ConformanceCase {
  return { id, clauses, sentence, role: 'dialer', run };
}

export const ownResumeCases: readonly ConformanceCase[] = [
  ofDialer(
    'resume/returns',
    ['17.15', '17.16'],
    'a dialer that has lost its socket comes back: a whole HELLO with token and count',
    async (subject) => {
      const first = await begun(subject);
      first.write(opened(1));
      await first.fence();
      const { meta } = await returned(subject, first);
      const { token, received } = meta.resume ?? {};
      demand(token?.equals(TOKEN) === true, 'RESUME with its token', 'another, or none');
      demand(received === 1, 'the count 1', String(received));
    },
  ),
  ofDialer(
    'resume/returns-and-goes-on',
    ['17.24', '17.25', '17.26'],
    'frames that the listener has not seen are written again, with a DEADLINE no longer than before',
    async (subject) => {
      const { peer } = await returned(subject, await begun(subject));
      welcome(peer, { resumed: 1 });
      const message = await peer.frame(SEND, 1);
      demand(
        message.payload.toString() === 'ping',
        'the message "ping"',
        `${message.payload.length} octets`,
      );
      const { deadline = 1 } = message.meta;
      demand(deadline >= 1, 'a DEADLINE of at least 1', deadline);
      peer.write(opened(1), accept(1, 1));
      await peer.lull();
      demand(!peer.frames.some(({ type }) => type === OPEN), 'no OPEN again', 'OPEN');
    },
  ),
  ofDialer(
    'malformed/M111.b',
    ['17.22'],
    'RESUMED above what the dialer has written: CLOSE(PROTOCOL)',
    async (subject) => {
      const { peer } = await returned(subject, await begun(subject));
      welcome(peer, { resumed: 99 });
      await peer.closes(Code.PROTOCOL);
    },
  ),
  ofDialer(
    'malformed/M111.c',
    ['17.22'],
    'RESUMED below what was acknowledged: CLOSE(PROTOCOL)',
    async (subject) => {
      const first = await begun(subject);
      first.acknowledge();
      await first.fence();
      const { peer } = await returned(subject, first);
      welcome(peer, { resumed: 1 });
      await peer.closes(Code.PROTOCOL);
    },
  ),
  ofDialer(
    'resume/superseded',
    ['17.14'],
    'after CLOSE(SUPERSEDED), the dialer does not dial again at once',
    async (subject) => {
      const first = await begun(subject);
      first.write(close(Code.SUPERSEDED));
      await first.ends('the end of the stream after CLOSE(SUPERSEDED)');
      const peer = await returnedWithin(subject, ABSENCE);
      demand(peer === undefined, 'no socket within 1 s', 'a socket');
    },
  ),
  ofDialer(
    'resume/impossible',
    ['17.22'],
    'after RESUMED with an impossible count the dialer does not resume that connection again',
    async (subject) => {
      const { peer } = await returned(subject, await begun(subject));
      welcome(peer, { resumed: 99 });
      await peer.closes(Code.PROTOCOL);
      const { meta } = await returned(subject, peer);
      demand(meta.resume === undefined, 'HELLO without RESUME', 'HELLO with RESUME');
    },
  ),
  ofDialer(
    'malformed/M121',
    ['17.3'],
    'TOKEN on a WELCOME to a dialer that has not offered RESUME: the connection ends with its socket',
    async (subject) => {
      const first = await subject.connect();
      const hello = await first.frame(HELLO);
      if (((hello.meta.caps ?? 0) & Capability.RESUME) !== 0) {
        throw new Skip('RESUME is in the CAPS of the dialer');
      }
      welcome(first, { token: { token: TOKEN, ttl: 60_000 } });
      await first.frame(SEND, 1);
      first.socket.destroy();
      // The dialer may also stay away.
      const next = await returnedWithin(subject, ABSENCE);
      if (next === undefined) return;
      const { meta } = await next.frame(HELLO);
      demand(meta.resume === undefined, 'HELLO without RESUME', 'HELLO with RESUME');
    },
  ),
  ofDialer(
    'resume/refused',
    ['17.32'],
    'WELCOME(RESUME_UNKNOWN): the dialer goes on with a new connection',
    async (subject) => {
      const { peer } = await returned(subject, await begun(subject));
      welcome(peer, {
        code: Code.RESUME_UNKNOWN,
        token: { token: Buffer.alloc(32, 8), ttl: 60_000 },
      });
      await peer.fence();
    },
  ),
];
