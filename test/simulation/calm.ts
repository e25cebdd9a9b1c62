/**
 * The calm at the end of a life: networks work, and applications read and settle. Each message and session must come
 * to its end without further help. Afterwards, no counter may still count anything as held, queued, open or charged.
 */
import { ControlUnit } from '../../src/protocol/output/unit.js';
import type { ConnectionMachine, FailureKind } from '../../src/protocol/index.js';
import { FrameType, EMPTY } from '../../src/wire/index.js';
import type { AppSession, Channel } from './app-session.js';
import type { Direction } from './connection-audit.js';
import type { Delivery } from './delivery.js';
import type { End, Half } from './end.js';
import type { Letter } from './letter.js';
import type { Life } from './life.js';
import { QUEUE_BYTES } from './life-settings.js';

export class Calm {
  readonly #life: Life;

  constructor(life: Life) {
    this.#life = life;
  }

  /** Decides about each session and settles each message, until networks and applications are at rest. */
  comeToRest(): void {
    const { world, pending, running } = this.#life;
    const end = world.now() + PATIENCE;
    for (let quiet = 0; quiet < 3; quiet++) {
      if (pending.length + running.length > 0) quiet = 0;
      while (pending.length > 0) this.#life.decide(pending.shift());
      this.#readAll();
      const left = running.filter((each) => !this.#mustFlow(each) && !this.#mustLearn(each));
      for (const delivery of left) this.#life.settle(running.indexOf(delivery));
      world.time.endTick();
      this.#makeRoom();
      world.time.advance(120);
      if (!this.#isAtRest()) quiet = 0;
      if (world.now() > end) this.#reportStuck();
    }
    this.#expectEmpty();
  }

  /** Closes a session if others wait for room under the other side's limit of sessions. */
  #makeRoom(): void {
    for (const { isDetached, sessions, half } of this.#life.ends) {
      if (isDetached || !sessions.some(isWaiting)) continue;
      const own = sessions.filter(({ byPeer, channel: { machine, closed } }) => {
        return !byPeer && machine.id !== 0 && closed === undefined;
      });
      if (own.length >= half.machine.peerLimits.sessions) own.find(({ isOpen }) => isOpen)?.close();
    }
  }

  /**
   * Whether a stream of this message must end without help. Large items may block each other under small limits until
   * a handler gives up.
   */
  #mustFlow(delivery: Delivery): boolean {
    const { attempt, channel } = delivery;
    const isWaited = attempt.letter.result === undefined && attempt.letter.last === attempt;
    if (this.#life.isLarge || !isWaited) return false;
    return this.#isHealthy(channel.half.end) && isFlowing(delivery);
  }

  /** Whether the handler must be told, without help, that the sender has given up the message. */
  #mustLearn({ attempt, channel, incoming, aborted }: Delivery): boolean {
    const { letter, failure } = attempt;
    const isGivenUp = failure !== undefined && GIVEN_UP.has(failure.kind);
    const isTold = incoming.state !== 'RUNNING' || aborted !== undefined;
    if (!isGivenUp || letter.oneWay || isTold || letter.last !== attempt) return false;
    return this.#isHealthy(channel.half.end);
  }

  #isAtRest(): boolean {
    const { world, pending, running } = this.#life;
    if (pending.length + running.length > 0 || this.#stuck() !== undefined) return false;
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

  /** Whether this end has a living other side that comes back after each loss of a socket. */
  #isHealthy({ role, half: { bond } }: End): boolean {
    const { dialer } = this.#life.world;
    if (role === 'dialer') return true;
    if (dialer.closed !== undefined || bond?.dialer === undefined) return false;
    return bond.doom === undefined && !bond.isLeftBehind;
  }

  /** A letter that has no outcome, although its end has a living other side. */
  #stuck(): Letter | undefined {
    return this.#life.letters.find(
      ({ result, session }) => result === undefined && this.#isHealthy(session.end),
    );
  }

  #reportStuck(): void {
    const letter = this.#stuck();
    if (letter !== undefined) {
      const { name, last, deliveries } = letter;
      throw new Error(`${name} is stuck: ${last?.message.state}, ${deliveries.length} handlers.`);
    }
    const ends = this.#life.world.all.map(({ role, isDetached, closed, half }) => {
      const { output } = half.machine;
      const status = closed ? 'closed' : isDetached ? 'detached' : 'attached';
      return `${role} ${status} ${output.isEmpty} ${output.sent.isEmpty}`;
    });
    throw new Error(`There is no rest: ${ends.join('; ')}.`);
  }

  /** From now on, applications take each item of each stream. */
  #readAll(): void {
    for (const letter of this.#life.letters) letter.read(Infinity);
    for (const delivery of this.#life.running) {
      delivery.reads = true;
      delivery.read();
    }
    this.#life.world.time.endTick();
  }

  /** Checks that nothing is counted as held, queued, open or charged any more. */
  #expectEmpty(): void {
    for (const end of this.#life.world.all) {
      if (end.closed !== undefined || !this.#isHealthy(end)) continue;
      for (const half of end.halves) {
        const { machine, peer, channels, isOver, bond } = half;
        if (isOver || peer === undefined || peer.isOver || bond?.doom !== undefined) continue;
        const { held } = machine.receiveWindow;
        if (held !== 0) throw new Error(`The ${end.role} still holds ${held} octets.`);
        for (const channel of channels) expectSessionEmpty(end.role, channel.machine);
        if (channels.length > 0) expectQueueEmpty(end.role, machine);
        expectCredit(half);
      }
    }
    for (const letter of this.#life.letters) this.#expectNotLost(letter);
  }

  /** Checks that each one-way message was handled if it was sent and could not be refused. */
  #expectNotLost({ result, oneWay, last, deliveries, isCancelled, name, payload }: Letter): void {
    if (!oneWay || result?.kind !== 'sent' || deliveries.length > 0 || last === undefined) return;
    const { channel, deadline } = last;
    const { half, peer } = channel;
    const { bond } = half;
    const isExpected =
      peer !== undefined && peer.closed === undefined && half.peer?.machine.drains !== true;
    const isGivenUp = deadline !== Infinity || isCancelled;
    const fits = payload.length <= half.machine.peerLimits.maxMessage;
    // If the dialer has given up, the octets on their way are lost, and the listener need not know yet.
    const isLive = bond?.listener.isOver === false && bond.dialer?.isOver === false;
    const isWhole = bond?.doom === undefined && isLive;
    if (isExpected && !isGivenUp && fits && isWhole) {
      throw new Error(`${name} was sent, and is lost.`);
    }
  }
}

/** Checks the queue: a message as large as the whole queue fits, and not one octet more. */
function expectQueueEmpty(role: string, machine: ConnectionMachine): void {
  const fits = machine.chargeQueue(WHOLE) === undefined;
  if (!fits || machine.chargeQueue(MORE) === undefined) {
    throw new Error(`The queue of the ${role} is not counted right.`);
  }
  machine.releaseQueue(WHOLE);
}

function expectSessionEmpty(role: string, machine: AppSession['channel']['machine']): void {
  if (machine.state === 'CLOSED') return;
  const { sender, receiver } = machine;
  const counts = [sender.unsettled, receiver.unsettled, receiver.window.held];
  if (counts.some((count) => count !== 0)) {
    throw new Error(`Session ${machine.id} of the ${role} still has ${counts.join()}.`);
  }
}

/** Checks the credit and the ids against the octets and ids that have left. */
function expectCredit({ end, machine, bond, channels }: Half): void {
  const way: Direction = end.role === 'dialer' ? 0 : 1;
  const { audit } = bond ?? {};
  const room = audit?.room(way);
  if (machine.sendWindow.room !== room) {
    throw new Error(
      `The ${end.role} may write ${room} octets, and takes it for ${machine.sendWindow.room}.`,
    );
  }
  for (const channel of channels) expectSessionCredit(way, channel);
}

function expectSessionCredit(way: Direction, { half, machine, closed }: Channel): void {
  if (closed !== undefined || machine.id === 0) return;
  const { audit } = half.bond ?? {};
  const name = `Session ${machine.id} of the ${half.end.role}`;
  const room = audit?.room(way, machine.id);
  const lastId = audit?.lastIdOf(way, machine.id);
  const { sender } = machine;
  if (sender.window.room !== room) {
    throw new Error(`${name} may write ${room} octets, and takes it for ${sender.window.room}.`);
  }
  if (sender.lastId !== lastId) {
    throw new Error(`${name} has sent message ${lastId}, and gave the id ${sender.lastId}.`);
  }
}

/** Whether the session waits until the other side allows another session. */
function isWaiting({ channel: { machine, closed } }: AppSession): boolean {
  return machine.id === 0 && closed === undefined;
}

/** Whether a stream of the message still goes on. */
function isFlowing({ incoming, attempt, aborted, ...delivery }: Delivery): boolean {
  if (incoming.state !== 'RUNNING' || aborted !== undefined) return false;
  if (delivery.isStreaming && !delivery.hasReplied) return true;
  const { endsItems } = attempt.letter.options;
  return incoming.requestItems !== undefined && !delivery.hasAllItems && endsItems !== false;
}

const [WHOLE, MORE] = [QUEUE_BYTES, 1].map(
  (size) => new ControlUnit(FrameType.SEND, 0, 0, EMPTY, Buffer.alloc(size)),
) as [ControlUnit, ControlUnit];

const GIVEN_UP: ReadonlySet<FailureKind> = new Set([
  'timeout',
  'session-timeout',
  'cancelled',
  'unexpected-stream',
]);

/** Milliseconds within which everything must end once nothing disturbs it. */
const PATIENCE = 30_000;
