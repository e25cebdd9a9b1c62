import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Where a server of a test listens: a Unix socket in a folder of its own, on Windows a named pipe. Tests that run at
 * the same time never meet, and no port is taken.
 */
export class InterconnectTestAddress {
  /** For `new InterconnectServer({ path })` and `new InterconnectClient({ path })`. */
  readonly path: string;
  private readonly folder: string | undefined;

  private constructor(path: string, folder: string | undefined) {
    this.path = path;
    this.folder = folder;
  }

  static async create(): Promise<InterconnectTestAddress> {
    if (process.platform === 'win32') {
      return new InterconnectTestAddress(`\\\\.\\pipe\\interconnect-${randomUUID()}`, undefined);
    }
    const folder = await mkdtemp(join(tmpdir(), 'interconnect-'));
    return new InterconnectTestAddress(join(folder, 'socket'), folder);
  }

  /** Removes the folder. */
  async dispose(): Promise<void> {
    if (this.folder !== undefined) await rm(this.folder, { recursive: true, force: true });
  }
}
