/** Keep-alive: PING, PONG, and silence. */
import { Code, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse } from '../conversation.js';
import { demand, Skip } from '../mismatch.js';
import { frame, ping, send } from '../octets.js';
import type { Peer } from '../peer.js';
import type { Subject } from '../subject.js';
import { pause } from '../waits.js';
import { harmless } from './rows.js';

const { PING, PONG, SEND } = FrameType;

/** Milliseconds that a reaction to silence may come late: the timer of either process may fire late. */
const GRACE = 2000;
/**
 * Milliseconds that this implementation waits for the rest of an incomplete frame. PROTOCOL.md recommends this time.
 */
const STALL = 30_000;

/** The IDLE of the implementation. @throws Skip if a case cannot wait for it */
function idleOf(peer: Peer, subject: Subject, times: number): number {
  const { idle } = peer.limits;
  if (idle === 0) throw new Skip('IDLE is 0: silence is allowed');
  demandPatience(subject, idle * times + GRACE);
  return idle;
}

function demandPatience({ timeout }: Subject, needed: number): void {
  if (timeout < needed) throw new Skip(`it takes ${needed} ms: give --timeout ${needed} or more`);
}

export const keepaliveCases: readonly ConformanceCase[] = [
  {
    id: 'keepalive/pong',
    clauses: ['6.10'],
    sentence: 'PING: PONG with the same token, 0 and 2^31 - 1 included',
    run: async (subject) => {
      const { peer } = await converse(subject);
      for (const token of [0, 1, 2 ** 31 - 1]) {
        peer.write(ping(token));
        const pong = await peer.frame(PONG);
        demand(pong.id === token, `token ${token}`, pong.id);
      }
    },
  },
  {
    id: 'malformed/M82.a',
    clauses: ['6.10'],
    sentence: 'many PINGs in one piece: PONG at least for the newest',
    run: async (subject) => {
      const { peer } = await converse(subject);
      peer.write(...Array.from({ length: 50 }, (_, token) => ping(token)));
      await peer.next('PONG for the newest', ({ type, id }) => type === PONG && id === 49);
    },
  },
  harmless('malformed/M83.a', ['15.1'], 'PONGs without a PING', () =>
    [1, 2, 3].map((id) => frame(PONG, { id })),
  ),
  {
    id: 'keepalive/silence',
    clauses: ['11.3'],
    sentence: 'silence for the IDLE of the implementation: CLOSE(IDLE), and not before',
    run: async (subject) => {
      const { peer } = await converse(subject);
      const idle = idleOf(peer, subject, 1.25);
      peer.answersPings = false;
      const start = performance.now();
      await peer.closes(Code.IDLE);
      const spent = performance.now() - start;
      demand(spent >= idle * 0.9, `not before ${idle} ms`, `after ${Math.round(spent)} ms`);
    },
  },
  {
    id: 'malformed/M85',
    clauses: ['11.3'],
    sentence: 'an incomplete frame, then silence: CLOSE(IDLE)',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      idleOf(peer, subject, 1.25);
      const session = await conversation.open('t.echo');
      peer.write(send(session, 1, { payload: 'never whole' }).subarray(0, 20));
      await peer.closes(Code.IDLE);
    },
  },
  {
    id: 'keepalive/octets',
    clauses: ['11.2'],
    sentence: 'single octets of a frame are signs of life: the connection stays beyond IDLE',
    run: async (subject) => {
      const { peer } = await converse(subject);
      const idle = idleOf(peer, subject, 1);
      for (const octet of ping(9).subarray(0, 6)) {
        peer.write(Buffer.from([octet]));
        await pause(idle / 4);
      }
      peer.write(ping(9).subarray(6));
      await peer.next('PONG after 1.5 x IDLE', ({ type, id }) => type === PONG && id === 9);
    },
  },
  {
    id: 'keepalive/pings',
    clauses: ['11.1', '11.4'],
    sentence:
      'the implementation is never silent for the IDLE of the suite, even if its PINGs are not answered',
    run: async (subject) => {
      const idle = 1500;
      const { peer } = await converse(subject, { idle });
      peer.answersPings = false;
      for (let count = 1; count <= 3; count += 1) {
        // The implementation writes about three times in each IDLE. If the suite reads late, it reads several PINGs
        // at once.
        await peer.next(`PING ${count} within ${idle} ms`, ({ type }) => type === PING, idle);
        // The suite must not be silent either.
        peer.write(frame(0x8a));
      }
    },
  },
  {
    id: 'malformed/M114',
    clauses: ['11.2'],
    sentence: 'a frame that comes octet by octet and is not whole after 30 s: CLOSE(STALLED)',
    run: async (subject) => {
      demandPatience(subject, STALL * 1.25);
      const { peer } = await converse(subject);
      const octets = frame(SEND, { session: 1, id: 1, payload: Buffer.alloc(4096) });
      let at = 0;
      const beat = setInterval(() => peer.write(octets.subarray(at, (at += 1))), 500);
      try {
        await peer.closes(Code.STALLED);
      } finally {
        clearInterval(beat);
      }
    },
  },
];
