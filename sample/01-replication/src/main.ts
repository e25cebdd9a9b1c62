/**
 * Replicates a folder: starts the replica in a process of its own, sends the differences, and
 * compares the two trees at the end. This process is the source. Start reading here. Go on with
 * `source/replication.service.ts` and `replica/replica.controller.ts`, which talk to each other.
 */
import { rm } from 'node:fs/promises';
import { NestFactory } from '@nestjs/core';
import { readArguments, USAGE, type Arguments } from './arguments.js';
import { ReplicaProcess } from './replica-process.js';
import { UserError } from './shared/system-error.js';
import { ReplicationService } from './source/replication.service.js';
import { Report } from './source/report.js';
import { SourceModule } from './source/source.module.js';
import { VerificationService } from './source/verification.service.js';

const DIFFERENCES_SHOWN = 20;

/** Ends all work of the run. Its reason says why: Ctrl-C, or the replica died. */
const end = new AbortController();

async function replicate(args: Arguments): Promise<boolean> {
  const replica = await ReplicaProcess.start(args.target, args.port, (why) => end.abort(why));
  try {
    say(`from  ${args.folder}`);
    say(`to    ${args.target}${args.isTemporary ? ' (removed at the end)' : ''}`);
    say(`over  127.0.0.1:${replica.port}, replica in process ${replica.pid}`);
    return await runSource(args, replica);
  } finally {
    await replica.stop();
  }
}

async function runSource(args: Arguments, replica: ReplicaProcess): Promise<boolean> {
  const settings = { ...args, signal: end.signal };
  const client = { host: '127.0.0.1', port: replica.port, data: replica.ticket };
  const app = await NestFactory.createApplicationContext(SourceModule.forRoot(settings, client), {
    logger: ['error', 'fatal'], // no warnings: if the replica dies, this program says so itself
  });
  try {
    await app.get(ReplicationService).run();
    const report = app.get(Report);
    say(report.toTable());
    const differences = await app.get(VerificationService).run();
    sayVerdict(differences);
    return differences.length === 0 && report.failed === 0;
  } finally {
    await app.close();
  }
}

function sayVerdict(differences: readonly string[]): void {
  for (const difference of differences.slice(0, DIFFERENCES_SHOWN)) say(`differs: ${difference}`);
  const more = differences.length - DIFFERENCES_SHOWN;
  if (more > 0) say(`differs: and ${more} more`);
  say(`verified: ${differences.length === 0 ? 'identical' : 'DIFFERENT'}`);
}

async function main(): Promise<number> {
  let args: Arguments | undefined;
  try {
    // npm starts this program in the folder of the package, and INIT_CWD is the folder of the user
    args = await readArguments(process.argv.slice(2), process.env['INIT_CWD'] ?? process.cwd());
    if (args === undefined) {
      say(USAGE);
      return 0;
    }
    return (await replicate(args)) ? 0 : 1;
  } catch (error) {
    const reason: unknown = end.signal.aborted ? end.signal.reason : error;
    process.stderr.write(`${reason instanceof Error ? reason.message : String(reason)}\n`);
    return 1;
  } finally {
    if (args?.isTemporary) await rm(args.target, { recursive: true, force: true });
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    end.abort(
      new UserError(
        `Stopped by ${signal}: files that have arrived are kept; run the same command again to go on.`,
      ),
    );
  });
}
process.exitCode = await main();
