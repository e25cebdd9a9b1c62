/** The end of a connection: CLOSE, the end of the stream, a reset. */
import { Code, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse } from '../conversation.js';
import { demand, Mismatch, Skip } from '../mismatch.js';
import { accept, close, field, frame, send, u16 } from '../octets.js';

const { CLOSE } = FrameType;

export const closeCases: readonly ConformanceCase[] = [
  {
    id: 'close/taken',
    clauses: ['12.10'],
    sentence: 'CLOSE: the other side ends its stream, and writes no CLOSE',
    run: async (subject) => {
      const { peer } = await converse(subject);
      peer.write(close(Code.OK));
      await peer.endsInSilence();
    },
  },
  {
    id: 'close/unknown-code',
    clauses: ['12.10', '13.1'],
    sentence:
      'CLOSE with a code that PROTOCOL.md does not define, and a payload: handled like any other CLOSE',
    run: async (subject) => {
      const { peer } = await converse(subject);
      peer.write(frame(CLOSE, { meta: { code: 0x92ff, text: 'over' }, payload: 'data' }));
      await peer.endsInSilence();
    },
  },
  {
    id: 'malformed/M96',
    clauses: ['5.12', '12.10'],
    sentence: 'TEXT with escape sequences and line breaks: accepted unchanged',
    run: async (subject) => {
      const { peer } = await converse(subject);
      const text = '\u001b[2J\r\n\u202eevil\u0007';
      peer.write(frame(CLOSE, { meta: { code: Code.OK, text } }));
      await peer.endsInSilence();
    },
  },
  {
    id: 'close/in-order',
    clauses: ['12.8', '12.9'],
    sentence:
      'an application that closes: the settlements that it has given before are written before CLOSE',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.close');
      peer.write(send(session, 1, { payload: 'bye' }));
      await conversation.accepts(session, 1, '');
      const { payload } = await peer.closes(Code.OK);
      demand(payload.toString() === 'bye', 'CLOSE with the payload "bye"', payload.toString());
    },
  },
  {
    id: 'close/last-frame',
    clauses: ['12.8'],
    sentence: 'a violation after ten messages: CLOSE is the last frame, and the stream ends',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      const count = Math.min(10, conversation.peer.limits.messages);
      conversation.peer.write(
        ...Array.from({ length: count }, (_, index) => send(session, index + 1)),
        accept(session, 1),
      );
      await conversation.peer.closes(Code.PROTOCOL);
    },
  },
  {
    id: 'malformed/M88',
    clauses: ['12.8', '12.11', '7.1'],
    sentence: 'octets after CLOSE: discarded, and the socket is destroyed about 1 s later',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.echo');
      const octets = send(session, 2, { payload: Buffer.alloc(4096) });
      // A violation and further octets follow. The suite must nevertheless be able to read CLOSE.
      peer.socket.write(Buffer.concat([octets, octets, octets]));
      await peer.closes(Code.PROTOCOL);
      const beat = setInterval(() => peer.socket.write(octets), 50);
      try {
        await waitUntilGone(peer.socket, subject.timeout);
      } finally {
        clearInterval(beat);
      }
    },
  },
  {
    id: 'malformed/M89',
    clauses: ['12.12', '7.1'],
    sentence: 'the end of the stream without CLOSE: the other side ends its own, without CLOSE',
    run: async (subject) => {
      const { peer } = await converse(subject);
      peer.socket.end();
      await peer.endsInSilence();
    },
  },
  {
    id: 'malformed/M98.a',
    clauses: ['12.12', '12.13'],
    sentence:
      'the end of the stream within a message: the incomplete message is not delivered, and no CLOSE comes',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.echo');
      const octets = send(session, 1, { payload: 'a part' });
      peer.socket.end(octets.subarray(0, -1));
      await peer.endsInSilence();
      const settled = peer.frames.some(({ type }) => type === FrameType.ACCEPT);
      demand(!settled, 'no settlement', 'ACCEPT');
    },
  },
  {
    id: 'malformed/M98.b',
    clauses: ['12.12'],
    sentence: 'a reset within a message: the listener takes the next connection',
    role: 'listener',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      await conversation.peer.writeSlowly(send(session, 1, { payload: 'a part' }).subarray(0, -1));
      if (conversation.peer.socket.remoteAddress === undefined) {
        throw new Skip('only a TCP socket can be reset');
      }
      conversation.peer.socket.resetAndDestroy();
      await (await converse(subject)).stillWorks();
    },
  },
  {
    id: 'close/malformed',
    clauses: ['5.5', '12.8'],
    sentence: 'a CLOSE whose CODE has one octet: CLOSE(META)',
    run: async (subject) => {
      const { peer } = await converse(subject);
      peer.write(frame(CLOSE, { meta: field(0x08, u16(0).subarray(1)) }));
      await peer.closes(Code.META);
    },
  },
];

/** Resolves when a write to the socket fails or the socket closes: the other side has destroyed it. */
function waitUntilGone(socket: NodeJS.EventEmitter, timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Mismatch('the socket is destroyed', `it is still there after ${timeout} ms`));
    }, timeout);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
