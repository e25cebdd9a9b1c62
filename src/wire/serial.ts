// Arithmetic of counters that wrap. Message ids run 1, 2, … MAX_ID, 1, …; byte counters run modulo
// 2³² and are kept as signed 32-bit integers, because those never leave V8's fast path.

import { MAX_ID } from './constants.js';

/** The id after `id`. `nextId(0)` is 1: 0 stands for "none yet". */
export function nextId(id: number): number {
  return id === MAX_ID ? 1 : id + 1;
}

/**
 * How many times {@link nextId} leads from one id to the other: 0 … MAX_ID − 1. As "none yet" comes
 * before 1, a 0 counts as MAX_ID does.
 */
export function idsAhead(from: number, to: number): number {
  const distance = to - from;
  if (distance === MAX_ID) return 0;
  return distance < 0 ? distance + MAX_ID : distance;
}

/** A byte counter after `count` more bytes. */
export function addBytes(counter: number, count: number): number {
  return (counter + count) | 0;
}

/**
 * Bytes left between what was used and the limit; negative if it was exceeded. Right for windows
 * below 2³¹.
 */
export function bytesBetween(used: number, limit: number): number {
  return (limit - used) | 0;
}
