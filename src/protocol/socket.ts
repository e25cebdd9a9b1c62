/**
 * The life of one socket: preface, handshake, keepalive, and an end that the other side can read.
 *
 *     preface ──8 valid octets──► greeting ──HELLO──► judging ──accept──► open ──CLOSE──► closing ──► closed
 *        │                           │  (dialer: WELCOME ─────────────────► open)            ▲
 *        └── wrong octet: dropped    └── timeout, refusal, violation: CLOSE ─────────────────┘
 *
 * What must survive the socket is in `ConnectionMachine`; this machine only feeds and empties it.
 */
import {
  Code,
  codeName,
  decodeFrame,
  encodeFrame,
  encodePreface,
  FIRST_IGNORABLE_TYPE,
  FrameDecoder,
  type FrameSink,
  FrameType,
  frameName,
  isSequenced,
  PrefaceDecoder,
  ProtocolError,
  VERSION,
} from '../wire/index.js';
import { ConnectionMachine } from './connection.js';
import type { SocketEffects } from './socket-effects.js';
import { STALL_TIMEOUT, StallWatch } from './stall-watch.js';
import { cutText } from './text.js';
import type { Failure } from './failure.js';
import type { FrameWriter } from './frame-writer.js';
import { encodeGreeting, type Greeting, MAX_GREETING, readGreeting } from './handshake.js';
import { Keepalive } from './keepalive.js';
import { Pings } from './pings.js';
import type { QueueLimits } from './send-queue-budget.js';

export interface SocketSettings {
  readonly role: 'dialer' | 'listener';
  /** What this side tells the other: HELLO at the dialer; the listener's data comes with `accept`. */
  readonly greeting: Greeting;
  readonly queue: QueueLimits;
  /** Milliseconds from the socket to the established connection. */
  readonly handshakeTimeout: number;
  /** The id before the first message's: 0 but in tests of the wrap. */
  readonly lastId?: number;
}

type SocketState =
  | { readonly kind: 'preface'; readonly deadline: number }
  | { readonly kind: 'greeting'; readonly deadline: number }
  | { readonly kind: 'judging'; readonly deadline: number; readonly hello: Greeting }
  | {
      readonly kind: 'open';
      readonly connection: ConnectionMachine;
      readonly keepalive: Keepalive;
    }
  | { readonly kind: 'closing' }
  | { readonly kind: 'closed' };

export class SocketMachine implements FrameSink {
  readonly #effects: SocketEffects;
  readonly #settings: SocketSettings;
  readonly #preface = new PrefaceDecoder();
  readonly #frames: FrameDecoder;
  /** Whole frames of the socket's own, to be written before anything else. */
  #control: Buffer[] = [];
  /** The frame after which nothing is written. */
  #last: Buffer | undefined;
  #state: SocketState;
  #now: number;
  /** The newest PING that is not answered; only that one is. */
  #pongToken: number | undefined;
  readonly #pings = new Pings();
  /** Frames that wait until the application has seen what came before them. */
  #held: Parameters<FrameSink['onFrame']>[] | undefined;
  /** The connection that is closing in order: what it has ready is still written. */
  #leaving: ConnectionMachine | undefined;
  readonly #stalls = new StallWatch();

  constructor(effects: SocketEffects, settings: SocketSettings, now: number) {
    this.#effects = effects;
    this.#settings = settings;
    this.#now = now;
    const { maxMeta } = settings.greeting.limits;
    this.#frames = new FrameDecoder(this, { maxFrame: MAX_GREETING, maxMeta });
    this.#state = { kind: 'preface', deadline: now + settings.handshakeTimeout };
    effects.arm(this.#state.deadline);
    if (settings.role === 'listener') return;
    this.#control.push(encodePreface(), encodeGreeting(FrameType.HELLO, settings.greeting));
    effects.wake();
  }

  /** Octets from the socket. Never throws: what is wrong ends the connection. */
  onBytes(chunk: Buffer, now: number): void {
    this.#now = now;
    try {
      this.#decode(chunk, now);
    } catch (error) {
      this.#onError(error);
    }
  }

  /**
   * Keeps the frames that follow until `release`: an application that awaits a session or a connection
   * attaches its listeners a few microtasks after the frame that it waited for.
   */
  hold(): void {
    this.#held ??= [];
  }

  release(now: number): void {
    this.#now = now;
    const frames = this.#held ?? [];
    this.#held = undefined;
    try {
      for (const frame of frames) this.onFrame(...frame);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** The other side ended the stream, or the socket is gone. */
  onLost(reason: string, now: number): void {
    this.#now = now;
    this.#finish({
      kind: 'connection-lost',
      executed: this.#state.kind === 'open' ? 'maybe' : 'no',
      message: `The connection was lost: ${reason}.`,
    });
  }

  onTime(now: number): void {
    this.#now = now;
    const state = this.#state;
    switch (state.kind) {
      case 'preface':
      case 'greeting':
      case 'judging':
        if (now < state.deadline) return this.#effects.arm(state.deadline);
        return this.#onHandshakeTimeout(state.kind);
      case 'open':
        return this.#onOpenTime(state.connection, state.keepalive, now);
      case 'closing':
      case 'closed':
        return;
    }
  }

  /** The listener's application takes the dialer in. Nothing happens if it has gone meanwhile. */
  accept(data: Buffer, now: number): void {
    if (this.#state.kind !== 'judging') return;
    this.#now = now;
    const welcome = { ...this.#settings.greeting, data };
    this.#control.push(encodeGreeting(FrameType.WELCOME, welcome));
    this.#effects.wake();
    this.#open(this.#state.hello);
  }

  /** The listener's application does not. */
  refuse(code: number, reason: string, data: Buffer): void {
    if (this.#state.kind !== 'judging') return;
    this.#closeWith(code, reason, data);
    this.#finish({
      kind: 'connection-rejected',
      executed: 'no',
      message: `This side rejected the connection: ${codeName(code)}${reason && `, ${reason}`}.`,
    });
  }

  /** Ends the connection in order. What is still pending fails; what is written is readable. */
  close(code: number, reason: string, data: Buffer, now: number): void {
    if (this.#state.kind === 'closing' || this.#state.kind === 'closed') return;
    this.#now = now;
    const closed: Failure = {
      kind: 'connection-closed',
      executed: 'maybe',
      message: 'This side closed the connection.',
    };
    if (this.#state.kind === 'preface') this.#effects.abort();
    else this.#closeWith(code, reason, data);
    this.#finish(closed, true);
  }

  /** Measures a round trip. */
  ping(done: ((milliseconds: number) => void) | undefined, now: number): void {
    if (this.#state.kind !== 'open') return;
    this.#control.push(encodeFrame({ type: FrameType.PING, id: this.#pings.ask(done, now) }));
    this.#effects.wake();
  }

  /**
   * Writes what waits, until `room` octets are written. `room` 0 or less says that the socket takes
   * nothing now.
   */
  flush(writer: FrameWriter, room: number, now: number): void {
    this.#now = now;
    if (room <= 0) {
      this.#stalls.onBlocked(now);
      return this.#effects.arm(this.#stalls.nextCheck);
    }
    this.#stalls.onUnblocked();
    if (this.#pongToken !== undefined) {
      this.#control.push(encodeFrame({ type: FrameType.PONG, id: this.#pongToken }));
      this.#pongToken = undefined;
    }
    for (const frame of this.#control) writer.raw(frame);
    this.#control = [];
    const state = this.#state;
    if (state.kind === 'open') {
      state.connection.flush(writer, room, now);
      if (writer.bytes > 0) state.keepalive.onSpoke(now);
    }
    // Closed meanwhile, or before.
    if (this.#leaving !== undefined) {
      this.#leaving.output.flushSmall(writer, Infinity, now);
      this.#leaving = undefined;
    }
    if (this.#last !== undefined) {
      writer.raw(this.#last);
      this.#last = undefined;
      this.#effects.end();
    }
  }

  onFrame(
    type: number,
    flags: number,
    session: number,
    id: number,
    bytes: Buffer,
    start: number,
    metaLength: number,
    end: number,
  ): void {
    this.#stalls.onFrame();
    if (this.#held !== undefined) {
      this.#held.push([type, flags, session, id, bytes, start, metaLength, end]);
      return;
    }
    const state = this.#state;
    if (state.kind === 'open') {
      if (isSequenced(type) || type === FrameType.CREDIT) {
        state.connection.onFrame(
          type,
          flags,
          session,
          id,
          bytes,
          start,
          metaLength,
          end,
          this.#now,
        );
      } else {
        this.#onSocketFrame(state.connection, type, id, bytes, start, metaLength, end);
      }
      return;
    }
    if (state.kind === 'closing' || state.kind === 'closed') return;
    // A dialer that gives up while this side's application decides.
    if (state.kind === 'judging' && type === FrameType.CLOSE) {
      return this.#onClose(bytes, start, metaLength, end);
    }
    if (state.kind !== 'greeting') {
      throw new ProtocolError(Code.STATE, `${frameName(type)} before the handshake was answered.`);
    }
    const frame = decodeFrame(type, flags, session, id, bytes, start, metaLength, end);
    const { role } = this.#settings;
    if (role === 'listener' && type === FrameType.HELLO) {
      this.#state = { kind: 'judging', deadline: state.deadline, hello: readGreeting(frame) };
      this.#effects.handshake(this.#state.hello);
    } else if (role === 'dialer' && type === FrameType.WELCOME) {
      if (frame.meta.resumed !== undefined) {
        throw new ProtocolError(
          Code.PROTOCOL,
          'WELCOME resumes a connection that was never offered.',
        );
      }
      this.#open(readGreeting(frame));
    } else if (type === FrameType.CLOSE) {
      this.#onClose(bytes, start, metaLength, end);
    } else {
      throw new ProtocolError(Code.STATE, `${frameName(type)} before the handshake.`);
    }
  }

  #decode(chunk: Buffer, now: number): void {
    switch (this.#state.kind) {
      case 'preface': {
        const taken = this.#preface.push(chunk);
        if (this.#preface.version === undefined) return;
        this.#onPreface(this.#preface.version, this.#state.deadline);
        if (taken < chunk.length) this.#frames.push(chunk.subarray(taken));
        return;
      }
      case 'open':
        this.#state.keepalive.onHeard(now);
        this.#frames.push(chunk);
        if (this.#frames.pending > 0) this.#effects.arm(now + STALL_TIMEOUT);
        return;
      case 'greeting':
      case 'judging':
        return this.#frames.push(chunk);
      case 'closing':
      case 'closed':
        return;
    }
  }

  #onError(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    this.#onViolation(error);
  }

  #onPreface(version: number, deadline: number): void {
    this.#state = { kind: 'greeting', deadline };
    if (this.#settings.role === 'dialer') {
      if (version === VERSION) return;
      throw new ProtocolError(
        Code.VERSION,
        `The other side speaks version ${version}, not ${VERSION}.`,
      );
    }
    // A dialer of a later version is answered with ours, and decides itself.
    this.#control.push(encodePreface(VERSION));
    this.#effects.wake();
    if (version === 0) throw new ProtocolError(Code.VERSION, 'There is no version 0.');
  }

  #open(peer: Greeting): void {
    const { role, greeting, queue, lastId = 0 } = this.#settings;
    const { limits } = greeting;
    const settings = { role, limits, peer: peer.limits, queue, lastId };
    const connection = new ConnectionMachine(this.#effects, settings, this.#now);
    const keepalive = new Keepalive(limits.idle, peer.limits.idle, this.#now);
    this.#state = { kind: 'open', connection, keepalive };
    this.#frames.setLimits({ maxFrame: limits.maxFrame, maxMeta: limits.maxMeta });
    this.#effects.arm(keepalive.nextCheck);
    this.#effects.open(connection, peer);
  }

  #onSocketFrame(
    connection: ConnectionMachine,
    type: number,
    id: number,
    bytes: Buffer,
    start: number,
    metaLength: number,
    end: number,
  ): void {
    switch (type) {
      case FrameType.PING:
        // Those of one tick have one answer, and the others cost.
        if (this.#pongToken !== undefined) connection.flood(this.#now);
        this.#pongToken = id;
        return this.#effects.wake();
      case FrameType.PONG:
        if (!this.#pings.answer(id, this.#now)) connection.flood(this.#now);
        return;
      case FrameType.CLOSE:
        return this.#onClose(bytes, start, metaLength, end);
      case FrameType.GOAWAY:
        throw new ProtocolError(Code.UNSUPPORTED, 'GOAWAY: this version does not drain.');
      default:
        if (type >= FIRST_IGNORABLE_TYPE) return connection.flood(this.#now);
        throw new ProtocolError(Code.STATE, `${frameName(type)} after the handshake.`);
    }
  }

  #onClose(bytes: Buffer, start: number, metaLength: number, end: number): void {
    const frame = decodeFrame(FrameType.CLOSE, 0, 0, 0, bytes, start, metaLength, end);
    const code = frame.meta.code ?? Code.OK;
    const reason = frame.meta.text ?? '';
    const data = Buffer.from(frame.payload);
    const words = `${codeName(code)}${reason && `, ${reason}`}`;
    const open = this.#state.kind === 'open';
    this.#effects.end();
    this.#finish(
      {
        kind: !open
          ? 'connection-rejected'
          : code === Code.OK
            ? 'connection-closed'
            : 'connection-lost',
        executed: open ? 'maybe' : 'no',
        message: `The other side ${open ? 'closed' : 'rejected'} the connection: ${words}.`,
        code,
        reason,
        data,
      },
      open && code === Code.OK,
    );
  }

  #onViolation(error: ProtocolError): void {
    const failure: Failure = {
      kind: 'protocol',
      executed: this.#state.kind === 'open' ? 'maybe' : 'no',
      message: error.message,
      code: error.code,
      reason: error.message,
    };
    // Whoever is not one of us gets no answer: it might be one that can be abused.
    if (this.#state.kind === 'preface') this.#effects.abort();
    else this.#closeWith(error.code, error.message, NO_DATA);
    this.#finish(failure);
  }

  #onHandshakeTimeout(during: 'preface' | 'greeting' | 'judging'): void {
    const message = `The handshake took longer than ${this.#settings.handshakeTimeout} ms.`;
    if (during === 'preface') this.#effects.abort();
    else this.#closeWith(Code.HANDSHAKE_TIMEOUT, message, NO_DATA);
    this.#finish({ kind: 'handshake-timeout', executed: 'no', message });
  }

  #onOpenTime(connection: ConnectionMachine, keepalive: Keepalive, now: number): void {
    const stalled = this.#stalls.check(now, this.#frames.pending);
    if (stalled !== undefined) return this.#onStall(stalled);
    const verdict = keepalive.check(now);
    if (verdict === 'dead') {
      const { idle } = this.#settings.greeting.limits;
      const message = `Nothing was heard of the other side for ${idle} ms.`;
      this.#closeWith(Code.IDLE, message, NO_DATA);
      return this.#finish({ kind: 'idle', executed: 'maybe', message, code: Code.IDLE });
    }
    if (verdict === 'speak') {
      this.ping(undefined, now);
      keepalive.onSpoke(now);
    }
    const next = Math.min(connection.onTime(now), keepalive.nextCheck);
    this.#effects.arm(Math.min(next, this.#stalls.nextCheck));
  }

  #onStall(what: 'output' | 'input'): void {
    const message =
      what === 'output'
        ? `The other side has read nothing for ${STALL_TIMEOUT} ms.`
        : `A frame was not complete after ${STALL_TIMEOUT} ms.`;
    // Who does not read would not read why either.
    if (what === 'output') this.#effects.abort();
    else this.#closeWith(Code.STALLED, message, NO_DATA);
    this.#finish({ kind: 'idle', executed: 'maybe', message, code: Code.STALLED });
  }

  #closeWith(code: number, text: string, data: Buffer): void {
    const meta = { code, text: cutText(text) };
    this.#last = encodeFrame({ type: FrameType.CLOSE, meta, payload: data });
    this.#effects.wake();
  }

  /** Ends the machine: once. */
  #finish(failure: Failure, inOrder = false): void {
    const state = this.#state;
    if (state.kind === 'closing' || state.kind === 'closed') return;
    this.#frames.stop();
    this.#state = { kind: this.#last === undefined ? 'closed' : 'closing' };
    this.#pings.clear();
    if (state.kind === 'open') {
      if (inOrder && this.#last !== undefined) this.#leaving = state.connection;
      state.connection.fail(failure, this.#leaving !== undefined);
    }
    this.#effects.closed(inOrder ? undefined : failure);
  }
}

const NO_DATA = Buffer.alloc(0);
