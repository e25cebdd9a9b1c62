/** Everything in the target except the content of files: directories, links, modes and removals. */
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, rm, symlink, unlink } from 'node:fs/promises';
import { Inject, Injectable } from '@nestjs/common';
import { InterconnectException } from 'nestjs-interconnect';
import { PERMISSIONS, readEntries, readNames } from '../shared/directory.js';
import { fingerprint } from '../shared/hash.js';
import {
  LISTING_SIZE,
  Reject,
  type CreateLink,
  type Fingerprint,
  type ListDirectory,
  type Listing,
  type OnePath,
  type PathAndMode,
} from '../shared/messages.js';
import { child, isLeftover, isTemporary, toBytes, type RawPath } from '../shared/paths.js';
import { isSystemError } from '../shared/system-error.js';
import { TargetFolder } from './target-folder.js';

/** The replica must be able to write to a directory until all of its content is there. */
const OWNER_ALL = 0o700;

@Injectable()
export class TreeService {
  /**
   * A part of the name of each temporary file of this process. Other temporary files are leftovers
   * of former runs.
   */
  readonly run = randomBytes(6).toString('hex');

  constructor(@Inject(TargetFolder) private readonly target: TargetFolder) {}

  async list({ path, after }: ListDirectory): Promise<Listing> {
    const { mode } = await lstat(await this.target.locateDirectory(path));
    const names = await readNames(this.target.root, path);
    if (after === '') await this.removeLeftovers(path, names);

    const rest = names.filter((name) => name > after && !isTemporary(name));
    const page = rest.slice(0, LISTING_SIZE);
    return {
      mode: mode & PERMISSIONS,
      entries: await readEntries(this.target.root, path, page),
      more: rest.length > page.length,
    };
  }

  /**
   * Makes a directory, or makes an existing one writable. The directory gets its final mode at the
   * end.
   */
  async createDirectory({ path, mode }: PathAndMode): Promise<void> {
    const place = await this.target.locate(path);
    if (!(await this.isDirectory(place))) {
      await rm(place, { force: true });
      await mkdir(place);
    }
    await chmod(place, mode | OWNER_ALL);
  }

  async createLink({ path, target }: CreateLink): Promise<void> {
    const place = await this.placeForContent(path);
    await rm(place, { force: true });
    await symlink(toBytes(target), place);
  }

  async setMode({ path, mode }: PathAndMode): Promise<void> {
    const place = await this.target.locate(path);
    if ((await lstat(place)).isSymbolicLink()) return; // chmod would follow the link
    await chmod(place, mode);
  }

  async remove({ path }: OnePath): Promise<void> {
    if (path === '') throw new InterconnectException(Reject.PathRefused, 'the target itself stays');
    await rm(await this.target.locate(path), { recursive: true, force: true });
  }

  async hashFile({ path }: OnePath): Promise<Fingerprint> {
    return fingerprint(await this.target.locate(path));
  }

  /** The place for a file or a link. An existing entry may be replaced, unless it is a folder. */
  async placeForContent(path: RawPath): Promise<Buffer> {
    const place = await this.target.locate(path);
    if (!(await this.isDirectory(place))) return place;
    throw new InterconnectException(
      Reject.Conflict,
      'a folder of that name stands in the target (--delete replaces it)',
    );
  }

  private async isDirectory(place: Buffer): Promise<boolean> {
    try {
      return (await lstat(place)).isDirectory();
    } catch (error) {
      if (isSystemError(error) && error.code === 'ENOENT') return false;
      throw error;
    }
  }

  private async removeLeftovers(directory: RawPath, names: readonly RawPath[]): Promise<void> {
    for (const name of names.filter((each) => isLeftover(each, this.run))) {
      const place = await this.target.locate(child(directory, name));
      await unlink(place).catch(() => undefined); // listings leave the file out in any case
    }
  }
}
