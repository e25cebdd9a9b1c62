import { beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, Listener } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { connected, echo, listening } from '../../support/peers/connected.js';
import { failure, thrown } from '../../support/events.js';
import { report, run, start } from '../../support/peers/program.js';

let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ic-'));
  path = join(folder, 'a.sock');
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
});

/** What a process leaves behind that was killed while it listened. */
async function leaveStaleSocket(): Promise<void> {
  await run(new URL('../programs/listens.ts', import.meta.url), [path, 'die']);
  if (!existsSync(path)) throw new Error('The program left no socket.');
}

describe('a connection over a Unix socket', () => {
  it('carries messages, and tells the path as address', async () => {
    const { listener, acceptor, dialer } = await connected({ path });
    echo(acceptor);

    const session = await dialer.createSession('echo');

    expect(await session.send(Buffer.from('x'))).toMatchObject({ data: Buffer.from('x') });
    expect(listener.address).toEqual({ path });
    expect(dialer.peer).toMatchObject({ address: path, port: undefined, encrypted: false });
    expect(acceptor.peer).toMatchObject({ address: path, port: undefined });
  });

  it('leaves no file behind', async () => {
    const { listener } = await connected({ path });

    await listener.close();

    expect(existsSync(path)).toBe(false);
  });

  it('replaces the socket that a dead process left', async () => {
    await leaveStaleSocket();

    const { dialer } = await connected({ path });

    expect(dialer.status).toBe('open');
  });

  it('leaves alone a socket at which another listens', async () => {
    const { listener } = await connected({ path });

    const error = await failure(new Listener({ path }).listen());

    expect(error).toMatchObject({ code: 'IC_ERR_LISTEN', cause: { code: 'EADDRINUSE' } });
    expect(error.message).toContain(path);
    const again = await connect({ path });
    expect(again.status).toBe('open');
    await again.close();
    await listener.close();
  });

  it('leaves alone a socket of another protocol that is busy', async () => {
    const other = createServer().listen(path);
    afterTest(() => other.close());

    expect(await failure(new Listener({ path }).listen())).toMatchObject({ code: 'IC_ERR_LISTEN' });
  });

  it('leaves alone a socket whose process is too busy to answer', async () => {
    const child = start(new URL('../programs/listens.ts', import.meta.url), [path, 'stay']);
    await report(child);
    child.kill('SIGSTOP');
    // Until the kernel takes no more on its behalf.
    const refused = new Promise((resolve) => {
      for (let count = 0; count < 8; count++) {
        const socket = connectSocket(path).on('error', resolve);
        afterTest(() => socket.destroy());
      }
    });
    expect(await refused).toMatchObject({ code: 'EAGAIN' });

    const error = await failure(new Listener({ path }).listen());

    expect(error).toMatchObject({ code: 'IC_ERR_LISTEN', cause: { code: 'EADDRINUSE' } });
    expect(existsSync(path)).toBe(true);
  });

  it('leaves alone a file that is no socket', async () => {
    writeFileSync(path, 'precious');

    const error = await failure(new Listener({ path }).listen());

    expect(error).toMatchObject({ code: 'IC_ERR_LISTEN', cause: { code: 'EADDRINUSE' } });
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });

  it('says that nobody listens there', async () => {
    const error = await failure(connect({ path }));

    expect(error).toMatchObject({
      code: 'IC_ERR_CONNECT',
      executed: 'no',
      cause: { code: 'ENOENT' },
    });
    expect(error.message).toContain(path);
  });

  it('says that the process which listened there is gone', async () => {
    await leaveStaleSocket();

    expect(await failure(connect({ path }))).toMatchObject({
      code: 'IC_ERR_CONNECT',
      cause: { code: 'ECONNREFUSED' },
    });
  });

  it.each([
    ['empty', ''],
    ['longer than the system can hold', `/tmp/${'x'.repeat(103)}`],
  ])('refuses a path that is %s, on both sides', async (_what, bad) => {
    const range = new RegExp(`path .*1 to 107 bytes.* ${bad.length}\\b`);

    const listenError = thrown(() => new Listener({ path: bad }));
    const connectError = await failure(connect({ path: bad }));

    expect(listenError).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(listenError.message).toMatch(range);
    expect(connectError).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(connectError.message).toMatch(range);
  });

  it('takes a path of the greatest length', async () => {
    const longest = join(folder, 'x'.repeat(107 - folder.length - 1));

    const { dialer } = await connected({ path: longest });

    expect(dialer.peer.address).toBe(longest);
  });

  it('refuses a path beside a host or a port', async () => {
    expect(thrown(() => new Listener({ path, port: 0 })).message).toMatch(/path .*excludes/);
    expect(thrown(() => new Listener({ path, host: 'x' })).message).toMatch(/path .*excludes/);
    expect(await failure(connect({ path, port: 1 }))).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(await failure(connect({ path, host: 'x' }))).toMatchObject({ code: 'IC_ERR_OPTION' });
  });

  it('says so when the folder is not there', async () => {
    const missing = join(folder, 'no', 'such.sock');

    expect(await failure(new Listener({ path: missing }).listen())).toMatchObject({
      code: 'IC_ERR_LISTEN',
      cause: expect.objectContaining({ code: expect.stringMatching(/ENOENT|EACCES/) }),
    });
  });

  it('listens again at the same path after it was closed', async () => {
    const listener = await listening({ path });

    await listener.close();

    expect(await listener.listen()).toEqual({ path });
  });
});
