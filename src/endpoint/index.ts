// `nestjs-interconnect/core`: the standalone API, usable without Nest.

export { Code } from '../wire/index.js';
export { connect, createConnection } from './connect.js';
export { Connection } from './connection.js';
export { InterconnectError, isInterconnectError } from './errors.js';
export { Handshake } from './handshake.js';
export { Listener } from './listener.js';
export { MemoryNetwork } from './memory-network.js';
export { Message } from './message.js';
export { Session } from './session.js';
/** @internal For who makes a connection and waits for it. */
export { whenOpen } from './connect.js';
/** @internal For the reasons that the floor above gives. */
export { cutText } from '../protocol/index.js';
/** @internal For what it logs. */
export { messageOf, stackOf, tame } from './errors.js';
/** @internal For the other side's words, wherever it shows them. */
export { printable, quote } from '../wire/index.js';
/** @internal For its own options. */
export { optionError, shown } from './errors.js';
/** @internal For the names of patterns. */
export { checkName } from './session-name.js';
/** @internal For the streams of the floor above. */
export { ItemSource, UnreadableSource } from './item-source.js';
/** @internal The time of the floor above, and the order of its events, whatever a test fakes. */
export { systemClock } from './clock.js';
/** @internal */
export { nextTick } from './runtime.js';

export type { ListenAddress, PathAddress, TcpAddress } from './bind.js';
export type { Bytes, Metadata } from './bytes.js';
export type { ConnectOptions, TlsSetup } from './connect.js';
export type { Address } from './dial-errors.js';
export type {
  CloseOptions,
  ConnectionEvents,
  ConnectionStatus,
  DrainOptions,
  SessionOptions,
} from './connection.js';
export type { ErrorCode, Executed, InterconnectErrorDetails } from './errors.js';
export type { Items } from './items.js';
export type { ListenerEvents, ListenerOptions } from './listener.js';
export type { ItemsRejection, ItemsSettleOptions, SettleOptions } from './message.js';
export type { Network } from './network.js';
export type { EndpointLimits, EndpointOptions } from './options.js';
export type { Outage, WhenOffline } from './outage.js';
export type { Peer } from './peer.js';
export type { Outcome } from './outcome.js';
export type { ProxyProtocol } from './proxy-trust.js';
export type { ReconnectOptions } from './reconnector.js';
export type { DroppedSocket, Stranger, StrangerKind } from './stranger.js';
export type { SpeakerKind } from '../wire/index.js';
export type { SendOptions, SessionEvents, SessionStatus, StreamOptions } from './session.js';
