import { describe, expect, it } from '@jest/globals';
import { Code, creditPayload, Flag, FrameType } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const MORE_CREDIT = { type: FrameType.CREDIT, session: 1, payload: creditPayload(9, 200_000) };

describe('Cancelling', () => {
  it('a message that waits sends nothing, and it has not run', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer } = pair.join();
    dialer.send('first');
    const queued = dialer.send('second');
    pair.run();
    pair.dialer.log.lines();

    queued.cancel();
    pair.run();

    expect(queued.outcome).toBe('failed cancelled no');
    expect(pair.dialer.log.lines()).toEqual([]);
  });

  it('a message that was sent tells its handler, and what that does then goes nowhere [IC-10.8]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x');
    pair.run();

    send.cancel();
    expect(send.outcome).toBe('failed cancelled maybe');
    pair.run();
    expect(dialer.machine.sender.unsettled).toBe(1);
    expect(listener.last.aborted).toBe('cancelled');
    expect(listener.last.accept()).toBe(true);
    pair.run();

    expect(send.outcome).toBe('failed cancelled maybe');
    expect(dialer.machine.sender.unsettled).toBe(0);
  });

  it('a message of which nothing is written leaves no trace, and its id goes to the next [IC-10.9]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const sends = ['1', '2', '3'].map((text) => dialer.send(text));

    sends[1]?.cancel();
    expect(sends[1]?.outcome).toBe('failed cancelled no');
    pair.run();

    expect(pair.dialer.log.lines().slice(1)).toEqual(['SEND s=1 id=1 1 B', 'SEND s=1 id=2 1 B']);
    expect(listener.messages.map(({ text }) => text)).toEqual(['1', '3']);
  });

  it('twice, or after the outcome, does nothing [IC-6.48]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const sends = [dialer.send('1'), dialer.send('2')];
    pair.run();
    listener.messages[1]?.accept();
    pair.run();

    for (const send of [...sends, ...sends]) send.cancel();
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual(['failed cancelled maybe', 'accepted']);
    expect(pair.dialer.log.lines().filter((line) => line.startsWith('CANCEL'))).toHaveLength(1);
  });

  it('a message that waits for its session to be accepted has it rejected unstarted', () => {
    const pair = SimPair.open();
    pair.listener.onSession = () => undefined;
    const session = pair.dialer.session('a');
    const sends = [session.send('1'), session.send('2')];
    pair.run();

    sends[0]?.cancel();
    pair.run();
    pair.listener.last.accept();

    expect(pair.listener.last.messages.map(({ text }) => text)).toEqual(['2']);
    expect(pair.listener.log.lines()).toContainEqual(
      expect.stringContaining('REJECT s=1 id=1 REPLY code=CANCELLED'),
    );
  });

  it('a one-way message that was written comes too late', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x', { oneWay: true });
    pair.run();

    send.cancel();
    pair.run();

    expect(send.outcome).toBe('sent');
    expect(listener.last.aborted).toBeUndefined();
  });

  it('a one-way message of which nothing is written leaves no trace [IC-10.9]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x', { oneWay: true });

    send.cancel();
    pair.run();

    expect(send.outcome).toBe('failed cancelled no');
    expect(listener.messages).toEqual([]);
  });
});

describe('Cancelling a large message', () => {
  function uploading(): { peer: SimPeer; send: ReturnType<SimPeer['side']['last']['send']> } {
    const peer = SimPeer.greeted('listener', {}, { sessionBytes: 100_000 });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    const send = peer.side.last.send(Buffer.alloc(1_000_000));
    peer.flush();
    peer.lines();
    return { peer, send };
  }

  it('stops it, and those behind it go on', () => {
    const { peer, send } = uploading();
    peer.side.last.send('next');

    send.cancel();
    peer.flush();

    expect(send.outcome).toBe('failed cancelled no');
    expect(peer.lines()).toEqual(['CANCEL s=1 id=1']);
    peer.send(MORE_CREDIT);
    expect(peer.lines()).toEqual(['SEND s=1 id=2 4 B']);
  });

  it('of which nothing is written gives its id to the next', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send(Buffer.alloc(100_000));
    const next = dialer.send('next');

    send.cancel();
    pair.run();

    expect(pair.dialer.log.lines().slice(1)).toEqual(['SEND s=1 id=1 4 B']);
    expect(listener.last.text).toBe('next');
    expect([send.outcome, next.outcome]).toEqual(['failed cancelled no', 'pending']);
  });

  it('that waits for its turn beside others leaves it to them', () => {
    const pair = SimPair.open({ limits: { maxMessage: 400_000, connectionBytes: 500_000 } });
    const sessions = ['a', 'b', 'c'].map((name) => pair.dialer.session(name));
    const sends = sessions.map((session) => session.send(Buffer.alloc(400_000)));
    pair.listener.onMessage = (message) => void message.accept();

    sends[1]?.cancel();
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'accepted',
      'failed cancelled no',
      'accepted',
    ]);
  });

  it('has its receiver forget what has come of it', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send(Buffer.alloc(10_000_000));
    pair.dialer.room = 100_000;
    pair.there.flush();
    pair.there.deliver();
    expect(pair.listener.connection.receiveWindow.held).toBeGreaterThan(60_000);

    send.cancel();
    pair.run();

    expect(listener.messages).toEqual([]);
    expect(pair.listener.connection.receiveWindow.held).toBe(0);
    expect([dialer.machine.sender.unsettled, listener.machine.receiver.unsettled]).toEqual([0, 0]);
  });

  it('that is one-way frees both sides as well', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send(Buffer.alloc(10_000_000), { oneWay: true });
    pair.dialer.room = 100_000;
    pair.there.flush();
    pair.there.deliver();

    send.cancel();
    dialer.send('next');
    pair.run();

    expect(send.outcome).toBe('failed cancelled no');
    expect(listener.messages.map(({ text }) => text)).toEqual(['next']);
    expect(listener.machine.receiver.unsettled).toBe(1);
  });

  it('while its answer comes in fragments lets the answer end', () => {
    const { peer, send } = uploading();
    const reject = { type: FrameType.REJECT, session: 1, id: 1, meta: { code: Code.BUSY } };
    peer.send({ ...reject, flags: Flag.REPLY | Flag.MORE, payload: Buffer.alloc(5000) });

    send.cancel();
    peer.flush();
    expect(peer.lines()).toEqual(['CANCEL s=1 id=1']);
    peer.send({
      type: FrameType.FRAG,
      flags: Flag.REPLY,
      session: 1,
      id: 1,
      payload: Buffer.alloc(9),
    });

    expect(send.outcome).toBe('failed cancelled maybe');
    expect(peer.side.last.machine.sender.unsettled).toBe(0);
  });
});

describe('A CANCEL', () => {
  function dialing(): SimPeer {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    peer.lines();
    return peer;
  }

  const cancel = { type: FrameType.CANCEL, session: 1, id: 1 };

  it('for an id that was never used ends the connection (M75)', () => {
    const none = dialing();
    const later = dialing();
    later.send({ type: FrameType.SEND, session: 1, id: 1 });

    none.send(cancel);
    later.send({ ...cancel, id: 2 });

    none.expectClose(Code.PROTOCOL);
    later.expectClose(Code.PROTOCOL);
  });

  it('for a settled message is ignored (M74)', () => {
    const peer = dialing();
    peer.side.onMessage = (message) => void message.accept();
    peer.send({ type: FrameType.SEND, session: 1, id: 1 });
    peer.lines();

    peer.send(cancel, cancel);

    peer.expectSilence();
  });

  it('that comes twice aborts a handler once, which still settles [IC-6.32]', () => {
    const peer = dialing();
    peer.send({ type: FrameType.SEND, session: 1, id: 1 }, cancel, cancel);
    const { last } = peer.side.last;
    expect(last.aborted).toBe('cancelled');

    last.reject(Code.CANCELLED_RUNNING, 'stopped');
    peer.flush();

    expect(peer.lines()).toEqual(['REJECT s=1 id=1 REPLY code=CANCELLED_RUNNING text="stopped"']);
  });
});
