/** Compares a directory of the source with the same directory of the replica. */
import { Inject, Injectable } from '@nestjs/common';
import { readDirectory, readEntry } from '../shared/directory.js';
import { fingerprint } from '../shared/hash.js';
import type { Entry } from '../shared/messages.js';
import { child, locate, type RawPath } from '../shared/paths.js';
import type { Totals } from './progress.js';
import { ReplicaClient } from './replica.client.js';
import { SETTINGS, type SourceSettings } from './settings.js';

/** The entries with one path on both sides. One of them may be missing. */
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

  /** The entries of a directory. An entry that only one side has is included too. */
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

  /** Whether two files have the same content. If the sizes differ, neither file is read. */
  async haveSameContent(path: RawPath, own: Entry, theirs: Entry): Promise<boolean> {
    if (own.size !== theirs.size) return false;
    const place = locate(this.settings.folder, path);
    const [ours, other] = await Promise.all([
      fingerprint(place, this.settings.signal),
      this.replica.hashFile(path, own.size),
    ]);
    return ours.sha256 === other.sha256;
  }

  /**
   * Counts the files and bytes of the source. Entries that cannot be read are left out; the
   * replication reports them later.
   */
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
