/**
 * The places of a listener: every socket takes one, from its arrival until it is gone. Places are counted in all and by
 * address, so that one address can neither use up all places nor occupy this side with handshakes.
 *
 *     unfinished ──connection established──► unused ──a session──► used
 *
 * If no place is left, a newcomer gets the place of a socket that has been of no use so far: of the address that has most
 * of them, or of the newcomer's own address if that is at its limit. A connection with a session never gives way.
 */
import { TokenBucket } from '../../protocol/index.js';
import { groupOf, LOOPBACK } from '../common/address-group.js';
import { Ranking } from '../common/ranking.js';
import type { DropReason } from './stranger.js';

/** The limits of each address, with every default filled in. */
export interface AddressSettings {
  readonly connections: number;
  readonly handshakes: number;
  readonly handshakesPerMinute: number;
  readonly refusalsPerMinute: number;
  /** Returns the group in which an address is counted; undefined: in none. */
  readonly groupOf: ((address: string) => string | undefined) | undefined;
}

export class Places {
  readonly #most: number;
  readonly #settings: AddressSettings;
  readonly #groups = new Map<string, AddressGroup>();
  /** The groups without a place, the one that has been without for the longest first. */
  readonly #absent = new Set<AddressGroup>();
  /** The groups by the number of their places that can be taken away. */
  readonly #ranking = new Ranking<AddressGroup>();
  #size = 0;

  constructor(most: number, settings: AddressSettings) {
    this.#most = most;
    this.#settings = settings;
  }

  /** How many places are taken. */
  get size(): number {
    return this.#size;
  }

  /**
   * Takes a place. `address` is `undefined` if it is not known yet (`locate` follows), or at a Unix socket. Returns the
   * reason if there is no place.
   */
  take(address: string | undefined, now: number): Place | DropReason {
    const group = this.#groupFor(address, now);
    const reason = this.#refusalIn(group, now);
    if (reason !== undefined) {
      this.#settle(group);
      return reason;
    }
    while (this.#size >= this.#most) {
      const largest = this.#ranking.largest;
      if (largest !== undefined) this.#makeRoom(largest, now);
      else {
        this.#settle(group);
        return 'connections';
      }
    }
    this.#size += 1;
    const place = new Place(this, group, now);
    this.#enter(place);
    return place;
  }

  /** A PROXY header has named the address. Returns the reason if that address may have no further place. */
  locate(place: Place, address: string | undefined, now: number): DropReason | undefined {
    this.#leaveGroup(place);
    const group = this.#groupFor(address, now);
    const reason = this.#refusalIn(group, now);
    place.group = group;
    this.#enter(place);
    return reason;
  }

  /** The connection of the socket is established. */
  establish(place: Place): void {
    if (place.stage !== 'unfinished') return;
    place.group.unfinished.delete(place);
    place.stage = 'unused';
    place.group.unused.add(place);
  }

  leave(place: Place): void {
    this.#size -= 1;
    this.#leaveGroup(place);
  }

  #leaveGroup(place: Place): void {
    const { group } = place;
    group.size -= 1;
    group.setOf(place.stage)?.delete(place);
    if (place.stage !== 'used') this.#ranking.shrink(group);
    this.#settle(group);
  }

  #enter(place: Place): void {
    const { group } = place;
    group.size += 1;
    // To make room may have forgotten the group meanwhile.
    this.#groups.set(group.key, group);
    this.#absent.delete(group);
    group.setOf(place.stage)?.add(place);
    if (place.stage !== 'used') this.#ranking.grow(group);
  }

  #groupFor(address: string | undefined, now: number): AddressGroup {
    const own = this.#settings.groupOf;
    const name = own === undefined || address === undefined ? groupOf(address) : own(address);
    const key = name ?? '';
    let group = this.#groups.get(key);
    if (group === undefined) {
      // This machine's own processes share one address, and so do all peers of a proxy that runs on it.
      const isCounted = name !== undefined && (own !== undefined || name !== LOOPBACK);
      group = new AddressGroup(key, isCounted, name !== undefined, this.#settings, now);
      this.#groups.set(key, group);
    }
    return group;
  }

  /** Returns the reason why a group may have no further place. Takes a place away from the group if that helps. */
  #refusalIn(group: AddressGroup, now: number): DropReason | undefined {
    if (!group.isCounted) return undefined;
    if (!group.handshakes.take(now)) return 'rate';
    const { unfinished } = group;
    if (unfinished.size >= this.#settings.handshakes) {
      const [oldest] = unfinished;
      if (oldest === undefined || now - oldest.since < GRACE) return 'handshakes';
      oldest.giveWay();
    }
    if (group.size < this.#settings.connections || this.#makeRoom(group, now)) return undefined;
    return 'address';
  }

  /** Takes the least useful place of a group away. Returns false if all of them are of use. */
  #makeRoom(group: AddressGroup, now: number): boolean {
    const [waiting] = group.unfinished;
    const isSlow = waiting !== undefined && now - waiting.since >= GRACE;
    const place = isSlow ? waiting : (this.#unusedOf(group) ?? waiting);
    place?.giveWay();
    return place !== undefined;
  }

  /** Returns the oldest connection that has been of no use. Each that has been of use is passed over once only. */
  #unusedOf(group: AddressGroup): Place | undefined {
    for (const place of group.unused) {
      if (!place.isOfUse()) return place;
      group.unused.delete(place);
      place.stage = 'used';
      this.#ranking.shrink(group);
    }
    return undefined;
  }

  /**
   * Remembers a group that has no place any more, and forgets the one that has been without for the longest. A judgement
   * may still run for a socket that is gone.
   */
  #settle(group: AddressGroup): void {
    if (group.size > 0) return;
    this.#absent.delete(group);
    this.#absent.add(group);
    if (this.#absent.size <= MOST_ABSENT) return;
    const [oldest] = this.#absent;
    if (oldest !== undefined) this.#forget(oldest);
  }

  #forget(group: AddressGroup): void {
    this.#absent.delete(group);
    this.#groups.delete(group.key);
  }
}

/** All sockets of one address, or of one network of IPv6. */
export class AddressGroup {
  readonly key: string;
  /** Whether the limits of an address apply. */
  readonly isCounted: boolean;
  /** Whether refusals by the application are counted. */
  readonly isJudged: boolean;
  readonly unfinished = new Set<Place>();
  readonly unused = new Set<Place>();
  readonly handshakes: TokenBucket;
  readonly refusals: TokenBucket;
  /** All places of the group. */
  size = 0;

  constructor(
    key: string,
    isCounted: boolean,
    isJudged: boolean,
    { handshakesPerMinute, refusalsPerMinute }: AddressSettings,
    now: number,
  ) {
    this.key = key;
    this.isCounted = isCounted;
    this.isJudged = isJudged;
    this.handshakes = new TokenBucket(handshakesPerMinute, handshakesPerMinute / 60, now);
    this.refusals = new TokenBucket(refusalsPerMinute, refusalsPerMinute / 60, now);
  }

  setOf(stage: Stage): Set<Place> | undefined {
    return stage === 'used' ? undefined : this[stage];
  }
}

type Stage = 'unfinished' | 'unused' | 'used';

/** The place of one socket. */
export class Place {
  group: AddressGroup;
  stage: Stage = 'unfinished';
  /** When the socket came. */
  readonly since: number;
  readonly #places: Places;
  #isTaken = true;
  /** Ends the socket, because a newcomer gets its place. */
  onGiveWay: () => void = () => undefined;
  /** Whether the connection has ever had a session. */
  isOfUse: () => boolean = () => false;

  constructor(places: Places, group: AddressGroup, now: number) {
    this.#places = places;
    this.group = group;
    this.since = now;
  }

  /** A PROXY header has named the peer's address. Returns the reason if that address may have no further place. */
  locate(address: string | undefined, now: number): DropReason | undefined {
    return this.#isTaken ? this.#places.locate(this, address, now) : undefined;
  }

  /** The connection of the socket is established. */
  established(): void {
    if (this.#isTaken) this.#places.establish(this);
  }

  /** The socket is gone. */
  leave(): void {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    this.#places.leave(this);
  }

  /** A newcomer gets the place: ends the socket. */
  giveWay(): void {
    this.leave();
    this.onGiveWay();
  }
}

/** Milliseconds that a handshake may take before it gives way. */
const GRACE = 1000;
/** How many addresses without a socket are remembered. */
const MOST_ABSENT = 10_000;
