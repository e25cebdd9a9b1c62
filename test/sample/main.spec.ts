/** The sample as its user starts it: two processes, what they print, how they end. */
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { InterconnectClient } from 'nestjs-interconnect';
import { firstValueFrom } from 'rxjs';
import { encode, Session } from '../../sample/01-replication/src/shared/messages.js';
import { report, run, start } from '../support/peers/program.js';
import {
  makeFolder,
  removeFolders,
  snapshot,
  write,
  writeVariety,
} from '../support/sample/folders.js';

afterEach(removeFolders);

const MAIN = new URL('../../sample/01-replication/src/main.ts', import.meta.url);
const REPLICA = new URL('../../sample/01-replication/src/replica/replica.main.ts', import.meta.url);

describe('npm start', () => {
  it('ends with "verified: identical"', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await writeVariety(source);

    const { code, stdout, stderr } = await run(MAIN, [source, target]);

    expect(stderr).toBe('');
    expect(stdout).toMatch(/│ files +│ +9 │[^]*│ rejected +│ +0 │[^]*\nverified: identical\n$/);
    expect(code).toBe(0);
    expect(await snapshot(target)).toEqual(await snapshot(source));
  });

  it('ends with "verified: DIFFERENT" and what differs, where something is over', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(target, { over: '' });

    const { code, stdout } = await run(MAIN, [source, target]);

    expect(stdout).toMatch(/\ndiffers: over: only in the target .*\nverified: DIFFERENT\n$/);
    expect(code).toBe(1);
  });

  it('says in one sentence that the port is taken', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;

    const { code, stdout, stderr } = await run(MAIN, [source, target, '--port', String(port)]);
    server.close();

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^Port ${port} of 127.0.0.1 is already in use: [^\n]+\n$`));
  });

  it('says in one sentence that the target is a file', async () => {
    const [source, parent] = [await makeFolder(), await makeFolder()];
    await write(parent, { file: '' });

    const { code, stderr } = await run(MAIN, [source, join(parent, 'file')]);

    expect(code).toBe(1);
    expect(stderr).toBe(
      `The target ${join(parent, 'file')} is a file, not a folder: give a folder.\n`,
    );
  });

  it('stops both processes at Ctrl-C and leaves no temporaries', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { large: Buffer.alloc(64 * 1024 * 1024) });
    const main = start(MAIN, [source, target]);
    let [stdout, stderr] = ['', ''];
    main.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    main.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (/replica in process/.test(text)) main.kill('SIGINT');
    });

    await once(main, 'close');

    expect(stderr).toBe(
      'Stopped by SIGINT: files that have arrived are kept; run the same command again to go on.\n',
    );
    const replica = Number(/replica in process (\d+)/.exec(stdout)?.[1]);
    expect(() => process.kill(replica, 0)).toThrow('ESRCH');
    expect(await readdir(target)).toEqual([]);
  });
});

describe('the process of the replica', () => {
  it('lets in whoever shows the ticket, and ends when its parent lets go of it', async () => {
    const child = start(REPLICA, [await makeFolder(), '0'], { REPLICA_TICKET: 'cafe' });
    const { port } = (await report(child)) as { port: number };
    const list = async (ticket: string): Promise<Buffer> => {
      const data = Buffer.from(ticket, 'hex');
      const client = new InterconnectClient({ host: '127.0.0.1', port, data });
      const request = encode({ path: '', after: '' });
      try {
        return await firstValueFrom(client.send(Session.ListDirectory, request));
      } finally {
        await client.close();
      }
    };

    await expect(list('')).rejects.toMatchObject({ code: 'IC_ERR_CONNECTION_REJECTED' });
    await expect(list('babe')).rejects.toMatchObject({ code: 'IC_ERR_CONNECTION_REJECTED' });
    expect(JSON.parse((await list('cafe')).toString())).toMatchObject({ entries: [] });

    child.disconnect();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});
