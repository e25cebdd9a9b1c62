/** How often and how many at once an application judges dialers. */
import { describe, expect, it } from '@jest/globals';
import {
  Code,
  connect,
  type DroppedSocket,
  type Handshake,
  type Listener,
  type ListenerOptions,
} from 'nestjs-interconnect/core';
import { FrameType } from '../../../src/wire/index.js';
import { failure, next, until } from '../../support/events.js';
import { addressOf, dial, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { RawPeer } from '../../support/peers/raw-peer.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

interface Judge {
  readonly listener: Listener;
  readonly clock: ManualClock;
  /** The handshakes that the application has been asked about. */
  readonly asked: Handshake[];
  readonly dropped: DroppedSocket[];
}

async function judge(
  decide: (handshake: Handshake) => unknown,
  options: ListenerOptions = {},
): Promise<Judge> {
  const clock = new ManualClock();
  const asked: Handshake[] = [];
  const listener = await listening({
    clock,
    idleTimeout: 0,
    authenticate: (handshake) => {
      asked.push(handshake);
      return decide(handshake);
    },
    ...options,
  });
  const dropped: DroppedSocket[] = [];
  listener.on('drop', (each) => dropped.push(each));
  return { listener, clock, asked, dropped };
}

const byName = (handshake: Handshake): void => {
  if (handshake.data.toString() === 'friend') handshake.accept();
  else handshake.reject();
};
const data = Buffer.from('friend');

/** Dials in vain, and returns the code of the refusal. */
async function guess({ listener }: Judge): Promise<number | undefined> {
  return (await failure(connect({ ...addressOf(listener), data: Buffer.from('guess') }))).status;
}

describe('Refused dialers', () => {
  it('of one address are thirty at once, and then one every two seconds: the others are not judged', async () => {
    const place = await judge(byName);
    const codes: (number | undefined)[] = [];

    for (let count = 0; count < 32; count += 1) codes.push(await guess(place));
    expect(codes.slice(0, 30)).toEqual(new Array(30).fill(Code.UNAUTHENTICATED));
    expect(codes.slice(30)).toEqual([Code.OVERLOADED, Code.OVERLOADED]);
    expect(place.asked).toHaveLength(30);
    place.clock.advance(2000);
    const later = [await guess(place), await guess(place)];

    expect(later).toEqual([Code.UNAUTHENTICATED, Code.OVERLOADED]);
    expect(place.listener.turnedAway).toEqual({ dropped: 0, refused: 3 });
    expect(place.dropped).toHaveLength(3);
    expect(place.dropped[0]).toMatchObject({ address: '127.0.0.1', reason: 'refusals' });
  });

  it('are counted where authenticate throws', async () => {
    const place = await judge(() => Promise.reject(new Error('who are you?')));
    place.listener.on('handlerError', () => undefined);

    for (let count = 0; count < 31; count += 1) await guess(place);

    expect(place.asked).toHaveLength(30);
  });

  it('are counted where the dialer does not wait for the answer', async () => {
    const place = await judge(() => undefined, { perAddress: { refusalsPerMinute: 1 } });
    const peer = await RawPeer.dial(tcpAddressOf(place.listener));
    peer.greet();
    await until(() => place.asked.length === 1);
    peer.socket.end();
    await peer.closed;

    place.asked[0]?.reject();

    expect(await guess(place)).toBe(Code.OVERLOADED);
  });

  it('keep nobody from resuming', async () => {
    const place = await judge(byName);
    const connection = await dial(place.listener, { data, reconnect: { minDelay: 1 } });
    for (let count = 0; count < 31; count += 1) await guess(place);
    expect(await guess(place)).toBe(Code.OVERLOADED);

    const resumed = next(connection, 'resume');
    connection.socket.destroy();
    await resumed;

    expect(connection.status).toBe('open');
  });

  it('that are refused for want of room do not count', async () => {
    const place = await judge((handshake) => handshake.reject(Code.OVERLOADED));

    for (let count = 0; count < 35; count += 1) await guess(place);

    expect(place.asked).toHaveLength(35);
  });
});

describe('Judgements', () => {
  it('are so many at once; the next waits until one has ended', async () => {
    const place = await judge(() => undefined, { maxAuthenticating: 2 });
    const peers = await Promise.all(
      [1, 2, 3, 4].map(async () => RawPeer.dial(tcpAddressOf(place.listener))),
    );
    for (const peer of peers) peer.greet();
    await until(() => place.asked.length === 2);

    place.asked[0]?.accept();
    await until(() => place.asked.length === 3);
    place.asked[1]?.reject(Code.OVERLOADED);
    await until(() => place.asked.length === 4);
    place.asked[2]?.accept();
    place.asked[3]?.accept();

    await until(() => place.listener.connections.size === 3);
    expect(place.asked).toHaveLength(4);
  });

  it('end with their function: an answer alone makes no room', async () => {
    const ends: (() => void)[] = [];
    const place = await judge(
      (handshake) => {
        handshake.accept();
        return new Promise<void>((resolve) => ends.push(resolve));
      },
      { maxAuthenticating: 1 },
    );
    await dial(place.listener);
    const second = dial(place.listener);
    await RawPeer.dial(tcpAddressOf(place.listener));
    expect(place.asked).toHaveLength(1);

    ends[0]?.();

    expect((await second).status).toBe('open');
  });

  it('make room after the time of a handshake, also if they never end', async () => {
    const place = await judge(() => new Promise(() => undefined), { maxAuthenticating: 1 });
    const first = await RawPeer.dial(tcpAddressOf(place.listener));
    first.greet();
    await until(() => place.asked.length === 1);
    place.clock.advance(9000);
    const second = await RawPeer.dial(tcpAddressOf(place.listener));
    second.greet();
    await until(() => second.received > 0);
    expect(place.asked).toHaveLength(1);

    place.clock.advance(1000);

    expect((await first.frame(FrameType.CLOSE)).meta.code).toBe(Code.HANDSHAKE_TIMEOUT);
    await until(() => place.asked.length === 2);
  });

  it('are not made of a dialer that has gone', async () => {
    const place = await judge(() => undefined, { maxAuthenticating: 1 });
    const peers = [];
    for (let count = 0; count < 3; count += 1) {
      const peer = await RawPeer.dial(tcpAddressOf(place.listener));
      peer.greet({ agent: `dialer ${count}` });
      // The listener answers the preface: it has read HELLO, too.
      await until(() => peer.received > 0);
      peers.push(peer);
    }
    peers[1]?.socket.end();
    await peers[1]?.closed;

    place.asked[0]?.accept();

    await until(() => place.asked.length === 2);
    expect(place.asked[1]?.peer.agent).toBe('dialer 2');
  });
});
