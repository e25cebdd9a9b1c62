/** A `send` that is under way: the message and its promise in one object. */
import { AsyncResource } from 'node:async_hooks';
import { whenAborted } from '../common/abort.js';
import {
  DRAINING,
  type Executed,
  type Failure,
  OutgoingMessage,
  type SessionMachine,
} from '../../protocol/index.js';
import type { Meta } from '../../wire/index.js';
import { errorOf, InterconnectError } from '../common/errors.js';
import { type DeliveredMessage, ItemDelivery, type OnItem } from '../stream/item-delivery.js';
import type { WhenOffline } from '../link/outage.js';
import { executedOf, isRefusedUnseen, type Outcome, outcomeOf } from './outcome.js';
import type { Route } from './route.js';
import { cancelledAfter, isConnectionsFault, withLimits } from './send-failures.js';

/** @internal The options of a `send` that still matter after the message was sent. */
export interface PendingOptions {
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly oneWay?: boolean | undefined;
  readonly idempotent?: boolean | undefined;
  readonly whenOffline?: WhenOffline | undefined;
  readonly onItem?: OnItem | undefined;
}

export class PendingSend extends OutgoingMessage implements DeliveredMessage {
  readonly #route: Route;
  #resolve: (outcome: Outcome | undefined) => void = ignore;
  #reject: (error: unknown) => void = ignore;
  readonly #options: PendingOptions;
  #machine: SessionMachine | undefined;
  #unlisten: (() => void) | undefined;
  /** Whether the handler may have run on a former connection. */
  #mayHaveRun = false;
  /** The async scope of the caller of `send`, for `onItem`. */
  #scope: AsyncResource | undefined;
  /** Created if the response is a stream. */
  #delivery: ItemDelivery | undefined;
  /** Whether the outcome has arrived. There may still be unread items. */
  #isSettled = false;

  /** The message has no deadline yet: the caller sets it. `copied`: only the message refers to the payload. */
  constructor(
    route: Route,
    payload: Buffer,
    meta: Buffer,
    copied: boolean,
    options: PendingOptions,
  ) {
    super(payload, meta, Infinity, options.oneWay === true, copied);
    this.#route = route;
    this.#options = options;
    if (options.onItem === undefined) return;
    this.takesItems = true;
    this.#scope = new AsyncResource('InterconnectItems');
  }

  get whenOffline(): WhenOffline | undefined {
    return this.#options.whenOffline;
  }

  /**
   * Sends the message. The two functions settle the promise of the call. Until then, the signal of the options cancels
   * the message.
   */
  submit(resolve: (outcome: Outcome | undefined) => void, reject: (error: unknown) => void): void {
    const { machine, context } = this.#route;
    const { signal, whenOffline } = this.#options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#machine = machine;
    const refusal = context.refusal(whenOffline);
    if (refusal !== undefined) return this.onFailure(refusal);
    if (signal !== undefined) {
      this.#unlisten = whenAborted(signal, () => this.#onAbort());
    }
    machine.send(this);
  }

  take(): Buffer | undefined {
    return this.takeItem(this.#route.context.now());
  }

  /** Gives up the rest of the response. */
  abandon(error: unknown): void {
    this.#unlisten?.();
    this.#reject(error);
    this.#machine?.sender.cancel(this);
    // Unread items would hold their credit for ever.
    this.responseItems?.drop();
  }

  override onItem(): void {
    this.#delivery ??= new ItemDelivery(this, this.#options.onItem, this.#scope);
    this.#delivery.advance();
  }

  onOutcome(type: number, meta: Meta, data: Buffer): void {
    if (isRefusedUnseen(type, meta)) return this.onFailure(DRAINING);
    const outcome = outcomeOf(type, meta, data, this.#route.machine.name, this);
    if (!(outcome instanceof InterconnectError)) return this.#settle(this.#withFormer(outcome));
    this.#unlisten?.();
    this.responseItems?.drop();
    const { code, message, status, reason } = outcome;
    const executed = this.#inAll(outcome.executed);
    this.#reject(new InterconnectError(code, message, { executed, status, reason }));
  }

  onFailure(failure: Failure): void {
    this.#unlisten?.();
    const executed = this.#inAll(failure.executed);
    if (this.#mayGoAgain(failure)) this.#again(executed !== 'no');
    else {
      const known = { ...failure, executed };
      this.#reject(errorOf(withLimits(known, this, this.#route, this.#options.timeout)));
    }
  }

  onSent(): void {
    this.#unlisten?.();
    this.#resolve(undefined);
  }

  /** Resolves the promise with the outcome, after the last item is delivered. */
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

  /** Returns the outcome. If it is a rejection, `executed` also covers the former connections. */
  #withFormer(outcome: Outcome): Outcome {
    if (!this.#mayHaveRun || outcome.accepted) return outcome;
    return { ...outcome, executed: this.#inAll(executedOf(outcome)) };
  }

  /** Whether the handler ran, on this connection or on a former one. */
  #inAll(executed: Executed): Executed {
    return executed === 'no' && this.#mayHaveRun ? 'maybe' : executed;
  }

  /** Whether the message can be sent on another connection without harm. */
  #mayGoAgain(failure: Failure): boolean {
    const { signal, idempotent } = this.#options;
    if (this.#route.machine === this.#machine || signal?.aborted === true) return false;
    // `onItem` would get the first items twice.
    if (this.#delivery !== undefined) return false;
    return isConnectionsFault(failure) && (failure.executed === 'no' || idempotent === true);
  }

  /** Sends a new message with the same contents, because the former connection may still hold the old message. */
  #again(mayHaveRun: boolean): void {
    const { payload, meta, deadline, copied } = this;
    const message = new PendingSend(this.#route, payload, meta, copied, this.#options);
    message.deadline = deadline;
    message.patience = this.patience;
    message.#scope = this.#scope;
    message.#mayHaveRun = mayHaveRun;
    message.order = this.order;
    message.submit(this.#resolve, this.#reject);
  }
}

function ignore(): void {}
