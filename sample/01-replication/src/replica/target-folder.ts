/**
 * The folder the replica may write to, and the guard at its door: a path that came over the wire is
 * turned into a place on the disk here and nowhere else.
 */
import { access, constants, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { InterconnectException } from 'nestjs-interconnect';
import { Reject } from '../shared/messages.js';
import { locate, parent, show, type RawPath } from '../shared/paths.js';
import { describeSystemError, isSystemError, UserError } from '../shared/system-error.js';

export const TARGET = Symbol('TARGET');

@Injectable()
export class TargetFolder {
  private folder = '';

  constructor(@Inject(TARGET) private readonly named: string) {}

  /** The real path of the folder. */
  get root(): string {
    return this.folder;
  }

  /** Makes the folder if there is none, and finds out whether it can be written to. */
  async prepare(): Promise<void> {
    try {
      await makeFolder(this.named);
      if (!(await stat(this.named)).isDirectory()) {
        throw new UserError(`The target ${this.named} is a file, not a folder: give a folder.`);
      }
      await access(this.named, constants.R_OK | constants.W_OK | constants.X_OK);
      this.folder = await realpath(this.named);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      throw new UserError(
        `The target ${this.named} cannot be written to (${describeSystemError(error)}): ` +
          'give a folder in which you may create files.',
      );
    }
  }

  /**
   * Where `path` is. Refuses what leads out of the target: `..`, absolute paths, a NUL, a character
   * that is no byte (cut to one, it could become a dot or a slash), and a parent that is a link.
   * Between this look and the use of its answer the tree could change: the target is for the
   * replica alone, it is not defended against other programs on its own machine.
   */
  async locate(path: RawPath): Promise<Buffer> {
    if (path === '') return this.locateDirectory(path);
    const names = path.split('/');
    if (names.some((name) => name === '' || name === '.' || name === '..')) throw refusal(path);
    if (Array.from(path).some((byte) => byte === '\0' || byte > '\u00ff')) throw refusal(path);
    await this.checkReal(parent(path), path);
    return locate(this.folder, path);
  }

  /** The same for a directory that is to be read: it must not be a link itself. */
  async locateDirectory(path: RawPath): Promise<Buffer> {
    if (path !== '') await this.locate(path);
    await this.checkReal(path, path);
    return locate(this.folder, path);
  }

  /** A directory that is where its path says has no link among its parents. */
  private async checkReal(directory: RawPath, path: RawPath): Promise<void> {
    const place = locate(this.folder, directory);
    const real = await realpath(place, { encoding: 'buffer' });
    if (!real.equals(place)) throw refusal(path);
  }
}

/** `mkdir` with `recursive` never comes back for a path under /proc, where nothing can be made. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === 'EEXIST') return;
    if (error.code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path);
  }
}

function refusal(path: RawPath): InterconnectException {
  return new InterconnectException(
    Reject.PathRefused,
    `the path "${show(path)}" leads out of the target`,
  );
}
