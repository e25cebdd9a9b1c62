/** The exports of `nestjs-interconnect`: the NestJS transport. The standalone API is `nestjs-interconnect/core`. */
export { INTERCONNECT_TRANSPORT } from './common/interconnect.constants.js';
export { InterconnectClient } from './client/interconnect.client.js';
export { InterconnectContext } from './server/interconnect.context.js';
export { InterconnectException } from './common/interconnect.exception.js';
export { InterconnectExceptionFilter } from './server/interconnect-exception.filter.js';
export { InterconnectHealthIndicator } from './interconnect-health.indicator.js';
export { InterconnectModule } from './interconnect.module.js';
export { InterconnectPeer, InterconnectPeers } from './server/interconnect.peers.js';
export { InterconnectRecord, InterconnectRecordBuilder } from './common/interconnect.record.js';
export { InterconnectServer } from './server/interconnect.server.js';
export { InterconnectStatus } from './common/interconnect.events.js';
export { Code, InterconnectError, isInterconnectError } from '../endpoint/index.js';

export type { InterconnectClientEvents } from './common/interconnect.events.js';
export type { InterconnectServerEvents } from './server/interconnect.server-events.js';
export type {
  InterconnectAccess,
  InterconnectAccessDecision,
  InterconnectAuthorize,
} from './common/access.js';
export type { InterconnectEncoding } from './common/codec.js';
export type { InterconnectJsonOptions } from './common/json.js';
export type { InterconnectRequestOptions } from './client/call-options.js';
export type {
  InterconnectContextArgs,
  InterconnectHandlerLimit,
} from './server/interconnect.context.js';
export type {
  InterconnectHealth,
  InterconnectHealthOptions,
  InterconnectHealthResult,
} from './interconnect-health.indicator.js';
export type { InterconnectRejection } from './common/interconnect.exception.js';
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
} from './common/interconnect.options.js';
export type {
  BroadcastOptions,
  BroadcastOutcome,
  PeerClientOptions,
} from './server/interconnect.peers.js';
export type { InterconnectData, InterconnectRecordOptions } from './common/interconnect.record.js';
export type {
  AddressLimits,
  Bytes,
  Connection,
  DroppedSocket,
  DropReason,
  EndpointOptions,
  ErrorCode,
  Executed,
  Handshake,
  ListenAddress,
  Message,
  Metadata,
  Network,
  Outage,
  PathAddress,
  Peer,
  ProxyProtocol,
  Session,
  SpeakerKind,
  Stranger,
  StrangerKind,
  TcpAddress,
  WhenOffline,
} from '../endpoint/index.js';
