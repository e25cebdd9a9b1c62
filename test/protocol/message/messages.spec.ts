import { describe, expect, it } from '@jest/globals';
import { Code, FrameType } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

describe('A message', () => {
  it('is accepted', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('work');
    pair.run();
    expect([send.outcome, listener.last.text]).toEqual(['pending', 'work']);

    expect(listener.last.accept()).toBe(true);
    pair.run();

    expect(send.outcome).toBe('accepted');
  });

  it('is answered with data and metadata', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('work');
    pair.run();

    listener.last.respond('result', [['took', '5 ms']]);
    pair.run();

    expect(send.result).toEqual({
      kind: 'accepted',
      meta: { metadata: [['took', '5 ms']] },
      data: Buffer.from('result'),
    });
  });

  it('is rejected with code, reason and data', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('work');
    pair.run();

    listener.last.reject(0x9001, 'no such record', '42');
    pair.run();

    expect(send.outcome).toBe('rejected 0x9001 "no such record" "42"');
  });

  it('carries its metadata, and its time', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();

    dialer.send('x', {
      metadata: [
        ['traceparent', '00-1'],
        ['a', ''],
      ],
      timeout: 500,
    });
    pair.run();

    expect(listener.last.incoming.metadata).toEqual([
      ['traceparent', '00-1'],
      ['a', ''],
    ]);
    expect(listener.last.incoming.deadline).toBe(pair.clock.now() + 500);
  });

  it('may be empty', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('');
    pair.run();

    listener.last.respond('');
    pair.run();

    expect(listener.last.data).toHaveLength(0);
    expect(send.outcome).toBe('accepted');
  });

  it('is settled once: what its handler does afterwards has no effect [IC-6.32]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const send = dialer.send('x');
    pair.run();
    const { last } = listener;

    expect([last.respond('first'), last.respond('second'), last.reject()]).toEqual([
      true,
      false,
      false,
    ]);
    pair.run();
    expect(last.accept()).toBe(false);
    pair.run();

    expect(send.outcome).toBe('accepted "first"');
    expect(pair.listener.log.linesButCredit()).toEqual(['OPENED s=1', 'ACCEPT s=1 id=1 REPLY 5 B']);
  });

  it('starts in the order of sending, and may be settled in any [IC-6.34]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const sends = ['1', '2', '3'].map((text) => dialer.send(text));
    pair.run();
    expect(listener.messages.map(({ text }) => text)).toEqual(['1', '2', '3']);

    for (const message of [...listener.messages].reverse()) message.respond(message.text);
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'accepted "1"',
      'accepted "2"',
      'accepted "3"',
    ]);
  });

  it('keeps the order of sending whatever the sizes', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const sizes = [1, 100_000, 2, 9000, 3, 200_000, 8192, 8193];

    for (const size of sizes) dialer.send(Buffer.alloc(size));
    pair.run();

    expect(listener.messages.map(({ data }) => data.length)).toEqual(sizes);
  });

  it('leaves with the others of its tick in one write', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    for (let count = 0; count < 100; count++) dialer.send(`${count}`);

    expect(pair.dialer.flush()).toHaveLength(1);
  });

  it('may be answered by a handler of the other side before it asks again', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    listener.onHandle = (message) => {
      const nested = listener.send(`about ${message.text}`);
      nested.onResult = () => void message.respond(nested.data);
    };
    dialer.onHandle = (message) => void message.respond(`${message.text}: fine`);

    const send = dialer.send('x');
    pair.run();

    expect(send.outcome).toBe('accepted "about x: fine"');
  });

  it('keeps small data apart from the chunk it came in', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();

    for (let count = 0; count < 100; count++) dialer.send('tiny');
    pair.run();

    // 4 octets must not pin a chunk of some kilobytes; the pool of Node's small buffers is 8 KiB.
    const memory = new Set(listener.messages.map(({ data }) => data.buffer));
    expect(memory.size).toBeLessThanOrEqual(2);
    expect(listener.messages.every(({ text }) => text === 'tiny')).toBe(true);
  });
});

describe('A one-way message', () => {
  it('is over for its sender when it is written', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const sends = [
      dialer.send('x', { oneWay: true }),
      dialer.send(Buffer.alloc(100_000), { oneWay: true }),
    ];
    expect(sends.map(({ outcome }) => outcome)).toEqual(['pending', 'pending']);

    pair.there.flush();
    expect(sends.map(({ outcome }) => outcome)).toEqual(['sent', 'sent']);
    pair.run();

    expect(listener.messages.map(({ incoming }) => incoming.oneWay)).toEqual([true, true]);
  });

  it.each(['accept', 'respond', 'reject'] as const)(
    'is never settled on the wire by %s [IC-6.33]',
    (verb) => {
      const pair = SimPair.open();
      const { dialer, listener } = pair.join();
      dialer.send('x', { oneWay: true });
      pair.run();
      pair.listener.log.lines();

      const effective = verb === 'respond' ? listener.last.respond('y') : listener.last[verb]();
      pair.run();

      expect(effective).toBe(true);
      expect(pair.listener.log.linesButCredit()).toEqual([]);
    },
  );

  it('waits for credit like any other', () => {
    const pair = SimPair.open({ limits: { messages: 2 } });
    const { dialer, listener } = pair.join();
    const sends = ['1', '2', '3', '4'].map((text) => dialer.send(text, { oneWay: true }));
    pair.run();
    expect(sends.map(({ outcome }) => outcome)).toEqual(['sent', 'sent', 'pending', 'pending']);

    for (const message of listener.messages) message.accept();
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual(['sent', 'sent', 'sent', 'sent']);
  });

  it('fails where it was never written', () => {
    const pair = SimPair.open({ limits: { messages: 1 } });
    const { dialer } = pair.join();
    const ready = dialer.send('1', { oneWay: true });
    const queued = dialer.send('2', { oneWay: true });

    pair.cut();

    expect([ready.outcome, queued.outcome]).toEqual([
      'failed connection-lost no',
      'failed connection-lost no',
    ]);
  });

  it('is told to its receiver where its time was over before it started', () => {
    const pair = SimPair.open();
    pair.listener.onSession = () => undefined;
    const session = pair.dialer.session('a');
    session.send('x', { oneWay: true, timeout: 100 });
    pair.run();

    pair.advance(100);
    pair.listener.last.accept();

    expect(pair.listener.last.timeouts).toHaveLength(1);
    expect(pair.listener.last.messages).toEqual([]);
  });
});

describe('A settlement that does not belong', () => {
  function sending(): SimPeer {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    peer.side.last.send('x');
    peer.flush();
    peer.lines();
    return peer;
  }

  const accept = { type: FrameType.ACCEPT, flags: 0x02, session: 1 };

  it('to a message that was never sent ends the connection (M66)', () => {
    const peer = sending();

    peer.send({ ...accept, id: 2 });

    peer.expectClose(Code.PROTOCOL);
  });

  it('to a message that is not written yet does as well', () => {
    const peer = sending();
    peer.side.last.send('y');

    peer.send({ ...accept, id: 2 });

    peer.expectClose(Code.PROTOCOL);
  });

  it('comes second and is ignored (M67)', () => {
    const peer = sending();
    const send = peer.side.last.send('y');
    peer.flush();
    peer.lines();

    peer.send({ ...accept, id: 1 }, { ...accept, id: 1, payload: Buffer.from('again') });

    expect(send.outcome).toBe('pending');
    peer.expectSilence();
  });

  it('comes for a one-way message and is ignored (M68)', () => {
    const peer = sending();
    peer.side.last.send('y', { oneWay: true });
    peer.flush();
    peer.lines();

    peer.send({ ...accept, id: 2 });

    peer.expectSilence();
  });

  it('begins while another is under way ends the connection [IC-6.40]', () => {
    const peer = sending();
    const part = { ...accept, id: 1, flags: 0x03, payload: Buffer.alloc(5000) };

    peer.send(part, part);

    peer.expectClose(Code.PROTOCOL);
  });

  it('accepts what was sent into a session that is not open ends the connection', () => {
    const peer = SimPeer.greeted('dialer');
    peer.side.session('a').send('x');
    peer.flush();

    peer.send({ ...accept, id: 1 });

    peer.expectClose(Code.PROTOCOL);
  });
});
