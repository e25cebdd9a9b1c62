import { describe, expect, it } from '@jest/globals';
import type { Connection } from 'nestjs-interconnect/core';
import { inSession } from '../../support/peers/connected.js';
import { failure, next, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { Random } from '../../support/random.js';

const soon = { minDelay: 1, maxDelay: 1 };

async function resumed(...ends: Connection[]): Promise<void> {
  await until(() => ends.every(({ status }) => status === 'open'));
}

describe('a connection that is resumed a hundred times', () => {
  it('loses nothing, runs nothing twice, and keeps nothing', async () => {
    const seed = Number(process.env['RESUME_SEED'] ?? Date.now() % 1_000_000);
    const random = new Random(seed);
    const { dialer, acceptor, session, accepted } = await inSession({}, { reconnect: soon });
    const ran: number[] = [];
    accepted.on('message', (message) => {
      ran.push(message.data.readUInt32BE());
      message.respond(message.oneWay ? Buffer.alloc(0) : message.data);
    });
    let count = 0;
    const pending: Promise<unknown>[] = [];
    const send = (): void => {
      const data = Buffer.alloc(random.chance(0.1) ? 90_000 : random.integer(4, 2000));
      data.writeUInt32BE(count++);
      const oneWay = random.chance(0.2);
      pending.push(oneWay ? session.send(data, { oneWay }) : session.send(data));
    };

    for (let round = 0; round < 100; round++) {
      for (let left = random.integer(1, 20); left > 0; left--) send();
      if (random.chance(0.5)) await pending.at(-1);
      const end = random.chance(0.5) ? dialer : acceptor;
      end.socket.destroy();
      await until(() => dialer.status === 'detached' || end.socket.destroyed);
      for (let left = random.integer(0, 5); left > 0; left--) send();
      await next(dialer, 'resume');
    }
    await resumed(dialer, acceptor);
    await Promise.all(pending);

    await until(() => ran.length === count);
    if (ran.some((number, index) => number !== index)) throw new Error(`RESUME_SEED=${seed}`);
    for (const { machine } of [dialer, acceptor]) {
      await until(() => machine.output.sent.isEmpty && machine.output.isEmpty);
      expect(machine.output.sent.isFull).toBe(false);
    }
  }, 60_000);

  it('leaves no timer and no socket when it is closed', async () => {
    const clock = new ManualClock();
    const patience = new ManualClock();
    const before = process.getActiveResourcesInfo();
    const { listener, dialer, acceptor, session, accepted } = await inSession(
      { clock: patience },
      { clock, reconnect: soon },
    );
    accepted.on('message', (message) => message.respond(message.data));
    for (let round = 0; round < 20; round++) {
      dialer.socket.destroy();
      await next(dialer, 'detach');
      clock.advance(1);
      await resumed(dialer, acceptor);
      await session.send(Buffer.from('x'));
    }

    await dialer.close();
    await until(() => acceptor.status === 'closed');
    expect([clock.pending, patience.pending]).toEqual([0, 0]);
    await listener.close();

    const left = (): string[] => {
      const rest = [...before];
      return process.getActiveResourcesInfo().filter((resource) => {
        const at = rest.indexOf(resource);
        if (at >= 0) rest.splice(at, 1);
        return at < 0 && /TCP|Pipe|TLS/u.test(resource);
      });
    };
    await until(() => left().length === 0);
  });

  it('has its messages cancelled and timed out as ever', async () => {
    const clock = new ManualClock();
    const { dialer, acceptor, session, accepted } = await inSession(
      { idleTimeout: 0 },
      { clock, idleTimeout: 0, reconnect: soon },
    );
    const signals: AbortSignal[] = [];
    accepted.on('message', (message) => void signals.push(message.signal));
    const controller = new AbortController();
    const cancelled = failure(session.send(Buffer.from('x'), { signal: controller.signal }));
    const late = failure(session.send(Buffer.from('y'), { timeout: 500 }));
    await until(() => signals.length === 2);

    dialer.socket.destroy();
    await next(dialer, 'detach');
    controller.abort();
    clock.advance(1);
    await resumed(dialer, acceptor);
    await until(() => signals[0]?.aborted === true);
    clock.advance(499);

    expect(await cancelled).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'maybe' });
    expect(await late).toMatchObject({ code: 'IC_ERR_TIMEOUT', executed: 'maybe' });
  });
});
