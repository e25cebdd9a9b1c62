/**
 * The pump between one `net` or `tls` socket and its machine: octets in, frames of a tick out in one
 * write, one timer. It knows no session and no message.
 */
import type { Socket } from 'node:net';
import {
  type ConnectionMachine,
  type Failure,
  FrameWriter,
  type Greeting,
  type SessionMachine,
  SocketMachine,
  type SocketEffects,
  type SocketSettings,
} from '../protocol/index.js';
import type { Clock } from './clock.js';
import { traceFrames } from './trace.js';

/** Who is told what happens on the socket. */
export interface DriverListener {
  onHandshake(hello: Greeting): void;
  onOpen(connection: ConnectionMachine, greeting: Greeting): void;
  onSession(session: SessionMachine): void;
  /** No failure: closed in order. Told once. */
  onClosed(failure: Failure | undefined): void;
  /** The socket is gone, after `onClosed`. */
  onSocketClosed(): void;
}

export class Driver implements SocketEffects {
  readonly socket: Socket;
  readonly machine: SocketMachine;
  readonly #clock: Clock;
  readonly #listener: DriverListener;
  readonly #trace: ReturnType<typeof traceFrames>;
  readonly #chunks: Buffer[] = [];
  readonly #gather = (chunk: Buffer): void => void this.#chunks.push(chunk);
  readonly #flush = (): void => this.#write();
  /** Who waits until the kernel has what was written. */
  #waiting: ((error?: Error | null) => void)[] = [];
  #flushScheduled = false;
  #wokenAt = 0;
  #ending = false;
  #error: Error | undefined;
  #timerAt = Infinity;
  #stopTimer: (() => void) | undefined;
  #stopLinger: (() => void) | undefined;

  constructor(socket: Socket, settings: SocketSettings, clock: Clock, listener: DriverListener) {
    this.socket = socket;
    this.#clock = clock;
    this.#listener = listener;
    this.#trace = traceFrames(settings.role);
    socket.setNoDelay(true);
    // First of all: an 'error' that nobody listens for ends the process.
    socket.on('error', (error) => (this.#error ??= error));
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', this.#flush);
    socket.on('end', () => this.#onEnd());
    socket.on('close', () => this.#onClose());
    this.machine = new SocketMachine(this, settings, clock.now());
  }

  /** Keeps the frames that follow until every microtask of now has run. */
  hold(): void {
    this.machine.hold();
    // A tick that is queued from a microtask runs after the last of them.
    queueMicrotask(() => process.nextTick(() => this.machine.release(this.#clock.now())));
  }

  /** One instant per tick is enough for deadlines; asking the system costs as much as sending. */
  now(): number {
    return this.#flushScheduled ? this.#wokenAt : this.#clock.now();
  }

  /** What went wrong on the socket first, if anything did. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Calls back when nothing that was handed to the socket so far is referenced any more, or with its error. */
  whenTaken(callback: (error?: Error | null) => void): void {
    this.#waiting.push(callback);
    this.wake();
  }

  wake(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#wokenAt = this.#clock.now();
    process.nextTick(this.#flush);
  }

  arm(at: number): void {
    if (at >= this.#timerAt) return;
    this.#stopTimer?.();
    this.#timerAt = at;
    this.#stopTimer = this.#clock.setTimer(at - this.#clock.now(), () => this.#onTimer());
  }

  handshake(hello: Greeting): void {
    this.#listener.onHandshake(hello);
  }

  open(connection: ConnectionMachine, greeting: Greeting): void {
    this.#listener.onOpen(connection, greeting);
  }

  session(session: SessionMachine): void {
    this.#listener.onSession(session);
  }

  end(): void {
    this.#ending = true;
    this.wake();
  }

  abort(): void {
    this.socket.destroy();
  }

  closed(failure: Failure | undefined): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#timerAt = -Infinity;
    // A peer that reads nothing never lets CLOSE out.
    this.#stopLinger ??= this.#clock.setTimer(LINGER, this.#destroy);
    this.#listener.onClosed(failure);
  }

  readonly #destroy = (): void => void this.socket.destroy();

  #onData(chunk: Buffer): void {
    this.#trace?.in(chunk);
    this.machine.onBytes(chunk, this.#clock.now());
  }

  /** The other side's FIN. Ours follows, unless CLOSE brought it about already. */
  #onEnd(): void {
    const reason = this.#error?.message ?? 'the other side ended the stream without CLOSE';
    this.machine.onLost(reason, this.#clock.now());
    this.end();
  }

  #onClose(): void {
    const reason = this.#error?.message ?? 'the socket was closed';
    this.machine.onLost(reason, this.#clock.now());
    this.#stopTimer?.();
    this.#stopLinger?.();
    const error = this.#error ?? new Error(reason);
    for (const callback of this.#waiting) callback(error);
    this.#waiting = [];
    this.#listener.onSocketClosed();
  }

  #onTimer(): void {
    this.#timerAt = Infinity;
    this.#stopTimer = undefined;
    this.machine.onTime(this.#clock.now());
  }

  #write(): void {
    this.#flushScheduled = false;
    const { socket } = this;
    if (socket.destroyed || socket.writableEnded) return;
    const chunks = this.#chunks;
    writer.begin(this.#gather);
    this.machine.flush(writer, LARGEST_UNSENT - socket.writableLength, this.#clock.now());
    writer.finish();
    if (chunks.length > 1) socket.cork();
    for (const chunk of chunks) {
      this.#trace?.out(chunk);
      socket.write(chunk);
    }
    if (chunks.length > 1) socket.uncork();
    chunks.length = 0;
    // Nothing unsent: the kernel has copied the slab, and it may be used again.
    writer.release(socket.writableLength === 0);
    this.#tellTaken();
    // Until 'drain' nothing more goes out: the machine watches how long that takes.
    if (socket.writableLength >= LARGEST_UNSENT) this.machine.flush(writer, 0, this.#clock.now());
    // Half-closing lets the other side read CLOSE; destroying would discard it.
    if (this.#ending) socket.end();
  }

  #tellTaken(): void {
    const callbacks = this.#waiting;
    if (callbacks.length === 0) return;
    this.#waiting = [];
    const tell = (error?: Error | null): void => {
      for (const callback of callbacks) callback(error);
    };
    // An empty write is done when those before it are.
    if (this.socket.writableLength === 0) tell();
    else this.socket.write(NOTHING, tell);
  }
}

const NOTHING = Buffer.alloc(0);

const writer = new FrameWriter();
/** Octets handed to the socket and not taken by the kernel: more would only wait in front of others. */
const LARGEST_UNSENT = 256 * 1024;
/** @internal Milliseconds for the other side to read CLOSE and end the stream. */
export const LINGER = 1000;
