import { describe, expect, it } from '@jest/globals';
import { Keepalive } from '../../../src/protocol/socket/keepalive.js';
import { Code, FrameType, HEADER_LENGTH, writeHeader } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const IDLE = 3000;

/** A pair in which each side gives the other up after `IDLE`. */
function impatient(): SimPair {
  return SimPair.open({ limits: { idle: IDLE } });
}

describe('The keepalive', () => {
  it('sends a PING where there is nothing else to say, often enough for the other side [IC-11.1]', () => {
    const pair = SimPair.open({
      dialer: { limits: { idle: 3000 } },
      listener: { limits: { idle: 9000 } },
    });

    pair.advance(9000);

    const pings = (side: 'dialer' | 'listener'): number =>
      pair[side].log.lines().filter((line) => line.startsWith('PING')).length;
    // Each speaks every third of what the other announced; a PONG is speech, too.
    expect([pings('dialer'), pings('listener')]).toEqual([expect.any(Number), 9]);
    expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
  });

  it('speaks at the very instant that it names, however that is rounded', () => {
    const keepalive = new Keepalive(0, 4199, 1_000_000);
    const verdicts = new Set<string>();

    for (let look = 0; look < 100; look++) {
      const now = keepalive.nextCheck;
      verdicts.add(keepalive.check(now));
      keepalive.onSpoke(now);
    }

    expect([...verdicts]).toEqual(['speak']);
  });

  it('keeps an idle connection for ever', () => {
    const pair = impatient();

    pair.advance(100 * IDLE);

    expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
  });

  it('sends no PING while there is other traffic', () => {
    const pair = impatient();
    const { dialer } = pair.join();
    pair.listener.onMessage = (message) => void message.accept();

    for (let time = 0; time < 5 * IDLE; time += IDLE / 10) {
      dialer.send('x');
      pair.advance(IDLE / 10);
    }

    const lines = [...pair.dialer.log.lines(), ...pair.listener.log.lines()];
    expect(lines.filter((line) => line.startsWith('PING'))).toEqual([]);
  });

  it('gives up a side that is silent, not before its time and not a quarter after it [IC-11.3]', () => {
    const pair = impatient();
    pair.back.blocked = true;

    pair.advance(IDLE - 1);
    expect(pair.dialer.status).toBe('open');
    pair.advance(IDLE / 4);

    expect(pair.dialer.failure).toMatchObject({ kind: 'idle', executed: 'maybe', code: Code.IDLE });
    expect(pair.dialer.log.lines().at(-1)).toContain('CLOSE code=IDLE');
    expect(pair.dialer.ended).toBe(true);
  });

  it('takes any octet for a sign of life [IC-11.2]', () => {
    const peer = SimPeer.greeted('listener', { limits: { idle: 1000 } }, { idle: 0 });
    const ping = Buffer.alloc(HEADER_LENGTH);
    writeHeader(ping, 0, { type: FrameType.PING, flags: 0, session: 0, id: 7 }, 0, 0);

    for (const octet of ping) {
      peer.advance(999);
      peer.bytes(Buffer.from([octet]));
    }

    expect(peer.side.status).toBe('open');
    expect(peer.lines()).toEqual(['PONG token=7']);
  });

  it.each([0.3, 0.95, 1.05, 2, 20])(
    'begins anew after a standstill of this thread, %d times IDLE',
    (times) => {
      const pair = impatient();
      pair.advance(100);
      // Both sides stood still: nothing was sent either.
      pair.silence();
      pair.clock.skip(times * IDLE);
      expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);

      pair.silence(false);
      pair.run();
      pair.advance(10 * IDLE);

      expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
    },
  );

  it('gives up after that where there is still nothing', () => {
    const pair = impatient();
    pair.silence();
    pair.clock.skip(2 * IDLE);

    pair.advance(IDLE - 1);
    expect(pair.dialer.status).toBe('open');
    pair.advance(1);

    expect(pair.dialer.status).toBe('closed idle maybe');
  });

  it('is off where both say 0', () => {
    const pair = SimPair.open({ limits: { idle: 0 } });
    pair.silence();

    pair.advance(1_000_000);

    expect(pair.dialer.status).toBe('open');
    expect(pair.clock.pending).toBe(0);
  });

  it('speaks to who wants to hear, though it does not listen itself [IC-11.1]', () => {
    const peer = SimPeer.greeted('listener', { limits: { idle: 0 } }, { idle: 1200 });

    peer.advance(4000);

    // Answered or not.
    expect(peer.lines()).toHaveLength(10);
  });

  it('is not hurried by who claims to be more impatient than anybody [IC-11.4]', () => {
    const peer = SimPeer.greeted('listener', { limits: { idle: 0 } }, { idle: 1 });

    for (let token = 1; token <= 5; token++) {
      peer.advance(334);
      peer.send({ type: FrameType.PONG, id: token });
    }

    expect(peer.lines()).toHaveLength(5);
  });

  it.each([1, 999])('takes an IDLE of its own of %d ms for a second [IC-11.1]', (idle) => {
    const peer = SimPeer.greeted('listener', { limits: { idle } }, { idle: 0 });

    peer.advance(999);
    expect(peer.side.status).toBe('open');
    peer.advance(1);

    expect(peer.side.failure).toMatchObject({ kind: 'idle', code: Code.IDLE });
    expect(peer.side.failure.message).toContain('1000 ms');
  });
});

describe('PING', () => {
  it('is answered with its token [IC-6.10]', () => {
    const peer = SimPeer.greeted('listener');

    peer.send({ type: FrameType.PING, id: 0 }, { type: FrameType.PING, id: 0x7fffffff });

    expect(peer.lines()).toEqual(['PONG token=0', 'PONG token=2147483647']);
  });

  it('of several in one chunk is answered once, for the newest [IC-6.10]', () => {
    const peer = SimPeer.greeted('listener');

    peer.burst([1, 2, 3].map((id) => ({ type: FrameType.PING, id })));

    expect(peer.lines()).toEqual(['PONG token=3']);
  });

  it('measures the round trip', () => {
    const pair = SimPair.open();
    const trips: number[] = [];
    pair.dialer.machine.ping((milliseconds) => trips.push(milliseconds), pair.clock.now());
    pair.flush();
    pair.silence();

    pair.advance(40);
    pair.silence(false);
    pair.run();

    expect(trips).toEqual([40]);
  });

  it('of several at once has all of them answered by the one PONG', () => {
    const pair = impatient();
    const trips: number[] = [];
    const ping = (): void => {
      pair.dialer.machine.ping((milliseconds) => trips.push(milliseconds), pair.clock.now());
    };

    for (let count = 0; count < 3; count++) ping();
    pair.run();
    expect(trips).toEqual([0, 0, 0]);
    ping();
    pair.advance(10 * IDLE);

    expect(trips).toEqual([0, 0, 0, 0]);
    expect([pair.dialer.status, pair.listener.status]).toEqual(['open', 'open']);
  });

  it('is answered while a large message is under way', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    dialer.send(Buffer.alloc(5_000_000));
    pair.dialer.room = 1;
    pair.there.flush();
    pair.there.deliver();
    pair.listener.machine.ping(undefined, pair.clock.now());
    pair.back.flush();
    pair.back.deliver();

    pair.there.flush();

    expect(pair.dialer.log.lines().at(-1)).toMatch(/^PONG|^FRAG/);
    expect(pair.dialer.log.frames.some(({ type }) => type === FrameType.PONG)).toBe(true);
  });

  it('does nothing before the connection stands, and after it is closed [IC-2.3]', () => {
    const pair = new SimPair();
    pair.dialer.machine.ping(undefined, pair.clock.now());
    pair.run();
    pair.dialer.close();
    pair.run();
    pair.dialer.machine.ping(undefined, pair.clock.now());
    pair.run();

    expect(pair.dialer.log.lines().some((line) => line.startsWith('PING'))).toBe(false);
  });

  it.each([1, 0, 99])('has a PONG with token %i that nobody asked for ignored (M83)', (id) => {
    const peer = SimPeer.greeted('listener');

    peer.send({ type: FrameType.PONG, id });

    peer.expectSilence();
  });
});

describe('A socket that stands still', () => {
  const STALL = 30_000;

  function blocked(): SimPair {
    const pair = SimPair.open({ limits: { idle: 0 } });
    const { dialer } = pair.join();
    dialer.send('x');
    pair.dialer.room = 0;
    pair.run();
    return pair;
  }

  it('is destroyed where the other side reads nothing, without a word that it would not read', () => {
    const pair = blocked();
    const { octets } = pair.dialer.log;

    pair.advance(STALL - 1);
    expect(pair.dialer.status).toBe('open');
    pair.advance(1);

    expect(pair.dialer.failure).toMatchObject({ kind: 'idle', code: Code.STALLED });
    expect(pair.dialer).toMatchObject({ aborted: true, ended: false });
    expect(pair.dialer.log.octets).toBe(octets);
  });

  it('is not where it takes something now and then', () => {
    const pair = blocked();

    for (let turn = 0; turn < 5; turn++) {
      pair.advance(STALL - 1);
      pair.dialer.drain(1);
      pair.run();
      pair.dialer.room = 0;
      pair.dialer.sessions[0]?.send('x');
      pair.run();
    }

    expect(pair.dialer.status).toBe('open');
  });

  it('has its whole time after a standstill of this thread', () => {
    const pair = blocked();

    pair.clock.skip(10 * STALL);
    expect(pair.dialer.status).toBe('open');
    pair.dialer.drain();
    pair.run();
    pair.advance(10 * STALL);

    expect(pair.dialer.status).toBe('open');
  });

  it('is closed where one frame does not get complete (M85)', () => {
    const peer = SimPeer.greeted('listener', {}, { idle: 3000 });
    const header = Buffer.alloc(HEADER_LENGTH);
    writeHeader(header, 0, { type: FrameType.OPEN, flags: 0, session: 1, id: 0 }, 0, 1000);
    peer.bytes(header);

    for (let time = 0; time < STALL + 2000; time += 1000) {
      peer.advance(1000);
      if (peer.side.closed === undefined) peer.bytes(Buffer.from([0]));
    }

    peer.expectClose(Code.STALLED);
    expect(peer.side.failure.kind).toBe('idle');
  });

  it('is not where frames do, though one is always under way', () => {
    const peer = SimPeer.greeted('listener', {}, { idle: 3000 });
    const ping = Buffer.alloc(HEADER_LENGTH);
    writeHeader(ping, 0, { type: FrameType.PING, flags: 0, session: 0, id: 1 }, 0, 0);
    peer.bytes(ping.subarray(0, 8));

    for (let time = 0; time < 3 * STALL; time += 1000) {
      peer.advance(1000);
      peer.bytes(Buffer.concat([ping.subarray(8), ping.subarray(0, 8)]));
    }

    expect(peer.side.status).toBe('open');
  });

  it('with half a frame has its whole time after a standstill of this thread', () => {
    const peer = SimPeer.greeted('listener', { limits: { idle: 0 } }, { idle: 3000 });
    const ping = Buffer.alloc(HEADER_LENGTH);
    writeHeader(ping, 0, { type: FrameType.PING, flags: 0, session: 0, id: 1 }, 0, 0);
    peer.bytes(ping.subarray(0, 8));
    peer.advance(2000);

    peer.clock.skip(10 * STALL);
    peer.bytes(ping.subarray(8));
    peer.advance(2000);

    expect(peer.side.status).toBe('open');
  });
});
