import type { Logger } from '@nestjs/common';
import type { MessageHandler } from '@nestjs/microservices';
import { isObservable, takeWhile } from 'rxjs';
import type { Observable } from 'rxjs';
import type { Message } from '../endpoint/index.js';
import type { Codec } from './codec.js';
import { extrasOf } from './handler-extras.js';
import { HandlerGate } from './handler-gate.js';
import { HandlerLimit } from './handler-limit.js';
import { InterconnectContext } from './interconnect.context.js';
import type { InterconnectPeer } from './interconnect.peers.js';
import { decodeItems } from './item-stream.js';
import { isPromiseLike } from './promises.js';
import { Settler } from './settler.js';
import type { Timers } from './timers.js';
import { ValueQueue } from './value-queue.js';

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
 * | an Observable of several, an async    | ITEM for each, ACCEPT at    |
 * | iterable, a Readable                  | the end                     |
 * | an error                              | REJECT, see error-mapping  |
 * | anything else                         | REJECT FAILED, and a log   |
 *
 * An event handler's values are not looked at: it accepts when it has completed. With a codec, values take
 * the place of bytes.
 *
 * An Observable may turn out to be a stream: its first value waits for the second, or for the end.
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
  private readonly takesStream: boolean;
  private readonly gate: HandlerGate | undefined;
  private readonly settler: Settler;

  constructor(pattern: string, handler: MessageHandler, environment: HandlerEnvironment) {
    this.pattern = pattern;
    this.handler = handler;
    this.isEvent = handler.isEventHandler === true;
    this.codec = environment.codec;
    this.timers = environment.timers;
    this.settler = new Settler(pattern, this.isEvent, environment.codec, environment.logger);
    const { concurrency, timeout, stream } = extrasOf(pattern, handler);
    this.timeout = timeout;
    this.takesStream = stream;
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
    if (this.takesStream) return this.call(run, this.bodyOf(run.message), end);
    if (run.message.streaming) {
      this.settler.refuseStream(run.message);
      return end();
    }
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

  private bodyOf({ body }: Message): AsyncIterable<unknown> {
    const { codec, pattern } = this;
    return codec === undefined ? body : decodeItems(body, (item) => codec.decode(item, pattern));
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
    else this.settler.settle(run.message, value, end, run.limit);
  }

  private failThrown(message: Message, error: unknown, end: () => void): void {
    this.settler.rejectThrown(message, error);
    end();
  }

  private failDecoding(message: Message, error: unknown, end: () => void): void {
    this.settler.rejectUndecodable(message, error);
    end();
  }

  private follow({ message, limit }: Run, source: Observable<unknown>, end: () => void): void {
    const ignoresMore = this.isEvent || message.oneWay;
    let first: unknown;
    let hasFirst = false;
    let queue: ValueQueue | undefined;
    let isSettling = false;
    const state = { isStopped: false };
    // It may have to stop while it emits within `subscribe`, when there is no subscription yet.
    let unsubscribe = () => {
      state.isStopped = true;
    };
    const subscription = source.pipe(takeWhile(() => !state.isStopped)).subscribe({
      next: (value) => {
        if (queue !== undefined) return queue.push(value);
        if (!hasFirst) {
          hasFirst = true;
          first = value;
        } else if (!ignoresMore) {
          isSettling = true;
          queue = new ValueQueue(() => unsubscribe());
          queue.push(first);
          queue.push(value);
          const values = queue;
          this.settler.stream(
            message,
            { values, isFiltered: true, metadata: undefined, limit },
            end,
          );
        }
      },
      complete: () => {
        if (queue !== undefined) return queue.complete();
        isSettling = true;
        this.settler.settle(message, first, end, limit);
      },
      error: (error: unknown) => {
        if (queue === undefined) this.settler.reject(message, error);
        else queue.fail(error);
      },
    });
    unsubscribe = () => subscription.unsubscribe();
    subscription.add(() => {
      if (!isSettling) end();
    });
    if (state.isStopped) unsubscribe();
    // Nobody waits for a one-way message from the start, so that there is no one who could stop to.
    if (subscription.closed || (message.oneWay && limit === undefined)) return;

    // Only now, as a signal is costly to make and most Observables end by themselves.
    const { signal } = limit ?? message;
    const stop = () => {
      unsubscribe();
      this.settler.abandon(message);
    };
    signal.addEventListener('abort', stop, { once: true });
    subscription.add(() => signal.removeEventListener('abort', stop));
    if (signal.aborted) stop();
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
