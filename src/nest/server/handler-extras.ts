import type { MessageHandler } from '@nestjs/microservices';
import { inspect } from 'node:util';
import { InterconnectError } from '../../endpoint/index.js';
import { nextOf } from './handler-chain.js';

/** The extras of `@MessagePattern(pattern, extras)` that this transport reads. Other entries belong to other code. */
export interface HandlerExtras {
  /** The most handlers of this pattern that run at once, on all connections together. */
  readonly concurrency: number | undefined;
  /** The most milliseconds that a handler of this pattern may take. */
  readonly timeout: number | undefined;
  /** Whether `@Payload()` gives the request item by item. Only then may the request be a stream. */
  readonly stream: boolean;
}

const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** @throws IC_ERR_OPTION with pattern and value. The server reads the extras at start, before the first message. */
export function readExtras(
  pattern: string,
  extras: Record<string, unknown>,
  isEvent: boolean,
): HandlerExtras {
  const { concurrency, timeout, stream = false } = extras;
  if (typeof stream !== 'boolean') {
    throw new InterconnectError(
      'IC_ERR_OPTION',
      `The extra "stream" of the pattern "${pattern}" must be true or false, and is ${inspect(stream)}.`,
    );
  }
  if (stream && isEvent) {
    throw new InterconnectError(
      'IC_ERR_OPTION',
      `The event pattern "${pattern}" has the extra "stream", but an event cannot be a stream. Use @MessagePattern and send().`,
    );
  }
  return {
    stream,
    concurrency: checkExtra(pattern, 'concurrency', concurrency, Number.MAX_SAFE_INTEGER),
    timeout: checkExtra(pattern, 'timeout', timeout, LONGEST_TIMEOUT),
  };
}

/** The extras of a pattern. Several event handlers run as one, and the strictest of their extras counts. */
export function extrasOf(pattern: string, handler: MessageHandler): HandlerExtras {
  const isEvent = handler.isEventHandler === true;
  const { stream, ...limits } = readExtras(pattern, handler.extras ?? {}, isEvent);
  let { concurrency, timeout } = limits;
  for (let next = nextOf(handler); next !== undefined; next = nextOf(next)) {
    const other = readExtras(pattern, next.extras ?? {}, isEvent);
    concurrency = smaller(concurrency, other.concurrency);
    timeout = smaller(timeout, other.timeout);
  }
  return { concurrency, timeout, stream };
}

function smaller(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

function checkExtra(
  pattern: string,
  name: string,
  value: unknown,
  most: number,
): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) {
    return value;
  }
  throw new InterconnectError(
    'IC_ERR_OPTION',
    `The extra "${name}" of the pattern "${pattern}" must be a whole number from 1 to ${most}, and is ${inspect(value)}.`,
  );
}
