/** The door `nestjs-interconnect`: the NestJS transport. The standalone API is behind `nestjs-interconnect/core`. */
export { INTERCONNECT_TRANSPORT } from './interconnect.constants.js';
export { InterconnectClient } from './interconnect.client.js';
export { InterconnectContext } from './interconnect.context.js';
export { InterconnectException } from './interconnect.exception.js';
export { InterconnectModule } from './interconnect.module.js';
export { InterconnectRecord, InterconnectRecordBuilder } from './interconnect.record.js';
export { InterconnectServer } from './interconnect.server.js';
export { InterconnectStatus } from './interconnect.events.js';
export { Code, InterconnectError, isInterconnectError } from '../endpoint/index.js';

export type { InterconnectClientEvents, InterconnectServerEvents } from './interconnect.events.js';
export type { InterconnectContextArgs } from './interconnect.context.js';
export type { InterconnectRejection } from './interconnect.exception.js';
export type {
  InterconnectModuleOptions,
  InterconnectOptionsFactory,
} from './interconnect.module.js';
export type {
  InterconnectClientOptions,
  InterconnectServerOptions,
} from './interconnect.options.js';
export type { InterconnectRecordOptions } from './interconnect.record.js';
export type {
  Bytes,
  Connection,
  EndpointOptions,
  ErrorCode,
  Executed,
  Handshake,
  ListenAddress,
  Message,
  Metadata,
  PathAddress,
  Peer,
  Session,
  TcpAddress,
} from '../endpoint/index.js';
