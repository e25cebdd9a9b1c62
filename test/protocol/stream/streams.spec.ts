import { describe, expect, it } from '@jest/globals';
import { Code } from '../../../src/wire/index.js';
import type { SimMessage, SimSend, SimSession } from '../../support/sim/sim-application.js';
import { type PairOptions, SimPair } from '../../support/sim/sim-pair.js';

interface Joined {
  readonly pair: SimPair;
  readonly dialer: SimSession;
  readonly listener: SimSession;
}

function joined(options: PairOptions = {}): Joined {
  const pair = SimPair.open(options);
  return { pair, ...pair.join() };
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => `${at}`);

/** Nothing is held any more, in either direction. */
function expectNothingHeld({ pair, dialer, listener }: Joined): void {
  const windows = [pair.dialer, pair.listener].map((side) => side.connection.receiveWindow);
  for (const { machine } of [dialer, listener]) windows.push(machine.receiver.window);
  expect(windows.map(({ held }) => held)).toEqual([0, 0, 0, 0]);
}

describe('A request stream', () => {
  it('is SEND with STREAM, its items in order, and END [IC-6.55] [IC-6.56]', () => {
    const { pair, dialer, listener } = joined();
    pair.dialer.log.lines();

    const send = dialer.send('head', { items: ['a', '', 'ccc'] });
    pair.run();
    expect(pair.dialer.log.linesButCredit()).toEqual([
      'SEND s=1 id=1 STREAM 4 B',
      'ITEM s=1 id=1 1 B',
      'ITEM s=1 id=1',
      'ITEM s=1 id=1 3 B',
      'ITEM s=1 id=1 END',
    ]);
    listener.last.readAll();

    expect(listener.last.text).toBe('head');
    expect(listener.last.texts).toEqual(['a', '', 'ccc']);
    expect(listener.last.ended).toBe(true);
    listener.last.respond('thanks');
    pair.run();
    expect(send.outcome).toBe('accepted "thanks"');
    expectNothingHeld({ pair, dialer, listener });
  });

  it('may have no items at all', () => {
    const { pair, dialer, listener } = joined();

    dialer.send('', { items: [] });
    pair.run();
    listener.last.readAll();

    expect([listener.last.ended, listener.last.items]).toEqual([true, []]);
  });

  it('does not ask its source before it has its id', () => {
    const { pair, dialer, listener } = joined({ limits: { messages: 1 } });
    dialer.send('first');
    const send = dialer.send('', { items: ['x'] });
    pair.run();
    expect(send.source?.given).toBe(0);

    listener.last.accept();
    pair.run();

    expect(send.source?.given).toBe(1);
  });

  it('whose SEND is large follows it whole [IC-6.52]', () => {
    const { pair, dialer, listener } = joined();

    const send = dialer.send(Buffer.alloc(200_000), { items: ['x'] });
    expect(send.source?.given).toBe(0);
    pair.run();
    listener.last.readAll();

    expect(listener.last.data).toHaveLength(200_000);
    expect(listener.last.texts).toEqual(['x']);
  });

  it('waits for its session to be accepted, and runs ahead by its credit and one', () => {
    const pair = SimPair.open({ limits: { items: 4 } });
    pair.listener.onSession = () => undefined;
    const session = pair.dialer.session('a');
    const send = session.send('', { items: numbers(10) });
    pair.run();
    expect(send.source?.given).toBe(5);

    pair.listener.last.accept();
    pair.listener.last.last.readAll();
    pair.run();

    expect(pair.listener.last.last.texts).toEqual(numbers(10));
  });
});

describe('An answer in a stream', () => {
  it('is its items in order, and then the settlement [IC-6.56]', () => {
    const { pair, dialer, listener } = joined();
    const send = dialer.send('x', { takesItems: true });
    pair.run();
    pair.listener.log.lines();

    listener.last.stream(['a', '', 'ccc'], () => listener.last.respond('end'));
    pair.run();

    expect(pair.listener.log.linesButCredit()).toEqual([
      'ITEM s=1 id=1 REPLY 1 B',
      'ITEM s=1 id=1 REPLY',
      'ITEM s=1 id=1 REPLY 3 B',
      'ACCEPT s=1 id=1 REPLY STREAM 3 B',
    ]);
    expect(send.texts).toEqual(['a', '', 'ccc']);
    expect(send.outcome).toBe('accepted "end"');
    expectNothingHeld({ pair, dialer, listener });
  });

  it('without items is told apart from an empty answer by STREAM on its ACCEPT [IC-6.44] [IC-6.46]', () => {
    const { pair, dialer, listener } = joined();
    const stream = dialer.send('x', { takesItems: true });
    const empty = dialer.send('x', { takesItems: true });
    // CREDIT for items that nobody has given is no stream yet.
    pair.run();
    pair.listener.log.lines();

    const [first, second] = listener.messages;
    first!.stream([]);
    second!.accept();
    pair.run();

    expect(pair.listener.log.linesButCredit()).toEqual([
      'ACCEPT s=1 id=1 REPLY STREAM',
      'ACCEPT s=1 id=2 REPLY',
    ]);
    expect([stream, empty].map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted']);
    expect([stream, empty].map(({ isStreamed }) => isStreamed)).toEqual([true, false]);
  });

  it('without items shows itself to a sender that takes no items as well [IC-6.46]', () => {
    const { pair, dialer, listener } = joined();
    const send = dialer.send('x');
    pair.run();

    listener.last.stream([], () => listener.last.respond(Buffer.alloc(20_000)));
    pair.run();

    expect(send.result).toMatchObject({ kind: 'accepted', data: Buffer.alloc(20_000) });
    expect(send.isStreamed).toBe(true);
  });

  it('that fails has no STREAM on its REJECT [IC-6.44]', () => {
    const { pair, dialer, listener } = joined();
    const send = dialer.send('x', { takesItems: true });
    pair.run();
    pair.listener.log.lines();

    listener.last.stream([], () => listener.last.reject(Code.FAILED, 'no'));
    pair.run();

    expect(pair.listener.log.linesButCredit()).toEqual([
      'REJECT s=1 id=1 REPLY code=FAILED text="no"',
    ]);
    expect(send.isStreamed).toBe(false);
  });

  it('may be taken after its outcome', () => {
    const { pair, dialer, listener } = joined();
    const send = dialer.send('x', { takesItems: true });
    send.reads = false;
    pair.run();
    listener.last.stream(numbers(5));
    pair.run();
    expect(send.outcome).toBe('accepted');
    expect(pair.dialer.connection.receiveWindow.held).toBe(5);

    send.read();

    expect(send.texts).toEqual(numbers(5));
    expectNothingHeld({ pair, dialer, listener });
  });

  it('is cancelled by a caller that takes none', () => {
    const { pair, dialer, listener } = joined();
    const send = dialer.send('x');
    pair.run();

    const source = listener.last.stream(numbers(100));
    pair.run();

    expect(send.outcome).toBe('failed unexpected-stream yes');
    expect(listener.last.aborted).toBe('cancelled');
    expect(source.given).toBeLessThanOrEqual(33);
    expect(listener.last.incoming.responseItems?.isReady).toBe(false);
    listener.last.reject(Code.CANCELLED_RUNNING);
    pair.run();
    expect([dialer.machine.sender.unsettled, listener.machine.receiver.unsettled]).toEqual([0, 0]);
    expectNothingHeld({ pair, dialer, listener });
  });

  it('runs while the request streams', () => {
    const { pair, dialer, listener } = joined({ limits: { items: 3 } });
    listener.onHandle = (message) => {
      message.reads = true;
      const sender = listener.machine.receiver.streams.reply(message.incoming, {
        onReady: () => undefined,
      });
      // Echoes each item as it comes; what cannot go yet is dropped.
      message.onItem = () => {
        message.read(1);
        sender.send(message.items.at(-1) ?? Buffer.from('?'));
      };
    };
    const send = dialer.send('', { items: ['a'], end: false, takesItems: true });
    pair.run();
    expect(send.texts).toEqual(['a']);

    send.give('b');
    pair.run();

    expect(send.texts).toEqual(['a', 'b']);
  });
});

describe('Item credit', () => {
  function both(count: number, options: PairOptions): [Joined, SimSend, SimMessage] {
    const pair = joined(options);
    const send = pair.dialer.send('', { items: numbers(count), takesItems: true });
    send.reads = false;
    pair.pair.run();
    return [pair, send, pair.listener.last];
  }

  it('holds a fast source back until its reader takes, in either direction [IC-8.1] [IC-8.17]', () => {
    const [{ pair }, send, message] = both(100, { limits: { items: 8 } });
    const source = message.stream(numbers(100), () => undefined);
    pair.run();
    // One waits for credit.
    expect([send.source?.given, source.given]).toEqual([9, 9]);

    message.read(3);
    send.read(3);
    pair.run();
    expect([send.source?.given, source.given]).toEqual([9, 9]);
    message.read(1);
    send.read(1);
    pair.run();

    expect([send.source?.given, source.given]).toEqual([13, 13]);
    for (let round = 0; round < 50; round++) {
      message.read(2);
      send.read(2);
      pair.run();
    }
    expect(message.texts).toEqual(numbers(100));
    expect(send.texts).toEqual(numbers(100));
    message.accept();
    pair.run();
    expect(send.outcome).toBe('accepted');
  });

  it('goes out when half of it is taken, and no more after the last item [IC-8.17] [IC-8.18]', () => {
    const [{ pair }, , message] = both(11, { limits: { items: 8 } });
    const credits = (): string[] =>
      pair.listener.log.lines().filter((line) => line.startsWith('CREDIT') && / id=/u.test(line));
    credits();

    message.read(3);
    pair.run();
    expect(credits()).toEqual([]);
    message.read(1);
    pair.run();
    expect(credits()).toEqual(['CREDIT s=1 id=1 REPLY items=12']);
    message.read(8);
    pair.run();

    expect(message.ended).toBe(true);
    expect(credits()).toEqual([]);
  });

  it.each([1, 2, 3])('of %i is enough for any stream', (items) => {
    const [{ pair }, send, message] = both(50, { limits: { items } });
    message.readAll();
    message.stream(numbers(50));
    send.reads = true;
    send.read();
    pair.run();

    expect(message.texts).toEqual(numbers(50));
    expect(send.texts).toEqual(numbers(50));
  });

  it('may be raised by the other side before there is an answer', () => {
    const { pair, dialer, listener } = joined({ limits: { items: 2 } });
    const send = dialer.send('x', { takesItems: true });
    send.reads = false;
    pair.run();
    listener.machine.receiver.streams.onCredit(1, 10);

    const source = listener.last.stream(numbers(50));

    expect(source.given).toBe(11);
  });

  it('of a slow reader leaves everything else of the session as it is', () => {
    const { pair, dialer, listener } = joined();
    const stalled = dialer.send('', { items: numbers(100) });
    pair.run();
    listener.onHandle = (message) => void message.respond(message.data);

    const sends = numbers(300).map((text) => dialer.send(text));
    pair.run();

    expect(stalled.source?.given).toBe(33);
    expect(new Set(sends.map(({ result }) => result?.kind))).toEqual(new Set(['accepted']));
  });
});

describe('Large items', () => {
  const mib = (count: number, fill: number): Buffer => Buffer.alloc(count * 1024 * 1024, fill);

  it('travel in fragments, also where one is larger than the session window', () => {
    const pair = joined({ limits: { sessionBytes: 262_144 } });
    const { dialer, listener } = pair;
    listener.onHandle = (message) => {
      message.readAll();
      message.stream([mib(2, 3), mib(1, 4)], () => undefined);
    };

    const send = dialer.send('', { items: [mib(2, 1), 'small', mib(1, 2)], takesItems: true });
    pair.pair.run();

    expect(listener.last.ended).toBe(true);
    expect(listener.last.items.map(({ length }) => length)).toEqual([2 ** 21, 5, 2 ** 20]);
    expect(listener.last.items[2]?.equals(mib(1, 2))).toBe(true);
    expect(send.items.map((item) => [item.length, item[0], item.at(-1)])).toEqual([
      [2 ** 21, 3, 3],
      [2 ** 20, 4, 4],
    ]);
    listener.last.accept();
    pair.pair.run();
    expectNothingHeld(pair);
  });

  it('that lie unread hold no more than the session window and the one that is next [IC-8.19]', () => {
    const { pair, dialer, listener } = joined();

    dialer.send('', { items: Array.from({ length: 20 }, () => mib(3, 1)) });
    pair.run();

    const { held } = pair.listener.connection.receiveWindow;
    expect(held).toBeGreaterThan(3 * 2 ** 20);
    expect(held).toBeLessThanOrEqual((3 + 4) * 2 ** 20);
    for (let taken = 1; taken <= 20; taken++) {
      listener.last.read(1);
      pair.run();
      expect(listener.last.items).toHaveLength(taken);
    }
    expect(pair.listener.connection.receiveWindow.held).toBe(0);
  });

  it('go on where they wait behind one that is taken', () => {
    const { pair, dialer, listener } = joined({ limits: { sessionBytes: 262_144 } });
    dialer.send('', { items: ['first', mib(2, 1), mib(2, 2)] });
    pair.run();
    expect(pair.listener.connection.receiveWindow.held).toBeLessThan(262_144);

    listener.last.read(1);
    pair.run();
    listener.last.read(1);
    pair.run();
    listener.last.read(1);
    pair.run();

    expect(listener.last.items.map(({ length }) => length)).toEqual([5, 2 ** 21, 2 ** 21]);
    expect(listener.last.ended).toBe(true);
  });

  it('come before the settlement, which is small [IC-6.43]', () => {
    const { pair, dialer, listener } = joined();
    const send = dialer.send('x', { takesItems: true });
    pair.run();

    listener.last.stream([mib(1, 1)]);
    pair.run();

    expect(send.items).toHaveLength(1);
    expect(send.outcome).toBe('accepted');
  });

  it('that are half written are finished before a rejection', () => {
    const { pair, dialer, listener } = joined();
    const send = dialer.send('x', { takesItems: true });
    pair.run();
    const source = listener.last.stream([mib(1, 1), 'never']);
    pair.listener.room = 100_000;
    pair.back.flush();
    pair.listener.room = 256 * 1024;

    listener.last.reject(Code.FAILED, 'why');
    pair.run();

    expect(source.given).toBe(1);
    expect(send.items.map(({ length }) => length)).toEqual([2 ** 20]);
    expect(send.outcome).toBe('rejected FAILED "why"');
  });

  it('of which nothing is written are dropped by a rejection', () => {
    const { pair, dialer, listener } = joined();
    const send = dialer.send('x', { takesItems: true });
    pair.run();
    listener.last.stream([mib(1, 1), 'never']);

    listener.last.reject(Code.FAILED, 'why');
    pair.run();

    expect(send.items).toEqual([]);
    expect(send.outcome).toBe('rejected FAILED "why"');
    expect(pair.listener.connection.output.isEmpty).toBe(true);
  });

  it('begin only while the receiver can hold all that have begun', () => {
    const limits = { maxMessage: 400_000, connectionBytes: 600_000, sessionBytes: 262_144 };
    const { pair, dialer, listener } = joined({ limits });
    listener.onHandle = (message) => message.readAll();

    const sends = numbers(5).map(() =>
      dialer.send('', { items: Array.from({ length: 3 }, () => Buffer.alloc(400_000)) }),
    );
    pair.run();

    expect(sends.map(({ source }) => source?.given)).toEqual([3, 3, 3, 3, 3]);
    expect(listener.messages.map(({ ended }) => ended)).toEqual([true, true, true, true, true]);
  });

  it('beyond what the other side takes fail at their sender', () => {
    const { pair, dialer, listener } = joined({ limits: { maxMessage: 100_000 } });
    const send = dialer.send('', { items: ['x', Buffer.alloc(100_001)] });
    pair.run();

    expect(send.outcome).toBe('failed too-large maybe');
    expect(listener.last.aborted).toBe('cancelled');
    listener.last.reject();
    pair.run();
    expect(listener.machine.receiver.unsettled).toBe(0);
    expectNothingHeld({ pair, dialer, listener });
  });
});
