import { describe, expect, it } from '@jest/globals';
import { createConnection } from 'nestjs-interconnect/core';
import { Flag, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, turn } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { abandoned, age, bytes, echoing, raw, send, watch } from '../../support/peers/offline.js';

describe('a number', () => {
  it('is the age of the outage at which all fail who wait, and from which on all fail at once', async () => {
    const { connection, session, clock, host, port, lose } = await abandoned({ whenOffline: 5000 });
    await lose();
    const early = send(session);
    await age(clock, connection, 4999);
    const late = send(session);
    const opening = connection.createSession('t');
    const items = session.send([bytes], { timeout: 0 });
    const answer = session.stream(bytes)[Symbol.asyncIterator]().next();
    const failed = watch(early, late, opening, items, answer);
    const told = next(connection, 'offline');
    await turn();
    expect(failed).toEqual([]);

    clock.advance(1);
    await turn();

    expect(failed).toHaveLength(5);
    for (const error of failed) {
      expect(error).toMatchObject({
        code: 'IC_ERR_OFFLINE',
        executed: 'no',
        message: `No connection to ${host}:${port} for 5.0 s: connect ECONNREFUSED ${host}:${port}.`,
        cause: { code: 'IC_ERR_CONNECT' },
      });
    }
    expect((await told)[0]).toMatchObject({ code: 'IC_ERR_OFFLINE' });
    const further = watch(send(session), connection.createSession('u'), session.send([bytes]));
    await Promise.resolve();
    await turn();
    expect(further).toHaveLength(3);
  });

  it('needs one alarm, however many wait', async () => {
    const { connection, session, clock, lose } = await abandoned({ whenOffline: 5000 });
    await lose();
    const before = clock.pending;

    const calls = Array.from({ length: 16_384 }, () => send(session));
    const failed = watch(...calls);

    expect(clock.pending).toBe(before);
    await age(clock, connection, 5000);
    expect(failed).toHaveLength(16_384);
  });

  it('is nothing to who finds a socket before', async () => {
    const { connection, session, clock, port, lose } = await abandoned({ whenOffline: 5000 });
    await lose();
    const waiting = send(session);
    await age(clock, connection, 3000);

    await echoing(port);
    await age(clock, connection, 4999);

    await expect(waiting).resolves.toMatchObject({ accepted: true, data: bytes });
    expect(connection.outage).toBeUndefined();
  });

  it('counts anew for each outage', async () => {
    const { connection, session, clock, lose, port } = await abandoned({ whenOffline: 5000 });
    clock.chance = 0;
    const answers: unknown[] = [];
    let drop = lose;
    for (let round = 0; round < 3; round++) {
      await drop();
      const waiting = send(session);
      clock.advance(4000);
      const listener = await echoing(port);
      while (connection.status !== 'open') {
        clock.advance(0);
        await turn();
      }
      answers.push(await waiting);
      clock.advance(1000);
      drop = async () => {
        const detached = next(connection, 'detach');
        for (const each of listener.connections) each.socket.destroy();
        await listener.close();
        await detached;
      };
    }

    expect(answers).toMatchObject(answers.map(() => ({ accepted: true })));
    expect(answers).toHaveLength(3);
  });

  it('is over when there is a socket again: calls go out as before', async () => {
    const { connection, session, clock, port, lose } = await abandoned({ whenOffline: 1000 });
    await lose();
    await age(clock, connection, 3000);
    expect(await failure(send(session))).toMatchObject({ code: 'IC_ERR_OFFLINE' });

    await echoing(port);
    await age(clock, connection, 20_000);

    expect(await send(session)).toMatchObject({ data: bytes });
  });

  it('does not concern what was written before the socket was lost', async () => {
    const { connection, clock, sockets } = await raw({ whenOffline: 1000 });
    const session = connection.openSession('s', { timeout: 0 });
    const written = send(session);
    const first = await sockets();
    await first.frame(FrameType.SEND);
    first.socket.destroy();
    await next(connection, 'detach');
    const waiting = watch(send(session));
    const failed = watch(written);
    // The pause of the reconnector is over, and the next socket is silent.
    clock.advance(1000);
    await turn();
    expect(waiting).toHaveLength(1);
    expect(failed).toEqual([]);

    const second = await sockets();
    const again = await second.frame(FrameType.SEND);
    second.send({ type: FrameType.OPENED, session: 1 });
    second.send({ type: FrameType.ACCEPT, flags: Flag.REPLY, session: 1, id: 1 });
    await expect(written).resolves.toMatchObject({ accepted: true });
    expect(again.payload).toEqual(bytes);
    await turn();
    expect(second.frames.filter(({ type }) => type === FrameType.SEND)).toEqual([]);
  });
});

describe('fail', () => {
  it('fails who waits in the tick in which the socket is lost', async () => {
    const { connection, session, lose } = await abandoned({ whenOffline: 'fail' });
    // Waits for nothing but the socket of the tick.
    const statuses: string[] = [];
    connection.on('offline', () => statuses.push('offline'));
    connection.on('status', (status) => statuses.push(status));
    connection.once('detach', () => {
      statuses.push(`${watch(send(session)).length} failed`);
    });

    await lose();

    expect(await failure(send(session))).toMatchObject({
      code: 'IC_ERR_OFFLINE',
      executed: 'no',
      cause: { code: 'IC_ERR_CONNECTION_LOST' },
    });
    expect(statuses).toEqual(['detached', '0 failed', 'offline']);
  });

  it('gives the first connection one round of attempts', async () => {
    const listener = await echoing();
    const { host, port } = tcpAddressOf(listener);
    const first = createConnection({ host, port, whenOffline: 'fail' });
    afterTest(() => first.close());
    expect(await send(first.openSession('s'))).toMatchObject({ data: bytes });

    for (const each of listener.connections) each.socket.destroy();
    await listener.close();
    const clock = new ManualClock();
    const second = createConnection({ host, port, clock, whenOffline: 'fail' });
    afterTest(() => second.close());
    const waiting = failure(send(second.openSession('s')));

    expect(await waiting).toMatchObject({ code: 'IC_ERR_OFFLINE', executed: 'no' });
    expect((await failure(send(second.openSession('s')))).message).toContain('ECONNREFUSED');
    expect(second.status).toBe('connecting');
  });

  it('does not wait longer than one round for a call that others wait for longer', async () => {
    const listener = await echoing();
    const { host, port } = tcpAddressOf(listener);
    await listener.close();
    const clock = new ManualClock();
    const connection = createConnection({ host, port, clock, whenOffline: 5000 });
    afterTest(() => connection.close());
    const session = connection.openSession('s');
    const [patient, hasty] = [watch(send(session)), watch(send(session, 'fail'))];

    await next(connection, 'connectError');
    await turn();
    expect([patient.length, hasty.length]).toEqual([0, 1]);
    await age(clock, connection, 5000);
    expect(patient).toHaveLength(1);
  });
});

describe('wait', () => {
  it('is the default: a message waits until its own timeout', async () => {
    const { connection, session, clock, lose } = await abandoned();
    await lose();
    const failed = watch(session.send(bytes), session.send(bytes, { timeout: 90_000 }));

    await age(clock, connection, 59_999);
    expect(failed).toEqual([]);
    await age(clock, connection, 60_000);

    expect(failed).toMatchObject([{ code: 'IC_ERR_TIMEOUT', executed: 'no' }]);
  });
});
