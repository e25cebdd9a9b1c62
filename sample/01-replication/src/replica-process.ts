/** The replica's process, seen by the process that starts it. */
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Announcement } from './replica/replica.main.js';
import { UserError } from './shared/system-error.js';

const MAIN = new URL(import.meta.resolve('./replica/replica.main.js'));
const PATIENCE_MS = 5000;

export class ReplicaProcess {
  private isStopping = false;

  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
    /** A client must show this ticket when it connects. */
    readonly ticket: Buffer,
  ) {}

  /**
   * Resolves when the replica listens. `onDeath` is called if the process ends before
   * `stop` is called.
   */
  static async start(
    target: string,
    port: number,
    onDeath: (why: UserError) => void,
  ): Promise<ReplicaProcess> {
    const ticket = randomBytes(16);
    const child = fork(MAIN, [target, String(port)], {
      env: { ...process.env, REPLICA_TICKET: ticket.toString('hex') },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const exit = once(child, 'exit');
    const first = await Promise.race([once(child, 'message'), exit]);
    const announcement: unknown = first[0];
    if (!isAnnouncement(announcement)) {
      throw new UserError(
        'The replica process ended before it was ready: its output above says why.',
      );
    }
    const listens = 'port' in announcement ? announcement.port : 0;
    const replica = new ReplicaProcess(child, listens, ticket);
    if ('failure' in announcement) {
      await replica.stop();
      throw new UserError(announcement.failure);
    }
    child.once('exit', (code, signal) => {
      const how = signal ?? `exit code ${code}`;
      if (!replica.isStopping || code !== 0) onDeath(new UserError(death(how)));
    });
    return replica;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** When the channel closes, the replica removes its temporary files and ends. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.isStopping = true;
    const exit = once(this.child, 'exit');
    if (this.child.connected) this.child.disconnect();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), PATIENCE_MS);
    await exit;
    clearTimeout(timer);
  }
}

function death(how: string): string {
  return (
    `The replica process died (${how}) before everything was replicated: ` +
    'run the same command again; files that have arrived are kept and not sent twice.'
  );
}

function isAnnouncement(value: unknown): value is Announcement {
  return typeof value === 'object' && value !== null && ('port' in value || 'failure' in value);
}
