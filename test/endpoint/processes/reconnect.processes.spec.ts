import { describe, expect, it } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, type TcpAddress } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { failure, next, until } from '../../support/events.js';
import { report, start } from '../../support/peers/program.js';

const program = new URL('../programs/peer.ts', import.meta.url);

/** Its process, and the port that it listens at. */
async function listen(port = 0): Promise<{ child: ChildProcess; port: number }> {
  const child = start(program, ['listen', `${port}`]);
  const address = (await report(child)) as TcpAddress;
  return { child, port: address.port };
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

describe('a listener whose process is killed and started again', () => {
  it('gets what it certainly did not run, and of the rest what may run twice', async () => {
    const { child, port } = await listen();
    const connection = await connect({
      host: '127.0.0.1',
      port,
      reconnect: { minDelay: 1, maxDelay: 50 },
    });
    afterTest(() => connection.close());
    const echo = await connection.createSession('echo');
    const hang = await connection.createSession('hang');
    const first = await echo.send(Buffer.from('first'));
    const lost = failure(hang.send(Buffer.from('lost')));
    const half = failure(hang.send(Buffer.from('half'), { timeout: 0 }));
    const again = hang.send(Buffer.from('again'), { idempotent: true, timeout: 0 });
    const hanging = failure(again);
    // Answered: the messages before it have arrived.
    await connection.ping();
    const renewed = next(connection, 'renew');
    const detached = next(connection, 'detach');

    await kill(child);
    await detached;
    const waiting = echo.send(Buffer.from('waiting'));
    const large = echo.send(Buffer.alloc(1_000_000, 'waiting'));
    const second = await listen(port);
    await renewed;

    expect(first.data.toString()).toBe('first');
    for (const error of [await lost, await half]) {
      expect(error).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    }
    expect((await waiting).data.toString()).toBe('waiting');
    expect((await large).data).toHaveLength(1_000_000);
    expect([echo.status, hang.status]).toEqual(['open', 'open']);
    await until(() => hang.machine.sender.unsettled === 1);
    await kill(second.child);
    await connection.close();
    expect((await hanging).code).toBe('IC_ERR_CLOSED');
  });

  it('again and again loses nothing that was not sent', async () => {
    const { child: first, port } = await listen();
    let child = first;
    const connection = await connect({
      host: '127.0.0.1',
      port,
      reconnect: { minDelay: 1, maxDelay: 50 },
    });
    afterTest(() => connection.close());
    const echo = await connection.createSession('echo');

    for (let round = 0; round < 3; round++) {
      const detached = next(connection, 'detach');
      await kill(child);
      await detached;
      const calls = Array.from({ length: 50 }, (_, index) => echo.send(Buffer.from(`${index}`)));
      ({ child } = await listen(port));
      const answers = (await Promise.all(calls)).map(({ data }) => data.toString());
      expect(answers).toEqual(Array.from({ length: 50 }, (_, index) => `${index}`));
    }
  });
});
