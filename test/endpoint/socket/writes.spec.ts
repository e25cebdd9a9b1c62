import { describe, expect, it, jest } from '@jest/globals';
import type { Socket } from 'node:net';
import { FrameType } from '../../../src/wire/index.js';
import { inSession, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import { RawPeer } from '../../support/peers/raw-peer.js';

/** The sizes of what is handed to a socket from now on. */
function writesOf(socket: Socket): number[] {
  const sizes: number[] = [];
  const write = socket.write.bind(socket);
  jest.spyOn(socket, 'write').mockImplementation((chunk) => {
    sizes.push((chunk as Buffer).length);
    return write(chunk);
  });
  return sizes;
}

const HEADER = 16;
const DEADLINE = 7;
const CREDIT = 24;

describe('what is sent in one tick', () => {
  it('leaves in one write, and is answered in one', async () => {
    const { session, accepted, dialer, acceptor } = await inSession();
    accepted.on('message', (message) => message.respond(message.data));
    const requests = writesOf(dialer.socket);
    const responses = writesOf(acceptor.socket);

    const sends = Array.from({ length: 100 }, () => session.send(Buffer.alloc(32)));
    await Promise.all(sends);

    // The listener acknowledges what it has with its answers, the dialer with what its caller sends upon them.
    expect(requests).toEqual([100 * (HEADER + DEADLINE + 32)]);
    expect(responses).toEqual([100 * (HEADER + 32) + CREDIT]);
    await session.send(Buffer.alloc(32));
    expect(requests.slice(1)).toEqual([HEADER + DEADLINE + 32 + CREDIT]);
  });

  it('leaves in one write over sessions and kinds of frames', async () => {
    const { session, accepted, dialer } = await inSession();
    accepted.on('message', (message) => message.accept());
    const writes = writesOf(dialer.socket);

    const second = dialer.openSession('second', { timeout: 0 });
    const work = Promise.allSettled([
      session.send(Buffer.alloc(10), { timeout: 0 }),
      second.send(Buffer.alloc(10), { timeout: 0 }),
      dialer.ping(),
    ]);
    await turn();

    expect(writes).toEqual([expect.any(Number)]);
    await dialer.close();
    await work;
  });

  it('leaves in few writes where it is large, with no copy of the payload', async () => {
    const { session, accepted, dialer } = await inSession();
    accepted.on('message', (message) => message.accept());
    const written: Buffer[] = [];
    const write = dialer.socket.write.bind(dialer.socket);
    jest.spyOn(dialer.socket, 'write').mockImplementation((chunk) => {
      written.push(chunk as Buffer);
      return write(chunk);
    });
    const payload = Buffer.alloc(200_000);

    await session.send(payload);

    const pieces = written.filter(({ buffer }) => buffer === payload.buffer);
    const uncopied = pieces.reduce((sum, { length }) => sum + length, 0);
    // A last piece of up to 8 KiB is copied, and spares a write.
    expect(uncopied).toBeGreaterThanOrEqual(payload.length - 8192);
    expect(written.length - pieces.length).toBeLessThanOrEqual(pieces.length + 1);
  });

  it('goes out before the tick ends: it waits for no timer and no turn', async () => {
    const { session, accepted, dialer } = await inSession();
    accepted.on('message', (message) => message.accept());
    const writes = writesOf(dialer.socket);

    const outcome = session.send(Buffer.from('x'));
    expect(writes).toEqual([]);
    await new Promise<void>((resolve) => process.nextTick(resolve));

    expect(writes).toHaveLength(1);
    await outcome;
  });

  it('is written whole where the socket takes it in parts', async () => {
    const { session, accepted, acceptor } = await inSession();
    const sizes = Array.from({ length: 300 }, (_, index) => (index * 997) % 20_000);
    const seen: number[] = [];
    accepted.on('message', (message) => {
      seen.push(message.data.length);
      message.respond(message.data);
    });
    acceptor.socket.pause();

    const outcomes = sizes.map((size) => session.send(Buffer.alloc(size, size % 251)));
    await until(() => session.connection.socket.writableLength === 0);
    acceptor.socket.resume();

    const answers = await Promise.all(outcomes);
    expect(seen).toEqual(sizes);
    const wrong = answers.filter(({ data }, index) => {
      const size = sizes[index] ?? 0;
      return !data.equals(Buffer.alloc(size, size % 251));
    });
    expect(wrong).toEqual([]);
  });
});

describe('a side whose output waits, and whose handlers do', () => {
  it('reads all the same [IC-8.7]', async () => {
    const listener = await listening();
    const accepted = next(listener, 'connection');
    const peer = await RawPeer.open(tcpAddressOf(listener));
    const [connection] = await accepted;
    const seen: number[] = [];
    connection.on('session', (session) => {
      session.on('message', ({ id }) => void seen.push(id));
      session.accept();
    });
    const own = connection.openSession('own', { timeout: 0 });
    peer.socket.pause();
    const unread = Array.from({ length: 12 }, () => failure(own.send(Buffer.alloc(1_000_000))));
    await until(() => connection.socket.writableNeedDrain);

    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 's' } });
    for (let id = 1; id <= 100; id++) {
      peer.send({ type: FrameType.SEND, session: 1, id, payload: Buffer.alloc(10_000) });
    }
    await until(() => seen.length === 100);

    expect(connection.socket.writableNeedDrain).toBe(true);
    peer.socket.destroy();
    await Promise.all(unread);
  });
});
