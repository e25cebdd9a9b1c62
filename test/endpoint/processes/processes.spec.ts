import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { connect, type TcpAddress } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { echo, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, until } from '../../support/events.js';
import { fromSource } from '../../support/from-source.js';
import { report, run, start } from '../../support/peers/program.js';

function program(name: string): URL {
  return new URL(`../programs/${name}.ts`, import.meta.url);
}

describe('another process', () => {
  it('that listens and is killed leaves its dialer with errors, and no promise pending', async () => {
    const child = start(program('peer'), ['listen']);
    const { port } = (await report(child)) as TcpAddress;
    const connection = await connect({ host: '127.0.0.1', port, reconnect: false });
    const closed = next(connection, 'close');
    const session = await connection.createSession('echo');
    expect(await session.send(Buffer.from('x'))).toMatchObject({ data: Buffer.from('x') });
    const hang = await connection.createSession('hang');
    const pending = [
      failure(hang.send(Buffer.from('x'))),
      failure(hang.send(Buffer.alloc(8_000_000), { timeout: 0 })),
      failure(connection.openSession('die').send(Buffer.from('now'))),
    ];

    const errors = await Promise.all(pending);

    expect(errors.map(({ code }) => code)).toEqual(errors.map(() => 'IC_ERR_CONNECTION_LOST'));
    expect(errors[0]?.executed).toBe('maybe');
    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
    await until(() => connection.status === 'closed');
    expect(await failure(connect({ host: '127.0.0.1', port }))).toMatchObject({
      code: 'IC_ERR_CONNECT',
    });
  });

  it('that dials and is killed leaves its listener without it', async () => {
    const listener = await listening({ resumeTimeout: 0 });
    const accepted = next(listener, 'connection');
    listener.on('connection', echo);
    const child = start(program('peer'), ['dial', `${tcpAddressOf(listener).port}`]);
    expect(await report(child)).toBe(`${child.pid}`);
    const [connection] = await accepted;
    const closed = next(connection, 'close');

    const outcome = await failure(connection.openSession('die').send(Buffer.from('now')));

    expect(outcome.code).toBe('IC_ERR_CONNECTION_LOST');
    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
    await until(() => listener.connections.size === 0);
  });

  it('ends by itself, with a warning for each error that nobody heard', async () => {
    const { code, stdout, stderr } = await run(program('unheard'));

    expect([code, stdout]).toEqual([0, 'false\n']);
    expect(stderr).toMatch(/InterconnectWarning: A listener failed: broken connection/);
    expect(stderr).toMatch(/InterconnectWarning: A listener failed: broken session/);
    expect(stderr).toMatch(/InterconnectWarning: A listener failed: broken by bytes/);
    expect(stderr).toContain('unheard.ts');
  });

  it('prints its frames where it is asked to, and no payload', async () => {
    const { code, stderr } = await run(program('example'), [], {
      NODE_DEBUG: 'interconnect-frames',
    });

    expect(code).toBe(0);
    for (const type of ['HELLO', 'WELCOME', 'OPEN', 'OPENED', 'SEND', 'ACCEPT', 'CLOSE']) {
      expect(stderr).toMatch(new RegExp(`(dialer|listener) \\d+ -> ${type}\\b`));
      expect(stderr).toMatch(new RegExp(`(dialer|listener) \\d+ <- ${type}\\b`));
    }
    expect(stderr).not.toContain('Test message');
  });

  it('prints the moves of its sockets and connections from state to state if it is asked to', async () => {
    const { code, stderr } = await run(program('example'), [], { NODE_DEBUG: 'interconnect' });

    const moves = stderr.split('\n').map((line) => line.replace(/^INTERCONNECT \d+: /, ''));
    expect(code).toBe(0);
    for (const [from, to, why] of [
      ['PREFACE', 'GREETING', 'eight octets'],
      ['GREETING', 'JUDGING', 'HELLO'],
      ['JUDGING', 'OPEN', 'the application accepts'],
      ['GREETING', 'OPEN', 'WELCOME'],
      ['OPEN', 'CLOSING', 'the application closes'],
      ['OPEN', 'CLOSED', 'CLOSE'],
    ]) {
      const line = new RegExp(`^socket \\d+: ${from} -> ${to}: ${why}$`);
      expect(moves).toContainEqual(expect.stringMatching(line));
    }
    expect(moves).toContain('connection 1: NEW -> ATTACHED: WELCOME without RESUMED');
    expect(moves).toContain('connection 1: ATTACHED -> ENDED: This side closed the connection.');
    expect(stderr).not.toContain('Test message');
  });
});

describe('a worker thread', () => {
  it('dials by itself', async () => {
    const listener = await listening();
    listener.on('connection', echo);
    const worker = new Worker(program('thread'), {
      execArgv: [...fromSource],
      workerData: tcpAddressOf(listener).port,
    });
    afterTest(() => worker.terminate());
    // Both may come in one tick.
    const exit = once(worker, 'exit');

    expect(await once(worker, 'message')).toEqual([true]);
    expect(await exit).toEqual([0]);
  });
});

describe('a cluster', () => {
  it('shares a port among its workers, and outlives one of them', async () => {
    const { code, stdout, stderr } = await run(program('cluster'));

    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'true 2 true\n', stderr: '' });
  });
});
