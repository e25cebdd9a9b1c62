/**
 * The carrier of one connection machine: it connects the machine with the current socket, if there is one. A carrier owns
 * the connection's timer. A driver owns the timer of its socket.
 */
import {
  CLOSED_HERE,
  type ConnectionEffects,
  type ConnectionMachine,
  type Failure,
  overloadedBy,
  type SessionMachine,
} from '../../protocol/index.js';
import type { ProtocolError } from '../../wire/index.js';
import { Alarm } from '../common/alarm.js';
import type { Clock } from '../common/clock.js';
import { traceMoves } from '../common/trace-moves.js';
import type { Driver, DriverEffects } from '../socket/driver.js';

/** The events that a carrier reports. */
export interface CarrierEffects {
  /** The other side has opened a session: give it a listener now. */
  onSession(machine: SessionMachine): void;
  /** The connection has lost its socket: attach another one, or end the carrier. */
  onLost(carrier: Carrier, failure: Failure): void;
  /** The other side drains: it takes nothing new. */
  onDraining(carrier: Carrier): void;
  /** This side's drain is done. */
  onDrained(carrier: Carrier): void;
  /** The connection is over. Without a failure, one side closed it in order. Called once. */
  onClosed(carrier: Carrier, failure: Failure | undefined): void;
  /** The connection is over, and the last of its sockets is gone. */
  onGone(carrier: Carrier): void;
}

export class Carrier implements ConnectionEffects, DriverEffects {
  readonly machine: ConnectionMachine;
  readonly onMove = traceMoves('connection');
  readonly #clock: Clock;
  readonly #effects: CarrierEffects;
  /** The sockets that are not gone yet, former ones included. */
  readonly #sockets = new Set<Driver>();
  #driver: Driver | undefined;
  /** The sum that `hasProgressed` computed at its last call. */
  #acknowledged = 0;
  readonly #alarm: Alarm;

  constructor(machine: ConnectionMachine, clock: Clock, effects: CarrierEffects) {
    this.machine = machine;
    this.#clock = clock;
    this.#effects = effects;
    this.#alarm = new Alarm(clock, () => this.#onTime());
    machine.effects = this;
  }

  /** The current socket. */
  get driver(): Driver | undefined {
    return this.#driver;
  }

  get isOver(): boolean {
    return this.machine.isEnded;
  }

  /** Returns true if sequenced frames have arrived at either side since the last call. */
  hasProgressed(): boolean {
    const { received, output } = this.machine;
    // Both numbers are modulo 2^31. The sum changes if one of them changes.
    const acknowledged = received + output.sent.acknowledged;
    const hasProgressed = acknowledged !== this.#acknowledged;
    this.#acknowledged = acknowledged;
    return hasProgressed;
  }

  /** Lets another socket carry the connection. Frames that still arrive on the former socket are discarded. */
  attach(driver: Driver): void {
    const former = this.#driver;
    this.#driver = driver;
    this.#sockets.add(driver);
    driver.carrier = this;
    // [IC-17.20]
    former?.machine.supersede(this.#clock.now());
    driver.wake();
  }

  /** Ends the connection in order, even without a socket. */
  close(code: number, reason: string, data: Buffer): void {
    if (this.#driver === undefined) this.end(undefined);
    else this.#driver.machine.close(code, reason, data, this.#clock.now());
  }

  /** Ends the connection without a word to the other side: pending calls fail. */
  end(failure: Failure | undefined): void {
    if (this.isOver) return;
    this.machine.fail(failure ?? CLOSED_HERE, false);
    this.#finish(failure);
  }

  // The calls of the machine.

  wake(): void {
    this.#driver?.wake();
  }

  arm(at: number): void {
    this.#alarm.set(at);
  }

  session(machine: SessionMachine): void {
    this.#effects.onSession(machine);
  }

  draining(): void {
    this.#effects.onDraining(this);
  }

  drained(): void {
    // The machine is in the middle of a frame or a flush, so nothing may call it before it returns.
    this.#clock.microtask(() => this.#effects.onDrained(this));
  }

  overload(error: ProtocolError): void {
    const driver = this.#driver;
    if (driver === undefined) this.end(overloadedBy(error));
    else driver.machine.overload(error, this.#clock.now());
  }

  // The events of the sockets.

  onLost(driver: Driver, failure: Failure): void {
    if (driver !== this.#driver) return;
    // [IC-17.15]
    this.#driver = undefined;
    this.machine.detach(failure);
    this.#effects.onLost(this, failure);
  }

  onClosed(driver: Driver, failure: Failure | undefined): void {
    if (driver === this.#driver) this.#finish(failure);
  }

  onSocketClosed(driver: Driver): void {
    this.#sockets.delete(driver);
    if (this.isOver && this.#sockets.size === 0) this.#effects.onGone(this);
  }

  #finish(failure: Failure | undefined): void {
    this.#alarm.end();
    this.#effects.onClosed(this, failure);
    if (this.#sockets.size === 0) this.#effects.onGone(this);
  }

  #onTime(): void {
    // [IC-10.5]
    const next = this.machine.onTime(this.#clock.now());
    if (next !== Infinity) this.#alarm.set(next);
  }
}
