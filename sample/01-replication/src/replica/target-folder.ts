/**
 * The folder that the replica may write to. Only this class turns a path from the wire into a place
 * on the disk, and it refuses paths that leave the folder.
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

  /** Makes the folder if it does not exist, and checks that the replica can write to it. */
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
   * The place of `path` on the disk. Refuses each path that leads out of the target: `..`, absolute
   * paths, a NUL, a parent that is a link, and a character above 0xff (cut to one byte, it could
   * become a dot or a slash). Another program could change the tree between this check and the use
   * of the place. The sample does not defend against programs on the replica's own machine.
   */
  async locate(path: RawPath): Promise<Buffer> {
    if (path === '') return this.locateDirectory(path);
    const names = path.split('/');
    if (names.some((name) => name === '' || name === '.' || name === '..')) throw refusal(path);
    if (Array.from(path).some((byte) => byte === '\0' || byte > '\u00ff')) throw refusal(path);
    await this.checkReal(parent(path), path);
    return locate(this.folder, path);
  }

  /** As `locate`, for a directory that is read. The directory itself must not be a link. */
  async locateDirectory(path: RawPath): Promise<Buffer> {
    if (path !== '') await this.locate(path);
    await this.checkReal(path, path);
    return locate(this.folder, path);
  }

  /** Refuses a directory with a link among its parents: its real path differs from its path. */
  private async checkReal(directory: RawPath, path: RawPath): Promise<void> {
    const place = locate(this.folder, directory);
    const real = await realpath(place, { encoding: 'buffer' });
    if (!real.equals(place)) throw refusal(path);
  }
}

/**
 * Makes a folder and its parents. `mkdir` with `recursive` never resolves for a path under /proc.
 */
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
