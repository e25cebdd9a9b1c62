/** The dialer's handshake: the dialer writes preface and HELLO first, and waits for WELCOME. */
import {
  Code,
  encodePreface,
  FrameType,
  type FrameView,
  ProtocolError,
  VERSION,
} from '../../wire/index.js';
import { violation } from '../common/violation.js';
import type { ConnectionMachine } from '../connection/connection.js';
import {
  encodeGreeting,
  type Greeting,
  readGreeting,
  resumptionOf,
  tokenInForce,
} from './greeting.js';
import type { Handshake, HandshakeContext } from './handshake.js';
import type { DialerEffects } from './socket-effects.js';
import { UNRESUMABLE } from './socket-failures.js';

export class DialerHandshake implements Handshake {
  readonly role = 'dialer';
  readonly #effects: DialerEffects;
  readonly #greeting: Greeting;
  readonly #former: ConnectionMachine | undefined;

  /** `greeting`: the contents of HELLO. `former`: the connection that this socket is to continue. */
  constructor(effects: DialerEffects, greeting: Greeting, former?: ConnectionMachine) {
    this.#effects = effects;
    this.#greeting = greeting;
    this.#former = former;
  }

  start(socket: HandshakeContext): void {
    // [IC-2.8] [IC-17.16]
    const hello = { ...this.#greeting, resume: resumptionOf(this.#former) };
    // [IC-2.3] [IC-3.3] [IC-3.7]
    socket.write(encodePreface());
    socket.write(encodeGreeting(FrameType.HELLO, hello));
  }

  onPreface(version: number): void {
    // [IC-3.6]
    if (version === VERSION) return;
    const text = `The other side speaks version ${version}, not ${VERSION}.`;
    throw new ProtocolError(Code.VERSION, text);
  }

  onFrame(frame: FrameView, socket: HandshakeContext, now: number): void {
    if (frame.type !== FrameType.WELCOME) throw socket.state.unexpected(frame.type);
    const welcome = readGreeting(frame.decode());
    if (welcome.resumed === undefined) this.#begin(socket, welcome, now);
    else this.#resume(socket, welcome, welcome.resumed, now);
  }

  #begin(socket: HandshakeContext, welcome: Greeting, now: number): void {
    const connection = this.#effects.begin(welcome);
    // The new connection replaces a former one. At the end of the former one, the application has closed both.
    if (connection.isEnded) return socket.close(now);
    connection.begin(welcome.limits, tokenInForce(this.#greeting, welcome));
    socket.state.welcome(connection, socket.attach(connection, now));
    this.#effects.open(connection, welcome);
  }

  #resume(socket: HandshakeContext, welcome: Greeting, received: number, now: number): void {
    const former = this.#former;
    // [IC-6.60] [IC-17.22]
    if (former?.canResume(received) !== true) {
      // The counts of the two sides will never agree again.
      if (former !== undefined) this.#effects.unresumable(UNRESUMABLE);
      throw violation(`WELCOME resumes a connection at frame ${received}, which was never sent.`);
    }
    socket.state.welcome(former, socket.attach(former, now));
    former.resume(received);
    this.#effects.resumed(welcome);
  }
}
