// The exports of the protocol floor: everything that the floor above may use.

export { ConnectionMachine } from './connection/connection.js';
export type { ResumeToken } from './connection/connection-settings.js';
export type { ConnectionEffects } from './connection/connection-effects.js';

export { DRAINING, type Executed, type Failure, type FailureKind } from './common/failure.js';
export { type MoveSink, watch } from './common/moves.js';
export { FrameWriter } from './output/frame-writer.js';
export { type Greeting, MAX_CONNECT_DATA } from './socket/greeting.js';
export { type AbortReason, IncomingMessage } from './message/incoming-message.js';
export type { ItemSender, ItemSource } from './stream/item-sender.js';
export { DEFAULT_LIMITS, type Limits } from './flow/limits.js';
export { OutgoingMessage } from './message/outgoing-message.js';
export { DEFAULT_QUEUE_LIMITS, type QueueLimits } from './flow/send-queue-budget.js';
export { SessionMachine } from './session/session.js';
export type { SessionListener } from './session/session-listener.js';
export { SocketMachine } from './socket/socket.js';
export { ThreadBudget } from './flow/account.js';
export { CLOSED_HERE, overloadedBy } from './socket/socket-failures.js';
export { DialerHandshake } from './socket/handshake-dialer.js';
export { ListenerHandshake } from './socket/handshake-listener.js';
export type {
  DialerEffects,
  ListenerEffects,
  SocketEffects,
  SocketSettings,
} from './socket/socket-effects.js';
export { cutText, saidAs } from './common/text.js';
export { TimeBudget } from './common/time-budget.js';
export { TokenBucket } from './common/token-bucket.js';
