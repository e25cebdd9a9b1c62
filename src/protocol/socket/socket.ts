/**
 * The life of one socket: preface, handshake, keepalive, and an end that the other side can read. [IC-7.1]
 *
 *     preface ──8 valid octets──► greeting ──HELLO──► judging ──accept──► open ──CLOSE──► closing ──► closed
 *        │                           │  (dialer: WELCOME ─────────────────► open)            ▲
 *        └── wrong octet: dropped    └── timeout, refusal, violation: CLOSE ─────────────────┘
 *
 * What survives the socket is in `ConnectionMachine`; this machine only feeds and empties it, and gives it
 * back (`lost`) when the socket ends without ending it.
 */
import {
  Code,
  DEFAULT_META_SIZE,
  encodeFrame,
  encodePreface,
  FIRST_IGNORABLE_TYPE,
  FrameDecoder,
  type FrameSink,
  type FrameView,
  FrameType,
  frameName,
  isSequenced,
  PrefaceDecoder,
  ProtocolError,
  StrangerError,
  VERSION,
  EMPTY,
} from '../../wire/index.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { SocketEffects, SocketSettings } from './socket-effects.js';
import {
  CLOSED_HERE,
  closedByPeer,
  endsConnection,
  estranged,
  handshakeTooLong,
  lostBy,
  rejectedHere,
  silentFor,
  stalled,
  SUPERSEDED,
  UNRESUMABLE,
  violated,
} from './socket-failures.js';
import { STALL_TIMEOUT, StallWatch } from './stall-watch.js';
import { cutText } from '../common/text.js';
import { TimeBudget } from '../common/time-budget.js';
import { violation } from '../common/violation.js';
import type { Failure } from '../common/failure.js';
import type { FrameWriter } from '../output/frame-writer.js';
import {
  encodeGreeting,
  type Greeting,
  MAX_GREETING,
  readGreeting,
  resumptionOf,
  tokenInForce,
} from './handshake.js';
import { ControlFrames } from './control-frames.js';
import { Keepalive } from './keepalive.js';
import { Pings } from './pings.js';

type SocketState =
  | { readonly kind: 'preface' }
  | { readonly kind: 'greeting' }
  | { readonly kind: 'judging'; readonly hello: Greeting }
  | {
      readonly kind: 'open';
      readonly connection: ConnectionMachine;
      readonly keepalive: Keepalive;
    }
  /** `leaving`: what was closed in order, and may still write what it has ready. */
  | { readonly kind: 'closing'; leaving: ConnectionMachine | undefined }
  | { readonly kind: 'closed' };

export class SocketMachine implements FrameSink {
  readonly #effects: SocketEffects;
  readonly #settings: SocketSettings;
  readonly #preface = new PrefaceDecoder();
  readonly #frames: FrameDecoder;
  readonly #control = new ControlFrames();
  #state: SocketState;
  #now: number;
  readonly #pings = new Pings();
  /** Frames that wait until the application has seen what came before them. */
  #held: FrameView[] | undefined;
  readonly #stalls = new StallWatch();
  /** How long the handshake may take. */
  readonly #patience: TimeBudget;

  constructor(effects: SocketEffects, settings: SocketSettings, now: number) {
    this.#effects = effects;
    this.#settings = settings;
    this.#now = now;
    // Who has not been greeted knows no limits. [IC-2.7] [IC-6.7]
    this.#frames = new FrameDecoder(this, { maxFrame: MAX_GREETING, maxMeta: DEFAULT_META_SIZE });
    this.#state = { kind: 'preface' };
    this.#patience = settings.patience ?? new TimeBudget(settings.handshakeTimeout, now);
    effects.arm(this.#patience.nextLook);
    if (settings.role === 'listener') return;
    // [IC-2.8] [IC-17.14]
    const hello = { ...settings.greeting, resume: resumptionOf(settings.resume) };
    // [IC-2.3] [IC-3.3] [IC-3.7]
    this.#control.push(encodePreface());
    this.#control.push(encodeGreeting(FrameType.HELLO, hello));
    effects.wake();
  }

  /** Whether the listener's application is yet to decide on the dialer. */
  get isJudging(): boolean {
    return this.#state.kind === 'judging';
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
      for (const frame of frames) this.onFrame(frame);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** The other side ended the stream, or the socket is gone. */
  onLost(reason: string, now: number): void {
    this.#now = now;
    // [IC-12.5]
    this.#finish(lostBy(reason, this.#state.kind === 'open'), 'socket');
  }

  onTime(now: number): void {
    this.#now = now;
    const state = this.#state;
    if (state.kind === 'closing' || state.kind === 'closed') return;
    if (state.kind === 'open') return this.#onOpenTime(state.connection, state.keepalive, now);
    if (this.#patience.spend(now)) this.#onHandshakeTimeout(state.kind);
    else this.#effects.arm(this.#patience.nextLook);
  }

  /**
   * The listener's application takes the dialer in. `token`: with what the connection can be resumed, where
   * the dialer can do that; `code`: why what it asked to be resumed is not. Nothing happens if it has gone meanwhile.
   */
  accept(data: Buffer, token: Greeting['token'], code: number | undefined, now: number): void {
    if (this.#state.kind !== 'judging') return;
    this.#now = now;
    // [IC-2.5]
    const { hello } = this.#state;
    const welcome = {
      ...this.#settings.greeting,
      data,
      code,
      // [IC-17.1]
      token: hello.canResume ? token : undefined,
    };
    this.#control.push(encodeGreeting(FrameType.WELCOME, welcome));
    this.#effects.wake();
    this.#open(hello, welcome.token);
  }

  /** The listener goes on with a connection, whose `canResume` has been asked. */
  resume(connection: ConnectionMachine, data: Buffer, now: number): void {
    if (this.#state.kind !== 'judging') return;
    this.#now = now;
    // [IC-17.19]
    const welcome = { ...this.#settings.greeting, data, resumed: connection.received };
    this.#control.push(encodeGreeting(FrameType.WELCOME, welcome));
    this.#goOn(connection, this.#state.hello.resume?.received ?? 0);
  }

  /** The listener's application does not. [IC-6.9] */
  refuse(code: number, reason: string, data: Buffer): void {
    if (this.#state.kind !== 'judging') return;
    this.#closeWith(code, reason, data);
    this.#finish(rejectedHere(code, reason), 'connection');
  }

  /** Another socket carries the connection from here on: nothing that still arrives here counts. */
  supersede(now: number): void {
    if (this.#state.kind !== 'open') return;
    this.#now = now;
    this.#closeWith(Code.SUPERSEDED, '', EMPTY);
    this.#finish(SUPERSEDED, 'socket');
  }

  /** Ends the connection in order. What is still pending fails; what is written is readable. */
  close(code: number, reason: string, data: Buffer, now: number): void {
    if (this.#state.kind === 'closing' || this.#state.kind === 'closed') return;
    this.#now = now;
    if (this.#state.kind === 'preface') this.#effects.abort();
    else this.#closeWith(code, reason, data);
    this.#finish(CLOSED_HERE, 'in order');
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
    this.#control.flush(writer);
    if (this.#state.kind === 'open') {
      const { connection, keepalive } = this.#state;
      connection.flush(writer, room, now);
      this.#control.flushPong(writer, connection);
      if (connection.goaway.ask()) this.ping(() => connection.onGoawayRead(), now);
      if (writer.bytes > 0) keepalive.onSpoke(now);
    }
    // Closed meanwhile, or before.
    if (this.#state.kind === 'closing') {
      // [IC-12.2]
      this.#state.leaving?.output.flushLast(writer, now);
      this.#state.leaving = undefined;
    }
    if (this.#control.flushLast(writer)) this.#effects.end();
  }

  onFrame(frame: FrameView): void {
    this.#stalls.onFrame();
    if (this.#held !== undefined) {
      this.#held.push(frame.copy());
      return;
    }
    const { type } = frame;
    const state = this.#state;
    if (state.kind === 'open') {
      if (isSequenced(type) || type === FrameType.CREDIT)
        state.connection.onFrame(frame, this.#now);
      else this.#onSocketFrame(state.connection, frame);
      return;
    }
    // [IC-17.6]
    if (state.kind === 'closing' || state.kind === 'closed') return;
    // A dialer that gives up while this side's application decides.
    if (state.kind === 'judging' && type === FrameType.CLOSE) {
      return this.#onClose(frame);
    }
    if (state.kind !== 'greeting') {
      throw new ProtocolError(Code.STATE, `${frameName(type)} before the handshake was answered.`);
    }
    const { role } = this.#settings;
    if (role === 'listener' && type === FrameType.HELLO) {
      this.#state = { kind: 'judging', hello: readGreeting(frame.decode()) };
      this.#effects.handshake(this.#state.hello);
    } else if (role === 'dialer' && type === FrameType.WELCOME) {
      this.#onWelcome(readGreeting(frame.decode()));
    } else if (type === FrameType.CLOSE) {
      this.#onClose(frame);
    } else {
      throw new ProtocolError(Code.STATE, `${frameName(type)} before the handshake.`);
    }
  }

  #decode(chunk: Buffer, now: number): void {
    switch (this.#state.kind) {
      case 'preface': {
        const taken = this.#preface.push(chunk);
        if (this.#preface.version === undefined) return;
        this.#onPreface(this.#preface.version);
        return this.#frames.push(chunk.subarray(taken));
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

  #onPreface(version: number): void {
    this.#state = { kind: 'greeting' };
    if (this.#settings.role === 'dialer') {
      // [IC-3.6]
      if (version === VERSION) return;
      const text = `The other side speaks version ${version}, not ${VERSION}.`;
      throw new ProtocolError(Code.VERSION, text);
    }
    // [IC-2.4] [IC-3.4]
    // A dialer of a later version is answered with ours, and decides itself.
    this.#control.push(encodePreface(VERSION));
    this.#effects.wake();
    // [IC-3.5]
    if (version === 0) throw new ProtocolError(Code.VERSION, 'There is no version 0.');
  }

  #onWelcome(welcome: Greeting): void {
    const { resume, greeting } = this.#settings;
    if (welcome.resumed === undefined) {
      return this.#open(welcome, tokenInForce(greeting, welcome));
    }
    // [IC-6.39] [IC-17.20]
    if (resume?.canResume(welcome.resumed) !== true) {
      // The counts of the two sides will never agree again.
      if (resume !== undefined) this.#effects.unresumable(UNRESUMABLE);
      throw violation(
        `WELCOME resumes a connection at frame ${welcome.resumed}, which it has not.`,
      );
    }
    this.#goOn(resume, welcome.resumed);
    this.#effects.resumed(welcome);
  }

  #open(peer: Greeting, token: Greeting['token']): void {
    const connection = this.#effects.begin(peer);
    connection.begin(peer.limits, token);
    this.#carry(connection);
    this.#effects.open(connection, peer);
  }

  #goOn(connection: ConnectionMachine, received: number): void {
    this.#carry(connection);
    connection.resume(received);
    this.#effects.wake();
  }

  #carry(connection: ConnectionMachine): void {
    // [IC-2.9]
    const { limits, peer } = connection;
    const keepalive = new Keepalive(limits.idle, peer.idle, this.#now);
    this.#state = { kind: 'open', connection, keepalive };
    this.#frames.setLimits({ maxFrame: limits.maxFrame, maxMeta: limits.maxMeta });
    this.#effects.arm(keepalive.nextCheck);
  }

  #onSocketFrame(connection: ConnectionMachine, frame: FrameView): void {
    const { type, id } = frame;
    switch (type) {
      case FrameType.PING:
        // Those of one tick have one answer, and the others cost.
        if (!this.#control.pong(id)) connection.flood(this.#now);
        return this.#effects.wake();
      case FrameType.PONG:
        if (!this.#pings.answer(id, this.#now)) connection.flood(this.#now);
        return;
      case FrameType.CLOSE:
        return this.#onClose(frame);
      case FrameType.GOAWAY:
        // Whatever it says, if it is well formed. [IC-6.43]
        frame.meta();
        return connection.onGoaway(this.#now);
      default:
        // [IC-16.6] [IC-16.7]
        if (type >= FIRST_IGNORABLE_TYPE) return connection.flood(this.#now);
        throw new ProtocolError(Code.STATE, `${frameName(type)} after the handshake.`);
    }
  }

  #onClose(frame: FrameView): void {
    const { meta, payload } = frame.decode();
    const code = meta.code ?? Code.OK;
    const reason = meta.text ?? '';
    const open = this.#state.kind === 'open';
    // [IC-12.3]
    const failure = closedByPeer(code, reason, Buffer.from(payload), open);
    this.#effects.end();
    if (open && code === Code.OK) this.#finish(failure, 'in order');
    else this.#finish(failure, endsConnection(code) ? 'connection' : 'socket');
  }

  #onError(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    if (error instanceof StrangerError) {
      // [IC-3.2] [IC-12.7]
      // Who speaks another protocol gets no answer: that one might be abused.
      this.#effects.abort();
      return this.#finish(estranged(error, this.#settings.role), 'connection');
    }
    // [IC-1.2]
    this.#closeWith(error.code, error.message, EMPTY);
    this.#finish(violated(error, this.#state.kind === 'open'), 'connection');
  }

  #onHandshakeTimeout(during: 'preface' | 'greeting' | 'judging'): void {
    // [IC-2.6]
    const failure = handshakeTooLong(this.#settings, during, this.#preface.length);
    if (during === 'preface') this.#effects.abort();
    else this.#closeWith(Code.HANDSHAKE_TIMEOUT, failure.message, EMPTY);
    this.#finish(failure, 'connection');
  }

  #onOpenTime(connection: ConnectionMachine, keepalive: Keepalive, now: number): void {
    const still = this.#stalls.check(now, this.#frames.pending);
    if (still !== undefined) {
      const failure = stalled(still);
      // Who does not read would not read why either.
      if (still === 'output') this.#effects.abort();
      else this.#closeWith(Code.STALLED, failure.message, EMPTY);
      return this.#finish(failure, 'socket');
    }
    const verdict = keepalive.check(now);
    if (verdict === 'dead') {
      const failure = silentFor(connection.limits.idle);
      this.#closeWith(Code.IDLE, failure.message, EMPTY);
      return this.#finish(failure, 'socket');
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

  /** Ends the machine, once, and with it the socket alone or the connection as well. */
  #finish(failure: Failure, what: 'socket' | 'connection' | 'in order'): void {
    const state = this.#state;
    if (state.kind === 'closing' || state.kind === 'closed') return;
    const open = state.kind === 'open' ? state.connection : undefined;
    const leaving = what === 'in order' && this.#control.isEnding ? open : undefined;
    this.#frames.stop();
    this.#state = this.#control.isEnding ? { kind: 'closing', leaving } : { kind: 'closed' };
    this.#pings.clear();
    // [IC-2.11]
    if (open !== undefined && what === 'socket') return this.#effects.lost(failure);
    open?.fail(failure, leaving !== undefined);
    this.#effects.closed(what === 'in order' ? undefined : failure);
  }
}
