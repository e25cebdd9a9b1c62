/** Who owns the file of a Unix socket: one listener at a time, and nobody removes the file of another. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, Listener } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { next, thrown } from '../../support/events.js';
import { report, run, start } from '../../support/peers/program.js';

let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ic-'));
  path = join(folder, 'a.sock');
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
});

function listener(): Listener {
  const made = new Listener({ path });
  afterTest(() => made.close());
  return made;
}

/** Whether `owner` takes the next connection to the path. */
async function isReachable(owner: Listener): Promise<boolean> {
  const accepted = next(owner, 'connection');
  const connection = await connect({ path, reconnect: false });
  await accepted;
  await connection.close();
  return true;
}

describe('the file of a Unix socket', () => {
  it('belongs to one of several that start at the same time on the file of a dead process', async () => {
    await run(new URL('../programs/listens.ts', import.meta.url), [path, 'die']);
    const listeners = Array.from({ length: 8 }, listener);

    const results = await Promise.allSettled(listeners.map((each) => each.listen()));

    const owners = listeners.filter((_, index) => results[index]?.status === 'fulfilled');
    const errors = results.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(owners).toHaveLength(1);
    expect(errors.map(({ code, cause }) => [code, cause.code])).toEqual(
      errors.map(() => ['IC_ERR_LISTEN', 'EADDRINUSE']),
    );
    expect(await isReachable(owners[0]!)).toBe(true);
    expect(readdirSync(folder)).toEqual(['a.sock']);
  });

  it('belongs to one of several processes', async () => {
    await run(new URL('../programs/listens.ts', import.meta.url), [path, 'die']);
    const children = Array.from({ length: 3 }, () =>
      start(new URL('../programs/listens.ts', import.meta.url), [path, 'stay']),
    );

    const results = await Promise.allSettled(children.map(report));

    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('stays where it is when a former owner closes', async () => {
    const former = listener();
    await former.listen();
    unlinkSync(path);
    const successor = listener();
    await successor.listen();

    await former.close();

    expect(await isReachable(successor)).toBe(true);
  });

  it('goes to the next process while the former finishes what runs', async () => {
    const former = listener();
    former.on('connection', (connection) =>
      connection.on('session', (session) => session.accept()),
    );
    await former.listen();
    const connection = await connect({ path, reconnect: false });
    afterTest(() => connection.close());
    const session = await connection.createSession('s');
    const drained = former.drain({ timeout: 30_000 });
    const successor = listener();

    await successor.listen();

    expect(await isReachable(successor)).toBe(true);
    await session.close();
    await connection.close();
    await drained;
    expect(await isReachable(successor)).toBe(true);
  });

  it('has the permissions of the option mode, from the start', async () => {
    const open = listener();
    await open.listen();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await open.close();

    const shared = new Listener({ path, mode: 0o660 });
    afterTest(() => shared.close());
    await shared.listen();

    expect(statSync(path).mode & 0o777).toBe(0o660);
  });

  it('is replaced although a lock was left behind, and not before its time', async () => {
    const lock = `${path}.lock`;
    writeFileSync(lock, '');
    utimesSync(lock, new Date(0), new Date(0));
    const owner = listener();

    await owner.listen();

    expect(await isReachable(owner)).toBe(true);
    expect(readdirSync(folder)).toEqual(['a.sock']);
  });

  it('is left to whoever holds the lock when its owner closes', async () => {
    const owner = listener();
    await owner.listen();
    writeFileSync(`${path}.lock`, '');

    await owner.close();

    expect(existsSync(path)).toBe(true);
  });

  it('waits for the lock of another process', async () => {
    writeFileSync(`${path}.lock`, '');
    const owner = listener();
    const listening = owner.listen();
    // It is bound to its temporary name by now, and looks at the lock again and again.
    const bound = (): boolean => readdirSync(folder).length === 2;
    while (!bound()) await new Promise(setImmediate);
    expect(existsSync(path)).toBe(false);

    rmSync(`${path}.lock`);

    expect(await listening).toEqual({ path });
  });

  it('leaves nothing behind when another server has the path', async () => {
    const other = createServer().listen(path);
    afterTest(() => other.close());
    await once(other, 'listening');

    await expect(listener().listen()).rejects.toMatchObject({ code: 'IC_ERR_LISTEN' });

    expect(readdirSync(folder)).toEqual(['a.sock']);
  });

  it('cannot be made if the folder leaves no room for a temporary name', async () => {
    const tight = join(folder, 'd'.repeat(104 - folder.length - 1), 'a');
    const refused = new Listener({ path: tight });

    await expect(refused.listen()).rejects.toMatchObject({
      code: 'IC_ERR_LISTEN',
      message: expect.stringContaining('Choose a folder with a shorter path'),
    });
  });

  it('is not removed from a folder that became read-only, and close() succeeds', async () => {
    const owner = listener();
    await owner.listen();
    chmodSync(folder, 0o500);
    afterTest(() => chmodSync(folder, 0o700));

    await owner.close();

    expect(owner.address).toBeUndefined();
  });

  it.each([
    ['no permissions', { path: '/x', mode: 0o1000 }, 'mode must be an integer from 0 to 511'],
    ['text', { path: '/x', mode: '0600' as never }, 'mode must be an integer'],
    ['without a path', { port: 0, mode: 0o600 }, 'Leave mode out'],
  ])('has no mode that is %s', (_what, options, text) => {
    const error = thrown(() => new Listener(options));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(error.message).toContain(text);
  });
});
