/** The connection of a client: made at the first call, given up when it is lost, and made anew at the next call. */
import { AsyncResource } from 'node:async_hooks';
import { Backoff, HEALTHY, InterconnectError, whenOpen } from '../../endpoint/index.js';
import type { Connection, ConnectionStatus, Session } from '../../endpoint/index.js';
import { EVENT_SESSION } from '../common/event-session.js';
import type { Timers } from '../common/timers.js';

/** Makes a connection, whose first attempt follows after so many milliseconds. Throws for a wrong option. */
export type Dial = (startDelay: number) => Connection;

/** A connection, as a call needs it. It need not be open yet: what is sent waits. */
interface CallPath {
  readonly connection: Connection;
  /** `isEvent`: the one whose messages were emitted; see `EVENT_SESSION`. */
  session(name: string, isEvent?: boolean): Pick<Session, 'send'>;
}

/** What a client sends over, wherever it comes from. */
export interface ConnectionHolder {
  /** The connection there is, if there is one. */
  readonly current: CallPath | undefined;
  /** The connection there is, or a new one. Throws for a wrong option. */
  path(): CallPath;
  /** The same, once it is open. */
  connect(): Promise<CallPath>;
  close(): Promise<void>;
}

/** What happens to a slot, in the order in which it happens. */
export interface ConnectionObserver {
  onOpened(connection: Connection): void;
  /** The socket was lost. */
  onDetached(connection: Connection, error: InterconnectError): void;
  /** Every change of its status after it was open, up to the end. */
  onStatus(connection: Connection, status: ConnectionStatus): void;
  /** A round of attempts to connect, or to come back, has failed. */
  onFailed(connection: Connection, error: InterconnectError): void;
  /** Calls fail from now on for want of a connection. */
  onOffline(connection: Connection, error: InterconnectError): void;
  /** `wasOpen`: it had been open once. */
  onClosed(error: InterconnectError | undefined, wasOpen: boolean): void;
}

/**
 * A connection and the sessions that the client has opened on it: for each pattern one for what is sent, and one for what is
 * emitted.
 */
export class OpenConnection implements CallPath {
  readonly connection: Connection;
  private readonly requests = new Map<string, OpenSession>();
  private readonly events = new Map<string, OpenSession>();
  /** Calls so far: the time by which the session is found that was not used for the longest time. */
  private calls = 0;

  constructor(connection: Connection) {
    this.connection = connection;
    // Now it is known how many sessions this other side allows.
    const makeRoom = (): void => this.makeRoom();
    connection.once('open', makeRoom);
    connection.on('renew', makeRoom);
  }

  /**
   * The session of that name. It is opened when there is none, or none any more (refused, closed), without
   * waiting for the other side's word on it. If there are as many as the other side allows, the one that was not used for
   * the longest time is ended in order: what was sent in it is still answered. Throws the core's error for a name that
   * cannot be one.
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
    // Refused names must not pile up: they may come from outside.
    session.once('close', () => {
      if (sessions.get(name)?.session === session) sessions.delete(name);
    });
    this.makeRoom();
    return session;
  }

  /** Ends as many sessions as there are too many; others that wait for a place get theirs. */
  private makeRoom(): void {
    const limit = this.connection.peerMaxSessions;
    if (limit === 0) return;
    while (this.requests.size + this.events.size > limit) this.endOldest();
  }

  /** Looks at each session, since a pattern beyond the limit is rare. To keep them in order would cost each call more. */
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

/** A session of a pattern, and when it was used last, in calls. */
interface OpenSession {
  readonly session: Session;
  usedAt: number;
}

/** The session that was not used for the longest time, and where it is. */
interface OldestSession extends Readonly<OpenSession> {
  readonly sessions: Map<string, OpenSession>;
  readonly name: string;
}

function isUsable({ status }: Session): boolean {
  return status !== 'closing' && status !== 'closed';
}

/** How a slot behaves. */
export interface SlotSettings {
  readonly timers: Timers;
  /** Milliseconds that `close()` gives to what was sent. */
  shutdownTimeout(): number;
  /** Milliseconds: the longest pause before the second connection, if the first was of no use. */
  readonly minDelay: number;
}

/** What a slot holds. */
interface Held {
  readonly open: OpenConnection;
  /** When it was open; undefined before. */
  openedAt: number | undefined;
  /** It was given to somebody who sends over it. */
  isUsed: boolean;
}

/**
 * Holds a client's one connection, for all who ask. When it is lost for good, the slot is empty, and the next to ask gets
 * another one: at once if the former was of use, and else after a pause that grows up to a second, since calls may come
 * at any rate. A connection that `close()` has taken out changes nothing any more, whatever becomes of it.
 */
export class ConnectionSlot implements ConnectionHolder {
  /** Attempts belong to whoever made the slot, and not to the caller who happens to need it first. */
  private readonly scope = new AsyncResource('InterconnectAttempts');
  private readonly dial: Dial;
  private readonly observer: ConnectionObserver;
  private readonly settings: SlotSettings;
  private held: Held | undefined;
  private closing: Promise<void> = Promise.resolve();
  private readonly backoff: Backoff;
  /** Milliseconds before the next connection is dialled. */
  private nextPause = 0;
  /** Who waits in `connect()`. */
  private readonly waiting = new Set<(error: InterconnectError) => void>();

  constructor(dial: Dial, observer: ConnectionObserver, settings: SlotSettings) {
    this.dial = dial;
    this.observer = observer;
    this.settings = settings;
    const { minDelay, timers } = settings;
    this.backoff = new Backoff({ minDelay, maxDelay: LONGEST_PAUSE }, timers);
  }

  get current(): OpenConnection | undefined {
    return this.held?.open;
  }

  /** Without a detour over a promise, for the path of every message. */
  path(): OpenConnection {
    const held = this.held ?? this.scope.runInAsyncScope(() => this.hold());
    held.isUsed = true;
    return held.open;
  }

  /**
   * Rejects with the core's error when the connection ends before it was open, and with `IC_ERR_OFFLINE` when that takes
   * longer than `whenOffline`. Then the attempt is given up, unless somebody has sent something meanwhile.
   */
  async connect(): Promise<OpenConnection> {
    const held = this.held ?? this.scope.runInAsyncScope(() => this.hold());
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
   * Takes nothing new, and gives what was sent its time. What is not settled by then has failed when this resolves.
   * Idempotent. `connect()` may be called at once.
   */
  close(): Promise<void> {
    return this.scope.runInAsyncScope(() => this.end());
  }

  private end(): Promise<void> {
    const { held } = this;
    if (held === undefined) return this.closing;
    this.held = undefined;
    this.backoff.reset();
    this.nextPause = 0;
    const isOpen = held.openedAt !== undefined;
    // Before the connection is gone: the status of a successor must not be overwritten.
    this.observer.onClosed(undefined, isOpen);
    for (const overtake of this.waiting) overtake(closedMeanwhile());
    const { connection } = held.open;
    const timeout = this.settings.shutdownTimeout();
    this.closing = timeout > 0 ? connection.drain({ timeout }) : connection.close();
    return this.closing;
  }

  private hold(): Held {
    const connection = this.dial(this.nextPause);
    const open = new OpenConnection(connection);
    const held: Held = { open, openedAt: undefined, isUsed: false };
    this.held = held;
    const whileHeld =
      <Args extends unknown[]>(tell: (...args: Args) => void) =>
      (...args: Args): void => {
        if (this.held === held) tell(...args);
      };
    const { observer } = this;
    connection.once(
      'open',
      whileHeld(() => {
        held.openedAt = this.settings.timers.now();
        observer.onOpened(connection);
      }),
    );
    connection.on(
      'status',
      whileHeld((status) => {
        if (held.openedAt !== undefined) observer.onStatus(connection, status);
      }),
    );
    connection.on(
      'detach',
      whileHeld((error) => observer.onDetached(connection, error)),
    );
    connection.on(
      'connectError',
      whileHeld((error) => observer.onFailed(connection, error)),
    );
    connection.on(
      'offline',
      whileHeld((error) => observer.onOffline(connection, error)),
    );
    connection.once(
      'close',
      whileHeld((error) => this.letGo(held, error)),
    );
    return held;
  }

  /** Nobody needs it, and it never was open: whoever only tried to connect need not close anything. */
  private giveUp(held: Held): void {
    const isNeeded = held.isUsed || held.openedAt !== undefined || this.waiting.size > 0;
    if (this.held !== held || isNeeded) return;
    this.held = undefined;
    this.observer.onClosed(undefined, false);
    void held.open.connection.close();
  }

  private letGo({ open, openedAt }: Held, error: InterconnectError | undefined): void {
    this.held = undefined;
    const lasted = openedAt === undefined ? 0 : this.settings.timers.now() - openedAt;
    const wasOfUse = lasted >= HEALTHY || open.connection.wasOfUse;
    if (wasOfUse) this.backoff.reset();
    // A server that ends every connection must not be dialled at the rate of the calls.
    this.nextPause = wasOfUse ? 0 : this.backoff.next();
    this.observer.onClosed(error, openedAt !== undefined);
  }
}

/** For a client that does not connect by itself: it sends over a connection that is there, as long as it is. */
export class GivenConnection implements ConnectionHolder {
  readonly current: OpenConnection;

  constructor(connection: Connection) {
    this.current = new OpenConnection(connection);
  }

  path(): OpenConnection {
    return this.current;
  }

  /** Never waits: on a connection that is over, each call says so itself. */
  async connect(): Promise<OpenConnection> {
    return this.current;
  }

  /** Who has given it closes it. */
  async close(): Promise<void> {}
}

/** Milliseconds: somebody waits for the connection. */
const LONGEST_PAUSE = 1000;

function closedMeanwhile(): InterconnectError {
  return new InterconnectError('IC_ERR_CLOSED', 'The client was closed while it was connecting.', {
    executed: 'no',
  });
}
