import type { Observable, Observer, Subscription } from 'rxjs';
import { takeWhile } from 'rxjs';
import { nextTick } from '../../endpoint/index.js';
import type { Message } from '../../endpoint/index.js';
import type { HandlerLimit } from './handler-limit.js';
import { isInterconnectRecord } from '../common/interconnect.record.js';
import { isStream } from '../common/item-stream.js';
import type { Settler } from './settler.js';
import type { ValueQueue } from './value-queue.js';

/** The message of an Observable, and the parts that settle it. */
export interface ObservedRun {
  readonly message: Message;
  readonly limit: HandlerLimit | undefined;
  readonly settler: Settler;
}

/**
 * An Observable that a handler returned. Whether it has one value or many shows only while it runs:
 *
 * | it emits                                | the caller gets                           |
 * | --------------------------------------- | ----------------------------------------- |
 * | nothing, and completes                  | ACCEPT with STREAM: no value              |
 * | one value, and completes with it        | ACCEPT with the value                     |
 * | one value, and goes on                  | ITEM at once; what follows as it comes    |
 * | one value, and fails                    | ITEM, REJECT                              |
 *
 * "Completes with it" means: before the next tick, as with Nest's own servers. Nest's pipeline runs in promises. When one of
 * them emits a value and completes, both happen before `process.nextTick` calls back. So nearly all responses are one frame,
 * and a first value does not wait for a slow second one.
 *
 * If the message was emitted or is one-way, values are not sent, and only the end counts.
 */
export class ObservableResult implements Observer<unknown> {
  private readonly run: ObservedRun;
  private readonly sendsValues: boolean;
  private readonly end: () => void;
  private subscription: Subscription | undefined;
  private first: unknown;
  private hasFirst = false;
  private queue: ValueQueue | undefined;
  /** The settler has taken over, and calls `end`. */
  private isSettling = false;
  private isStopped = false;

  /** `end` is called once, when the Observable has ended or was stopped, and the message is settled. */
  constructor(run: ObservedRun, end: () => void) {
    this.run = run;
    this.sendsValues = !run.settler.isEmitted && !run.message.oneWay;
    this.end = end;
  }

  follow(source: Observable<unknown>): void {
    const { message, limit } = this.run;
    // The Observable may have to stop while it emits within `subscribe`, before there is a subscription.
    const subscription = source.pipe(takeWhile(() => !this.isStopped)).subscribe(this);
    this.subscription = subscription;
    subscription.add(() => {
      if (!this.isSettling) this.end();
    });
    if (this.isStopped) subscription.unsubscribe();
    if (subscription.closed) return;
    if (this.hasFirst) this.waitForEnd();
    // A one-way message has no caller who can give up.
    if (message.oneWay && limit === undefined) return;

    // Not earlier, because a signal is costly to make, and most Observables end by themselves.
    const { signal } = limit ?? message;
    const giveUp = () => {
      this.stop();
      this.run.settler.rejections.rejectUnwanted(message);
    };
    signal.addEventListener('abort', giveUp, { once: true });
    subscription.add(() => signal.removeEventListener('abort', giveUp));
    if (signal.aborted) giveUp();
  }

  next(value: unknown): void {
    if (this.queue !== undefined) return this.queue.push(value);
    if (!this.hasFirst) {
      this.hasFirst = true;
      this.first = value;
      if (this.subscription !== undefined) this.waitForEnd();
    } else if (this.sendsValues) {
      this.stream().push(value);
    }
  }

  complete(): void {
    if (this.queue !== undefined) return this.queue.complete();
    // A stream without a value is not the same response as one empty value.
    if (!this.hasFirst && this.sendsValues) return this.stream().complete();
    this.isSettling = true;
    const { message, limit, settler } = this.run;
    settler.settle(message, this.first, this.end, limit);
  }

  error(error: unknown): void {
    const { message, settler } = this.run;
    if (this.queue === undefined && this.mayBeItem()) this.stream();
    if (this.queue === undefined) settler.rejections.rejectFiltered(message, error);
    else this.queue.fail(error);
  }

  private waitForEnd(): void {
    if (this.sendsValues) nextTick(release, this);
  }

  /** The Observable did not complete with its first value. */
  release(): void {
    const isOver = this.subscription?.closed === true;
    if (!isOver && this.queue === undefined && this.mayBeItem()) this.stream();
  }

  /**
   * Whether the first value may be sent before the end. A record and a stream can only be the whole response, so they wait for
   * the end. If the handler has settled the message itself, there is nothing to send.
   */
  private mayBeItem(): boolean {
    if (!this.hasFirst || !this.sendsValues || this.run.message.answered) return false;
    return !isInterconnectRecord(this.first) && !isStream(this.first);
  }

  private stream(): ValueQueue {
    const { message, limit, settler } = this.run;
    const queue = settler.queueFor(message, () => this.stop());
    this.queue = queue;
    this.isSettling = true;
    if (this.hasFirst) queue.push(this.first);
    this.first = undefined;
    settler.stream(message, { items: queue, isFiltered: true, limit }, this.end);
    return queue;
  }

  private stop(): void {
    this.isStopped = true;
    this.subscription?.unsubscribe();
  }
}

/** A function instead of a closure for each result. */
function release(result: ObservableResult): void {
  result.release();
}
