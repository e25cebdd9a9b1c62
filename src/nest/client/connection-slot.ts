/** The connection of a client: made at the first call, and made anew at the next call after it was lost. */
import { AsyncResource } from 'node:async_hooks';
import { Backoff, HEALTHY, InterconnectError, whenOpen } from '../../endpoint/index.js';
import type { Connection, ConnectionStatus, Session } from '../../endpoint/index.js';
import { EVENT_SESSION } from '../common/event-session.js';
import type { Timers } from '../common/timers.js';

/** Makes a connection whose first attempt begins after `startDelay` milliseconds. Throws for a wrong option. */
export type Dial = (startDelay: number) => Connection;

/** The parts of a connection that a call needs. The connection need not be open yet, because messages wait. */
interface CallPath {
  readonly connection: Connection;
  /** The session for a pattern. With `isEvent`, the session for emitted messages: see `EVENT_SESSION`. */
  session(name: string, isEvent?: boolean): Pick<Session, 'send'>;
}

/** The source of the path for the calls of a client. */
export interface PathSource {
  /** The current connection, if there is one. */
  readonly current: CallPath | undefined;
  /** The current connection, or a new one. Throws for a wrong option. */
  path(): CallPath;
  /** Resolves with the connection of `path()` when it is open. */
  connect(): Promise<CallPath>;
  close(): Promise<void>;
}

/** The events of a slot's connection, in their order. */
export interface SlotEffects {
  onOpened(connection: Connection): void;
  /** The socket was lost. */
  onDetached(connection: Connection, error: InterconnectError): void;
  /** Each change of the status after the connection was open. */
  onStatus(connection: Connection, status: ConnectionStatus): void;
  /** A round of attempts to connect, or to reconnect, has failed. */
  onFailed(connection: Connection, error: InterconnectError): void;
  /** From now on calls fail, because there is no connection. */
  onOffline(connection: Connection, error: InterconnectError): void;
  /** `wasOpen`: whether the connection was ever open. */
  onClosed(error: InterconnectError | undefined, wasOpen: boolean): void;
}

/**
 * A connection and the sessions that the client has opened on it: for each pattern one for messages of `send()`, and one for
 * emitted messages.
 */
export class OpenConnection implements CallPath {
  readonly connection: Connection;
  private readonly requests = new Map<string, OpenSession>();
  private readonly events = new Map<string, OpenSession>();
  /** The number of calls so far, which is the clock for `usedAt`. */
  private calls = 0;

  constructor(connection: Connection) {
    this.connection = connection;
    // From then on it is known how many sessions the other side allows.
    const makeRoom = (): void => this.makeRoom();
    connection.once('open', makeRoom);
    connection.on('renew', makeRoom);
  }

  /**
   * The session of that name. Opens one if there is none, or if the former was refused or closed, and does not wait for the
   * other side's response. If the other side allows no further session, the session that has been unused for the longest time
   * is closed in order, so that its messages still get their outcomes. Throws the core's error for an illegal name.
   */
  session(name: string, isEvent = false): Session {
    const sessions = isEvent ? this.events : this.requests;
    this.calls += 1;
    const known = sessions.get(name);
    if (known !== undefined && isUsable(known.session)) {
      known.usedAt = this.calls;
      return known.session;
    }
    const session = this.connection.openSession(name, isEvent ? EVENT_SESSION : undefined);
    sessions.set(name, { session, usedAt: this.calls });
    // Refused names must not pile up, because names may come from outside.
    session.once('close', () => {
      if (sessions.get(name)?.session === session) sessions.delete(name);
    });
    this.makeRoom();
    return session;
  }

  /** Ends the sessions beyond the limit, so that others that wait for a place get one. */
  private makeRoom(): void {
    const limit = this.connection.peerMaxSessions;
    if (limit === 0) return;
    while (this.requests.size + this.events.size > limit) this.endOldest();
  }

  /** Looks at each session, because a pattern beyond the limit is rare. To keep the sessions in order would cost each call more. */
  private endOldest(): void {
    let oldest: OldestSession | undefined;
    for (const sessions of [this.requests, this.events]) {
      for (const [name, { session, usedAt }] of sessions) {
        if (oldest === undefined || usedAt < oldest.usedAt) {
          oldest = { sessions, name, session, usedAt };
        }
      }
    }
    if (oldest === undefined) return;
    oldest.sessions.delete(oldest.name);
    if (isUsable(oldest.session)) void oldest.session.close();
  }
}

/** A session of a pattern. `usedAt` is the number of the last call that used it. */
interface OpenSession {
  readonly session: Session;
  usedAt: number;
}

/** The session that has been unused for the longest time, with its name and map. */
interface OldestSession extends Readonly<OpenSession> {
  readonly sessions: Map<string, OpenSession>;
  readonly name: string;
}

function isUsable({ status }: Session): boolean {
  return status !== 'closing' && status !== 'closed';
}

/** The settings of a slot. */
export interface SlotSettings {
  readonly timers: Timers;
  /** The most milliseconds that `close()` waits for the outcomes of calls. */
  shutdownTimeout(): number;
  /** Milliseconds: the longest pause before the second connection, if the first was of no use. */
  readonly minDelay: number;
}

/** The connection of a slot. */
interface Held {
  readonly open: OpenConnection;
  /** When the connection was opened; undefined before. */
  openedAt: number | undefined;
  /** Whether a call has used the connection. */
  isUsed: boolean;
}

/**
 * Holds the one connection of a client. When the connection is lost for good, the slot is empty, and the next call makes
 * another one. It is dialled at once if the former was of use. If not, it is dialled after a pause that grows up to a second,
 * because calls may come at any rate. Calls wait for the end of the pause if the former connection was open. If it was refused,
 * waiting does not help: calls fail at once with the reason of the refusal until the pause is over. After `close()`, the former connection has no effect on the slot.
 */
export class ConnectionSlot implements PathSource {
  /** Attempts run in the async scope in which the slot was made, and not in that of the first caller. */
  private readonly scope = new AsyncResource('InterconnectAttempts');
  private readonly dial: Dial;
  private readonly effects: SlotEffects;
  private readonly settings: SlotSettings;
  private held: Held | undefined;
  private closing: Promise<void> = Promise.resolve();
  private readonly backoff: Backoff;
  /** The instant before which no connection is dialled. */
  private pauseEnd = 0;
  /** Why the last connection was never open; undefined if it was open, or if there was none. */
  private refusal: InterconnectError | undefined;
  /** Rejects the callers that wait in `connect()`. */
  private readonly waiting = new Set<(error: InterconnectError) => void>();

  constructor(dial: Dial, effects: SlotEffects, settings: SlotSettings) {
    this.dial = dial;
    this.effects = effects;
    this.settings = settings;
    const { minDelay, timers } = settings;
    this.backoff = new Backoff({ minDelay, maxDelay: LONGEST_PAUSE }, timers);
  }

  get current(): OpenConnection | undefined {
    return this.held?.open;
  }

  /** Returns no promise, because every message takes this path. */
  path(): OpenConnection {
    const held = this.held ?? this.next();
    held.isUsed = true;
    return held.open;
  }

  /**
   * Rejects with the core's error if the connection ends before it was open, and with `IC_ERR_OFFLINE` if it is not open within
   * `whenOffline`. The attempt is then stopped, unless a call uses the connection meanwhile.
   */
  async connect(): Promise<OpenConnection> {
    const held = this.held ?? this.next();
    let overtake = (_error: InterconnectError): void => {};
    const overtaken = new Promise<never>((_resolve, reject) => (overtake = reject));
    this.waiting.add(overtake);
    try {
      await Promise.race([whenOpen(held.open.connection), overtaken]);
      return held.open;
    } catch (error) {
      this.waiting.delete(overtake);
      this.giveUp(held);
      throw error;
    } finally {
      this.waiting.delete(overtake);
    }
  }

  /**
   * Closes the connection after the outcomes of its calls, and at most `shutdownTimeout` later. Calls without an outcome have
   * failed when this resolves. Idempotent. `connect()` may be called at once.
   */
  close(): Promise<void> {
    return this.scope.runInAsyncScope(() => this.end());
  }

  private end(): Promise<void> {
    const { held } = this;
    if (held === undefined) return this.closing;
    this.held = undefined;
    this.backoff.reset();
    this.pauseEnd = 0;
    this.refusal = undefined;
    const isOpen = held.openedAt !== undefined;
    // Told before the connection is gone, because a later call would overwrite the status of a successor.
    this.effects.onClosed(undefined, isOpen);
    for (const overtake of this.waiting) overtake(closedMeanwhile());
    const { connection } = held.open;
    const timeout = this.settings.shutdownTimeout();
    this.closing = timeout > 0 ? connection.drain({ timeout }) : connection.close();
    return this.closing;
  }

  /** @throws the reason of the last connection, if that was refused a moment ago. */
  private next(): Held {
    const pause = Math.max(0, this.pauseEnd - this.settings.timers.now());
    if (pause > 0 && this.refusal !== undefined) throw again(this.refusal);
    return this.scope.runInAsyncScope(() => this.hold(pause));
  }

  private hold(startDelay: number): Held {
    const connection = this.dial(startDelay);
    const open = new OpenConnection(connection);
    const held: Held = { open, openedAt: undefined, isUsed: false };
    this.held = held;
    const whileHeld =
      <Args extends unknown[]>(tell: (...args: Args) => void) =>
      (...args: Args): void => {
        if (this.held === held) tell(...args);
      };
    const { effects } = this;
    connection.once(
      'open',
      whileHeld(() => {
        held.openedAt = this.settings.timers.now();
        effects.onOpened(connection);
      }),
    );
    connection.on(
      'status',
      whileHeld((status) => {
        if (held.openedAt !== undefined) effects.onStatus(connection, status);
      }),
    );
    connection.on(
      'detach',
      whileHeld((error) => effects.onDetached(connection, error)),
    );
    connection.on(
      'connectError',
      whileHeld((error) => effects.onFailed(connection, error)),
    );
    connection.on(
      'offline',
      whileHeld((error) => effects.onOffline(connection, error)),
    );
    connection.once(
      'close',
      whileHeld((error) => this.letGo(held, error)),
    );
    return held;
  }

  /** Closes a connection that never was open and is not needed, so that a failed `connect()` leaves nothing to close. */
  private giveUp(held: Held): void {
    const isNeeded = held.isUsed || held.openedAt !== undefined || this.waiting.size > 0;
    if (this.held !== held || isNeeded) return;
    this.held = undefined;
    this.effects.onClosed(undefined, false);
    void held.open.connection.close();
  }

  private letGo({ open, openedAt }: Held, error: InterconnectError | undefined): void {
    this.held = undefined;
    const now = this.settings.timers.now();
    const lasted = openedAt === undefined ? 0 : now - openedAt;
    const wasOfUse = lasted >= HEALTHY || open.connection.wasOfUse;
    if (wasOfUse) this.backoff.reset();
    // A server that ends every connection must not be dialled for each call.
    this.pauseEnd = wasOfUse ? 0 : now + this.backoff.next();
    this.refusal = openedAt === undefined ? error : undefined;
    this.effects.onClosed(error, openedAt !== undefined);
  }
}

/** A connection that the client did not open. It sends over the connection while that is open. */
export class GivenConnection implements PathSource {
  readonly current: OpenConnection;

  constructor(connection: Connection) {
    this.current = new OpenConnection(connection);
  }

  path(): OpenConnection {
    return this.current;
  }

  /** Never waits. If the connection has ended, each call fails by itself. */
  async connect(): Promise<OpenConnection> {
    return this.current;
  }

  /** Does nothing: the code that made the connection closes it. */
  async close(): Promise<void> {}
}

/** Milliseconds. Short, because a caller waits for the connection. */
const LONGEST_PAUSE = 1000;

function closedMeanwhile(): InterconnectError {
  return new InterconnectError('IC_ERR_CLOSED', 'The client was closed while it was connecting.', {
    executed: 'no',
  });
}

/** The reason of the last connection, for a call that was not sent. */
function again(cause: InterconnectError): InterconnectError {
  const { code, message, status, reason, data } = cause;
  return new InterconnectError(code, message, { executed: 'no', status, reason, data, cause });
}
