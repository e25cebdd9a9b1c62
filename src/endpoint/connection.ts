/** The relation between two processes, as applications see it. */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import {
  type ConnectionMachine,
  type Failure,
  type Greeting,
  type SessionMachine,
} from '../protocol/index.js';
import { Code, MAX_NAME, MAX_TEXT, type Meta } from '../wire/index.js';
import { type Bytes, type Metadata, toBufferOrEmpty, toEntries } from './bytes.js';
import { checkCode, checkReason } from './codes.js';
import type { Driver } from './driver.js';
import { closedError, errorOf, InterconnectError, optionError, shown } from './errors.js';
import { deadlineOf, type Settings } from './options.js';
import type { Peer } from './peer.js';
import { report, warn } from './report.js';
import { Session } from './session.js';
import type { Timing } from './streaming-send.js';

/** `open` → `closing` (nothing more is sent or delivered) → `closed` (the socket is gone). */
export type ConnectionStatus = 'open' | 'closing' | 'closed';

/** What a connection emits. Each listener is called synchronously, before the next frame is looked at. */
export interface ConnectionEvents {
  /** The other side opened a session: accept or reject it. Without a listener it is rejected. */
  session: [session: Session];
  /** Every change of `connection.status`. */
  status: [status: ConnectionStatus];
  /** It is over; the error says why, where neither side closed it in order. */
  close: [error: InterconnectError | undefined];
  /** A listener of this side threw, or its promise rejected. Without a listener: a process warning. */
  handlerError: [error: unknown];
}

/** How a session is opened. */
export interface SessionOptions {
  /** Shown to the other side's application with the session. */
  data?: Bytes;
  /** Shown with it; see `Metadata` for its limits. */
  metadata?: Metadata;
  /** Milliseconds until it must be accepted or rejected. Default: `sessionTimeout`; 0 = no limit. */
  timeout?: number;
}

/** What the other side can read about why a connection is closed. */
export interface CloseOptions {
  /** `Code.OK` (the default) or an application's own, 0x8000–0xffff. */
  code?: number;
  /** For people, at most 1024 bytes. Default: none. */
  reason?: string;
  /** For the other side's application. Default: none. */
  data?: Bytes;
}

/**
 * One connection. `connect` resolves with it at the dialer, `Listener` emits it; both ends are alike: either
 * opens sessions, and either may close. It ends with its socket.
 */
export class Connection extends EventEmitter<ConnectionEvents> {
  /** Unique in this process, for logs. */
  readonly id: string;
  /** Who is on the other side. */
  readonly peer: Peer;
  /** What the other side provided: the dialer's `data`, or the listener's at its acceptance. */
  readonly data: Buffer;
  readonly #driver: Driver;
  readonly #machine: ConnectionMachine;
  readonly #settings: Settings;
  #status: ConnectionStatus = 'open';
  readonly #gone: Promise<void>;
  #resolveGone: () => void = () => undefined;
  readonly #pings = new Set<(error: InterconnectError) => void>();

  /** @internal */
  constructor(
    driver: Driver,
    machine: ConnectionMachine,
    greeting: Greeting,
    peer: Peer,
    settings: Settings,
  ) {
    super({ captureRejections: true });
    this.id = `connection-${++count}`;
    this.peer = peer;
    this.data = greeting.data;
    this.#driver = driver;
    this.#machine = machine;
    this.#settings = settings;
    this.#gone = new Promise((resolve) => (this.#resolveGone = resolve));
  }

  /** Where it is in its life; `'status'` tells every change. */
  get status(): ConnectionStatus {
    return this.#status;
  }

  /** The socket underneath. It belongs to the connection: look, do not touch. */
  get socket(): Socket {
    return this.#driver.socket;
  }

  /**
   * Opens a session and waits until the other side has accepted it.
   * @throws IC_ERR_SESSION_REJECTED with its status, reason and data; IC_ERR_TIMEOUT where it does
   * neither; IC_ERR_CLOSED; IC_ERR_OPTION.
   */
  async createSession(name: string, options?: SessionOptions): Promise<Session> {
    const session = this.openSession(name, options);
    return new Promise((resolve, reject) => {
      const onOpen = (): void => {
        session.off('close', onClose);
        resolve(session);
      };
      const onClose = (error: InterconnectError | undefined): void => {
        session.off('open', onOpen);
        reject(error ?? closedError());
      };
      session.once('open', onOpen);
      session.once('close', onClose);
    });
  }

  /**
   * Opens a session and does not wait: messages may be sent at once. If the other side rejects the
   * session, they fail with IC_ERR_SESSION_REJECTED and were not executed.
   */
  openSession(name: string, options: SessionOptions = {}): Session {
    checkName(name);
    if (this.#status !== 'open') throw closedError();
    const { data, metadata } = options;
    const payload = this.checkSessionData(toBufferOrEmpty(data, 'Session data'));
    const meta: Meta = metadata === undefined ? {} : { metadata: toEntries(metadata) };
    const now = this.now();
    const deadline = deadlineOf(options.timeout, this.#settings.sessionTimeout, now);
    const machine = this.#machine.openSession(name, meta, payload, deadline, now);
    // Within the 'close' of another session: the connection is over, and has not said so yet.
    if (machine.state.kind === 'closed') throw closedError();
    return new Session(this, machine, false);
  }

  /** The round trip to the other side and back, in milliseconds; answered by its library. */
  ping(): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#status !== 'open') return reject(closedError());
      this.#pings.add(reject);
      const done = (milliseconds: number): void => {
        this.#pings.delete(reject);
        resolve(milliseconds);
      };
      this.#driver.machine.ping(done, this.now());
    });
  }

  /**
   * Closes the connection in order: what is pending fails with IC_ERR_CLOSED, the other side can read
   * why. Resolves when the socket is gone. Idempotent.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const code = options.code ?? Code.OK;
    checkCode(code, [Code.OK], 'connection.close');
    const reason = checkReason(options.reason ?? '', MAX_TEXT);
    const data = this.checkSessionData(toBufferOrEmpty(options.data, 'The data of a close'));
    this.#driver.machine.close(code, reason, data, this.now());
    await this.#gone;
  }

  /** @internal */
  get peerMaxMessageSize(): number {
    return this.#machine.peer.maxMessage;
  }

  /** @internal */
  now(): number {
    return this.#settings.clock.now();
  }

  /** @internal */
  deadline(timeout: number | undefined): number {
    return deadlineOf(timeout, this.#settings.messageTimeout, this.#driver.now());
  }

  /** @internal A stream without a timeout of its own may take for ever, as long as it makes progress. */
  timing(timeout: number | undefined): Timing {
    const patience = timeout === undefined ? this.#settings.messageTimeout : 0;
    return { deadline: this.deadline(timeout), patience };
  }

  /** @internal What stands on one frame must fit into it. */
  checkSessionData(data: Buffer): Buffer {
    const limit = this.#machine.peer.maxFrame - this.#machine.peer.maxMeta;
    if (data.length <= limit) return data;
    throw optionError(
      `The data of ${data.length} bytes exceeds the ${limit} bytes that fit. Send it as a message instead.`,
    );
  }

  /** @internal Resolves when the kernel has what was written so far: a buffer may be used again. */
  whenTaken(resolve: () => void, reject: (error: InterconnectError) => void): void {
    this.#driver.whenTaken((error) => {
      if (error === undefined || error === null) return resolve();
      const message = `The connection was lost while a message left: ${error.message}`;
      reject(
        new InterconnectError('IC_ERR_CONNECTION_LOST', message, {
          executed: 'maybe',
          cause: error,
        }),
      );
    });
  }

  /** @internal Lets awaiting code attach its listeners before the next frame is looked at. */
  hold(): void {
    this.#driver.hold();
  }

  /** @internal Runs listeners that have nothing to decide: if one throws, all else goes on. */
  guard(listeners: () => void): void {
    try {
      listeners();
    } catch (error) {
      this.reportHandlerError(error);
    }
  }

  /** @internal */
  reportHandlerError(error: unknown): void {
    report(error, () => this.emit('handlerError', error));
  }

  /** A listener that returned a promise, and it rejected. */
  override [EventEmitter.captureRejectionSymbol](
    error: Error,
    event: unknown,
    subject?: unknown,
  ): void {
    if (event === 'handlerError') return warn(error);
    if (subject instanceof Session) this.#sessionFailed(subject, error);
    else this.reportHandlerError(error);
  }

  /** @internal */
  onSession(machine: SessionMachine): void {
    const session = new Session(this, machine, true);
    try {
      if (this.emit('session', session)) return;
      session.reject(Code.NO_SUCH_SESSION, `Nobody serves sessions here.`);
    } catch (error) {
      this.#sessionFailed(session, error);
    }
  }

  /** @internal */
  onClosed(failure: Failure | undefined): void {
    this.#toStatus('closing');
    const error = failure && errorOf(failure);
    for (const reject of this.#pings) reject(error ?? closedError());
    this.#pings.clear();
    this.guard(() => this.emit('close', error));
  }

  /** @internal */
  onSocketClosed(): void {
    this.#toStatus('closed');
    this.#resolveGone();
  }

  #sessionFailed(session: Session, error: unknown): void {
    session.reject(Code.SESSION_FAILED, 'The session listener failed.');
    this.reportHandlerError(error);
  }

  #toStatus(status: ConnectionStatus): void {
    this.#status = status;
    this.guard(() => this.emit('status', status));
  }
}

function checkName(name: string): void {
  const size = typeof name === 'string' ? Buffer.byteLength(name) : 0;
  if (size >= 1 && size <= MAX_NAME && !name.includes('\0')) return;
  throw optionError(
    `A session's name must be a string of 1 to ${MAX_NAME} bytes without U+0000, and is ${shown(name)}.`,
  );
}

let count = 0;
