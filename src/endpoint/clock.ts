/** Time, as the endpoint sees it: monotonic, and in a test's hand where a test needs it. */
export interface Clock {
  /** Milliseconds since some fixed instant; never goes back. */
  now(): number;
  /** Calls `callback` once after `delay` milliseconds, unless the returned function was called before. */
  setTimer(delay: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(delay, callback) {
    // A delay beyond 2^31 - 1 ms would fire at once.
    const timer = setTimeout(callback, Math.min(Math.max(0, Math.ceil(delay)), MAX_DELAY));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

const MAX_DELAY = 2 ** 31 - 1;
