import { describe, expect, it } from '@jest/globals';
import { Receipts } from '../../../src/protocol/flow/receipts.js';
import { ReplayQueue } from '../../../src/protocol/output/replay-queue.js';
import { ControlUnit } from '../../../src/protocol/output/unit.js';
import { creditPayload, FrameType, MAX_ID, EMPTY } from '../../../src/wire/index.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const { OPEN, SEND, END, PING, CREDIT } = FrameType;

/** A listener with a session that the peer opened. */
function listener(limits: ConstructorParameters<typeof SimPeer>[1] = {}): SimPeer {
  const peer = SimPeer.greeted('listener', limits);
  peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
  peer.lines();
  return peer;
}

const acknowledgements = (peer: SimPeer): string[] =>
  peer.lines().filter((line) => line.startsWith('CREDIT received='));

describe('Frames that are counted', () => {
  it('are the sequenced ones, those that are ignored too, and no others [IC-17.4] [IC-17.5]', () => {
    const peer = listener();
    const { connection } = peer.side;
    expect(connection.received).toBe(1);

    peer.send(
      { type: PING, id: 1 },
      { type: CREDIT, session: 1, payload: creditPayload(300, 2 ** 23) },
      { type: 0x8a, session: 1 },
    );
    expect(connection.received).toBe(1);
    peer.send(
      { type: SEND, session: 1, id: 1 },
      { type: END, session: 1, meta: { code: 0x9000 } },
      { type: SEND, session: 1, id: 2 },
      { type: END, session: 1 },
    );

    expect(connection.received).toBe(5);
  });

  it('are told by the CREDIT of the connection, of ended sessions as well [IC-6.12]', () => {
    const peer = listener();
    peer.send({ type: END, session: 1, meta: { code: 0x9000 } });
    peer.send({ type: OPEN, session: 3, meta: { name: 'b' } });
    peer.lines();

    peer.advance(100);

    expect(peer.lines()).toEqual(['CREDIT received=3 opens=1025 bytes=67108864']);
  });

  it('come round after 2^31 - 1, at both ends alike [IC-17.4]', () => {
    const receipts = new Receipts(MAX_ID - 1);
    const sent = new ReplayQueue(MAX_ID - 1);
    for (let count = 0; count < 3; count++) {
      receipts.count(0, 0);
      sent.keep(new ControlUnit(END, 1, 0, EMPTY, EMPTY));
    }

    expect(receipts.acknowledge()).toBe(1);
    expect([MAX_ID - 2, MAX_ID - 1, 0, 1, 2].map((count) => sent.reaches(count))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
    expect([sent.acknowledge(1), sent.isEmpty]).toEqual([3, true]);
  });
});

describe('An acknowledgement', () => {
  it('is written within 64 frames [IC-17.7]', () => {
    const peer = listener();
    const frames = Array.from({ length: 63 }, (_, at) => ({ type: SEND, session: 1, id: at + 1 }));

    peer.burst(frames.slice(0, 62));
    expect(acknowledgements(peer)).toEqual([]);
    peer.burst(frames.slice(62));

    expect(acknowledgements(peer)).toEqual([expect.stringContaining('received=64 ')]);
  });

  it('is written within 262 144 octets [IC-17.7]', () => {
    const peer = listener();
    const payload = Buffer.alloc(65_536);

    for (let id = 1; id <= 4; id++) peer.send({ type: SEND, session: 1, id, payload });

    expect(acknowledgements(peer)).not.toEqual([]);
  });

  it('is written within 100 ms, and once [IC-17.7]', () => {
    const peer = listener();

    peer.advance(50);
    peer.send({ type: SEND, session: 1, id: 1 });
    peer.advance(50);

    expect(acknowledgements(peer)).toEqual([expect.stringContaining('received=2 ')]);
    peer.advance(1000);
    expect(acknowledgements(peer)).toEqual([]);
  });

  it('speaks of no frame that is yet to take effect [IC-17.8]', () => {
    const peer = listener();
    peer.side.machine.hold();

    peer.burst(Array.from({ length: 64 }, (_, at) => ({ type: SEND, session: 1, id: at + 1 })));
    peer.advance(100);
    expect(acknowledgements(peer)).toEqual([expect.stringContaining('received=1 ')]);
    expect(peer.side.last.messages).toEqual([]);
    peer.side.machine.release(peer.clock.now());
    peer.flush();

    expect(peer.side.last.messages).toHaveLength(64);
    expect(acknowledgements(peer)).toEqual([expect.stringContaining('received=65 ')]);
  });
});

describe('Frames that nobody acknowledges', () => {
  const size = 50_000;
  const generous = { sessionBytes: 2 ** 26, messages: 1000 };

  it('are kept, and hold back the others beyond 16 MiB; none is lost [IC-17.9]', () => {
    const peer = SimPeer.greeted('listener', {}, generous);
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    peer.lines();
    const sends = Array.from({ length: 400 }, () => peer.side.last.send(Buffer.alloc(size)));
    const { sent } = peer.side.connection.output;
    const written = (): number => sends.filter(({ written: octets }) => octets > 0).length;

    peer.flush();
    const first = written();
    expect(first * size).toBeGreaterThan(16 * 1024 * 1024 - 4 * size);
    expect(first * size).toBeLessThan(16 * 1024 * 1024 + size);
    expect([...sent.units()]).toHaveLength(first + 1);

    peer.send({ type: CREDIT, id: first + 1, payload: creditPayload(0, 0) });

    expect(written()).toBe(400);
    expect([...sent.units()]).toEqual(sends.slice(first));
    const ids = peer.side.log.frames.filter(({ type }) => type === SEND).map(({ id }) => id);
    expect(ids).toEqual(sends.map(({ id }) => id));
  });
});
