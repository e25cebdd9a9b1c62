/** What a driver relies on, asked of the sockets of a `MemoryNetwork` and, for comparison, of the system's. */
import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { MemoryNetwork } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { turn, until } from '../../support/events.js';

const MIB = 1024 * 1024;

/** The two ends of a socket. */
async function ends(kind: string): Promise<[near: Socket, far: Socket]> {
  const accepted: Socket[] = [];
  const network = new MemoryNetwork();
  const server =
    kind === 'memory'
      ? network.createServer((socket) => accepted.push(socket)).listen()
      : createServer({ allowHalfOpen: true }, (socket) => accepted.push(socket)).listen();
  await once(server, 'listening');
  const near =
    kind === 'memory'
      ? network.connect()
      : connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  await Promise.all([once(near, 'connect'), until(() => accepted.length > 0)]);
  const far = accepted[0]!;
  afterTest(async () => {
    for (const socket of [near, far]) socket.on('error', () => undefined).destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return [near, far];
}

/** Reads to the end. */
async function text(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

describe.each(['memory', 'TCP'])('A socket over %s', (kind) => {
  it('delivers what was written in a later tick, and all that a corked one gathered', async () => {
    const [near, far] = await ends(kind);
    const seen: string[] = [];
    far.on('data', (chunk: Buffer) => seen.push(chunk.toString()));

    near.cork();
    near.write('one ');
    near.write(Buffer.from('two '));
    near.write(new Uint8Array([0x21]));
    expect(near.writableLength).toBe(9);
    near.uncork();

    expect(near.writableLength).toBe(0);
    await new Promise((resolve) => process.nextTick(resolve));
    expect(seen).toEqual([]);
    await until(() => seen.length > 0);
    expect(seen).toEqual(['one two !']);
    expect([near.bytesWritten, far.bytesRead]).toEqual([9, 9]);
  });

  it('has copied what is not unsent any more', async () => {
    const [near, far] = await ends(kind);
    const bytes = Buffer.from('as it was');

    near.write(bytes);
    expect(near.writableLength).toBe(0);
    bytes.fill(0);
    near.end();

    expect(await text(far)).toBe('as it was');
  });

  it('keeps strings, empty writes and the order', async () => {
    const [near, far] = await ends(kind);

    near.write('6869', 'hex');
    near.write('');
    near.write('ü', 'latin1');
    near.end('!');

    expect(await text(far)).toBe(Buffer.from('6869fc21', 'hex').toString());
  });

  it('lets a writer wait for who does not read, and tells it when there is room', async () => {
    const [near, far] = await ends(kind);
    far.pause();
    const drained = once(near, 'drain');
    const chunk = Buffer.alloc(MIB, 'x');

    let written = 0;
    for (; near.writableLength < MIB && written < 256 * MIB; written += MIB) near.write(chunk);
    for (let turns = 0; turns < 20; turns++) await turn();

    expect(near.writableLength).toBeGreaterThanOrEqual(MIB);
    expect(near.writableNeedDrain).toBe(true);
    expect(far.bytesRead).toBeLessThan(written);
    let read = 0;
    far.on('data', ({ length }: Buffer) => (read += length));
    far.resume();
    await drained;
    await until(() => read === written);
    expect(near.writableLength).toBe(0);
  });

  it('holds little for who does not read, in pieces of any size', async () => {
    const [near, far] = await ends(kind);
    far.pause();
    const piece = Buffer.alloc(32 * 1024);

    let written = 0;
    for (; near.writableLength === 0 && written < 64 * MIB; written += piece.length) {
      near.write(piece);
      await turn();
    }

    expect(written).toBeLessThan(64 * MIB);
    expect(far.readableLength).toBeLessThan(MIB);
  });

  it('delivers nothing while it is paused', async () => {
    const [near, far] = await ends(kind);
    const seen: string[] = [];
    far.on('data', (chunk: Buffer) => {
      seen.push(chunk.toString());
      far.pause();
    });

    near.write('one');
    await until(() => seen.length === 1);
    near.write('two');
    for (let turns = 0; turns < 20; turns++) await turn();

    expect(seen).toEqual(['one']);
    far.resume();
    await until(() => seen.length === 2);
  });

  it('leaves the other direction open at its end, and closes when both have ended', async () => {
    const [near, far] = await ends(kind);
    const closed = Promise.all([once(near, 'close'), once(far, 'close')]);

    near.end('question');
    expect(await text(far)).toBe('question');
    expect([near.destroyed, far.destroyed, far.writable]).toEqual([false, false, true]);
    far.end('answer');

    expect(await text(near)).toBe('answer');
    await closed;
    expect([near.errored, far.errored]).toEqual([null, null]);
  });

  it('tells the end also to who does not read', async () => {
    const [near, far] = await ends(kind);

    near.end();

    expect(await once(far, 'end')).toEqual([]);
  });

  it('lets out what was written before destroySoon()', async () => {
    const [near, far] = await ends(kind);
    const closed = once(near, 'close');

    near.write(Buffer.alloc(MIB, 'x'));
    near.destroySoon();

    expect(await text(far)).toHaveLength(MIB);
    await closed;
  });

  it('ends the other side when it is destroyed, after what was on its way', async () => {
    const [near, far] = await ends(kind);
    const closed = once(near, 'close');

    near.write('last words');
    near.destroy();

    expect(await text(far)).toBe('last words');
    await closed;
    expect(far.destroyed).toBe(false);
  });

  it('fails with the error that it is destroyed with, then closes', async () => {
    const [near] = await ends(kind);
    const events: string[] = [];
    near.on('error', ({ message }) => events.push(message));
    near.on('close', () => events.push('close'));

    near.destroy(new Error('enough'));

    expect(events).toEqual([]);
    await until(() => events.includes('close'));
    expect(events).toEqual(['enough', 'close']);
  });

  it('resets who has sent to it in vain', async () => {
    const [near, far] = await ends(kind);
    const failed = once(far, 'close').catch((error: unknown) => error);
    let isCalled = false;
    far.write(Buffer.alloc(64 * MIB), () => (isCalled = true));
    await until(() => near.readableLength > 0);

    near.destroy();

    expect(await failed).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
    await until(() => isCalled);
  });

  it('resets who writes to it when it is gone', async () => {
    const [near, far] = await ends(kind);
    const failed = once(far, 'drain').catch((error: unknown) => error);
    near.destroy();
    await once(far, 'end');

    await until(() => {
      far.write('x');
      return far.errored !== null;
    });

    expect(await failed).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
  });

  it('lets go of a write that waits when it is destroyed itself', async () => {
    const [near] = await ends(kind);
    const written = new Promise((resolve) => near.write(Buffer.alloc(64 * MIB), resolve));
    await turn();
    expect(near.writableLength).toBeGreaterThan(0);

    near.destroy();

    await written;
  });

  it('takes the settings that a socket takes', async () => {
    const [near] = await ends(kind);

    expect(near.setNoDelay(true).setKeepAlive(true).setTimeout(0)).toBe(near);
    expect([near.readyState, near.connecting, near.allowHalfOpen]).toEqual(['open', false, true]);
  });
});
