/**
 * What `src` uses of Nest 12 and the types of Nest 11 lack: with this, and nothing more, `src` must compile
 * against Nest 11. Each line stands for a place that does without there, as `nest-11.spec.ts` shows.
 * The type parameters repeat Nest's own, as TypeScript demands.
 */
import type { ReadPacket } from '@nestjs/microservices';

declare module './node_modules/@nestjs/microservices/interfaces/packet.interface.js' {
  interface ReadPacket<T = any> {
    metadata?: Record<string, string>;
  }
}

declare module './node_modules/@nestjs/microservices/client/client-proxy.js' {
  interface ClientProxy<
    EventsMap extends Record<never, Function> = Record<never, Function>,
    Status extends string = string,
  > {
    onDispatchHook?: (packet: ReadPacket) => void;
    createPacket(pattern: unknown, data: unknown): ReadPacket;
  }
}

declare module './node_modules/@nestjs/microservices/server/server.js' {
  interface Server<
    EventsMap extends Record<string, Function> = Record<string, Function>,
    Status extends string = string,
  > {
    readonly propagatesEventHandlerErrors: boolean;
  }
}
