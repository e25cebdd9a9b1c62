/**
 * One end of a connection in a simulated world: the endpoint's own `Continuity`, and the knowledge of the
 * application.
 */
import type { DialFailure } from '../../src/endpoint/socket/dial-errors.js';
import {
  Continuity,
  type ContinuityEffects,
  type ReconnectorFactory,
} from '../../src/endpoint/link/continuity.js';
import type { Settings } from '../../src/endpoint/common/options.js';
import {
  ConnectionMachine,
  type Failure,
  type FailureKind,
  type SessionMachine,
} from '../../src/protocol/index.js';
import { OutageWatch } from '../../src/endpoint/link/outage.js';
import { PendingSend } from '../../src/endpoint/api/pending-send.js';
import { StreamedMessage } from '../../src/endpoint/api/streaming-send.js';
import { type Frame, Flag, FrameType, EMPTY } from '../../src/wire/index.js';
import { AppSession, type Channel } from './app-session.js';
import type { Attempt } from './attempt.js';
import type { ConnectionAudit, Direction } from './connection-audit.js';
import type { Delivery } from './delivery.js';
import type { World } from './world.js';

/** One connection, and both of its ends. */
export class Bond {
  readonly listener: Half;
  dialer: Half | undefined;
  audit: ConnectionAudit | undefined;
  /** The reason why the connection may end with pending messages, if the world has caused such an end. */
  doom: string | undefined;

  constructor(listener: Half) {
    this.listener = listener;
    listener.bond = this;
  }

  /** Whether either side drains. */
  get isDraining(): boolean {
    return this.listener.machine.drains || this.dialer?.machine.drains === true;
  }

  /**
   * Whether the listener drained after the dialer had moved to another connection, and the rest has ended with its
   * socket.
   */
  get isLeftBehind(): boolean {
    const { dialer, listener } = this;
    const isFormer = dialer?.end.continuity.machine !== dialer?.machine;
    return listener.machine.drains && isFormer && dialer?.isOver === true;
  }

  join(dialer: Half): void {
    this.dialer = dialer;
    dialer.bond = this;
  }
}

/** One machine, with its sessions and messages. */
export class Half {
  readonly end: End;
  readonly machine: ConnectionMachine;
  readonly attempts: Attempt[] = [];
  readonly channels: Channel[] = [];
  bond: Bond | undefined;

  constructor(end: End, machine: ConnectionMachine, lastId: number) {
    this.end = end;
    this.machine = machine;
    // Only tests of the wrap-around may do this: message ids begin with another value.
    (machine as { lastId: number }).lastId = lastId;
    const way: Direction = end.role === 'dialer' ? 1 : 0;
    machine.onFrame = (frame, now) => {
      this.bond?.audit?.onFed(way, frame);
      ConnectionMachine.prototype.onFrame.call(machine, frame, now);
    };
  }

  /** Whether the machine has ended. */
  get isOver(): boolean {
    return !this.machine.canResume(this.machine.output.sent.acknowledged);
  }

  get peer(): Half | undefined {
    const { bond } = this;
    return this.end.role === 'dialer' ? bond?.listener : bond?.dialer;
  }

  /** The session with this number. */
  channelOf(id: number): Channel | undefined {
    return this.channels.find(({ machine }) => machine.id === id);
  }

  /** The message of this side that left with this session number and id. */
  find(sessionId: number, id: number): Attempt | undefined {
    return this.attempts.findLast(
      (each) => each.hasLeft && each.id === id && each.sessionId === sessionId,
    );
  }

  /** A sequenced frame leaves for the first time. */
  onFirst(frame: Frame): void {
    const { type, session, id, flags } = frame;
    if (type === FrameType.OPEN) return this.channelOf(session)?.onFirst(frame);
    if (type === FrameType.FRAG && (flags & Flag.REPLY) === 0) {
      return this.find(session, id)?.onFragment(frame);
    }
    if (type !== FrameType.SEND) return;
    const attempt = this.attempts.findLast(({ message, hasLeft }) => {
      const isThis = message.id === id && message.sessionId === session;
      return isThis && message.started && !hasLeft;
    });
    if (attempt === undefined) throw new Error(`Nobody sends message ${id} of ${session}.`);
    attempt.onFirst(frame);
  }

  /** @throws if a message, session or connection fails although neither side has caused the failure. */
  checkFailure(failure: Failure, what: string): void {
    const { kind } = failure;
    if (!LOST.has(kind)) return;
    const { bond } = this;
    const doom = bond?.doom ?? this.#doom(kind) ?? (this.end.hasGivenUp ? 'given up' : undefined);
    if (doom === undefined && !this.end.isClosing) {
      throw new Error(`${what} fails without need: ${kind}, ${failure.message}`);
    }
  }

  #doom(kind: FailureKind): string | undefined {
    const { bond, end } = this;
    if (!end.world.comesBack) return 'the dialer does not come back';
    if (bond === undefined) return undefined;
    if (bond.dialer === undefined) return 'the dialer never knew of it';
    if (bond.listener.end.isExpired) return 'nobody came back in time';
    return bond.isLeftBehind && kind !== 'connection-closed' ? 'left behind' : undefined;
  }
}

export class End implements ContinuityEffects {
  readonly world: World;
  readonly role: 'dialer' | 'listener';
  readonly continuity: Continuity;
  /** The time without a socket: a message without a socket fails when its patience is over. */
  readonly outage: OutageWatch;
  readonly sessions: AppSession[] = [];
  /** Called when a handler starts. */
  onDelivery: (delivery: Delivery) => void = () => undefined;
  onPending: (session: AppSession) => void = () => undefined;
  onReady: () => void = () => undefined;
  /** The application has closed the connection, or has agreed to a drain that has finished. */
  isClosing = false;
  /** The reconnector has stopped trying. */
  hasGivenUp = false;
  isDetached = true;
  closed: { readonly failure: Failure | undefined } | undefined;
  isGone = false;
  /** The number of sockets so far, by the way in which each continued. */
  readonly attached = { first: 0, resumed: 0, renewed: 0 };
  readonly #halves = new Map<ConnectionMachine, Half>();
  #detachedAt = Infinity;

  constructor(
    world: World,
    role: 'dialer' | 'listener',
    settings: Settings,
    patience: number,
    reconnector?: ReconnectorFactory,
  ) {
    this.world = world;
    this.role = role;
    this.outage = new OutageWatch(world.time, role === 'dialer' ? patience : Infinity, {
      whom: () => 'virtual',
      giveUp: (most, failure) => this.#giveUp(most, failure),
      onOffline: () => world.trace(`the ${role} is offline`),
      hurry: () => this.continuity.hurry(),
    });
    if (role === 'dialer') this.outage.beginUntried();
    this.continuity = new Continuity(role, settings, this, reconnector);
    this.#add(this.continuity.machine);
  }

  /** The half of the current connection. */
  get half(): Half {
    return this.halfOf(this.continuity.machine);
  }

  get halves(): Half[] {
    return [...this.#halves.values()];
  }

  halfOf(machine: ConnectionMachine): Half {
    const half = this.#halves.get(machine);
    if (half === undefined) throw new Error(`The ${this.role} has no such machine.`);
    return half;
  }

  /** Whether the socket holds so many octets that the driver writes no more. */
  get isBlocked(): boolean {
    const { socket } = this.continuity.driver ?? {};
    return socket !== undefined && socket.writableLength >= LARGEST_UNSENT;
  }

  /** Whether the dialer stayed away longer than the listener promised to wait. */
  get isExpired(): boolean {
    const ttl = this.continuity.machine.token?.ttl ?? 0;
    return this.isDetached && this.world.now() >= this.#detachedAt + ttl;
  }

  open(name: string, data: Buffer, timeout: number): AppSession {
    const { half } = this;
    const machine = half.machine.openSession({ name, meta: {}, data, timeout });
    return new AppSession(this, half, machine, false);
  }

  drain(): void {
    this.continuity.drain();
  }

  close(doom: string): void {
    this.isClosing = true;
    // When the dialer's connection ends, the former connections that the dialer has left end as well.
    for (const { bond } of [...this.halves, ...this.world.dialer.halves]) {
      if (bond !== undefined) bond.doom ??= doom;
    }
    this.continuity.close(0, '', EMPTY);
  }

  // The events of the continuity.

  onSession(machine: SessionMachine): void {
    this.world.time.guard(() => {
      // The half whose carrier reported the session. It may be a former one.
      const half = this.halves.find(({ peer }) =>
        peer?.channels.some((channel) => isOther(channel, machine)),
      );
      if (half === undefined) throw new Error(`Nobody has opened "${machine.name}".`);
      const session = new AppSession(this, half, machine, true);
      const opener = session.channel.peer;
      if (opener?.hasLeft !== true) throw new Error(`OPEN of "${machine.name}" never left.`);
      if (opener.isNotOpened) throw new Error(`"${machine.name}" was told that it is not opened.`);
      this.onPending(session);
    });
  }

  onAttached(how: 'first' | 'resumed' | 'renewed'): void {
    this.world.trace(`the ${this.role} is attached: ${how}`);
    this.attached[how] += 1;
    this.outage.end();
    this.isDetached = false;
    this.world.time.guard(() => {
      if (how === 'first' && this.attached.first > 1) throw new Error('A second first socket.');
      if (how === 'first') this.onReady();
    });
  }

  isWanted(): boolean {
    return true;
  }

  /** As the endpoint's `Connection` does: fails the unwritten messages whose patience is over. */
  #giveUp(patience: number, failure: Failure): number {
    let least = Infinity;
    this.continuity.machine.giveUpUnwritten(
      () => undefined,
      (message) => {
        const isOurs = message instanceof PendingSend || message instanceof StreamedMessage;
        const own = this.outage.patienceOf(isOurs ? message.whenOffline : undefined);
        if (own > patience) least = Math.min(least, own);
        return own <= patience ? failure : undefined;
      },
    );
    return least;
  }

  onRoundFailed(failure: DialFailure): void {
    this.outage.onRoundFailed(failure);
    this.outage.watch();
  }

  onDetached(failure: Failure | undefined): void {
    this.world.trace(`the ${this.role} is detached: ${failure?.message ?? 'to go elsewhere'}`);
    this.isDetached = true;
    this.#detachedAt = this.world.now();
    if (failure !== undefined) this.outage.begin(failure.message, undefined);
    this.outage.watch();
  }

  onRenewing(machine: ConnectionMachine): void {
    const half = this.#add(machine);
    for (const session of this.sessions) session.move(half, machine);
  }

  onDrained(): void {
    this.world.trace(`the ${this.role} has drained`);
    const { bond } = this.half;
    if (bond !== undefined) this.world.time.guard(() => this.#checkDrained(bond));
    this.isClosing = true;
    this.continuity.close(0, '', EMPTY);
  }

  onClosed(failure: Failure | undefined): void {
    this.outage.end();
    this.world.trace(`the ${this.role} is closed: ${failure?.message ?? 'in order'}`);
    this.world.time.guard(() => {
      if (this.closed !== undefined) throw new Error(`The ${this.role} is closed twice.`);
      this.closed = { failure };
      if (failure === undefined) return;
      this.half.checkFailure(failure, `The ${this.role}'s connection`);
    });
  }

  onGone(): void {
    this.world.time.guard(() => {
      if (this.isGone) throw new Error(`The ${this.role} is gone twice.`);
      this.isGone = true;
    });
  }

  #add(machine: ConnectionMachine): Half {
    const half = new Half(this, machine, this.world.lastId);
    this.#halves.set(machine, half);
    return half;
  }

  /** Checks that each message of this side has ended. */
  #checkDrained(bond: Bond): void {
    if (bond.doom !== undefined) return;
    const half = this.half;
    const pending = half.attempts.find(({ isOver }) => !isOver);
    if (pending !== undefined) throw new Error(`${pending.name} is pending after the drain.`);
  }
}

function isOther(channel: Channel, machine: SessionMachine): boolean {
  return channel.machine.id === machine.id && channel.session.name === machine.name;
}

/** The octets in the socket from which on a driver writes no more. */
const LARGEST_UNSENT = 256 * 1024;

/** The kinds of failures that the loss or the end of a connection causes. */
const LOST: ReadonlySet<string> = new Set([
  'connection-lost',
  'connection-closed',
  'connection-rejected',
  'handshake-timeout',
  'idle',
  'protocol',
]);
