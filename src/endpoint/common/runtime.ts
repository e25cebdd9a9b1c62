/**
 * Node's clock and event loop, as this package uses them: the functions that were there when this file was loaded.
 * A test runner that fakes time (`jest.useFakeTimers()`) replaces the globals of the application under test. A call
 * over a connection is not what such a test wants to stop, so nothing in this package uses those globals.
 */
import { performance } from 'node:perf_hooks';
import * as timers from 'node:timers';

// Copied: some fakes replace the functions of the module `node:timers` as well, and an import sees the replacement.
/** As `setTimeout` of Node. */
export const setTimeout: typeof timers.setTimeout = timers.setTimeout;
/** As `clearTimeout` of Node. */
export const clearTimeout: typeof timers.clearTimeout = timers.clearTimeout;
/** As `setInterval` of Node. */
export const setInterval: typeof timers.setInterval = timers.setInterval;
/** As `clearInterval` of Node. */
export const clearInterval: typeof timers.clearInterval = timers.clearInterval;
/** As `setImmediate` of Node. */
export const setImmediate: typeof timers.setImmediate = timers.setImmediate;
/** As `clearImmediate` of Node. */
export const clearImmediate: typeof timers.clearImmediate = timers.clearImmediate;

/** As `performance.now()` of Node: milliseconds since the process began; never goes back. */
export const now: () => number = performance.now.bind(performance);

/** As `Date.now()` of Node, but that it does not follow changes of the system's clock. */
export const wallTime = (): number => performance.timeOrigin + now();

type Tick = (...args: unknown[]) => void;

// eslint-disable-next-line typescript/unbound-method -- only looked at
const isTickFaked = ['clock', '_isMockFunction'].some((mark) => mark in process.nextTick);

/**
 * As `process.nextTick` of Node. Some test runners fake timers before they load anything, and nobody can tell what the
 * function was before. Then the callback comes later, at the end of the turn of the event loop.
 */
export const nextTick: typeof process.nextTick = isTickFaked
  ? (callback: Tick, ...args: unknown[]) => void setImmediate(callback, ...args)
  : process.nextTick.bind(process);

const DONE = Promise.resolve();

/**
 * Calls `callback` as the next microtask. Not by `queueMicrotask`: fakes replace that global, and Node has no other
 * way to it.
 */
export function microtask(callback: () => void): void {
  // eslint-disable-next-line promise/no-callback-in-promise -- that is the purpose
  void DONE.then(callback);
}
