/** HELLO and WELCOME: their contents, when they may come, and how each side judges the other's. */
import { TLSSocket } from 'node:tls';
import { Code, encodeMeta, encodePreface, FrameType, Tag } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse } from '../conversation.js';
import { GENEROUS, limitsOf } from '../limits.js';
import { demand, Skip } from '../mismatch.js';
import {
  close,
  credit,
  field,
  fields,
  frame,
  open,
  opened,
  pattern,
  ping,
  send,
} from '../octets.js';
import { violation } from './rows.js';

const { HELLO, WELCOME, GOAWAY } = FrameType;

/** Frames that are not the first of a handshake. */
const TOO_EARLY: readonly (readonly [what: string, octets: Buffer])[] = [
  ['PING', ping(1)],
  ['OPEN', open(1, 't.echo')],
  ['SEND', send(1, 1)],
  ['CREDIT', credit(0, 1, 1)],
  ['OPENED', opened(1)],
];

export const handshakeCases: readonly ConformanceCase[] = [
  ...TOO_EARLY.map(([what, octets], index): ConformanceCase => ({
    id: `malformed/M7.${'abcde'[index]}`,
    clauses: ['2.3', '2.5', '7.1'],
    sentence: `${what} before the handshake: CLOSE(STATE)`,
    run: async (subject) => {
      const peer = await subject.connect();
      if (subject.role === 'dialer') await peer.frame(HELLO);
      peer.write(encodePreface(), octets);
      await peer.closes(Code.STATE);
    },
  })),
  {
    id: 'malformed/M7.f',
    clauses: ['7.1'],
    sentence: 'WELCOME to a listener, HELLO to a dialer: CLOSE(STATE)',
    run: async (subject) => {
      const peer = await subject.connect();
      if (subject.role === 'dialer') await peer.frame(HELLO);
      const type = subject.role === 'dialer' ? HELLO : WELCOME;
      peer.write(encodePreface(), frame(type, { meta: GENEROUS }));
      await peer.closes(Code.STATE);
    },
  },
  {
    id: 'malformed/M102',
    clauses: ['2.8', '7.1'],
    sentence: 'a frame of an ignorable type before the handshake: CLOSE(STATE)',
    run: async (subject) => {
      const peer = await subject.connect();
      if (subject.role === 'dialer') await peer.frame(HELLO);
      peer.write(encodePreface(), frame(0x8a));
      await peer.closes(Code.STATE);
    },
  },
  {
    id: 'malformed/M123.a',
    clauses: ['2.3', '2.5', '7.1'],
    sentence: 'GOAWAY instead of HELLO or WELCOME: CLOSE(STATE)',
    run: async (subject) => {
      const peer = await subject.connect();
      if (subject.role === 'dialer') await peer.frame(HELLO);
      peer.write(encodePreface(), frame(GOAWAY));
      await peer.closes(Code.STATE);
    },
  },
  {
    id: 'malformed/M123.b',
    clauses: ['2.5', '7.1'],
    sentence: 'GOAWAY while the application of the listener decides about HELLO: CLOSE(STATE)',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      const hello = frame(HELLO, { meta: GENEROUS, payload: 'wait' });
      peer.write(encodePreface(), hello, frame(GOAWAY));
      await peer.closes(Code.STATE);
    },
  },
  violation(
    'malformed/M8.a',
    ['7.1'],
    'HELLO after the handshake',
    () => [frame(HELLO, { meta: GENEROUS })],
    'STATE',
  ),
  violation(
    'malformed/M9',
    ['7.1'],
    'WELCOME after the handshake',
    () => [frame(WELCOME, { meta: GENEROUS })],
    'STATE',
  ),
  {
    id: 'malformed/M8.b',
    clauses: ['2.5', '7.1'],
    sentence: 'a second HELLO while the listener decides about the first: CLOSE(STATE)',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      const hello = frame(HELLO, { meta: GENEROUS, payload: 'wait' });
      peer.write(encodePreface(), hello, hello);
      await peer.closes(Code.STATE);
    },
  },
  {
    id: 'malformed/M18',
    clauses: ['2.5'],
    sentence: 'RESUME with a token that was never given: a WELCOME without RESUMED',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      const hello = { meta: fields(encodeMeta(GENEROUS), field(Tag.RESUME, Buffer.alloc(36, 7))) };
      peer.write(encodePreface(), frame(HELLO, hello));
      const { meta } = await peer.frame(WELCOME);
      demand(meta.resumed === undefined, 'a WELCOME without RESUMED', `RESUMED ${meta.resumed}`);
    },
  },
  {
    id: 'handshake/limits',
    clauses: ['5.10', '6.4', '6.5', '6.6', '6.8'],
    sentence: 'HELLO and WELCOME announce limits in the ranges of PROTOCOL.md',
    run: async (subject) => {
      const { peer } = await converse(subject);
      const { maxFrame, maxMeta, bytes, sessionBytes, messages, small } = peer.limits;
      const least = Math.max(maxFrame, 2 * small);
      const inRange = (value: number): boolean => value >= least && value <= 2 ** 30;
      demand(maxFrame >= maxMeta + 4096, `MAX_FRAME of at least ${maxMeta + 4096}`, maxFrame);
      demand(inRange(bytes), `a connection credit from ${least} to 2^30`, bytes);
      demand(inRange(sessionBytes), `a session credit from ${least} to 2^30`, sessionBytes);
      demand(messages <= 2 ** 30, 'a credit of at most 2^30 messages', messages);
    },
  },
  {
    id: 'handshake/limits-apart',
    clauses: ['2.9', '9.1'],
    sentence: 'two connections with different limits do not influence each other',
    role: 'listener',
    run: async (subject) => {
      const [narrow, wide] = await Promise.all([
        converse(subject, { maxFrame: 16_384 }),
        converse(subject),
      ]);
      const payload = pattern(20_000);
      for (const [conversation, isWhole] of [
        [narrow, false],
        [wide, true],
      ] as const) {
        const session = await conversation.open('t.echo');
        conversation.peer.write(send(session, 1, { payload }));
        const { frames } = await conversation.accepts(session, 1, payload);
        const expected = isWhole
          ? 'an answer in any number of frames'
          : 'an answer in several frames';
        demand(isWhole || frames.length > 1, expected, `${frames.length} frame`);
      }
    },
  },
  {
    id: 'handshake/data',
    clauses: ['2.5'],
    sentence: 'connect data reaches the application: the fixture gives it back as accept data',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      peer.write(encodePreface(), frame(HELLO, { meta: GENEROUS, payload: 'who I am' }));
      const { payload } = await peer.frame(WELCOME);
      demand(payload.toString() === 'who I am', 'the accept data "who I am"', payload.toString());
    },
  },
  {
    id: 'handshake/refused',
    clauses: ['2.5', '6.9', '13.3'],
    sentence:
      'a dialer that the application refuses: CLOSE with a code of class 02, and no WELCOME',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      peer.write(encodePreface(), frame(HELLO, { meta: GENEROUS, payload: 'refuse' }));
      const { meta, payload } = await peer.closes(Code.FORBIDDEN);
      demand(payload.toString() === 'refuse', 'the data "refuse"', payload.toString());
      demand((meta.text ?? '') !== '', 'a TEXT', 'none');
    },
  },
  {
    id: 'handshake/refusal-taken',
    clauses: ['12.10'],
    sentence: 'a listener that refuses: the dialer ends its stream, and writes no CLOSE',
    role: 'dialer',
    run: async (subject) => {
      const peer = await subject.connect();
      await peer.frame(HELLO);
      peer.write(encodePreface(), close(Code.UNAUTHENTICATED));
      await peer.endsInSilence();
    },
  },
  {
    id: 'handshake/given-up',
    clauses: ['2.5', '12.10'],
    sentence:
      'CLOSE instead of HELLO: the listener ends its stream, and writes neither WELCOME nor CLOSE',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      peer.write(encodePreface(), close(Code.OK));
      await peer.endsInSilence();
      demand(peer.frames.length === 0, 'no frame', peer.frames.length);
    },
  },
  {
    id: 'handshake/given-up-while-judged',
    clauses: ['2.5', '12.10'],
    sentence:
      'CLOSE while the application decides: the listener ends its stream, and writes no frame',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      const hello = frame(HELLO, { meta: GENEROUS, payload: 'wait' });
      peer.write(encodePreface(), hello, close(Code.OK));
      await peer.endsInSilence();
      demand(peer.frames.length === 0, 'no frame', peer.frames.length);
    },
  },
  {
    id: 'handshake/timeout-greeting',
    clauses: ['2.6', '7.1'],
    sentence: 'a preface and nothing more: CLOSE(HANDSHAKE_TIMEOUT)',
    run: async (subject) => {
      const peer = await subject.connect();
      peer.write(encodePreface());
      await peer.closes(Code.HANDSHAKE_TIMEOUT);
    },
  },
  {
    id: 'handshake/timeout-part',
    clauses: ['2.6', '7.1'],
    sentence: 'a HELLO or WELCOME whose last octet does not come: CLOSE(HANDSHAKE_TIMEOUT)',
    run: async (subject) => {
      const peer = await subject.connect();
      const type = subject.role === 'listener' ? HELLO : WELCOME;
      peer.write(encodePreface(), frame(type, { meta: GENEROUS }).subarray(0, -1));
      await peer.closes(Code.HANDSHAKE_TIMEOUT);
    },
  },
  {
    id: 'handshake/timeout-judging',
    clauses: ['2.5', '2.6', '7.1'],
    sentence: 'an application that neither accepts nor refuses: CLOSE(HANDSHAKE_TIMEOUT)',
    role: 'listener',
    run: async (subject) => {
      const peer = await subject.connect();
      peer.write(encodePreface(), frame(HELLO, { meta: GENEROUS, payload: 'wait' }));
      await peer.closes(Code.HANDSHAKE_TIMEOUT);
    },
  },
  {
    id: 'handshake/hello-legal',
    clauses: ['6.4', '6.5', '6.7'],
    sentence: 'the HELLO of a dialer has at most 16384 octets, and announces legal limits',
    role: 'dialer',
    run: async (subject) => {
      const peer = await subject.connect();
      const { meta, payload } = await peer.frame(HELLO);
      const size = encodeMeta(meta).length + payload.length;
      demand(size <= 16_384, 'at most 16384 octets', size);
      demand(limitsOf(meta).maxFrame >= 16_384, 'MAX_FRAME', 'none');
    },
  },
  {
    id: 'handshake/alpn',
    clauses: ['2.2'],
    sentence: 'on TLS, a listener selects intc/1 by ALPN',
    role: 'listener',
    run: async (subject) => {
      if (!subject.isEncrypted) throw new Skip('the port is a plaintext one: there is no ALPN');
      const { socket } = await subject.connect();
      const alpnProtocol = socket instanceof TLSSocket ? socket.alpnProtocol : false;
      demand(alpnProtocol === 'intc/1', 'intc/1', String(alpnProtocol));
    },
  },
  {
    id: 'handshake/alpn-missing',
    clauses: ['2.2'],
    sentence: 'on TLS, a dialer that offers no ALPN: the socket is destroyed without an octet',
    role: 'listener',
    run: async (subject) => {
      if (!subject.isEncrypted) throw new Skip('the port is a plaintext one: there is no ALPN');
      const peer = await subject.connect([]);
      peer.write(encodePreface(), frame(HELLO, { meta: GENEROUS }));
      await peer.drops();
    },
  },
];
