/** The other side's response to a call, in the form that its caller takes. */
import type { Outcome } from '../../endpoint/index.js';
import type { Call, Caller } from './call.js';
import { emptyStream, undecodable, unexpectedStream } from './call-errors.js';
import type { Codec } from '../common/codec.js';
import { toException } from '../common/error-mapping.js';
import { isPromiseLike } from '../common/promises.js';

/** Takes a response that may be a stream: its items in order, then the outcome. */
export interface ResponseSink {
  /** @throws for an item that the caller does not take. The message is then cancelled. */
  take(item: Buffer): void | Promise<void>;
  settle(outcome: Outcome): void;
}

/** Takes the items for the caller of this call. */
export function responseSinkOf(call: Call, codec: Codec | undefined): ResponseSink {
  const takesEach = call.isEvent || call.caller.next !== undefined;
  return takesEach ? new StreamedResponse(call, codec) : new SingleResponse(call, codec);
}

/**
 * Gives the caller a response without items: one value, a stream without a value, or a rejection. If a deserializer
 * or a subclass's `serializeResponse` throws, the call fails with that error.
 */
export function settle(call: Call, outcome: Outcome, codec: Codec | undefined): void {
  const { caller, packet } = call;
  if (!outcome.accepted) return caller.fail(toException(outcome));
  if (outcome.streamed === true && outcome.data.length === 0 && !call.isEvent) {
    if (caller.complete === undefined) caller.fail(emptyStream(packet.pattern));
    else caller.complete();
    return;
  }
  if (codec === undefined || call.isEvent) return succeed(caller, outcome.data);
  try {
    const value = codec.decode(outcome.data, packet.pattern);
    if (!isPromiseLike(value)) return succeed(caller, value);
    value.then(
      (later) => succeed(caller, later),
      (error: unknown) => caller.fail(undecodable(packet.pattern, error)),
    );
  } catch (error) {
    caller.fail(undecodable(packet.pattern, error));
  }
}

function succeed(caller: Caller, value: unknown): void {
  try {
    caller.succeed(value);
  } catch (error) {
    caller.fail(error);
  }
}

/** For a caller who takes each value as it comes, and for the emitter of an event, who takes none. */
class StreamedResponse implements ResponseSink {
  private readonly call: Call;
  private readonly codec: Codec | undefined;
  private hasItems = false;

  constructor(call: Call, codec: Codec | undefined) {
    this.call = call;
    this.codec = codec;
  }

  /** @throws for an item that cannot be decoded. The message is then cancelled. */
  take(item: Buffer): void | Promise<void> {
    this.hasItems = true;
    const { caller, packet, isEvent } = this.call;
    if (isEvent) return;
    const value = this.decode(item);
    if (!isPromiseLike(value)) return caller.next?.(value);
    return Promise.resolve(value).then(
      (later) => caller.next?.(later),
      (error: unknown) => {
        throw undecodable(packet.pattern, error);
      },
    );
  }

  settle(outcome: Outcome): void {
    const { caller, isEvent } = this.call;
    const isOver = this.hasItems && outcome.accepted && outcome.data.length === 0;
    if (isOver && !isEvent && caller.complete !== undefined) caller.complete();
    else settle(this.call, outcome, this.codec);
  }

  private decode(item: Buffer): unknown {
    const { pattern } = this.call.packet;
    try {
      return this.codec === undefined ? item : this.codec.decode(item, pattern);
    } catch (error) {
      throw undecodable(pattern, error);
    }
  }
}

/** For a caller who takes one value: that of the ACCEPT, or the only item before an empty ACCEPT. */
class SingleResponse implements ResponseSink {
  private readonly call: Call;
  private readonly codec: Codec | undefined;
  private item: Buffer | undefined;

  constructor(call: Call, codec: Codec | undefined) {
    this.call = call;
    this.codec = codec;
  }

  take(item: Buffer): void {
    if (this.item !== undefined) throw unexpectedStream(this.call.packet.pattern);
    this.item = item;
  }

  settle(outcome: Outcome): void {
    const { call, codec, item } = this;
    if (item === undefined || !outcome.accepted) return settle(call, outcome, codec);
    const { metadata, data } = outcome;
    if (data.length === 0) return settle(call, { accepted: true, data: item, metadata }, codec);
    call.caller.fail(unexpectedStream(call.packet.pattern));
  }
}
