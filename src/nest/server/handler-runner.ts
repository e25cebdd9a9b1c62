import type { MessageHandler } from '@nestjs/microservices';
import { isObservable } from 'rxjs';
import type { Message } from '../../endpoint/index.js';
import type { Codec } from '../common/codec.js';
import { extrasOf } from './handler-extras.js';
import { HandlerGate } from './handler-gate.js';
import { HandlerLimit } from './handler-limit.js';
import { InterconnectContext } from './interconnect.context.js';
import type { InterconnectPeer } from './interconnect.peers.js';
import { decodeItems } from '../common/item-stream.js';
import { ObservableResult } from './observable-result.js';
import { isPromiseLike } from '../common/promises.js';
import { Settler } from './settler.js';
import type { SettlerEnvironment } from './settler.js';
import type { Timers } from '../common/timers.js';

/** For a callback that has nothing to do: one function, and not one per message. */
export const NOTHING = () => {};

/** The parts that all handlers of a server share. */
export interface HandlerEnvironment extends SettlerEnvironment {
  readonly timers: Timers;
}

/** One message, with everything that its handler gets. */
export interface Run {
  readonly message: Message;
  readonly context: InterconnectContext;
  readonly limit: HandlerLimit | undefined;
  /** Settles the message: as a request, or as an event. */
  readonly settler: Settler;
  /** The handler has ended, or will never begin. Only the first call counts. */
  release(): void;
}

/**
 * Runs one pattern's handler and settles each message with the result:
 *
 * | the handler gives                     | the caller gets            |
 * | ------------------------------------- | -------------------------- |
 * | nothing, `null`                       | ACCEPT, empty              |
 * | bytes, or a record of them            | ACCEPT with them           |
 * | an async iterable, a Readable         | ITEM for each, then ACCEPT |
 * | an Observable                         | see `ObservableResult`     |
 * | an error                              | REJECT, see error-mapping  |
 * | anything else                         | REJECT FAILED, and a log   |
 *
 * If the message was emitted, the handler's values are ignored: the message is accepted when the handler has completed. As
 * with Nest TCP, this depends on how the message was sent, and not on the decorator. With a codec, values take the place of
 * bytes.
 *
 * Every message takes this path. Nest's own path (`handleRequest`, `transformToObservable`, `send`) takes 3.5 µs more per
 * message, so there is no Observable here unless the handler made one.
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
  private readonly requests: Settler;
  private readonly events: Settler;

  constructor(pattern: string, handler: MessageHandler, environment: HandlerEnvironment) {
    this.pattern = pattern;
    this.handler = handler;
    this.isEvent = handler.isEventHandler === true;
    this.codec = environment.codec;
    this.timers = environment.timers;
    this.requests = new Settler(pattern, handler, false, environment);
    this.events = new Settler(pattern, handler, true, environment);
    const { concurrency, timeout, stream } = extrasOf(pattern, handler);
    this.timeout = timeout;
    this.takesStream = stream;
    this.gate = concurrency === undefined ? undefined : new HandlerGate(concurrency);
  }

  /** Whether messages may have to wait, because the pattern has a `concurrency`. */
  get hasTurns(): boolean {
    return this.gate !== undefined;
  }

  /** Calls `start` at once, or when enough handlers have ended if the pattern's `concurrency` is used up. */
  admit(message: Message, start: () => void): void {
    if (this.gate === undefined) start();
    else this.gate.enter(message, start, () => this.requests.rejections.rejectUnstarted(message));
  }

  /** Makes everything that the handler and its enhancers get for one message. */
  begin(message: Message, peer: InterconnectPeer, isEmitted: boolean): Run {
    const { timeout } = this;
    const settler = isEmitted ? this.events : this.requests;
    const limit =
      timeout === undefined
        ? undefined
        : new HandlerLimit(message, timeout, this.timers, () =>
            settler.rejections.rejectExpired(message, timeout),
          );
    const { pattern, isEvent } = this;
    return {
      message,
      context: new InterconnectContext([message, pattern, isEvent, peer, limit]),
      limit,
      settler,
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
   * Never throws. `done` runs exactly once, when the handler and its Observable have ended, or were stopped because the
   * caller has given up.
   */
  run(run: Run, done: () => void): void {
    const end = () => {
      done();
      run.release();
    };
    if (this.takesStream) return this.call(run, this.bodyOf(run.message), end);
    if (run.message.streaming) {
      run.settler.rejections.rejectStream(run.message);
      return end();
    }
    if (this.codec === undefined) return this.call(run, run.message.data, end);
    try {
      const data = this.codec.decode(run.message.data, this.pattern);
      if (!isPromiseLike(data)) return this.call(run, data, end);
      data.then(
        (value) => this.call(run, value, end),
        (error: unknown) => failDecoding(run, error, end),
      );
    } catch (error) {
      failDecoding(run, error, end);
    }
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
          (value) => conclude(run, value, end),
          (error: unknown) => failThrown(run, error, end),
        );
      } else {
        conclude(run, result, end);
      }
    } catch (error) {
      failThrown(run, error, end);
    }
  }
}

function conclude(run: Run, value: unknown, end: () => void): void {
  if (isObservable(value)) new ObservableResult(run, end).follow(value);
  else run.settler.settle(run.message, value, end, run.limit);
}

function failThrown({ settler, message }: Run, error: unknown, end: () => void): void {
  settler.rejections.rejectThrown(message, error);
  end();
}

function failDecoding({ settler, message }: Run, error: unknown, end: () => void): void {
  settler.rejections.rejectUndecodable(message, error);
  end();
}

function once(callback: () => void): () => void {
  let isCalled = false;
  return () => {
    if (isCalled) return;
    isCalled = true;
    callback();
  };
}
