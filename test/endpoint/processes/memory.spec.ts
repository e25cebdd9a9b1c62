import { describe, expect, it } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Connection, Listener, ListenerOptions, Message } from 'nestjs-interconnect/core';
import { FrameType, Flag } from '../../../src/wire/index.js';
import { inSession, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, until } from '../../support/events.js';
import { frame, RawPeer } from '../../support/peers/raw-peer.js';

const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** MiB of buffers that this process holds, after all garbage has been collected. */
function held(): number {
  collect();
  collect();
  return process.memoryUsage().arrayBuffers / MIB;
}

interface Attacked {
  readonly listener: Listener;
  readonly connection: Connection;
  readonly peer: RawPeer;
}

/** A listener and a dialer by hand, who has been let in. */
async function attacked(options: ListenerOptions = {}): Promise<Attacked> {
  const listener = await listening({ idleTimeout: 0, ...options });
  const accepted = next(listener, 'connection');
  const peer = await RawPeer.open(tcpAddressOf(listener));
  const [connection] = await accepted;
  return { listener, connection, peer };
}

/** A promise that the raw socket's backlog has been handed to the kernel, or the socket is gone. */
async function written(peer: RawPeer, bytes: Buffer): Promise<void> {
  await Promise.race([
    peer.closed,
    new Promise<void>((resolve) => peer.socket.write(bytes, () => resolve())),
  ]);
}

function opening(session: number): Buffer {
  return frame({ type: FrameType.OPEN, session, meta: { name: `${session}` } });
}

describe('what a connection holds', () => {
  it('is at most its window, and nothing once the other side breaks it', async () => {
    const { connection, peer } = await attacked({
      connectionWindow: 8 * MIB,
      maxMessageSize: MIB,
      maxUnsettled: 2 ** 20,
      sessionWindow: 64 * MIB,
    });
    const messages: Message[] = [];
    connection.on('session', (session) => {
      session.on('message', (message) => messages.push(message));
      session.accept();
    });
    const closed = next(connection, 'close');
    const before = held();
    const payload = Buffer.alloc(60_000);

    await written(peer, opening(1));
    for (let id = 1; id <= 400; id++) {
      const message = frame({ type: FrameType.SEND, session: 1, id, payload });
      await written(peer, message);
      if (connection.status !== 'open') break;
    }

    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_PROTOCOL', status: 0x0104 });
    expect(messages.reduce((sum, { data }) => sum + data.length, 0)).toBeLessThanOrEqual(8 * MIB);
    messages.length = 0;
    await peer.closed;
    expect(held() - before).toBeLessThan(4);
  });

  it('does not grow by what the other side only announces', async () => {
    const { connection, peer } = await attacked();
    connection.on('session', (session) => {
      session.on('message', () => undefined);
      session.accept();
    });
    const before = held();

    for (let session = 1; session < 1000; session += 2) {
      peer.write(
        opening(session),
        frame({
          type: FrameType.SEND,
          flags: Flag.MORE,
          session,
          id: 1,
          meta: { total: 16 * MIB },
          payload: Buffer.alloc(4096),
        }),
      );
    }
    const ping = connection.ping();
    peer.write(frame({ type: FrameType.PONG, id: (await peer.frame(FrameType.PING)).id }));
    await ping;

    // 500 messages of which 4 KiB have come, at most four times that each.
    expect(held() - before).toBeLessThan(16);
    expect(connection.status).toBe('open');
  });

  it('does not grow by answers that the other side does not read', async () => {
    const { connection, peer } = await attacked({ maxUnsettled: 1000 });
    let started = 0;
    connection.on('session', (session) => {
      session.on('message', (message) => {
        started++;
        message.respond(Buffer.alloc(MIB));
      });
      session.accept();
    });
    const before = held();
    peer.socket.pause();

    await written(peer, opening(1));
    for (let id = 1; id <= 1000; id++) {
      await written(peer, frame({ type: FrameType.SEND, session: 1, id }));
    }
    await until(() => started > 0 && connection.socket.writableLength > 0);

    // The kernels hold some, 16 MiB are owed, and one more was begun.
    expect(started).toBeLessThan(64);
    expect(held() - before).toBeLessThan(64);
    expect(connection.status).toBe('open');
  });

  it('does not grow by PONGs that the other side does not read', async () => {
    const { connection, peer } = await attacked();
    const before = held();
    peer.socket.pause();

    for (let round = 0; round < 900; round++) {
      await written(peer, frame({ type: FrameType.PING, id: round + 1 }));
    }

    expect(connection.socket.writableLength).toBeLessThan(100_000);
    expect(held() - before).toBeLessThan(4);
  });

  it('is let go of with the connection', async () => {
    const before = held();
    const { session, accepted, dialer, acceptor } = await inSession();
    accepted.on('message', () => undefined);
    const pending = Array.from({ length: 60 }, () => failure(session.send(Buffer.alloc(MIB))));
    await until(() => acceptor.socket.bytesRead > 30 * MIB);

    await dialer.close();
    await Promise.all(pending);
    pending.length = 0;
    await until(() => acceptor.status === 'closed');

    expect(held() - before).toBeLessThan(8);
  });

  it('is the same after a quarter of a gigabyte has gone through', async () => {
    const { session, accepted } = await inSession();
    let received = 0;
    accepted.on('message', (message) => {
      received += message.data.length;
      message.accept();
    });
    const payload = Buffer.alloc(MIB);
    const before = held();

    for (let round = 0; round < 16; round++) {
      await Promise.all(Array.from({ length: 16 }, () => session.send(payload)));
    }

    expect(received).toBe(256 * MIB);
    expect(held() - before).toBeLessThan(8);
  });
});

describe('what a socket is handed', () => {
  it('is little at a time, whatever waits behind it', async () => {
    const { session, accepted, dialer } = await inSession();
    accepted.on('message', (message) => message.accept());
    let most = 0;
    const sends = Array.from({ length: 32 }, () => session.send(Buffer.alloc(MIB)));
    const all = Promise.all(sends);
    let done = false;
    void all.then(() => (done = true));

    await until(() => {
      most = Math.max(most, dialer.socket.writableLength);
      return done;
    });

    // 256 KiB, and the fragment that went over.
    expect(most).toBeLessThanOrEqual(256 * 1024 + 65_536 + 16);
    await all;
  });

  it('is nothing more where the other side reads nothing', async () => {
    const { connection, peer } = await attacked();
    peer.socket.pause();
    const sessions = Array.from({ length: 4 }, (_, index) => connection.openSession(`${index}`));
    const sends = sessions.map((session) => failure(session.send(Buffer.alloc(16 * MIB))));

    await until(() => connection.socket.writableLength > 0);
    for (const session of sessions) void failure(session.send(Buffer.alloc(10)));

    expect(connection.socket.writableLength).toBeLessThanOrEqual(256 * 1024 + 65_536 + 16);
    await connection.close();
    expect((await Promise.all(sends)).map(({ executed }) => executed)).toEqual(
      sends.map(() => 'no'),
    );
  });
});
