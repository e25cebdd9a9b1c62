import { describe, expect, it } from '@jest/globals';
import { FloodBudget } from '../../../src/protocol/flow/flood-budget.js';
import { Code, creditPayload, FrameType } from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

/** How many useless frames are taken at once. */
const BURST = 1000;
/** How many frames for sessions that have ended. */
const LATE_BURST = 262_144;

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
    ['PINGs (M82)', { type: FrameType.PING, id: 1 }],
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

  it('are PINGs too that are answered one by one: a thousand, and a hundred in a second [IC-15.1]', () => {
    const peer = SimPeer.greeted('listener', { limits: { idle: 0 } }, { idle: 0 });
    const ask = (count: number): void => {
      for (let id = 1; id <= count; id++) peer.send({ type: FrameType.PING, id });
    };

    ask(BURST);
    for (let second = 0; second < 20; second++) {
      peer.advance(1000);
      ask(100);
    }
    expect(peer.side.status).toBe('open');
    ask(5);

    peer.expectClose(Code.CALM);
  });

  it.each<[string, FrameInit]>([
    ['SEND', { type: FrameType.SEND, session: 1, id: 1 }],
    ['CREDIT', { type: FrameType.CREDIT, session: 1, payload: creditPayload(1, 1) }],
  ])('are %ss for a session that has ended, at some point [IC-15.1]', (_, frame) => {
    const peer = SimPeer.greeted('listener');
    peer.side.onSession = (session) => void session.reject(Code.REFUSED, '');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    const some = Array.from({ length: LATE_BURST / 64 }, () => frame);

    for (let part = 0; part < 64; part++) peer.burst(some);
    expect(peer.side.status).toBe('open');
    peer.burst([frame]);

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
    expect(spend(1000)).toBe(100);
    expect(spend(1_000_000)).toBe(BURST);
  });
});
