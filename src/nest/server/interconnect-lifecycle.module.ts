import { Inject, Module } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { handlerNamesOf } from './handler-names.js';
import { InterconnectServer } from './interconnect.server.js';

/** Nest ends modules in the order of their distance from the root module, whose distance is 0. */
const BEFORE_ALL_OTHERS = -1;

/**
 * Serves every Interconnect server of an application, also one that was made with `new`. It tells the server the names of its
 * handlers, and closes the server before the resources of the handlers end. In a hybrid application Nest itself closes a
 * server only when `onModuleDestroy` has run in all modules.
 */
@Module({})
export class InterconnectLifecycleModule implements OnModuleDestroy {
  private readonly servers = new Set<InterconnectServer>();

  constructor(@Inject(ModulesContainer) container: ModulesContainer) {
    for (const moduleRef of container.values()) {
      if (moduleRef.metatype === InterconnectLifecycleModule) {
        moduleRef.distance = BEFORE_ALL_OTHERS;
      }
    }
    const names = handlerNamesOf(container);
    // The first versions of Nest 11 do not have this method.
    if (!('getRpcTargetRegistry' in container)) return;
    container.getRpcTargetRegistry<unknown>().subscribe((server) => {
      if (!(server instanceof InterconnectServer)) return;
      this.servers.add(server);
      server.nameHandlersBy(names);
    });
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all([...this.servers].map((server) => server.close()));
  }
}
