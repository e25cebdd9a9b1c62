import type { EventEmitter } from 'node:events';
import {
  type Connection,
  type ConnectionEvents,
  InterconnectError,
  type Listener,
  type ListenerEvents,
  type Session,
  type SessionEvents,
} from 'nestjs-interconnect/core';

/** Resolves with the arguments of the next event of that name. */
export function next<Name extends keyof ListenerEvents>(
  emitter: Listener,
  name: Name,
): Promise<ListenerEvents[Name]>;
export function next<Name extends keyof ConnectionEvents>(
  emitter: Connection,
  name: Name,
): Promise<ConnectionEvents[Name]>;
export function next<Name extends keyof SessionEvents>(
  emitter: Session,
  name: Name,
): Promise<SessionEvents[Name]>;
export function next(emitter: unknown, name: string): Promise<unknown[]> {
  return new Promise((resolve) => {
    (emitter as EventEmitter).once(name, (...args: unknown[]) => resolve(args));
  });
}

/** Resolves when `condition` holds. Checks `condition` after each turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!condition()) {
    if (performance.now() > end)
      throw new Error(`The condition never became true: ${String(condition)}`);
    await turn();
  }
}

/** Waits for one turn of the event loop, in which Node reads the sockets that have data. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** An asynchronous listener. The emitter handles the rejection of its promise, as the library's emitters do. */
export function later<Args extends unknown[]>(
  listener: (...args: Args) => Promise<unknown>,
): (...args: Args) => unknown {
  return listener;
}

/** The library's error with which the promise rejects. Without such an error, the test fails. */
export async function failure(promise: Promise<unknown>): Promise<InterconnectError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome && outcome.error instanceof InterconnectError) return outcome.error;
  throw new Error('The promise did not reject with an InterconnectError.', { cause: outcome });
}

/** The library's error that the call throws. Without such an error, the test fails. */
export function thrown(call: () => unknown): InterconnectError {
  try {
    call();
  } catch (error) {
    if (error instanceof InterconnectError) return error;
    throw new Error('The call threw something else.', { cause: error });
  }
  throw new Error('The call did not throw.');
}

/** Less than Jest's timeout, so that the failure of a test names the condition. */
const PATIENCE = 10_000;
