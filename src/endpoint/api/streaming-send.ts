/** One message with a stream in its request or its answer, on the way. */
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
import { cancelledAfter, detailed, MOVING } from './pending-send.js';

/** What it needs of its session. */
export interface StreamingSession {
  /** What carries the session at the moment. */
  readonly machine: SessionMachine;
  readonly connection: {
    now(): number;
    readonly messageTimeout: number;
    explained(failure: Failure): Failure;
    refusal(whenOffline: WhenOffline | undefined): Failure | undefined;
    /** An error of the application's that nobody waits for. */
    reportHandlerError(error: unknown): void;
  };
}

/** How long one side waits: until an instant, or so long without progress. */
export interface Timing {
  readonly deadline: number;
  readonly patience: number;
  /** The limit for the whole message, where it has one of its own. */
  readonly timeout: number | undefined;
}

export class StreamingSend extends OutgoingMessage implements FedStream, DeliveredMessage {
  /** Told when an item can be taken, or `result` is there. */
  onChange: () => void = () => undefined;
  /** For how long it waits while there is no socket; undefined: as the connection says. */
  readonly whenOffline: WhenOffline | undefined;
  readonly #session: StreamingSession;
  readonly #feeder: Feeder | undefined;
  #result: { readonly outcome: Outcome } | { readonly error: unknown } | undefined;
  /** The one that it was sent on. */
  #machine: SessionMachine | undefined;
  #unlisten: (() => void) | undefined;
  #timeout: number | undefined;
  /** Why the request has no items: told with what the protocol knows of the message. */
  #unreadable: UnreadableSource | undefined;

  /** `source`: the items of the request, if it is a stream. `takesItems`: whether the answer may be one. */
  constructor(
    session: StreamingSession,
    payload: Buffer,
    meta: Buffer,
    source: ItemSource<Bytes> | undefined,
    takesItems: boolean,
    whenOffline: WhenOffline | undefined,
  ) {
    super(payload, meta, Infinity, false);
    this.#session = session;
    this.whenOffline = whenOffline;
    this.takesItems = takesItems;
    if (source === undefined) return;
    this.flags |= Flag.STREAM;
    this.#feeder = new Feeder(source, this);
  }

  /** What became of it, while items may still be there to take. */
  get result(): { readonly outcome: Outcome } | { readonly error: unknown } | undefined {
    return this.#result;
  }

  start(timing: Timing, signal: AbortSignal | undefined): void {
    this.deadline = timing.deadline;
    this.patience = timing.patience;
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
    return this.takeItem(this.#session.connection.now());
  }

  /**
   * Sends it and hands its items to `onItem`, one after the other. The outcome comes after the last of them; a
   * failure does not wait for what `onItem` still does.
   */
  deliver(onItem: OnItem | undefined, start: () => void): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const delivery = new ItemDelivery(this, onItem);
      this.onChange = () => {
        const result = this.#result;
        if (result !== undefined && 'error' in result) {
          // What lies unread would hold its credit for ever.
          this.replyItems?.drop();
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

  /** Gives the rest up; `error` is what whoever still waits is told. */
  abandon(error: unknown): void {
    const result = this.#result;
    if (result === undefined || 'outcome' in result) this.#end({ error });
    if (result === undefined) this.#machine?.sender.cancel(this);
    this.replyItems?.drop();
  }

  /** The items are read: its signal has no meaning any more. */
  finish(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  // What the protocol tells.

  override onReady(): void {
    this.#feeder?.wake();
  }

  override onItem(): void {
    this.onChange();
  }

  onOutcome(type: number, meta: Meta, data: Buffer): void {
    if (isRefusedUnseen(type, meta)) return this.onFailure(DRAINING);
    const outcome = outcomeOf(type, meta, data, this.#session.machine.name, this.isStreamed);
    this.#end(outcome instanceof InterconnectError ? { error: outcome } : { outcome });
  }

  onFailure(failure: Failure): void {
    if (this.#result !== undefined) return;
    if (this.#unreadable !== undefined) {
      return this.#end({ error: this.#unreadable.executedAs(failure.executed) });
    }
    if (!this.#mayGoAgain(failure)) {
      return this.#end({ error: errorOf(detailed(failure, this, this.#session, this.#timeout)) });
    }
    this.renew();
    this.#submit();
  }

  onSent(): void {
    // Never one-way.
  }

  // What the feeder needs.

  get isReady(): boolean {
    return this.requestItems?.isReady === true;
  }

  give(item: Buffer): void {
    this.#machine?.sender.streams.send(this, item, this.#session.connection.now());
  }

  end(): void {
    this.requestItems?.end();
  }

  fail(error: unknown): void {
    if (error instanceof UnreadableSource) {
      this.#unreadable = error;
      this.#machine?.sender.cancel(this);
    }
    this.abandon(error);
  }

  report(error: unknown): void {
    this.#session.connection.reportHandlerError(error);
  }

  #submit(): void {
    const { machine, connection } = this.#session;
    this.#machine = machine;
    const refusal = connection.refusal(this.whenOffline);
    if (refusal === undefined) machine.send(this);
    else this.#end({ error: errorOf(refusal) });
  }

  /** Whether there is another connection to send it on, and nothing of it has been used. */
  #mayGoAgain({ kind, executed }: Failure): boolean {
    const hasMoved = this.#session.machine !== this.#machine;
    return hasMoved && MOVING.has(kind) && executed === 'no' && this.#feeder?.isTouched !== true;
  }

  #onAbort(): void {
    if (this.#result !== undefined) return this.abandon(cancelledAfter());
    this.#machine?.sender.cancel(this);
  }

  #end(result: { readonly outcome: Outcome } | { readonly error: unknown }): void {
    this.#result = result;
    void this.#feeder?.stop();
    if ('error' in result) this.finish();
    this.onChange();
  }
}

/** Reads the items, the data of an acceptance as the last of them, and throws a rejection. */
export function answerOf(message: StreamingSend, start: () => void): ItemOrigin {
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

function cancelledBefore(): InterconnectError {
  return new InterconnectError(
    'IC_ERR_CANCELLED',
    'The signal had aborted before the message was sent.',
  );
}

function cancelledByReader(): InterconnectError {
  return new InterconnectError('IC_ERR_CANCELLED', 'The reader of the answer has left.', {
    executed: 'maybe',
  });
}
