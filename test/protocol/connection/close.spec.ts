import { describe, expect, it } from '@jest/globals';
import { Code, creditPayload, encodeFrame, FrameType } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

describe('Closing a connection', () => {
  it('tells the other side, which is closed in order as well [IC-12.10]', () => {
    const pair = SimPair.open();

    pair.dialer.close();
    pair.run();

    expect(pair.dialer.log.lines()).toEqual(['CLOSE code=OK text=""']);
    expect(pair.listener.log.lines()).toEqual([]);
    expect([pair.dialer.status, pair.listener.status]).toEqual(['closed', 'closed']);
    expect([pair.dialer.ended, pair.listener.ended]).toEqual([true, true]);
  });

  it('says why, with a reason and data', () => {
    const pair = SimPair.open();

    pair.listener.close(0x8001, 'moving', Buffer.from('to b'));
    pair.run();

    expect(pair.listener.status).toBe('closed');
    expect(pair.dialer.failure).toMatchObject({
      kind: 'connection-lost',
      executed: 'maybe',
      code: 0x8001,
      reason: 'moving',
      data: Buffer.from('to b'),
    });
  });

  it('comes after what is ready, and ends the socket after that [IC-12.8] [IC-12.9]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const asked = dialer.send('?');
    pair.run();

    listener.last.respond('!');
    pair.listener.close();
    expect(pair.listener.ended).toBe(false);
    pair.run();

    expect(pair.listener.log.lines()).toEqual([
      'OPENED s=1',
      'ACCEPT s=1 id=1 REPLY 1 B',
      'CLOSE code=OK text=""',
    ]);
    expect(asked.outcome).toBe('accepted "!"');
  });

  it('fails everything that is pending on both sides', () => {
    const pair = SimPair.open({ limits: { messages: 2 } });
    const { dialer, listener } = pair.join();
    const sends = [dialer.send('1'), listener.send('2')];
    pair.run();
    const handlers = [dialer.last, listener.last];
    const queued = ['3', '4'].map((text) => dialer.send(text));
    const opening = pair.dialer.session('later');

    pair.dialer.close();
    pair.run();

    expect([...sends, ...queued].map(({ outcome }) => outcome)).toEqual([
      'failed connection-closed maybe',
      'failed connection-closed maybe',
      'failed connection-closed no',
      'failed connection-closed no',
    ]);
    expect(handlers.map(({ aborted }) => aborted)).toEqual(['lost', 'lost']);
    expect([dialer, listener, opening].map(({ status }) => status)).toEqual(
      [1, 2, 3].map(() => 'closed connection-closed'),
    );
    expect(pair.clock.pending).toBe(0);
  });

  it('by both at once is no fault', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    dialer.send('x');

    pair.dialer.close();
    pair.listener.close();
    pair.run();

    expect([pair.dialer.status, pair.listener.status]).toEqual(['closed', 'closed']);
    expect([pair.dialer.ended, pair.listener.ended]).toEqual([true, true]);
  });

  it('is done once', () => {
    const pair = SimPair.open();

    pair.dialer.close(0x8001, 'first');
    pair.dialer.close(0x8002, 'second');
    pair.run();
    pair.dialer.close(0x8003, 'third');
    pair.run();

    expect(pair.dialer.log.lines()).toEqual(['CLOSE code=0x8001 text="first"']);
  });

  it('from within what it tells leaves CLOSE the last frame [IC-12.8]', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    const sends = Array.from({ length: 50 }, () =>
      dialer.send(Buffer.alloc(2000), { oneWay: true }),
    );
    sends[3]!.onResult = () => pair.dialer.close();
    pair.dialer.room = 10_000;

    pair.run();

    expect(pair.dialer.log.lines().at(-1)).toBe('CLOSE code=OK text=""');
    expect(sends.every(({ outcome }) => outcome !== 'pending')).toBe(true);
    expect(pair.listener.status).toBe('closed');
  });

  it('lets nothing new begin', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    pair.dialer.close();

    const send = dialer.send('x');
    const session = pair.dialer.session('late');
    const inside = session.send('x');
    pair.run();

    expect([send.outcome, inside.outcome]).toEqual([
      'failed session-closed no',
      'failed session-closed no',
    ]);
    expect(session.machine.state).toBe('CLOSED');
    expect(pair.dialer.log.lines().at(-1)).toBe('CLOSE code=OK text=""');
  });

  it('lets nothing begin from within what it tells either', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    const send = dialer.send('x');
    pair.run();
    const again: ReturnType<typeof dialer.send>[] = [];
    send.onResult = () => {
      again.push(dialer.send('again'), pair.dialer.session('again').send('x'));
    };

    pair.dialer.close();
    pair.run();

    expect(again.map(({ outcome }) => outcome)).toEqual([
      'failed session-closed no',
      'failed session-closed no',
    ]);
    expect(pair.clock.pending).toBe(0);
  });

  it('is heard though octets follow it, and those are not (M88)', () => {
    const peer = SimPeer.greeted('listener');

    peer.bytes(
      Buffer.concat([
        encodeFrame({ type: FrameType.CLOSE }),
        encodeFrame({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } }),
        Buffer.from('garbage'),
      ]),
    );
    peer.bytes(Buffer.from('more garbage'));

    expect(peer.side.status).toBe('closed');
    expect(peer.side.incoming).toEqual([]);
    expect(peer.lines()).toEqual([]);
  });

  it('passes over what comes until the other side has read it [IC-12.8]', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    dialer.send('x');
    pair.there.flush();
    pair.listener.close();

    pair.run();

    expect(pair.listener.last.messages).toEqual([]);
    expect(pair.listener.status).toBe('closed');
  });
});

describe('A connection that is lost', () => {
  it('fails everything, once: what was never written has not run [IC-12.13]', () => {
    const pair = SimPair.open({ limits: { messages: 4, sessionBytes: 300_000 } });
    const { dialer, listener } = pair.join();
    const written = [dialer.send('1'), dialer.send('2', { oneWay: true })];
    pair.run();
    const answered = dialer.send('3');
    pair.run();
    listener.last.accept();
    pair.back.flush();
    const unwritten = [dialer.send('4'), dialer.send('5'), dialer.send('6', { oneWay: true })];

    pair.cut();

    expect([...written, answered, ...unwritten].map(({ outcome }) => outcome)).toEqual([
      'failed connection-lost maybe',
      'sent',
      'failed connection-lost maybe',
      'failed connection-lost no',
      'failed connection-lost no',
      'failed connection-lost no',
    ]);
    expect([pair.dialer.status, pair.listener.status]).toEqual([
      'closed connection-lost maybe',
      'closed connection-lost maybe',
    ]);
    expect(pair.clock.pending).toBe(0);
  });

  it('has a large message run only if all of it was written [IC-12.13]', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    const sends = [dialer.send(Buffer.alloc(100_000)), dialer.send(Buffer.alloc(10_000_000))];
    pair.dialer.room = 200_000;
    pair.there.flush();

    pair.cut();

    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'failed connection-lost maybe',
      'failed connection-lost no',
    ]);
  });

  it('tells handlers, whose outcomes go nowhere [IC-2.10]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    dialer.send('x');
    pair.run();

    pair.cut();

    expect(listener.last.aborted).toBe('lost');
    expect(listener.last.accept()).toBe(false);
    pair.run();
    expect(pair.listener.log.lines()).toEqual(['OPENED s=1']);
  });

  it('delivers nothing of a frame that was not whole (M98) [IC-17.6]', () => {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    const send = encodeFrame({
      type: FrameType.SEND,
      session: 1,
      id: 1,
      payload: Buffer.from('payload'),
    });

    peer.bytes(send.subarray(0, -1));
    peer.side.lose('reset');

    expect(peer.side.last.messages).toEqual([]);
    expect(peer.side.status).toBe('closed connection-lost maybe');
  });

  it('by an end of the stream without CLOSE is not closed in order (M89) [IC-12.12]', () => {
    const pair = SimPair.open();

    pair.dialer.lose('the other side ended the stream');

    expect(pair.dialer.failure).toMatchObject({ kind: 'connection-lost' });
    expect(pair.dialer.failure.message).toContain('ended the stream');
  });

  it('is lost once', () => {
    const pair = SimPair.open();

    for (const reason of ['first', 'second']) pair.dialer.lose(reason);
    pair.dialer.close();
    pair.run();

    expect(pair.dialer.failure.message).toContain('first');
    expect(pair.dialer.log.lines()).toEqual([]);
  });

  it('after CLOSE was written is still closed in order', () => {
    const pair = SimPair.open();
    pair.dialer.close();
    pair.there.flush();

    pair.cut();

    expect(pair.dialer.status).toBe('closed');
  });

  it('writes nothing, whatever was ready', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    pair.dialer.log.lines();
    dialer.send('x');

    pair.dialer.lose();
    pair.there.flush();

    expect(pair.dialer.log.lines()).toEqual([]);
  });
});

describe('A violation', () => {
  it('is answered with its reason, and fails what is pending [IC-1.2]', () => {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    const send = peer.side.last.send('x');
    peer.flush();

    peer.send({ type: FrameType.SEND, session: 9, id: 1 });

    peer.expectClose(Code.PROTOCOL);
    expect(send.outcome).toBe('failed protocol maybe');
    expect(peer.side.failure).toMatchObject({ kind: 'protocol', code: Code.PROTOCOL });
    expect(peer.side.log.frames.at(-1)?.meta.text).toContain('session 9');
  });

  it('reaches the other side as a lost connection with that reason', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    const send = dialer.send('x');
    pair.run();

    pair.listener.receive(encodeFrame({ type: FrameType.SEND, session: 9, id: 1 }));
    pair.run();

    expect(pair.dialer.failure).toMatchObject({ kind: 'connection-lost', code: Code.PROTOCOL });
    expect(send.outcome).toBe('failed connection-lost maybe');
  });

  it('says nothing of what was ready', () => {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    peer.lines();
    const send = peer.side.last.send('x');

    peer.send({ type: FrameType.SEND, session: 9, id: 1 });

    expect(peer.lines()).toEqual([expect.stringMatching(/^CLOSE code=PROTOCOL/)]);
    expect(send.outcome).toBe('failed protocol no');
  });

  it('in a chunk is the end of that chunk', () => {
    const peer = SimPeer.greeted('listener');

    peer.burst([
      { type: FrameType.OPEN, session: 1, meta: { name: 'a' } },
      { type: FrameType.OPEN, session: 1, meta: { name: 'again' } },
      { type: FrameType.OPEN, session: 3, meta: { name: 'b' } },
    ]);

    expect(peer.side.incoming.map(({ name }) => name)).toEqual(['a']);
  });

  it('of this side’s application is its own fault, and ends nothing', () => {
    const peer = SimPeer.greeted('listener');
    peer.side.onMessage = () => {
      throw new Error('a bug in the application');
    };
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });

    expect(() => peer.send({ type: FrameType.SEND, session: 1, id: 1 })).toThrow('a bug');

    expect(peer.side.status).toBe('open');
  });
});

describe('Frames that are held back', () => {
  it('come in order once they are released', () => {
    const pair = SimPair.open();
    const session = pair.dialer.session('a');
    pair.listener.machine.hold();
    session.send('1');
    pair.run();
    session.send('2');
    pair.run();
    expect(pair.listener.incoming).toEqual([]);

    pair.listener.machine.release(pair.clock.now());
    pair.run();

    expect(pair.listener.last.messages.map(({ text }) => text)).toEqual(['1', '2']);
  });

  it('are held again where the first of them says so', () => {
    const pair = SimPair.open();
    pair.listener.machine.hold();
    pair.dialer.session('a').send('1');
    pair.run();
    pair.listener.onSession = (session) => {
      pair.listener.machine.hold();
      session.accept();
    };

    pair.listener.machine.release(pair.clock.now());
    expect(pair.listener.last.messages).toEqual([]);
    pair.listener.machine.release(pair.clock.now());

    expect(pair.listener.last.messages).toHaveLength(1);
  });

  it('end the connection where one of them is a violation', () => {
    const peer = SimPeer.greeted('listener');
    peer.side.machine.hold();
    peer.send({ type: FrameType.SEND, session: 9, id: 1 });
    expect(peer.side.status).toBe('open');

    peer.side.machine.release(peer.clock.now());
    peer.flush();

    peer.expectClose(Code.PROTOCOL);
  });

  it('are none where nothing was held', () => {
    const peer = SimPeer.greeted('listener');

    peer.side.machine.release(peer.clock.now());
    peer.send({ type: FrameType.CREDIT, payload: creditPayload(1, 1) });

    peer.expectSilence();
  });
});
