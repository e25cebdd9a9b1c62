import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { readArguments } from '../../sample/01-replication/src/arguments.js';
import { makeFolder, removeFolders, write } from '../support/sample/folders.js';

afterEach(removeFolders);

async function here(): Promise<string> {
  const folder = await makeFolder();
  await mkdir(join(folder, 'source/inner'), { recursive: true });
  await mkdir(join(folder, 'target'));
  await symlink('source/inner', join(folder, 'link'));
  await write(folder, { file: '' });
  return folder;
}

describe('the arguments of the sample', () => {
  it('are a folder and a target, which need not exist', async () => {
    const folder = await here();

    expect(
      await readArguments(['source', 'new/one', '--port', '5000', '--delete'], folder),
    ).toEqual({
      folder: join(folder, 'source'),
      target: join(folder, 'new/one'),
      isTemporary: false,
      port: 5000,
      deleteExtraneous: true,
    });
  });

  it('may be left out: what every checkout has goes to a temporary folder', async () => {
    const folder = await here();
    await mkdir(join(folder, 'node_modules/@nestjs'), { recursive: true });

    const args = await readArguments([], folder);

    expect(args).toMatchObject({ isTemporary: true, port: 0, deleteExtraneous: false });
    await rm(args?.target ?? '', { recursive: true });
  });

  it('may ask for help', async () => {
    expect(await readArguments(['--help'], await here())).toBeUndefined();
  });

  it.each([
    ['no such folder', ['nowhere', 'target'], 'There is no folder HERE/nowhere: give a folder'],
    ['a file as folder', ['file', 'target'], 'HERE/file is a file, not a folder: give the folder'],
    [
      'a path through a file',
      ['file/x', 'target'],
      'The folder HERE/file/x cannot be read (ENOTDIR',
    ],
    ['no target', ['source'], 'There is no target for source: use FOLDER TARGET'],
    ['one folder too many', ['source', 'target', 'more'], '"more" is one folder too many: use'],
    ['an empty name', ['source', ''], 'A folder has an empty name: use'],
    ['an unknown option', ['source', 'target', '--fast'], "Unknown option '--fast': use"],
    ['a port that is none', ['source', 'target', '--port', '70000'], '"70000" is not a port: give'],
    ['a port that is a word', ['source', 'target', '--port', 'http'], '"http" is not a port: give'],
    [
      'the folder itself',
      ['source', 'source'],
      'The target HERE/source is the folder itself: give',
    ],
    ['a target in the source', ['source', 'source/new'], 'The target HERE/source/new is inside'],
    ['the same over a link', ['source', 'link/new'], 'The target HERE/link/new is inside'],
    ['a source in the target', ['source', '.'], 'HERE/source is inside the target HERE: give'],
  ])('are refused in one sentence: %s', async (_, argv, sentence) => {
    const folder = await here();

    const reading = readArguments(argv, folder);

    await expect(reading).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringContaining(sentence.replaceAll('HERE', folder)),
    });
    await expect(reading).rejects.toMatchObject({ message: expect.stringMatching(/^[^\n]+\.$/) });
  });
});
