/** Node's microtasks, which are promises' reactions, in the hand of a simulated world. */

/** Runs `body` where `drainMicrotasks` works: Node drains none while one runs. */
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

/** Runs every microtask that waits, also those that they add. */
export function drainMicrotasks(): void {
  node._tickCallback();
}

/** Node's own way to run what waits for the end of a tick. It is not documented, and older than promises. */
const node = process as unknown as { _tickCallback(): void };
