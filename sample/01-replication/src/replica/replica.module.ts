/** The replica as a Nest module. */
import { Module, type DynamicModule } from '@nestjs/common';
import { ReplicaController } from './replica.controller.js';
import { TARGET, TargetFolder } from './target-folder.js';
import { TransfersService } from './transfers.service.js';
import { TreeService } from './tree.service.js';

@Module({})
export class ReplicaModule {
  /** `target`: the folder to write to. */
  static forRoot(target: string): DynamicModule {
    return {
      module: ReplicaModule,
      controllers: [ReplicaController],
      providers: [
        { provide: TARGET, useValue: target },
        TargetFolder,
        TreeService,
        TransfersService,
      ],
    };
  }
}
