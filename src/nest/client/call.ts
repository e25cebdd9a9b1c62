/** A call of a client, and its caller. */
import type { MsPattern, ReadPacket } from '@nestjs/microservices';
import type { Codec } from '../common/codec.js';

/** Takes the one outcome of a call. */
export interface Caller {
  /** Takes each value of a response that is a stream. Without this method, a stream of several values is a failure. */
  next?(value: unknown): void;
  /** The response was a stream, perhaps without a value, and its ACCEPT bore no value. */
  complete?(): void;
  /** Takes the one value of a response, or the value of the ACCEPT after a stream. */
  succeed(value: unknown): void;
  fail(error: unknown): void;
}

/** A message that the client is to send, and its caller. */
export interface Call {
  readonly packet: ReadPacket<unknown>;
  /** Whether the caller wants no outcome. The packet's record can overrule this. */
  readonly oneWay: boolean;
  /** Whether the message is emitted: then the caller ignores the handler's values. */
  readonly isEvent: boolean;
  readonly signal: AbortSignal | undefined;
  readonly caller: Caller;
}

/** How a client makes messages of its calls. */
export interface CallSettings {
  readonly codec: Codec | undefined;
  /** Nest's form of a pattern that is no string. */
  normalize(pattern: MsPattern): unknown;
}
