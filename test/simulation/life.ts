/**
 * A random life of one dialer and one listener, from a seed: what applications do and what networks do, in any
 * order; then a calm in which everything must come to its end, and an end after which nothing is left. What is
 * promised is held against what each side saw, at every step and afterwards.
 */
import type { ConnectionMachine, FailureKind, Limits } from '../../src/protocol/index.js';
import { Code, MAX_ID } from '../../src/wire/index.js';
import { Random } from '../support/random.js';
import { actions, open as openSession } from './actions.js';
import { type AppSession, Attempt, type Channel, type Delivery, Letter } from './application.js';
import type { End } from './end.js';
import type { Network } from './virtual-socket.js';
import { World, type WorldSettings } from './world.js';

export { ConnectionAudit } from './connection-audit.js';

export class Life {
  readonly world: World;
  readonly random: Random;
  /** Sessions that wait to be accepted. */
  readonly pending: AppSession[] = [];
  /** Messages whose handlers run, and those that have ended. */
  readonly running: Delivery[] = [];
  readonly ended: Delivery[] = [];
  /** How much the network misbehaves. */
  readonly cuts: number;
  readonly #steps: number;
  #isCalm = false;

  constructor(seed: number, onTrace?: (line: string) => void) {
    const random = new Random(seed);
    this.random = random;
    this.cuts = random.pick([0, 0.2, 1, 1, 3]) ?? 1;
    this.#steps = random.integer(4, random.chance(0.1) ? 60 : 24);
    const { isLarge, settings } = this.#settings();
    this.isLarge = isLarge;
    this.hasStreams = random.chance(0.5);
    this.world = new World(random, settings);
    this.world.onTrace = onTrace;
    this.world.time.lateness = random.chance(0.2) ? random.pick([1, 30, 400])! : 0;
    this.world.onPending = (session) => this.#onPending(session);
    this.world.onReady = (end) => {
      // Applications that have much to say do so at once.
      if (random.chance(0.3)) openSession(this, end);
    };
    this.world.onDelivery = (delivery) => this.#onDelivery(delivery);
  }

  /** Whether messages of many frames are among those that are sent. */
  readonly isLarge: boolean;
  readonly hasStreams: boolean;

  /** @throws where a promise is broken. */
  run(): void {
    const { world } = this;
    world.time.own(() => {
      world.connect();
      world.time.endTick();
      for (let left = this.#steps; left > 0; left--) {
        this.#wait(this.random.pick(PAUSES) ?? 0);
        this.#act();
        world.time.endTick();
      }
      const isAbrupt = this.random.chance(0.2);
      this.#heal();
      if (!isAbrupt) this.#comeToRest();
      this.#end();
      this.#expectEnd();
    });
  }

  get ends(): End[] {
    return this.world.all.filter(({ isClosing, closed }) => !isClosing && closed === undefined);
  }

  /** Those of which the application holds on to a connection. */
  get sessions(): AppSession[] {
    return this.ends.flatMap(({ sessions }) => sessions);
  }

  get letters(): readonly Letter[] {
    return this.world.letters;
  }

  /** The handler at this place ends, somehow. */
  settle(at: number): void {
    const [delivery] = this.running.splice(at, 1);
    if (delivery === undefined) return;
    const { random } = this;
    this.ended.push(delivery);
    const limit = delivery.channel.half.machine.peer.maxMessage;
    const size = this.isLarge
      ? random.pick([0, 10, 5000, 8193, random.integer(0, limit), limit + 1])!
      : random.pick([0, 3, 200])!;
    delivery.settle(random.chance(0.3) ? 'rejected' : 'accepted', this.bytes(size));
  }

  /** The items of a stream. */
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

  /** Octets that differ from place to place, at no cost. */
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

  #wait(milliseconds: number): void {
    this.world.time.advance(milliseconds);
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
      return delivery.stream(this.items(delivery.channel.half.machine.peer.maxMessage), () => {
        const at = this.running.indexOf(delivery);
        if (at < 0) return;
        delivery.hasReplied = true;
        this.settle(at);
      });
    }
    if (random.chance(0.4)) return this.settle(this.running.length - 1);
    if (random.chance(0.3)) return;
    // A handler that takes its time.
    world.time.after(random.pick([1, 20, 300])!, () => {
      const at = this.running.indexOf(delivery);
      if (at >= 0) this.settle(at);
    });
  }

  /** From here on networks work, and applications read. */
  #heal(): void {
    const { world } = this;
    world.isDown = false;
    world.network = { ...QUIET, latency: () => 1 };
    this.#isCalm = true;
    world.trace('- calm');
    for (const link of world.links) {
      for (const side of [0, 1]) link.socket(side).setReading(true);
    }
    world.time.endTick();
  }

  /** Everything is decided and settled, however long the networks need for it. */
  #comeToRest(): void {
    const { world } = this;
    const end = world.now() + PATIENCE;
    for (let quiet = 0; quiet < 3; quiet++) {
      if (this.pending.length + this.running.length > 0) quiet = 0;
      while (this.pending.length > 0) this.decide(this.pending.shift());
      this.#readAll();
      const left = this.running.filter((each) => !this.#mustFlow(each) && !this.#mustLearn(each));
      for (const delivery of left) this.settle(this.running.indexOf(delivery));
      world.time.endTick();
      this.#makeRoom();
      this.#wait(120);
      if (!this.#isAtRest()) quiet = 0;
      if (world.now() > end) this.#reportStuck();
    }
    this.#expectEmpty();
  }

  /** Sessions that wait because the other side allows no more get their turn when others end. */
  #makeRoom(): void {
    for (const { isDetached, sessions, half } of this.ends) {
      if (isDetached || !sessions.some(isWaiting)) continue;
      const own = sessions.filter(({ byPeer, channel: { machine, closed } }) => {
        return !byPeer && machine.id !== 0 && closed === undefined;
      });
      if (own.length >= half.machine.peer.sessions) own.find(({ isOpen }) => isOpen)?.close();
    }
  }

  /**
   * Whether a stream of it must come to its end by itself. Large items may stand in each other's way where little
   * memory is given, until a handler gives up.
   */
  #mustFlow(delivery: Delivery): boolean {
    const { attempt, channel } = delivery;
    const isWaited = attempt.letter.result === undefined && attempt.letter.last === attempt;
    return !this.isLarge && isWaited && this.#isHealthy(channel.half.end) && isFlowing(delivery);
  }

  /** Whether its handler is to be told by itself that its sender has given it up. */
  #mustLearn({ attempt, channel, incoming, aborted }: Delivery): boolean {
    const { result, oneWay, last } = attempt.letter;
    const isGivenUp = result?.kind === 'failed' && GIVEN_UP.has(result.failure.kind);
    const isTold = incoming.state !== 'dispatched' || aborted !== undefined;
    if (!isGivenUp || oneWay || isTold || last !== attempt) return false;
    return this.#isHealthy(channel.half.end);
  }

  #isAtRest(): boolean {
    const { world } = this;
    if (this.pending.length + this.running.length > 0 || this.#stuck() !== undefined) return false;
    for (const end of world.all) {
      if (end.closed !== undefined || !this.#isHealthy(end)) continue;
      if (end.isDetached || end.sessions.some(isWaiting)) return false;
      for (const { machine, isOver } of end.halves) {
        if (isOver) continue;
        if (!machine.output.isEmpty || !machine.output.sent.isEmpty) return false;
      }
    }
    return true;
  }

  /** Whether it has another side that comes back to it. */
  #isHealthy({ role, half: { bond } }: End): boolean {
    const { dialer } = this.world;
    if (role === 'dialer') return true;
    if (dialer.closed !== undefined || bond?.dialer === undefined) return false;
    return bond.doom === undefined && !bond.isLeftBehind;
  }

  /** A letter without outcome, though there is somebody to give it one. */
  #stuck(): Letter | undefined {
    return this.letters.find(
      ({ result, last }) => result === undefined && this.#isHealthy(last.channel.half.end),
    );
  }

  #reportStuck(): void {
    const letter = this.#stuck();
    if (letter !== undefined) {
      throw new Error(
        `${letter.name} is stuck: ${letter.last.state}, ${letter.deliveries.length} handlers.`,
      );
    }
    const ends = this.world.all.map(({ role, isDetached, closed, half }) => {
      const { output } = half.machine;
      return `${role} ${closed ? 'closed' : isDetached ? 'detached' : 'attached'} ${output.isEmpty} ${output.sent.isEmpty}`;
    });
    throw new Error(`There is no rest: ${ends.join('; ')}.`);
  }

  /** Everything that can come of all streams is taken from here on. */
  #readAll(): void {
    for (const letter of this.letters) {
      letter.reads = true;
      for (const attempt of letter.attempts) attempt.read();
    }
    for (const delivery of this.running) {
      delivery.reads = true;
      delivery.read();
    }
    this.world.time.endTick();
  }

  /** Nothing is counted as held, queued or open any more. */
  #expectEmpty(): void {
    for (const end of this.world.all) {
      const { role, halves, closed } = end;
      if (closed !== undefined || !this.#isHealthy(end)) continue;
      for (const { machine, peer, channels, isOver, bond } of halves) {
        if (isOver || peer === undefined || peer.isOver || bond?.doom !== undefined) continue;
        const { held } = machine.receiveWindow;
        if (held !== 0) throw new Error(`The ${role} still holds ${held} octets.`);
        for (const channel of channels) this.#expectSessionEmpty(role, channel.machine);
        this.#expectQueueEmpty(role, machine, channels[0]);
      }
    }
    for (const letter of this.letters) {
      const { result, oneWay, last, deliveries, deadline } = letter;
      if (!oneWay || result?.kind !== 'sent' || deliveries.length > 0) continue;
      const peer = last.channel.peer;
      const expected =
        peer !== undefined &&
        peer.closed === undefined &&
        !this.#isDraining(last.channel.half.peer?.end);
      const timedOut = deadline !== Infinity || letter.isCancelled;
      const fits = letter.payload.length <= last.channel.half.machine.peer.maxMessage;
      const { bond } = last.channel.half;
      const isWhole = bond?.doom === undefined && bond?.listener.isOver === false;
      if (expected && !timedOut && fits && isWhole) {
        throw new Error(`${letter.name} was sent, and is lost.`);
      }
    }
  }

  /** A message as large as the whole queue fits, and after it no octet. */
  #expectQueueEmpty(role: string, machine: ConnectionMachine, channel: Channel | undefined): void {
    if (channel === undefined) return;
    const [whole, more] = [QUEUE_BYTES, 1].map(
      (size) => new Attempt(new Letter(channel.session, Buffer.alloc(size), {}), channel),
    );
    this.world.letters.length -= 2;
    const fits = machine.enqueue(whole!) === undefined;
    if (!fits || machine.enqueue(more!) === undefined) {
      throw new Error(`The queue of the ${role} is not counted right.`);
    }
    machine.dequeue(whole!);
  }

  #isDraining(end: End | undefined): boolean {
    return end?.half.machine.drains === true;
  }

  #expectSessionEmpty(role: string, machine: AppSession['channel']['machine']): void {
    if (machine.state.kind === 'closed') return;
    const { sender, receiver } = machine;
    const counts = [sender.unsettled, receiver?.unsettled ?? 0, receiver?.window.held ?? 0];
    if (counts.some((count) => count !== 0)) {
      throw new Error(`Session ${machine.id} of the ${role} still has ${counts.join()}.`);
    }
  }

  #end(): void {
    const { world, random } = this;
    const who = random.pick(['dialer', 'listener', 'both'] as const)!;
    world.trace(`- close by ${who}`);
    if (who !== 'listener') world.close('closed');
    if (who !== 'dialer') for (const end of world.ends) end.close('closed');
    world.time.endTick();
    if (who === 'listener') {
      this.#wait(20);
      world.close('closed');
      world.time.endTick();
    }
    // Even a kernel gives a socket up some time, where nobody asked it to look.
    for (const link of world.links) {
      for (const side of [0, 1])
        if (link.isCut) world.time.after(7000, () => link.socket(side).reset());
    }
    const sockets = world.links.flatMap((link) => [link.socket(0), link.socket(1)]);
    const isLeft = (): boolean =>
      world.all.some(({ isGone }) => !isGone) ||
      sockets.some(({ isUsed, destroyed }) => isUsed && !destroyed);
    // Not longer than it takes: a timer that is left would have fired by then.
    for (let waited = 0; waited < MOST_WAITED && isLeft();) {
      const step = waited < 1000 ? 5 : 500;
      this.#wait(step);
      waited += step;
    }
    while (this.running.length > 0) this.settle(0);
    while (this.pending.length > 0) this.decide(this.pending.shift());
    world.time.endTick();
  }

  #expectEnd(): void {
    const { world } = this;
    for (const letter of this.letters) {
      this.#expectTruth(letter);
      for (const attempt of letter.attempts) expectItems(letter, attempt);
    }
    for (const end of world.all) {
      if (end.closed === undefined) throw new Error(`A ${end.role} is not closed.`);
      if (!end.isGone) throw new Error(`A ${end.role} is not gone.`);
      for (const { channels } of end.halves) {
        const open = channels.find(({ closed }) => closed === undefined);
        if (open !== undefined) throw new Error(`"${open.session.name}" is not closed.`);
      }
    }
    if (world.time.timers > 0) throw new Error(`${world.time.timers} timers are left.`);
    for (const link of world.links) {
      for (const side of [0, 1]) {
        if (!link.socket(side).destroyed && !link.isCut)
          throw new Error(
            `Socket ${world.links.indexOf(link) + 1} is left, at the ${side === 0 ? 'dialer' : 'listener'}.`,
          );
      }
    }
  }

  /** What the sender was told is what happened. */
  #expectTruth(letter: Letter): void {
    const { result, name, deliveries } = letter;
    if (result === undefined) throw new Error(`${name} is pending for ever.`);
    const delivery = deliveries.at(-1);
    if (delivery !== undefined && saysNotExecuted(letter)) {
      throw new Error(`${name} ran, and says: ${letter.outcome}.`);
    }
    if (result.kind === 'failed') {
      if (result.failure.executed === 'yes' && delivery === undefined) {
        throw new Error(`${name} did not run, and says: ${letter.outcome}.`);
      }
      return;
    }
    if (result.kind === 'sent') return;
    const fromHandler = result.kind === 'accepted' || result.meta.code === Code.FAILED;
    if (!fromHandler) return;
    if (`${result.kind} ${result.data.toString('latin1')}` !== delivery?.answer) {
      throw new Error(`${name} has an outcome that its handler did not give: ${letter.outcome}.`);
    }
  }

  #settings(): { readonly isLarge: boolean; readonly settings: WorldSettings } {
    const { random } = this;
    const isLarge = random.chance(0.3);
    const slow = random.pick([0, 1, 10, 60])!;
    const largest = random.pick([1, 40, 1500, 70_000])!;
    const network: Network = {
      latency: () => random.next() * slow,
      chunk: (available) =>
        // One octet at a time is slow where there is much.
        largest < 1500 && available > 400
          ? random.integer(1, available)
          : random.integer(1, largest),
      capacity: random.pick([2000, 20_000, Infinity])!,
      room: random.pick([1, 5000, Infinity, Infinity])!,
      takesAtOnce: random.chance(0.5),
    };
    const settings: WorldSettings = {
      network,
      dialer: { limits: this.#limits(), queue: this.#queue() },
      listener: { limits: this.#limits(), queue: this.#queue() },
      resumeTimeout: random.chance(0.15) ? random.integer(20, 3000) : 100_000,
      handshakeTimeout: 5000,
      // Now and then, ids come round.
      lastId: random.chance(0.1) ? MAX_ID - random.integer(0, 5) : 0,
      pause: () => random.integer(0, 60),
      judging: () => (random.chance(0.8) ? 0 : random.integer(1, 40)),
    };
    return { isLarge, settings };
  }

  #limits(): Partial<Limits> {
    const { random } = this;
    const maxFrame = 16_384;
    const maxMessage = random.pick([1000, 9000, 30_000])!;
    return {
      maxFrame,
      items: random.integer(1, 6),
      maxMeta: 2048,
      maxMessage,
      idle: random.pick([0, 900, 5000])!,
      sessions: random.integer(1, 5),
      messages: random.integer(1, 6),
      sessionBytes: random.pick([22_000, 65_536])!,
      connectionBytes: maxMessage + maxFrame * random.integer(2, 6),
    };
  }

  #queue(): { messages: number; bytes: number } {
    return { messages: this.random.pick([4, 1000])!, bytes: QUEUE_BYTES };
  }
}

/** Whether it waits for the other side to allow one more. */
function isWaiting({ channel: { machine, closed } }: AppSession): boolean {
  return machine.id === 0 && closed === undefined;
}

/** Whether a stream of it goes on. */
function isFlowing({ incoming, attempt, aborted, ...delivery }: Delivery): boolean {
  if (incoming.state !== 'dispatched' || aborted !== undefined) return false;
  if (delivery.isStreaming && !delivery.hasReplied) return true;
  const { endsItems } = attempt.letter.options;
  return incoming.requestItems !== undefined && !delivery.hasAllItems && endsItems !== false;
}

function saysNotExecuted(letter: Letter): boolean {
  const { result } = letter;
  if (result?.kind === 'failed') return result.failure.executed === 'no';
  if (letter.mayHaveRun) return false;
  return result?.kind === 'rejected' && NOT_EXECUTED.has(result.meta.code ?? Code.OK);
}

/** Whatever was taken is what was given, in its order and from the first; and all of it where it ended. */
function expectItems({ name, result, options, last }: Letter, attempt: Attempt): void {
  attempt.read();
  const { delivery } = attempt;
  const isAccepted = result?.kind === 'accepted' && attempt === last;
  const hasAnswer = isAccepted && options.takesItems === true;
  for (const [which, taken, given, isWhole] of [
    ['request', delivery?.items ?? [], options.items ?? [], delivery?.hasAllItems === true],
    ['answer', attempt.items, delivery?.replies ?? [], delivery?.hasReplied === true && hasAnswer],
  ] as const) {
    if (taken.some((item, at) => given[at]?.equals(item) !== true)) {
      throw new Error(`${name} has an item in its ${which} that is not the one given.`);
    }
    if (isWhole && taken.length < given.length) {
      throw new Error(`${name} has ${taken.length} of ${given.length} items in its ${which}.`);
    }
  }
}

/** Codes with which the library rejects what never ran. */
const NOT_EXECUTED: ReadonlySet<number> = new Set([
  Code.BUSY,
  Code.EXPIRED,
  Code.CANCELLED,
  Code.SESSION_CLOSED,
  Code.TOO_LARGE,
]);

const GIVEN_UP: ReadonlySet<FailureKind> = new Set([
  'timeout',
  'session-timeout',
  'cancelled',
  'unexpected-stream',
]);

const QUIET: Network = {
  latency: () => 1,
  chunk: (available) => available,
  capacity: Infinity,
  room: Infinity,
  takesAtOnce: true,
};

const QUEUE_BYTES = 400_000;
const POOL = new Random(1).bytes(400_000);
const PAUSES = [0, 0, 1, 3, 10, 40, 150, 700];
/** Milliseconds in which everything comes to its end once nothing disturbs it any more. */
const PATIENCE = 30_000;
/** And in which the last of all ends is gone, which waits for a dialer that does not come. */
const MOST_WAITED = 200_000;
const TOTAL_WEIGHT = actions.reduce((sum, { weight }) => sum + weight, 0);
