import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { InterconnectRecordBuilder, type InterconnectClient } from 'nestjs-interconnect';
import { firstValueFrom } from 'rxjs';
import { encode, Reject, Session } from '../../sample/01-replication/src/shared/messages.js';
import { ReplicaClient } from '../../sample/01-replication/src/source/replica.client.js';
import { withClient, withReplica } from '../support/sample/applications.js';
import { makeFolder, removeFolders, write } from '../support/sample/folders.js';

afterEach(removeFolders);

const HALLO = Buffer.from('hallo');

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Sends `data` to a session of a fresh replica of `target`; resolves with the answer. */
function ask(target: string, session: string, data: Buffer): Promise<Buffer> {
  return talk(target, (client) => firstValueFrom(client.send(session, data)));
}

function talk<T>(target: string, use: (client: InterconnectClient) => Promise<T>): Promise<T> {
  return withReplica(target, (port) => withClient(port, use));
}

function sendChunk(
  client: InterconnectClient,
  metadata: Record<string, string>,
  data = HALLO,
): Promise<Buffer> {
  const record = new InterconnectRecordBuilder(data).setMetadata(metadata).build();
  return firstValueFrom(client.send(Session.SendChunk, record));
}

describe('the paths a replica takes', () => {
  it.each([
    ['../outside', 'a parent'],
    ['a/../../outside', 'a parent further in'],
    ['a/./b', 'a folder itself'],
    ['/etc/outside', 'an absolute path'],
    ['a//b', 'an empty name'],
    ['a/', 'an empty name at the end'],
    ['nul\0byte', 'a NUL'],
    ['\u012e\u012e/outside', 'characters that turn into dots when they are cut to bytes'],
    ['..\u012foutside', 'a character that turns into a slash when it is cut to a byte'],
    ['link/outside', 'a parent that is a link'],
  ])('do not include %j: %s', async (path) => {
    const [target, outside] = [await makeFolder(), await makeFolder()];
    await mkdir(join(target, 'a'));
    await symlink(outside, join(target, 'link'));
    const requests: [session: string, document: object][] = [
      [Session.BeginFile, { path, size: 5, mode: 0o644 }],
      [Session.CreateDirectory, { path, mode: 0o755 }],
      [Session.CreateLink, { path, target: 'x' }],
      [Session.SetMode, { path, mode: 0o777 }],
      [Session.Remove, { path }],
      [Session.HashFile, { path }],
      [Session.ListDirectory, { path, after: '' }],
    ];

    await talk(target, async (client) => {
      for (const [session, document] of requests) {
        const answer = firstValueFrom(client.send(session, encode(document)));
        await expect(answer).rejects.toMatchObject({ code: Reject.PathRefused });
      }
    });

    expect(await readdir(outside)).toEqual([]);
  });

  it('do not lead through a link that is asked for itself', async () => {
    const [target, outside] = [await makeFolder(), await makeFolder()];
    await write(outside, { secret: 'secret' });
    await symlink(outside, join(target, 'folder'));
    await symlink(join(outside, 'secret'), join(target, 'file'));

    const listing = ask(target, Session.ListDirectory, encode({ path: 'folder', after: '' }));
    await expect(listing).rejects.toMatchObject({ code: Reject.PathRefused });
    const fingerprint = ask(target, Session.HashFile, encode({ path: 'file' }));
    await expect(fingerprint).rejects.toMatchObject({ code: Reject.Storage });
    await ask(target, Session.Remove, encode({ path: 'folder' }));
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });

  it('include the target itself, but not to remove it', async () => {
    const target = await makeFolder();

    const removal = ask(target, Session.Remove, encode({ path: '' }));

    await expect(removal).rejects.toMatchObject({ code: Reject.PathRefused });
  });
});

describe('what a replica rejects', () => {
  it.each([
    ['no JSON', Buffer.from('{')],
    ['no object', Buffer.from('null')],
    ['a field too few', encode({ path: 'a', size: 1 })],
    ['a field of another kind', encode({ path: 7, size: 1, mode: 0 })],
    ['a count below zero', encode({ path: 'a', size: -1, mode: 0 })],
    ['a count that is no integer', encode({ path: 'a', size: 0.5, mode: 0 })],
  ])('%s', async (_, data) => {
    const answer = ask(await makeFolder(), Session.BeginFile, data);

    await expect(answer).rejects.toMatchObject({ code: Reject.Malformed });
  });

  it('a chunk without its metadata, or of no transfer', async () => {
    await talk(await makeFolder(), async (client) => {
      const chunk = { transfer: '1', offset: '0', sha256: sha256(HALLO) };
      await expect(sendChunk(client, {})).rejects.toMatchObject({ code: Reject.Malformed });
      await expect(sendChunk(client, { ...chunk, offset: 'x' })).rejects.toMatchObject({
        code: Reject.Malformed,
      });
      await expect(sendChunk(client, chunk)).rejects.toMatchObject({
        code: Reject.UnknownTransfer,
      });
    });
  });

  it.each([
    ['a gap', { offset: '1' }, Reject.OffsetGap],
    ['a chunk with another hash', { sha256: sha256(Buffer.from('other')) }, Reject.ChunkCorrupt],
  ])('%s, and all that follows, for the same reason', async (_, fault, code) => {
    const target = await makeFolder();
    await talk(target, async (client) => {
      const replica = new ReplicaClient(client);
      const { transfer } = await replica.beginFile({ path: 'file', size: 10, mode: 0o600 });
      const chunk = { transfer: String(transfer), offset: '0', sha256: sha256(HALLO) };

      await expect(sendChunk(client, { ...chunk, ...fault })).rejects.toMatchObject({ code });
      await expect(sendChunk(client, chunk)).rejects.toMatchObject({ code });
      const commit = replica.commitFile({ transfer, size: 5, sha256: sha256(HALLO) });
      await expect(commit).rejects.toMatchObject({ code });
      await replica.abortFile({ transfer });
      expect(await readdir(target)).toEqual([]);
    });
  });

  it.each([
    ['of another length than announced', 6, 6, sha256(HALLO)],
    ['of another length than promised', 5, 4, sha256(HALLO)],
    ['with another hash than promised', 5, 5, sha256(Buffer.from('other'))],
  ])('a whole file %s', async (_, announced, promised, hash) => {
    const target = await makeFolder();
    await write(target, { file: 'the old one' });
    await talk(target, async (client) => {
      const replica = new ReplicaClient(client);
      const { transfer } = await replica.beginFile({ path: 'file', size: announced, mode: 0o600 });
      await replica.sendChunk({ transfer, offset: 0, sha256: sha256(HALLO) }, HALLO);

      const commit = replica.commitFile({ transfer, size: promised, sha256: hash });

      await expect(commit).rejects.toMatchObject({ code: Reject.FileCorrupt });
      await replica.abortFile({ transfer });
    });
    expect(await readdir(target)).toEqual(['file']);
    expect(await readFile(join(target, 'file'), 'utf8')).toBe('the old one');
  });

  it('more bytes than were announced', async () => {
    await talk(await makeFolder(), async (client) => {
      const replica = new ReplicaClient(client);
      const { transfer } = await replica.beginFile({ path: 'file', size: 4, mode: 0o600 });

      const chunk = replica.sendChunk({ transfer, offset: 0, sha256: sha256(HALLO) }, HALLO);

      await expect(chunk).rejects.toMatchObject({ code: Reject.FileCorrupt });
    });
  });
});

describe('a replica', () => {
  it('shows a file under its name only when it is whole', async () => {
    const target = await makeFolder();
    await talk(target, async (client) => {
      const replica = new ReplicaClient(client);
      const { transfer } = await replica.beginFile({ path: 'file', size: 5, mode: 0o640 });
      await replica.sendChunk({ transfer, offset: 0, sha256: sha256(HALLO) }, HALLO);
      expect((await replica.listDirectory('')).entries).toEqual([]);

      await replica.commitFile({ transfer, size: 5, sha256: sha256(HALLO) });

      expect((await replica.listDirectory('')).entries).toEqual([
        { name: 'file', type: 'file', mode: 0o640, size: 5, target: '' },
      ]);
    });
  });

  it('leaves no temporaries when it ends while files are on their way', async () => {
    const target = await makeFolder();

    await talk(target, async (client) => {
      const replica = new ReplicaClient(client);
      await replica.beginFile({ path: 'file', size: 5, mode: 0o600 });
      expect(await readdir(target)).toHaveLength(1);
    });

    expect(await readdir(target)).toEqual([]);
  });

  it('lists a large folder page by page, in the order of the names', async () => {
    const target = await makeFolder();
    const names = Array.from({ length: 1001 }, (_, number) => `file-${number}`);
    await Promise.all(names.map((name) => writeFile(join(target, name), '')));

    const { entries } = await talk(target, (client) => new ReplicaClient(client).listDirectory(''));

    expect(entries.map((entry) => entry.name)).toEqual(names.toSorted());
  });
});
