import { describe, expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import {
  Code,
  connect,
  type Connection,
  type ConnectOptions,
  type InterconnectError,
  Listener,
} from 'nestjs-interconnect/core';
import { certificates } from '../../support/peers/certificates.js';
import {
  addressOf,
  connected,
  dial,
  inSession,
  listening,
  tcpAddressOf,
} from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { RawListener, RawPeer } from '../../support/peers/raw-peer.js';

/** What keeps this process running, by kind. */
function resources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => /TCP|TLS|Pipe|Timeout|GetAddrInfo|Connect|Shutdown|Write/.test(kind))
    .sort();
}

/** Resolves when the process holds nothing that it did not hold before; handles close a turn late. */
async function expectNothingLeft(before: readonly string[]): Promise<void> {
  const added = (): string[] => {
    const known = [...before];
    return resources().filter((kind) => {
      const at = known.indexOf(kind);
      if (at >= 0) known.splice(at, 1);
      return at < 0;
    });
  };
  await until(() => added().length === 0).catch(() => undefined);
  expect(added()).toEqual([]);
}

function listenerCounts(): Record<string, number> {
  return Object.fromEntries(
    process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
  );
}

describe('closing leaves no timer, no listener and no handle', () => {
  it('of connections, their sessions and their listener', async () => {
    const clock = new ManualClock();
    const counts = listenerCounts();
    const before = resources();
    const { listener, session, accepted, dialer } = await inSession({ clock }, { clock });
    accepted.on('message', () => undefined);
    const pending = [failure(session.send(Buffer.from('x'))), failure(dialer.createSession('y'))];
    await dial(listener, { clock });

    await listener.close();
    await Promise.all(pending);
    await until(() => dialer.status === 'closed');
    await Promise.all([...listener.connections].map((each) => each.close()));

    await expectNothingLeft(before);
    expect(clock.pending).toBe(0);
    expect(listenerCounts()).toEqual(counts);
    expect(listener.connections.size).toBe(0);
  });

  it('of TLS connections', async () => {
    const clock = new ManualClock();
    const { ca, server } = await certificates();
    await turn();
    const before = resources();
    const { listener, dialer } = await connected({ clock, tls: server }, { clock, tls: { ca } });

    await dialer.close();
    await listener.close();

    await expectNothingLeft(before);
    expect(clock.pending).toBe(0);
  });

  it('of a dialer that was refused', async () => {
    const clock = new ManualClock();
    const { signal } = new AbortController();
    const listener = await listening({ clock, authenticate: (handshake) => handshake.reject() });
    const before = resources();

    await failure(connect({ ...addressOf(listener), clock, signal }));

    await expectNothingLeft(before);
    expect(clock.pending).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('of a dialer that found nobody', async () => {
    const clock = new ManualClock();
    const listener = await listening();
    const address = addressOf(listener);
    await listener.close();
    const before = resources();
    const { signal } = new AbortController();

    expect(await failure(connect({ ...address, clock, signal }))).toMatchObject({
      code: 'IC_ERR_CONNECT',
      cause: { code: 'ECONNREFUSED' },
    });

    await expectNothingLeft(before);
    expect(clock.pending).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('of a dialer that was welcomed, at its signal', async () => {
    const { signal } = new AbortController();

    await connected({}, { signal });

    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('of a listener that could not bind', async () => {
    const taken = await listening();
    const before = resources();

    await failure(new Listener({ host: '127.0.0.1', port: tcpAddressOf(taken).port }).listen());

    await expectNothingLeft(before);
  });

  it('of 50 connections that come and go', async () => {
    const clock = new ManualClock();
    const listener = await listening({ clock });
    const before = resources();

    for (let round = 0; round < 50; round++) {
      const connection = await connect({ ...addressOf(listener), clock });
      await connection.close();
    }
    await until(() => listener.connections.size === 0);

    await expectNothingLeft(before);
    expect(clock.pending).toBe(0);
  });
});

describe('closing while the other side reads nothing', () => {
  it.each([
    ['dialer', dialedByHand],
    ['listener', acceptedByHand],
  ])(
    'resolves within the linger at a %s, and leaves nothing [IC-12.11]',
    async (_role, stalled) => {
      const clock = new ManualClock();
      const { connection, peer, sending, base } = await stalled(clock);

      const closing = connection.close();
      await turn();
      clock.advance(999);
      await turn();
      expect(connection.socket.destroyed).toBe(false);
      clock.advance(1);
      await closing;

      expect(await sending).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'no' });
      expect(connection.status).toBe('closed');
      expect(clock.pending).toBe(0);
      peer.socket.destroy();
      await peer.closed;
      await expectNothingLeft(base);
    },
  );

  it('is what the connection does itself after half a minute', async () => {
    const clock = new ManualClock();
    const { connection, sending } = await dialedByHand(clock, { reconnect: false });
    const closed = next(connection, 'close');

    clock.advance(30_000);

    expect(await sending).toMatchObject({ code: 'IC_ERR_IDLE_TIMEOUT', executed: 'no' });
    expect((await closed)[0]).toMatchObject({ status: Code.STALLED });
    await until(() => connection.status === 'closed');
    expect(clock.pending).toBe(0);
  });
});

interface Stalled {
  readonly connection: Connection;
  readonly peer: RawPeer;
  /** What becomes of a message that is larger than what the kernels take. */
  readonly sending: Promise<InterconnectError>;
  /** What the process held without the two. */
  readonly base: string[];
}

const patient = { idleTimeout: 0, messageTimeout: 0 };

async function dialedByHand(
  clock: ManualClock,
  options: Partial<ConnectOptions> = {},
): Promise<Stalled> {
  const raw = await RawListener.listen();
  const base = resources();
  const connecting = connect({ ...raw.address, ...patient, clock, ...options });
  const peer = await raw.accepted();
  await peer.welcome();
  return stall(await connecting, peer, base);
}

async function acceptedByHand(clock: ManualClock): Promise<Stalled> {
  const listener = await listening({ ...patient, clock });
  const base = resources();
  const incoming = next(listener, 'connection');
  const peer = await RawPeer.open(tcpAddressOf(listener));
  return stall((await incoming)[0], peer, base);
}

async function stall(connection: Connection, peer: RawPeer, base: string[]): Promise<Stalled> {
  peer.socket.pause();
  const session = connection.openSession('x', { timeout: 0 });
  const sending = failure(session.send(Buffer.alloc(16 * 1024 * 1024)));
  const { socket } = connection;
  let written = -1;
  // Until the kernels take no more.
  await until(() => {
    const before = written;
    written = socket.bytesWritten - socket.writableLength;
    return socket.writableLength > 0 && written === before;
  });
  return { connection, peer, sending, base };
}
