/**
 * The results of the handlers of one event. Nest runs several handlers of a pattern as one handler, whose result is
 * `{ current, next }`; with more than two handlers, `next` is such a pair again. Nest's TCP transport responds with the pair.
 */
import type { MessageHandler } from '@nestjs/microservices';
import { isInterconnectRecord } from '../common/interconnect.record.js';
import { isStream } from '../common/item-stream.js';
import { nextOf } from './handler-chain.js';

/** Whether this handler stands for several. */
export function hasSeveral(handler: MessageHandler): boolean {
  return nextOf(handler) !== undefined;
}

/** The streams among the results of an event's handlers. */
export function streamsOf(handler: MessageHandler, value: unknown): AsyncIterable<unknown>[] {
  return resultsOf(handler, value).map(dataOf).filter(isStream);
}

/** Whether each of the handlers gave nothing or a stream, so that there is no value. */
export function isNothing(handler: MessageHandler, value: unknown): boolean {
  const results = resultsOf(handler, value).map(dataOf);
  return results.every((result) => result === undefined || result === null || isStream(result));
}

/** The results as Nest's pair, with nothing in place of each stream and the data in place of each record. */
export function pairOf(handler: MessageHandler, value: unknown): unknown {
  const results = resultsOf(handler, value).map((result) => {
    const data = dataOf(result);
    return isStream(data) ? undefined : data;
  });
  return results.reduceRight((next, current) => ({ current, next }));
}

/** The results in the order of the handlers. */
function resultsOf(handler: MessageHandler, value: unknown): unknown[] {
  const results: unknown[] = [];
  let rest = value;
  // The number of handlers ends the loop, because a handler's own result may look like a pair.
  for (let each = nextOf(handler); each !== undefined && isPair(rest); each = nextOf(each)) {
    results.push(rest.current);
    rest = rest.next;
  }
  results.push(rest);
  return results;
}

function dataOf(result: unknown): unknown {
  return isInterconnectRecord(result) ? result.data : result;
}

function isPair(value: unknown): value is { current: unknown; next: unknown } {
  return typeof value === 'object' && value !== null && 'current' in value && 'next' in value;
}
