import { describe, expect, it } from '@jest/globals';
import { Code, Flag, FrameType } from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import { SimPeer } from '../../support/sim/sim-peer.js';
import { SimPair } from '../../support/sim/sim-pair.js';

const LEAST = Buffer.alloc(4096);

describe('A session that is ended', () => {
  it('closes on both sides when each has said END [IC-6.25]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();

    dialer.end();
    pair.run();

    expect([dialer.status, listener.status]).toEqual(['closed', 'closed']);
    expect([dialer.closed?.failure, listener.closed?.failure]).toEqual([undefined, undefined]);
    expect(pair.dialer.log.lines()).toEqual(['OPEN s=1 name="test"', 'END s=1']);
    expect(pair.listener.log.lines()).toEqual(['OPENED s=1', 'END s=1']);
  });

  it('is ended once, by either side or by both at the same time [IC-6.28]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();

    for (const session of [dialer, listener, dialer, listener]) session.end();
    pair.run();
    dialer.end();
    pair.run();

    expect([dialer.status, listener.status]).toEqual(['closed', 'closed']);
    expect(pair.dialer.log.lines()).toEqual(['OPEN s=1 name="test"', 'END s=1']);
  });

  it('still settles what was sent, in both directions [IC-6.26]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const sends = [dialer.send('x'), listener.send('y'), dialer.send(Buffer.alloc(100_000))];

    dialer.end();
    pair.run();
    expect([dialer.status, listener.status]).toEqual(['ending', 'ending']);
    for (const { last } of [dialer, listener]) last.respond('late');
    listener.messages[0]?.accept();
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'accepted',
      'accepted "late"',
      'accepted "late"',
    ]);
    expect([dialer.status, listener.status]).toEqual(['closed', 'closed']);
  });

  it('still sends what waits for credit before it says END [IC-6.23]', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer, listener } = pair.join();
    const sends = [dialer.send('1'), dialer.send('2')];
    dialer.end();
    pair.run();
    expect(pair.dialer.log.lines().at(-1)).toBe('SEND s=1 id=1 1 B');

    listener.last.accept();
    pair.run();
    expect(pair.dialer.log.lines()).toEqual(['SEND s=1 id=2 1 B', 'END s=1']);
    listener.last.accept();
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted']);
    expect(dialer.status).toBe('closed');
  });

  it('waits with END for the outcome of a stream that its DEADLINE has cut [IC-6.23]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('', { items: ['a'], end: false, timeout: 100 });
    pair.run();
    pair.there.blocked = true;
    pair.dialer.clock.advance(90);
    pair.back.blocked = true;
    pair.dialer.clock.advance(10);
    expect(send.outcome).toBe('failed timeout maybe');
    dialer.end();
    pair.dialer.log.lines();
    pair.flush();
    expect(pair.dialer.log.lines()).toEqual([]);

    pair.silence(false);
    pair.run();

    expect(pair.dialer.log.lines().filter((line) => line.startsWith('END'))).toEqual(['END s=1']);
    expect(pair.listener.log.transcript()).toContain('REJECT s=1 id=1 REPLY code=DEADLINE');
    listener.last.accept();
    pair.run();
    expect([dialer.status, listener.status]).toEqual(['closed', 'closed']);
  });

  it.each<[string, FrameInit[]]>([
    ['a SEND', [{ type: FrameType.SEND, session: 1, id: 1, flags: Flag.MORE, payload: LEAST }]],
    ['a request stream', [{ type: FrameType.SEND, session: 1, id: 1, flags: Flag.STREAM }]],
    [
      'an item',
      [
        { type: FrameType.SEND, session: 1, id: 1, flags: Flag.STREAM },
        {
          type: FrameType.ITEM,
          session: 1,
          id: 1,
          flags: Flag.MORE | Flag.END,
          payload: LEAST,
        },
      ],
    ],
  ])('ends the connection where END comes amid %s (M127) [IC-6.23]', (_what, frames) => {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } }, ...frames);

    peer.send({ type: FrameType.END, session: 1 });

    peer.expectClose(Code.PROTOCOL);
  });

  it.each<[string, FrameInit[]]>([
    [
      'a SEND that was cancelled',
      [
        { type: FrameType.SEND, session: 1, id: 1, flags: Flag.MORE, payload: LEAST },
        { type: FrameType.CANCEL, session: 1, id: 1 },
      ],
    ],
    [
      'a stream that was cancelled',
      [
        { type: FrameType.SEND, session: 1, id: 1, flags: Flag.STREAM },
        { type: FrameType.CANCEL, session: 1, id: 1 },
      ],
    ],
    [
      'a stream whose items are unread',
      [
        { type: FrameType.SEND, session: 1, id: 1, flags: Flag.STREAM },
        { type: FrameType.ITEM, session: 1, id: 1, payload: LEAST },
        { type: FrameType.ITEM, session: 1, id: 1, flags: Flag.END },
      ],
    ],
  ])('takes END behind %s [IC-6.23]', (_what, frames) => {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } }, ...frames);

    peer.send({ type: FrameType.END, session: 1 });

    expect(peer.lines()).toContain('END s=1');
    expect(peer.side.status).toBe('open');
  });

  it('takes nothing new at the side that ended it', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();

    dialer.end();

    expect(dialer.send('x').outcome).toBe('failed session-closed no');
  });

  it('takes nothing new at the side that was told [IC-6.25]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    listener.send('x');
    pair.run();

    dialer.end();
    pair.run();

    expect(listener.status).toBe('ending');
    expect(listener.send('y').outcome).toBe('failed session-closed no');
  });

  it('does not wait for a queued message that was cancelled', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer, listener } = pair.join();
    dialer.send('1');
    const queued = dialer.send('2');
    dialer.end();
    pair.run();

    queued.cancel();
    pair.run();

    expect(pair.dialer.log.lines().at(-1)).toBe('END s=1');
    listener.last.accept();
    pair.run();
    expect(dialer.status).toBe('closed');
  });

  it('waits for the handlers of one-way messages', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    dialer.send('x', { oneWay: true });
    dialer.end();
    pair.run();
    expect([dialer.status, listener.status]).toEqual(['closed', 'ending']);

    listener.last.accept();

    expect(listener.status).toBe('closed');
  });

  it('waits for a message that its caller no longer waits for', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x');
    pair.run();
    send.cancel();
    dialer.end();
    pair.run();
    expect(dialer.status).toBe('ending');

    listener.last.accept();
    pair.run();

    expect([dialer.status, listener.status]).toEqual(['closed', 'closed']);
  });

  it('says nothing more when it is over', () => {
    const pair = SimPair.open({ limits: { messages: 2 } });
    const { dialer, listener } = pair.join();
    dialer.send('x');
    dialer.end();
    pair.run();
    listener.last.accept();
    pair.run();
    // Until the last frames are acknowledged.
    pair.advance(100);
    pair.listener.log.lines();

    pair.advance(1000);

    expect(pair.listener.log.lines()).toEqual([]);
  });
});

describe('A session that is over', () => {
  it('says nothing more, though the last of its handlers ends later', () => {
    const pair = SimPair.open({ limits: { maxFrame: 16_384, sessionBytes: 32_768 } });
    const { dialer, listener } = pair.join();
    dialer.send('x', { timeout: 100 });
    const asked = listener.send('y');
    pair.advance(100);
    dialer.end();
    listener.end();
    pair.run();

    dialer.last.respond('an answer that closes the session');
    pair.run();
    expect([asked.outcome.split(' ')[0], listener.status]).toEqual(['accepted', 'closed']);
    pair.listener.log.lines();
    listener.last.accept();
    pair.run();

    expect(pair.listener.log.lines()).toEqual([]);
  });
});

describe('A session that is ended before it is accepted', () => {
  function undecided(): SimPair {
    const pair = SimPair.open();
    pair.listener.onSession = () => undefined;
    return pair;
  }

  it('still has its messages handled once it is', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    const send = session.send('x');
    session.end();
    pair.run();
    expect(pair.listener.last.status).toBe('pending');

    pair.listener.last.accept();
    pair.run();
    pair.listener.last.last.respond('done');
    pair.run();

    expect(send.outcome).toBe('accepted "done"');
    expect([session.status, pair.listener.last.status]).toEqual(['closed', 'closed']);
  });

  it('has them failed unexecuted when it is rejected', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    const send = session.send('x');
    session.end();
    pair.run();

    pair.listener.last.reject(Code.SESSION_FORBIDDEN, 'no');
    pair.run();

    expect(send.outcome).toBe('failed session-rejected no');
    expect(session.status).toBe('closed session-rejected');
  });

  it('is unknown to the other side if nothing of it was written', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    session.end();
    expect(session.closed).toEqual({ failure: undefined });

    pair.run();

    expect(pair.listener.incoming).toEqual([]);
  });

  it('closes at once where nothing was sent in it', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    pair.run();
    session.end();

    pair.run();

    expect([session.status, pair.listener.last.status]).toEqual(['closed', 'closed']);
    expect(session.closed).toEqual({ failure: undefined });
    expect(pair.listener.last.accept()).toBe(false);
  });

  it('closes when the last of its messages has been cancelled', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    const send = session.send('x');
    session.end();
    pair.run();

    send.cancel();
    pair.run();

    expect(send.outcome).toBe('failed cancelled maybe');
    expect([session.status, pair.listener.last.status]).toEqual(['closed', 'closed']);
  });

  it('is a timeout where nobody decides it', () => {
    const pair = undecided();
    const session = pair.dialer.session('a', { timeout: 100 });
    const send = session.send('x');
    session.end();
    pair.run();

    pair.advance(100);

    expect(send.outcome).toBe('failed session-timeout no');
    expect([session.status, pair.listener.last.status]).toEqual([
      'closed session-timeout',
      'closed session-timeout',
    ]);
  });

  it('is not given up by an opener whose acceptor has accepted meanwhile', () => {
    const pair = undecided();
    const session = pair.dialer.session('a', { timeout: 100 });
    session.send('x');
    session.end();
    pair.run();
    pair.back.blocked = true;
    pair.listener.last.accept();
    const back = pair.listener.last.send('y');
    pair.advance(200);
    pair.back.blocked = false;

    pair.run();

    expect(back.outcome).toBe('failed session-closed no');
    pair.listener.last.last.accept();
    pair.run();
    expect([session.status, pair.listener.last.status]).toEqual(['closed', 'closed']);
  });

  it('is rejected by an acceptor that ends it', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    pair.run();

    pair.listener.last.end();
    pair.run();

    expect(session.closed?.failure).toMatchObject({
      kind: 'session-rejected',
      code: Code.SESSION_REFUSED,
    });
  });

  it('lets its acceptor send what it had ready, and then ends', () => {
    const pair = undecided();
    const session = pair.dialer.session('a');
    session.send('x');
    session.end();
    pair.run();
    const back = pair.listener.last.send('y');
    pair.dialer.onMessage = (message) => void message.accept();
    pair.listener.onMessage = (message) => void message.accept();

    pair.listener.last.accept();
    pair.run();

    expect(back.outcome).toBe('accepted');
    expect([session.status, pair.listener.last.status]).toEqual(['closed', 'closed']);
  });
});

describe('A session that the other side aborts', () => {
  function aborted(): SimPeer {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    peer.lines();
    return peer;
  }

  const abort = { type: FrameType.END, session: 1, meta: { code: 0x8001, text: 'enough' } };

  it('fails what was sent, for it may have run, and answers END [IC-6.27]', () => {
    const peer = aborted();
    const small = peer.side.last.send('x');
    const unfinished = peer.side.last.send(Buffer.alloc(10_000_000));
    peer.flush();
    const queued = peer.side.last.send('z');
    peer.lines();

    peer.send(abort);

    expect(peer.lines()).toEqual(['END s=1']);
    expect([small, unfinished, queued].map(({ outcome }) => outcome)).toEqual([
      'failed session-closed maybe',
      'failed session-closed no',
      'failed session-closed no',
    ]);
    expect(small.failure).toMatchObject({ code: 0x8001, reason: 'enough' });
  });

  it('tells its handlers, whose outcomes go nowhere', () => {
    const peer = aborted();
    peer.send({ type: FrameType.SEND, session: 1, id: 1 });
    const { last } = peer.side.last;
    peer.lines();

    peer.send(abort);

    expect(last.aborted).toBe('lost');
    expect(last.accept()).toBe(false);
    peer.flush();
    expect(peer.lines()).toEqual(['END s=1']);
  });

  it('gives back what it held [IC-8.9]', () => {
    const peer = aborted();
    const send = { type: FrameType.SEND, session: 1, payload: Buffer.alloc(8000) };
    for (let id = 1; id <= 200; id++) peer.send({ ...send, id });
    expect(peer.side.connection.receiveWindow.held).toBe(1_600_000);

    peer.send(abort);
    for (const message of peer.side.last.messages) message.accept();

    expect(peer.side.connection.receiveWindow.held).toBe(0);
  });

  it('may have begun to end in order', () => {
    const peer = aborted();
    const send = peer.side.last.send('x');
    peer.side.last.end();
    peer.flush();
    peer.lines();

    peer.send(abort);

    expect(send.outcome).toBe('failed session-closed maybe');
    expect(peer.lines()).toEqual([]);
    expect(peer.side.last.status).toBe('closed session-closed');
  });

  it('is silent afterwards: what crosses is ignored [IC-6.27]', () => {
    const peer = aborted();
    peer.send(abort);
    peer.lines();

    peer.send(
      { type: FrameType.SEND, session: 1, id: 1, payload: Buffer.from('x') },
      { type: FrameType.CANCEL, session: 1, id: 1 },
      { type: FrameType.END, session: 1 },
    );

    peer.expectSilence();
    expect(peer.side.connection.receiveWindow.held).toBe(0);
  });
});
