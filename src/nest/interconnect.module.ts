import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import type { DynamicModule, Provider } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { InterconnectExceptionFilter } from './server/interconnect-exception.filter.js';
import { InterconnectHealthIndicator } from './interconnect-health.indicator.js';
import { InterconnectLifecycleModule } from './server/interconnect-lifecycle.module.js';
import { InterconnectClient } from './client/interconnect.client.js';
import { INTERCONNECT_MODULE_OPTIONS } from './common/interconnect.constants.js';
import type {
  InterconnectClientOptions,
  InterconnectServerOptions,
} from './common/interconnect.options.js';
import { InterconnectServer } from './server/interconnect.server.js';

/** A section left out means its defaults: `localhost:3000`, as for Nest's TCP transport. */
export interface InterconnectModuleOptions {
  /** For `InterconnectClient`. */
  client?: InterconnectClientOptions | undefined;
  /** For `InterconnectServer`. */
  server?: InterconnectServerOptions | undefined;
  /** The server does not listen: it serves over the connection that the client opens. */
  serveOverClient?: boolean | undefined;
}

/** What a class given to `forRootAsync({ useClass })` or `({ useExisting })` implements. */
export interface InterconnectOptionsFactory {
  /** Called once, when the module is initialised. */
  createInterconnectOptions(): Promise<InterconnectModuleOptions> | InterconnectModuleOptions;
}

const { ConfigurableModuleClass, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<InterconnectModuleOptions>({
    optionsInjectionToken: INTERCONNECT_MODULE_OPTIONS,
  })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createInterconnectOptions')
    .setExtras<{ isGlobal: boolean | undefined; mapHttpExceptions: boolean | undefined }>(
      { isGlobal: false, mapHttpExceptions: false },
      (definition, { isGlobal, mapHttpExceptions }) => ({
        ...definition,
        global: isGlobal ?? false,
        providers: [
          ...(definition.providers ?? []),
          ...(mapHttpExceptions === true ? [MAPPING] : []),
        ],
      }),
    )
    .build();

/** For the whole application, as Nest has it. */
const MAPPING: Provider = { provide: APP_FILTER, useClass: InterconnectExceptionFilter };

/**
 * Provides `InterconnectClient` and `InterconnectServer` by class, and `InterconnectHealthIndicator`:
 *
 * ```ts
 * @Module({ imports: [InterconnectModule.forRoot({ client: { port: 5000 }, server: { port: 5001 } })] })
 *
 * constructor(private readonly interconnect: InterconnectClient) {}
 * app.connectMicroservice({ strategy: app.get(InterconnectServer) });
 * ```
 *
 * Neither of the two does anything by itself: the client connects at its first call and is closed at shutdown; the
 * server listens when Nest starts it as a microservice. At shutdown every Interconnect server of the application stops
 * first, while all that its handlers need is still there. Several clients: `ClientsModule.register`
 * with `customClass: InterconnectClient`.
 */
@Module({
  imports: [InterconnectLifecycleModule],
  providers: [
    {
      provide: InterconnectClient,
      useFactory: (options: InterconnectModuleOptions) => new InterconnectClient(options.client),
      inject: [INTERCONNECT_MODULE_OPTIONS],
    },
    {
      provide: InterconnectServer,
      useFactory: createServer,
      inject: [INTERCONNECT_MODULE_OPTIONS, InterconnectClient],
    },
    InterconnectHealthIndicator,
  ],
  exports: [InterconnectClient, InterconnectServer, InterconnectHealthIndicator],
})
export class InterconnectModule extends ConfigurableModuleClass {
  /**
   * With `isGlobal: true` every module of the application gets the two without importing this one. With
   * `mapHttpExceptions: true` callers learn what an `HttpException` says: see `InterconnectExceptionFilter`.
   */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(options);
  }

  /** As `forRoot`, with the options from `useFactory` (and `inject`), `useClass` or `useExisting`. May be asynchronous. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }
}

function createServer(
  { server, serveOverClient }: InterconnectModuleOptions,
  client: InterconnectClient,
): InterconnectServer {
  return new InterconnectServer(
    serveOverClient === true ? { ...server, connect: client } : (server ?? {}),
  );
}
