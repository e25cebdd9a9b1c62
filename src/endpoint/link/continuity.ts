/**
 * Continuity: keeps an application's connection going while sockets come and go. [IC-7.8]
 *
 *     connecting ──first socket──► open
 *     open ──socket lost──► detached ──resumed──► open           the same machine, nothing lost
 *       │                      │  └──begun anew──► open          another machine: sessions and what
 *       └──GOAWAY──► detached ─┘                                 certainly did not run move to it
 *
 * At the listener, the connection waits for the dialer to come back, and ends if that takes too long.
 */
import {
  ConnectionMachine,
  DEFAULT_LIMITS,
  type Failure,
  type Greeting,
  type Limits,
  type SessionMachine,
  TimeBudget,
} from '../../protocol/index.js';
import { Code, EMPTY } from '../../wire/index.js';
import { Carrier, type CarrierEffects } from './carrier.js';
import { whenUsedUp } from '../common/clock.js';
import type { DialFailure } from '../socket/dial-errors.js';
import type { Driver } from '../socket/driver.js';
import { failureOf, type InterconnectError } from '../common/errors.js';
import type { Settings } from '../common/options.js';
import type { Peer } from '../common/peer.js';
import type { ReconnectEffects, Reconnector } from './reconnector.js';

/** The events in the life of a connection, and the questions to the application. */
export interface ContinuityEffects {
  /** Returns true if a call waits for a socket. The process then stays alive until the next attempt. */
  isWanted(): boolean;
  /** The other side has opened a session: give it a listener now. */
  onSession(machine: SessionMachine): void;
  /**
   * A socket carries the connection. `first`: the first socket. `resumed`: a later socket, with the same machine.
   * `renewed`: the other side has begun a new connection, with a new machine.
   */
  onAttached(
    how: 'first' | 'resumed' | 'renewed',
    driver: Driver,
    welcome: Greeting,
    peer: Peer,
  ): void;
  /**
   * No socket carries the connection now. The failure says how the socket was lost. Without a failure, the other side
   * drains.
   */
  onDetached(failure: Failure | undefined): void;
  /** A dialer has tried all addresses without success. */
  onRoundFailed(failure: DialFailure): void;
  /** `machine` replaces the former machine: move the sessions there. */
  onRenewing(machine: ConnectionMachine): void;
  /** This side's drain is done. May be called more than once. */
  onDrained(): void;
  /** The connection is over. Without a failure, one side closed it in order. Called once. */
  onClosed(failure: Failure | undefined): void;
  /** The connection is over, and its last socket is gone. */
  onGone(): void;
}

/** Makes the reconnector of a dialer, which provides sockets. */
export type ReconnectorFactory = (effects: ReconnectEffects) => Reconnector;

export class Continuity implements CarrierEffects, ReconnectEffects {
  readonly #role: 'dialer' | 'listener';
  readonly #settings: Settings;
  readonly #effects: ContinuityEffects;
  readonly #reconnector: Reconnector | undefined;
  #carrier: Carrier;
  /** The former carriers that are not gone yet: the other side drains them, or their sockets are still open. */
  readonly #former = new Set<Carrier>();
  #wasAttached = false;
  #isGone = false;
  #drains = false;
  /** The reason why the dialer has given up; undefined before. */
  #givenUp: Failure | undefined;
  #stopExpiry: (() => void) | undefined;

  constructor(
    role: 'dialer' | 'listener',
    settings: Settings,
    effects: ContinuityEffects,
    reconnector?: ReconnectorFactory,
  ) {
    this.#role = role;
    this.#settings = settings;
    this.#effects = effects;
    this.#reconnector = reconnector?.(this);
    this.#carrier = this.#newCarrier(role === 'dialer' ? UNKNOWN_LIMITS : DEFAULT_LIMITS);
  }

  /** At a dialer, begins to look for the first socket. */
  begin(): void {
    this.#reconnector?.begin();
  }

  /** A call needs a socket now: ends a long pause between attempts. */
  hurry(): void {
    this.#settings.scope.runInAsyncScope(() => this.#reconnector?.hurry());
  }

  /** Whether a socket has ever carried the connection. */
  get wasAttached(): boolean {
    return this.#wasAttached;
  }

  /** The machine that carries the connection now. */
  get machine(): ConnectionMachine {
    return this.#carrier.machine;
  }

  /** The current socket. */
  get driver(): Driver | undefined {
    return this.#carrier.driver;
  }

  /** Starts to drain: no machine takes anything new. */
  drain(): void {
    this.#drains = true;
    for (const { machine } of [...this.#former, this.#carrier]) machine.drain();
  }

  /** Ends the connection in order, together with the former machines. */
  close(code: number, reason: string, data: Buffer): void {
    this.#reconnector?.stop();
    for (const carrier of [...this.#former, this.#carrier]) carrier.close(code, reason, data);
  }

  /** Ends the connection without a word to the other side. */
  end(failure: Failure): void {
    this.#reconnector?.stop();
    this.#carrier.end(failure);
  }

  // The results of the handshakes.

  get resumable(): ConnectionMachine | undefined {
    return this.machine.token === undefined ? undefined : this.machine;
  }

  onBegin(): ConnectionMachine {
    // The other side does not know the connection that this side wanted to resume. [IC-17.32]
    if (this.machine.hasBegun) this.#renew(FORGOTTEN);
    return this.machine;
  }

  onOpen(driver: Driver, greeting: Greeting, peer: Peer): void {
    this.#attach(this.#wasAttached ? 'renewed' : 'first', driver, greeting, peer);
  }

  onResumed(driver: Driver, greeting: Greeting, peer: Peer): void {
    this.#attach('resumed', driver, greeting, peer);
  }

  onUnresumable(failure: Failure): void {
    // [IC-17.22]
    this.#renew(failure);
  }

  isWanted(): boolean {
    return this.#effects.isWanted();
  }

  onRoundFailed(failure: DialFailure): void {
    this.#effects.onRoundFailed(failure);
  }

  onGivenUp({ error, reason }: DialFailure): void {
    this.#givenUp = this.#wasAttached ? lostForGood(error, reason) : failureOf(error);
    this.#endGivenUp();
  }

  /** Attaches the socket, before the listener's machine resumes on it. */
  takeOver(driver: Driver): void {
    this.#stopExpiry?.();
    this.#carrier.attach(driver);
  }

  // The events of the carriers.

  onSession(machine: SessionMachine): void {
    this.#effects.onSession(machine);
  }

  onLost(carrier: Carrier, failure: Failure): void {
    // If the socket of a drained predecessor is lost, its successor is already running.
    if (carrier !== this.#carrier || !this.#outlivesSockets) return carrier.end(failure);
    this.#effects.onDetached(failure);
    // A 'detach' listener may have closed the connection.
    if (carrier.isOver) return;
    if (this.#role === 'listener') return this.#expire(carrier, failure);
    const hasProgressed = carrier.hasProgressed();
    if (this.resumable === undefined) this.#renew(failure);
    // A listener of a session that ended with the former machine may have closed the connection too.
    if (this.#carrier.isOver) return;
    const isSuperseded = failure.code === Code.SUPERSEDED;
    this.#reconnector?.start(
      isSuperseded ? { kind: 'superseded' } : { kind: 'lost', hasProgressed },
    );
  }

  onDraining(carrier: Carrier): void {
    if (carrier !== this.#carrier || this.#reconnector?.comesBack !== true) return;
    this.#renew(undefined);
    this.#effects.onDetached(undefined);
    if (!this.#carrier.isOver) this.#reconnector.start({ kind: 'drained' });
  }

  onDrained(carrier: Carrier): void {
    if (carrier !== this.#carrier) carrier.close(Code.OK, '', EMPTY);
    this.#checkDrained();
  }

  onClosed(carrier: Carrier, failure: Failure | undefined): void {
    if (carrier !== this.#carrier) return;
    this.#stopExpiry?.();
    this.#reconnector?.stop();
    for (const former of this.#former) former.close(Code.OK, '', EMPTY);
    this.#effects.onClosed(failure);
  }

  onGone(carrier: Carrier): void {
    this.#former.delete(carrier);
    // `#endGivenUp` may end the last carrier, and then `onGone` is called for that carrier within this call.
    const wasGone = this.#isGone;
    this.#endGivenUp();
    if (this.#isGone && !wasGone) return;
    if (carrier === this.#carrier) this.#isGone = true;
    // The predecessors may outlive the current carrier. The connection is gone when all of them are gone.
    if (this.#isGone && this.#former.size === 0) this.#effects.onGone();
    else if (carrier !== this.#carrier) this.#checkDrained();
  }

  get #outlivesSockets(): boolean {
    if (this.#role === 'listener') return this.resumable !== undefined;
    return this.#reconnector?.comesBack === true;
  }

  #attach(
    how: 'first' | 'resumed' | 'renewed',
    driver: Driver,
    greeting: Greeting,
    peer: Peer,
  ): void {
    // A session ended with the former machine, and its listener has closed the connection.
    if (this.#carrier.isOver)
      return driver.machine.close(Code.OK, '', EMPTY, this.#settings.clock.now());
    this.#wasAttached = true;
    if (this.#carrier.driver !== driver) this.#carrier.attach(driver);
    this.#effects.onAttached(how, driver, greeting, peer);
  }

  /**
   * Replaces the current machine by a new one. With a failure, the former machine ends. Without a failure, the former
   * machine finishes its running messages.
   */
  #renew(failure: Failure | undefined): void {
    const former = this.#carrier;
    this.#former.add(former);
    // If the other side drains again and again, the connection keeps only a few predecessors.
    const going = [...this.#former].filter(({ isOver }) => !isOver);
    if (going.length > MOST_FORMER) going[0]?.close(Code.OK, TOO_MANY, EMPTY);
    this.#carrier = this.#newCarrier(former.machine.peerLimits);
    this.#effects.onRenewing(this.machine);
    if (this.#drains) this.machine.drain();
    if (failure !== undefined) former.end(failure);
  }

  #newCarrier(peer: Limits): Carrier {
    const { limits, queue, budget, clock } = this.#settings;
    const settings = { role: this.#role, limits, queue, budget, peer };
    const machine = new ConnectionMachine(settings, clock.now());
    return new Carrier(machine, clock, this);
  }

  /** The drain is done when all predecessors are gone, and the newest machine, which takes over their rest, is drained. */
  #checkDrained(): void {
    if (this.#former.size === 0 && this.machine.isDrained) this.#effects.onDrained();
  }

  /** If the dialer has given up, ends the connection as soon as no predecessor has running messages. */
  #endGivenUp(): void {
    const isRunning = [...this.#former].some(({ isOver }) => !isOver);
    if (this.#givenUp !== undefined && !isRunning) this.#carrier.end(this.#givenUp);
  }

  /** Ends the connection if the dialer does not come back in time. [IC-17.11] */
  #expire(carrier: Carrier, failure: Failure): void {
    const ttl = carrier.machine.token?.ttl ?? 0;
    const { clock } = this.#settings;
    const budget = new TimeBudget(ttl, clock.now());
    this.#stopExpiry = whenUsedUp(budget, clock, () => carrier.end(failure));
  }
}

function lostForGood(cause: InterconnectError, reason: string): Failure {
  const message = `The connection was lost, and could not be made anew: ${reason}.`;
  return { kind: 'connection-lost', executed: 'maybe', message, cause };
}

/** Before the handshake, no message counts as too large. A message that exceeds the announced limits fails later. */
const UNKNOWN_LIMITS: Limits = { ...DEFAULT_LIMITS, maxFrame: 1024 * 1024, maxMessage: Infinity };

const FORGOTTEN: Failure = {
  kind: 'connection-lost',
  executed: 'maybe',
  message: 'The connection was lost: the other side does not know it any more.',
};

/** The most predecessors that the other side drains and that are not done. */
const MOST_FORMER = 8;
const TOO_MANY = 'Too many others were drained after it.';
