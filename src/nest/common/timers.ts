/** Time as this floor needs it; the endpoint's clock is one. */
export interface Timers {
  now(): number;
  /** Calls `callback` once after `delay` milliseconds, unless the returned function was called before. */
  setTimer(delay: number, callback: () => void): () => void;
  /** The same; and until then the process does not end by itself. */
  setAlarm(delay: number, callback: () => void): () => void;
  /** 0 ≤ n < 1, at random. */
  random(): number;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  setTimer(delay, callback) {
    const timer = setTimeout(callback, delay);
    timer.unref();
    return () => clearTimeout(timer);
  },
  setAlarm(delay, callback) {
    const timer = setTimeout(callback, delay);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
