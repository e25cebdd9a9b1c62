import { appendFileSync } from 'node:fs';
import { mkdir, readdir, rm, stat, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { TransfersService } from '../../sample/01-replication/src/replica/transfers.service.js';
import type { ChunkHeader } from '../../sample/01-replication/src/shared/messages.js';
import { ReplicaClient } from '../../sample/01-replication/src/source/replica.client.js';
import { replicate, type Variation } from '../support/sample/applications.js';
import {
  makeFolder,
  noise,
  removeFolders,
  snapshot,
  write,
  writeVariety,
} from '../support/sample/folders.js';

afterEach(removeFolders);

describe('replicating a folder', () => {
  it('makes an identical tree: contents, names, modes, links, empty folders', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await writeVariety(source);

    const { report, differences } = await replicate(source, target);

    expect(differences).toEqual([]);
    expect(await snapshot(target)).toEqual(await snapshot(source));
    expect(report).toMatchObject({ files: 9, directories: 7, links: 2, rejected: 0, failed: 0 });
  });

  it('makes the target if there is none', async () => {
    const [source, parent] = [await makeFolder(), await makeFolder()];
    await write(source, { a: 'a' });

    const { differences } = await replicate(source, join(parent, 'not/there/yet'));

    expect(differences).toEqual([]);
    expect(await snapshot(join(parent, 'not/there/yet'))).toEqual(await snapshot(source));
  });

  it('sends nothing the second time', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await writeVariety(source);
    await replicate(source, target);

    const { report, differences } = await replicate(source, target);

    expect(report).toMatchObject({ files: 9, unchanged: 9, bytes: 0 });
    expect(differences).toEqual([]);
  });

  it('sends what has changed, also where length and time are the same', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { same: 'same', changed: 'before', link: '' });
    await replicate(source, target);
    await write(source, { changed: 'behind', added: 'new' });
    await unlink(join(source, 'link'));
    await symlink('same', join(source, 'link'));

    const { report, differences } = await replicate(source, target);

    expect(report).toMatchObject({ unchanged: 1, bytes: 'behindnew'.length });
    expect(differences).toEqual([]);
    expect(await snapshot(target)).toEqual(await snapshot(source));
  });

  it('keeps what only the target has, and says so', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(target, { 'notes/of mine.txt': 'keep' });

    const { differences } = await replicate(source, target);

    expect(differences).toEqual(['notes: only in the target (--delete removes it)']);
    expect(await readdir(join(target, 'notes'))).toEqual(['of mine.txt']);
  });

  it('removes with --delete what only the target has, and a folder where a file belongs', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { name: 'a file' });
    await write(target, { 'name/in a folder': '', 'other/x': '', y: '' });

    const { report, differences } = await replicate(source, target, { deleteExtraneous: true });

    expect(report.deleted).toBe(3);
    expect(differences).toEqual([]);
    expect(await snapshot(target)).toEqual(await snapshot(source));
  });

  it('does not put a file in the place of a folder without being told to', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { name: 'a file', other: 'goes on' });
    await write(target, { 'name/precious': '' });

    const { report, differences, lines } = await replicate(source, target);

    expect(lines).toEqual([expect.stringMatching(/^failed: name: .*--delete replaces it/)]);
    expect(report).toMatchObject({ failed: 1, rejected: 1, retried: 0 });
    expect(differences).toEqual(['name: a file, there a directory']);
    expect(Object.keys(await snapshot(target))).toEqual([
      '.',
      './name',
      './name/precious',
      './other',
    ]);
  });

  it('removes the temporaries of a run that was killed', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { 'a/b': 'b' });
    await write(target, { 'a/.interconnect-0123456789ab-7.part': 'half of something' });

    const { differences } = await replicate(source, target);

    expect(differences).toEqual([]);
    expect(await readdir(join(target, 'a'))).toEqual(['b']);
  });

  it('ends with the reason of the signal', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { a: 'a' });
    const signal = AbortSignal.abort(new Error('Stopped by a test.'));

    await expect(replicate(source, target, { signal })).rejects.toThrow('Stopped by a test.');
  });
});

describe('replicating a file that goes wrong', () => {
  const CONTENT = noise(1024 * 1024);

  /** A client that lets `meddle` see, and change, each chunk with its number. */
  function meddling(meddle: (number: number, data: Buffer) => Promise<Buffer>): Variation {
    let number = 0;
    class MeddlingClient extends ReplicaClient {
      override async sendChunk(header: ChunkHeader, data: Buffer): Promise<void> {
        await super.sendChunk(header, await meddle(number++, data));
      }
    }
    return { client: MeddlingClient };
  }

  function corrupted(data: Buffer): Buffer {
    const copy = Buffer.from(data);
    copy.writeUInt8(copy.readUInt8(1000) ^ 1, 1000);
    return copy;
  }

  it('sends a file again of which a chunk was corrupted', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { file: CONTENT });

    const { report, differences, lines } = await replicate(
      source,
      target,
      meddling(async (number, data) => (number === 2 ? corrupted(data) : data)),
    );

    expect(report).toMatchObject({ rejected: 1, retried: 1, failed: 0, bytes: CONTENT.length });
    expect(lines).toEqual([
      'again: file: rejected by the replica: the SHA-256 of a chunk at offset 524288 is wrong',
    ]);
    expect(differences).toEqual([]);
    expect(await readdir(target)).toEqual(['file']);
  });

  it('gives up after three attempts, and goes on with the rest', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { file: CONTENT, other: '' });

    const { report, differences, lines } = await replicate(
      source,
      target,
      meddling(async (_, data) => corrupted(data)),
    );

    expect(report).toMatchObject({ rejected: 3, retried: 2, failed: 1, bytes: 0 });
    expect(lines.at(-1)).toMatch(/^failed: file: rejected by the replica: the SHA-256 of a chunk/);
    expect(differences).toEqual(['file: missing in the target']);
    expect(await readdir(target)).toEqual(['other']);
  });

  it('reports a file that vanishes while it is read', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { file: CONTENT, other: '' });

    const { report, lines } = await replicate(
      source,
      target,
      meddling(async (_, data) => {
        await rm(join(source, 'file'), { force: true });
        return data;
      }),
    );

    expect(lines).toEqual(['failed: file: it vanished before it was read to its end']);
    expect(report).toMatchObject({ files: 2, failed: 1, retried: 0 });
    expect(await readdir(target)).toEqual(['other']);
  });

  it('reads a file anew that changes while it is read', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { file: CONTENT });

    const { report, differences, lines } = await replicate(
      source,
      target,
      meddling(async (number, data) => {
        if (number === 0) appendFileSync(join(source, 'file'), 'more');
        return data;
      }),
    );

    expect(lines).toEqual(['again: file: it changed while it was read']);
    expect(report).toMatchObject({ failed: 0, rejected: 0, retried: 1 });
    expect(differences).toEqual([]);
    expect((await stat(join(target, 'file'))).size).toBe(CONTENT.length + 4);
  });

  it('says which file the disk of the replica had no room for', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await write(source, { large: CONTENT, small: 'fits' });
    class FullDisk extends TransfersService {
      override async write(chunk: ChunkHeader, data: Buffer): Promise<void> {
        if (chunk.offset === 0) return super.write(chunk, data);
        const error = new Error('ENOSPC: no space left on device, write');
        throw Object.assign(error, { code: 'ENOSPC', errno: -28, syscall: 'write' });
      }
    }

    const { report, differences, lines } = await replicate(source, target, { transfers: FullDisk });

    expect(lines).toEqual([
      'again: large: rejected by the replica: the disk is full (ENOSPC)',
      'failed: large: rejected by the replica: the disk is full (ENOSPC)',
    ]);
    expect(report).toMatchObject({ failed: 1, bytes: 'fits'.length });
    expect(differences).toEqual(['large: missing in the target']);
    expect(await readdir(target)).toEqual(['small']);
  });

  it('sends a file once more for which there was no room beside the others', async () => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await mkdir(join(source, 'folder'));
    await write(source, { 'folder/file': CONTENT });
    let full = true;
    class FullForAMoment extends TransfersService {
      override async write(chunk: ChunkHeader, data: Buffer): Promise<void> {
        if (!full) return super.write(chunk, data);
        full = false;
        throw Object.assign(new Error('full'), { code: 'ENOSPC', errno: -28, syscall: 'write' });
      }
    }

    const { report, differences } = await replicate(source, target, { transfers: FullForAMoment });

    expect(report).toMatchObject({ failed: 0, retried: 1 });
    expect(differences).toEqual([]);
  });
});
