/** Runs the two applications of the sample in this process. A test may replace parts of them. */
import type { INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { InterconnectClient, InterconnectServer } from 'nestjs-interconnect';
import { ReplicaModule } from '../../../sample/01-replication/src/replica/replica.module.js';
import { TargetFolder } from '../../../sample/01-replication/src/replica/target-folder.js';
import { TransfersService } from '../../../sample/01-replication/src/replica/transfers.service.js';
import { Progress } from '../../../sample/01-replication/src/source/progress.js';
import { ReplicaClient } from '../../../sample/01-replication/src/source/replica.client.js';
import { ReplicationService } from '../../../sample/01-replication/src/source/replication.service.js';
import { Report } from '../../../sample/01-replication/src/source/report.js';
import { SourceModule } from '../../../sample/01-replication/src/source/source.module.js';
import { VerificationService } from '../../../sample/01-replication/src/source/verification.service.js';

const HOST = '127.0.0.1';

export interface Variation {
  readonly deleteExtraneous?: boolean;
  readonly signal?: AbortSignal;
  readonly client?: typeof ReplicaClient;
  readonly transfers?: typeof TransfersService;
}

export interface Outcome {
  readonly report: Report;
  readonly differences: readonly string[];
  /** The lines that the user saw during the run. */
  readonly lines: readonly string[];
}

class RecordedProgress extends Progress {
  readonly lines: string[] = [];

  line(text: string): void {
    this.lines.push(text);
  }

  stop(): void {}

  protected show(): void {}

  protected update(): void {}
}

/** Starts a replica of `target`, and runs `use` with the replica's port. */
export async function withReplica<T>(
  target: string,
  use: (port: number) => Promise<T>,
  transfers: typeof TransfersService = TransfersService,
): Promise<T> {
  const module = await Test.createTestingModule({ imports: [ReplicaModule.forRoot(target)] })
    .overrideProvider(TransfersService)
    .useClass(transfers)
    .compile();
  const app = module.createNestMicroservice({
    strategy: new InterconnectServer({ host: HOST, port: 0 }),
    logger: false,
  });
  try {
    const address: { port: number } = await app.listen();
    await app.get(TargetFolder).prepare();
    return await use(address.port);
  } finally {
    await app.close();
  }
}

/** Replicates and verifies, as `main.ts` of the sample does. */
export function replicate(
  folder: string,
  target: string,
  variation: Variation = {},
): Promise<Outcome> {
  const run = (port: number): Promise<Outcome> => runSource(folder, port, variation);
  return withReplica(target, run, variation.transfers);
}

async function runSource(folder: string, port: number, variation: Variation): Promise<Outcome> {
  const progress = new RecordedProgress();
  const settings = {
    folder,
    deleteExtraneous: variation.deleteExtraneous ?? false,
    signal: variation.signal ?? new AbortController().signal,
  };
  const app: INestApplicationContext = await Test.createTestingModule({
    imports: [SourceModule.forRoot(settings, { host: HOST, port })],
  })
    .overrideProvider(Progress)
    .useValue(progress)
    .overrideProvider(ReplicaClient)
    .useClass(variation.client ?? ReplicaClient)
    .compile();
  try {
    await app.get(ReplicationService).run();
    const differences = await app.get(VerificationService).run();
    return { report: app.get(Report), differences, lines: progress.lines };
  } finally {
    await app.close();
  }
}

/** A client of the replica. It may send messages that the sample's own source never sends. */
export async function withClient<T>(
  port: number,
  use: (client: InterconnectClient) => Promise<T>,
): Promise<T> {
  const client = new InterconnectClient({ host: HOST, port });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
