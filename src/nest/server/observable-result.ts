import type { Observable, Observer, Subscription } from 'rxjs';
import { takeWhile } from 'rxjs';
import { nextTick } from '../../endpoint/index.js';
import type { Message } from '../../endpoint/index.js';
import type { HandlerLimit } from './handler-limit.js';
import { isInterconnectRecord } from '../common/interconnect.record.js';
import { isStream } from '../common/item-stream.js';
import type { Settler } from './settler.js';
import type { ValueQueue } from './value-queue.js';

/** Whose message it answers. */
export interface ObservedRun {
  readonly message: Message;
  readonly limit: HandlerLimit | undefined;
  readonly settler: Settler;
}

/**
 * What a handler gave as an Observable. Whether that is one value or a stream shows only as it goes on:
 *
 * | it emits                                | the caller gets                           |
 * | --------------------------------------- | ----------------------------------------- |
 * | nothing, and completes                  | ACCEPT with STREAM: no value              |
 * | one value, and completes with it        | ACCEPT with the value                     |
 * | one value, and goes on                  | ITEM at once; what follows as it comes    |
 * | one value, and fails                    | ITEM, REJECT                              |
 *
 * "With it" is before the tick after, as with Nest's own servers: Nest's pipeline runs in promises, and what it emits
 * in one of them, with the end that follows, is done before `process.nextTick` calls back. So nearly all answers
 * remain one frame, and a value that the next is long in following is not kept waiting for it.
 *
 * Of a message that was emitted, or that nobody waits for, values are not sent, and only the end counts.
 */
export class ObservableResult implements Observer<unknown> {
  private readonly run: ObservedRun;
  private readonly sendsValues: boolean;
  private readonly end: () => void;
  private subscription: Subscription | undefined;
  private first: unknown;
  private hasFirst = false;
  private queue: ValueQueue | undefined;
  /** It has been handed over to the settler, which says when it has ended. */
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
    // It may have to stop while it emits within `subscribe`, when there is no subscription yet.
    const subscription = source.pipe(takeWhile(() => !this.isStopped)).subscribe(this);
    this.subscription = subscription;
    subscription.add(() => {
      if (!this.isSettling) this.end();
    });
    if (this.isStopped) subscription.unsubscribe();
    if (subscription.closed) return;
    if (this.hasFirst) this.waitForEnd();
    // Nobody waits for a one-way message from the start, so that there is no one who could stop to.
    if (message.oneWay && limit === undefined) return;

    // Only now, as a signal is costly to make and most Observables end by themselves.
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
    // A stream without a value is another answer than one empty value.
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

  /** The end has not come with the first value. */
  release(): void {
    const isOver = this.subscription?.closed === true;
    if (!isOver && this.queue === undefined && this.mayBeItem()) this.stream();
  }

  /**
   * Whether there is a first value that may go ahead of what follows. A record and a stream can only be the whole answer, so
   * these wait for the end; and where the handler has settled the message itself, there is nothing to send.
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

/** Without a closure for each. */
function release(result: ObservableResult): void {
  result.release();
}
