// Arithmetic of counters that wrap. Message ids run 1, 2, … MAX_ID, 1, …. Byte counters run modulo 2³² and are signed 32-bit
// integers, because V8 is fast with those.

import { MAX_ID } from './constants.js';

/** The id after `id`. `nextId(0)` is 1, because 0 means "none yet". */
export function nextId(id: number): number {
  return id === MAX_ID ? 1 : id + 1;
}

/**
 * The number of {@link nextId} steps from one id to the other: 0 … MAX_ID − 1. The id 0 ("none yet") counts as MAX_ID,
 * because both come before 1.
 */
export function idsAhead(from: number, to: number): number {
  const distance = to - from;
  if (distance === MAX_ID) return 0;
  return distance < 0 ? distance + MAX_ID : distance;
}

/** Returns the value of a byte counter after `count` more bytes. */
export function addBytes(counter: number, count: number): number {
  return (counter + count) | 0;
}

/**
 * Returns the number of bytes that are left until the limit; negative if the counter has exceeded it. The result is right
 * only if the two differ by less than 2³¹.
 */
export function bytesBetween(used: number, limit: number): number {
  return (limit - used) | 0;
}
