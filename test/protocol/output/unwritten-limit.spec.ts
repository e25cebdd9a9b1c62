/** The octets that wait to be written are limited by this side, and not by the credit that the peer gives. */
import { describe, expect, it } from '@jest/globals';
import type { SimSend, SimSession } from '../../support/sim/sim-application.js';
import { SimPair } from '../../support/sim/sim-pair.js';

const TOKEN = { token: Buffer.alloc(32, 7), ttl: 60_000 };
const MIB = 2 ** 20;
/** What one waiting unit counts beside its octets. */
const PRICE = 256;
const GENEROUS = {
  messages: 2 ** 30,
  items: 2 ** 30,
  sessionBytes: 2 ** 30,
  connectionBytes: 2 ** 30,
};

/** A pair that grants all credit there is. The dialer's socket takes nothing. */
function blocked(names = ['one']): { pair: SimPair; sessions: SimSession[] } {
  const pair = SimPair.open({ limits: GENEROUS });
  const sessions = names.map((name) => pair.join(name).dialer);
  pair.dialer.room = 0;
  return { pair, sessions };
}

/** Lets the dialer's socket take all, 256 KiB at a time. */
function drain(pair: SimPair): void {
  pair.dialer.drain();
  pair.run();
}

/** Lets the dialer's socket take one frame. */
function writeOne(pair: SimPair): void {
  pair.dialer.drain(1);
  pair.there.flush();
  pair.dialer.room = 0;
}

/** Lets the dialer's socket take 256 KiB, and returns how many octets it took. */
function flushed(pair: SimPair): number {
  const before = pair.there.size;
  pair.dialer.drain();
  pair.there.flush();
  return pair.there.size - before;
}

function many<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

describe('Requests that have credit and are not written', () => {
  it.each([0, 1000, 8 * 1024])(
    'wait in the queue beyond 1 MiB, and the queue has its limits: %d bytes each',
    (size) => {
      const pair = SimPair.open({ limits: GENEROUS, dialer: { queue: { messages: 100 } } });
      const { dialer, listener } = pair.join();
      pair.dialer.room = 0;
      const most = Math.ceil(MIB / (size + PRICE)) + 100;

      const sends: SimSend[] = [];
      for (let at = 0; at < most + 50; at++) sends.push(dialer.send(Buffer.alloc(size)));

      const refused = sends.filter(({ outcome }) => outcome === 'failed queue-full no');
      expect([sends.indexOf(refused[0]!), refused.length]).toEqual([most, 50]);
      drain(pair);
      expect(listener.messages).toHaveLength(most);
    },
  );

  it('go out in order when the socket takes octets again', () => {
    const { pair, sessions } = blocked();
    const count = 10_000;
    for (let at = 0; at < count; at++) sessions[0]!.send(`${at}`);

    drain(pair);

    const { messages } = pair.listener.last;
    expect(messages.map(({ text }) => text)).toEqual(
      Array.from({ length: count }, (_, at) => `${at}`),
    );
  });

  it('of one session do not hold back those of another', () => {
    const { pair, sessions } = blocked(['one', 'other']);
    for (let at = 0; at < 16_000; at++) sessions[0]!.send('x');
    for (let at = 0; at < 10; at++) sessions[1]!.send('y');

    // The first 1 MiB, the second, and a part of the third.
    for (let octets = 0; octets < 10_000 * 17;) octets += flushed(pair);
    pair.there.deliver();

    const [one, other] = pair.listener.incoming;
    expect(one!.messages.length).toBeLessThan(16_000);
    expect(other!.messages).toHaveLength(10);
  });

  it('make room for the others when they are given up', () => {
    const { pair, sessions } = blocked();
    const doomed = Array.from({ length: 5000 }, () => sessions[0]!.send('x', { timeout: 100 }));
    const kept = Array.from({ length: 5000 }, () => sessions[0]!.send('y'));

    pair.advance(200);
    drain(pair);

    expect(doomed.every(({ outcome }) => outcome === 'failed timeout no')).toBe(true);
    expect(pair.listener.last.messages).toHaveLength(kept.length);
  });

  it('do not hold back settlements', () => {
    const { pair, sessions } = blocked();
    pair.dialer.room = 256 * 1024;
    const question = pair.listener.session('back').send('question');
    pair.run();
    pair.dialer.room = 0;
    for (let at = 0; at < 10_000; at++) sessions[0]!.send('x');

    pair.dialer.last.last.accept();
    // No more than what is in the output leaves.
    for (let octets = 0; octets < 4096 * 16;) octets += flushed(pair);
    pair.there.deliver();

    expect(question.outcome).toBe('accepted');
  });

  it('count as well while the connection has no socket', () => {
    const pair = SimPair.open({
      limits: GENEROUS,
      dialer: { token: TOKEN, queue: { messages: 10 } },
      listener: { token: TOKEN },
    });
    const { dialer } = pair.join();
    pair.cut();

    const sends = many(5000, 'x').map((text) => dialer.send(text));

    const refused = sends.filter(({ outcome }) => outcome === 'failed queue-full no');
    expect(refused).toHaveLength(5000 - Math.ceil(MIB / (1 + PRICE)) - 10);
  });
});

describe('Items that have credit and are not written', () => {
  it.each([0, 10, 8 * 1024])('are not asked for beyond 1 MiB: %d bytes each', (size) => {
    const { pair, sessions } = blocked();
    const count = 10_000;

    const send = sessions[0]!.send('', { items: many(count, Buffer.alloc(size)) });
    writeOne(pair);

    // One more waits outside the output.
    expect(send.source?.given).toBe(Math.ceil(MIB / (size + PRICE)) + 1);
    drain(pair);
    expect(send.source?.given).toBe(count);
    pair.listener.last.last.readAll();
    expect(pair.listener.last.last.items).toHaveLength(count);
  });

  it('are one more for each further stream, and all streams go on in turn', () => {
    const { pair, sessions } = blocked();
    const sends = many(5, 0).map(() => sessions[0]!.send('', { items: many(20_000, '') }));
    for (const _ of sends) writeOne(pair);
    const given = (): number[] => sends.map(({ source }) => source?.given ?? 0);
    // The other four requests were in the output when the first stream filled it.
    expect(given()).toEqual([MIB / PRICE - 4 + 1, 1, 1, 1, 1]);

    pair.dialer.drain();
    // Enough for the first 1 MiB, and for the next.
    for (let octets = 0; octets < 8192 * 16;) octets += flushed(pair);

    expect(Math.min(...given())).toBeGreaterThan(1);
    drain(pair);
    expect(given()).toEqual(many(5, 20_000));
  });

  it('of a response wait too', () => {
    const { pair, sessions } = blocked();
    drain(pair);
    const send = sessions[0]!.send('', { takesItems: true });
    pair.run();
    pair.listener.room = 0;

    const source = pair.listener.last.last.stream(many(10_000, ''));
    pair.run();
    expect(source.given).toBe(MIB / PRICE + 1);

    pair.listener.drain();
    pair.run();
    expect([source.given, send.items.length, send.outcome]).toEqual([10_000, 10_000, 'accepted']);
  });
});
