/** One `send` under way: the message and its promise in one object. */
import { AsyncResource } from 'node:async_hooks';
import { whenAborted } from '../common/abort.js';
import {
  DRAINING,
  type Executed,
  type Failure,
  type FailureKind,
  OutgoingMessage,
  type SessionMachine,
} from '../../protocol/index.js';
import { Flag, type Meta, quote } from '../../wire/index.js';
import { errorOf, InterconnectError } from '../common/errors.js';
import { type DeliveredMessage, ItemDelivery, type OnItem } from '../stream/item-delivery.js';
import type { WhenOffline } from '../link/outage.js';
import { isRefusedUnseen, type Outcome, outcomeOf } from './outcome.js';

/** @internal Where a message can go once more. */
export interface Sender {
  /** The session of the moment. */
  readonly machine: SessionMachine;
  readonly connection: {
    now(): number;
    readonly messageTimeout: number;
    explained(failure: Failure): Failure;
    refusal(whenOffline: WhenOffline | undefined): Failure | undefined;
  };
}

/** @internal What of the options of a `send` concerns it after it was sent. */
export interface PendingOptions {
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly oneWay?: boolean | undefined;
  readonly idempotent?: boolean | undefined;
  readonly whenOffline?: WhenOffline | undefined;
  readonly onItem?: OnItem | undefined;
}

export class PendingSend extends OutgoingMessage implements DeliveredMessage {
  readonly #from: Sender;
  readonly #resolve: (outcome: Outcome | undefined) => void;
  readonly #reject: (error: unknown) => void;
  readonly #options: PendingOptions;
  #machine: SessionMachine | undefined;
  #unlisten: (() => void) | undefined;
  /** On a connection before, its handler may have run: no failure after that takes it back. */
  #mayHaveRun = false;
  /** That of the send, for its `onItem`. */
  #scope: AsyncResource | undefined;
  /** Made when the answer turns out to be a stream. */
  #delivery: ItemDelivery | undefined;
  /** It has an outcome, while items may still be there to take. */
  #isSettled = false;

  /** `copied`: nobody else holds the payload. */
  constructor(
    from: Sender,
    payload: Buffer,
    meta: Buffer,
    deadline: number,
    copied: boolean,
    options: PendingOptions,
    resolve: (outcome: Outcome | undefined) => void,
    reject: (error: unknown) => void,
  ) {
    super(payload, meta, deadline, options.oneWay === true, copied);
    this.#from = from;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    if (options.onItem === undefined) return;
    this.takesItems = true;
    this.#scope = new AsyncResource('InterconnectItems');
  }

  get whenOffline(): WhenOffline | undefined {
    return this.#options.whenOffline;
  }

  /** Sends it; the signal cancels it while nothing has been decided. */
  submit(): void {
    const { machine, connection } = this.#from;
    const { signal, whenOffline } = this.#options;
    this.#machine = machine;
    const refusal = connection.refusal(whenOffline);
    if (refusal !== undefined) return this.onFailure(refusal);
    if (signal !== undefined) {
      this.#unlisten = whenAborted(signal, () => this.#onAbort());
    }
    machine.send(this);
  }

  take(): Buffer | undefined {
    return this.takeItem(this.#from.connection.now());
  }

  /** Nobody takes the rest of the answer. */
  abandon(error: unknown): void {
    this.#unlisten?.();
    this.#reject(error);
    this.#machine?.sender.cancel(this);
    // What lies unread would hold its credit for ever.
    this.replyItems?.drop();
  }

  override onItem(): void {
    this.#delivery ??= new ItemDelivery(this, this.#options.onItem, this.#scope);
    this.#delivery.advance();
  }

  onOutcome(type: number, meta: Meta, data: Buffer): void {
    if (isRefusedUnseen(type, meta)) return this.onFailure(DRAINING);
    const outcome = outcomeOf(type, meta, data, this.#from.machine.name, this.isStreamed);
    if (!(outcome instanceof InterconnectError)) return this.#settle(outcome);
    this.#unlisten?.();
    this.replyItems?.drop();
    const { code, message, status, reason } = outcome;
    const executed = this.#inAll(outcome.executed);
    this.#reject(new InterconnectError(code, message, { executed, status, reason }));
  }

  onFailure(failure: Failure): void {
    this.#unlisten?.();
    const executed = this.#inAll(failure.executed);
    if (this.#mayGoAgain(failure)) this.#again(executed !== 'no');
    else
      this.#reject(
        errorOf(detailed({ ...failure, executed }, this, this.#from, this.#options.timeout)),
      );
  }

  onSent(): void {
    this.#unlisten?.();
    this.#resolve(undefined);
  }

  /** The outcome comes after the last item. */
  #settle(outcome: Outcome): void {
    if (this.#delivery === undefined) {
      this.#unlisten?.();
      return this.#resolve(outcome);
    }
    this.#isSettled = true;
    this.#delivery.whenRead(() => {
      this.#unlisten?.();
      this.#resolve(outcome);
    });
  }

  #onAbort(): void {
    if (this.#isSettled) this.abandon(cancelledAfter());
    else this.#machine?.sender.cancel(this);
  }

  /** Whether the handler ran, on any connection. */
  #inAll(executed: Executed): Executed {
    return executed === 'no' && this.#mayHaveRun ? 'maybe' : executed;
  }

  /** Whether there is another connection to send it on, and it does no harm to do so. */
  #mayGoAgain({ kind, executed }: Failure): boolean {
    const { signal, idempotent } = this.#options;
    if (this.#from.machine === this.#machine || signal?.aborted === true) return false;
    // Its taker would get the first items twice.
    if (this.#delivery !== undefined) return false;
    return MOVING.has(kind) && (executed === 'no' || idempotent === true);
  }

  /** As a new message: the former connection may still hold this one. */
  #again(mayHaveRun: boolean): void {
    const { payload, meta, deadline, copied } = this;
    const message = new PendingSend(
      this.#from,
      payload,
      meta,
      deadline,
      copied,
      this.#options,
      this.#resolve,
      this.#reject,
    );
    message.patience = this.patience;
    message.#scope = this.#scope;
    message.#mayHaveRun = mayHaveRun;
    message.order = this.order;
    message.submit();
  }
}

/**
 * @internal A timeout says of what it was, and after how long, since the protocol knows instants only. If there is no
 * socket, the failure says why.
 */
export function detailed(
  failure: Failure,
  message: OutgoingMessage,
  { machine, connection }: Sender,
  timeout: number | undefined,
): Failure {
  if (failure.kind !== 'timeout') return connection.explained(failure);
  const hasStream = (message.flags & Flag.STREAM) !== 0 || message.replyItems !== undefined;
  const what =
    timeout === undefined && hasStream
      ? 'made no progress within'
      : 'was neither accepted nor rejected within its';
  const limit = timeout ?? connection.messageTimeout;
  const sentence = `A message of ${quote(machine.name, 256)} ${what} ${limit} ms.`;
  return connection.explained({ ...failure, message: sentence });
}

/** @internal */
export function cancelledAfter(): InterconnectError {
  return new InterconnectError(
    'IC_ERR_CANCELLED',
    'The signal aborted before all items of the answer were read.',
    { executed: 'yes' },
  );
}

/** @internal What says that the connection, and not the message, was at fault. */
export const MOVING: ReadonlySet<FailureKind> = new Set(['connection-lost', 'idle', 'draining']);
