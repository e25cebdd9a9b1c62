/** What chapter 14 of PROTOCOL.md says of this implementation's own choices, against what it does. */
import { describe, expect, it } from '@jest/globals';
import { resolveOptions } from '../../src/endpoint/common/options.js';
import { FloodBudget } from '../../src/protocol/flow/flood-budget.js';
import { DEFAULT_LIMITS } from '../../src/protocol/index.js';
import { limitsToMeta } from '../../src/protocol/flow/limits.js';
import { Capability, creditPayload, FrameType, type Meta } from '../../src/wire/index.js';
import { inSession, listening, tcpAddressOf } from '../support/peers/connected.js';
import { failure, next, turn, until } from '../support/events.js';
import { ManualClock } from '../support/sim/manual-clock.js';
import { table } from '../support/protocol-document.js';
import { RawPeer } from '../support/peers/raw-peer.js';
import { SimPeer } from '../support/sim/sim-peer.js';

const rows = new Map(table('| what | default |').map(([what = '', value = '']) => [what, value]));

/** The numbers in a row. */
function row(what: string): number[] {
  const value = rows.get(what);
  if (value === undefined) throw new Error(`Chapter 14 has no row "${what}".`);
  return (value.match(/\d+/g) ?? []).map(Number);
}

/** A stop before which the clock was still to go, and at which it was over. */
async function stopOf(clock: ManualClock, at: number, isOver: () => boolean): Promise<boolean[]> {
  clock.advance(at - 1);
  await turn();
  const before = isOver();
  clock.advance(1);
  await turn();
  return [before, isOver()];
}

describe('The times of chapter 14 are those of the endpoint:', () => {
  it('of the handshake, of sessions and of messages', () => {
    const { handshakeTimeout, sessionTimeout, messageTimeout } = resolveOptions({});

    expect(row('handshake timeout')).toEqual([handshakeTimeout]);
    expect(row('session timeout: DEADLINE of OPEN')).toEqual([sessionTimeout]);
    expect(row('message timeout: DEADLINE of SEND')).toEqual([messageTimeout]);
  });

  it('patience with a stream', async () => {
    const [patience = 0] = row('patience with a stream');
    const clock = new ManualClock();
    const { session, accepted } = await inSession({ idleTimeout: 0 }, { clock, idleTimeout: 0 });
    const arrived = next(accepted, 'message');
    accepted.on('message', () => undefined);
    let isOver = false;
    const reading = (async () => {
      for await (const item of session.stream(Buffer.from('x'))) expect(item).toBeUndefined();
    })();
    const failed = failure(reading).then(({ code }) => {
      isOver = true;
      return code;
    });
    await arrived;

    expect(await stopOf(clock, patience, () => isOver)).toEqual([false, true]);
    expect(await failed).toBe('IC_ERR_TIMEOUT');
  });

  it('a drain', async () => {
    const [time = 0] = row('drain time');
    const clock = new ManualClock();
    const { dialer, session, accepted } = await inSession({}, { clock, idleTimeout: 0 });
    const arrived = next(accepted, 'message');
    accepted.on('message', () => undefined);
    const hanging = failure(session.send(Buffer.from('x'), { timeout: 0 }));
    await arrived;
    const drained = dialer.drain();

    expect(await stopOf(clock, time, () => dialer.status !== 'draining')).toEqual([false, true]);
    expect((await hanging).executed).toBe('maybe');
    clock.advance(1000);
    await drained;
  });

  it('a connection without a socket', async () => {
    const [time, none] = row('resume time: TOKEN');
    const caps = Capability.RESUME;
    const ttlOf = async (resumeTimeout?: number): Promise<number | undefined> => {
      const listener = await listening(resumeTimeout === undefined ? {} : { resumeTimeout });
      const peer = await RawPeer.dial(tcpAddressOf(listener));
      peer.greet({ caps });
      return (await peer.frame(FrameType.WELCOME)).meta.token?.ttl;
    };

    expect([await ttlOf(), await ttlOf(none)]).toEqual([time, undefined]);
  });

  it('a socket after CLOSE', async () => {
    const [time = 0] = row('after CLOSE');
    const clock = new ManualClock();
    const inside = await inSession({ idleTimeout: 0 }, { clock, idleTimeout: 0 });
    const { socket } = inside.dialer;
    inside.acceptor.socket.pause();

    const closed = inside.dialer.close();
    await until(() => socket.writableFinished);
    expect(await stopOf(clock, time, () => socket.destroyed)).toEqual([false, true]);
    await closed;
  });
});

describe('The numbers of chapter 14 are those of the machines:', () => {
  const greeting: Meta = limitsToMeta({ ...DEFAULT_LIMITS, idle: 0 });

  function greeted(limits: { idle: number }, meta: Meta = greeting): SimPeer {
    const peer = new SimPeer('listener', { limits });
    peer.greet(meta);
    peer.lines();
    return peer;
  }

  it('output that nobody takes', () => {
    const [time = 0] = row('output that nobody takes');
    const peer = greeted({ idle: 0 });
    peer.side.room = 0;
    peer.side.session('a');
    peer.flush();

    peer.advance(time - 1);
    expect(peer.side.aborted).toBe(false);
    peer.advance(1);
    expect(peer.side.aborted).toBe(true);
  });

  it('an incomplete frame', () => {
    const [time = 0] = row('an incomplete frame, while none becomes complete');
    const peer = greeted({ idle: 0 });
    peer.bytes(Buffer.alloc(5));
    // The time counts from the first look, which comes within the same time.
    peer.advance(time);
    expect(peer.closeCode).toBeUndefined();
    peer.advance(time);
    expect(peer.closeCode).toBe('STALLED');
  });

  it('the pause between keepalive PINGs', () => {
    const [pause = 0] = row('between two keepalive PINGs, at least');
    const peer = greeted({ idle: 0 }, { ...greeting, idle: 1 });

    peer.advance(10 * pause);
    expect(peer.lines()).toHaveLength(9);
    // A third of a second is not a whole number of milliseconds.
    peer.advance(10);

    expect(peer.lines()).toHaveLength(1);
  });

  it('frames that are kept', () => {
    const [octets = 0] = row('frames that are kept until they are acknowledged');
    const limits = { ...DEFAULT_LIMITS, sessionBytes: 2 ** 26, messages: 9999 };
    const peer = greeted({ idle: 0 }, limitsToMeta(limits));
    const session = peer.side.session('a');
    const size = 8000;
    const written = (): number =>
      size * peer.side.log.frames.filter(({ type }) => type === FrameType.SEND).length;
    for (let count = 0; count < 2500; count++) session.send(Buffer.alloc(size));

    peer.flush();
    // Each frame counts for a little more than its octets.
    expect(written()).toBeGreaterThan(0.93 * octets);
    expect(written()).toBeLessThanOrEqual(octets);
    peer.send({ type: FrameType.CREDIT, id: 1000, payload: creditPayload(0, 0) });

    expect(written()).toBe(2500 * size);
  });

  it('a frame before the handshake is over', () => {
    const [octets = 0] = row('body of a frame before the handshake is over');
    const [fits, tooLarge] = [octets, octets + 1].map((length) => {
      const peer = new SimPeer('listener');
      const header = Buffer.alloc(16);
      header[0] = FrameType.HELLO;
      header.writeUInt32BE(length, 4);
      peer.bytes(Buffer.from('f1494e54430d0a01', 'hex'), header);
      return peer.closeCode;
    });

    expect([fits, tooLarge]).toEqual([undefined, 'FRAME_SIZE']);
  });

  it('the flood budget', () => {
    const [burst = 0, perSecond = 0] = row('flood budget');
    const peer = greeted({ idle: 0 });
    const useless = (count: number): void => {
      peer.burst(Array.from({ length: count }, () => ({ type: FrameType.PONG, id: 9 })));
    };

    useless(burst);
    peer.advance(1000);
    useless(perSecond);
    expect(peer.closeCode).toBeUndefined();
    useless(1);

    expect(peer.closeCode).toBe('CALM');
  });

  it('the flood budget for frames of ended sessions', () => {
    const [burst = 0, perSecond = 0] = row('flood budget for frames of ended sessions');
    const budget = new FloodBudget(0);
    const spend = (now: number): number => {
      let count = 0;
      while (count < 2 * burst && budget.spendLate(now)) count += 1;
      return count;
    };

    expect(spend(0)).toBe(burst);
    expect(spend(1000)).toBe(perSecond);
  });

  it('every row', () => {
    expect(rows.size).toBe(14);
  });
});
