/**
 * Node's clock and event loop for this package: the functions that existed when this file was loaded. A test runner
 * that fakes time (`jest.useFakeTimers()`) replaces the globals of the application under test. The connections must go on
 * in such a test, so nothing in this package uses those globals.
 */
import { performance } from 'node:perf_hooks';
import * as timers from 'node:timers';

// Copied, because some fakes also replace the functions of the module `node:timers`, and an import sees the
// replacement.
/** Node's `setTimeout`. */
export const setTimeout: typeof timers.setTimeout = timers.setTimeout;
/** Node's `clearTimeout`. */
export const clearTimeout: typeof timers.clearTimeout = timers.clearTimeout;
/** Node's `setInterval`. */
export const setInterval: typeof timers.setInterval = timers.setInterval;
/** Node's `clearInterval`. */
export const clearInterval: typeof timers.clearInterval = timers.clearInterval;
/** Node's `setImmediate`. */
export const setImmediate: typeof timers.setImmediate = timers.setImmediate;
/** Node's `clearImmediate`. */
export const clearImmediate: typeof timers.clearImmediate = timers.clearImmediate;

/** Node's `performance.now()`: milliseconds since the process began; never goes back. */
export const now: () => number = performance.now.bind(performance);

/** Milliseconds since 1970, like `Date.now()`. Later changes of the system's clock have no effect. */
export const wallTime = (): number => performance.timeOrigin + now();

type Tick = (...args: unknown[]) => void;

// eslint-disable-next-line typescript/unbound-method -- only looked at
const isTickFaked = ['clock', '_isMockFunction'].some((mark) => mark in process.nextTick);

/**
 * Node's `process.nextTick`. Some test runners fake timers before they load any module, and the original function
 * cannot be found. In this case the callback comes later, at the end of the turn of the event loop.
 */
export const nextTick: typeof process.nextTick = isTickFaked
  ? (callback: Tick, ...args: unknown[]) => void setImmediate(callback, ...args)
  : process.nextTick.bind(process);

const DONE = Promise.resolve();

/**
 * Calls `callback` as the next microtask. `queueMicrotask` is a global that fakes replace, and no module of Node
 * exports it.
 */
export function microtask(callback: () => void): void {
  // eslint-disable-next-line promise/no-callback-in-promise -- that is the purpose
  void DONE.then(callback);
}
