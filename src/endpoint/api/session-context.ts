/** The services of one connection for its sessions and their messages. Each connection has one. */
import type { Failure } from '../../protocol/index.js';
import { deadlineOf, type Settings } from '../common/options.js';
import { optionError } from '../common/errors.js';
import type { Continuity } from '../link/continuity.js';
import type { FeedTurns } from '../common/feed-turns.js';
import type { OutageWatch, WhenOffline } from '../link/outage.js';
import { report } from './report.js';
import type { SendContext } from './route.js';
import type { Session } from './session.js';
import type { Timing } from './streaming-send.js';

/** @internal The events that the sessions report to their connection. */
export interface SessionEffects {
  /** The session is over. */
  onSessionClosed(session: Session): void;
  /** A listener of the application has failed. Returns whether the application listens for `handlerError`. */
  onHandlerError(error: unknown): boolean;
}

/** @internal The parts of the connection that a `SessionContext` needs. */
export interface ConnectionParts {
  readonly settings: Settings;
  readonly continuity: Continuity;
  readonly outage: OutageWatch;
  /** Whether nothing more can be sent. */
  isOver(): boolean;
}

/** @internal The services of one connection for its sessions. */
export class SessionContext implements SendContext {
  readonly #connection: ConnectionParts;
  readonly #effects: SessionEffects;
  readonly #settings: Settings;

  constructor(connection: ConnectionParts, effects: SessionEffects) {
    this.#connection = connection;
    this.#effects = effects;
    this.#settings = connection.settings;
  }

  /** Whether nothing more can be sent. */
  get isOver(): boolean {
    return this.#connection.isOver();
  }

  get messageTimeout(): number {
    return this.#settings.messageTimeout;
  }

  /** The largest message that the other side takes, in bytes. */
  get peerMaxMessageSize(): number {
    return this.#connection.continuity.machine.peerLimits.maxMessage;
  }

  get turns(): FeedTurns {
    return this.#settings.clock.feedTurns;
  }

  now(): number {
    return this.#settings.clock.instant();
  }

  /**
   * Returns the milliseconds until the deadline; at least 0. This method reads the system's clock, because a handler may
   * call it several times within one tick.
   */
  timeLeft(deadline: number): number {
    return Math.max(0, deadline - this.#settings.clock.now());
  }

  /** @throws IC_ERR_OPTION */
  deadline(timeout: number | undefined): number {
    return deadlineOf(timeout, this.#settings.messageTimeout, this.now());
  }

  /** Returns the time limits of a stream. Without a timeout of its own, a stream may take any time while it progresses. */
  timing(timeout: number | undefined): Timing {
    const patience = timeout === undefined ? this.#settings.messageTimeout : 0;
    return { deadline: this.deadline(timeout), patience, timeout };
  }

  refusal(whenOffline: WhenOffline | undefined): Failure | undefined {
    return this.#connection.outage.refusal(whenOffline);
  }

  explained(failure: Failure): Failure {
    const { outage } = this.#connection;
    const current = this.isOver ? undefined : outage.current;
    if (current === undefined || !WAITED_FOR.has(failure.kind)) return failure;
    const message = `${failure.message} ${outage.sentence}.`;
    return { ...failure, message, cause: current.error };
  }

  /** Checks data that must fit into one frame. @throws IC_ERR_OPTION */
  checkSessionData(data: Buffer): Buffer {
    const { maxFrame, maxMeta } = this.#connection.continuity.machine.peerLimits;
    const limit = maxFrame - maxMeta;
    if (data.length <= limit) return data;
    throw optionError(
      `The data of ${data.length} bytes exceeds the ${limit} bytes that fit. Send it as a message instead.`,
    );
  }

  /** Delays further frames until the code that awaits this event has run, because that code may attach listeners. */
  hold(): void {
    this.#connection.continuity.driver?.hold();
  }

  /** Runs a call in the connection's scope, because the call may start work that does not belong to its caller. */
  inScope(call: () => void): void {
    this.#settings.scope.runInAsyncScope(call);
  }

  /**
   * Runs listeners in the connection's scope. If a listener throws, `handlerError` reports the error, and this method
   * returns as usual.
   */
  guard(listeners: () => void): void {
    try {
      this.#settings.scope.runInAsyncScope(listeners);
    } catch (error) {
      this.reportHandlerError(error);
    }
  }

  reportHandlerError(error: unknown): void {
    this.inScope(() => report(error, () => this.#effects.onHandlerError(error)));
  }

  onSessionClosed(session: Session): void {
    this.#effects.onSessionClosed(session);
  }
}

/** Failures that a missing socket may have caused. */
const WAITED_FOR: ReadonlySet<Failure['kind']> = new Set([
  'timeout',
  'session-timeout',
  'queue-full',
]);
