import { describe, expect, it } from '@jest/globals';
import { Code, Listener, type Message } from 'nestjs-interconnect/core';
import { createBudget } from '../../../src/endpoint/common/memory.js';
import { Flag, FrameType } from '../../../src/wire/index.js';
import { inSession, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { RawPeer } from '../../support/peers/raw-peer.js';
import { thrown, until } from '../../support/events.js';

const MIB = 1024 * 1024;
const LIMITS = { maxMessageSize: MIB, connectionWindow: 4 * MIB };

/** Sends `octets` of one message that never becomes whole. */
function sendPart(peer: RawPeer, octets: number): void {
  const frame = { session: 1, id: 1, flags: Flag.MORE, payload: Buffer.alloc(50_000) };
  peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'b' } });
  peer.send({ type: FrameType.SEND, ...frame });
  for (let left = octets; left > 0; left -= 50_000) peer.send({ type: FrameType.FRAG, ...frame });
}

describe('memoryLimit', () => {
  it('closes the connection that holds most with CALM, and says why; the others go on', async () => {
    const budget = createBudget(Infinity);
    const { listener, session, accepted } = await inSession({ ...LIMITS, budget });
    const waiting: Message[] = [];
    accepted.on('message', (message) => void waiting.push(message));
    const outcome = session.send(Buffer.from('x'));
    await until(() => waiting.length === 1);
    const errors: (Error | undefined)[] = [];
    listener.on('connection', (connection) => {
      connection.on('session', (opened) => opened.accept());
      connection.on('close', (error) => errors.push(error));
    });
    const [small, large] = [
      await RawPeer.open(tcpAddressOf(listener)),
      await RawPeer.open(tcpAddressOf(listener)),
    ];
    sendPart(small, 400_000);
    sendPart(large, 900_000);
    await until(() => budget.held > 1_300_000);

    budget.limit = MIB;

    const { meta } = await large.frame(FrameType.CLOSE);
    expect(meta.code).toBe(Code.CALM);
    expect(meta.text).toMatch(/memoryLimit/);
    expect(errors.map((error) => error?.message)).toEqual([meta.text]);
    expect(budget.held).toBeLessThan(MIB);
    waiting[0]?.accept();
    expect(await outcome).toMatchObject({ accepted: true });
    expect([...listener.connections].filter(({ status }) => status === 'open')).toHaveLength(2);
  });

  it('takes away the unfinished messages of connections without a socket first', async () => {
    const budget = createBudget(Infinity);
    const listener = await listening({ ...LIMITS, budget });
    listener.on('connection', (connection) => {
      connection.on('session', (session) => session.accept());
    });
    const peer = await RawPeer.open(tcpAddressOf(listener), { caps: 1 });
    sendPart(peer, 900_000);
    await until(() => budget.held > 900_000);
    const [connection] = listener.connections;
    peer.socket.destroy();
    await until(() => connection?.status === 'detached');

    budget.limit = MIB / 2;
    await until(() => budget.held < 20_000);

    expect(connection?.status).toBe('detached');
  });

  it('is at least connectionWindow, and one number for the whole thread', async () => {
    const budget = createBudget(Infinity);
    const error = thrown(() => new Listener({ ...LIMITS, budget, memoryLimit: 4 * MIB - 1 }));
    expect(error).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(error.message).toBe(
      `memoryLimit must be an integer from ${4 * MIB} to ${2 ** 40}, and is ${4 * MIB - 1}.`,
    );

    await inSession({ ...LIMITS, budget, memoryLimit: 9 * MIB }, { budget });
    // A larger window of another endpoint does not replace the number that the application gave.
    expect(budget.limit).toBe(9 * MIB);
    await inSession({ ...LIMITS, budget, memoryLimit: 7 * MIB }, { budget });
    expect(budget.limit).toBe(7 * MIB);
  });

  it('is at least the largest connectionWindow by default', () => {
    const budget = createBudget(MIB);
    expect(new Listener({ ...LIMITS, budget }).address).toBeUndefined();
    expect(budget.limit).toBe(4 * MIB);
    expect(new Listener({ budget }).address).toBeUndefined();
    expect(budget.limit).toBe(64 * MIB);
  });
});
