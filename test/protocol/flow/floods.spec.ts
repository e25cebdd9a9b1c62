import { describe, expect, it } from '@jest/globals';
import { FloodBudget } from '../../../src/protocol/flow/flood-budget.js';
import { Code, creditPayload, FrameType } from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

/** How many useless frames are taken at once. */
const BURST = 1000;

/** A listener that has settled message 1 of session 1. */
function listener(): SimPeer {
  const peer = SimPeer.greeted('listener');
  peer.side.onMessage = (message) => void message.accept();
  peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
  peer.send({ type: FrameType.SEND, session: 1, id: 1 });
  peer.side.last.send('x');
  peer.flush();
  peer.send({ type: FrameType.ACCEPT, flags: 2, session: 1, id: 1 });
  peer.lines();
  return peer;
}

describe('Useless frames', () => {
  it.each<[string, FrameInit]>([
    ['PINGs in one chunk (M82)', { type: FrameType.PING, id: 1 }],
    ['PONGs that nobody asked for (M83)', { type: FrameType.PONG, id: 5 }],
    [
      'CREDIT for the connection without progress (M78)',
      { type: FrameType.CREDIT, payload: creditPayload(1, 1) },
    ],
    [
      'CREDIT for a session without progress (M78)',
      { type: FrameType.CREDIT, session: 1, payload: creditPayload(1, 1) },
    ],
    ['CANCELs of a settled message (M74)', { type: FrameType.CANCEL, session: 1, id: 1 }],
    [
      'settlements of a settled message (M67)',
      { type: FrameType.ACCEPT, flags: 2, session: 1, id: 1 },
    ],
    ['frames of types that may be ignored (M30)', { type: 0x8a, payload: Buffer.from('grease') }],
  ])('%s are passed over, and too many end the connection [IC-15.1]', (_, frame) => {
    const peer = listener();

    peer.burst(Array.from({ length: BURST }, () => frame));
    expect(peer.side.status).toBe('open');
    peer.burst(Array.from({ length: 5 }, () => frame));

    peer.expectClose(Code.CALM);
  });

  it('such as sessions that are opened and ended for nothing are too many at some point (M46)', () => {
    const peer = SimPeer.greeted('listener');
    peer.side.onSession = () => undefined;
    const churn = (count: number, from: number): FrameInit[] =>
      Array.from({ length: count }, (_, at) => from + 2 * at).flatMap((session) => [
        { type: FrameType.OPEN, session, meta: { name: 'a' } },
        { type: FrameType.END, session },
      ]);

    for (let at = 0; at < BURST; at += 100) peer.burst(churn(100, 2 * at + 1));
    expect(peer.side.status).toBe('open');
    peer.burst(churn(5, 2 * BURST + 1));

    peer.expectClose(Code.CALM);
  });

  it('are not the sessions in which something was sent', () => {
    const peer = SimPeer.greeted('listener');
    peer.side.onSession = () => undefined;

    for (let session = 1; session < 3 * BURST; session += 2) {
      peer.send(
        { type: FrameType.OPEN, session, meta: { name: 'a' } },
        { type: FrameType.SEND, session, id: 1 },
        { type: FrameType.END, session },
      );
      peer.side.last.reject();
      peer.flush();
    }

    expect(peer.side.status).toBe('open');
  });

  it('are forgiven with time', () => {
    const peer = listener();

    for (let second = 0; second < 30; second++) {
      for (let count = 0; count < 100; count++) peer.send({ type: FrameType.PONG, id: 5 });
      peer.advance(1000);
    }

    expect(peer.side.status).toBe('open');
  });

  it('are none where each does something', () => {
    const peer = listener();

    for (let id = 2; id < 5000; id++) {
      peer.send({ type: FrameType.SEND, session: 1, id });
      peer.send({ type: FrameType.PING, id });
      peer.send({
        type: FrameType.CREDIT,
        session: 1,
        payload: creditPayload(300 + id, 2 ** 22 + id),
      });
    }

    expect(peer.side.status).toBe('open');
  });
});

describe('FloodBudget', () => {
  it('has a burst, and fills again at its rate', () => {
    const budget = new FloodBudget(0);
    const spend = (now: number): number => {
      let count = 0;
      while (count < 2 * BURST && budget.spend(now)) count += 1;
      return count;
    };

    expect(spend(0)).toBe(BURST);
    expect(spend(1000)).toBe(99);
    expect(spend(1_000_000)).toBe(BURST);
  });
});
