import type { Logger } from '@nestjs/common';
import type { MessageHandler } from '@nestjs/microservices';
import { ignoreElements, isObservable, take, toArray } from 'rxjs';
import type { Observable } from 'rxjs';
import type { Message } from '../endpoint/index.js';
import type { Codec } from './codec.js';
import { extrasOf } from './handler-extras.js';
import { HandlerGate } from './handler-gate.js';
import { HandlerLimit } from './handler-limit.js';
import { InterconnectContext } from './interconnect.context.js';
import type { InterconnectPeer } from './interconnect.peers.js';
import { isPromiseLike } from './promises.js';
import { Settler } from './settler.js';
import type { Timers } from './timers.js';

const NOTHING = () => {};

/** What every handler of a server runs with. */
export interface HandlerEnvironment {
  readonly codec: Codec | undefined;
  readonly logger: Logger;
  readonly timers: Timers;
}

/** One message and what its handler gets. */
export interface Run {
  readonly message: Message;
  readonly context: InterconnectContext;
  readonly limit: HandlerLimit | undefined;
  /** Its handler has ended, or will never begin. Counts once. */
  release(): void;
}

/**
 * Runs one pattern's handler and settles each message with what comes of it:
 *
 * | the handler gives                     | the caller gets            |
 * | ------------------------------------- | -------------------------- |
 * | nothing, `null`, an empty Observable  | ACCEPT, empty              |
 * | bytes, or a record of them            | ACCEPT with them           |
 * | an Observable of one of these         | the same, when it completes |
 * | an error                              | REJECT, see error-mapping  |
 * | anything else                         | REJECT FAILED, and a log   |
 *
 * An event handler's values are not looked at: it accepts when it has completed. With a codec, values take
 * the place of bytes.
 *
 * This is the server's path for every message. Nest's own (`handleRequest`, `transformToObservable`,
 * `send`) costs 3.5 µs more each, so there is no Observable here unless the handler made one.
 */
export class HandlerRunner {
  readonly pattern: string;
  readonly handler: MessageHandler;
  private readonly isEvent: boolean;
  private readonly codec: Codec | undefined;
  private readonly timers: Timers;
  private readonly timeout: number | undefined;
  private readonly gate: HandlerGate | undefined;
  private readonly settler: Settler;

  constructor(pattern: string, handler: MessageHandler, environment: HandlerEnvironment) {
    this.pattern = pattern;
    this.handler = handler;
    this.isEvent = handler.isEventHandler === true;
    this.codec = environment.codec;
    this.timers = environment.timers;
    this.settler = new Settler(pattern, this.isEvent, environment.codec, environment.logger);
    const { concurrency, timeout } = extrasOf(pattern, handler);
    this.timeout = timeout;
    this.gate = concurrency === undefined ? undefined : new HandlerGate(concurrency);
  }

  /** Whether messages may have to wait for their turn. */
  get hasTurns(): boolean {
    return this.gate !== undefined;
  }

  /** Calls `start` when the message's turn has come: at once, unless the pattern's `concurrency` is used up. */
  admit(message: Message, start: () => void): void {
    if (this.gate === undefined) start();
    else this.gate.enter(message, start, () => this.settler.abandon(message));
  }

  /** What the handler and its enhancers get; made anew for every message. */
  begin(message: Message, peer: InterconnectPeer): Run {
    const { timeout } = this;
    const limit =
      timeout === undefined
        ? undefined
        : new HandlerLimit(message, timeout, this.timers, () =>
            this.settler.rejectExpired(message, timeout),
          );
    const { pattern, isEvent } = this;
    return {
      message,
      context: new InterconnectContext([message, pattern, isEvent, peer, limit]),
      limit,
      release:
        this.gate === undefined && limit === undefined
          ? NOTHING
          : once(() => {
              limit?.clear();
              this.gate?.leave();
            }),
    };
  }

  /**
   * Never throws. `done` runs exactly once, when the handler and the Observable it gave have ended,
   * or were stopped because nobody waits for them any more.
   */
  run(run: Run, done: () => void): void {
    const end = () => {
      done();
      run.release();
    };
    if (this.codec === undefined) return this.call(run, run.message.data, end);
    try {
      const data = this.codec.decode(run.message.data, this.pattern);
      if (!isPromiseLike(data)) return this.call(run, data, end);
      data.then(
        (value) => this.call(run, value, end),
        (error: unknown) => this.failDecoding(run.message, error, end),
      );
    } catch (error) {
      this.failDecoding(run.message, error, end);
    }
  }

  /** For a failure outside the handler, that of a processing hook. */
  fail(run: Run, error: unknown): void {
    this.settler.rejectThrown(run.message, error);
    run.release();
  }

  private call(run: Run, data: unknown, end: () => void): void {
    try {
      const result: unknown = this.handler(data, run.context);
      if (isPromiseLike(result)) {
        result.then(
          (value) => this.conclude(run, value, end),
          (error: unknown) => this.failThrown(run.message, error, end),
        );
      } else {
        this.conclude(run, result, end);
      }
    } catch (error) {
      this.failThrown(run.message, error, end);
    }
  }

  private conclude(run: Run, value: unknown, end: () => void): void {
    if (isObservable(value)) this.follow(run, value, end);
    else this.settler.settle(run.message, value, end);
  }

  private failThrown(message: Message, error: unknown, end: () => void): void {
    this.settler.rejectThrown(message, error);
    end();
  }

  private failDecoding(message: Message, error: unknown, end: () => void): void {
    this.settler.rejectUndecodable(message, error);
    end();
  }

  /** One value more than is allowed is enough to know: `take(2)` then unsubscribes from the source. */
  private follow({ message, limit }: Run, source: Observable<unknown>, end: () => void): void {
    const values$ = source.pipe(this.isEvent ? ignoreElements() : take(2), toArray());
    let isSettling = false;
    const subscription = values$.subscribe({
      next: (values) => {
        isSettling = true;
        this.settleWithValues(message, values, end);
      },
      error: (error: unknown) => this.settler.reject(message, error),
    });
    subscription.add(() => {
      if (!isSettling) end();
    });
    // Nobody waits for a one-way message from the start, so that there is no one who could stop to.
    if (subscription.closed || (message.oneWay && limit === undefined)) return;

    // Only now, as a signal is costly to make and most Observables end by themselves.
    const { signal } = limit ?? message;
    const stop = () => {
      subscription.unsubscribe();
      this.settler.abandon(message);
    };
    signal.addEventListener('abort', stop, { once: true });
    subscription.add(() => signal.removeEventListener('abort', stop));
    if (signal.aborted) stop();
  }

  private settleWithValues(message: Message, values: readonly unknown[], end: () => void): void {
    if (values.length <= 1) return this.settler.settle(message, values[0], end);
    this.settler.refuse(
      message,
      'emitted more than one value: streaming results are not served yet.',
    );
    end();
  }
}

function once(callback: () => void): () => void {
  let isCalled = false;
  return () => {
    if (isCalled) return;
    isCalled = true;
    callback();
  };
}
