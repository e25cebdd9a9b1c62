/** The source as a Nest module: a client for the replica, and the services that use it. */
import { Module, type DynamicModule } from '@nestjs/common';
import { InterconnectModule, type InterconnectClientOptions } from 'nestjs-interconnect';
import { ComparisonService } from './comparison.service.js';
import { Failures } from './failures.js';
import { FileReplicationService } from './file-replication.service.js';
import { FileSender } from './file-sender.js';
import { Progress, ProgressBar, ProgressLines } from './progress.js';
import { ReplicaClient } from './replica.client.js';
import { ReplicationService } from './replication.service.js';
import { Report } from './report.js';
import { SETTINGS, type SourceSettings } from './settings.js';
import { VerificationService } from './verification.service.js';

@Module({})
export class SourceModule {
  /** `replica`: the port where the replica listens, and the ticket that it demands. */
  static forRoot(settings: SourceSettings, replica: InterconnectClientOptions): DynamicModule {
    return {
      module: SourceModule,
      imports: [InterconnectModule.forRoot({ client: replica })],
      providers: [
        { provide: SETTINGS, useValue: settings },
        {
          provide: Progress,
          useFactory: () => (process.stdout.isTTY ? new ProgressBar() : new ProgressLines()),
        },
        ReplicaClient,
        ComparisonService,
        FileSender,
        FileReplicationService,
        Failures,
        Report,
        ReplicationService,
        VerificationService,
      ],
    };
  }
}
