import { AsyncResource } from 'node:async_hooks';
import type { SparingLog } from './sparing-log.js';

type Callback = (...args: never[]) => unknown;

/**
 * The callbacks of `server.on(…)` and `client.on(…)`. They outlive listeners and connections. If a callback throws, the error
 * is logged: it must neither stop the other callbacks nor fail a call.
 */
export class Notifier<Events extends Record<string, Callback>> {
  private readonly callbacks = new Map<keyof Events, Callback[]>();
  private readonly log: SparingLog;
  /** Listeners run in the async scope in which the client or server was made, whatever caused the event. */
  private readonly scope = new AsyncResource('InterconnectEvents');

  constructor(log: SparingLog) {
    this.log = log;
  }

  on<Event extends keyof Events>(event: Event, callback: Events[Event]): void {
    this.callbacks.set(event, [...(this.callbacks.get(event) ?? []), callback]);
  }

  notify<Event extends keyof Events>(event: Event, ...args: Parameters<Events[Event]>): void {
    for (const callback of this.callbacks.get(event) ?? []) {
      try {
        this.scope.runInAsyncScope(() => callback(...(args as never[])));
      } catch (error) {
        this.log.error(`callback ${String(event)}`, error);
      }
    }
  }
}
