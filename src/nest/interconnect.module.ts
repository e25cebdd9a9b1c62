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

/** Without a section, its defaults hold: `localhost:3000`, as for Nest's TCP transport. */
export interface InterconnectModuleOptions {
  /** Options of `InterconnectClient`. */
  client?: InterconnectClientOptions | undefined;
  /** Options of `InterconnectServer`. */
  server?: InterconnectServerOptions | undefined;
  /** Whether the server serves over the connection that the client opens, and does not listen. */
  serveOverClient?: boolean | undefined;
}

/** The interface of a class for `forRootAsync({ useClass })` or `({ useExisting })`. */
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

/** Nest applies such a filter to the whole application. */
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
 * The client connects at its first call and is closed at shutdown. The server listens when Nest starts it as a microservice.
 * At shutdown every Interconnect server of the application stops first, while the resources of its handlers still exist. For
 * several clients, use `ClientsModule.register` with `customClass: InterconnectClient`.
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
   * With `isGlobal: true` every module of the application gets client and server without importing this module. With
   * `mapHttpExceptions: true` callers get the content of an `HttpException`: see `InterconnectExceptionFilter`.
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
