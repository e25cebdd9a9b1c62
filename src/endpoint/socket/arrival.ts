/**
 * A socket from its arrival in the system until it can carry Interconnect:
 *
 *     header ──PROXY header──► opening ──first octet──► securing ──TLS handshake──► through
 *        │ none is due ──────────┘  │ no TLS ─────────────────────────────────────────┘
 *        └── wrong, silent for too long, ended by its peer: destroyed, whatever the state
 *
 * One time limit covers all of this, from the first moment. Without the limit, a peer that sends nothing, or one octet
 * now and then, would hold one of the listener's places for ever.
 */
import type { Socket } from 'node:net';
import { speakerOf } from '../../wire/index.js';
import { TimeBudget } from '../../protocol/index.js';
import { type Clock, whenUsedUp } from '../common/clock.js';
import {
  type ProxyFault,
  ProxyHeaderDecoder,
  ProxyHeaderError,
  type ProxySource,
} from './proxy-header.js';
import type { PeerSource } from '../common/peer.js';
import type { Place } from './places.js';
import {
  type DroppedSocket,
  droppedSocket,
  type DropReason,
  type Stranger,
  type StrangerKind,
} from './stranger.js';
import { traffic } from '../common/traffic.js';

/** The settings for the arriving sockets of one listener. */
export interface ArrivalSettings {
  /** Whether the socket must begin with a PROXY header. */
  readonly isProxied: boolean;
  /** Whether the socket uses TLS. */
  readonly isEncrypted: boolean;
  /** Milliseconds from the arrival to the established connection. */
  readonly handshakeTimeout: number;
  readonly clock: Clock;
}

/** The events that an arrival reports. */
export interface ArrivalEffects {
  /** The peer begins TLS. The octets of the TLS handshake are still in the socket. */
  onEncrypted(arrival: Arrival): void;
  /** The socket can carry Interconnect, without TLS. The octets of the peer are still in the socket. */
  onThrough(arrival: Arrival): void;
  /** The PROXY header has named the peer. Returns the reason if there is no place for the peer. */
  onLocated(arrival: Arrival): DropReason | undefined;
  /** The socket was destroyed because of a limit. */
  onDrop(dropped: DroppedSocket): void;
  /** The socket was destroyed because of its peer's octets. */
  onStranger(stranger: Stranger): void;
  /** The socket is through, or was destroyed. Called once. */
  onOver(arrival: Arrival): void;
}

export class Arrival {
  readonly socket: Socket;
  /** The place that the socket has taken. */
  readonly place: Place;
  readonly #settings: ArrivalSettings;
  readonly #effects: ArrivalEffects;
  /** The rest of the time in which the connection must be established. */
  readonly patience: TimeBudget;
  readonly #stopTimer: () => void;
  readonly #header: ProxyHeaderDecoder | undefined;
  #source: ProxySource | undefined;
  /** Whether the peer itself has sent anything, and not only the balancer in front of it. */
  #hasSpoken = false;
  #isOver = false;
  readonly #onReadable = (): void => this.#read();
  readonly #onEnd = (): void => this.#ended();
  readonly #onClose = (): void => this.#finish();

  constructor(socket: Socket, place: Place, settings: ArrivalSettings, effects: ArrivalEffects) {
    const { clock, handshakeTimeout } = settings;
    traffic.count += 1;
    this.socket = socket;
    this.place = place;
    place.onGiveWay = () => this.#drop('displaced');
    this.#settings = settings;
    this.#effects = effects;
    this.patience = new TimeBudget(handshakeTimeout, clock.now());
    this.#header = settings.isProxied ? new ProxyHeaderDecoder() : undefined;
    this.#stopTimer = whenUsedUp(this.patience, clock, () => this.#expire());
    // An 'error' event without a listener ends the process.
    socket.on('error', ignore);
    socket.on('close', this.#onClose);
    socket.on('end', this.#onEnd);
    socket.on('readable', this.#onReadable);
  }

  /** The peer's address: the address of the socket, or the one that its PROXY header named. */
  get source(): PeerSource {
    const { remoteAddress: address, remotePort: port } = this.socket;
    return this.#source ?? { address, port };
  }

  /** Reports that the TLS handshake of the socket is over. */
  secured(): void {
    this.#finish();
  }

  /** Destroys the socket without a report. */
  destroy(): void {
    this.#finish();
    this.socket.destroy();
  }

  #read(): void {
    traffic.count += 1;
    for (let chunk = this.#take(); chunk !== null; chunk = this.#take()) {
      const rest = this.#afterHeader(chunk);
      if (rest === undefined) return;
      if (this.#header?.isDone === false) continue;
      if (!this.#settings.isEncrypted) return this.#onPlain(rest);
      if (rest.length > 0) return this.#onOpening(rest);
    }
  }

  #take(): Buffer | null {
    const chunk: unknown = this.socket.read();
    return Buffer.isBuffer(chunk) ? chunk : null;
  }

  /** Returns the part of the chunk that belongs to the peer; `undefined`: the socket was destroyed. */
  #afterHeader(chunk: Buffer): Buffer | undefined {
    const header = this.#header;
    if (header === undefined || header.isDone) return chunk;
    try {
      const taken = header.push(chunk);
      this.#source = header.source;
      const reason = this.#reasonToDrop(header);
      if (reason === undefined) return chunk.subarray(taken);
      this.#drop(reason);
      return undefined;
    } catch (error) {
      if (!(error instanceof ProxyHeaderError)) throw error;
      this.#refuse(KINDS[error.fault], `The socket ${error.message}. ${REMEDIES[error.fault]}`);
      return undefined;
    }
  }

  /** Returns the reason if the header is whole, and there is no place for the peer that it names. */
  #reasonToDrop({ isDone }: ProxyHeaderDecoder): DropReason | undefined {
    return isDone ? this.#effects.onLocated(this) : undefined;
  }

  #onPlain(rest: Buffer): void {
    this.#leaveAlone(rest);
    this.#finish();
    this.#effects.onThrough(this);
  }

  #onOpening(rest: Buffer): void {
    this.#hasSpoken = true;
    if (rest[0] === TLS_HANDSHAKE) {
      this.#leaveAlone(rest);
      return this.#effects.onEncrypted(this);
    }
    const { kind, name } = speakerOf(rest);
    if (kind === 'interconnect') {
      return this.#refuse(kind, `This port takes TLS, and ${name} came without. ${NO_TLS_REMEDY}`);
    }
    const what = kind === 'unknown' ? 'another protocol came' : `this looks like ${name}`;
    this.#refuse(kind, `This port takes TLS, and ${what}. ${STRANGER_REMEDIES[kind] ?? FIND_OUT}`);
  }

  /** Hands the socket over, with these octets put back. */
  #leaveAlone(rest: Buffer): void {
    const { socket } = this;
    socket.off('readable', this.#onReadable);
    socket.off('end', this.#onEnd);
    if (rest.length > 0) socket.unshift(rest);
  }

  /** FIN: a peer that sends nothing more cannot get through. */
  #ended(): void {
    if (this.#header !== undefined && !this.#header.isDone && this.#header.length > 0) {
      return this.#refuse('bad-proxy-header', 'The socket ended within its PROXY header.');
    }
    this.destroy();
  }

  #expire(): void {
    const { handshakeTimeout } = this.#settings;
    const isHeld = this.#header !== undefined && !this.#header.isDone && this.#header.length > 0;
    if (!this.#hasSpoken && !isHeld) return this.destroy();
    const what = isHeld ? 'its PROXY header' : 'its TLS handshake';
    this.#refuse(
      'unfinished',
      `The socket had not finished ${what} after ${handshakeTimeout} ms (handshakeTimeout).`,
    );
  }

  #drop(reason: DropReason): void {
    if (this.#isOver) return;
    const { source } = this;
    this.destroy();
    this.#effects.onDrop(droppedSocket(source, reason));
  }

  #refuse(kind: StrangerKind, message: string): void {
    if (this.#isOver) return;
    const { address, port } = this.source;
    this.destroy();
    this.#effects.onStranger({ kind, address, port, message });
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopTimer();
    this.socket.off('close', this.#onClose);
    this.#effects.onOver(this);
  }
}

function ignore(): void {}

/** The first octet of every TLS connection. */
const TLS_HANDSHAKE = 0x16;

const KINDS: Readonly<Record<ProxyFault, StrangerKind>> = {
  absent: 'no-proxy-header',
  malformed: 'bad-proxy-header',
  'too-long': 'bad-proxy-header',
};

const REMEDIES: Readonly<Record<ProxyFault, string>> = {
  absent:
    'Have the balancer send one, or name in proxyProtocol.from the addresses of those that do.',
  malformed: 'Look at the balancer that sent it.',
  'too-long': 'Look at the balancer that sent it.',
};

const NO_TLS_REMEDY = 'Set tls (in Nest: tlsOptions) at the dialer.';
const BALANCER_REMEDY = 'If a balancer of yours sends it, set proxyProtocol.';
const FIND_OUT = 'Find out who connects to this port.';
const STRANGER_REMEDIES: Readonly<Partial<Record<StrangerKind, string>>> = {
  'proxy-v1': BALANCER_REMEDY,
  'proxy-v2': BALANCER_REMEDY,
};
