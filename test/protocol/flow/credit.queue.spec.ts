import type { OutgoingMessage } from '../../../src/protocol/index.js';
import { describe, expect, it } from '@jest/globals';
import { SimPair } from '../../support/sim/sim-pair.js';

/** How many of the messages are with the other side. */
function sent(messages: readonly Pick<OutgoingMessage, 'state' | 'hasCredit'>[]): number {
  return messages.filter(({ state, hasCredit }) => hasCredit || state !== 'QUEUED').length;
}

describe('What waits for credit', () => {
  it('is limited in number: one more fails at once', () => {
    const pair = SimPair.open({ limits: { messages: 1 }, dialer: { queue: { messages: 2 } } });
    const { dialer } = pair.join();

    const sends = Array.from({ length: 4 }, () => dialer.send('x'));

    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'pending',
      'pending',
      'pending',
      'failed queue-full no',
    ]);
    expect(sends[3]?.failure.message).toContain('maxQueuedMessages is 2');
  });

  it('is limited in bytes, over all sessions', () => {
    const pair = SimPair.open({ limits: { messages: 1 }, dialer: { queue: { bytes: 1000 } } });
    const sessions = ['a', 'b'].map((name) => pair.dialer.session(name));
    for (const session of sessions) session.send('first');

    const sends = [500, 501, 500].map((size, at) => sessions[at % 2]!.send(Buffer.alloc(size)));

    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'pending',
      'failed queue-full no',
      'pending',
    ]);
  });

  it('may be of any size where nothing else waits', () => {
    const pair = SimPair.open({ limits: { messages: 1 }, dialer: { queue: { bytes: 10 } } });
    const { dialer, listener } = pair.join();
    dialer.send('first');

    const sends = [dialer.send(Buffer.alloc(100_000)), dialer.send('x')];
    pair.run();
    listener.last.accept();
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual(['pending', 'failed queue-full no']);
    expect(listener.last.data).toHaveLength(100_000);
  });

  it.each(['goes out', 'is cancelled', 'times out', 'ends with its session'])(
    'makes room when it %s',
    (how) => {
      const pair = SimPair.open({ limits: { messages: 1 }, dialer: { queue: { messages: 1 } } });
      const { dialer, listener } = pair.join();
      const other = pair.dialer.session('other');
      for (const session of [dialer, other]) session.send('first');
      const queued = dialer.send('x', { timeout: 100 });
      pair.run();
      expect(other.send('y').outcome).toBe('failed queue-full no');

      if (how === 'goes out') listener.last.accept();
      if (how === 'is cancelled') queued.cancel();
      if (how === 'times out') pair.advance(100);
      if (how === 'ends with its session')
        dialer.machine.fail({ kind: 'idle', executed: 'maybe', message: '' })();
      pair.run();

      expect(other.send('y').outcome).toBe('pending');
    },
  );

  it('gives its place to those behind it when it is given up', () => {
    const pair = SimPair.open({ limits: { sessionBytes: 131_072 } });
    const { dialer, listener } = pair.join();
    dialer.send(Buffer.alloc(8000));
    for (let count = 0; count < 13; count++) dialer.send(Buffer.alloc(8000));
    const [wide, small] = [dialer.send(Buffer.alloc(8000)), dialer.send('x')];
    pair.run();
    expect(sent([wide, small])).toBe(0);

    wide.cancel();
    pair.run();

    expect(small.state).toBe('SENT');
    expect(listener.last.text).toBe('x');
  });
});

describe('A side whose answers are not read', () => {
  it('starts no further handlers, until they are', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    pair.listener.onMessage = (message) => void message.respond(Buffer.alloc(4_000_000));
    for (let count = 0; count < 20; count++) dialer.send('x');
    pair.listener.room = 0;
    pair.run();
    expect(pair.listener.last.messages).toHaveLength(5);

    pair.listener.drain();
    pair.run();

    expect(pair.listener.last.messages).toHaveLength(20);
    expect(pair.listener.connection.mayDispatch).toBe(true);
  });
});
