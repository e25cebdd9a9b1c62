/**
 * One end of a simulated connection: a real machine whose effects are all kept, an application that a test scripts,
 * and a log of the written frames. This end knows nothing about the other end.
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
  overloadedBy,
  type QueueLimits,
  type ResumeToken,
  type SocketEffects,
  SocketMachine,
  type ThreadBudget,
} from '../../../src/protocol/index.js';
import { Code, EMPTY } from '../../../src/wire/index.js';
import { FrameLog } from '../codec/frame-log.js';
import type { ManualClock } from './manual-clock.js';
import { type Entries, type SimMessage, SimSession } from './sim-application.js';

export interface SideOptions {
  readonly limits?: Partial<Limits>;
  readonly queue?: Partial<QueueLimits>;
  readonly agent?: string;
  /** The budget that the connections of a thread share. */
  readonly budget?: ThreadBudget;
  /** The dialer's connect data, or the listener's accept data. */
  readonly data?: Buffer;
  readonly handshakeTimeout?: number;
  /** The id before the id of the first message. */
  readonly lastId?: number;
  /** The token with which the listener offers to resume. On the dialer, any token means that it can resume. */
  readonly token?: ResumeToken;
}

export interface OpenOptions {
  readonly metadata?: Entries;
  readonly data?: Buffer;
  /** Milliseconds. Without it, the session has no deadline. */
  readonly timeout?: number;
}

export class SimSide {
  readonly role: 'dialer' | 'listener';
  readonly clock: ManualClock;
  /** The machine of the newest socket. */
  machine: SocketMachine;
  #handshake: ListenerHandshake | undefined;
  readonly limits: Limits;
  /** The frames that this side has written. */
  readonly log = new FrameLog();
  /** `sessions`: all sessions. `incoming`: those that the other side has opened. */
  readonly sessions: SimSession[] = [];
  readonly incoming: SimSession[] = [];
  /** The HELLO or WELCOME of the other side. */
  greeting: Greeting | undefined;
  /** Whether the machine has asked to end the socket, and whether to destroy it. */
  ended = false;
  aborted = false;
  closed: { readonly failure: Failure | undefined } | undefined;
  /** The reason why the connection has no socket. */
  lost: Failure | undefined;
  /** `draining`: the other side drains. `drained`: this side's own drain has finished. */
  draining = false;
  drained = false;
  /** Whether output is pending. */
  woken = false;
  /** The octets that one flush may write, because the socket would still take them. */
  room = 256 * 1024;
  /** Decides about the other side's HELLO. Without it, this side accepts the HELLO. */
  onHandshake: (() => void) | undefined;
  /** Called with each new connection, before it begins. */
  onBegin: ((connection: ConnectionMachine) => void) | undefined;
  /** Decides about a session of the other side. Without it, this side accepts the session. */
  onSession: ((session: SimSession) => void) | undefined;
  /** Handles messages of sessions that have no handler of their own. Without it, the messages wait. */
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

  /** Begins a new socket. On the dialer, the connection goes on over it. */
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

  /** The connection, once the handshake is done. */
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

  /** The failure that closed the connection. */
  get failure(): Failure {
    const failure = this.closed?.failure;
    if (failure === undefined) throw new Error(`The ${this.role} has not failed: ${this.status}.`);
    return failure;
  }

  /** The last session that the other side opened. */
  get last(): SimSession {
    const session = this.incoming.at(-1);
    if (session === undefined) throw new Error(`No session has come to the ${this.role}.`);
    return session;
  }

  /** The handshake on the newest socket. Only the listener has one. */
  get handshake(): ListenerHandshake {
    if (this.#handshake === undefined)
      throw new Error('A dialer does not decide about a handshake.');
    return this.#handshake;
  }

  // The actions of an application.

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

  // The events of the socket.

  receive(bytes: Buffer): void {
    this.machine.onBytes(bytes, this.clock.now());
  }

  lose(reason = 'cut'): void {
    this.machine.onLost(reason, this.clock.now());
  }

  /** The socket has room again. */
  drain(room = 256 * 1024): void {
    this.room = room;
    this.woken = true;
  }

  /** The octets to write now. After `release`, the machine reuses their memory. */
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
    // After a full write, the machine must be asked again when the socket has room.
    if (octets >= this.room) this.woken = true;
    return chunks;
  }

  /** Ends the use of the octets that `flush` returned. `taken`: whether they have been copied. */
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

  /** The connection ends because it has no socket. */
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
    const { budget } = this.#options;
    const settings = { role, limits, peer: DEFAULT_LIMITS, queue, lastId, budget };
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
      overload: (error) => {
        if (this.#connection?.isDetached === true) this.end(overloadedBy(error));
        else this.machine.overload(error, this.clock.now());
      },
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

/** All sides share one writer, as all connections of a thread do. */
const writer = new FrameWriter();
