import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { ClientProxy, MessagePattern, Payload } from '@nestjs/microservices';
import { connect } from 'nestjs-interconnect/core';
import { firstValueFrom } from 'rxjs';
import type { Connection, InterconnectServerOptions } from '../../../src/nest/index.js';
import { Code, Flag, FrameType, MIN_FRAGMENT } from '../../../src/wire/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { frame, header, RawPeer } from '../../support/peers/raw-peer.js';
import { failure, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const MIB = 1024 * 1024;
const PAYLOAD = 'x'.repeat(MIB);

@Controller()
class PayloadController {
  calls = 0;

  @MessagePattern({ cmd: 'payload' })
  payload(): string {
    this.calls += 1;
    return PAYLOAD;
  }

  @MessagePattern('length')
  length(@Payload() text: string): number {
    return text.length;
  }
}

let loopback: Loopback;
afterEach(() => loopback.close());

async function start(options: InterconnectServerOptions = {}): Promise<PayloadController> {
  loopback = await Loopback.start({
    controllers: [PayloadController],
    server: { encoding: 'json', ...options },
  });
  return loopback.app.get(PayloadController);
}

describe('what arrives', () => {
  it('is no larger than the server takes: refused before a byte of it is sent', async () => {
    await start({ maxMessageSize: MIB });
    const client = loopback.client({ encoding: 'json' });

    expect(await failure(client.send('length', `${PAYLOAD}xx`))).toMatchObject({
      code: 'IC_ERR_TOO_LARGE',
      executed: 'no',
    });
    expect(await firstValueFrom(client.send('length', PAYLOAD.slice(2)))).toBe(MIB - 2);
  });
});

// With TCP the time is an option; here it is half a minute, and what counts as progress is a whole frame.
describe('a peer', () => {
  let clock: ManualClock;
  let peer: RawPeer;
  beforeEach(async () => {
    clock = new ManualClock();
    await start({ clock, idleTimeout: 0 });
    peer = await RawPeer.open({ host: '127.0.0.1', port: loopback.port });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'length' } });
    await until(() => loopback.server.peers.size === 1);
  });

  /** When the server has read all that the peer has written. */
  async function arrived(): Promise<void> {
    const [{ socket } = peer] = connections();
    await until(() => socket.bytesRead === peer.socket.bytesWritten);
  }

  function connections(): Connection[] {
    return [...loopback.server.peers].map(({ connection }) => connection);
  }

  it('that falls silent in the middle of a frame is dropped', async () => {
    peer.write(header(FrameType.SEND, 1000, 1, 1), 'not a thousand');
    await arrived();

    clock.advance(29_999);
    await arrived();
    expect(connections()).toHaveLength(1);
    // In steps: what is said at the end needs a moment of its own to arrive.
    for (let step = 0; step < 70 && loopback.server.peers.size > 0; step++) {
      clock.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
    }

    expect((await peer.frame(FrameType.CLOSE)).meta).toMatchObject({ code: Code.STALLED });
    await peer.closed;
    expect(loopback.server.peers.size).toBe(0);
  });

  it('that is slow, but comes on, is not dropped', async () => {
    const payload = Buffer.from(JSON.stringify('x'.repeat(4 * MIN_FRAGMENT - 2)));
    const parts = [0, 1, 2, 3].map((index) => {
      const { SEND, FRAG } = FrameType;
      return frame({
        ...(index === 0 ? { type: SEND, meta: { total: payload.length } } : { type: FRAG }),
        flags: index === 3 ? 0 : Flag.MORE,
        session: 1,
        id: 1,
        payload: payload.subarray(index * MIN_FRAGMENT, (index + 1) * MIN_FRAGMENT),
      });
    });
    const octets = Buffer.concat(parts);
    const step = Math.ceil(octets.length / 13);

    // Nearly two minutes, and at every moment some frame is incomplete.
    for (let at = 0; at < octets.length; at += step) {
      clock.advance(9_000);
      peer.write(octets.subarray(at, at + step));
      await arrived();
    }

    const { payload: answer } = await peer.frame(FrameType.ACCEPT);
    expect(answer.toString()).toBe(String(4 * MIN_FRAGMENT - 2));
  });

  it('that says nothing between two messages is not dropped', async () => {
    peer.send({ type: FrameType.SEND, session: 1, id: 1, payload: Buffer.from('"x"') });
    await peer.frame(FrameType.ACCEPT);

    clock.advance(600_000);
    peer.send({ type: FrameType.SEND, session: 1, id: 2, payload: Buffer.from('"xy"') });

    expect((await peer.frame(FrameType.ACCEPT)).payload.toString()).toBe('2');
  });

  it('that lets its answers pile up unread is dropped', async () => {
    const [connection] = connections();
    if (connection === undefined) throw new Error('There is no connection.');
    const { socket } = connection;
    peer.socket.pause();
    peer.send({ type: FrameType.OPEN, session: 3, meta: { name: '{"cmd":"payload"}' } });
    for (let id = 1; id <= 50; id++) {
      peer.send({ type: FrameType.SEND, session: 3, id, payload: Buffer.from('{}') });
    }
    await until(() => socket.writableLength > 0);
    await standstill(() => socket.bytesWritten);

    clock.advance(30_000);

    await until(() => loopback.server.peers.size === 0);
    expect(socket.destroyed).toBe(true);
  });
});

describe('what is to be read', () => {
  it('arrives in full where it is read, however much it is', async () => {
    const controller = await start();
    const client: ClientProxy = loopback.client({ encoding: 'json' });

    const answers = await Promise.all(
      Array.from({ length: 20 }, () => firstValueFrom(client.send<string>({ cmd: 'payload' }, {}))),
    );

    expect(answers.every((answer) => answer === PAYLOAD)).toBe(true);
    expect(controller.calls).toBe(20);
  });

  it('does not pile up where it is not: the handlers wait', async () => {
    const controller = await start({ maxUnsettled: 8 });
    const connection = await connect({
      host: '127.0.0.1',
      port: loopback.port,
      maxMessageSize: MIB + 64,
      connectionWindow: 2 * MIB,
    });
    const session = connection.openSession('{"cmd":"payload"}');
    connection.socket.pause();
    const answers = Promise.all(Array.from({ length: 100 }, () => session.send(Buffer.from('{}'))));
    const calls = await standstill(() => controller.calls);
    connection.socket.resume();
    await answers;
    await connection.close();

    // Those that may be unsettled, and what the kernel takes.
    expect(calls).toBeLessThan(50);
    expect(controller.calls).toBe(100);
  });
});

/** What a count comes to when nothing moves it any more. */
async function standstill(count: () => number): Promise<number> {
  let seen = -1;
  for (let turns = 0; turns < 500; turns++) {
    if (count() !== seen || seen === 0) turns = 0;
    seen = count();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return seen;
}
