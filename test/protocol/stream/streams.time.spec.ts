/** How long an answer in items may take, and which side keeps that time. */
import { describe, expect, it } from '@jest/globals';
import type { ItemSender } from '../../../src/protocol/index.js';
import { creditPayload, FrameType } from '../../../src/wire/index.js';
import type { SendOptions, SimMessage, SimSend } from '../../support/sim/sim-application.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

interface Asking {
  readonly pair: SimPair;
  readonly send: SimSend;
  readonly message: SimMessage;
  /** Gives an item of the answer. */
  give(): void;
}

/** A message whose handler runs and has given nothing yet. */
function asking(options: SendOptions): Asking {
  const pair = SimPair.open();
  const { dialer, listener } = pair.join();
  const send = dialer.send('x', { takesItems: true, ...options });
  pair.run();
  const message = listener.last;
  const items = replyOf(message);
  return {
    pair,
    send,
    message,
    give() {
      items.send(Buffer.from('item'));
      pair.run();
    },
  };
}

function replyOf({ session, incoming }: SimMessage): ItemSender {
  return session.machine.receiver.streams.reply(incoming, { onReady: () => undefined });
}

const cancels = ({ pair }: Asking): number =>
  pair.dialer.log.frames.filter(({ type }) => type === FrameType.CANCEL).length;

const deadlineOf = ({ pair }: Asking): number | undefined =>
  pair.dialer.log.frames.find(({ type }) => type === FrameType.SEND)?.meta.deadline;

describe('The time of a message that takes items', () => {
  it('goes out as DEADLINE, and is over for both sides where no answer begins [IC-10.10]', () => {
    const run = asking({ patience: 100 });
    expect(deadlineOf(run)).toBe(100);
    run.pair.advance(99);
    expect([run.send.outcome, run.message.aborted]).toEqual(['pending', undefined]);

    run.pair.advance(1);

    // Both clocks run out at the same instant: either may be the first to say so.
    expect(run.send.outcome).toMatch(/^(failed timeout maybe|rejected DEADLINE)/u);
    expect(run.message.aborted).toBe('timeout');
    expect(run.message.session.timeouts).toEqual([run.message.incoming]);
    expect(cancels(run)).toBe(0);
  });

  it('is over for the receiver with the first item, and the answer may last [IC-10.10]', () => {
    const run = asking({ patience: 100 });
    run.pair.advance(60);
    expect(run.message.incoming.deadline).toBe(run.pair.clock.now() + 40);
    run.give();
    expect(run.message.incoming.deadline).toBe(Infinity);

    for (let round = 0; round < 50; round++) {
      run.pair.advance(90);
      run.give();
    }
    run.message.respond('done');
    run.pair.run();

    expect(run.send.outcome).toBe('accepted "done"');
    expect(run.send.items).toHaveLength(51);
    expect(run.message.session.timeouts).toEqual([]);
  });

  it('is from the first item on that without progress, and CANCEL ends it [IC-10.11]', () => {
    const run = asking({ patience: 100 });
    run.pair.advance(60);
    run.give();
    run.pair.advance(99);
    expect(run.send.outcome).toBe('pending');

    run.pair.advance(1);

    expect(run.send.outcome).toBe('failed timeout maybe');
    expect([run.message.aborted, cancels(run)]).toEqual(['cancelled', 1]);
  });

  it('does not run while its own application leaves items unread [IC-10.12]', () => {
    const run = asking({ patience: 100 });
    run.send.reads = false;
    run.give();
    run.pair.advance(10_000);
    expect(run.send.outcome).toBe('pending');

    run.send.read();
    run.pair.advance(100);

    expect(run.send.outcome).toBe('failed timeout maybe');
  });

  it('is, where it was given, final at the sender: CANCEL ends an answer that flows [IC-10.11]', () => {
    const run = asking({ timeout: 100 });
    for (let round = 0; round < 4; round++) {
      run.pair.advance(24);
      run.give();
    }
    expect(run.send.outcome).toBe('pending');

    run.pair.advance(4);

    expect(run.send.outcome).toBe('failed timeout maybe');
    expect([run.message.aborted, cancels(run)]).toEqual(['cancelled', 1]);
    expect(run.message.session.timeouts).toEqual([]);
  });

  it('is one for a request in items, and its answer [IC-10.10]', () => {
    const run = asking({ timeout: 100, items: ['a', 'b'], end: false });
    expect(deadlineOf(run)).toBe(100);
    run.give();
    run.pair.advance(99);
    expect([run.send.outcome, run.message.aborted]).toEqual(['pending', undefined]);

    run.pair.advance(1);

    expect(run.send.outcome).toBe('failed timeout maybe');
    expect([run.message.aborted, cancels(run)]).toEqual(['cancelled', 1]);
  });
});

describe('An answer that begins as the time runs out', () => {
  it.each([
    ['takes items', { patience: 100 }],
    ['takes items, for so long', { timeout: 100 }],
    ['takes none', { timeout: 100, takesItems: false }],
  ])('is cancelled when it is read, once, by who %s [IC-10.13]', (_who, options) => {
    const run = asking(options);
    run.pair.advance(90);
    run.pair.back.blocked = true;
    run.give();
    run.pair.advance(20);
    expect(run.send.outcome).toBe('failed timeout maybe');
    // Its receiver knows nothing of that: its clock has stopped.
    expect([run.message.aborted, cancels(run)]).toEqual([undefined, 0]);

    run.pair.back.blocked = false;
    run.pair.run();

    expect([run.message.aborted, cancels(run)]).toEqual(['cancelled', 1]);
    run.message.reject();
    run.pair.run();
    expect(cancels(run)).toBe(1);
    expect(run.message.session.machine.receiver.unsettled).toBe(0);
    expect(run.pair.dialer.connection.receiveWindow.held).toBe(0);
  });

  it('is not cancelled again where it was cancelled before [IC-10.13]', () => {
    const run = asking({ timeout: 100 });
    run.pair.back.blocked = true;
    run.give();
    run.send.cancel();
    run.pair.run();

    run.pair.back.blocked = false;
    run.pair.run();

    expect([run.message.aborted, cancels(run)]).toEqual(['cancelled', 1]);
  });
});

describe('The first item of an answer', () => {
  const MANY = 100_000;

  /** A message with a DEADLINE, to a side that may write so many octets in its session. */
  function asked(bytes: number): { peer: SimPeer; items: ItemSender } {
    const peer = SimPeer.greeted('listener');
    const sessionCredit = { messages: 8, bytes, items: 100 };
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a', sessionCredit } });
    peer.send({ type: FrameType.SEND, session: 1, id: 1, meta: { deadline: 50 } });
    peer.lines();
    return { peer, items: replyOf(peer.side.last.last) };
  }

  it.each([
    ['small', 8000],
    ['large', MANY],
  ])('that is %s and waits for credit does not stop the clock [IC-10.10]', (_what, size) => {
    const { peer, items } = asked(2 * 65_536);
    // Another's answer has used what there is.
    peer.send({ type: FrameType.SEND, session: 1, id: 2 });
    const other = replyOf(peer.side.last.last);
    while (other.isReady) other.send(Buffer.alloc(8000));
    peer.flush();
    peer.lines();
    items.send(Buffer.alloc(size));
    peer.flush();
    peer.expectSilence();

    peer.advance(50);

    expect(peer.lines()).toEqual([expect.stringContaining('REJECT s=1 id=1 REPLY code=DEADLINE')]);
    expect(peer.side.last.timeouts).toHaveLength(1);
  });

  it('that is large stops it with its first fragment [IC-10.10]', () => {
    const { peer, items } = asked(2 * 65_536);
    items.send(Buffer.alloc(1_000_000));
    peer.flush();
    expect(peer.lines()[0]).toContain('ITEM s=1 id=1 MORE REPLY');

    peer.advance(10_000);
    expect(peer.lines().filter((line) => !line.startsWith('CREDIT'))).toEqual([]);
    expect(peer.side.last.timeouts).toEqual([]);

    const payload = creditPayload(9, 2_000_000);
    peer.send({ type: FrameType.CREDIT, session: 1, payload });
    peer.send({ type: FrameType.CANCEL, session: 1, id: 1 });
    expect(peer.side.last.last.aborted).toBe('cancelled');
  });
});
