/**
 * The machine of one socket, from its first octet to its last. It reads frames, sends signs of life, watches that the
 * peer lives, and tells the peer in its last frame why the socket ends.
 *
 * The handshake of the role (`Handshake`) brings the socket to a connection, a `ConnectionMachine`. This machine hands
 * frames to the connection and takes output from it. The connection can outlive the socket: in that case, this machine
 * calls `lost` when the socket ends.
 */
import {
  Code,
  DEFAULT_META_SIZE,
  EMPTY,
  encodeFrame,
  endsConnection,
  FIRST_IGNORABLE_TYPE,
  FrameDecoder,
  type FrameSink,
  FrameType,
  type FrameView,
  isSequenced,
  PrefaceDecoder,
  ProtocolError,
  StrangerError,
} from '../../wire/index.js';
import type { Failure } from '../common/failure.js';
import { cutText } from '../common/text.js';
import { TimeBudget } from '../common/time-budget.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { FrameWriter } from '../output/frame-writer.js';
import { ControlFrames } from './control-frames.js';
import { MAX_GREETING } from './greeting.js';
import type { HandshakeContext } from './handshake.js';
import { Keepalive, silenceOf } from './keepalive.js';
import { Pings } from './pings.js';
import type { SocketEffects, SocketSettings } from './socket-effects.js';
import {
  CLOSED_HERE,
  closedByPeer,
  estranged,
  handshakeTooLong,
  lostBy,
  rejectedHere,
  silentFor,
  stalled,
  SUPERSEDED,
  violated,
} from './socket-failures.js';
import { SocketState } from './socket-state.js';
import { STALL_TIMEOUT, StallWatch } from './stall-watch.js';

export class SocketMachine implements FrameSink {
  readonly #effects: SocketEffects;
  readonly #settings: SocketSettings;
  readonly #preface = new PrefaceDecoder();
  readonly #frames: FrameDecoder;
  readonly #control = new ControlFrames();
  readonly #state: SocketState;
  #now: number;
  readonly #pings = new Pings();
  /** The connection that this side has closed in order. The output that it still has is written before CLOSE. */
  #leaving: ConnectionMachine | undefined;
  /** Copies of the frames that arrived since `hold`, until `release`. */
  #held: FrameView[] | undefined;
  readonly #stalls = new StallWatch();
  /** The services of this socket for the handshake. */
  readonly #handshake: HandshakeContext;
  /** How long the handshake may take. */
  readonly #patience: TimeBudget;

  constructor(effects: SocketEffects, settings: SocketSettings, now: number) {
    this.#effects = effects;
    this.#settings = settings;
    this.#now = now;
    // Before the greetings, the peer knows no limits of this side. [IC-2.7] [IC-6.7]
    this.#frames = new FrameDecoder(this, { maxFrame: MAX_GREETING, maxMeta: DEFAULT_META_SIZE });
    this.#state = new SocketState(effects);
    this.#patience = settings.patience ?? new TimeBudget(settings.handshakeTimeout, now);
    effects.arm(this.#patience.nextLook);
    this.#handshake = {
      state: this.#state,
      write: (bytes) => this.#write(bytes),
      attach: (connection, at) => this.#attach(connection, at),
      close: (at) => this.close(Code.OK, '', EMPTY, at),
      refuse: (code, reason, data) => this.#refuse(code, reason, data),
    };
    settings.handshake.start(this.#handshake);
  }

  /**
   * Begins a turn: until the next call, `onBytes` takes at most this number of frames. Without a call there is no limit.
   * So the connections of a thread can take turns, whatever their peers send.
   */
  beginTurn(frames: number): void {
    this.#frames.allow(frames);
  }

  /**
   * Takes octets from the socket. Octets that break the protocol end the connection; this method does not throw. Returns
   * how many octets it has taken. These are all octets, unless the frames of the turn are used up. In this case the
   * caller gives the rest again in a later turn, before any other octet and before `onLost`.
   */
  onBytes(chunk: Buffer, now: number): number {
    this.#now = now;
    try {
      return this.#decode(chunk, now);
    } catch (error) {
      this.#onError(error);
      return chunk.length;
    }
  }

  /**
   * Keeps the frames that follow until `release`. An application that awaits a session or a connection attaches its
   * listeners a few microtasks after the frame that it awaited, and must not miss the next frames.
   */
  hold(): void {
    this.#held ??= [];
  }

  /** Takes the frames that were kept since `hold`. */
  release(now: number): void {
    this.#now = now;
    const frames = this.#held ?? [];
    this.#held = undefined;
    try {
      for (const frame of frames) this.onFrame(frame);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** The other side ended the stream, or the socket is gone. */
  onLost(reason: string, now: number): void {
    this.#now = now;
    const { isOver, connection } = this.#state;
    // [IC-12.12]
    const failure = lostBy(reason, connection !== undefined);
    this.#state.streamEnded(failure.message);
    if (!isOver) this.#endSocket(failure, connection);
  }

  onTime(now: number): void {
    this.#now = now;
    if (this.#state.isOver) return;
    const state = this.#state.current;
    if (state.name === 'OPEN') return this.#onOpenTime(state.connection, state.keepalive, now);
    if (this.#patience.spend(now)) this.#onHandshakeTimeout();
    else this.#effects.arm(this.#patience.nextLook);
  }

  /** Another socket carries the connection from now on. Frames that still arrive on this socket are discarded. */
  supersede(now: number): void {
    const { connection } = this.#state;
    if (connection === undefined) return;
    this.#now = now;
    this.#closeWith(Code.SUPERSEDED, '', EMPTY);
    this.#state.superseded();
    this.#endSocket(SUPERSEDED, connection);
  }

  /** Ends the connection in order: pending work fails, and the peer can still read all frames before CLOSE. */
  close(code: number, reason: string, data: Buffer, now: number): void {
    if (this.#state.isOver) return;
    this.#now = now;
    const { connection } = this.#state;
    if (this.#state.current.name === 'PREFACE') this.#effects.abort();
    else this.#closeWith(code, reason, data);
    this.#leaving = connection;
    this.#state.applicationCloses();
    this.#endInOrder(CLOSED_HERE, connection);
  }

  /** The connection holds more memory than any other, and the thread is out of memory: ends the connection. */
  overload(error: ProtocolError, now: number): void {
    this.#now = now;
    this.#onError(error);
  }

  /** Sends a PING. If `done` is given, it is called at the PONG with the time of the round trip. */
  ping(done: ((milliseconds: number) => void) | undefined, now: number): void {
    if (this.#state.current.name !== 'OPEN') return;
    this.#write(encodeFrame({ type: FrameType.PING, id: this.#pings.ask(done, now) }));
  }

  /** The socket takes no octets now: it still holds octets that were written before. */
  onBlocked(now: number): void {
    this.#now = now;
    this.#stalls.onBlocked(now);
    this.#effects.arm(this.#stalls.nextCheck);
  }

  /** Writes output that waits, until `room` octets are written. `room` is more than 0. */
  flush(writer: FrameWriter, room: number, now: number): void {
    this.#now = now;
    this.#stalls.onUnblocked();
    this.#control.flush(writer);
    const state = this.#state.current;
    if (state.name === 'OPEN') {
      const { connection, keepalive } = state;
      connection.flush(writer, room, now);
      this.#control.flushPong(writer, connection);
      if (connection.goaway.takePingDue()) this.ping(() => connection.onGoawayRead(), now);
      if (writer.bytes > 0) keepalive.onSpoke(now);
    }
    // [IC-12.9]
    this.#leaving?.output.flushLast(writer, now);
    this.#leaving = undefined;
    if (this.#control.flushLast(writer)) this.#effects.end();
  }

  /** Takes one frame: from the decoder, or in `release`. */
  onFrame(frame: FrameView): void {
    this.#stalls.onFrame();
    if (this.#held !== undefined) {
      this.#held.push(frame.copy());
      return;
    }
    const { type } = frame;
    const state = this.#state.current;
    if (state.name === 'OPEN') {
      if (isSequenced(type) || type === FrameType.CREDIT) {
        state.connection.onFrame(frame, this.#now);
      } else {
        this.#onSocketFrame(state.connection, frame);
      }
      return;
    }
    // [IC-17.6]
    if (this.#state.isOver) return;
    if (type === FrameType.CLOSE) return this.#onClose(frame);
    if (state.name !== 'GREETING') throw this.#state.unexpected(type);
    this.#settings.handshake.onFrame(frame, this.#handshake, this.#now);
  }

  #decode(chunk: Buffer, now: number): number {
    const state = this.#state.current;
    switch (state.name) {
      case 'PREFACE': {
        const taken = this.#preface.push(chunk);
        if (this.#preface.version === undefined) return chunk.length;
        this.#settings.handshake.onPreface(this.#preface.version, this.#handshake);
        this.#state.eightOctets();
        return taken + this.#frames.push(chunk.subarray(taken));
      }
      case 'OPEN': {
        state.keepalive.onHeard(now);
        const taken = this.#frames.push(chunk);
        if (this.#frames.pending > 0) this.#effects.arm(now + STALL_TIMEOUT);
        return taken;
      }
      case 'GREETING':
      case 'JUDGING':
        return this.#frames.push(chunk);
      case 'CLOSING':
      case 'CLOSED':
        return chunk.length;
    }
  }

  #write(bytes: Buffer): void {
    this.#control.push(bytes);
    this.#effects.wake();
  }

  #attach({ limits, peerLimits }: ConnectionMachine, now: number): Keepalive {
    // [IC-2.9]
    const keepalive = new Keepalive(limits.idle, peerLimits.idle, now);
    this.#frames.setLimits({ maxFrame: limits.maxFrame, maxMeta: limits.maxMeta });
    this.#effects.arm(keepalive.nextCheck);
    return keepalive;
  }

  #refuse(code: number, reason: string, data: Buffer): void {
    this.#closeWith(code, reason, data);
    this.#state.applicationRefuses();
    this.#endConnection(rejectedHere(code, reason), undefined);
  }

  #onSocketFrame(connection: ConnectionMachine, frame: FrameView): void {
    const { type, id } = frame;
    switch (type) {
      case FrameType.PING:
        // An answered PING costs as well: a peer that writes one after the other would keep this side busy.
        connection.flood(this.#now);
        this.#control.pong(id);
        return this.#effects.wake();
      case FrameType.PONG:
        if (!this.#pings.answer(id, this.#now)) connection.flood(this.#now);
        return;
      case FrameType.CLOSE:
        return this.#onClose(frame);
      case FrameType.GOAWAY:
        // The fields of GOAWAY change nothing, but they must be well formed. [IC-6.16]
        frame.meta();
        return connection.onGoaway(this.#now);
      default:
        // [IC-16.3] [IC-16.4]
        if (type >= FIRST_IGNORABLE_TYPE) return connection.flood(this.#now);
        throw this.#state.unexpected(type);
    }
  }

  #onClose(frame: FrameView): void {
    const { meta, payload } = frame.decode();
    const code = meta.code ?? Code.OK;
    const reason = meta.text ?? '';
    const { connection } = this.#state;
    const isOpen = connection !== undefined;
    // [IC-12.10]
    const failure = closedByPeer(code, reason, Buffer.from(payload), isOpen);
    this.#effects.end();
    this.#state.close();
    if (isOpen && code === Code.OK) this.#endInOrder(failure, connection);
    else if (endsConnection(code)) this.#endConnection(failure, connection);
    else this.#endSocket(failure, connection);
  }

  #onError(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    const { connection } = this.#state;
    if (error instanceof StrangerError) {
      // [IC-3.2] [IC-12.14]
      // Never answer a stranger: the answer could be used as a reflection.
      this.#effects.abort();
      this.#state.wrongOctet();
      return this.#endConnection(estranged(error, this.#settings.handshake.role), undefined);
    }
    // While the frame was handled, the application has closed the connection: the CLOSE of the application stands.
    if (this.#state.isOver) return;
    // [IC-1.2]
    this.#closeWith(error.code, error.message, EMPTY);
    this.#state.violation(error.message);
    this.#endConnection(violated(error, connection !== undefined), connection);
  }

  #onHandshakeTimeout(): void {
    const { name } = this.#state.current;
    // [IC-2.6]
    const heard = this.#preface.length === 0 ? 'first octet' : 'rest';
    const awaited = name === 'JUDGING' ? 'judgement' : heard;
    const failure = handshakeTooLong(this.#settings.handshakeTimeout, awaited);
    if (name === 'PREFACE') this.#effects.abort();
    else this.#closeWith(Code.HANDSHAKE_TIMEOUT, failure.message, EMPTY);
    this.#state.handshakeTimeout();
    this.#endConnection(failure, undefined);
  }

  #onOpenTime(connection: ConnectionMachine, keepalive: Keepalive, now: number): void {
    const still = this.#stalls.check(now, this.#frames.pending);
    if (still !== undefined) {
      const failure = stalled(still);
      if (still === 'output') {
        // A peer that reads nothing would not read CLOSE either.
        this.#effects.abort();
        this.#state.outputStalled();
      } else {
        this.#closeWith(Code.STALLED, failure.message, EMPTY);
        this.#state.inputStalled();
      }
      return this.#endSocket(failure, connection);
    }
    const verdict = keepalive.check(now);
    if (verdict === 'dead') {
      const failure = silentFor(silenceOf(connection.limits.idle));
      this.#closeWith(Code.IDLE, failure.message, EMPTY);
      this.#state.silence();
      return this.#endSocket(failure, connection);
    }
    if (verdict === 'speak') {
      this.ping(undefined, now);
      keepalive.onSpoke(now);
    }
    this.#effects.arm(Math.min(keepalive.nextCheck, this.#stalls.nextCheck));
  }

  #closeWith(code: number, text: string, data: Buffer): void {
    const meta = { code, text: cutText(text) };
    this.#control.end(encodeFrame({ type: FrameType.CLOSE, meta, payload: data }));
    this.#effects.wake();
  }

  /** The socket alone is over: its connection can go on, on another socket. */
  #endSocket(failure: Failure, connection: ConnectionMachine | undefined): void {
    if (connection === undefined) return this.#endConnection(failure, undefined);
    this.#stop();
    // [IC-2.11]
    this.#effects.lost(failure);
  }

  /** The socket is over, and so is its connection, or the attempt to get one. */
  #endConnection(failure: Failure, connection: ConnectionMachine | undefined): void {
    this.#stop();
    connection?.fail(failure, false);
    this.#effects.closed(failure);
  }

  /** One of the two sides has closed the connection, or this side has closed the attempt to get one. */
  #endInOrder(failure: Failure, connection: ConnectionMachine | undefined): void {
    this.#stop();
    connection?.fail(failure, this.#leaving !== undefined);
    this.#effects.closed(undefined);
  }

  #stop(): void {
    this.#frames.stop();
    this.#pings.clear();
  }
}
