/**
 * Async scopes: whose `AsyncLocalStorage` stores, traces and domains the code sees that this package calls.
 *
 * A connection outlives the request in which it was opened, and belongs to none: not to the first caller, who happened to
 * need it, either. So everything that lives long (sockets, timers, attempts to reconnect, listeners, handlers of what the
 * other side sends) runs in the scope of its endpoint, and keeps no other alive. What belongs to one call (its promise, its
 * items, its stream) stays in the scope of that call.
 */
import { AsyncResource } from 'node:async_hooks';

/** @internal Where what lives long runs. */
export type Scope = AsyncResource;

/** @internal That of whoever makes this call. */
export function scopeOfNow(): Scope {
  return new AsyncResource('Interconnect');
}

/** @internal That in which this file was loaded: outside of any request. */
export const OUTSIDE: Scope = scopeOfNow();
