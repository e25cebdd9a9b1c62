import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { InterconnectClient } from './interconnect.client.js';
import { INTERCONNECT_MODULE_OPTIONS } from './interconnect.constants.js';
import type {
  InterconnectClientOptions,
  InterconnectServerOptions,
} from './interconnect.options.js';
import { InterconnectServer } from './interconnect.server.js';

/** A section left out means its defaults: `localhost:3000`, as for Nest's TCP transport. */
export interface InterconnectModuleOptions {
  /** For `InterconnectClient`. */
  client?: InterconnectClientOptions;
  /** For `InterconnectServer`. */
  server?: InterconnectServerOptions;
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
    .setExtras({ isGlobal: false }, (definition, { isGlobal }) => ({
      ...definition,
      global: isGlobal,
    }))
    .build();

/**
 * Provides `InterconnectClient` and `InterconnectServer` by class:
 *
 * ```ts
 * @Module({ imports: [InterconnectModule.forRoot({ client: { port: 5000 }, server: { port: 5001 } })] })
 *
 * constructor(private readonly interconnect: InterconnectClient) {}
 * app.connectMicroservice({ strategy: app.get(InterconnectServer) });
 * ```
 *
 * Neither does anything by itself: the client connects at its first call and is closed at shutdown; the
 * server listens when Nest starts it as a microservice. Several clients: `ClientsModule.register`
 * with `customClass: InterconnectClient`.
 */
@Module({
  providers: [
    {
      provide: InterconnectClient,
      useFactory: (options: InterconnectModuleOptions) => new InterconnectClient(options.client),
      inject: [INTERCONNECT_MODULE_OPTIONS],
    },
    {
      provide: InterconnectServer,
      useFactory: (options: InterconnectModuleOptions) => new InterconnectServer(options.server),
      inject: [INTERCONNECT_MODULE_OPTIONS],
    },
  ],
  exports: [InterconnectClient, InterconnectServer, INTERCONNECT_MODULE_OPTIONS],
})
export class InterconnectModule extends ConfigurableModuleClass {
  /** With `isGlobal: true` every module of the application gets the two without importing this one. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(options);
  }

  /** As `forRoot`, with the options from `useFactory` (and `inject`), `useClass` or `useExisting`. May be asynchronous. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }
}
