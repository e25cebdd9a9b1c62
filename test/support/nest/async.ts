import { firstValueFrom, lastValueFrom, toArray } from 'rxjs';
import type { Observable } from 'rxjs';

/** A promise, and the two functions that settle it. */
export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** All values that an Observable emits until it completes. */
export function all<T>(source: Observable<T>): Promise<T[]> {
  return lastValueFrom(source.pipe(toArray()));
}

/** The error of the call. If the call succeeds, the test fails. */
export async function failure(source: Observable<unknown> | Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await ('subscribe' in source ? firstValueFrom(source) : source);
  } catch (error) {
    return error;
  }
  throw new Error(`Expected a failure, got ${String(value)}`);
}

/** As `failure`, for an error of the given class. */
export async function failureOf<T extends Error>(
  type: abstract new (...args: never[]) => T,
  source: Observable<unknown> | Promise<unknown>,
): Promise<T> {
  const error = await failure(source);
  if (error instanceof type) return error;
  throw new Error(`Expected ${type.name}, got ${String(error)}`);
}

/** Resolves when `predicate` holds. Checks it after each turn of the event loop, for at most five seconds. */
export async function until(predicate: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!predicate()) {
    if (Date.now() > end) throw new Error(`Did not become true: ${predicate.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
