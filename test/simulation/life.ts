/**
 * A random life of one dialer and one listener, made from a seed. Applications and networks act in random order. Then
 * comes a calm, in which everything must come to its end, and then an end, after which nothing may be left. At each
 * step and at the end, the life compares the promises with what each side saw.
 */
export { inMacrotask } from './virtual-node.js';
import { Code } from '../../src/wire/index.js';
import { Random } from '../support/random.js';
import { actions, open as openSession } from './actions.js';
import type { AppSession } from './app-session.js';
import { Calm } from './calm.js';
import type { Delivery } from './delivery.js';
import type { End } from './end.js';
import type { Letter } from './letter.js';
import { randomSettings } from './life-settings.js';
import { expectEnd } from './truth.js';
import type { Network } from './virtual-socket.js';
import { World } from './world.js';

export { ConnectionAudit } from './connection-audit.js';

export class Life {
  readonly world: World;
  readonly random: Random;
  /** Sessions that are neither accepted nor rejected yet. */
  readonly pending: AppSession[] = [];
  /** `running`: messages whose handlers run. `ended`: messages whose handlers have ended. */
  readonly running: Delivery[] = [];
  readonly ended: Delivery[] = [];
  /** How often the network fails. */
  readonly cuts: number;
  /** Whether some messages have several frames. */
  readonly isLarge: boolean;
  readonly hasStreams: boolean;
  readonly #steps: number;
  #isCalm = false;

  constructor(seed: number, onTrace?: (line: string) => void) {
    const random = new Random(seed);
    this.random = random;
    this.cuts = random.pick([0, 0.2, 1, 1, 3]) ?? 1;
    this.#steps = random.integer(4, random.chance(0.1) ? 60 : 24);
    this.isLarge = random.chance(0.3);
    this.hasStreams = random.chance(0.5);
    this.world = new World(random, randomSettings(random));
    this.world.onTrace = onTrace;
    this.world.time.lateness = random.chance(0.2) ? random.pick([1, 30, 400])! : 0;
    this.world.onPending = (session) => this.#onPending(session);
    this.world.onReady = (end) => {
      // Some applications send at once.
      if (random.chance(0.3)) openSession(this, end);
    };
    this.world.onDelivery = (delivery) => this.#onDelivery(delivery);
  }

  /** @throws if a promise is broken. Call it only in a macrotask: see `inMacrotask`. */
  run(): void {
    const { stackTraceLimit } = Error;
    // Lives create many errors whose stacks are not read.
    Error.stackTraceLimit = 0;
    try {
      this.#live();
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  #live(): void {
    const { world } = this;
    const { random } = this;
    // In some lives, the listener becomes reachable later.
    if (random.chance(0.15)) this.#startLate();
    world.connect();
    world.time.endTick();
    for (let left = this.#steps; left > 0 && this.ends.length > 0; left--) {
      world.time.advance(random.pick(PAUSES) ?? 0);
      // In one tick, applications often do several things.
      do this.#act();
      while (random.chance(0.2));
      world.time.endTick();
    }
    const isAbrupt = random.chance(0.2);
    this.#heal();
    if (!isAbrupt) new Calm(this).comeToRest();
    this.#end();
    expectEnd(world);
  }

  get ends(): End[] {
    return this.world.all.filter(({ isClosing, closed }) => !isClosing && closed === undefined);
  }

  /** The sessions of the connections that are neither closed nor closing. */
  get sessions(): AppSession[] {
    return this.ends.flatMap(({ sessions }) => sessions);
  }

  get letters(): readonly Letter[] {
    return this.world.letters;
  }

  /** Ends the handler at this index with a random settlement. */
  settle(at: number): void {
    const [delivery] = this.running.splice(at, 1);
    if (delivery === undefined) return;
    const { random } = this;
    this.ended.push(delivery);
    const limit = delivery.channel.half.machine.peerLimits.maxMessage;
    const size = this.isLarge
      ? random.pick([0, 10, 5000, 8193, random.integer(0, limit), limit + 1])!
      : random.pick([0, 3, 200])!;
    delivery.settle(random.chance(0.3) ? random.pick(CODES) : undefined, this.bytes(size));
  }

  /** Random items for a stream. */
  items(limit: number): Buffer[] {
    const { random, isLarge } = this;
    return Array.from({ length: random.pick([0, 2, 9, 15])! }, () => {
      const large = random.pick([5000, 8193, limit, random.chance(0.05) ? limit + 1 : limit])!;
      return this.bytes(isLarge && random.chance(0.3) ? large : random.pick([0, 10, 10, 100])!);
    });
  }

  decide(session: AppSession | undefined): void {
    if (session === undefined) return;
    if (this.random.chance(0.85)) session.accept(this.bytes(this.random.integer(0, 40)));
    else session.reject();
  }

  /** Octets that differ from place to place. They are a part of a common pool, so they cost nothing. */
  bytes(size: number): Buffer {
    const from = this.random.integer(0, POOL.length - size);
    return POOL.subarray(from, from + size);
  }

  #act(): void {
    let chance = this.random.next() * TOTAL_WEIGHT;
    for (const action of actions) {
      chance -= action.weight;
      if (chance < 0) {
        this.world.trace(`- ${action.name}`);
        return action.run(this);
      }
    }
  }

  #startLate(): void {
    const { random, world } = this;
    world.reach = random.chance(0.8) ? 'refused' : 'silent';
    world.time.after(random.pick([20, 300, 2000])!, () => (world.reach = 'reached'));
  }

  #onPending(session: AppSession): void {
    const { random } = this;
    if (random.chance(0.6) || this.#isCalm) return this.decide(session);
    this.pending.push(session);
  }

  #onDelivery(delivery: Delivery): void {
    this.running.push(delivery);
    const { random, world } = this;
    delivery.reads = random.chance(0.7);
    delivery.read(random.integer(0, 2));
    if (this.hasStreams && !delivery.incoming.oneWay && random.chance(0.4)) {
      return delivery.stream(
        this.items(delivery.channel.half.machine.peerLimits.maxMessage),
        () => {
          const at = this.running.indexOf(delivery);
          if (at < 0) return;
          delivery.hasReplied = true;
          this.settle(at);
        },
      );
    }
    if (random.chance(0.4)) return this.settle(this.running.length - 1);
    if (random.chance(0.3)) return;
    // Some handlers end later.
    world.time.after(random.pick([1, 20, 300])!, () => {
      const at = this.running.indexOf(delivery);
      if (at >= 0) this.settle(at);
    });
  }

  /** From now on, the network works, and applications read. */
  #heal(): void {
    const { world } = this;
    world.reach = 'reached';
    world.network = { ...QUIET, latency: () => 1 };
    this.#isCalm = true;
    world.trace('- calm');
    for (const link of world.links) {
      for (const side of [0, 1]) {
        link.socket(side).setReading(true);
        link.socket(side).setBlocked(false);
      }
    }
    world.time.endTick();
  }

  #end(): void {
    const { world, random } = this;
    const who = random.pick(['dialer', 'listener', 'both'] as const)!;
    world.trace(`- close by ${who}`);
    if (who !== 'listener') world.dialer.close('closed');
    if (who !== 'dialer') for (const end of world.ends) end.close('closed');
    world.time.endTick();
    if (who === 'listener') {
      world.time.advance(20);
      world.dialer.close('closed');
      world.time.endTick();
    }
    // Each kernel gives up a dead socket after some time.
    for (const link of world.links) {
      for (const side of [0, 1])
        if (link.isCut) world.time.after(7000, () => link.socket(side).reset());
    }
    const sockets = world.links.flatMap((link) => [link.socket(0), link.socket(1)]);
    const isLeft = (): boolean =>
      world.all.some(({ isGone }) => !isGone) ||
      sockets.some(({ isUsed, destroyed }) => isUsed && !destroyed);
    // Wait no longer than necessary. A timer that is left over would have fired by then.
    for (let waited = 0; waited < MOST_WAITED && isLeft();) {
      const step = waited < 1000 ? 5 : 500;
      world.time.advance(step);
      waited += step;
    }
    for (const letter of this.letters) letter.read(Infinity);
    while (this.running.length > 0) this.settle(0);
    while (this.pending.length > 0) this.decide(this.pending.shift());
    world.time.endTick();
  }
}

/** The codes of the handlers' rejections. DEADLINE and 0xc001 have a meaning for the library too. */
const CODES = [Code.FAILED, Code.FAILED, Code.REFUSED, Code.DEADLINE, 0x8001, 0xc001];

const QUIET: Network = {
  latency: () => 1,
  chunk: (available) => available,
  capacity: Infinity,
  room: Infinity,
  takesAtOnce: true,
};

const POOL = new Random(1).bytes(400_000);
const PAUSES = [0, 0, 1, 3, 10, 40, 150, 700];
/** Milliseconds within which all ends must be gone. The last end waits for a dialer that does not come back. */
const MOST_WAITED = 200_000;
const TOTAL_WEIGHT = actions.reduce((sum, { weight }) => sum + weight, 0);
