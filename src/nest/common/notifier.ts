import { AsyncResource } from 'node:async_hooks';
import type { LoggerService } from '@nestjs/common';
import { logError } from './log-lines.js';

type Callback = (...args: never[]) => unknown;

/**
 * The callbacks behind `server.on(…)` and `client.on(…)`. They outlive listeners and connections, and
 * one that throws is logged: it must neither keep the others from running nor fail a call.
 */
export class Notifier<Events extends Record<string, Callback>> {
  private readonly callbacks = new Map<keyof Events, Callback[]>();
  private readonly logger: LoggerService;
  /** Whatever brings an event about, its listeners run where the client or server was made. */
  private readonly scope = new AsyncResource('InterconnectEvents');

  constructor(logger: LoggerService) {
    this.logger = logger;
  }

  on<Event extends keyof Events>(event: Event, callback: Events[Event]): void {
    this.callbacks.set(event, [...(this.callbacks.get(event) ?? []), callback]);
  }

  notify<Event extends keyof Events>(event: Event, ...args: Parameters<Events[Event]>): void {
    for (const callback of this.callbacks.get(event) ?? []) {
      try {
        this.scope.runInAsyncScope(() => callback(...(args as never[])));
      } catch (error) {
        logError(this.logger, error);
      }
    }
  }
}
