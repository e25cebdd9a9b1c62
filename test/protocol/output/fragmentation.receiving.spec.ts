import { describe, expect, it } from '@jest/globals';
import { Code, Flag, FrameType } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';
import type { SideOptions } from '../../support/sim/sim-side.js';

const SEND = { type: FrameType.SEND, session: 1, id: 1 };
const FRAG = { type: FrameType.FRAG, session: 1, id: 1 };
const { MORE, REPLY } = Flag;
const KIB = 1024;

/** A listener with a session that the peer opened. */
function receiving(limits: SideOptions['limits'] = {}): SimPeer {
  const peer = SimPeer.greeted('listener', { limits });
  peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
  peer.lines();
  return peer;
}

/** A listener that has sent a message in that session. */
function asking(limits: SideOptions['limits'] = {}): {
  peer: SimPeer;
  send: ReturnType<SimPeer['side']['last']['send']>;
} {
  const peer = receiving(limits);
  const send = peer.side.last.send('?');
  peer.flush();
  peer.lines();
  return { peer, send };
}

describe('A message in fragments', () => {
  it('starts its handler when the last one is there, and not before [IC-6.34]', () => {
    const peer = receiving();

    peer.send({ ...SEND, flags: MORE, meta: { total: 12_000 }, payload: Buffer.alloc(5000, 1) });
    peer.send({ ...FRAG, flags: MORE, payload: Buffer.alloc(5000, 2) });
    expect(peer.side.last.messages).toEqual([]);
    peer.send({ ...FRAG, payload: Buffer.alloc(2000, 3) });

    const { data } = peer.side.last.last;
    expect([data.length, data[0], data[5000], data[11_999]]).toEqual([12_000, 1, 2, 3]);
  });

  it('may come without its TOTAL', () => {
    const peer = receiving();

    peer.send(
      { ...SEND, flags: MORE, payload: Buffer.alloc(5000) },
      { ...FRAG, payload: Buffer.alloc(1) },
    );

    expect(peer.side.last.last.data).toHaveLength(5001);
  });

  it.each([
    ['more than its TOTAL at once', 4500, 5000, 0],
    ['more than its TOTAL in the end', 6000, 5000, 1001],
    ['less than its TOTAL', 6000, 5000, 999],
    ['a TOTAL of nothing', 0, 5000, 0],
  ])('with %s ends the connection (M60) [IC-9.4]', (_, total, first, rest) => {
    const peer = receiving();

    peer.send({ ...SEND, flags: MORE, meta: { total }, payload: Buffer.alloc(first) });
    if (rest > 0) peer.send({ ...FRAG, payload: Buffer.alloc(rest) });

    peer.expectClose(Code.PROTOCOL);
    expect(peer.side.last.messages).toEqual([]);
  });

  it('keeps any other from beginning in its session (M55) [IC-6.30]', () => {
    const peer = receiving();

    peer.send({ ...SEND, flags: MORE, payload: Buffer.alloc(5000) }, { ...SEND, id: 2 });

    peer.expectClose(Code.PROTOCOL);
  });

  it('lets others begin in other sessions', () => {
    const peer = receiving();
    peer.send({ type: FrameType.OPEN, session: 3, meta: { name: 'b' } });

    peer.send({ ...SEND, flags: MORE, payload: Buffer.alloc(5000) });
    peer.send({ ...SEND, session: 3, payload: Buffer.from('x') });

    expect(peer.side.last.last.text).toBe('x');
  });

  it('is nothing without its beginning (M56)', () => {
    const peer = receiving();

    peer.send({ ...FRAG, payload: Buffer.alloc(5000) });

    peer.expectClose(Code.PROTOCOL);
  });

  it('takes no fragment after its last [IC-6.37]', () => {
    const peer = receiving();
    peer.send(
      { ...SEND, flags: MORE, payload: Buffer.alloc(5000) },
      { ...FRAG, payload: Buffer.alloc(1) },
    );

    peer.send({ ...FRAG, payload: Buffer.alloc(1) });

    peer.expectClose(Code.PROTOCOL);
  });

  it('gives its octets of the connection back when it is settled, those of the session at once [IC-8.9] [IC-8.10]', () => {
    const peer = receiving({ sessionBytes: 200 * KIB });
    const { connection, last } = peer.side;

    peer.send({ ...SEND, flags: MORE, meta: { total: 60_001 }, payload: Buffer.alloc(60_000) });
    expect([connection.receiveWindow.held, last.machine.receiver.window.held]).toEqual([60_011, 0]);
    peer.send({ ...FRAG, payload: Buffer.alloc(1) });
    expect(connection.receiveWindow.held).toBe(60_012);

    last.last.accept();
    peer.flush();

    expect(connection.receiveWindow.held).toBe(0);
  });
});

describe('A message that is too large for its receiver', () => {
  it.each([
    ['by what it announces (M61)', { total: 20_001 }, 5000],
    ['by what has come of it (M62)', {}, 20_001],
  ])('%s is rejected at once, and the rest is passed over [IC-9.5]', (_, meta, first) => {
    const peer = receiving({ maxMessage: 20_000 });

    peer.send({ ...SEND, flags: MORE, meta, payload: Buffer.alloc(first) });
    expect(peer.lines()).toEqual([expect.stringContaining('REJECT s=1 id=1 REPLY code=TOO_LARGE')]);
    peer.send({ ...FRAG, flags: MORE, payload: Buffer.alloc(10_000) });
    peer.send({ ...FRAG, payload: Buffer.alloc(10_000) });

    peer.expectSilence();
    expect(peer.side.last.messages).toEqual([]);
    expect(peer.side.connection.receiveWindow.held).toBe(0);
  });

  it('is refused in its last fragment as well', () => {
    const peer = receiving({ maxMessage: 20_000 });

    peer.send({ ...SEND, flags: MORE, payload: Buffer.alloc(20_000) });
    peer.send({ ...FRAG, payload: Buffer.alloc(1) });

    expect(peer.lines()).toEqual([expect.stringContaining('code=TOO_LARGE')]);
    peer.send({ ...SEND, id: 2 });
    expect(peer.side.last.last.id).toBe(2);
  });

  it('of the very size is taken', () => {
    const peer = receiving({ maxMessage: 20_000 });

    peer.send({ ...SEND, payload: Buffer.alloc(20_000) });

    expect(peer.side.last.last.data).toHaveLength(20_000);
  });

  it('has its fragments passed over only until its last one', () => {
    const peer = receiving({ maxMessage: 20_000 });
    peer.send({ ...SEND, flags: MORE, meta: { total: 30_000 }, payload: Buffer.alloc(10_000) });
    peer.send({ ...FRAG, payload: Buffer.alloc(20_000) });

    peer.send({ ...FRAG, payload: Buffer.alloc(1) });

    peer.expectClose(Code.PROTOCOL);
  });

  it('has its fragments passed over only until the next message', () => {
    const peer = receiving({ maxMessage: 20_000 });
    peer.send({ ...SEND, flags: MORE, meta: { total: 30_000 }, payload: Buffer.alloc(10_000) });
    peer.send({ ...SEND, id: 2 });

    peer.send({ ...FRAG, payload: Buffer.alloc(1) });

    peer.expectClose(Code.PROTOCOL);
  });

  it('is refused by its own side before anything is sent [IC-6.35]', () => {
    const pair = SimPair.open({ listener: { limits: { maxMessage: 1000 } } });
    const { dialer } = pair.join();

    const sends = [1000, 1001].map((size) => dialer.send(Buffer.alloc(size)));

    expect(sends.map(({ outcome }) => outcome)).toEqual(['pending', 'failed too-large no']);
    expect(sends[1]?.failure.message).toContain('1001 bytes exceeds the 1000 bytes');
  });

  it('for its metadata is refused by its own side, too [IC-5.11]', () => {
    const pair = SimPair.open({ listener: { limits: { maxMeta: 2048 } } });
    const { dialer, listener } = pair.join();
    const metadata = (size: number) => [['k', 'v'.repeat(size)]] as const;

    // DEADLINE and TOTAL take 18 octets, the entry 5.
    const sends = [2025, 2026].map((size) => dialer.send('x', { metadata: metadata(size) }));
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual(['pending', 'failed too-large no']);
    expect(listener.messages).toHaveLength(1);
  });
});

describe('An answer that is too large', () => {
  it('for the sender is rejected instead, and the handler has run [IC-6.41]', () => {
    const pair = SimPair.open({ dialer: { limits: { maxMessage: 1000 } } });
    const { dialer, listener } = pair.join();
    const sends = ['fits', 'does not', 'metadata'].map((text) => dialer.send(text));
    pair.run();

    listener.messages[0]?.respond(Buffer.alloc(1000));
    listener.messages[1]?.respond(Buffer.alloc(1001));
    listener.messages[2]?.respond('', [['k', 'v'.repeat(8182)]]);
    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'accepted 1000 B',
      expect.stringContaining('rejected REPLY_TOO_LARGE'),
      expect.stringContaining('rejected REPLY_TOO_LARGE'),
    ]);
  });

  it.each([
    ['by what it announces', { total: 20_001 }, 5000],
    ['by what has come of it', {}, 20_001],
  ])('%s fails at its sender, who passes over the rest [IC-9.7]', (_, meta, first) => {
    const { peer, send } = asking({ maxMessage: 20_000 });
    const accept = { ...SEND, type: FrameType.ACCEPT, flags: REPLY | MORE };

    peer.send({ ...accept, meta, payload: Buffer.alloc(first) });
    expect(send.outcome).toBe('failed too-large yes');
    peer.send({ ...FRAG, flags: REPLY, payload: Buffer.alloc(20_001 - Math.min(first, 20_000)) });

    expect(peer.side.status).toBe('open');
    expect(peer.side.last.machine.sender.unsettled).toBe(0);
  });
});

describe('An answer in one frame', () => {
  const accept = { ...SEND, type: FrameType.ACCEPT, flags: REPLY };

  it('that is not as long as its TOTAL ends the connection', () => {
    const { peer } = asking();

    peer.send({ ...accept, meta: { total: 6 }, payload: Buffer.alloc(5) });

    peer.expectClose(Code.PROTOCOL);
  });

  it('that is too large fails at its sender', () => {
    const { peer, send } = asking({ maxMessage: 1000 });

    peer.send({ ...accept, payload: Buffer.alloc(1001) });

    expect(send.outcome).toBe('failed too-large yes');
    expect(peer.side.last.machine.sender.unsettled).toBe(0);
  });
});

describe('An answer in fragments', () => {
  const accept = { ...SEND, type: FrameType.ACCEPT, flags: REPLY | MORE };

  it.each([
    ['more than its TOTAL', 5000],
    ['less than its TOTAL', 4998],
  ])('with %s ends the connection (M60)', (_, size) => {
    const { peer, send } = asking();

    peer.send({ ...accept, meta: { total: 9999 }, payload: Buffer.alloc(5000) });
    peer.send({ ...FRAG, flags: REPLY, payload: Buffer.alloc(size) });

    peer.expectClose(Code.PROTOCOL);
    expect(send.outcome).toBe('failed protocol maybe');
  });

  it('is nothing without its beginning (M56)', () => {
    const { peer } = asking();

    peer.send({ ...FRAG, flags: REPLY, payload: Buffer.alloc(10) });

    peer.expectClose(Code.PROTOCOL);
  });

  it('may come without its TOTAL', () => {
    const { peer, send } = asking();

    peer.send({ ...accept, payload: Buffer.alloc(5000) });
    peer.send({ ...FRAG, flags: REPLY, payload: Buffer.alloc(10) });

    expect(send.outcome).toBe('accepted 5010 B');
  });

  it('is let go of by a sender that no longer wants it', () => {
    const { peer, send } = asking();
    peer.send({ ...accept, payload: Buffer.alloc(5000) });

    send.cancel();
    peer.send({ ...FRAG, flags: REPLY | MORE, payload: Buffer.alloc(5000) });
    expect(send.partialSettlement?.body).toBeUndefined();
    peer.send({ ...FRAG, flags: REPLY, payload: Buffer.alloc(10) });

    expect(send.outcome).toBe('failed cancelled maybe');
    expect(peer.side.last.machine.sender.unsettled).toBe(0);
  });
});

describe('Memory that is full of incomplete messages', () => {
  const limits = { maxFrame: 16 * KIB, connectionBytes: 128 * KIB, maxMessage: 100 * KIB };

  /** As no sender of ours would: many uploads at once, each with `size` octets so far. */
  function stuck(count: number, size: number): SimPeer {
    const peer = SimPeer.greeted('listener', { limits });
    for (let at = 0; at < count; at++) {
      const session = 2 * at + 1;
      peer.send({ type: FrameType.OPEN, session, meta: { name: `${at}` } });
      peer.send({ ...SEND, session, flags: MORE, payload: Buffer.alloc(size) });
    }
    return peer;
  }

  it('is relieved of the one of which least has come, and goes on [IC-8.14]', () => {
    const peer = stuck(7, 15 * KIB);
    expect(peer.lines().filter((line) => line.startsWith('REJECT'))).toEqual([]);

    peer.send({ ...FRAG, session: 3, flags: MORE, payload: Buffer.alloc(4 * KIB) });

    const rejected = peer.lines().filter((line) => line.startsWith('REJECT'));
    expect(rejected).toEqual([expect.stringContaining('s=1 id=1 REPLY code=BUSY')]);
    expect(peer.side.connection.receiveWindow.room).toBeGreaterThanOrEqual(32 * KIB);
  });

  /** As `stuck`, beside an answer of which an item is not whole: that is this side's own message. */
  function stuckBeside(items: number): SimPeer {
    const peer = SimPeer.greeted('listener', { limits });
    const ours = peer.side.session('ours');
    const sends = Array.from({ length: items }, () => ours.send('x', { takesItems: true }));
    peer.flush();
    peer.send({ type: FrameType.OPENED, session: 2 });
    const payload = Buffer.alloc(15 * KIB);
    for (const { id } of sends) {
      const meta = { total: 90 * KIB };
      const flags = REPLY | MORE;
      peer.send({ type: FrameType.ITEM, session: 2, id, flags, meta, payload });
    }
    for (let at = 0; at < 7 - items; at++) {
      const session = 2 * at + 1;
      peer.send({ type: FrameType.OPEN, session, meta: { name: `${at}` } });
      peer.send({ ...SEND, session, flags: MORE, payload });
    }
    return peer;
  }

  it.each([1, 6])(
    'is relieved of a message where %i unfinished items of answers fill it too [IC-8.14]',
    (items) => {
      const peer = stuckBeside(items);
      const flags = REPLY | MORE;
      const payload = Buffer.alloc(4 * KIB);
      expect(peer.lines().filter((line) => line.startsWith('REJECT'))).toEqual([]);

      peer.send({ ...FRAG, session: 2, flags, payload });

      const rejected = peer.lines().filter((line) => line.startsWith('REJECT'));
      expect(rejected).toEqual([expect.stringContaining('s=1 id=1 REPLY code=BUSY')]);
    },
  );

  it('is left to its own messages where only items of answers fill it [IC-8.14]', () => {
    const peer = stuckBeside(7);

    peer.send({ ...FRAG, session: 2, flags: REPLY | MORE, payload: Buffer.alloc(4 * KIB) });

    const lines = peer.lines().map((line) => line.split(' ')[0]);
    expect(lines).not.toContain('REJECT');
    expect(lines).not.toContain('CANCEL');
    expect(peer.side.status).toBe('open');
  });

  it('is not relieved while something else will be settled', () => {
    const peer = stuck(6, 15 * KIB);
    peer.send({ type: FrameType.OPEN, session: 99, meta: { name: 'whole' } });
    peer.send({ ...SEND, session: 99, payload: Buffer.alloc(16 * KIB) });
    peer.lines();

    peer.send({ ...FRAG, session: 3, flags: MORE, payload: Buffer.alloc(4 * KIB) });
    peer.side.last.last.accept();
    peer.flush();

    expect(peer.side.connection.receiveWindow.room).toBeGreaterThanOrEqual(32 * KIB);
    expect(peer.lines().filter((line) => line.startsWith('REJECT'))).toEqual([]);
  });

  it('is relieved when what was settled last has not helped', () => {
    const peer = stuck(7, 15 * KIB);
    peer.send({ type: FrameType.OPEN, session: 99, meta: { name: 'small' } });
    peer.send({ ...SEND, session: 99, payload: Buffer.alloc(100) });
    peer.send({ ...FRAG, session: 3, flags: MORE, payload: Buffer.alloc(4 * KIB) });
    expect(peer.lines().filter((line) => line.startsWith('REJECT'))).toEqual([]);

    peer.side.last.last.accept();
    peer.flush();

    expect(peer.lines().filter((line) => line.startsWith('REJECT'))).toHaveLength(1);
  });
});
