/**
 * Two processes and the network between them. The endpoint's `Dialer`, `Reconnector`, `Continuity`, `Carrier` and
 * `Driver`, and all code below them, run on virtual sockets and in virtual time. Only the listener is a part of the
 * simulation.
 */
import { Dialer, type Provided } from '../../src/endpoint/socket/dialer.js';
import type { ReconnectorFactory } from '../../src/endpoint/link/continuity.js';
import { Driver } from '../../src/endpoint/socket/driver.js';
import type { Network as SocketSource } from '../../src/endpoint/common/network.js';
import type { Settings } from '../../src/endpoint/common/options.js';
import type { Peer } from '../../src/endpoint/common/peer.js';
import { EndpointClock } from '../../src/endpoint/common/endpoint-clock.js';
import { OUTSIDE } from '../../src/endpoint/common/scope.js';
import {
  type ReconnectEffects,
  type ReconnectSettings,
  Reconnector,
} from '../../src/endpoint/link/reconnector.js';
import {
  DEFAULT_LIMITS,
  type Greeting,
  type Limits,
  type ListenerEffects,
  ListenerHandshake,
  type QueueLimits,
  ThreadBudget,
} from '../../src/protocol/index.js';
import { Code, describeFrame, type Frame, EMPTY } from '../../src/wire/index.js';
import type { Random } from '../support/random.js';
import type { AppSession } from './app-session.js';
import { ConnectionAudit, type Direction, SocketAudit } from './connection-audit.js';
import type { Delivery } from './delivery.js';
import { Bond, End } from './end.js';
import type { Letter } from './letter.js';
import { Moments } from './moments.js';
import { type Network, VirtualLink } from './virtual-socket.js';
import { VirtualTime } from './virtual-time.js';

interface PartySettings {
  readonly limits?: Partial<Limits>;
  readonly queue?: Partial<QueueLimits>;
}

export interface WorldSettings {
  readonly dialer?: PartySettings;
  readonly listener?: PartySettings;
  readonly network: Network;
  /** Milliseconds that the listener waits for a lost dialer. 0: connections cannot be resumed. */
  readonly resumeTimeout?: number;
  readonly handshakeTimeout?: number;
  /** The id before the id of the first message. */
  readonly lastId?: number;
  /** The settings with which the dialer reconnects. */
  readonly reconnect?: ReconnectSettings;
  /** Milliseconds of outage that the dialer's messages wait, if they have no setting of their own. */
  readonly whenOffline?: number;
  /** Milliseconds that the listener takes to decide about a handshake. */
  judging?(): number;
  /** Milliseconds that the dialer's application takes to provide its data for each attempt. */
  providing?(): number;
}

/** The fate of an attempt to connect: it reaches the listener, is refused, or gets no answer. */
export type Reach = 'reached' | 'refused' | 'silent';

export class World {
  readonly time: VirtualTime;
  readonly letters: Letter[] = [];
  readonly lastId: number;
  /** Whether the dialer opens another socket after the loss of one. */
  readonly comesBack: boolean;
  readonly dialer: End;
  /** The listener's ends of all connections. */
  readonly ends: End[] = [];
  /** All sockets, the newest last. */
  readonly links: VirtualLink[] = [];
  /** Counts the circumstances in which messages ended without an outcome. */
  readonly moments = new Moments();
  network: Network;
  reach: Reach = 'reached';
  /** The letter to which a message belongs that the endpoint now sends. */
  sending: Letter | undefined;
  onDelivery: (delivery: Delivery) => void = () => undefined;
  onPending: (session: AppSession) => void = () => undefined;
  /** A connection has done its first handshake. */
  onReady: (end: End) => void = () => undefined;
  /** The dialer is about to open a socket. */
  onLink: (link: VirtualLink, index: number) => void = () => undefined;
  onFrame: ((way: Direction, frame: Frame) => void) | undefined;
  /** Called with one line for each event, if a trace is wanted. */
  onTrace: ((line: string) => void) | undefined;
  readonly #settings: WorldSettings;
  readonly #resumables = new Map<string, End>();
  /** The connection of each socket whose handshake was answered. */
  readonly #bonds = new Map<VirtualLink, Bond>();
  #tokens = 0;

  constructor(random: Random, settings: WorldSettings) {
    this.time = new VirtualTime(random);
    this.#settings = settings;
    this.network = settings.network;
    this.lastId = settings.lastId ?? 0;
    const { reconnect = AT_ONCE } = settings;
    this.comesBack = reconnect.comesBack;
    const target = {
      addresses: [{ path: 'virtual' }],
      encrypts: false,
      provide: () => this.#provide(),
      attemptTimeout: 1000,
    };
    const dialer = new Dialer(target, this.#partySettings('dialer'), reconnect.comesBack);
    this.dialer = this.#newEnd('dialer', (listener) => {
      return new Reconnector(dialer, reconnect, this.time, this.#observed(listener));
    });
  }

  /** The listener's end of the dialer's current connection. */
  get listener(): End | undefined {
    return this.dialer.half.bond?.listener.end;
  }

  get all(): End[] {
    return [this.dialer, ...this.ends];
  }

  now(): number {
    return this.time.now();
  }

  trace(line: string): void {
    this.onTrace?.(`${this.now() - 1_000_000} ${line}`);
  }

  /** The dialer begins to connect. */
  connect(): void {
    this.dialer.continuity.begin();
  }

  /** The listener forgets its connections. A dialer that comes back begins a new connection. */
  forget(): void {
    this.trace('the listener forgets');
    for (const end of this.#resumables.values()) {
      const { bond } = end.half;
      if (bond !== undefined) bond.doom ??= 'forgotten';
    }
    this.#resumables.clear();
  }

  /** Tells the world the connection of the newest socket before the endpoint learns it. */
  #observed(listener: ReconnectEffects): ReconnectEffects {
    return {
      isWanted: () => listener.isWanted(),
      get resumable() {
        return listener.resumable;
      },
      onBegin: () => {
        const machine = listener.onBegin();
        const bond = this.#bonds.get(this.links.at(-1)!);
        if (bond === undefined) throw new Error('WELCOME from nobody.');
        bond.join(this.dialer.halfOf(machine));
        return machine;
      },
      onOpen: (...connected) => listener.onOpen(...connected),
      onResumed: (...connected) => listener.onResumed(...connected),
      onUnresumable: (failure) => listener.onUnresumable(failure),
      onRoundFailed: (failure) => {
        this.trace(`the dialer fails: ${failure.reason}`);
        listener.onRoundFailed(failure);
      },
      onGivenUp: (failure) => {
        this.trace('the dialer gives up');
        this.dialer.hasGivenUp = true;
        listener.onGivenUp(failure);
      },
    };
  }

  /** The dialer's application provides its data for one attempt, at once or later. */
  #provide(): Provided | Promise<Provided> {
    const provided = { tls: undefined, data: EMPTY };
    const delay = this.#settings.providing?.() ?? 0;
    if (delay === 0) return provided;
    return new Promise((resolve) => this.time.after(delay, () => resolve(provided)));
  }

  /** A new socket of the dialer, on its way to the listener. */
  #newSocket(): VirtualLink {
    const link = new VirtualLink(this.time, this.network);
    const number = this.links.push(link);
    this.onLink(link, number - 1);
    this.trace(`socket ${number}`);
    const drains = (way: Direction) => () => {
      const bond = this.#bonds.get(link);
      const half = way === 0 ? bond?.dialer : bond?.listener;
      // A closing side need not write GOAWAY, because CLOSE says more.
      return half?.machine.drains === true && !half.isOver;
    };
    const audit = new SocketAudit(
      (hello) => {
        const bond = this.#bonds.get(link);
        if (bond === undefined) throw new Error('WELCOME to nobody.');
        bond.audit = new ConnectionAudit(this.#auditHost(bond), this.lastId, hello);
        return bond.audit;
      },
      (token) => {
        const half = this.dialer.halves.find((each) => each.machine.token?.token.equals(token));
        return half?.bond?.audit;
      },
      [drains(0), drains(1)],
    );
    audit.onFrame = this.onFrame;
    if (this.onTrace !== undefined) {
      audit.onFrame = (way, frame) => this.#traceFrame(number, way, frame);
    }
    for (const way of [0, 1] as const) {
      link.socket(way).onWritten = (chunk) => this.time.guard(() => audit.write(way, chunk));
    }
    this.time.after(this.network.latency(), () => this.#arrive(link, audit));
    return link;
  }

  #arrive(link: VirtualLink, audit: SocketAudit): void {
    const socket = link.socket(0);
    if (socket.destroyed || link.isCut || this.reach === 'silent') return;
    if (this.reach === 'refused') return socket.destroy(new Error('connect ECONNREFUSED'));
    this.#accept(link, audit);
    socket.emit('connect');
  }

  /** Accepts a socket, as the endpoint's `Listener` does. */
  #accept(link: VirtualLink, audit: SocketAudit): void {
    const { resumeTimeout = 60_000 } = this.#settings;
    const { limits, agent, handshakeTimeout, clock } = this.#partySettings('listener');
    const greeting = { limits, agent, data: EMPTY, canResume: resumeTimeout > 0 };
    let end: End | undefined;
    const effects: ListenerEffects = {
      handshake: (hello) => {
        const delay = this.#settings.judging?.() ?? 0;
        const admit = (): void => {
          if (handshake.isJudging) this.#admit(driver, handshake, hello, link, audit);
        };
        if (delay === 0) admit();
        else this.time.after(delay, admit);
      },
      begin: () => {
        end = this.#newEnd('listener');
        this.ends.push(end);
        this.#bonds.set(link, new Bond(end.half));
        return end.continuity.machine;
      },
      open: (_machine, hello) => {
        end?.continuity.onOpen(driver, hello, NOBODY);
        const { token } = end?.continuity.machine ?? {};
        if (token !== undefined && end !== undefined) this.#resumables.set(keyOf(token.token), end);
      },
    };
    const handshake = new ListenerHandshake(effects, greeting);
    const settings = { handshake, handshakeTimeout };
    const driver: Driver = new Driver(link.socket(1).asSocket, settings, clock, {
      onFailed: () => undefined,
    });
  }

  #admit(
    driver: Driver,
    handshake: ListenerHandshake,
    hello: Greeting,
    link: VirtualLink,
    audit: SocketAudit,
  ): void {
    const { resume } = hello;
    const { resumeTimeout: ttl = 60_000 } = this.#settings;
    const known = resume && this.#resumables.get(keyOf(resume.token));
    const former = known?.closed === undefined ? known : undefined;
    const bond = former?.half.bond;
    if (resume !== undefined && former?.continuity.machine.canResume(resume.received) === true) {
      audit.connection = bond?.audit;
      if (bond !== undefined) this.#bonds.set(link, bond);
      former.continuity.takeOver(driver);
      handshake.resume(former.continuity.machine, EMPTY, this.now());
      return former.continuity.onResumed(driver, hello, NOBODY);
    }
    const code = resume && (former === undefined ? Code.RESUME_UNKNOWN : Code.RESUME_GAP);
    const token = Buffer.alloc(32);
    token.writeUInt32BE((this.#tokens += 1));
    handshake.accept(EMPTY, ttl > 0 ? { token, ttl } : undefined, code, this.now());
  }

  #newEnd(role: 'dialer' | 'listener', reconnector?: ReconnectorFactory): End {
    const { whenOffline = Infinity } = this.#settings;
    const end = new End(this, role, this.#partySettings(role), whenOffline, reconnector);
    end.onDelivery = (delivery) => this.onDelivery(delivery);
    end.onPending = (session) => this.onPending(session);
    end.onReady = () => this.onReady(end);
    return end;
  }

  #partySettings(role: 'dialer' | 'listener'): Settings {
    const { handshakeTimeout = 5_000 } = this.#settings;
    const { limits, queue } = this.#settings[role] ?? {};
    const sockets: SocketSource = {
      address: 'virtual',
      connect: () => this.#newSocket().socket(0).asSocket,
      createServer: () => {
        throw new Error('The listener is the world itself.');
      },
    };
    return {
      limits: { ...DEFAULT_LIMITS, idle: 0, ...limits },
      queue: { messages: 1000, bytes: 1_000_000, ...queue },
      handshakeTimeout,
      sessionTimeout: 0,
      messageTimeout: 0,
      agent: role,
      network: sockets,
      clock: new EndpointClock(this.time, OUTSIDE),
      budget: new ThreadBudget(),
      scope: OUTSIDE,
    };
  }

  #auditHost(bond: Bond): ConstructorParameters<typeof ConnectionAudit>[0] {
    const halfOf = (way: number) => (way === 0 ? bond.dialer : bond.listener);
    const find = (way: Direction, session: number, id: number) => halfOf(way)?.find(session, id);
    return {
      now: () => this.now(),
      onFirst: (way, frame) => halfOf(way)?.onFirst(frame),
      isGone: (way, session, id) => {
        const reader = halfOf(1 - way);
        const channels = reader?.channels ?? [];
        if (channels.every(({ machine, closed }) => machine.id !== session || closed)) return true;
        // A draining side does not hold the messages that it refuses. No side holds a message that arrives after its
        // deadline.
        const { delivery, isOver } = find(way, session, id) ?? {};
        return delivery === undefined && (isOver === true || reader?.machine.drains === true);
      },
      hasClosed: (way) => halfOf(way)?.machine.isEnded === true,
      timeLeft: (way, session, id) => {
        const half = halfOf(way);
        if (id === 0) return (half?.channelOf(session)?.deadline ?? Infinity) - this.now();
        return (find(way, session, id)?.deadline ?? Infinity) - this.now();
      },
    };
  }

  #traceFrame(socket: number, way: Direction, frame: Frame): void {
    this.trace(`socket ${socket} ${way === 0 ? 'D' : 'L'} ${describeFrame(frame)}`);
  }
}

function keyOf(token: Buffer): string {
  return token.toString('latin1');
}

const AT_ONCE: ReconnectSettings = {
  minDelay: 10,
  maxDelay: 10,
  attempts: Infinity,
  firstAttempts: Infinity,
  comesBack: true,
  startDelay: 0,
};

const NOBODY: Peer = {
  agent: '',
  address: '',
  port: undefined,
  encrypted: false,
  authorized: false,
  certificate: undefined,
};
