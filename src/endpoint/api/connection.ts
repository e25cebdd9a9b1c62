/** The `Connection` of the API: the relation between two processes, as applications see it. */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import {
  type ConnectionMachine,
  DRAINING,
  type Failure,
  type Greeting,
  type SessionMachine,
} from '../../protocol/index.js';
import { Code, MAX_TEXT, type Meta, EMPTY } from '../../wire/index.js';
import { type Bytes, type Metadata, toBufferOrEmpty, toEntries } from '../common/bytes.js';
import { checkCode, checkReason } from '../common/codes.js';
import { Continuity, type ContinuityEffects, type ReconnectorFactory } from '../link/continuity.js';
import { type Address, namesOf, withoutPeriod } from '../socket/dial-errors.js';
import type { Driver } from '../socket/driver.js';
import { closedError, errorOf, InterconnectError, isInterconnectError } from '../common/errors.js';
import { deadlineOf, type Settings } from '../common/options.js';
import { type Outage, OutageWatch, type WhenOffline } from '../link/outage.js';
import type { Peer } from '../common/peer.js';
import { warn } from './report.js';
import { PendingSend } from './pending-send.js';
import { RoundTrips } from './round-trips.js';
import { Session } from './session.js';
import { SessionContext } from './session-context.js';
import { checkName } from './session-name.js';
import { StreamedMessage } from './streaming-send.js';
import { checkInteger } from '../common/checks.js';

/**
 * `connecting`: the other side has not accepted the connection yet, and calls wait. `open`: the connection has a
 * socket. `detached`: the connection has no socket now, and calls wait for one. `draining`: this side takes nothing
 * new. `closing`: no further message is sent or delivered. `closed`: the socket is gone.
 */
export type ConnectionStatus =
  'connecting' | 'open' | 'detached' | 'draining' | 'closing' | 'closed';

/** The events of a connection. Each listener is called synchronously, before the next frame is handled. */
export interface ConnectionEvents {
  /** The other side opened a session: accept or reject it. Without a listener, the session is rejected. */
  session: [session: Session];
  /** Every change of `connection.status`. */
  status: [status: ConnectionStatus];
  /** The other side has accepted the connection. Emitted once, and only if `createConnection` made the connection. */
  open: [];
  /**
   * At a dialer, all addresses have failed, for the reasons that the error names. Another round follows after a pause,
   * unless `'close'` comes next.
   */
  connectError: [error: InterconnectError];
  /** The socket was lost. The connection continues on the next socket. */
  detach: [error: InterconnectError];
  /**
   * There has been no socket for longer than the connection's `whenOffline`. Calls that were not written have failed.
   * Until `'open'`, `'resume'` or `'renew'`, each new call fails at once.
   */
  offline: [error: InterconnectError];
  /** Another socket carries the connection, and nothing was lost. */
  resume: [];
  /**
   * The other side has begun a new connection: its process was replaced, it drains, or it waited too long. The sessions of
   * this side are opened again. The sessions of the other side have closed. Messages that may have been executed have
   * failed.
   */
  renew: [];
  /** The connection is over. The error says why. If one side closed the connection in order, there is no error. */
  close: [error: InterconnectError | undefined];
  /**
   * A listener of this side threw an error, or its promise rejected. Without a listener for this event, the process
   * emits a warning.
   */
  handlerError: [error: unknown];
}

/** The options of a new session. */
export interface SessionOptions {
  /** Bytes for the other side's application, which receives them with the session. */
  data?: Bytes | undefined;
  /** Entries beside `data`; see `Metadata` for their limits. */
  metadata?: Metadata | undefined;
  /**
   * Milliseconds until the session must be accepted or rejected, counted from the moment in which its OPEN is written
   * to a socket. Default: `sessionTimeout`; 0 = no limit.
   */
  timeout?: number | undefined;
  /**
   * How long `createSession` waits while there is no socket. Default: the connection's `whenOffline`. `openSession`
   * does not wait at all.
   */
  whenOffline?: WhenOffline | undefined;
}

/** @internal The parts of a dialer's connection beside its settings. */
export interface DialerParts {
  /** The addresses of the other side. */
  readonly addresses: readonly Address[];
  /** The connection's `whenOffline` in milliseconds; `Infinity` = no limit. */
  readonly patience: number;
  readonly reconnector: ReconnectorFactory;
}

/** The options of a drain. */
export interface DrainOptions {
  /**
   * Milliseconds after which the connection is closed even if messages are still running. Default 30,000; 0 = at once.
   */
  timeout?: number | undefined;
}

/** The close code, reason and data that the other side receives. */
export interface CloseOptions {
  /** `Code.OK` (the default) or a code of the application, 0x8000–0xffff. */
  code?: number | undefined;
  /** A sentence for people, at most 1024 bytes. Default: none. */
  reason?: string | undefined;
  /** Bytes for the other side's application. Default: none. */
  data?: Bytes | undefined;
}

/**
 * One connection. A dialer gets it from `connect` or `createConnection`, and a `Listener` emits it. Both ends are
 * alike: each side may open sessions, and each side may close. A connection outlives its sockets: the dialer connects
 * again, and both sides continue without loss. If the process of the other side was replaced, the dialer's end
 * continues on a new connection of the other side, and the listener's end closes.
 */
export class Connection extends EventEmitter<ConnectionEvents> {
  /** Unique in this process, for logs. */
  readonly id: string;
  /**
   * At the listener, the name of the dialer: `authenticate` gave it to `handshake.accept`, or `identify` found it. Empty
   * if neither gave a name, and at the dialer. The principal never changes: a dialer with another principal cannot resume
   * the connection.
   */
  readonly principal: string;
  /** @internal Keeps the connection going from socket to socket. */
  readonly continuity: Continuity;
  readonly #settings: Settings;
  /** Sessions of this side. They are opened again if the other side begins a new connection. */
  readonly #sessions = new Set<Session>();
  /** The sessions that `createSession` waits for, each with the patience of its call. */
  readonly #awaited = new Map<Session, WhenOffline | undefined>();
  #peer: Peer | undefined;
  #data: Buffer = EMPTY;
  #socket: Socket | undefined;
  #status: ConnectionStatus;
  readonly #outage: OutageWatch;
  readonly #context: SessionContext;
  #isDraining = false;
  /** @internal Resolves when the last socket of the connection is gone. */
  readonly gone: Promise<void>;
  #resolveGone: () => void = () => undefined;
  readonly #roundTrips: RoundTrips;

  /** @internal `dialer`: given at the dialer's end only. */
  constructor(settings: Settings, principal: string, dialer?: DialerParts) {
    super({ captureRejections: true });
    this.id = `connection-${++count}`;
    this.principal = principal;
    this.#settings = settings;
    this.#status = dialer === undefined ? 'open' : 'connecting';
    this.#roundTrips = new RoundTrips((done) => {
      const { driver } = this.continuity;
      if (driver === undefined || this.isOver) throw this.#withoutSocket();
      driver.machine.ping(done, settings.clock.now());
    }, settings.clock);
    this.#outage = new OutageWatch(settings.clock, dialer?.patience ?? Infinity, {
      whom: dialer === undefined ? () => nameOfPeer(this.peer) : () => namesOf(dialer.addresses),
      giveUp: (patience, failure) => this.#giveUp(patience, failure),
      onOffline: (error) => this.#context.guard(() => this.emit('offline', error)),
      hurry: () => this.continuity.hurry(),
    });
    const role = dialer === undefined ? 'listener' : 'dialer';
    this.continuity = new Continuity(
      role,
      settings,
      this.#continuityEffects(),
      dialer?.reconnector,
    );
    this.#context = new SessionContext(
      {
        settings,
        continuity: this.continuity,
        outage: this.#outage,
        isOver: () => this.isOver,
      },
      {
        onSessionClosed: (session) => void this.#sessions.delete(session),
        onHandlerError: (error) => this.emit('handlerError', error),
      },
    );
    if (dialer !== undefined) this.#outage.beginUntried();
    this.gone = new Promise((resolve) => (this.#resolveGone = resolve));
  }

  /** The other side, as its newest socket describes it. Before the first socket, every field is empty. */
  get peer(): Peer {
    return this.#peer ?? NOBODY;
  }

  /**
   * The bytes that the other side provided: the `data` of the dialer, or the data with which the listener accepted. Empty
   * until these bytes have arrived.
   */
  get data(): Buffer {
    return this.#data;
  }

  /** The state of the connection; `'status'` reports every change. */
  get status(): ConnectionStatus {
    return this.#status;
  }

  /** How long there has been no socket, and why. Undefined while there is a socket, and after the end. */
  get outage(): Outage | undefined {
    return this.isOver ? undefined : this.#outage.current;
  }

  /**
   * The newest socket. The connection owns the socket: read its properties only.
   * @throws IC_ERR_OFFLINE before the first socket.
   */
  get socket(): Socket {
    if (this.#socket === undefined) throw this.#withoutSocket();
    return this.#socket;
  }

  /**
   * Opens a session and waits until the other side has accepted it.
   * @throws IC_ERR_SESSION_REJECTED with the other side's status, reason and data; IC_ERR_TIMEOUT if the other side
   * neither accepts nor rejects in time; IC_ERR_OFFLINE if `whenOffline` is over; IC_ERR_CLOSED; IC_ERR_OPTION.
   */
  async createSession(name: string, options: SessionOptions = {}): Promise<Session> {
    const { whenOffline } = options;
    const refusal = this.isOver ? undefined : this.refusal(whenOffline);
    if (refusal !== undefined) throw errorOf(refusal);
    const session = this.openSession(name, options);
    this.#awaited.set(session, whenOffline);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        session.off('open', onOpen);
        session.off('close', onClose);
        this.#awaited.delete(session);
      };
      const onOpen = (): void => {
        settle();
        resolve(session);
      };
      const onClose = (error: InterconnectError | undefined): void => {
        settle();
        reject(error ?? closedError());
      };
      session.once('open', onOpen);
      session.once('close', onClose);
    });
  }

  /**
   * Opens a session and does not wait: messages may be sent at once. If the other side rejects the session, its messages
   * fail with IC_ERR_SESSION_REJECTED and were not executed.
   * @throws IC_ERR_OPTION, IC_ERR_CLOSED, IC_ERR_DRAINING
   */
  openSession(name: string, options: SessionOptions = {}): Session {
    checkName(name);
    if (this.isOver) throw closedError();
    const { data, metadata } = options;
    const payload = this.#context.checkSessionData(toBufferOrEmpty(data, 'Session data'));
    const meta: Meta = metadata === undefined ? {} : { metadata: toEntries(metadata) };
    const timeout = deadlineOf(options.timeout, this.#settings.sessionTimeout, 0);
    const machine = this.machine.openSession({ name, meta, data: payload, timeout });
    // The other side drains, or the connection is ending and this call comes from a 'close' listener of a session.
    if (machine.state === 'CLOSED') {
      throw this.machine.peerDrains ? errorOf(DRAINING) : closedError();
    }
    const session = new Session(this, this.#context, machine, false);
    this.#sessions.add(session);
    return session;
  }

  /**
   * Measures the round trip to the other side, in milliseconds. The other side's library answers, not its application.
   * Only one round trip is measured at a time, and at most 50 in a second. A call during a measurement gets the result of
   * the next measurement.
   * @throws IC_ERR_OFFLINE if there is no socket, IC_ERR_CLOSED.
   */
  ping(): Promise<number> {
    return this.#roundTrips.ask();
  }

  /**
   * Drains the connection: each message that the other side sends from now on is refused and not executed. When all
   * messages of both directions are settled, or the time is over, the connection closes. Resolves when the socket is gone.
   * Idempotent.
   */
  async drain(options: DrainOptions = {}): Promise<void> {
    const { timeout = DRAIN_TIMEOUT } = options;
    checkInteger('timeout', timeout, 0, 2 ** 31 - 1);
    if (!this.isOver) {
      // If several drains run, the shortest time counts.
      const close = (): void => void this.close();
      const stopTimer = this.#settings.clock.setAlarm(timeout, close);
      void this.gone.then(stopTimer);
    }
    if (!this.isOver && !this.#isDraining) {
      this.#isDraining = true;
      this.#toStatus('draining');
      this.continuity.drain();
    }
    await this.gone;
  }

  /**
   * Closes the connection in order. Pending calls fail with IC_ERR_CLOSED, and the other side can read the reason. A
   * message that is not written yet never runs, and its error has `executed: 'no'`. Responses that are ready are still
   * written. Resolves when the socket is gone. Idempotent.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const code = options.code ?? Code.OK;
    checkCode(code, [Code.OK], 'connection.close');
    const reason = checkReason(options.reason ?? '', MAX_TEXT);
    const data = this.#context.checkSessionData(
      toBufferOrEmpty(options.data, 'The data of a close'),
    );
    if (!this.isOver) this.continuity.close(code, reason, data);
    await this.gone;
  }

  /** @internal Returns the failure of a call that must fail at once; see `WhenOffline`. @throws IC_ERR_OPTION */
  refusal(whenOffline: WhenOffline | undefined): Failure | undefined {
    return this.#outage.refusal(whenOffline);
  }

  /**
   * @internal Whether a sequenced frame has arrived at either side, on the newest connection between the two.
   */
  get wasOfUse(): boolean {
    return this.frames > 0;
  }

  /** @internal The number of sequenced frames that have arrived at one of the two sides, on the newest connection. */
  get frames(): number {
    const { received, output } = this.machine;
    return received + output.sent.acknowledged;
  }

  /** @internal Whether nothing more can be sent. */
  get isOver(): boolean {
    return this.#status === 'closing' || this.#status === 'closed';
  }

  /** @internal */
  get machine(): ConnectionMachine {
    return this.continuity.machine;
  }

  /** @internal The largest message that the other side takes, in bytes. */
  get peerMaxMessageSize(): number {
    return this.#context.peerMaxMessageSize;
  }

  /**
   * @internal The number of sessions that the other side allows at once. Before the first handshake: the default.
   */
  get peerMaxSessions(): number {
    return this.machine.peerLimits.sessions;
  }

  /** A listener returned a promise, and the promise rejected. */
  override [EventEmitter.captureRejectionSymbol](
    error: Error,
    event: unknown,
    subject?: unknown,
  ): void {
    if (event === 'handlerError') return warn(error);
    if (subject instanceof Session) this.#sessionFailed(subject, error);
    else this.#context.reportHandlerError(error);
  }

  #onSession(machine: SessionMachine): void {
    const session = new Session(this, this.#context, machine, true);
    try {
      if (this.emit('session', session)) return;
      session.reject(Code.NO_SUCH_SESSION, `Nobody serves sessions here.`);
    } catch (error) {
      this.#sessionFailed(session, error);
    }
  }

  #continuityEffects(): ContinuityEffects {
    return {
      isWanted: () => this.#isWanted(),
      onSession: (machine) => this.#onSession(machine),
      onAttached: (how, driver, greeting, peer) => this.#onAttached(how, driver, greeting, peer),
      onDetached: (failure) => {
        const error = failure && errorOf(failure);
        // If the other side drains, another socket may be available at once.
        if (failure !== undefined) this.#outage.begin(withoutPeriod(failure.message), error);
        this.#roundTrips.fail(error ?? errorOf(PING_LOST));
        if (!this.#isDraining) this.#toStatus('detached');
        if (error !== undefined) this.#context.guard(() => this.emit('detach', error));
        this.#outage.watch();
      },
      onRenewing: (machine) => {
        for (const session of this.#sessions) session.move(machine);
      },
      onRoundFailed: (failure) => {
        this.#outage.onRoundFailed(failure);
        this.#context.guard(() => this.emit('connectError', failure.error));
        this.#outage.watch();
      },
      onDrained: () => void this.close(),
      onClosed: (failure) => {
        this.#outage.end();
        this.#toStatus('closing');
        const error = failure && this.#endOf(failure);
        this.#roundTrips.fail(error ?? closedError());
        this.#context.guard(() => this.emit('close', error));
      },
      onGone: () => {
        this.#toStatus('closed');
        this.#resolveGone();
      },
    };
  }

  #onAttached(
    how: 'first' | 'resumed' | 'renewed',
    driver: Driver,
    { data }: Greeting,
    peer: Peer,
  ): void {
    this.#peer = peer;
    this.#socket = driver.socket;
    this.#data = data;
    this.#outage.end();
    if (how === 'first') {
      if (!this.#isDraining) this.#toStatus('open');
      return this.#context.guard(() => this.emit('open'));
    }
    // These pings were under way on the former socket.
    this.#roundTrips.fail(errorOf(PING_LOST));
    if (!this.#isDraining) this.#toStatus('open');
    this.#context.guard(() => this.emit(how === 'resumed' ? 'resume' : 'renew'));
  }

  /** Fails the waiting calls that have at most this patience; see `OutageEffects`. */
  #giveUp(patience: number, failure: Failure): number {
    let least = Infinity;
    const isDue = (whenOffline: WhenOffline | undefined): boolean => {
      const own = this.#outage.patienceOf(whenOffline);
      if (own > patience) least = Math.min(least, own);
      return own <= patience;
    };
    this.machine.giveUpUnwritten(none, (message) => {
      const isOurs = message instanceof PendingSend || message instanceof StreamedMessage;
      return isDue(isOurs ? message.whenOffline : undefined) ? failure : undefined;
    });
    for (const [session, whenOffline] of this.#awaited) {
      if (isDue(whenOffline)) session.machine.giveUpUnwritten(failure, none);
    }
    return least;
  }

  /** A connection that was never open and has no waiting call does not keep the process alive. */
  #isWanted(): boolean {
    if (this.continuity.wasAttached || !this.#outage.isOffline) return true;
    let isWanted = this.#awaited.size > 0;
    this.machine.giveUpUnwritten(none, () => void (isWanted = true));
    return isWanted;
  }

  /**
   * Returns the error with which the connection ends. If the connection was never open, this is the error of the last
   * attempt.
   */
  #endOf(failure: Failure): InterconnectError {
    const { cause } = failure;
    return isInterconnectError(cause) && !this.continuity.wasAttached ? cause : errorOf(failure);
  }

  #withoutSocket(): InterconnectError {
    if (this.isOver) return closedError();
    const cause = this.#outage.current?.error;
    return new InterconnectError('IC_ERR_OFFLINE', `${this.#outage.sentence}.`, { cause });
  }

  #sessionFailed(session: Session, error: unknown): void {
    session.reject(Code.SESSION_FAILED, 'The session listener failed.');
    this.#context.reportHandlerError(error);
  }

  #toStatus(status: ConnectionStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.#context.guard(() => this.emit('status', status));
  }
}

function nameOfPeer({ address, port }: Peer): string {
  return port === undefined ? address : `${address}:${port}`;
}

const none = (): undefined => undefined;

const PING_LOST: Failure = {
  kind: 'connection-lost',
  executed: 'maybe',
  message: 'The socket that the ping was sent on was lost.',
};

const NOBODY: Peer = {
  agent: '',
  address: '',
  port: undefined,
  encrypted: false,
  authorized: false,
  certificate: undefined,
};

/** Milliseconds: the default of `timeout` of `drain`. */
const DRAIN_TIMEOUT = 30_000;

let count = 0;
