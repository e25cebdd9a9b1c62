/**
 * Takes one socket of a listener through the handshake. The dialer introduces itself, and the application judges the
 * dialer. Then the socket continues the connection that the dialer names, begins a new connection, or is refused.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  type ConnectionMachine,
  type Failure,
  type Greeting,
  type ListenerEffects,
  ListenerHandshake,
} from '../../protocol/index.js';
import { Code, EMPTY, TOKEN_LENGTH } from '../../wire/index.js';
import { type Peer, peerOf, type PeerSource } from '../common/peer.js';
import { Driver, type IntroductionEffects } from '../socket/driver.js';
import type { Entrant } from '../socket/entrance.js';
import type { AddressGroup, Place } from '../socket/places.js';
import { type DroppedSocket, droppedSocket, type Stranger } from '../socket/stranger.js';
import { Connection } from './connection.js';
import { Handshake } from './handshake.js';
import type { Identity } from './identity.js';
import type { ListenerSettings } from './listener-options.js';
import { identityOf, type Resumables } from './resumables.js';

/** The queries and calls that an admission needs from its listener. */
export interface AdmissionContext {
  readonly settings: ListenerSettings;
  readonly resumables: Resumables;
  /** Whether the listener takes no new connections. */
  isDraining(): boolean;
  /** Returns the name in the dialer's certificate. It is empty if the application wants none. */
  identityOf(peer: Peer): Identity;
  /** Asks the application to judge the dialer. `group`: the address that a refusal counts for. */
  judge(handshake: Handshake, group: AddressGroup | undefined): void;
}

/** The events that an admission reports to its listener. */
export interface AdmissionEffects {
  /** A new connection is established. */
  onConnection(connection: Connection, identity: string, group: AddressGroup): void;
  /** The socket did not speak Interconnect, or stopped during its handshake. There is no connection. */
  onStranger(stranger: Stranger): void;
  /** A dialer resumes the connection: it has a socket. */
  onResuming(connection: Connection): void;
  /** The socket was closed because of a limit. */
  onDrop(dropped: DroppedSocket): void;
  /** The socket has closed. */
  onSocketClosed(admission: Admission): void;
}

export class Admission implements ListenerEffects, IntroductionEffects {
  readonly #socket: Socket;
  readonly #source: PeerSource;
  readonly #place: Place;
  readonly #context: AdmissionContext;
  readonly #effects: AdmissionEffects;
  readonly #handshake: ListenerHandshake;
  readonly #driver: Driver;
  /** The dialer; undefined until its HELLO has arrived. */
  #peer: Peer | undefined;
  /** The name of the dialer that the application gave to `accept`. */
  #principal = '';
  /** Whether the socket carries a connection. */
  #isAdmitted = false;
  /** What the application decides on; undefined until HELLO has arrived. */
  #judged: Handshake | undefined;
  /** The connection of this socket, new or resumed. */
  #connection: Connection | undefined;

  constructor(
    { socket, source, patience, place }: Entrant,
    context: AdmissionContext,
    effects: AdmissionEffects,
  ) {
    this.#socket = socket;
    this.#source = source;
    this.#place = place;
    this.#context = context;
    this.#effects = effects;
    const { limits, agent, handshakeTimeout, clock, scope, resumeTimeout } = context.settings;
    const greeting = { limits, agent, data: EMPTY, canResume: resumeTimeout > 0 };
    this.#handshake = new ListenerHandshake(this, greeting);
    const settings = { handshake: this.#handshake, handshakeTimeout, patience };
    this.#driver = new Driver(socket, settings, clock, this, scope);
    place.onGiveWay = () => this.#giveWay();
    socket.on('close', () => {
      place.leave();
      this.#judged?.end();
      effects.onSocketClosed(this);
    });
  }

  /** The connection that the socket carries or carried last. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Refuses the dialer because the listener drains. Does nothing if there is a connection. */
  refuse(reason: string): void {
    this.#handshake.refuse(Code.DRAINING, reason, EMPTY);
  }

  /** Ends the socket because its TLS handshake counts no longer. Does nothing if the socket carries a connection. */
  distrust(reason: string): void {
    if (this.#isAdmitted) return;
    if (this.#handshake.isJudging) return this.refuse(reason);
    // Before HELLO, the dialer cannot read a refusal. After a refusal, the socket is ending anyway.
    this.#socket.destroy();
  }

  /** Ends the socket, and the connection if the socket carries one. */
  close(reason: string): void {
    this.refuse(reason);
    this.#driver.machine.close(Code.OK, '', EMPTY, this.#context.settings.clock.now());
  }

  // The calls of the handshake machine.

  handshake(hello: Greeting): void {
    const peer = peerOf(
      this.#socket,
      hello.agent,
      this.#context.settings.target.path,
      this.#source,
    );
    this.#peer = peer;
    const { name: identity = '', fault } = this.#context.identityOf(peer);
    const asking = { peer, identity };
    const handshake = new Handshake(hello.data, asking, this.#handshake, (data, principal) => {
      this.#admit(hello, peer, data, principal);
    });
    this.#judged = handshake;
    if (fault !== undefined) return handshake.refuse(`The certificate ${fault}.`);
    // Nobody guesses a token. So its dialer is not held up by those who guess at the same address.
    const isKnown =
      hello.resume !== undefined && this.#context.resumables.knows(hello.resume.token);
    const { group } = this.#place;
    // [IC-17.17]
    this.#context.judge(handshake, group.isJudged && !isKnown ? group : undefined);
  }

  begin(): ConnectionMachine {
    this.#connection = new Connection(this.#context.settings, this.#principal);
    return this.#connection.machine;
  }

  open(_machine: ConnectionMachine, hello: Greeting): void {
    const connection = this.#connection;
    const peer = this.#peer;
    if (connection === undefined || peer === undefined) {
      throw new Error('A connection is established, and it has not begun.');
    }
    this.#established(connection);
    connection.continuity.onOpen(this.#driver, hello, peer);
    this.#effects.onConnection(connection, identityOf(peer, this.#principal), this.#place.group);
  }

  // The events of the driver.

  onFailed(failure: Failure | undefined): void {
    this.#judged?.end();
    const stranger = failure && strangerOf(failure, this.#source);
    if (stranger !== undefined) this.#effects.onStranger(stranger);
  }

  #established(connection: Connection): void {
    this.#connection = connection;
    this.#place.isOfUse = () => connection.wasOfUse;
    this.#place.established();
  }

  /** A newcomer gets the place of this socket. Nothing is lost: there is no connection, or it has had no session. */
  #giveWay(): void {
    const { clock } = this.#context.settings;
    this.#effects.onDrop(droppedSocket(this.#source, 'displaced'));
    if (this.#connection === undefined) return void this.#socket.destroy();
    this.#driver.machine.close(Code.OVERLOADED, GIVES_WAY, EMPTY, clock.now());
  }

  /** Admits the dialer: resumes the connection that the dialer names, or begins a new one. */
  #admit(hello: Greeting, peer: Peer, data: Buffer, principal: string): void {
    const { settings, resumables } = this.#context;
    const { clock, resumeTimeout: ttl } = settings;
    const handshake = this.#handshake;
    const now = clock.now();
    // The dialer gave up while the application judged it.
    if (!handshake.isJudging) return;
    this.#principal = principal;
    // Both sides must offer to resume. [IC-17.23]
    const resume = hello.canResume && ttl > 0 ? hello.resume : undefined;
    // [IC-17.18]
    const former = resume && resumables.find(resume.token, identityOf(peer, principal));
    if (resume !== undefined && former?.machine.canResume(resume.received) === true) {
      if (!resumables.mayResume(former, now)) {
        return handshake.refuse(Code.OVERLOADED, RESUMED_TOO_OFTEN, EMPTY);
      }
      this.#established(former);
      this.#effects.onResuming(former);
      this.#isAdmitted = true;
      former.continuity.takeOver(this.#driver);
      handshake.resume(former.machine, data, now);
      return former.continuity.onResumed(this.#driver, hello, peer);
    }
    if (this.#context.isDraining()) return this.refuse(SHUTTING_DOWN);
    // The former connection stays as it is: a late HELLO must not end a connection that works. [IC-17.29] [IC-17.31]
    this.#isAdmitted = true;
    const code = resume && (former === undefined ? Code.RESUME_UNKNOWN : Code.RESUME_GAP);
    // [IC-17.2]
    const token = ttl > 0 ? { token: randomBytes(TOKEN_LENGTH), ttl } : undefined;
    handshake.accept(data, token, code, now);
  }
}

const GIVES_WAY = 'No place is left, and this connection has had no session.';
const RESUMED_TOO_OFTEN = 'The connection was resumed too often. Wait before the next attempt.';

/** Returns the report for the operator about a socket without a connection; undefined if there is nothing to report. */
function strangerOf(
  { message, speaker, awaited }: Failure,
  source: PeerSource,
): Stranger | undefined {
  if (speaker !== undefined) return { ...source, kind: speaker.kind, message };
  // A silent socket is not worth a report, and the application knows its own judgement.
  return awaited === 'rest' ? { ...source, kind: 'unfinished', message } : undefined;
}

/** @internal The reason that a dialer receives while the listener drains. */
export const SHUTTING_DOWN = 'The listener is shutting down.';
