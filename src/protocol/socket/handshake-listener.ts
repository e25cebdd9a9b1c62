/**
 * The listener's handshake: the listener writes nothing before it has read a valid preface. Then it reads HELLO, and its
 * application decides whether to take the dialer in.
 */
import {
  Code,
  encodePreface,
  FrameType,
  type FrameView,
  ProtocolError,
  VERSION,
} from '../../wire/index.js';
import type { ConnectionMachine } from '../connection/connection.js';
import { encodeGreeting, type Greeting, readGreeting } from './greeting.js';
import type { Handshake, HandshakeContext } from './handshake.js';
import type { ListenerEffects } from './socket-effects.js';

export class ListenerHandshake implements Handshake {
  readonly role = 'listener';
  readonly #effects: ListenerEffects;
  readonly #greeting: Greeting;
  /** The socket, for the decision of the application, which may come at any time. */
  #socket: HandshakeContext | undefined;

  /** `greeting`: the contents of WELCOME, without the accept data. */
  constructor(effects: ListenerEffects, greeting: Greeting) {
    this.#effects = effects;
    this.#greeting = greeting;
  }

  start(socket: HandshakeContext): void {
    this.#socket = socket;
  }

  /** Whether the application has yet to decide on the dialer. */
  get isJudging(): boolean {
    return this.#judging() !== undefined;
  }

  onPreface(version: number, socket: HandshakeContext): void {
    // [IC-2.4] [IC-3.4]
    // A dialer of a later version gets the version of this side, and decides itself whether to go on.
    socket.write(encodePreface(VERSION));
    // [IC-3.5]
    if (version === 0) throw new ProtocolError(Code.VERSION, 'There is no version 0.');
  }

  onFrame(frame: FrameView, { state }: HandshakeContext): void {
    if (frame.type !== FrameType.HELLO) throw state.unexpected(frame.type);
    const hello = readGreeting(frame.decode());
    state.hello(hello);
    this.#effects.handshake(hello);
  }

  /**
   * The application takes the dialer in, for a new connection. `token`: resumes the connection later; a dialer that cannot
   * resume does not get it. `code`: why the connection that the dialer asked for is not resumed. This method does nothing
   * if the dialer has gone meanwhile.
   */
  accept(data: Buffer, token: Greeting['token'], code: number | undefined, now: number): void {
    const judging = this.#judging();
    if (judging === undefined) return;
    const { socket, hello } = judging;
    // [IC-17.1]
    const given = hello.canResume ? token : undefined;
    // [IC-2.5]
    const welcome = { ...this.#greeting, data, code, token: given };
    socket.write(encodeGreeting(FrameType.WELCOME, welcome));
    const connection = this.#effects.begin(hello);
    connection.begin(hello.limits, given);
    socket.state.applicationAccepts(connection, socket.attach(connection, now));
    this.#effects.open(connection, hello);
  }

  /** The application takes the dialer in, to go on with `former`. Call this only if `former.canResume` returned true. */
  resume(former: ConnectionMachine, data: Buffer, now: number): void {
    const judging = this.#judging();
    if (judging === undefined) return;
    const { socket, hello } = judging;
    // [IC-17.21]
    const welcome = { ...this.#greeting, data, resumed: former.received };
    socket.write(encodeGreeting(FrameType.WELCOME, welcome));
    socket.state.applicationAccepts(former, socket.attach(former, now));
    former.resume(hello.resume?.received ?? 0);
  }

  /** The application refuses the dialer. [IC-6.9] */
  refuse(code: number, reason: string, data: Buffer): void {
    if (this.isJudging) this.#socket?.refuse(code, reason, data);
  }

  #judging(): { readonly socket: HandshakeContext; readonly hello: Greeting } | undefined {
    const socket = this.#socket;
    const state = socket?.state.current;
    if (socket === undefined || state?.name !== 'JUDGING') return undefined;
    return { socket, hello: state.hello };
  }
}
