/** The time and random numbers that this floor needs. The endpoint's clock has them. */
export interface Timers {
  now(): number;
  /** Calls `callback` once after `delay` milliseconds, unless the returned function was called before. */
  setTimer(delay: number, callback: () => void): () => void;
  /** As `setTimer`, but the process does not end by itself before the call. */
  setAlarm(delay: number, callback: () => void): () => void;
  /** A random number, 0 ≤ n < 1. */
  random(): number;
}
