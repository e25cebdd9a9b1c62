/** Puts a directory of the source and the same directory of the replica side by side. */
import { Inject, Injectable } from '@nestjs/common';
import { readDirectory, readEntry } from '../shared/directory.js';
import { fingerprint } from '../shared/hash.js';
import type { Entry } from '../shared/messages.js';
import { child, locate, type RawPath } from '../shared/paths.js';
import type { Totals } from './progress.js';
import { ReplicaClient } from './replica.client.js';
import { SETTINGS, type SourceSettings } from './settings.js';

/** What stands under one path on the two sides; one of them may have nothing there. */
export interface Pair {
  readonly path: RawPath;
  readonly own: Entry | undefined;
  readonly theirs: Entry | undefined;
}

@Injectable()
export class ComparisonService {
  constructor(
    @Inject(SETTINGS) private readonly settings: SourceSettings,
    @Inject(ReplicaClient) private readonly replica: ReplicaClient,
  ) {}

  /** The two folders themselves. */
  async root(): Promise<Pair> {
    const own = await readEntry(this.settings.folder, '', '');
    const { mode } = await this.replica.listDirectory('');
    return { path: '', own, theirs: { name: '', type: 'directory', mode, size: 0, target: '' } };
  }

  /** The entries of a directory that both sides have. */
  async pairs(directory: RawPath): Promise<Pair[]> {
    const [own, theirs] = await Promise.all([
      readDirectory(this.settings.folder, directory),
      this.replica.listDirectory(directory),
    ]);
    const ownByName = new Map(own.map((entry) => [entry.name, entry]));
    const theirsByName = new Map(theirs.entries.map((entry) => [entry.name, entry]));
    const names = new Set([...ownByName.keys(), ...theirsByName.keys()]);
    return Array.from(names, (name) => ({
      path: child(directory, name),
      own: ownByName.get(name),
      theirs: theirsByName.get(name),
    }));
  }

  /** Whether two files have the same content. Sizes that differ spare the reading. */
  async haveSameContent(path: RawPath, own: Entry, theirs: Entry): Promise<boolean> {
    if (own.size !== theirs.size) return false;
    const place = locate(this.settings.folder, path);
    const [ours, other] = await Promise.all([
      fingerprint(place, this.settings.signal),
      this.replica.hashFile(path, own.size),
    ]);
    return ours.sha256 === other.sha256;
  }

  /** How much there is in the source. What cannot be read is met again, and reported, later. */
  async count(directory: RawPath = ''): Promise<Totals> {
    this.settings.signal.throwIfAborted();
    const entries = await readDirectory(this.settings.folder, directory).catch((): Entry[] => []);
    let files = 0;
    let bytes = 0;
    for (const entry of entries) {
      if (entry.type === 'file') files++;
      bytes += entry.size;
      if (entry.type !== 'directory') continue;
      const below = await this.count(child(directory, entry.name));
      files += below.files;
      bytes += below.bytes;
    }
    return { files, bytes };
  }
}
