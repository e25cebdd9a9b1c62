/**
 * A `send` with streams: one message whose request or response is a stream. The message may move to another connection as
 * long as no item was asked for. On the other connection, a new message of the protocol takes its place.
 */
import { whenAborted } from '../common/abort.js';
import {
  DRAINING,
  type Failure,
  OutgoingMessage,
  type SessionMachine,
} from '../../protocol/index.js';
import { Flag, type Meta } from '../../wire/index.js';
import type { Bytes } from '../common/bytes.js';
import { errorOf, InterconnectError } from '../common/errors.js';
import { type FedStream, Feeder } from '../stream/feeder.js';
import { type DeliveredMessage, ItemDelivery, type OnItem } from '../stream/item-delivery.js';
import { type ItemSource, UnreadableSource } from '../stream/item-source.js';
import type { ItemOrigin } from '../stream/items.js';
import type { WhenOffline } from '../link/outage.js';
import { isRefusedUnseen, type Outcome, outcomeOf, rejectedError } from './outcome.js';
import type { Route } from './route.js';
import {
  cancelledAfter,
  cancelledBefore,
  isConnectionsFault,
  withLimits,
} from './send-failures.js';

/** The time limits of a message: an instant, and milliseconds without progress. */
export interface Timing {
  readonly deadline: number;
  readonly patience: number;
  /** The `timeout` of the call, in milliseconds; undefined if the call has none. */
  readonly timeout: number | undefined;
}

/** The options of a message with a stream, beside its payload and fields. */
export interface StreamingOptions {
  /** The items of the request, if the request is a stream. */
  readonly source: ItemSource<Bytes> | undefined;
  /** Whether the response may be a stream. */
  readonly takesItems: boolean;
  /** How long the message waits while there is no socket; undefined = the connection's `whenOffline`. */
  readonly whenOffline: WhenOffline | undefined;
}

export class StreamingSend implements FedStream, DeliveredMessage {
  /** Called when an item can be taken, or when `result` is set. */
  onChange: () => void = () => undefined;
  readonly #route: Route;
  readonly #options: StreamingOptions;
  /** The message on the newest connection. */
  #message: StreamedMessage;
  readonly #feeder: Feeder | undefined;
  #result: { readonly outcome: Outcome } | { readonly error: unknown } | undefined;
  /** The session in which the newest message was sent. */
  #machine: SessionMachine | undefined;
  #unlisten: (() => void) | undefined;
  #timeout: number | undefined;
  /**
   * The error of a source that cannot be read. The caller gets this error as soon as it is known whether the handler ran.
   */
  #unreadable: UnreadableSource | undefined;

  constructor(route: Route, payload: Buffer, meta: Buffer, options: StreamingOptions) {
    this.#route = route;
    this.#options = options;
    this.#message = this.#newMessage(payload, meta);
    if (options.source !== undefined) {
      this.#feeder = new Feeder(options.source, this, route.context.turns);
    }
  }

  /** The end of the message; undefined before. There may still be unread items. */
  get result(): { readonly outcome: Outcome } | { readonly error: unknown } | undefined {
    return this.#result;
  }

  start(timing: Timing, signal: AbortSignal | undefined): void {
    this.#message.deadline = timing.deadline;
    this.#message.patience = timing.patience;
    this.#timeout = timing.timeout;
    if (signal?.aborted === true) return this.abandon(cancelledBefore());
    if (signal !== undefined) {
      this.#unlisten = whenAborted(signal, () => this.#onAbort());
    }
    this.#feeder?.begin();
    if (this.#result !== undefined) return;
    this.#submit();
  }

  take(): Buffer | undefined {
    return this.#message.takeItem(this.#route.context.now());
  }

  /**
   * Sends the message and hands the items of the response to `onItem`, one after the other. The outcome comes after the
   * last item. A failure does not wait for a running `onItem`.
   */
  deliver(onItem: OnItem | undefined, start: () => void): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const delivery = new ItemDelivery(this, onItem);
      this.onChange = () => {
        const result = this.#result;
        if (result !== undefined && 'error' in result) {
          // Unread items would hold their credit for ever.
          this.#message.responseItems?.drop();
          return reject(result.error);
        }
        if (result === undefined) return delivery.advance();
        delivery.whenRead(() => {
          this.finish();
          resolve(result.outcome);
        });
      };
      start();
    });
  }

  /** Gives up the rest of the message. If the caller still waits, it gets `error`. */
  abandon(error: unknown): void {
    const result = this.#result;
    if (result === undefined || 'outcome' in result) this.#end({ error });
    if (result === undefined) this.#machine?.sender.cancel(this.#message);
    this.#message.responseItems?.drop();
  }

  /** All items are read: the signal has no effect from now on. */
  finish(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  // The events of the protocol.

  onReady(): void {
    this.#feeder?.wake();
  }

  onItem(): void {
    this.onChange();
  }

  onOutcome(type: number, meta: Meta, data: Buffer): void {
    const outcome = outcomeOf(type, meta, data, this.#route.machine.name, this.#message);
    this.#end(outcome instanceof InterconnectError ? { error: outcome } : { outcome });
  }

  onFailure(failure: Failure): void {
    if (this.#result !== undefined) return;
    if (this.#unreadable !== undefined) {
      return this.#end({ error: this.#unreadable.executedAs(failure.executed) });
    }
    if (!this.#mayGoAgain(failure)) {
      const limited = withLimits(failure, this.#message, this.#route, this.#timeout);
      return this.#end({ error: errorOf(limited) });
    }
    this.#again();
  }

  // The calls of the feeder.

  get isReady(): boolean {
    return this.#message.requestItems?.isReady === true;
  }

  give(item: Buffer): void {
    this.#machine?.sender.streams.send(this.#message, item, this.#route.context.now());
  }

  end(): void {
    this.#message.requestItems?.end();
  }

  fail(error: unknown): void {
    if (error instanceof UnreadableSource) {
      this.#unreadable = error;
      this.#machine?.sender.cancel(this.#message);
    }
    this.abandon(error);
  }

  report(error: unknown): void {
    this.#route.context.reportHandlerError(error);
  }

  #submit(): void {
    const { machine, context } = this.#route;
    this.#machine = machine;
    const refusal = context.refusal(this.#options.whenOffline);
    if (refusal === undefined) machine.send(this.#message);
    else this.#end({ error: errorOf(refusal) });
  }

  /** Whether the message can be sent on another connection, because no item was asked for. */
  #mayGoAgain(failure: Failure): boolean {
    if (this.#route.machine === this.#machine || this.#feeder?.isTouched === true) return false;
    return isConnectionsFault(failure) && failure.executed === 'no';
  }

  /** Sends a new message with the same contents, because the former connection may still hold the old message. */
  #again(): void {
    const { payload, meta, deadline, patience, order } = this.#message;
    const message = this.#newMessage(payload, meta);
    message.deadline = deadline;
    message.patience = patience;
    message.order = order;
    this.#message = message;
    this.#submit();
  }

  #newMessage(payload: Buffer, meta: Buffer): StreamedMessage {
    const message = new StreamedMessage(this, payload, meta, this.#options.whenOffline);
    message.takesItems = this.#options.takesItems;
    if (this.#options.source !== undefined) message.flags |= Flag.STREAM;
    return message;
  }

  #onAbort(): void {
    if (this.#result !== undefined) return this.abandon(cancelledAfter());
    this.#machine?.sender.cancel(this.#message);
  }

  #end(result: { readonly outcome: Outcome } | { readonly error: unknown }): void {
    this.#result = result;
    void this.#feeder?.stop();
    if ('error' in result) this.finish();
    this.onChange();
  }
}

/** The message of a `StreamingSend` on one connection. */
export class StreamedMessage extends OutgoingMessage {
  /** How long the message waits while there is no socket; undefined: as the connection says. */
  readonly whenOffline: WhenOffline | undefined;
  readonly #send: StreamingSend;

  constructor(
    send: StreamingSend,
    payload: Buffer,
    meta: Buffer,
    whenOffline: WhenOffline | undefined,
  ) {
    super(payload, meta, Infinity, false);
    this.#send = send;
    this.whenOffline = whenOffline;
  }

  override onReady(): void {
    this.#send.onReady();
  }

  override onItem(): void {
    this.#send.onItem();
  }

  onOutcome(type: number, meta: Meta, data: Buffer): void {
    if (isRefusedUnseen(type, meta)) this.onFailure(DRAINING);
    else this.#send.onOutcome(type, meta, data);
  }

  onFailure(failure: Failure): void {
    this.#send.onFailure(failure);
  }

  onSent(): void {
    throw new Error('A message with a stream is never one-way.');
  }
}

/** Returns the origin of the response's items. Data of an ACCEPT is the last item, and a REJECT becomes an error. */
export function responseOf(message: StreamingSend, start: () => void): ItemOrigin {
  let wasTaken = false;
  return {
    start,
    take() {
      const item = message.take();
      if (item !== undefined || wasTaken) return item;
      const { result } = message;
      if (result === undefined || 'error' in result || !result.outcome.accepted) return undefined;
      wasTaken = true;
      return result.outcome.data.length > 0 ? result.outcome.data : undefined;
    },
    get end() {
      const { result } = message;
      if (result === undefined) return undefined;
      if ('error' in result) return result;
      message.finish();
      return result.outcome.accepted ? {} : { error: rejectedError(result.outcome) };
    },
    stop: () => message.abandon(cancelledByReader()),
  };
}

function cancelledByReader(): InterconnectError {
  return new InterconnectError('IC_ERR_CANCELLED', 'The reader of the response has left.', {
    executed: 'maybe',
  });
}
