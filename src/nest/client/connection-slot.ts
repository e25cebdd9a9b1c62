import { AsyncResource } from 'node:async_hooks';
import { InterconnectError } from '../../endpoint/index.js';
import type { Connection, ConnectionStatus, Session } from '../../endpoint/index.js';
import { EVENT_SESSION } from '../common/event-session.js';

/** Opens a connection; the signal says that nobody wants it any more. */
export type Dial = (signal: AbortSignal) => Promise<Connection>;

/** An open connection, as a call needs it. */
export interface CallPath {
  readonly connection: Connection;
  /** `isEvent`: the one whose messages were emitted; see `EVENT_SESSION`. */
  session(name: string, isEvent?: boolean): Pick<Session, 'send'>;
}

/** What a client sends over, wherever it comes from. */
export interface ConnectionHolder {
  /** The connection there is, if there is one. */
  readonly current: CallPath | undefined;
  connect(): Promise<CallPath>;
  close(): Promise<void>;
}

/** What happens to a slot, in the order in which it happens. */
export interface ConnectionObserver {
  onOpened(connection: Connection): void;
  /** Every change of its status from then on, up to the end. */
  onStatus(connection: Connection, status: ConnectionStatus): void;
  onFailed(error: unknown): void;
  onClosed(error: InterconnectError | undefined): void;
}

/**
 *           connect()              connected
 *   idle ──────────────▶ connecting ─────────▶ open
 *    ▲                      │ failed, close()    │ lost, close()
 *    └──────────────────────┴────────────────────┘
 */
type State =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'connecting';
      readonly cancel: AbortController;
      readonly promise: Promise<OpenConnection>;
    }
  | { readonly kind: 'open'; readonly open: OpenConnection };

const IDLE: State = { kind: 'idle' };

/**
 * A connection and the sessions that the client has opened on it: for each pattern one for what is sent, and one for what is
 * emitted.
 */
export class OpenConnection implements CallPath {
  readonly connection: Connection;
  private readonly requests = new Map<string, Session>();
  private readonly events = new Map<string, Session>();

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /**
   * The session of that name. It is opened when there is none, or none any more (refused, closed), without
   * waiting for the other side's word on it. Throws the core's error for a name that cannot be one.
   */
  session(name: string, isEvent = false): Session {
    const sessions = isEvent ? this.events : this.requests;
    const known = sessions.get(name);
    if (known !== undefined && known.status !== 'closing' && known.status !== 'closed') {
      return known;
    }
    const session = this.connection.openSession(name, isEvent ? EVENT_SESSION : undefined);
    sessions.set(name, session);
    // Refused names must not pile up: they may come from outside.
    session.once('close', () => {
      if (sessions.get(name) === session) sessions.delete(name);
    });
    return session;
  }
}

/**
 * Holds a client's one connection: opens it when asked, once however many ask, and lets go of it when
 * it is lost, so that the next to ask gets a new one. An attempt that `close()` overtook changes
 * nothing any more, whatever becomes of it.
 */
export class ConnectionSlot implements ConnectionHolder {
  /** Attempts belong to whoever made the slot, and not to the caller who happens to need it first. */
  private readonly scope = new AsyncResource('InterconnectAttempts');
  private readonly dial: Dial;
  private readonly observer: ConnectionObserver;
  private state: State = IDLE;
  private closing: Promise<void> = Promise.resolve();

  constructor(dial: Dial, observer: ConnectionObserver) {
    this.dial = dial;
    this.observer = observer;
  }

  /** Without a detour over a promise, for the path of every message. */
  get current(): OpenConnection | undefined {
    return this.state.kind === 'open' ? this.state.open : undefined;
  }

  /** Rejects with the core's error. A failed attempt is forgotten: the next call makes a new one. */
  connect(): Promise<OpenConnection> {
    switch (this.state.kind) {
      case 'open':
        return Promise.resolve(this.state.open);
      case 'connecting':
        return this.state.promise;
      case 'idle':
        return this.scope.runInAsyncScope(() => this.start());
    }
  }

  /** Idempotent. What was pending has failed when it resolves. `connect()` may be called at once. */
  close(): Promise<void> {
    return this.scope.runInAsyncScope(() => this.end());
  }

  private end(): Promise<void> {
    const { state } = this;
    this.state = IDLE;
    if (state.kind === 'connecting') {
      state.cancel.abort();
      this.closing = state.promise.then(
        () => undefined,
        () => undefined,
      );
    } else if (state.kind === 'open') {
      // Before the connection is gone: the status of a successor must not be overwritten.
      this.observer.onClosed(undefined);
      this.closing = state.open.connection.close();
    }
    return this.closing;
  }

  private start(): Promise<OpenConnection> {
    const cancel = new AbortController();
    // A tick later, when the state is set: an attempt that fails at once has to find it.
    const promise = Promise.resolve().then(() => this.attempt(cancel.signal));
    this.state = { kind: 'connecting', cancel, promise };
    return promise;
  }

  private async attempt(signal: AbortSignal): Promise<OpenConnection> {
    let connection: Connection;
    try {
      connection = await this.dial(signal);
    } catch (error) {
      if (signal.aborted) throw closedMeanwhile();
      this.state = IDLE;
      this.observer.onFailed(error);
      throw error;
    }
    if (signal.aborted) {
      await connection.close();
      throw closedMeanwhile();
    }
    return this.hold(connection);
  }

  private hold(connection: Connection): OpenConnection {
    const open = new OpenConnection(connection);
    this.state = { kind: 'open', open };
    this.observer.onOpened(connection);
    connection.on('status', (status) => {
      if (this.current === open) this.observer.onStatus(connection, status);
    });
    connection.once('close', (error) => this.letGo(open, error));
    // Closed as soon as it was open: its event has come and gone.
    const { status } = connection;
    if (status === 'closing' || status === 'closed') this.letGo(open, undefined);
    return open;
  }

  private letGo(open: OpenConnection, error: InterconnectError | undefined): void {
    if (this.current !== open) return;
    this.state = IDLE;
    this.observer.onClosed(error);
  }
}

/** For a client that does not connect by itself: it sends over a connection that is there, as long as it is. */
export class GivenConnection implements ConnectionHolder {
  readonly current: OpenConnection;

  constructor(connection: Connection) {
    this.current = new OpenConnection(connection);
  }

  /** Never waits: on a connection that is over, each call says so itself. */
  async connect(): Promise<OpenConnection> {
    return this.current;
  }

  /** Who has given it closes it. */
  async close(): Promise<void> {}
}

function closedMeanwhile(): InterconnectError {
  return new InterconnectError('IC_ERR_CLOSED', 'The client was closed while it was connecting.', {
    executed: 'no',
  });
}
