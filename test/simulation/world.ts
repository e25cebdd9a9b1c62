/**
 * Two processes and the network between them: the endpoint's `Driver`, `Carrier` and `Continuity` with all that
 * is below them, on sockets and in a time of this world. Only what opens and accepts sockets is the world's own.
 */
import { Driver } from '../../src/endpoint/driver.js';
import type { Settings } from '../../src/endpoint/options.js';
import type { Peer } from '../../src/endpoint/peer.js';
import { OUTSIDE } from '../../src/endpoint/scope.js';
import type { Occasion, Reconnector, ReconnectListener } from '../../src/endpoint/reconnector.js';
import {
  DEFAULT_LIMITS,
  type ConnectionMachine,
  EMPTY,
  type Failure,
  type Greeting,
  type Limits,
  type QueueLimits,
} from '../../src/protocol/index.js';
import { Code, describeFrame, type Frame } from '../../src/wire/index.js';
import type { Random } from '../support/random.js';
import type { AppSession, Delivery, Letter } from './application.js';
import { ConnectionAudit, type Direction, SocketAudit } from './connection-audit.js';
import { Bond, End } from './end.js';
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
  /** Milliseconds that a listener's end waits for its dialer; 0: it cannot be resumed. */
  readonly resumeTimeout?: number;
  readonly handshakeTimeout?: number;
  /** The id before the first message's. */
  readonly lastId?: number;
  /** Milliseconds until the dialer tries again. */
  pause?(): number;
  /** Milliseconds that a handshake is judged for. */
  judging?(): number;
}

export class World {
  readonly time: VirtualTime;
  readonly letters: Letter[] = [];
  readonly lastId: number;
  readonly dialer: End;
  /** The listener's end of every connection that was begun. */
  readonly ends: End[] = [];
  /** All sockets, the newest last. */
  readonly links: VirtualLink[] = [];
  network: Network;
  /** Nobody is reached. */
  isDown = false;
  onDelivery: (delivery: Delivery) => void = () => undefined;
  onPending: (session: AppSession) => void = () => undefined;
  /** A connection stands, for the first time. */
  onReady: (end: End) => void = () => undefined;
  /** A socket is about to be opened. */
  onLink: (link: VirtualLink, index: number) => void = () => undefined;
  onFrame: ((way: Direction, frame: Frame) => void) | undefined;
  /** What happens, a line each, where somebody wants to read it. */
  onTrace: ((line: string) => void) | undefined;
  readonly #settings: WorldSettings;
  readonly #resumables = new Map<string, End>();
  #tokens = 0;
  #giveUp: (() => void) | undefined;

  constructor(random: Random, settings: WorldSettings) {
    this.time = new VirtualTime(random);
    this.#settings = settings;
    this.network = settings.network;
    this.lastId = settings.lastId ?? 0;
    this.dialer = this.#newEnd('dialer', (listener) => {
      return new Redialler(this, listener) as unknown as Reconnector;
    });
  }

  /** The listener's end of the dialer's connection. */
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

  /** The dialer's first socket. */
  connect(): void {
    if (this.dialer.closed !== undefined) return;
    this.#giveUp = this.dial(this.dialer.continuity, () => {
      this.time.after(this.pause(), () => this.connect());
    });
  }

  /** The dialer's application does not want it any more. */
  close(doom: string): void {
    this.#giveUp?.();
    this.dialer.close(doom);
  }

  /** The listener does not know its connections any more: what comes back begins anew. */
  forget(): void {
    this.trace('the listener forgets');
    for (const end of this.#resumables.values()) {
      const { bond } = end.half;
      if (bond !== undefined) bond.doom ??= 'forgotten';
    }
    this.#resumables.clear();
  }

  pause(): number {
    return this.#settings.pause?.() ?? 10;
  }

  /** Opens a socket; `onFailed`: it came to nothing. Returns how to give the attempt up. */
  dial(listener: DialListener, onFailed: () => void): () => void {
    const link = new VirtualLink(this.time, this.network);
    const number = this.links.push(link);
    this.onLink(link, number - 1);
    const resume = listener.resumable;
    let accepted: Bond | undefined;
    const drains = (way: Direction) => () => {
      const bond = accepted;
      const half = way === 0 ? bond?.dialer : bond?.listener;
      return half?.machine.drains === true;
    };
    const audit = new SocketAudit(
      (hello) => {
        if (accepted === undefined) throw new Error('WELCOME to nobody.');
        const bond = accepted;
        bond.audit = new ConnectionAudit(this.#auditHost(bond), this.lastId, hello);
        return bond.audit;
      },
      [drains(0), drains(1)],
    );
    audit.asked = resume && this.dialer.halfOf(resume).bond?.audit;
    audit.onFrame = this.onFrame;
    if (this.onTrace !== undefined) {
      audit.onFrame = (way, frame) => this.#traceFrame(number, way, frame);
      this.trace(`socket ${number}${resume === undefined ? '' : ' to resume'}`);
    }
    const socket = link.socket(0);
    socket.onWritten = (chunk) => audit.write(0, chunk);
    const fail = (): void => {
      if (isOver) return;
      isOver = true;
      onFailed();
    };
    let isOver = false;
    const { limits, agent, handshakeTimeout } = this.#partySettings('dialer');
    const greeting = { limits, agent, data: EMPTY, canResume: true };
    const settings = { role: 'dialer', greeting, handshakeTimeout, resume } as const;
    const driver: Driver = new Driver(socket.asSocket, settings, this.time, {
      onHandshake: () => undefined,
      onBegin: () => {
        const machine = listener.onBegin();
        if (accepted === undefined) throw new Error('WELCOME from nobody.');
        accepted.join(this.dialer.halfOf(machine));
        return machine;
      },
      onOpen: (welcome) => {
        isOver = true;
        listener.onOpen(driver, welcome, NOBODY);
        driver.hold();
      },
      onResumed: (welcome) => {
        isOver = true;
        listener.onResumed(driver, welcome, NOBODY);
      },
      onUnresumable: (failure) => listener.onUnresumable(failure),
      onFailed: fail,
      onSocketClosed: fail,
    });
    if (this.isDown) link.cut([0, 0], 0, 5, undefined);
    else this.#accept(link, audit, (bond) => (accepted = bond));
    return () => {
      isOver = true;
      socket.destroy(new Error('given up'));
    };
  }

  /** As `Listener` does. */
  #accept(link: VirtualLink, audit: SocketAudit, onBond: (bond: Bond) => void): void {
    const { resumeTimeout = 60_000 } = this.#settings;
    const { limits, agent, handshakeTimeout } = this.#partySettings('listener');
    const greeting = { limits, agent, data: EMPTY, canResume: resumeTimeout > 0 };
    const settings = { role: 'listener', greeting, handshakeTimeout } as const;
    const socket = link.socket(1);
    socket.onWritten = (chunk) => audit.write(1, chunk);
    let end: End | undefined;
    const driver: Driver = new Driver(socket.asSocket, settings, this.time, {
      onHandshake: (hello) => {
        const delay = this.#settings.judging?.() ?? 0;
        const admit = (): void => {
          if (driver.machine.isJudging) this.#admit(driver, hello, audit, onBond);
        };
        if (delay === 0) admit();
        else this.time.after(delay, admit);
      },
      onBegin: () => {
        end = this.#newEnd('listener');
        this.ends.push(end);
        onBond(new Bond(end.half));
        return end.continuity.machine;
      },
      onOpen: (hello) => {
        end?.continuity.onOpen(driver, hello, NOBODY);
        const { token } = end?.continuity.machine ?? {};
        if (token !== undefined && end !== undefined) this.#resumables.set(keyOf(token.token), end);
      },
      onResumed: () => undefined,
      onUnresumable: () => undefined,
      onFailed: () => undefined,
      onSocketClosed: () => undefined,
    });
  }

  #admit(driver: Driver, hello: Greeting, audit: SocketAudit, onBond: (bond: Bond) => void): void {
    const { resume } = hello;
    const { resumeTimeout: ttl = 60_000 } = this.#settings;
    const known = resume && this.#resumables.get(keyOf(resume.token));
    const former = known?.closed === undefined ? known : undefined;
    const bond = former?.half.bond;
    if (resume !== undefined && former?.continuity.machine.canResume(resume.received) === true) {
      audit.connection = bond?.audit;
      if (bond !== undefined) onBond(bond);
      former.continuity.takeOver(driver);
      driver.machine.resume(former.continuity.machine, EMPTY, this.now());
      return former.continuity.onResumed(driver, hello, NOBODY);
    }
    const code = resume && (former === undefined ? Code.RESUME_UNKNOWN : Code.RESUME_GAP);
    const token = Buffer.alloc(32);
    token.writeUInt32BE((this.#tokens += 1));
    driver.machine.accept(EMPTY, ttl > 0 ? { token, ttl } : undefined, code, this.now());
  }

  #newEnd(
    role: 'dialer' | 'listener',
    reconnector?: (listener: ReconnectListener) => Reconnector,
  ): End {
    const end = new End(this, role, this.#partySettings(role), reconnector);
    end.onDelivery = (delivery) => this.onDelivery(delivery);
    end.onPending = (session) => this.onPending(session);
    end.onReady = () => this.onReady(end);
    return end;
  }

  #partySettings(role: 'dialer' | 'listener'): Settings {
    const { handshakeTimeout = 5_000 } = this.#settings;
    const { limits, queue } = this.#settings[role] ?? {};
    return {
      limits: { ...DEFAULT_LIMITS, idle: 0, ...limits },
      queue: { messages: 1000, bytes: 1_000_000, ...queue },
      handshakeTimeout,
      sessionTimeout: 0,
      messageTimeout: 0,
      agent: role,
      clock: this.time,
      scope: OUTSIDE,
    };
  }

  #auditHost(bond: Bond): ConstructorParameters<typeof ConnectionAudit>[0] {
    const halfOf = (way: number) => (way === 0 ? bond.dialer : bond.listener);
    const find = (way: Direction, session: number, id: number) => {
      return halfOf(way)?.attempts.findLast(
        (each) => each.sessionId === session && each.id === id && each.started,
      );
    };
    return {
      now: () => this.now(),
      isGone: (way, session, id) => {
        const reader = halfOf(1 - way);
        const channels = reader?.channels ?? [];
        if (channels.every(({ machine, closed }) => machine.id !== session || closed)) return true;
        // Who drains holds nothing of what it refuses, and nobody what comes when its time is over.
        const { delivery, isOver } = find(way, session, id) ?? {};
        return delivery === undefined && (isOver === true || reader?.machine.drains === true);
      },
      timeLeft: (way, session, id) => {
        const channel = halfOf(way)?.channels.find(({ machine }) => machine.id === session);
        const { deadline = Infinity } = (id === 0 ? channel : find(way, session, id)) ?? {};
        return deadline - this.now();
      },
    };
  }

  #traceFrame(socket: number, way: Direction, frame: Frame): void {
    this.trace(`socket ${socket} ${way === 0 ? 'D' : 'L'} ${describeFrame(frame)}`);
  }
}

interface DialListener {
  readonly resumable: ConnectionMachine | undefined;
  onBegin(): ConnectionMachine;
  onOpen(driver: Driver, greeting: Greeting, peer: Peer): void;
  onResumed(driver: Driver, greeting: Greeting, peer: Peer): void;
  onUnresumable(failure: Failure): void;
}

/** Brings sockets back, as `Reconnector` does, which awaits promises and so cannot be driven by this time. */
class Redialler {
  readonly comesBack = true;
  readonly #world: World;
  readonly #listener: ReconnectListener;
  #isAtIt = false;
  #stop: (() => void) | undefined;

  constructor(world: World, listener: ReconnectListener) {
    this.#world = world;
    this.#listener = listener;
  }

  start({ kind }: Occasion): void {
    if (this.#isAtIt) return;
    this.#isAtIt = true;
    if (kind === 'drained') this.#dial();
    else this.#pause();
  }

  stop(): void {
    this.#isAtIt = false;
    this.#stop?.();
    this.#stop = undefined;
  }

  #pause(): void {
    this.#stop = this.#world.time.setAlarm(this.#world.pause(), () => this.#dial());
  }

  #dial(): void {
    const listener = this.#listener;
    const succeeded = (): void => {
      this.#isAtIt = false;
      this.#stop = undefined;
    };
    this.#stop = this.#world.dial(
      {
        get resumable() {
          return listener.resumable;
        },
        onBegin: () => listener.onBegin(),
        onOpen: (...connected) => {
          succeeded();
          listener.onOpen(...connected);
        },
        onResumed: (...connected) => {
          succeeded();
          listener.onResumed(...connected);
        },
        onUnresumable: (failure) => listener.onUnresumable(failure),
      },
      () => {
        if (this.#isAtIt) this.#pause();
      },
    );
  }
}

function keyOf(token: Buffer): string {
  return token.toString('latin1');
}

const NOBODY: Peer = {
  agent: '',
  address: '',
  port: undefined,
  encrypted: false,
  authorized: false,
  certificate: undefined,
};
