// How many handlers a peer can have running: what Rapid Reset and its kin attack.
import { describe, expect, it } from '@jest/globals';
import { Code, FrameType } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const FEW = { messages: 4 };

/** A hand-written dialer with a session open at a listener that takes `FEW` messages. */
function dialer(): SimPeer {
  const peer = SimPeer.greeted('listener', { limits: FEW });
  peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'test' } });
  peer.lines();
  return peer;
}

describe('A handler that runs on', () => {
  it('after its deadline keeps its place until it has ended [IC-15.2]', () => {
    const pair = SimPair.open({ limits: FEW });
    const { dialer: session, listener } = pair.join();
    const first = Array.from({ length: 4 }, () => session.send('slow', { timeout: 10 }));
    pair.run();
    pair.advance(20);

    const late = session.send('late');
    pair.run();
    expect(first.map(({ outcome }) => outcome)).toEqual(Array(4).fill('failed timeout maybe'));
    expect(listener.messages).toHaveLength(4);

    for (const message of listener.messages.slice(0, 4)) message.accept();
    pair.run();
    expect(listener.last.text).toBe('late');
    listener.last.accept();
    pair.run();
    expect(late.outcome).toBe('accepted');
  });

  it('after a cancel keeps its place until it has ended [IC-10.7] [IC-15.2]', () => {
    const pair = SimPair.open({ limits: FEW });
    const { dialer: session, listener } = pair.join();
    for (let count = 0; count < 20; count++) {
      const send = session.send('work');
      pair.run();
      send.cancel();
      pair.run();
    }

    expect(listener.messages).toHaveLength(4);
  });

  it('of a one-way message counts like any other', () => {
    const pair = SimPair.open({ limits: FEW });
    const { dialer: session, listener } = pair.join();
    for (let count = 0; count < 20; count++) session.send('event', { oneWay: true, timeout: 1 });
    pair.run();
    pair.advance(10);

    expect(listener.messages).toHaveLength(4);
  });

  it('after an abort keeps the place of its session [IC-8.12] [IC-15.2]', () => {
    const peer = SimPeer.greeted('listener', { limits: { sessions: 4 } });
    for (let session = 1; session < 9; session += 2) {
      peer.send(
        { type: FrameType.OPEN, session, meta: { name: 'test' } },
        { type: FrameType.SEND, session, id: 1 },
        { type: FrameType.END, session, meta: { code: 0x9000 } },
      );
    }
    const { incoming } = peer.side;
    expect(incoming.map((session) => session.last.aborted)).toEqual(Array(4).fill('lost'));
    peer.lines();

    for (const session of incoming) session.last.accept();
    peer.flush();
    expect(peer.lines()).toEqual(['CREDIT received=12 opens=8 bytes=67108864']);
  });
});

describe('CANCEL', () => {
  it('that crosses the settlement is no fault, however often it happens', () => {
    const peer = dialer();
    peer.side.onMessage = (message) => void message.accept();
    for (let id = 1; id <= 5000; id++) {
      peer.send(
        { type: FrameType.SEND, session: 1, id },
        { type: FrameType.CANCEL, session: 1, id },
      );
    }

    expect(peer.side.status).toBe('open');
  });

  it('of the same settled message again and again is a flood', () => {
    const peer = dialer();
    peer.side.onMessage = (message) => void message.accept();
    peer.send({ type: FrameType.SEND, session: 1, id: 1 });
    for (let count = 0; count < 1100; count++) {
      peer.send({ type: FrameType.CANCEL, session: 1, id: 1 });
    }

    peer.expectClose(Code.CALM);
  });
});

describe('A message in one frame', () => {
  it('beyond maxMessage is rejected TOO_LARGE and starts no handler [IC-6.61]', () => {
    const peer = SimPeer.greeted('listener', { limits: { maxMessage: 100 } });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'test' } });
    peer.lines();
    peer.send({ type: FrameType.SEND, session: 1, id: 1, payload: Buffer.alloc(101) });

    expect(peer.side.last.messages).toHaveLength(0);
    expect(peer.lines()[0]).toContain('REJECT s=1 id=1 REPLY code=TOO_LARGE');
  });

  it('that is not as long as its TOTAL ends the connection [IC-9.4]', () => {
    const peer = dialer();
    const payload = Buffer.alloc(5);
    peer.send({ type: FrameType.SEND, session: 1, id: 1, meta: { total: 6 }, payload });

    peer.expectClose(Code.PROTOCOL);
  });
});

describe('A session that ends in order', () => {
  it('may still be aborted [IC-6.28]', () => {
    const peer = dialer();
    peer.send(
      { type: FrameType.SEND, session: 1, id: 1 },
      { type: FrameType.END, session: 1 },
      { type: FrameType.END, session: 1, meta: { code: 0x9000 } },
    );

    expect(peer.side.status).toBe('open');
    expect(peer.side.last.status).toBe('closed session-closed');
    expect(peer.side.last.last.aborted).toBe('lost');
  });
});

describe('ACCEPT before OPENED', () => {
  it('ends the connection [IC-6.39]', () => {
    const peer = SimPeer.greeted('dialer');
    peer.side.session('test').send('early');
    peer.flush();
    peer.send({ type: FrameType.ACCEPT, flags: 2, session: 1, id: 1 });

    peer.expectClose(Code.PROTOCOL);
  });
});

describe('A payload that is a view', () => {
  it('pins no more than a budget, however the peer cuts its messages', () => {
    const peer = SimPeer.greeted('listener', { limits: { messages: 2000 } });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'test' } });
    const filler = { type: 0x8a, payload: Buffer.alloc(65_000) };
    for (let id = 1; id <= 900; id++) {
      peer.burst([{ type: FrameType.SEND, session: 1, id, payload: Buffer.alloc(600) }, filler]);
    }

    const { messages } = peer.side.last;
    const chunks = new Set(messages.map(({ data }) => data.buffer));
    const held = [...chunks].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(messages).toHaveLength(900);
    expect(held).toBeLessThan(35 * 1024 * 1024);

    for (const message of messages) message.accept();
    peer.flush();
    expect(peer.side.connection.pinned).toBe(0);
  });
});
