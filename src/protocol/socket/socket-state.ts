/**
 * The state of one socket: the table of PROTOCOL.md §7.1, with one method for each event. [IC-7.1]
 *
 *     PREFACE ──eight octets──► GREETING ──HELLO──► JUDGING ──accepted──► OPEN ──own CLOSE──► CLOSING
 *        │                         │ └──WELCOME, at the dialer────────────▲                     ▲   │
 *        │                         └── timeout, refusal, violation: CLOSE ──────────────────────┘   │
 *        └── wrong octet, timeout, own close: destroyed ───────────────────► CLOSED ◄───────────────┘
 *
 * The peer's CLOSE, the end of the stream and its loss lead from every state to CLOSED.
 */
import { Code, frameName, FrameType, ProtocolError } from '../../wire/index.js';
import { type MoveEffects, noSuchMove } from '../common/moves.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { Greeting } from './greeting.js';
import type { Keepalive } from './keepalive.js';

type State =
  | { readonly name: 'PREFACE' }
  | { readonly name: 'GREETING' }
  /** `hello`: the greeting by which the application judges the dialer. */
  | { readonly name: 'JUDGING'; readonly hello: Greeting }
  | {
      readonly name: 'OPEN';
      readonly connection: ConnectionMachine;
      readonly keepalive: Keepalive;
    }
  | { readonly name: 'CLOSING' }
  | { readonly name: 'CLOSED' };

const PREFACE = { name: 'PREFACE' } as const;
const GREETING = { name: 'GREETING' } as const;
const CLOSING = { name: 'CLOSING' } as const;
const CLOSED = { name: 'CLOSED' } as const;

export class SocketState {
  readonly #effects: MoveEffects;
  #current: State = PREFACE;

  constructor(effects: MoveEffects) {
    this.#effects = effects;
  }

  /** The state with its data. */
  get current(): State {
    return this.#current;
  }

  /** The connection, while the socket carries one. */
  get connection(): ConnectionMachine | undefined {
    return this.#current.name === 'OPEN' ? this.#current.connection : undefined;
  }

  /** Whether the machine has ended: it ignores further frames, and at most writes its last ones. */
  get isOver(): boolean {
    return this.#current === CLOSING || this.#current === CLOSED;
  }

  wrongOctet(): void {
    if (this.#current !== PREFACE) throw this.#refusal('a wrong octet');
    this.#move(CLOSED, 'a wrong octet');
  }

  eightOctets(): void {
    if (this.#current !== PREFACE) throw this.#refusal('eight octets');
    this.#move(GREETING, 'eight octets');
  }

  handshakeTimeout(): void {
    switch (this.#current.name) {
      case 'PREFACE':
        return this.#move(CLOSED, 'handshake timeout');
      case 'GREETING':
      case 'JUDGING':
        return this.#move(CLOSING, 'handshake timeout');
      default:
        throw this.#refusal('handshake timeout');
    }
  }

  /** HELLO, at the listener. */
  hello(hello: Greeting): void {
    if (this.#current !== GREETING) throw this.unexpected(FrameType.HELLO);
    this.#move({ name: 'JUDGING', hello }, 'HELLO');
  }

  /** WELCOME, at the dialer. */
  welcome(connection: ConnectionMachine, keepalive: Keepalive): void {
    if (this.#current !== GREETING) throw this.unexpected(FrameType.WELCOME);
    this.#move({ name: 'OPEN', connection, keepalive }, 'WELCOME');
  }

  applicationAccepts(connection: ConnectionMachine, keepalive: Keepalive): void {
    if (this.#current.name !== 'JUDGING') throw this.#refusal('the application accepts');
    this.#move({ name: 'OPEN', connection, keepalive }, 'the application accepts');
  }

  applicationRefuses(): void {
    if (this.#current.name !== 'JUDGING') throw this.#refusal('the application refuses');
    this.#move(CLOSING, 'the application refuses');
  }

  /** CLOSE of the other side. */
  close(): void {
    switch (this.#current.name) {
      case 'GREETING':
      case 'JUDGING':
      case 'OPEN':
        return this.#move(CLOSED, 'CLOSE');
      default:
        throw this.#refusal('CLOSE');
    }
  }

  /** The other side broke a rule, which `why` names. */
  violation(why: string): void {
    if (this.isOver) throw this.#refusal('a violation');
    this.#move(CLOSING, why);
  }

  /** The error to throw for a frame that the table does not list for this state. */
  unexpected(type: number): Error {
    switch (this.#current.name) {
      case 'GREETING':
        return new ProtocolError(Code.STATE, `${frameName(type)} before the handshake.`);
      case 'JUDGING':
        return new ProtocolError(
          Code.STATE,
          `${frameName(type)} before the handshake was answered.`,
        );
      case 'OPEN':
        return new ProtocolError(Code.STATE, `${frameName(type)} after the handshake.`);
      default:
        return this.#refusal(frameName(type));
    }
  }

  applicationCloses(): void {
    if (this.isOver) throw this.#refusal('the application closes');
    // Before the preface, the other side may be a stranger, who must get no octet.
    this.#move(this.#current === PREFACE ? CLOSED : CLOSING, 'the application closes');
  }

  silence(): void {
    if (this.#current.name !== 'OPEN') throw this.#refusal('silence of IDLE');
    this.#move(CLOSING, 'silence of IDLE');
  }

  /** Another socket resumes the connection. */
  superseded(): void {
    if (this.#current.name !== 'OPEN') throw this.#refusal('another socket resumes the connection');
    this.#move(CLOSING, 'another socket resumes the connection');
  }

  outputStalled(): void {
    if (this.#current.name !== 'OPEN') throw this.#refusal('nothing can be written');
    this.#move(CLOSED, 'nothing can be written');
  }

  inputStalled(): void {
    if (this.#current.name !== 'OPEN') throw this.#refusal('a frame stays incomplete');
    this.#move(CLOSING, 'a frame stays incomplete');
  }

  /** The stream has ended, or the socket is lost. `why`: the reason, in the words of a loss. */
  streamEnded(why: string): void {
    if (this.#current === CLOSED) return;
    // After this side's CLOSE, the stream ends in order. Then `why` would be wrong.
    this.#move(CLOSED, this.#current === CLOSING ? 'end of the stream' : why);
  }

  #move(to: State, why: string): void {
    const from = this.#current.name;
    this.#current = to;
    this.#effects.onMove?.('socket', from, to.name, why);
  }

  #refusal(event: string): Error {
    return noSuchMove('socket', this.#current.name, event);
  }
}
