// The protocol floor's door: what the floor above may use.

export { ConnectionMachine } from './connection.js';
export type { ResumeToken } from './connection-settings.js';
export type { ConnectionEffects } from './connection-effects.js';

export { DRAINING, type Executed, type Failure, type FailureKind } from './failure.js';
export { FrameWriter } from './frame-writer.js';
export { type Greeting, MAX_CONNECT_DATA } from './handshake.js';
export { type AbortReason, IncomingMessage } from './incoming-message.js';
export type { ItemSender, ItemSource } from './item-sender.js';
export { DEFAULT_LIMITS, type Limits } from './limits.js';
export { OutgoingMessage } from './outgoing-message.js';
export { DEFAULT_QUEUE_LIMITS, type QueueLimits } from './send-queue-budget.js';
export { SessionMachine } from './session.js';
export type { SessionListener } from './session-listener.js';
export { SocketMachine } from './socket.js';
export { CLOSED_HERE } from './socket-failures.js';
export type { SocketEffects, SocketSettings } from './socket-effects.js';
export { cutText, saidAs } from './text.js';
export { TimeBudget } from './time-budget.js';
