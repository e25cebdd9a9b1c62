import { describe, expect, it } from '@jest/globals';
import { connected } from '../../support/peers/connected.js';
import { failure, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { frame, RawListener } from '../../support/peers/raw-peer.js';
import { FrameType } from '../../../src/wire/index.js';
import { connect } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';

describe('a ping', () => {
  it('measures the round trip, from either side', async () => {
    const { acceptor, dialer } = await connected();

    const times = await Promise.all([dialer.ping(), acceptor.ping()]);

    for (const time of times) {
      expect(time).toBeGreaterThan(0);
      expect(time).toBeLessThan(5000);
    }
  });

  it('tells the milliseconds that have passed', async () => {
    const clock = new ManualClock();
    const raw = await RawListener.listen();
    const connecting = connect({ ...raw.address, clock });
    const peer = await raw.accepted();
    await peer.welcome();
    const connection = await connecting;
    afterTest(() => connection.close());
    const ping = connection.ping();
    const { id } = await peer.frame(FrameType.PING);

    clock.advance(37.5);
    peer.write(frame({ type: FrameType.PONG, id }));

    expect(await ping).toBe(37.5);
  });

  it('waits for its turn: 20 ms lie between two, so that no loop uses up what the other side allows', async () => {
    const clock = new ManualClock();
    const raw = await RawListener.listen();
    const connecting = connect({ ...raw.address, clock });
    const peer = await raw.accepted();
    await peer.welcome();
    const connection = await connecting;
    afterTest(() => connection.close());
    const answered = async (): Promise<number> => {
      const { id } = await peer.frame(FrameType.PING);
      peer.write(frame({ type: FrameType.PONG, id }));
      return id;
    };
    const first = connection.ping();
    const token = await answered();
    await first;
    const second = connection.ping();
    await turn();
    clock.advance(19);
    await turn();
    expect(peer.frames.filter(({ type }) => type === FrameType.PING)).toEqual([]);

    clock.advance(1);

    expect(await answered()).toBe(token + 1);
    expect(await second).toBe(0);
  });

  it('is answered however many there are at once', async () => {
    const { dialer } = await connected();

    const times = await Promise.all(Array.from({ length: 500 }, () => dialer.ping()));

    expect(times).toHaveLength(500);
  });

  it('is one frame for all who ask at once, and another for who asks meanwhile', async () => {
    const raw = await RawListener.listen();
    const connecting = connect({ ...raw.address });
    const peer = await raw.accepted();
    await peer.welcome();
    const connection = await connecting;
    afterTest(() => connection.close());
    const first = connection.ping();
    const others = Array.from({ length: 3000 }, () => connection.ping());
    const { id } = await peer.frame(FrameType.PING);

    peer.write(frame({ type: FrameType.PONG, id }));
    expect(await first).toBeGreaterThan(0);
    const next = await peer.frame(FrameType.PING);
    expect(next.id).not.toBe(id);
    peer.write(frame({ type: FrameType.PONG, id: next.id }));

    expect(await Promise.all(others)).toHaveLength(3000);
    expect(peer.frames.filter(({ type }) => type === FrameType.PING)).toEqual([]);
  });

  it('does not use up what the other side allows, however many ask', async () => {
    const { dialer } = await connected();
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(Array.from({ length: 3000 }, () => dialer.ping()));
    }

    expect(dialer.status).toBe('open');
  });

  it('fails with its socket, and so does the one that waited for it', async () => {
    const { dialer, acceptor } = await connected();
    const pings = [failure(dialer.ping()), failure(dialer.ping())];

    acceptor.socket.destroy();

    expect(await Promise.all(pings)).toMatchObject([
      { code: 'IC_ERR_CONNECTION_LOST' },
      { code: 'IC_ERR_OFFLINE' },
    ]);
  });

  it('is answered while the application over there is busy with nothing', async () => {
    const { acceptor, dialer } = await connected();
    acceptor.on('session', () => undefined);
    dialer.openSession('never decided');

    expect(await dialer.ping()).toBeGreaterThan(0);
  });

  it('fails when the connection ends meanwhile, or has ended', async () => {
    const { dialer, acceptor } = await connected();
    const ping = failure(dialer.ping());

    await dialer.close();

    expect(await ping).toMatchObject({ code: 'IC_ERR_CLOSED' });
    expect(await failure(dialer.ping())).toMatchObject({ code: 'IC_ERR_CLOSED' });
    await until(() => acceptor.status === 'closed');
    expect(await failure(acceptor.ping())).toMatchObject({ code: 'IC_ERR_CLOSED' });
  });

  it('fails when the connection is lost', async () => {
    const { dialer, acceptor } = await connected();
    const ping = failure(dialer.ping());

    acceptor.socket.destroy();

    expect(await ping).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
  });
});
