/** One end of a connection in a simulated world: the endpoint's own `Continuity`, and what an application knows. */
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

/** One connection, as both processes know it. */
export class Bond {
  readonly listener: Half;
  dialer: Half | undefined;
  audit: ConnectionAudit | undefined;
  /** Why it may end with something pending: the world has seen to that. */
  doom: string | undefined;

  constructor(listener: Half) {
    this.listener = listener;
    listener.bond = this;
  }

  /** Whether one of them drains. */
  get isDraining(): boolean {
    return this.listener.machine.drains || this.dialer?.machine.drains === true;
  }

  /** The listener drained, and the dialer had gone elsewhere: what it left behind has ended with its socket. */
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

/** One machine, and what was done with it. */
export class Half {
  readonly end: End;
  readonly machine: ConnectionMachine;
  readonly attempts: Attempt[] = [];
  readonly channels: Channel[] = [];
  bond: Bond | undefined;

  constructor(end: End, machine: ConnectionMachine, lastId: number) {
    this.end = end;
    this.machine = machine;
    // As only tests of the wrap may: ids begin elsewhere.
    (machine as { lastId: number }).lastId = lastId;
    const way: Direction = end.role === 'dialer' ? 1 : 0;
    machine.onFrame = (frame, now) => {
      this.bond?.audit?.onFed(way, frame);
      ConnectionMachine.prototype.onFrame.call(machine, frame, now);
    };
  }

  /** Whether its machine has ended. */
  get isOver(): boolean {
    return !this.machine.canResume(this.machine.output.sent.acknowledged);
  }

  get peer(): Half | undefined {
    const { bond } = this;
    return this.end.role === 'dialer' ? bond?.listener : bond?.dialer;
  }

  /** The session of this number. */
  channelOf(id: number): Channel | undefined {
    return this.channels.find(({ machine }) => machine.id === id);
  }

  /** The message of this side that left under this number and id. */
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

  /** @throws where something fails that nobody has brought about. */
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
  /** For how long it has no socket: messages wait no longer than they want to. */
  readonly outage: OutageWatch;
  readonly sessions: AppSession[] = [];
  /** Handles what comes. */
  onDelivery: (delivery: Delivery) => void = () => undefined;
  onPending: (session: AppSession) => void = () => undefined;
  onReady: () => void = () => undefined;
  /** The application has closed it, or has agreed to a drain that is over. */
  isClosing = false;
  /** Its reconnector has no hope any more. */
  hasGivenUp = false;
  isDetached = true;
  closed: { readonly failure: Failure | undefined } | undefined;
  isGone = false;
  /** How often sockets carried it: by how it went on. */
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

  /** The connection of the moment. */
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

  /** Whether so much waits in its socket that nothing more is written. */
  get isBlocked(): boolean {
    const { socket } = this.continuity.driver ?? {};
    return socket !== undefined && socket.writableLength >= LARGEST_UNSENT;
  }

  /** Whether it has waited for its dialer as long as it promised. */
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
    // When the dialer's connection ends, those that it has left for it end as well.
    for (const { bond } of [...this.halves, ...this.world.dialer.halves]) {
      if (bond !== undefined) bond.doom ??= doom;
    }
    this.continuity.close(0, '', EMPTY);
  }

  // What the continuity tells.

  onSession(machine: SessionMachine): void {
    this.world.time.guard(() => {
      // The one whose carrier told, which may be a former one.
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

  /** As the endpoint's `Connection` does: of what is not written, whatever has no more patience fails. */
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

  /** What this side has begun has an end. */
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

/** What a driver lets wait in its socket. */
const LARGEST_UNSENT = 256 * 1024;

/** What ends a message for the connection's sake. */
const LOST: ReadonlySet<string> = new Set([
  'connection-lost',
  'connection-closed',
  'connection-rejected',
  'handshake-timeout',
  'idle',
  'protocol',
]);
