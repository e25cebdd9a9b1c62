/**
 * What the handlers of one event gave. Nest runs those of one pattern as one: what several gave is `{ current, next }`, and
 * `next` such a pair again if more follow. Nest's TCP transport answers a request with just that.
 */
import type { MessageHandler } from '@nestjs/microservices';
import { isInterconnectRecord } from '../common/interconnect.record.js';
import { isStream } from '../common/item-stream.js';
import { nextOf } from './handler-chain.js';

/** Whether Nest runs several handlers as this one. */
export function hasSeveral(handler: MessageHandler): boolean {
  return nextOf(handler) !== undefined;
}

/** The streams among what the handlers of an event gave. */
export function streamsOf(handler: MessageHandler, value: unknown): AsyncIterable<unknown>[] {
  return resultsOf(handler, value).map(dataOf).filter(isStream);
}

/** Whether none of the handlers gave anything but streams, which are no values. */
export function isNothing(handler: MessageHandler, value: unknown): boolean {
  const results = resultsOf(handler, value).map(dataOf);
  return results.every((result) => result === undefined || result === null || isStream(result));
}

/** What several handlers gave as Nest nests it, with nothing in place of each stream, and the data in place of each record. */
export function pairOf(handler: MessageHandler, value: unknown): unknown {
  const results = resultsOf(handler, value).map((result) => {
    const data = dataOf(result);
    return isStream(data) ? undefined : data;
  });
  return results.reduceRight((next, current) => ({ current, next }));
}

/** In the order of the handlers. */
function resultsOf(handler: MessageHandler, value: unknown): unknown[] {
  const results: unknown[] = [];
  let rest = value;
  // As long as there are handlers, and no longer: what a handler itself gives may look the same.
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
