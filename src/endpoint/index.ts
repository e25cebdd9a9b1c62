// The exports of `nestjs-interconnect/core`: the standalone API, which does not need Nest.

export { Code } from '../wire/index.js';
export { connect, createConnection } from './api/connect.js';
export { Connection } from './api/connection.js';
export { InterconnectError, isInterconnectError } from './common/errors.js';
export { Handshake } from './api/handshake.js';
/** @internal For the names of peers in the Nest adapter. */
export { commonNameOf } from './api/identity.js';
export { Listener } from './api/listener.js';
export { MemoryNetwork } from './socket/memory-network.js';
export { Message } from './api/message.js';
export { Session } from './api/session.js';
/** @internal For code that makes a connection and waits for it. */
export { whenOpen } from './api/connect.js';
/** @internal For reasons in the Nest adapter. */
export { cutText } from '../protocol/index.js';
/** @internal For the logs of the Nest adapter. */
export { messageOf, stackOf, tame } from './common/words.js';
/** @internal For the classes of codes. */
export { executedBy, FIRST_APPLICATION_CODE, isApplicationCode } from '../wire/index.js';
/** @internal To learn from a rejection whether the handler ran. */
export { executedOf } from './api/outcome.js';
/** @internal For values that have no bytes. */
export { EMPTY } from '../wire/index.js';
/** @internal For texts of the other side in errors and logs of the Nest adapter. */
export { printable, quote } from '../wire/index.js';
/** @internal For the options of the Nest adapter. */
export { optionError } from './common/errors.js';
/** @internal For values in error texts of the Nest adapter. */
export { inspectShort } from './common/words.js';
/** @internal For the names of patterns. */
export { checkName } from './api/session-name.js';
/** @internal For the streams of the Nest adapter. */
export { ItemSource, UnreadableSource } from './stream/item-source.js';
/** @internal For connections that the Nest adapter makes anew. */
export { Backoff, delaysOf, HEALTHY } from './common/backoff.js';
/** @internal For the time and the order of events in the Nest adapter, even if a test fakes timers. */
export { systemClock } from './common/clock.js';
/** @internal */
export { nextTick } from './common/runtime.js';

export type { ListenAddress, PathAddress, TcpAddress } from './socket/bind.js';
export type { Bytes, Metadata } from './common/bytes.js';
export type { ConnectOptions, TlsSetup } from './api/connect.js';
export type { Address } from './socket/dial-errors.js';
export type {
  CloseOptions,
  ConnectionEvents,
  ConnectionStatus,
  DrainOptions,
  SessionOptions,
} from './api/connection.js';
export type { ErrorCode, Executed, InterconnectErrorDetails } from './common/errors.js';
export type { CertificateExpiry } from './socket/certificate-watch.js';
export type { SecureContextChanges, SecureContextOptions } from './api/secure-context.js';
/** @internal For objects of the Nest adapter that hold secrets. */
export { conceal } from './common/inspection.js';
export type { Identify } from './api/identity.js';
export type { Items } from './stream/items.js';
export type { ListenerEvents, TurnedAway } from './api/listener.js';
export type { AddressLimits, ListenerOptions } from './api/listener-options.js';
export type { ItemsRejection, ItemsSettleOptions, SettleOptions } from './api/message.js';
export type { Network } from './common/network.js';
export type { EndpointLimits, EndpointOptions } from './common/options.js';
export type { Outage, WhenOffline } from './link/outage.js';
export type { Peer } from './common/peer.js';
export type { Outcome } from './api/outcome.js';
export type { ProxyProtocol } from './socket/proxy-trust.js';
export type { ReconnectOptions } from './link/reconnector.js';
export type { DroppedSocket, DropReason, Stranger, StrangerKind } from './socket/stranger.js';
export type { AlpnOptions, DialerTlsOptions, ListenerTlsOptions } from './socket/tls-options.js';
export type { SpeakerKind } from '../wire/index.js';
export type { SendOptions, SessionEvents, SessionStatus, StreamOptions } from './api/session.js';
