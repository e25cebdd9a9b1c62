/** Time and chance, as this floor needs them. The endpoint's clock is one. */
export interface Timers {
  now(): number;
  /** Calls `callback` once after `delay` milliseconds, unless the returned function was called before. */
  setTimer(delay: number, callback: () => void): () => void;
  /** The same; and until then the process does not end by itself. */
  setAlarm(delay: number, callback: () => void): () => void;
  /** 0 ≤ n < 1, at random. */
  random(): number;
}
