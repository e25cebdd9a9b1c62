import type { MessageHandler } from '@nestjs/microservices';
import { isInterconnectRecord } from '../common/interconnect.record.js';
import { isStream } from '../common/item-stream.js';
import { nextOf } from './handler-chain.js';

/**
 * The streams among what the handlers of an event gave. Nest runs those of one pattern as one: what several gave is
 * `{ current, next }`, and `next` such a pair again where more follow.
 */
export function streamsOf(handler: MessageHandler, value: unknown): AsyncIterable<unknown>[] {
  const streams: AsyncIterable<unknown>[] = [];
  const add = (result: unknown) => {
    const given: unknown = isInterconnectRecord(result) ? result.data : result;
    if (isStream(given)) streams.push(given);
  };
  let rest = value;
  // As long as there are handlers, and no longer: what a handler itself gives may look the same.
  for (let each = nextOf(handler); each !== undefined && isPair(rest); each = nextOf(each)) {
    add(rest.current);
    rest = rest.next;
  }
  add(rest);
  return streams;
}

function isPair(value: unknown): value is { current: unknown; next: unknown } {
  return typeof value === 'object' && value !== null && 'current' in value && 'next' in value;
}
