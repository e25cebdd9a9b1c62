import type { MessageHandler } from '@nestjs/microservices';
import { inspect } from 'node:util';
import { InterconnectError } from '../../endpoint/index.js';
import { nextOf } from './handler-chain.js';

/** What the extras of `@MessagePattern(pattern, extras)` steer; other entries are somebody else's. */
export interface HandlerExtras {
  /** At most so many handlers of this pattern run at once, on all connections together. */
  readonly concurrency: number | undefined;
  /** Milliseconds that a handler of this pattern may take. */
  readonly timeout: number | undefined;
  /** `@Payload()` is the request item by item. Only then may it be a stream. */
  readonly stream: boolean;
}

const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** @throws IC_ERR_OPTION naming pattern and value: at start, and not at the first message. */
export function readExtras(
  pattern: string,
  extras: Record<string, unknown>,
  isEvent: boolean,
): HandlerExtras {
  const { concurrency, timeout, stream = false } = extras;
  if (typeof stream !== 'boolean') {
    throw new InterconnectError(
      'IC_ERR_OPTION',
      `The extra "stream" of the pattern "${pattern}" is true or false: this is ${inspect(stream)}.`,
    );
  }
  if (stream && isEvent) {
    throw new InterconnectError(
      'IC_ERR_OPTION',
      `The event pattern "${pattern}" has the extra "stream", but an event is never one. Use @MessagePattern and send().`,
    );
  }
  return {
    stream,
    concurrency: checkExtra(pattern, 'concurrency', concurrency, Number.MAX_SAFE_INTEGER),
    timeout: checkExtra(pattern, 'timeout', timeout, LONGEST_TIMEOUT),
  };
}

/** Several event handlers of one pattern run as one: the strictest of their extras counts. */
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
    `The extra "${name}" of the pattern "${pattern}" is a whole number from 1 to ${most}: this is ${inspect(value)}.`,
  );
}
