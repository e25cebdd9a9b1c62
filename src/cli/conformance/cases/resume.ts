/** A connection that survives its sockets, with a listener under test. */
import { Code, encodePreface, Flag, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse } from '../conversation.js';
import { GENEROUS } from '../limits.js';
import { demand, demandCode, Skip } from '../mismatch.js';
import {
  accept,
  cancel,
  close,
  credit,
  end,
  frag,
  frame,
  open,
  opened,
  pattern,
  send,
} from '../octets.js';
import type { Subject } from '../subject.js';
import { cut, RESUMABLE, resumable, resume, resumed } from './resuming.js';

const { ACCEPT, CREDIT, OPENED } = FrameType;

type Script = (subject: Subject) => Promise<void>;

function ofListener(
  id: string,
  clauses: readonly string[],
  sentence: string,
  run: Script,
): ConformanceCase {
  return { id, clauses, sentence, role: 'listener', run };
}

/** Checks that RESUME with this token begins a new connection, and that WELCOME gives this code. */
async function demandFresh(
  subject: Subject,
  token: Buffer,
  received: number,
  code: number,
): Promise<void> {
  const { peer, welcome } = await resume(subject, token, received);
  const { meta } = welcome;
  demand(meta.resumed === undefined, 'WELCOME without RESUMED', `RESUMED ${meta.resumed}`);
  demand(meta.code === code, `WELCOME with the code ${code}`, `the code ${meta.code}`);
  demand(meta.token !== undefined && !meta.token.token.equals(token), 'a TOKEN of its own', 'none');
  peer.write(open(1, 't.echo'), send(1, 1, { payload: 'fresh' }));
  await peer.frame(ACCEPT, 1);
}

export const resumeCases: readonly ConformanceCase[] = [
  ofListener(
    'resume/token',
    ['17.1', '17.2'],
    'each connection that can be resumed has a TOKEN of its own, with a time',
    async (subject) => {
      const first = await resumable(subject);
      const second = await resumable(subject);
      demand(!first.token.equals(second.token), 'two tokens', 'one');
      const ttl = first.conversation.greeting.meta.token?.ttl ?? 0;
      demand(ttl > 0, 'a time above 0', ttl);
    },
  ),
  ofListener(
    'resume/not-offered',
    ['16.1', '17.1'],
    'a dialer that does not offer RESUME gets no TOKEN',
    async (subject) => {
      const { greeting } = await converse(subject);
      demand(greeting.meta.token === undefined, 'no TOKEN', 'a TOKEN');
    },
  ),
  ofListener(
    'malformed/M18.b',
    ['17.29', '17.30'],
    'RESUME with a token that was never given: WELCOME(RESUME_UNKNOWN), a new connection',
    async (subject) => {
      await resumable(subject);
      await demandFresh(subject, Buffer.alloc(32, 7), 0, Code.RESUME_UNKNOWN);
    },
  ),
  ...[
    ['a', 'above what was written', 99],
    ['b', 'below what was acknowledged', 0],
    ['c', 'of 2^31 or more', 2 ** 31 + 1],
  ].map(([letter, what, count]) =>
    ofListener(
      `malformed/M19.${letter}`,
      ['17.18', '17.29'],
      `RESUME with a count ${what}: WELCOME(RESUME_GAP), a new connection`,
      async (subject) => {
        const { conversation, token } = await resumable(subject);
        await conversation.open('t.echo');
        conversation.peer.acknowledge();
        await conversation.peer.fence();
        cut(conversation);
        await demandFresh(subject, token, Number(count), Code.RESUME_GAP);
      },
    ),
  ),
  ofListener(
    'malformed/M21',
    ['17.20'],
    'a second socket for a connection that has one: the first gets CLOSE(SUPERSEDED), the second goes on',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      const session = await conversation.open('t.echo');
      const next = await resumed(subject, conversation, token, 1);
      await conversation.peer.closes(Code.SUPERSEDED);
      next.peer.write(send(session, 1, { payload: 'second' }));
      await next.accepts(session, 1, 'second');
    },
  ),
  ofListener(
    'malformed/M20',
    ['17.18', '17.30', '17.31'],
    "RESUME with the token of another principal's connection: WELCOME(RESUME_UNKNOWN), a new connection",
    async (subject) => {
      const { conversation, token } = await resumable(subject, {}, 'as one');
      cut(conversation);
      const other = await resume(subject, token, 0, { payload: 'as another' });
      const { resumed: count, code } = other.welcome.meta;
      demand(count === undefined, 'WELCOME without RESUMED', `RESUMED ${count}`);
      demandCode('WELCOME', code, Code.RESUME_UNKNOWN);
      const own = await resume(subject, token, 0, { former: conversation, payload: 'as one' });
      demand(own.welcome.meta.resumed === 0, 'RESUMED 0 for its own principal', 'none');
    },
  ),
  ofListener(
    'malformed/M122',
    ['17.6', '17.20'],
    'frames on a socket that another socket has replaced: ignored',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      const session = await conversation.open('t.echo');
      const next = await resumed(subject, conversation, token, 1);
      // If this frame took effect, the message of the next socket would repeat its id.
      conversation.peer.socket.write(send(session, 1, { payload: 'former' }));
      await conversation.peer.closes(Code.SUPERSEDED);
      next.peer.write(send(session, 1, { payload: 'latter' }));
      await next.accepts(session, 1, 'latter');
      await next.stillWorks();
    },
  ),
  ofListener(
    'malformed/M120',
    ['17.23'],
    'RESUME without the bit RESUME in CAPS: a new connection, without CODE',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      cut(conversation);
      const { welcome } = await resume(subject, token, 0, { meta: { caps: 0 } });
      const { resumed: count, code = 0 } = welcome.meta;
      demand(count === undefined && code === 0, 'neither RESUMED nor CODE', `${count}, ${code}`);
    },
  ),
  ofListener(
    'malformed/M124',
    ['17.17', '17.31'],
    'RESUME from a dialer that is refused: CLOSE, and the connection can still be resumed',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      await conversation.open('t.echo');
      cut(conversation);
      const peer = await subject.connect();
      const meta = { ...GENEROUS, ...RESUMABLE, resume: { token, received: 1 } };
      peer.write(encodePreface(), frame(FrameType.HELLO, { meta, payload: 'refuse' }));
      await peer.closes(Code.FORBIDDEN);
      await (await resumed(subject, conversation, token, 1)).stillWorks();
    },
  ),
  ofListener(
    'resume/written-again',
    ['17.21', '17.24', '17.25'],
    'frames that were not acknowledged are written again, unchanged',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      const session = await conversation.open('t.echo');
      conversation.peer.write(send(session, 1, { payload: 'once' }));
      await conversation.accepts(session, 1, 'once');
      cut(conversation);
      conversation.peer.read = 0;
      const next = await resumed(subject, conversation, token, 2);
      await next.peer.frame(OPENED, session);
      await next.accepts(session, 1, 'once');
      await next.peer.lull();
      demand(!next.peer.frames.some(({ type }) => type === ACCEPT), 'one ACCEPT', 'two');
    },
  ),
  ofListener(
    'resume/cut-frame',
    ['17.5', '17.6'],
    'a SEND whose last octet is lost with its socket: not counted, and accepted when it comes again',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      const session = await conversation.open('t.echo');
      const octets = send(session, 1, { payload: 'again' });
      conversation.peer.socket.end(octets.subarray(0, -1));
      await conversation.peer.endsInSilence();
      const next = await resumed(subject, conversation, token, 1);
      next.peer.write(octets);
      await next.accepts(session, 1, 'again');
    },
  ),
  ofListener(
    'resume/upload',
    ['17.4', '17.5', '17.26'],
    'an upload whose socket is lost between two fragments goes on where it stopped',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      const session = await conversation.open('t.echo');
      const payload = pattern(10_000);
      conversation.peer.write(
        send(session, 1, {
          flags: Flag.MORE,
          meta: { total: payload.length },
          payload: payload.subarray(0, 5000),
        }),
      );
      await conversation.peer.fence();
      cut(conversation);
      const next = await resumed(subject, conversation, token, 2);
      next.peer.write(frag(session, 1, { payload: payload.subarray(5000) }));
      await next.accepts(session, 1, payload);
    },
  ),
  ofListener(
    'resume/handler-runs-on',
    ['17.24'],
    'a handler that runs when the socket is lost is not started again, and can still be cancelled',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      const session = await conversation.open('t.slow');
      conversation.peer.write(send(session, 1));
      // After this wait, the handler runs.
      await conversation.peer.lull();
      cut(conversation);
      const next = await resumed(subject, conversation, token, 2);
      next.peer.write(cancel(session, 1));
      await next.rejects(session, 1);
      await next.stillWorks();
    },
  ),
  ofListener(
    'resume/first-limits',
    ['2.9', '17.21'],
    'the limits of the first HELLO stay in force, even if the next HELLO has others',
    async (subject) => {
      const { conversation, token } = await resumable(subject, { maxFrame: 16_384 });
      const session = await conversation.open('t.echo');
      cut(conversation);
      const next = await resumed(subject, conversation, token, 1);
      const payload = pattern(20_000);
      next.peer.write(send(session, 1, { payload }));
      const { frames } = await next.accepts(session, 1, payload);
      demand(frames.length > 1, 'an answer in several frames', `${frames.length} frame`);
    },
  ),
  ofListener(
    'resume/limits-again',
    ['17.27'],
    'limits that were raised are announced again',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      const { peer } = conversation;
      if (peer.limits.messages > 10_000)
        throw new Skip(`the credit is ${peer.limits.messages} messages`);
      const session = await conversation.open('t.sink');
      for (let id = 1; id <= peer.limits.messages; id += 1) {
        await conversation.deliver([send(session, id)]);
        await conversation.accepts(session, id, '');
      }
      await peer.fence();
      const { messages } = peer.ledger.grantedIn(session);
      cut(conversation);
      const next = await resumed(subject, conversation, token, peer.ledger.written);
      await next.peer.until(`CREDIT of ${messages} messages`, () =>
        next.peer.ledger.grantedIn(session).messages >= messages ? null : undefined,
      );
    },
  ),
  ofListener(
    'resume/acknowledges-too-much',
    ['17.10', '6.13'],
    'on a resumed socket, CREDIT that acknowledges more frames than were written: CLOSE(PROTOCOL)',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      await conversation.open('t.echo');
      cut(conversation);
      const next = await resumed(subject, conversation, token, 1);
      next.peer.write(credit(0, 0, 0, 50));
      await next.peer.closes(Code.PROTOCOL);
    },
  ),
  ofListener(
    'resume/many',
    ['17.4', '17.24'],
    'ten sockets one after the other carry one session',
    async (subject) => {
      const first = await resumable(subject);
      let conversation = first.conversation;
      const session = await conversation.open('t.echo');
      for (let id = 1; id <= 10; id += 1) {
        conversation.peer.write(send(session, id, { payload: `socket ${id}` }));
        await conversation.accepts(session, id, `socket ${id}`);
        cut(conversation);
        conversation = await resumed(subject, conversation, first.token, id + 1);
      }
    },
  ),
  ofListener(
    'resume/acknowledged-in-time',
    ['17.7', '17.8'],
    '64 sequenced frames, or a tenth of a second: CREDIT with their count',
    async (subject) => {
      const { conversation } = await resumable(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.echo');
      peer.write(send(session, 1));
      await conversation.accepts(session, 1, '');
      await peer.next(
        'CREDIT with the count 2',
        (each) => each.type === CREDIT && each.session === 0 && each.id === 2,
      );
    },
  ),
  ofListener(
    'resume/acknowledged-together',
    ['17.7'],
    '640 sequenced frames in one piece: all of them are acknowledged, in one CREDIT or more',
    async (subject) => {
      const { conversation } = await resumable(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.echo');
      peer.write(end(session));
      await peer.frame(FrameType.END, session);
      const many = Array.from({ length: 640 }, () => end(session));
      peer.write(...many);
      const count = peer.ledger.written;
      await peer.next(
        `CREDIT with the count ${count}`,
        (each) => each.type === CREDIT && each.session === 0 && each.id === count,
      );
    },
  ),
  ofListener(
    'resume/after-close',
    ['12.15'],
    'CLOSE(OK) ends the connection: its token is unknown',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      conversation.peer.write(close(Code.OK));
      await conversation.peer.endsInSilence();
      await demandFresh(subject, token, 0, Code.RESUME_UNKNOWN);
    },
  ),
  ofListener(
    'resume/after-idle',
    ['12.15'],
    'CLOSE(IDLE) ends the socket and not the connection',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      const session = await conversation.open('t.echo');
      conversation.peer.write(close(Code.IDLE));
      await conversation.peer.endsInSilence();
      const next = await resumed(subject, conversation, token, 1);
      next.peer.write(send(session, 1, { payload: 'on' }));
      await next.accepts(session, 1, 'on');
    },
  ),
  ofListener(
    'resume/own-message',
    ['17.24', '17.25'],
    'a lost message of the listener is written again, with a DEADLINE no longer than before',
    async (subject) => {
      const { conversation, token } = await resumable(subject);
      const { own, back } = await conversation.reverse();
      const { peer } = conversation;
      peer.write(opened(back), send(own, 1, { meta: { deadline: 60_000 }, payload: 'lost' }));
      const seen = peer.read;
      const before = await conversation.message(back);
      cut(conversation);
      peer.read = seen;
      const next = await resumed(subject, conversation, token, peer.ledger.written);
      const again = await next.message(back);
      const isSame = again.id === before.id && again.payload.equals(before.payload);
      demand(isSame, 'the same message', `message ${again.id}`);
      const [{ deadline: first = 0 }, { deadline: second = 0 }] = [before.meta, again.meta];
      demand(second >= 1 && second <= first, `a DEADLINE from 1 to ${first}`, second);
      next.peer.write(accept(back, 1, { payload: 'found' }));
      await next.accepts(own, 1, 'found');
    },
  ),
];
