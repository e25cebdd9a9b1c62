/** The door `nestjs-interconnect`: the NestJS transport. The standalone API is behind `nestjs-interconnect/core`. */
export { INTERCONNECT_TRANSPORT } from './interconnect.constants.js';
export { InterconnectClient } from './interconnect.client.js';
export { InterconnectContext } from './interconnect.context.js';
export { InterconnectException } from './interconnect.exception.js';
export { InterconnectExceptionFilter } from './interconnect-exception.filter.js';
export { InterconnectHealthIndicator } from './interconnect-health.indicator.js';
export { InterconnectModule } from './interconnect.module.js';
export { InterconnectPeer, InterconnectPeers } from './interconnect.peers.js';
export { InterconnectRecord, InterconnectRecordBuilder } from './interconnect.record.js';
export { InterconnectServer } from './interconnect.server.js';
export { InterconnectStatus } from './interconnect.events.js';
export { Code, InterconnectError, isInterconnectError } from '../endpoint/index.js';

export type { InterconnectClientEvents } from './interconnect.events.js';
export type { InterconnectServerEvents } from './interconnect.server-events.js';
export type { InterconnectEncoding } from './codec.js';
export type { InterconnectRequestOptions } from './interconnect.client.js';
export type { InterconnectContextArgs, InterconnectHandlerLimit } from './interconnect.context.js';
export type {
  InterconnectHealth,
  InterconnectHealthOptions,
  InterconnectHealthResult,
} from './interconnect-health.indicator.js';
export type { InterconnectRejection } from './interconnect.exception.js';
export type {
  InterconnectModuleOptions,
  InterconnectOptionsFactory,
} from './interconnect.module.js';
export type {
  ConnectingClient,
  InterconnectClientOptions,
  InterconnectPayloadOptions,
  InterconnectServerConnectOptions,
  InterconnectServerOptions,
} from './interconnect.options.js';
export type { BroadcastOutcome, PeerClientOptions } from './interconnect.peers.js';
export type { InterconnectData, InterconnectRecordOptions } from './interconnect.record.js';
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
  Network,
  PathAddress,
  Peer,
  Session,
  TcpAddress,
} from '../endpoint/index.js';
