import { describe, expect, it } from '@jest/globals';
import { connect, createConnection, type WhenOffline } from 'nestjs-interconnect/core';
import { Code, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import {
  abandoned,
  age,
  AlarmClock,
  bytes,
  echoing,
  quiet,
  raw,
  send,
  watch,
} from '../../support/peers/offline.js';
import { RawListener } from '../../support/peers/raw-peer.js';

describe('an outage', () => {
  it('is as old as the first attempt, of a connection that never stood', async () => {
    const mute = await RawListener.listen();
    const clock = new AlarmClock();
    const connection = createConnection({ ...mute.address, clock, whenOffline: 5000 });
    afterTest(() => connection.close());
    const failed = watch(send(connection.openSession('s', { timeout: 0 })));
    const peer = await mute.accepted();

    clock.advance(4999);
    await turn();
    expect(failed).toEqual([]);
    clock.advance(1);
    await turn();
    expect(failed).toMatchObject([{ code: 'IC_ERR_OFFLINE', executed: 'no' }]);

    // The handshake may take ten seconds, and goes on.
    await peer.welcome();
    await next(connection, 'open');
    expect(watch(send(connection.openSession('s', { timeout: 0 })))).toEqual([]);
  });

  it('begins with the first round that fails, for a dialer that was sent elsewhere', async () => {
    const clock = new AlarmClock();
    const listener = await echoing();
    const { host, port } = tcpAddressOf(listener);
    const connection = await connect({ host, port, clock, whenOffline: 'fail', ...quiet });
    afterTest(() => connection.close());
    const session = await connection.createSession('s');
    const rounds = next(connection, 'connectError');
    const calls: unknown[][] = [];
    const outages: unknown[] = [];
    connection.on('status', (status) => {
      if (status !== 'detached') return;
      outages.push(connection.outage);
      calls.push(watch(send(session)));
    });

    const drained = listener.drain();
    await rounds;
    await turn();
    await drained;

    expect(outages).toEqual([undefined]);
    expect(calls).toMatchObject([[{ code: 'IC_ERR_OFFLINE', executed: 'no' }]]);
  });

  it('ends the wait of connect, which leaves nothing', async () => {
    const mute = await RawListener.listen();
    const clock = new AlarmClock();
    const connecting = failure(connect({ ...mute.address, clock, whenOffline: 1000 }));
    const peer = await mute.accepted();

    clock.advance(1000);

    expect(await connecting).toMatchObject({ code: 'IC_ERR_OFFLINE' });
    await peer.closed;
    expect(clock.pending).toBe(0);
  });

  it('keeps the process alive for a first connection only while somebody waits', async () => {
    const listener = await echoing();
    const { host, port } = tcpAddressOf(listener);
    await listener.close();
    const clock = new AlarmClock();
    const connection = createConnection({ host, port, clock, whenOffline: 1000 });
    afterTest(() => connection.close());
    const session = connection.openSession('s');
    const controller = new AbortController();
    const { signal } = controller;
    const patient = watch(session.send(bytes, { timeout: 0, whenOffline: 'wait', signal }));
    await age(clock, connection, 1000);
    await until(() => clock.alarms === 1);

    controller.abort();
    await age(clock, connection, 30_000);
    expect(patient).toHaveLength(1);
    expect(clock.alarms).toBe(0);
    expect(clock.pending).toBeGreaterThan(0);

    await echoing(port);
    await age(clock, connection, 60_000);
    expect(connection.status).toBe('open');
  });
});

describe('a call that fails offline', () => {
  /** A connection in a long pause between two attempts, and how many attempts there were. */
  async function paused(whenOffline: WhenOffline) {
    const reconnect = { minDelay: 60_000, maxDelay: 60_000 };
    const all = await abandoned({ whenOffline, reconnect });
    all.clock.chance = 1;
    await all.lose();
    let rounds = 0;
    all.connection.on('connectError', () => (rounds += 1));
    return { ...all, rounds: () => rounds };
  }

  it('has another attempt made at once, at most once a second', async () => {
    const { session, clock, rounds } = await paused('fail');

    for (let call = 0; call < 10; call++) await failure(send(session));
    await until(() => rounds() === 1);
    clock.advance(999);
    for (let call = 0; call < 10; call++) await failure(send(session));
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(rounds()).toBe(1);
    clock.advance(1);
    await failure(send(session));

    await until(() => rounds() === 2);
  });

  it('leaves a pause alone that is over within a second', async () => {
    const { session, clock, rounds } = await paused('fail');
    clock.advance(59_000);

    await failure(send(session));
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(rounds()).toBe(0);
    clock.advance(1000);

    await until(() => rounds() === 1);
  });

  it('does not bring anybody back who was superseded [IC-17.14]', async () => {
    const { connection, clock, sockets, listener } = await raw({ whenOffline: 'fail' });
    const peer = await sockets();
    peer.send({ type: FrameType.CLOSE, meta: { code: Code.SUPERSEDED } });
    await next(connection, 'detach');
    let isBack = false;
    void listener.accepted().then(
      () => (isBack = true),
      () => undefined,
    );

    await failure(send(connection.openSession('s')));
    clock.advance(4999);
    await failure(send(connection.openSession('s')));
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(isBack).toBe(false);
    clock.advance(5001);

    await until(() => isBack);
  });
});
