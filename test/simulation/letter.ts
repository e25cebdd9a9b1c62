/**
 * A message that an application wants to send, over all the connections that carry it in turn: one `send` of the
 * endpoint. The endpoint's own `PendingSend` or `StreamingSend` sends the message, and sends it again elsewhere if
 * that does no harm.
 */
import { isInterconnectError } from '../../src/endpoint/common/errors.js';
import { ItemSource } from '../../src/endpoint/stream/item-source.js';
import type { Outcome } from '../../src/endpoint/api/outcome.js';
import type { WhenOffline } from '../../src/endpoint/link/outage.js';
import { PendingSend } from '../../src/endpoint/api/pending-send.js';
import { StreamingSend } from '../../src/endpoint/api/streaming-send.js';
import { type Executed } from '../../src/protocol/index.js';
import { codeName, encodeMeta, EMPTY } from '../../src/wire/index.js';
import type { AppSession } from './app-session.js';
import type { Attempt } from './attempt.js';
import type { Delivery } from './delivery.js';
import { VirtualSignal } from './virtual-signal.js';

export type Result =
  | { readonly kind: 'accepted'; readonly data: Buffer }
  | { readonly kind: 'rejected'; readonly code: number; readonly data: Buffer }
  | { readonly kind: 'sent' }
  | { readonly kind: 'failed'; readonly code: string; readonly executed: Executed };

export interface LetterOptions {
  /** Milliseconds. Without it, the message has no deadline. */
  readonly timeout?: number;
  readonly metadata?: string;
  readonly oneWay?: boolean;
  /** Whether the connection has copied the message. If so, a one-way message ends when it is written. */
  readonly isCopied?: boolean;
  readonly idempotent?: boolean;
  /** How long the message waits while there is no socket. */
  readonly whenOffline?: WhenOffline;
  /** The items of the request. Without it, the request is no stream. */
  readonly items?: readonly Buffer[];
  /** Whether the stream ends after the last item. If not, only the settlement ends it. */
  readonly endsItems?: boolean;
  /** The number of items after which the source fails. */
  readonly failsAfter?: number;
  /** Whether the response may be a stream. */
  readonly takesItems?: boolean;
  /** The number of items of the response that are taken before `read` is called. Without it, all are taken. */
  readonly reads?: number;
  /** Milliseconds without progress after which a stream fails. */
  readonly patience?: number;
}

export class Letter {
  readonly number: number;
  readonly session: AppSession;
  readonly payload: Buffer;
  readonly options: LetterOptions;
  readonly attempts: Attempt[] = [];
  /** The items of the response that were taken. */
  readonly items: Buffer[] = [];
  result: Result | undefined;
  isCancelled = false;
  readonly #signal = new VirtualSignal();
  /** The number of further items that will be taken. */
  #reads: number;
  #goOn: (() => void) | undefined;

  constructor(session: AppSession, payload: Buffer, options: LetterOptions) {
    this.number = session.end.world.letters.push(this);
    this.session = session;
    this.payload = payload;
    this.options = options;
    this.#reads = options.reads ?? Infinity;
  }

  get oneWay(): boolean {
    return this.options.oneWay === true;
  }

  /** The handlers that have started for the letter. */
  get deliveries(): Delivery[] {
    return this.attempts.flatMap(({ delivery }) => delivery ?? []);
  }

  /** `undefined` if the letter was refused before its first attempt. */
  get last(): Attempt | undefined {
    return this.attempts.at(-1);
  }

  /** Whether the application was told that no handler ran and none will run. */
  get isNotExecuted(): boolean {
    return this.result?.kind === 'failed' && this.result.executed === 'no';
  }

  /** `pending`, `sent`, `accepted "data"`, `rejected BUSY`, `failed IC_ERR_TIMEOUT maybe`. */
  get outcome(): string {
    const { result } = this;
    switch (result?.kind) {
      case undefined:
        return 'pending';
      case 'sent':
        return 'sent';
      case 'failed':
        return `failed ${result.code} ${result.executed}`;
      case 'accepted':
        return `accepted ${shown(result.data)}`;
      case 'rejected':
        return `rejected ${codeName(result.code)} ${shown(result.data)}`;
    }
  }

  get name(): string {
    return this.last?.name ?? `Letter ${this.number} of ${this.session.name}`;
  }

  /** As the endpoint's `Session.send` does. */
  submit(): void {
    const { session, payload, options } = this;
    const { metadata, items, oneWay = false, takesItems = false, idempotent = false } = options;
    const { timeout, patience = 0, isCopied = true, whenOffline } = options;
    const meta = metadata === undefined ? EMPTY : encodeMeta({ metadata: [['k', metadata]] });
    const deadline = session.end.world.now() + (timeout ?? (patience > 0 ? patience : Infinity));
    const signal = this.#signal.asSignal;
    const onItem = (item: Buffer): void | Promise<void> => this.#take(item);
    this.asSender(() => {
      if (items !== undefined) {
        const message = new StreamingSend(session.route, payload, meta, {
          source: new ItemSource(sourceOf(items, options)),
          takesItems,
          whenOffline,
        });
        const start = (): void => message.start({ deadline, patience, timeout }, signal);
        message.deliver(takesItems ? onItem : undefined, start).then(
          (outcome) => this.#onOutcome(outcome),
          (error: unknown) => this.#onError(error),
        );
        return;
      }
      const message = new PendingSend(session.route, payload, meta, oneWay && isCopied, {
        signal,
        oneWay,
        idempotent,
        whenOffline,
        ...(takesItems ? { onItem } : {}),
      });
      message.deadline = deadline;
      message.patience = patience;
      message.submit(
        (outcome) => this.#onOutcome(outcome),
        (error) => this.#onError(error),
      );
    });
  }

  /** Runs `body`. All messages that the endpoint sends meanwhile belong to this letter. */
  asSender(body: () => void): void {
    const { world } = this.session.end;
    const former = world.sending;
    world.sending = this;
    try {
      body();
    } finally {
      world.sending = former;
    }
  }

  /** Aborts the signal that the application gave to `send`. */
  cancel(): void {
    this.isCancelled = true;
    this.asSender(() => this.#signal.abort());
  }

  /** Lets `count` more items be taken. */
  read(count: number): void {
    this.#reads = count;
    const goOn = this.#goOn;
    this.#goOn = undefined;
    goOn?.();
  }

  /** Takes an item of the response. The endpoint gives the next one when the promise resolves. */
  #take(item: Buffer): void | Promise<void> {
    const { time } = this.session.end.world;
    time.guard(() => {
      if (this.result !== undefined) throw new Error(`${this.name} has an item after its end.`);
    });
    this.items.push(item);
    this.#reads -= 1;
    if (this.#reads <= 0) return new Promise((resolve) => (this.#goOn = resolve));
  }

  #onOutcome(outcome: Outcome | undefined): void {
    if (outcome === undefined) return this.#settle({ kind: 'sent' });
    const { data } = outcome;
    if (outcome.accepted) this.#settle({ kind: 'accepted', data });
    else this.#settle({ kind: 'rejected', code: outcome.code, data });
  }

  #onError(error: unknown): void {
    if (error === SOURCE_FAILED) {
      // The application is told the error of its own source, and nothing else.
      this.#settle({ kind: 'failed', code: 'the source failed', executed: 'maybe' });
    } else if (isInterconnectError(error)) {
      this.#settle({ kind: 'failed', code: error.code, executed: error.executed });
    } else {
      this.session.end.world.time.guard(() => {
        throw error;
      });
    }
  }

  /** As with a promise, only the first result counts. */
  #settle(result: Result): void {
    if (this.result !== undefined) return;
    const { world } = this.session.end;
    world.time.guard(() => {
      this.result = result;
      world.trace(`${this.name} ends: ${this.outcome}`);
      this.#checkExecuted(result);
    });
  }

  /** Checks `executed` of the result against all attempts. */
  #checkExecuted(result: Result): void {
    if (result.kind !== 'failed' || result.code === 'the source failed') return;
    const { executed } = result;
    if (executed === 'no') {
      if (this.deliveries.length > 0) throw new Error(`${this.name} has run: ${this.outcome}.`);
      return;
    }
    const mayHaveRun = this.attempts.some((each) => !each.isNotExecuted);
    if (!mayHaveRun) {
      throw new Error(`${this.name} is known not to have run, and is told: ${this.outcome}.`);
    }
  }
}

/** The source of the items. */
function sourceOf(
  items: readonly Buffer[],
  { failsAfter = Infinity, endsItems = true }: LetterOptions,
): Iterable<Buffer> | AsyncIterable<Buffer> {
  if (failsAfter < items.length) return failing(items.slice(0, failsAfter));
  return endsItems ? items : endless(items);
}

function* failing(items: readonly Buffer[]): Generator<Buffer> {
  yield* items;
  throw SOURCE_FAILED;
}

/** A source that gives the items, and then never ends unless its consumer ends it. */
function endless(items: readonly Buffer[]): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = items.values();
      return {
        next(): Promise<IteratorResult<Buffer>> {
          const result = iterator.next();
          return result.done === true ? new Promise(() => undefined) : Promise.resolve(result);
        },
        return: () => Promise.resolve<IteratorResult<Buffer>>({ value: undefined, done: true }),
      };
    },
  };
}

const SOURCE_FAILED = new Error('The source failed.');

function shown(data: Buffer): string {
  return data.length > 32 ? `${data.length} B` : JSON.stringify(data.toString('latin1'));
}
