import type { Logger } from '@nestjs/common';
import type { MessageHandler } from '@nestjs/microservices';
import { ignoreElements, isObservable, take, toArray } from 'rxjs';
import type { Observable } from 'rxjs';
import { Code } from '../endpoint/index.js';
import type { Message } from '../endpoint/index.js';
import { describeType, isBytes } from './bytes.js';
import { cut, toRejection, toRejectionOfThrown } from './error-mapping.js';
import type { Rejection } from './error-mapping.js';
import type { InterconnectContext } from './interconnect.context.js';
import { isInterconnectRecord } from './interconnect.record.js';
import type { InterconnectRecord } from './interconnect.record.js';

const EMPTY = Buffer.alloc(0);

/** Goes to nobody, but until it is sent the message keeps its place in the session. */
const ABANDONED: Rejection = {
  code: Code.FAILED,
  reason: 'Nobody waits for the result any more.',
  isMasked: false,
};

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
 * An event handler's values are not looked at: it accepts when it has completed.
 *
 * This is the server's path for every message. Nest's own (`handleRequest`, `transformToObservable`,
 * `send`) costs 3.5 µs more each, so there is no Observable here unless the handler made one.
 */
export class HandlerRunner {
  readonly pattern: string;
  readonly isEvent: boolean;
  private readonly handler: MessageHandler;
  private readonly logger: Logger;

  constructor(pattern: string, handler: MessageHandler, logger: Logger) {
    this.pattern = pattern;
    this.isEvent = handler.isEventHandler === true;
    this.handler = handler;
    this.logger = logger;
  }

  /**
   * Never throws. `done` runs exactly once, when the handler and the Observable it gave have ended,
   * or were stopped because nobody waits for them any more.
   */
  run(message: Message, context: InterconnectContext, done: () => void): void {
    try {
      const result: unknown = this.handler(message.data, context);
      if (isPromiseLike(result)) {
        result.then(
          (value) => this.conclude(message, value, done),
          (error: unknown) => this.failThrown(message, error, done),
        );
      } else {
        this.conclude(message, result, done);
      }
    } catch (error) {
      this.failThrown(message, error, done);
    }
  }

  /** For a failure outside the handler, that of a processing hook. */
  fail(message: Message, error: unknown): void {
    this.reject(message, toRejectionOfThrown(error), error);
  }

  private conclude(message: Message, value: unknown, done: () => void): void {
    if (isObservable(value)) {
      this.follow(message, value, done);
      return;
    }
    this.settle(message, value);
    done();
  }

  private failThrown(message: Message, error: unknown, done: () => void): void {
    this.fail(message, error);
    done();
  }

  /** One value more than is allowed is enough to know: `take(2)` then unsubscribes from the source. */
  private follow(message: Message, source: Observable<unknown>, done: () => void): void {
    const values$ = source.pipe(this.isEvent ? ignoreElements() : take(2), toArray());
    const subscription = values$.subscribe({
      next: (values) => this.settleWithValues(message, values),
      error: (error: unknown) => this.reject(message, toRejection(error), error),
    });
    subscription.add(done);
    // Nobody waits for a one-way message from the start, so that there is no one who could stop to.
    if (subscription.closed || message.oneWay) return;

    // Only now, as a signal is costly to make and most Observables end by themselves.
    const { signal } = message;
    const stop = () => {
      subscription.unsubscribe();
      this.send(message, ABANDONED);
    };
    signal.addEventListener('abort', stop, { once: true });
    subscription.add(() => signal.removeEventListener('abort', stop));
    if (signal.aborted) stop();
  }

  private settleWithValues(message: Message, values: readonly unknown[]): void {
    if (values.length > 1) {
      this.refuse(message, 'emitted more than one value: streaming results are not served yet.');
      return;
    }
    this.settle(message, values[0]);
  }

  private settle(message: Message, value: unknown): void {
    // The handler has settled it itself, through the context. After a timeout there is no outcome to give
    // any more, but the message keeps its place until it is told that the handler has ended.
    if (message.answered) return;
    try {
      if (this.isEvent || value === undefined || value === null) message.accept();
      else if (isBytes(value)) message.respond(value);
      else if (isInterconnectRecord(value)) this.respondWithRecord(message, value);
      else {
        const remedy = 'Return bytes (Buffer, Uint8Array, ArrayBuffer, DataView), or nothing.';
        this.refuse(message, `returned ${describeType(value)}. ${remedy}`);
      }
    } catch (error) {
      // A response over the peer's limit, or metadata that does not fit: the caller must not wait for the timeout.
      this.refuse(message, `returned what cannot be sent: ${describeError(error)}`);
    }
  }

  private respondWithRecord(message: Message, record: InterconnectRecord): void {
    const data: unknown = record.data ?? EMPTY;
    if (!isBytes(data)) {
      this.refuse(message, `returned a record of ${describeType(data)}, which is not bytes.`);
    } else if (record.metadata === undefined) {
      message.respond(data);
    } else {
      message.respond(data, { metadata: record.metadata });
    }
  }

  /** For results that are the handler's mistake: said to both sides. */
  private refuse(message: Message, what: string): void {
    const reason = `The handler of "${this.pattern}" ${what}`;
    this.logger.error(reason);
    this.send(message, { code: Code.FAILED, reason: cut(reason), isMasked: false });
  }

  private reject(message: Message, rejection: Rejection, error: unknown): void {
    this.report(rejection, error);
    this.send(message, rejection);
  }

  private send(message: Message, { code, reason, data, metadata }: Rejection): void {
    if (message.answered) return;
    try {
      message.reject(code, reason, data, metadata && { metadata });
    } catch (error) {
      this.logger.error(
        `The rejection of "${this.pattern}" cannot be sent: ${describeError(error)}`,
      );
      message.reject(Code.FAILED, reason);
    }
  }

  /**
   * A message's failure is its caller's to log, unless he was not told what it is. An event's caller
   * may not be listening at all, so its failures are always logged here.
   */
  private report(rejection: Rejection, error: unknown): void {
    if (error instanceof Error && rejection.isMasked) {
      this.logger.error(`The handler of "${this.pattern}" failed: ${error.message}`, error.stack);
    } else if (this.isEvent) {
      this.logger.error(`The event handler of "${this.pattern}" failed: ${rejection.reason}`);
    } else if (rejection.isMasked) {
      // Nest has logged the error itself, unless it was an HttpException, of which this is all there is.
      this.logger.warn(
        `The handler of "${this.pattern}" failed with no RpcException: its caller was told "${rejection.reason}" only.`,
      );
    }
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
