/** Gives a simulated world control over Node's microtasks, which are the reactions of promises. */

/** Runs `body` in a macrotask, in which `drainMicrotasks` works. Node drains no microtasks while one is running. */
export function inMacrotask<T>(body: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(body());
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** Runs all pending microtasks, and those that they add. */
export function drainMicrotasks(): void {
  node._tickCallback();
}

/** Node's own function that runs pending ticks and microtasks. It is undocumented. */
const node = process as unknown as { _tickCallback(): void };
