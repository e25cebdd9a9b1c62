/** The places of a listener: who gets one, and who gives way. */
import { connect as connectTcp, type Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import {
  Code,
  type Connection,
  type DroppedSocket,
  type Listener,
  type ListenerOptions,
} from 'nestjs-interconnect/core';
import { groupOf } from '../../../src/endpoint/common/address-group.js';
import { Ranking } from '../../../src/endpoint/common/ranking.js';
import { FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { failure, next, turn, until } from '../../support/events.js';
import { addressOf, dial, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { proxyV1 } from '../../support/peers/proxy-headers.js';
import { RawPeer } from '../../support/peers/raw-peer.js';
import { Random } from '../../support/random.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { connect } from 'nestjs-interconnect/core';

interface Door {
  readonly listener: Listener;
  readonly clock: ManualClock;
  readonly dropped: DroppedSocket[];
}

async function door(options: ListenerOptions): Promise<Door> {
  const clock = new ManualClock();
  const listener = await listening({ clock, idleTimeout: 0, ...options });
  const dropped: DroppedSocket[] = [];
  listener.on('drop', (each) => dropped.push(each));
  listener.on('connection', (connection) => {
    connection.on('session', (session) => session.accept());
  });
  return { listener, clock, dropped };
}

/** A connection with a session. */
async function used(listener: Listener): Promise<Connection> {
  const connection = await dial(listener, { reconnect: false });
  await connection.createSession('x');
  return connection;
}

/** Connects from one of this machine's addresses, and is silent. */
async function silent({ listener }: Door, localAddress = '127.0.0.1'): Promise<Socket> {
  const { host, port } = tcpAddressOf(listener);
  const accepted = new Promise((resolve) => listener.server?.once('connection', resolve));
  const socket = connectTcp({ host, port, localAddress });
  socket.on('error', () => undefined);
  socket.resume();
  afterTest(() => socket.destroy());
  await accepted;
  return socket;
}

const reasonsOf = ({ dropped }: Door): string[] => dropped.map(({ reason }) => reason);
/** Counts the loopback like any other address. */
const counted = (address: string): string => address;

describe('An address', () => {
  it('has so many connections and no more; others are not affected', async () => {
    const place = await door({ perAddress: { connections: 2, groupOf: counted } });
    const [one] = [await used(place.listener), await used(place.listener)];

    const error = await failure(connect({ ...addressOf(place.listener) }));
    expect(error).toMatchObject({ code: 'IC_ERR_CONNECT', executed: 'no' });
    expect(reasonsOf(place)).toEqual(['address']);
    expect(place.dropped[0]?.message).toContain('perAddress.connections');
    expect(place.listener.turnedAway).toEqual({ dropped: 1, refused: 0 });

    const other = await silent(place, '127.0.0.2');
    await turn();
    expect([other.destroyed, reasonsOf(place)]).toEqual([false, ['address']]);
    await one.close();
    await until(() => place.listener.connections.size === 1);
    expect((await used(place.listener)).status).toBe('open');
  });

  it('at its limit lets its newcomer have the place of a connection without a session, which is told', async () => {
    const place = await door({ perAddress: { connections: 2, groupOf: counted } });
    const busy = await used(place.listener);
    const idle = await RawPeer.open(tcpAddressOf(place.listener));

    const newcomer = await used(place.listener);

    expect((await idle.frame(FrameType.CLOSE)).meta.code).toBe(Code.OVERLOADED);
    expect([busy.status, newcomer.status]).toEqual(['open', 'open']);
    expect(reasonsOf(place)).toEqual(['displaced']);
  });

  it('has so many unfinished handshakes; one that takes longer than a second gives way', async () => {
    const place = await door({ perAddress: { handshakes: 2, groupOf: counted } });
    const first = await silent(place);
    await silent(place);

    const third = await silent(place);
    await until(() => third.destroyed);
    expect(reasonsOf(place)).toEqual(['handshakes']);
    place.clock.advance(1000);
    const fourth = await silent(place);

    await until(() => first.destroyed);
    expect(reasonsOf(place)).toEqual(['handshakes', 'displaced']);
    expect(fourth.destroyed).toBe(false);
  });

  it('connects so often in a minute', async () => {
    const place = await door({ perAddress: { handshakesPerMinute: 3, groupOf: counted } });
    const knock = async (): Promise<void> => {
      const socket = await silent(place);
      socket.destroy();
      await until(() => socket.closed);
    };

    for (let count = 0; count < 4; count += 1) await knock();
    expect(reasonsOf(place)).toEqual(['rate']);
    place.clock.advance(20_000);
    for (let count = 0; count < 2; count += 1) await knock();

    expect(reasonsOf(place)).toEqual(['rate', 'rate']);
  });

  it('is the one that the balancer names', async () => {
    const place = await door({ proxyProtocol: true, perAddress: { handshakes: 1 } });
    const [one, same, other] = [await silent(place), await silent(place), await silent(place)];

    one.write(proxyV1('TCP4 192.0.2.1 192.0.2.9 4000 5000'));
    await turn();
    same.write(proxyV1('TCP4 192.0.2.1 192.0.2.9 4000 5000'));
    other.write(proxyV1('TCP4 192.0.2.2 192.0.2.9 4000 5000'));

    await until(() => same.destroyed);
    expect([one.destroyed, other.destroyed]).toEqual([false, false]);
    expect(place.dropped).toMatchObject([{ address: '192.0.2.1', reason: 'handshakes' }]);
  });

  it('on the loopback has all places, unless the application counts it', async () => {
    const place = await door({
      perAddress: { connections: 1, handshakes: 1, handshakesPerMinute: 1 },
    });

    for (let count = 0; count < 4; count += 1) await used(place.listener);

    expect(place.dropped).toEqual([]);
  });

  it('may be counted in no group', async () => {
    const place = await door({ perAddress: { connections: 1, groupOf: () => undefined } });

    for (let count = 0; count < 4; count += 1) await used(place.listener);

    expect(place.dropped).toEqual([]);
  });
});

describe('When all places are taken', () => {
  it('a newcomer gets one of the address that has most of no use, and those with a session stay', async () => {
    const place = await door({ maxConnections: 5, perAddress: { groupOf: counted } });
    const busy = await used(place.listener);
    const honest = await silent(place, '127.0.0.2');
    const many: Socket[] = [];
    for (let count = 0; count < 3; count += 1) many.push(await silent(place, '127.0.0.3'));

    const newcomer = await used(place.listener);
    await until(() => many[0]?.destroyed === true);
    await silent(place, '127.0.0.4');
    await until(() => many[1]?.destroyed === true);

    expect([busy.status, newcomer.status]).toEqual(['open', 'open']);
    expect([honest.destroyed, many[2]?.destroyed]).toEqual([false, false]);
  });

  it('and are of use, a newcomer is dropped', async () => {
    const place = await door({ maxConnections: 2 });
    const all = [await used(place.listener), await used(place.listener)];

    expect(await failure(connect({ ...addressOf(place.listener) }))).toMatchObject({
      code: 'IC_ERR_CONNECT',
    });

    expect(reasonsOf(place)).toEqual(['connections']);
    expect(all.map(({ status }) => status)).toEqual(['open', 'open']);
  });

  it('a socket that is gone has left its place', async () => {
    const place = await door({ maxConnections: 1 });
    for (let count = 0; count < 20; count += 1) {
      const connection = await used(place.listener);
      const gone = next(connection, 'close');
      await connection.close();
      await gone;
      await until(() => place.listener.connections.size === 0);
    }

    expect(place.dropped).toEqual([]);
  });
});

describe('The group of an address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['127.0.0.9', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1:2%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    ['1:2:3:4:5:6:192.0.2.7', '1:2:3:4::/64'],
    ['/run/hub.sock', undefined],
    [undefined, undefined],
  ])('%s is %s', (address, group) => {
    expect(groupOf(address)).toBe(group);
  });
});

describe('The ranking', () => {
  it('knows the largest of all groups, whatever happens to them', () => {
    const draw = new Random(11);
    const ranking = new Ranking<number>();
    const sizes = new Map<number, number>();
    for (let step = 0; step < 5000; step += 1) {
      const group = draw.integer(0, 11);
      const size = sizes.get(group) ?? 0;
      if (draw.chance(0.5)) {
        ranking.grow(group);
        sizes.set(group, size + 1);
      } else {
        ranking.shrink(group);
        sizes.set(group, Math.max(0, size - 1));
      }

      const most = Math.max(0, ...sizes.values());
      const { largest } = ranking;
      expect(largest === undefined ? 0 : sizes.get(largest)).toBe(most);
    }
  });
});
