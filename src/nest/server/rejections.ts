import {
  Code,
  UnreadableSource,
  cutText,
  messageOf,
  quote,
  stackOf,
} from '../../endpoint/index.js';
import type { ItemsRejection, Message } from '../../endpoint/index.js';
import { UnfitValue } from '../common/codec.js';
import { MAX_DETAILS, toRejection, toRejectionOfThrown } from '../common/error-mapping.js';
import type { Rejection } from '../common/error-mapping.js';
import { UnfitItem } from '../common/item-stream.js';
import type { SparingLog } from '../common/sparing-log.js';
import type { HandlerLimit } from './handler-limit.js';
import { QueueOverflow } from './value-queue.js';

/** The caller of such a message has given up, but the message keeps its place in the session until it is settled. */
const UNWANTED: Rejection = {
  code: Code.FAILED,
  reason: 'The caller no longer waits for the result.',
  isMasked: false,
};

const UNSTARTED = 'The caller gave up before the handler ran.';

/** What a rejected stream was made of. */
export interface RejectedStream {
  /** Whether its errors went through Nest's filters. */
  readonly isFiltered: boolean;
  readonly limit: HandlerLimit | undefined;
}

/**
 * The rejections of one pattern's messages: the REJECT that the caller gets, and the line that the log gets.
 *
 * | what went wrong                                   | REJECT                   | log                               |
 * | ------------------------------------------------- | ------------------------ | --------------------------------- |
 * | the handler failed; Nest's filters gave an error  | see `toRejection`        | if the caller was told nothing,   |
 * |                                                   |                          | or if the message is an event     |
 * | something failed after or beside the filters      | see `toRejectionOfThrown`| as above                          |
 * | the payload cannot be decoded                     | INVALID, with the cause  | warning                           |
 * | the request is a stream, the handler takes none   | INVALID, with the remedy | warning                           |
 * | the handler exceeded the extra `timeout`          | DEADLINE                 | warning                           |
 * | the result cannot be sent                         | FAILED, with the cause   | error                             |
 * | the caller no longer waits                        | FAILED                   | nothing                           |
 * | the caller gave up before the handler's turn      | CANCELLED                | nothing                           |
 *
 * INVALID and CANCELLED tell the caller that the handler did not run. A handler cannot reject with them. If the handler has
 * settled the message itself, nothing is sent.
 */
export class Rejections {
  private readonly pattern: string;
  private readonly log: SparingLog;
  /** A message whose caller may ignore its failure, so that each failure is logged here. */
  private readonly isEvent: boolean;

  constructor(pattern: string, log: SparingLog, isEvent: boolean) {
    this.pattern = pattern;
    this.log = log;
    this.isEvent = isEvent;
  }

  /** Rejects with an error that Nest's filters gave. */
  rejectFiltered(message: Message, error: unknown): void {
    this.rejectWith(message, toRejection(error), error);
  }

  /** Rejects with an error that no filter has seen. */
  rejectThrown(message: Message, error: unknown): void {
    this.rejectWith(message, toRejectionOfThrown(error), error);
  }

  rejectUndecodable(message: Message, error: unknown): void {
    this.refuse(
      message,
      `The payload for "${this.pattern}" cannot be decoded: ${messageOf(error)}`,
    );
  }

  rejectStream(message: Message): void {
    this.refuse(
      message,
      `The pattern "${this.pattern}" takes no stream as its request. Send bytes, or give its handler the extra ` +
        '{ stream: true }.',
    );
  }

  rejectExpired(message: Message, timeout: number): void {
    if (message.answered) return;
    this.send(message, this.expired(`did not settle within its ${timeout} ms.`));
  }

  /** Rejects a result that breaks a rule; `what` goes on after "The handler of …". */
  rejectResult(message: Message, what: string): void {
    this.send(message, this.faulty(what));
  }

  /** Rejects a result that `respond()` or the codec did not take, so that the caller need not wait for the timeout. */
  rejectUnsendable(message: Message, error: unknown): void {
    const isUnfit = error instanceof UnfitValue;
    const what = isUnfit ? error.message : `what cannot be sent: ${messageOf(error)}`;
    this.rejectResult(message, `returned ${what}`);
  }

  /** Rejects a message whose result was a stream that was read for its effects, and failed. */
  rejectExhausted(message: Message, error: unknown): void {
    if (error instanceof UnreadableSource) this.rejectUnsendable(message, error);
    else this.rejectThrown(message, error);
  }

  /** Settles a message whose caller has given up. */
  rejectUnwanted(message: Message): void {
    this.send(message, UNWANTED);
  }

  /** Settles a message whose caller has given up before its handler ran. */
  rejectUnstarted(message: Message): void {
    message.refuse(Code.CANCELLED, UNSTARTED);
  }

  /** The rejection that ends a stream of values after `error`. */
  ofItems(error: unknown, { isFiltered, limit }: RejectedStream): ItemsRejection {
    if (error instanceof UnfitItem) return this.faulty(`gave a stream with ${error.message}`);
    if (error instanceof QueueOverflow) {
      return this.faulty(
        'returned an Observable that is faster than its caller: of such values, more than the ' +
          `${error.limit} bytes of maxQueuedBytes would wait on this connection. Return an async iterable or a Readable, ` +
          'which can be held back, or raise maxQueuedBytes at this server.',
      );
    }
    if (limit !== undefined && error === limit.expired.reason) {
      return this.expired(`did not end its stream within its ${limit.timeout} ms.`);
    }
    const rejection = isFiltered ? toRejection(error) : toRejectionOfThrown(error);
    this.report(rejection, error);
    return rejection;
  }

  /** Rejects a message whose handler has not run, and does not run. */
  private refuse(message: Message, reason: string): void {
    this.log.notice(this.kind('refused'), reason);
    message.refuse(Code.INVALID, cutText(reason));
  }

  /** The handler's mistake, which both sides are told. */
  private faulty(what: string): Rejection {
    const reason = `The handler of "${this.pattern}" ${what}`;
    this.log.fail(this.kind('faulty'), reason);
    return { code: Code.FAILED, reason: cutText(reason), isMasked: false };
  }

  /** The caller sees a timeout, as if the message itself had timed out. */
  private expired(what: string): Rejection {
    const reason = `The handler of "${this.pattern}" ${what}`;
    this.log.notice(this.kind('expired'), reason);
    return { code: Code.DEADLINE, reason: cutText(reason), isMasked: false };
  }

  /** The kind of a line: each pattern has its own, so that one pattern does not hide the failures of another. */
  private kind(what: string): string {
    return `${what} ${this.pattern}`;
  }

  private rejectWith(message: Message, rejection: Rejection, error: unknown): void {
    this.report(rejection, error);
    this.send(message, rejection);
  }

  private send(message: Message, { code, reason, data, metadata }: Rejection): void {
    if (message.answered) return;
    try {
      message.reject(code, reason, data, metadata && { metadata });
    } catch (error) {
      this.log.fail(
        this.kind('unsendable'),
        `The rejection of "${this.pattern}" cannot be sent: ${messageOf(error)}`,
      );
      message.reject(Code.FAILED, reason);
    }
  }

  /**
   * Logs a failure that the caller cannot log: the caller was not told the error, or the message is an event, whose
   * caller may ignore the failure.
   */
  private report(rejection: Rejection, error: unknown): void {
    if (rejection.leftOut !== undefined) {
      this.log.notice(
        this.kind('details'),
        `The handler of "${this.pattern}" failed with an exception whose details have ${rejection.leftOut} bytes. They were left ` +
          `out, because at most ${MAX_DETAILS} travel: its caller was told the reason only. Give an InterconnectException ` +
          'bytes, or carry less.',
      );
    }
    if (error instanceof Error && rejection.isMasked) {
      this.log.fail(
        this.kind('failed'),
        `The handler of "${this.pattern}" failed: ${messageOf(error)}`,
        stackOf(error),
      );
    } else if (this.isEvent) {
      this.log.fail(
        this.kind('event failed'),
        `The event handler of "${this.pattern}" failed: ${rejection.reason}`,
      );
    } else if (rejection.isMasked) {
      // Nest has logged the error itself, unless it was an HttpException. Then this line is the only one.
      this.log.notice(
        this.kind('masked'),
        `The handler of "${this.pattern}" failed with no RpcException: its caller was told ` +
          `${quote(rejection.reason, 256)} only.`,
      );
    }
  }
}
