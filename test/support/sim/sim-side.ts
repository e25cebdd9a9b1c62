/**
 * One end of a simulated connection: a real machine whose every effect is kept, an application that a
 * test scripts, and what was written as frames. It knows nothing of what is on the other end.
 */
import {
  type ConnectionEffects,
  ConnectionMachine,
  DEFAULT_LIMITS,
  DEFAULT_QUEUE_LIMITS,
  type DialerEffects,
  DialerHandshake,
  type Failure,
  FrameWriter,
  type Greeting,
  type Limits,
  type ListenerEffects,
  ListenerHandshake,
  type QueueLimits,
  type ResumeToken,
  type SocketEffects,
  SocketMachine,
} from '../../../src/protocol/index.js';
import { Code, EMPTY } from '../../../src/wire/index.js';
import { FrameLog } from '../codec/frame-log.js';
import type { ManualClock } from './manual-clock.js';
import { type Entries, type SimMessage, SimSession } from './sim-application.js';

export interface SideOptions {
  readonly limits?: Partial<Limits>;
  readonly queue?: Partial<QueueLimits>;
  readonly agent?: string;
  /** Connect data at the dialer, accept data at the listener. */
  readonly data?: Buffer;
  readonly handshakeTimeout?: number;
  /** The id before the first message's. */
  readonly lastId?: number;
  /** The listener's offer to resume; at the dialer, anything says that it can. */
  readonly token?: ResumeToken;
}

export interface OpenOptions {
  readonly metadata?: Entries;
  readonly data?: Buffer;
  /** Milliseconds; none = no deadline. */
  readonly timeout?: number;
}

export class SimSide {
  readonly role: 'dialer' | 'listener';
  readonly clock: ManualClock;
  /** Of the newest socket. */
  machine: SocketMachine;
  #handshake: ListenerHandshake | undefined;
  readonly limits: Limits;
  /** What this side has written. */
  readonly log = new FrameLog();
  /** All sessions, and of them those that the other side opened. */
  readonly sessions: SimSession[] = [];
  readonly incoming: SimSession[] = [];
  /** What the other side introduced itself with. */
  greeting: Greeting | undefined;
  /** The machine asked to end the socket, or to destroy it. */
  ended = false;
  aborted = false;
  closed: { readonly failure: Failure | undefined } | undefined;
  /** Why the connection has no socket. */
  lost: Failure | undefined;
  /** The other side drains; this side's drain has nothing left to wait for. */
  draining = false;
  drained = false;
  /** Whether output waits. */
  woken = false;
  /** What one flush may write: octets that the socket would still take. */
  room = 256 * 1024;
  /** Decides on the other side's HELLO; else it is accepted. */
  onHandshake: (() => void) | undefined;
  /** Called with each new connection, before it begins. */
  onBegin: ((connection: ConnectionMachine) => void) | undefined;
  /** Decides on a session of the other side; else it is accepted. */
  onSession: ((session: SimSession) => void) | undefined;
  /** Handles the messages of all sessions that have no handler of their own; else they wait. */
  onMessage: ((message: SimMessage) => void) | undefined;
  /** Called after each timer of this side. */
  afterTimer: (() => void) | undefined;
  readonly #options: SideOptions;
  readonly #data: Buffer;
  #connection: ConnectionMachine | undefined;
  #timerAt = Infinity;
  #stopTimer: (() => void) | undefined;

  constructor(role: 'dialer' | 'listener', clock: ManualClock, options: SideOptions = {}) {
    this.role = role;
    this.clock = clock;
    this.#options = options;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#data = options.data ?? EMPTY;
    this.machine = this.#newMachine(undefined);
  }

  /** A new socket: at the dialer, to go on with the connection on it. */
  renew(): void {
    this.ended = this.aborted = this.woken = false;
    this.lost = undefined;
    this.log.reset();
    this.machine = this.#newMachine(this.role === 'dialer' ? this.#connection : undefined);
  }

  #newMachine(resume: ConnectionMachine | undefined): SocketMachine {
    const { role, limits } = this;
    const { agent = role, handshakeTimeout = 10_000, token } = this.#options;
    const canResume = token !== undefined;
    const greeting = { limits, agent, data: this.#data, canResume };
    const handshake =
      role === 'dialer'
        ? new DialerHandshake(this.#dialerEffects(), greeting, resume)
        : (this.#handshake = new ListenerHandshake(this.#listenerEffects(), greeting));
    const settings = { handshake, handshakeTimeout };
    return new SocketMachine(this.#effects(), settings, this.clock.now());
  }

  /** The connection, once it stands. */
  get connection(): ConnectionMachine {
    if (this.#connection === undefined) throw new Error(`The ${this.role} has no connection.`);
    return this.#connection;
  }

  /** `opening`, `open`, `closed`, `closed connection-lost maybe`. */
  get status(): string {
    if (this.closed === undefined) return this.#connection === undefined ? 'opening' : 'open';
    const { failure } = this.closed;
    return failure === undefined ? 'closed' : `closed ${failure.kind} ${failure.executed}`;
  }

  /** Why it is closed. */
  get failure(): Failure {
    const failure = this.closed?.failure;
    if (failure === undefined) throw new Error(`The ${this.role} has not failed: ${this.status}.`);
    return failure;
  }

  /** The session that the other side opened last. */
  get last(): SimSession {
    const session = this.incoming.at(-1);
    if (session === undefined) throw new Error(`No session has come to the ${this.role}.`);
    return session;
  }

  /** Of the newest socket, at the listener. */
  get handshake(): ListenerHandshake {
    if (this.#handshake === undefined) throw new Error('A dialer does not judge.');
    return this.#handshake;
  }

  // What an application does.

  session(name: string, options: OpenOptions = {}): SimSession {
    const { metadata, data = EMPTY, timeout = Infinity } = options;
    const meta = metadata === undefined ? {} : { metadata };
    const machine = this.connection.openSession({ name, meta, data, timeout });
    const session = new SimSession(this, machine);
    this.sessions.push(session);
    return session;
  }

  accept(): void {
    const { token } = this.#options;
    const resume = this.greeting?.resume;
    const connection = this.#connection;
    const now = this.clock.now();
    const known = resume !== undefined && token?.token.equals(resume.token) === true;
    if (known && connection?.canResume(resume.received) === true) {
      this.handshake.resume(connection, this.#data, now);
    } else {
      const code = resume && (known ? Code.RESUME_GAP : Code.RESUME_UNKNOWN);
      this.handshake.accept(this.#data, token, code, now);
    }
  }

  close(code: number = Code.OK, reason = '', data = EMPTY): void {
    this.machine.close(code, reason, data, this.clock.now());
  }

  // What the socket does.

  receive(bytes: Buffer): void {
    this.machine.onBytes(bytes, this.clock.now());
  }

  lose(reason = 'cut'): void {
    this.machine.onLost(reason, this.clock.now());
  }

  /** The socket takes something again. */
  drain(room = 256 * 1024): void {
    this.room = room;
    this.woken = true;
  }

  /** What is to be written now, in memory that is the machine's again after `release`. */
  flush(): Buffer[] {
    this.woken = false;
    if (this.room <= 0) {
      this.machine.onBlocked(this.clock.now());
      return [];
    }
    const chunks: Buffer[] = [];
    let octets = 0;
    writer.begin((chunk) => {
      octets += chunk.length;
      chunks.push(chunk);
    });
    this.machine.flush(writer, this.room, this.clock.now());
    writer.finish();
    for (const chunk of chunks) this.log.push(chunk);
    // A socket that was filled asks for more when it has passed this on.
    if (octets >= this.room) this.woken = true;
    return chunks;
  }

  /** `taken`: nobody looks at what `flush` gave any more. */
  release(taken: boolean): void {
    writer.release(taken);
  }

  #effects(): SocketEffects {
    return {
      wake: () => (this.woken = true),
      arm: (at) => this.#arm(at),
      end: () => {
        if (this.ended) throw new Error(`The ${this.role} ends its socket twice.`);
        this.ended = true;
      },
      abort: () => (this.aborted = true),
      lost: (failure) => {
        if (this.lost !== undefined) throw new Error(`The ${this.role} is lost twice.`);
        this.lost = failure;
        this.#connection?.detach(failure);
        if (this.#connection?.token === undefined) this.end(failure);
      },
      closed: (failure) => {
        if (this.closed !== undefined) throw new Error(`The ${this.role} is closed twice.`);
        this.closed = { failure };
        this.#stopTimer?.();
      },
    };
  }

  #dialerEffects(): DialerEffects {
    return {
      begin: () => this.#begin(),
      open: (connection, greeting) => this.#open(connection, greeting),
      resumed: (greeting) => (this.greeting = greeting),
      unresumable: (failure) => this.#connection?.fail(failure, false),
    };
  }

  #listenerEffects(): ListenerEffects {
    return {
      begin: () => this.#begin(),
      open: (connection, greeting) => this.#open(connection, greeting),
      handshake: (hello) => {
        this.greeting = hello;
        if (this.onHandshake === undefined) this.accept();
        else this.onHandshake();
      },
    };
  }

  #open(connection: ConnectionMachine, greeting: Greeting): void {
    this.#connection = connection;
    this.greeting = greeting;
  }

  /** The connection is over for lack of a socket. */
  end(failure: Failure): void {
    this.#connection?.fail(failure, false);
    this.closed = { failure };
    this.#stopTimer?.();
  }

  #begin(): ConnectionMachine {
    if (this.#connection !== undefined) throw new Error(`The ${this.role} is opened twice.`);
    const { role, limits } = this;
    const { lastId = 0 } = this.#options;
    const queue = { ...DEFAULT_QUEUE_LIMITS, ...this.#options.queue };
    const settings = { role, limits, peer: DEFAULT_LIMITS, queue, lastId };
    const connection = new ConnectionMachine(settings, this.clock.now());
    connection.effects = this.#connectionEffects();
    this.onBegin?.(connection);
    return connection;
  }

  #connectionEffects(): ConnectionEffects {
    return {
      wake: () => (this.woken = true),
      arm: (at) => this.#arm(at),
      session: (machine) => {
        const session = new SimSession(this, machine);
        this.sessions.push(session);
        this.incoming.push(session);
        if (this.onSession === undefined) session.accept();
        else this.onSession(session);
      },
      draining: () => (this.draining = true),
      drained: () => (this.drained = true),
    };
  }

  #arm(at: number): void {
    if (at >= this.#timerAt || this.closed !== undefined) return;
    this.#stopTimer?.();
    this.#timerAt = at;
    this.#stopTimer = this.clock.setTimer(at - this.clock.now(), () => {
      this.#timerAt = Infinity;
      const now = this.clock.now();
      this.machine.onTime(now);
      const next = this.#connection?.onTime(now) ?? Infinity;
      if (next !== Infinity) this.#arm(next);
      this.afterTimer?.();
    });
  }
}

/** One for all sides, as one serves all connections of a thread. */
const writer = new FrameWriter();
