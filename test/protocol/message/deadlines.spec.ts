import { describe, expect, it } from '@jest/globals';
import { Code, creditPayload, Flag, FrameType } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const MORE_CREDIT = { type: FrameType.CREDIT, session: 1, payload: creditPayload(9, 200_000) };

describe('A message that nobody settles in time', () => {
  it('is a timeout at its sender, and a timeout at its receiver', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x', { timeout: 50 });
    pair.run();

    pair.advance(49);
    expect([send.outcome, listener.last.aborted]).toEqual(['pending', undefined]);
    pair.advance(1);

    expect(send.outcome).toBe('failed timeout maybe');
    expect(listener.last.aborted).toBe('timeout');
    expect(listener.timeouts).toEqual([listener.last.incoming]);
    expect(pair.listener.log.linesButCredit()).toEqual([
      'OPENED s=1',
      'REJECT s=1 id=1 REPLY code=DEADLINE text="The handler neither accepted nor rejected the message in time."',
    ]);
  });

  it('has a settlement that comes late ignored, and no CANCEL on the wire', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x', { timeout: 50 });
    pair.advance(50);

    expect(listener.last.respond('late')).toBe(false);
    pair.run();

    expect(send.outcome).toBe('failed timeout maybe');
    expect(pair.dialer.log.linesButCredit()).toHaveLength(2);
    expect([dialer.machine.sender.unsettled, listener.machine.receiver.unsettled]).toEqual([0, 0]);
  });

  it('is told by its receiver alone where the sender cannot be reached meanwhile', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x', { timeout: 100 });
    pair.run();
    pair.silence();
    pair.advance(100);
    expect(send.outcome).toBe('failed timeout maybe');

    pair.silence(false);
    pair.run();

    expect(listener.timeouts).toHaveLength(1);
    expect(send.outcome).toBe('failed timeout maybe');
  });

  it('that was settled before and read after its time is a timeout at its sender only', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x', { timeout: 100 });
    pair.run();
    pair.back.blocked = true;
    listener.last.accept();
    pair.advance(100);

    pair.back.blocked = false;
    pair.run();

    expect(send.outcome).toBe('failed timeout maybe');
    expect(listener.timeouts).toEqual([]);
    expect(dialer.machine.sender.unsettled).toBe(0);
  });

  it('has its time run from when it was handed over, wherever it waits [IC-10.1]', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer, listener } = pair.join();
    dialer.send('first');
    const queued = dialer.send('second', { timeout: 90 });
    pair.advance(60);

    listener.last.accept();
    pair.run();

    expect(pair.dialer.log.lines().at(-1)).toBe('SEND s=1 id=2 deadline=30ms 6 B');
    pair.advance(30);
    expect(queued.outcome).toBe('failed timeout maybe');
  });

  it('has not run where it was still waiting for credit', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer } = pair.join();
    dialer.send('first');
    const queued = dialer.send('second', { timeout: 100 });

    pair.advance(100);

    expect(queued.outcome).toBe('failed timeout no');
    expect(pair.dialer.log.linesButCredit()).toEqual(['OPEN s=1 name="test"', 'SEND s=1 id=1 5 B']);
  });

  it('says at least one millisecond, however late it leaves [IC-10.1]', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    dialer.send('x', { timeout: 0.25 });
    pair.run();

    expect(pair.dialer.log.lines().at(-1)).toBe('SEND s=1 id=1 deadline=1ms 1 B');
  });

  it('is one of many: each has its own time', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    const sends = [300, 100, Infinity, 200].map((timeout) => dialer.send('x', { timeout }));
    pair.run();

    const outcomes = [100, 100, 100].map(() => {
      pair.advance(100);
      return sends.map(({ outcome }) => (outcome === 'pending' ? '-' : 'x')).join('');
    });

    expect(outcomes).toEqual(['-x--', '-x-x', 'xx-x']);
  });

  it('waits for ever where it has no time', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x');
    pair.run();

    pair.advance(10_000_000);
    listener.last.accept();
    pair.run();

    expect(send.outcome).toBe('accepted');
  });
});

describe('A message whose time is over before it starts', () => {
  it('is not started, and its sender learns that', () => {
    const pair = SimPair.open();
    pair.listener.onSession = () => undefined;
    const session = pair.dialer.session('a');
    const send = session.send('x', { timeout: 100 });
    pair.run();
    // The clocks start when the message leaves and when it arrives: the receiver's may end later.
    pair.there.blocked = true;
    pair.advance(100);
    expect(send.outcome).toBe('failed timeout maybe');

    pair.listener.last.accept();
    pair.run();

    expect(pair.listener.last.messages).toEqual([]);
    expect(pair.listener.log.linesButCredit()).toContainEqual(
      expect.stringContaining('REJECT s=1 id=1 REPLY code=EXPIRED'),
    );
  });

  it('is not started by an acceptance in the same instant either', () => {
    const peer = SimPeer.greeted('listener');
    peer.side.onSession = () => undefined;
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    peer.send({ type: FrameType.SEND, session: 1, id: 1, meta: { deadline: 100 } });
    // No timer may have fired yet.
    peer.side.afterTimer = undefined;
    peer.clock.skip(99);

    peer.side.last.machine.accept({}, Buffer.alloc(0), peer.clock.now() + 1);
    peer.flush();

    expect(peer.side.last.messages).toEqual([]);
    expect(peer.lines().at(-1)).toContain('code=EXPIRED');
  });

  it('is given up while it arrives (M63) [IC-10.2]', () => {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    peer.send({
      type: FrameType.SEND,
      flags: Flag.MORE,
      session: 1,
      id: 1,
      meta: { deadline: 50, total: 20_000 },
      payload: Buffer.alloc(10_000),
    });
    peer.lines();

    peer.advance(50);
    expect(peer.lines()).toEqual([expect.stringContaining('REJECT s=1 id=1 REPLY code=EXPIRED')]);
    peer.send({ type: FrameType.FRAG, session: 1, id: 1, payload: Buffer.alloc(10_000) });

    peer.expectSilence();
    expect(peer.side.connection.receiveWindow.held).toBe(0);
    expect(peer.side.last.messages).toEqual([]);
  });

  it('has not run where it was not written whole', () => {
    const peer = SimPeer.greeted('listener', {}, { sessionBytes: 100_000 });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    const send = peer.side.last.send(Buffer.alloc(1_000_000), { timeout: 50 });
    peer.side.last.send('next');
    peer.flush();
    peer.lines();

    peer.advance(50);

    expect(send.outcome).toBe('failed timeout no');
    expect(peer.lines()).toEqual(['CANCEL s=1 id=1']);
    peer.send(MORE_CREDIT);
    expect(peer.lines()).toEqual(['SEND s=1 id=2 4 B']);
  });
});

describe('Handlers that end others', () => {
  it('at a timeout leave each message with one end', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const sends = ['1', '2', '3'].map((text) => dialer.send(text, { timeout: 50 }));
    const oneWay = dialer.send('4', { oneWay: true, timeout: 50 });
    for (const send of sends) {
      send.onResult = () => {
        for (const other of [...sends, oneWay]) other.cancel();
      };
    }
    pair.run();
    for (const message of listener.messages) {
      const { incoming } = message;
      incoming.abortListener = {
        onAbort: () => listener.messages.forEach((other) => void other.accept()),
      };
    }

    pair.advance(50);

    expect(sends.map(({ outcome }) => outcome.split(' ')[0])).toEqual([
      'failed',
      'failed',
      'failed',
    ]);
    expect(listener.machine.receiver.unsettled).toBe(0);
  });

  it('when the connection ends leave each message with one end', () => {
    const pair = SimPair.open({ limits: { messages: 2 } });
    const { dialer } = pair.join();
    const sends = ['1', '2', '3', '4'].map((text) => dialer.send(text));
    for (const send of sends) send.onResult = () => sends.forEach((other) => other.cancel());
    pair.run();

    pair.cut();

    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'failed connection-lost maybe',
      'failed connection-lost maybe',
      'failed connection-lost no',
      'failed connection-lost no',
    ]);
  });
});

describe('A one-way message', () => {
  it('that its handler does not end in time is a timeout at its receiver', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x', { oneWay: true, timeout: 100 });
    pair.run();

    pair.advance(100);

    expect(send.outcome).toBe('sent');
    expect(listener.last.aborted).toBe('timeout');
    expect(listener.timeouts).toHaveLength(1);
  });

  it('fails at its sender where it waits for too long', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer } = pair.join();
    dialer.send('first');
    const send = dialer.send('x', { oneWay: true, timeout: 100 });

    pair.advance(100);

    expect(send.outcome).toBe('failed timeout no');
  });

  it('that is large fails where its time ends within it', () => {
    const peer = SimPeer.greeted('listener', {}, { sessionBytes: 100_000 });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    const send = peer.side.last.send(Buffer.alloc(1_000_000), { oneWay: true, timeout: 50 });
    peer.flush();

    peer.advance(50);

    expect(send.outcome).toBe('failed timeout no');
    expect(peer.lines().at(-1)).toBe('CANCEL s=1 id=1');
  });
});

describe('The codes of a rejection', () => {
  it.each([
    ['EXPIRED', false],
    ['DEADLINE', true],
  ])('%s says whether the handler started: %s [IC-6.42] [IC-10.3]', (name, accepts) => {
    const peer = SimPeer.greeted('listener');
    if (!accepts) peer.side.onSession = () => undefined;
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    peer.send({ type: FrameType.SEND, session: 1, id: 1, meta: { deadline: 10 } });

    peer.advance(10);

    expect(peer.side.log.frames.at(-1)?.meta.code).toBe(Code[name as 'EXPIRED' | 'DEADLINE']);
    expect(peer.side.last.messages).toHaveLength(accepts ? 1 : 0);
  });
});
