/**
 * Async scopes. The scope of a callback decides which `AsyncLocalStorage` stores, traces and domains the callback sees.
 *
 * A connection outlives the request that opened it, and belongs to no request. So everything that lives long runs in
 * the scope of its endpoint: sockets, timers, attempts to reconnect, listeners, and handlers of the other side's
 * messages. The scope of a request is not kept alive. Everything that belongs to one call (its promise, its items, its
 * stream) stays in the scope of that call.
 */
import { AsyncResource } from 'node:async_hooks';

/** @internal The async scope of everything that lives longer than one call. */
export type Scope = AsyncResource;

/** @internal Returns the scope of the caller. */
export function scopeOfNow(): Scope {
  return new AsyncResource('Interconnect');
}

/** @internal The scope in which this file was loaded: outside of any request. */
export const OUTSIDE: Scope = scopeOfNow();
