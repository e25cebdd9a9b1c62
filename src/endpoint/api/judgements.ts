/**
 * Has the application judge dialers, at most a given number at once. The others wait in the order in which they came, and the
 * addresses take turns. An address whose dialers were refused too often is refused without a judgement.
 */
import type { Clock } from '../common/clock.js';
import type { AddressGroup } from '../socket/places.js';
import type { Handshake } from './handshake.js';

/** The settings for the judgements of one listener. */
export interface JudgementSettings {
  /** How many judgements run at once. */
  readonly maxAuthenticating: number;
  /** Milliseconds after which a judgement that does not end no longer counts as running. */
  readonly handshakeTimeout: number;
  readonly clock: Clock;
}

/** The calls of the judgements to their listener. */
export interface JudgementEffects {
  /** Asks the application. The promise settles when the application's function has ended. */
  judge(handshake: Handshake): Promise<unknown>;
  /** The dialer is not judged, because dialers of its address were refused too often. */
  onThrottled(handshake: Handshake): void;
}

export class Judgements {
  readonly #settings: JudgementSettings;
  readonly #effects: JudgementEffects;
  /** The addresses with judgements that wait or run. */
  readonly #lanes = new Map<AddressGroup | undefined, Lane>();
  /** The lanes that may have a turn, in the order of their turns. */
  readonly #ready = new Set<Lane>();
  #running = 0;

  constructor(settings: JudgementSettings, effects: JudgementEffects) {
    this.#settings = settings;
    this.#effects = effects;
  }

  /** `group`: the address that a refusal counts for; undefined if it counts for none. */
  add(handshake: Handshake, group: AddressGroup | undefined): void {
    const lane = this.#laneOf(group);
    lane.waiting.add(handshake);
    handshake.onRefused = () => void group?.refusals.take(this.#settings.clock.now());
    handshake.onSettled = () => {
      // A dialer that has gone is not judged.
      if (lane.waiting.delete(handshake)) this.#clear(lane);
    };
    if (this.#isThrottled(lane)) return this.#throttle(lane);
    this.#ready.add(lane);
    this.#pump();
  }

  #pump(): void {
    for (const lane of this.#ready) {
      const room = this.#roomOf(lane);
      if (this.#isThrottled(lane)) this.#throttle(lane);
      else if (room > 0 && this.#running >= this.#settings.maxAuthenticating) return;
      // Behind the other lanes, or until a judgement of this lane has ended.
      this.#ready.delete(lane);
      const [next] = lane.waiting;
      if (next === undefined || room === 0) continue;
      lane.waiting.delete(next);
      if (lane.waiting.size > 0) this.#ready.add(lane);
      this.#start(lane, next);
    }
  }

  #start(lane: Lane, handshake: Handshake): void {
    const { clock, handshakeTimeout } = this.#settings;
    this.#running += 1;
    lane.running += 1;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      stopTimer();
      this.#running -= 1;
      lane.running -= 1;
      if (lane.waiting.size > 0) this.#ready.add(lane);
      this.#clear(lane);
      this.#pump();
    };
    const stopTimer = clock.setTimer(handshakeTimeout, end);
    // The application may decide before its function ends, or after it.
    void Promise.all([this.#effects.judge(handshake), handshake.settled]).then(end);
  }

  /** How many more judgements of a lane may run now. An address without a recent refusal has no limit of its own. */
  #roomOf({ group, running }: Lane): number {
    if (group === undefined) return Infinity;
    const now = this.#settings.clock.now();
    if (group.refusals.isFull(now)) return Infinity;
    return Math.max(0, Math.floor(group.refusals.level(now)) - running);
  }

  #isThrottled(lane: Lane): boolean {
    return lane.running === 0 && this.#roomOf(lane) === 0;
  }

  #throttle(lane: Lane): void {
    for (const handshake of lane.waiting) this.#effects.onThrottled(handshake);
  }

  #laneOf(group: AddressGroup | undefined): Lane {
    let lane = this.#lanes.get(group);
    if (lane === undefined) {
      lane = { group, waiting: new Set(), running: 0 };
      this.#lanes.set(group, lane);
    }
    return lane;
  }

  #clear(lane: Lane): void {
    if (lane.running > 0 || lane.waiting.size > 0) return;
    this.#ready.delete(lane);
    this.#lanes.delete(lane.group);
  }
}

/** The judgements of one address. */
interface Lane {
  readonly group: AddressGroup | undefined;
  readonly waiting: Set<Handshake>;
  running: number;
}
