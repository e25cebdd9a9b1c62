/**
 * One socket: preface, handshake, keepalive, and an end that the other side can read.
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
} from './greeting.js';
import { ControlFrames } from './control-frames.js';
import { Keepalive } from './keepalive.js';
import { Pings } from './pings.js';
import { SocketState } from './socket-state.js';

export class SocketMachine implements FrameSink {
  readonly #effects: SocketEffects;
  readonly #settings: SocketSettings;
  readonly #preface = new PrefaceDecoder();
  readonly #frames: FrameDecoder;
  readonly #control = new ControlFrames();
  readonly #state: SocketState;
  #now: number;
  readonly #pings = new Pings();
  /** The connection that this side has closed in order: what is ready there is written in front of CLOSE. */
  #leaving: ConnectionMachine | undefined;
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
    this.#state = new SocketState(effects);
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
    return this.#state.current.name === 'JUDGING';
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
    const { isOver, connection } = this.#state;
    // [IC-12.5]
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

  /**
   * The listener's application takes the dialer in. `token`: with what the connection can be resumed, where
   * the dialer can do that; `code`: why what it asked to be resumed is not. Nothing happens if it has gone meanwhile.
   */
  accept(data: Buffer, token: Greeting['token'], code: number | undefined, now: number): void {
    const state = this.#state.current;
    if (state.name !== 'JUDGING') return;
    this.#now = now;
    const { hello } = state;
    // [IC-2.5]
    const welcome = {
      ...this.#settings.greeting,
      data,
      code,
      // [IC-17.1]
      token: hello.canResume ? token : undefined,
    };
    this.#control.push(encodeGreeting(FrameType.WELCOME, welcome));
    this.#effects.wake();
    const connection = this.#begin(hello, welcome.token);
    this.#state.applicationAccepts(connection, this.#attach(connection));
    this.#effects.open(connection, hello);
  }

  /** The listener goes on with a connection, whose `canResume` has been asked. */
  resume(connection: ConnectionMachine, data: Buffer, now: number): void {
    const state = this.#state.current;
    if (state.name !== 'JUDGING') return;
    this.#now = now;
    // [IC-17.19]
    const welcome = { ...this.#settings.greeting, data, resumed: connection.received };
    this.#control.push(encodeGreeting(FrameType.WELCOME, welcome));
    this.#state.applicationAccepts(connection, this.#attach(connection));
    this.#resumeWith(connection, state.hello.resume?.received ?? 0);
  }

  /** The listener's application does not. [IC-6.9] */
  refuse(code: number, reason: string, data: Buffer): void {
    if (this.#state.current.name !== 'JUDGING') return;
    this.#closeWith(code, reason, data);
    this.#state.applicationRefuses();
    this.#endConnection(rejectedHere(code, reason), undefined);
  }

  /** Another socket carries the connection from here on: nothing that still arrives here counts. */
  supersede(now: number): void {
    const { connection } = this.#state;
    if (connection === undefined) return;
    this.#now = now;
    this.#closeWith(Code.SUPERSEDED, '', EMPTY);
    this.#state.superseded();
    this.#endSocket(SUPERSEDED, connection);
  }

  /** Ends the connection in order. What is still pending fails; what is written is readable. */
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

  /** Measures a round trip. */
  ping(done: ((milliseconds: number) => void) | undefined, now: number): void {
    if (this.#state.current.name !== 'OPEN') return;
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
    const state = this.#state.current;
    if (state.name === 'OPEN') {
      const { connection, keepalive } = state;
      connection.flush(writer, room, now);
      this.#control.flushPong(writer, connection);
      if (connection.goaway.takePingDue()) this.ping(() => connection.onGoawayRead(), now);
      if (writer.bytes > 0) keepalive.onSpoke(now);
    }
    // [IC-12.2]
    this.#leaving?.output.flushLast(writer, now);
    this.#leaving = undefined;
    if (this.#control.flushLast(writer)) this.#effects.end();
  }

  onFrame(frame: FrameView): void {
    this.#stalls.onFrame();
    if (this.#held !== undefined) {
      this.#held.push(frame.copy());
      return;
    }
    const { type } = frame;
    const state = this.#state.current;
    if (state.name === 'OPEN') {
      if (isSequenced(type) || type === FrameType.CREDIT)
        state.connection.onFrame(frame, this.#now);
      else this.#onSocketFrame(state.connection, frame);
      return;
    }
    // [IC-17.6]
    if (this.#state.isOver) return;
    if (type === FrameType.CLOSE) return this.#onClose(frame);
    if (state.name !== 'GREETING') throw this.#state.unexpected(type);
    const { role } = this.#settings;
    if (role === 'listener' && type === FrameType.HELLO) {
      const hello = readGreeting(frame.decode());
      this.#state.hello(hello);
      this.#effects.handshake(hello);
    } else if (role === 'dialer' && type === FrameType.WELCOME) {
      this.#onWelcome(readGreeting(frame.decode()));
    } else {
      throw this.#state.unexpected(type);
    }
  }

  #decode(chunk: Buffer, now: number): void {
    const state = this.#state.current;
    switch (state.name) {
      case 'PREFACE': {
        const taken = this.#preface.push(chunk);
        if (this.#preface.version === undefined) return;
        this.#onPreface(this.#preface.version);
        return this.#frames.push(chunk.subarray(taken));
      }
      case 'OPEN':
        state.keepalive.onHeard(now);
        this.#frames.push(chunk);
        if (this.#frames.pending > 0) this.#effects.arm(now + STALL_TIMEOUT);
        return;
      case 'GREETING':
      case 'JUDGING':
        return this.#frames.push(chunk);
      case 'CLOSING':
      case 'CLOSED':
        return;
    }
  }

  #onPreface(version: number): void {
    if (this.#settings.role === 'dialer') {
      // [IC-3.6]
      if (version === VERSION) return this.#state.eightOctets();
      const text = `The other side speaks version ${version}, not ${VERSION}.`;
      throw new ProtocolError(Code.VERSION, text);
    }
    // [IC-2.4] [IC-3.4]
    // A dialer of a later version is answered with ours, and decides itself.
    this.#control.push(encodePreface(VERSION));
    this.#effects.wake();
    // [IC-3.5]
    if (version === 0) throw new ProtocolError(Code.VERSION, 'There is no version 0.');
    this.#state.eightOctets();
  }

  #onWelcome(welcome: Greeting): void {
    const { resume, greeting } = this.#settings;
    if (welcome.resumed === undefined) {
      const connection = this.#begin(welcome, tokenInForce(greeting, welcome));
      this.#state.welcome(connection, this.#attach(connection));
      return this.#effects.open(connection, welcome);
    }
    // [IC-6.39] [IC-17.20]
    if (resume?.canResume(welcome.resumed) !== true) {
      // The counts of the two sides will never agree again.
      if (resume !== undefined) this.#effects.unresumable(UNRESUMABLE);
      throw violation(
        `WELCOME resumes a connection at frame ${welcome.resumed}, which it has not.`,
      );
    }
    this.#state.welcome(resume, this.#attach(resume));
    this.#resumeWith(resume, welcome.resumed);
    this.#effects.resumed(welcome);
  }

  #begin(peer: Greeting, token: Greeting['token']): ConnectionMachine {
    const connection = this.#effects.begin(peer);
    connection.begin(peer.limits, token);
    return connection;
  }

  #resumeWith(connection: ConnectionMachine, received: number): void {
    connection.resume(received);
    this.#effects.wake();
  }

  /** The socket obeys the limits of the connection from here on, and its clock. */
  #attach({ limits, peer }: ConnectionMachine): Keepalive {
    // [IC-2.9]
    const keepalive = new Keepalive(limits.idle, peer.idle, this.#now);
    this.#frames.setLimits({ maxFrame: limits.maxFrame, maxMeta: limits.maxMeta });
    this.#effects.arm(keepalive.nextCheck);
    return keepalive;
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
        throw this.#state.unexpected(type);
    }
  }

  #onClose(frame: FrameView): void {
    const { meta, payload } = frame.decode();
    const code = meta.code ?? Code.OK;
    const reason = meta.text ?? '';
    const { connection } = this.#state;
    const isOpen = connection !== undefined;
    // [IC-12.3]
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
      // [IC-3.2] [IC-12.7]
      // Who speaks another protocol gets no answer: that one might be abused.
      this.#effects.abort();
      this.#state.wrongOctet();
      return this.#endConnection(estranged(error, this.#settings.role), undefined);
    }
    // The application has closed meanwhile, and that CLOSE stands.
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
      const failure = silentFor(connection.limits.idle);
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

  /** The socket alone is over: a connection can go on on the next one. */
  #endSocket(failure: Failure, connection: ConnectionMachine | undefined): void {
    if (connection === undefined) return this.#endConnection(failure, undefined);
    this.#stop();
    // [IC-2.11]
    this.#effects.lost(failure);
  }

  /** The connection, or the attempt at one, is over with the socket. */
  #endConnection(failure: Failure, connection: ConnectionMachine | undefined): void {
    this.#stop();
    connection?.fail(failure, false);
    this.#effects.closed(failure);
  }

  /** One of the two sides has closed the connection, or this side has closed the attempt at one. */
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
