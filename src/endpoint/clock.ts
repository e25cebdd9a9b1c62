/** Time and chance, as the endpoint sees it: monotonic, and in a test's hand where a test needs it. */
export interface Clock {
  /** Milliseconds since some fixed instant; never goes back. */
  now(): number;
  /** Calls `callback` once after `delay` milliseconds, unless the returned function was called before. */
  setTimer(delay: number, callback: () => void): () => void;
  /** The same; and until then the process does not end by itself. */
  setAlarm(delay: number, callback: () => void): () => void;
  /** 0 ≤ n < 1, at random. */
  random(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(delay, callback) {
    const timer = setTimeout(callback, within(delay));
    timer.unref();
    return () => clearTimeout(timer);
  },
  setAlarm(delay, callback) {
    const timer = setTimeout(callback, within(delay));
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/** A delay beyond 2^31 - 1 ms would fire at once. */
function within(delay: number): number {
  return Math.min(Math.max(0, Math.ceil(delay)), MAX_DELAY);
}

const MAX_DELAY = 2 ** 31 - 1;
