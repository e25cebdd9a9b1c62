/**
 * The pump between one `net` or `tls` socket and its machine. A driver passes octets to the machine, writes the frames
 * of a tick at once, and runs one timer. A driver does not know sessions or messages.
 */
import type { Socket } from 'node:net';
import {
  type Failure,
  FrameWriter,
  SocketMachine,
  type SocketEffects,
  type SocketSettings,
} from '../../protocol/index.js';
import { Alarm } from '../common/alarm.js';
import type { EndpointClock } from '../common/endpoint-clock.js';
import { OUTSIDE, type Scope } from '../common/scope.js';
import { traceFrames } from './trace.js';
import { traceMoves } from '../common/trace-moves.js';
import { traffic } from '../common/traffic.js';

/** The events that a driver reports to the carrier, once there is a connection. */
export interface DriverEffects {
  /** The socket is over, and the connection continues. */
  onLost(driver: Driver, failure: Failure): void;
  /** The connection is over. No failure: one side closed it in order. Called once. */
  onClosed(driver: Driver, failure: Failure | undefined): void;
  /** The socket is gone. `onLost` or `onClosed` was called before. */
  onSocketClosed(driver: Driver): void;
}

/** The events that a driver reports before there is a connection. */
export interface IntroductionEffects {
  /** There will be no connection. No failure: this side closed the attempt. */
  onFailed(failure: Failure | undefined): void;
}

export class Driver implements SocketEffects {
  readonly socket: Socket;
  readonly machine: SocketMachine;
  /** The carrier of the connection; undefined before there is a connection. */
  carrier: DriverEffects | undefined;
  readonly onMove = traceMoves('socket');
  readonly #clock: EndpointClock;
  readonly #scope: Scope;
  readonly #introduction: IntroductionEffects;
  readonly #trace: ReturnType<typeof traceFrames>;
  readonly #chunks: Buffer[] = [];
  readonly #gather = (chunk: Buffer): void => void this.#chunks.push(chunk);
  readonly #flush = (): void => this.#scope.runInAsyncScope(this.#write);
  readonly #afterMicrotasks = (): void => this.#clock.tick(this.#flush);
  #flushScheduled = false;
  #ending = false;
  #error: Error | undefined;
  readonly #alarm: Alarm;
  /** The octets for which the turn had no frame left. The socket is paused until they are taken. */
  #rest: Buffer | undefined;
  /** Whether the stream has ended while octets waited: the end comes after them. */
  #endWaits = false;
  /** Whether the next chunk certainly comes in another turn of the event loop than the last one. */
  #isTurnOver = false;
  readonly #onTurn = (): void => this.#scope.runInAsyncScope(this.#goOn);
  #stopLinger: (() => void) | undefined;

  /**
   * All events of the socket run in `scope`. They do not run in the scope of the code that opened the socket or last
   * wrote to it.
   */
  constructor(
    socket: Socket,
    settings: SocketSettings,
    clock: EndpointClock,
    introduction: IntroductionEffects,
    scope: Scope = OUTSIDE,
  ) {
    this.socket = socket;
    this.#clock = clock;
    this.#scope = scope;
    this.#introduction = introduction;
    this.#trace = traceFrames(settings.handshake.role);
    this.#alarm = new Alarm(clock, () => this.machine.onTime(clock.now()));
    traffic.count += 1;
    socket.setNoDelay(true);
    // This listener comes first: an 'error' event without a listener ends the process.
    socket.on('error', (error) => (this.#error ??= error));
    // [IC-8.7]
    socket.on('data', (chunk: Buffer) => scope.runInAsyncScope(this.#onData, undefined, chunk));
    socket.on('drain', this.#flush);
    socket.on('end', () => scope.runInAsyncScope(this.#onEnd));
    socket.on('close', () => scope.runInAsyncScope(this.#onClose));
    this.machine = new SocketMachine(this, settings, clock.now());
    this.machine.beginTurn(FRAMES_PER_TURN);
  }

  /** Delays the handling of further frames until all pending microtasks have run. */
  hold(): void {
    this.machine.hold();
    // A tick that is queued from a microtask runs after the last of them.
    const release = (): void => this.machine.release(this.#clock.now());
    this.#clock.microtask(() => this.#clock.tick(() => this.#scope.runInAsyncScope(release)));
  }

  /** The first error of the socket, if there was one. */
  get error(): Error | undefined {
    return this.#error;
  }

  wake(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#clock.beginTick();
    // Flush after all pending microtasks: the output of code that awaited a frame of this chunk joins the same write.
    this.#clock.microtask(this.#afterMicrotasks);
  }

  arm(at: number): void {
    this.#alarm.set(at);
  }

  end(): void {
    this.#ending = true;
    this.wake();
  }

  abort(): void {
    this.socket.destroy();
  }

  lost(failure: Failure): void {
    this.#beginLinger();
    this.carrier?.onLost(this, failure);
  }

  closed(failure: Failure | undefined): void {
    this.#beginLinger();
    if (this.carrier === undefined) this.#introduction.onFailed(failure);
    else this.carrier.onClosed(this, failure);
  }

  /** The machine has ended: the socket stays open only until the other side has read the last frame. */
  #beginLinger(): void {
    this.#alarm.end();
    // A peer that reads nothing never lets CLOSE out. [IC-12.11]
    this.#stopLinger ??= this.#clock.setTimer(LINGER, this.#destroy);
  }

  readonly #destroy = (): void => void this.socket.destroy();

  readonly #onData = (chunk: Buffer): void => {
    traffic.count += 1;
    this.#trace?.in(chunk);
    if (this.#isTurnOver) this.machine.beginTurn(FRAMES_PER_TURN);
    // Node reads a socket again in the same turn only if the chunk was full. TLS cuts what it has read into more chunks.
    this.#isTurnOver = chunk.length < FULL_CHUNK && !('encrypted' in this.socket);
    this.#take(chunk);
  };

  /**
   * Gives the octets to the machine. If they hold more frames than a turn, the rest waits for the next turn of the event
   * loop, so that the other sockets of this thread are served in between. Returns whether nothing is left.
   */
  #take(chunk: Buffer): boolean {
    const taken = this.machine.onBytes(chunk, this.#clock.now());
    if (taken === chunk.length) return true;
    this.#rest = chunk.subarray(taken);
    this.socket.pause();
    this.#clock.turn(this.#onTurn);
    return false;
  }

  readonly #goOn = (): void => {
    const rest = this.#rest;
    if (rest === undefined) return;
    this.#rest = undefined;
    traffic.count += 1;
    this.machine.beginTurn(FRAMES_PER_TURN);
    if (!this.#take(rest)) return;
    this.socket.resume();
    if (this.#endWaits) this.#onEnd();
  };

  /** The other side's FIN. This side's FIN follows, unless CLOSE has caused it already. */
  readonly #onEnd = (): void => {
    if (this.#rest !== undefined) {
      this.#endWaits = true;
      return;
    }
    const reason = this.#error?.message ?? 'the other side ended the stream without CLOSE';
    this.machine.onLost(reason, this.#clock.now());
    this.end();
  };

  readonly #onClose = (): void => {
    const rest = this.#rest;
    if (rest !== undefined) {
      // There is no later turn for this socket: the octets came before its loss.
      this.#rest = undefined;
      this.machine.beginTurn(Infinity);
      this.machine.onBytes(rest, this.#clock.now());
    }
    const reason = this.#error?.message ?? 'the socket was closed';
    this.machine.onLost(reason, this.#clock.now());
    this.#alarm.end();
    this.#stopLinger?.();
    this.carrier?.onSocketClosed(this);
  };

  readonly #write = (): void => {
    this.#flushScheduled = false;
    this.#clock.endTick();
    const { socket } = this;
    if (socket.destroyed || socket.writableEnded) return;
    const room = LARGEST_UNSENT - socket.writableLength;
    if (room > 0) this.#writeUpTo(room);
    // Nothing more is written until 'drain': the machine watches how long that takes.
    if (socket.writableLength >= LARGEST_UNSENT) this.machine.onBlocked(this.#clock.now());
    // Half-closing lets the other side read CLOSE; destroying would discard it.
    if (this.#ending) socket.end();
  };

  #writeUpTo(room: number): void {
    const { socket } = this;
    const chunks = this.#chunks;
    writer.begin(this.#gather);
    this.machine.flush(writer, room, this.#clock.now());
    writer.finish();
    if (chunks.length > 0) traffic.count += 1;
    if (chunks.length > 1) socket.cork();
    for (const chunk of chunks) {
      this.#trace?.out(chunk);
      socket.write(chunk);
    }
    if (chunks.length > 1) socket.uncork();
    chunks.length = 0;
    // If nothing is unsent, the kernel has copied the writer's memory, and the writer can use it again.
    writer.release(socket.writableLength === 0);
  }
}

const writer = new FrameWriter();
/**
 * Octets that were handed to the socket and that the kernel has not taken. More octets would only delay later frames.
 */
const LARGEST_UNSENT = 256 * 1024;
/**
 * Frames that the machine takes of one socket before the other sockets have their turn: those of a session whose 256
 * messages come at once, with some CREDITs between them. Their handlers take some milliseconds at most.
 */
const FRAMES_PER_TURN = 320;
/** Octets of the largest chunk that Node reads of a socket. */
const FULL_CHUNK = 64 * 1024;
/** Milliseconds for the other side to read CLOSE and end the stream. */
const LINGER = 1000;
