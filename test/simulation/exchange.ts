/**
 * One exchange between two applications. It is always the same, contains each type of frame, and cuts sockets at
 * given octets. The actions of an application depend on what the application sees, and never on time. So the
 * applications must see the same, wherever the cuts are.
 */
import { Code, frameName, EMPTY } from '../../src/wire/index.js';
import { Random } from '../support/random.js';
import type { AppSession } from './app-session.js';
import type { Delivery } from './delivery.js';
import type { End } from './end.js';
import type { Letter } from './letter.js';
import type { VirtualLink } from './virtual-socket.js';
import { World } from './world.js';

/** The place of a cut: the socket ends when this number of octets of this side has been read. */
export interface Cut {
  /** 0: octets of the dialer. 1: octets of the listener. */
  readonly side: 0 | 1;
  readonly octets: number;
  /**
   * The sides that notice the cut at once. If only the dialer does, the listener learns of the cut from the next
   * socket.
   */
  readonly noticed: 'both' | 'dialer';
}

export interface Script {
  /**
   * `held`: octets of a message that waits for the next one. `large`: octets of that next message. `answer`: octets
   * of its response.
   */
  readonly held: number;
  readonly large: number;
  readonly answer: number;
}

/** FRAGMENTED has a message in fragments. SMALL has none. LARGE has a response in fragments as well. */
export const FRAGMENTED: Script = { held: 2100, large: 8200, answer: 40 };
export const SMALL: Script = { held: 4, large: 40, answer: 40 };
export const LARGE: Script = { held: 2100, large: 12_000, answer: 17_000 };

export class Exchange {
  readonly world: World;
  /** What the applications saw, by subject, and in order for each subject. */
  readonly #history = new Map<string, string[]>();
  readonly #script: Script;
  readonly #cuts: readonly Cut[];
  /** The types of the frames that each side has written. */
  readonly types: readonly [Set<string>, Set<string>] = [new Set(), new Set()];
  #sessionA: AppSession | undefined;
  #sessionB: AppSession | undefined;
  readonly #letters = new Map<string, Letter>();
  #isDraining = false;
  #onLarge: (() => void) | undefined;

  /** `cuts`: the cut of the first socket, of the second, and so on. */
  constructor(script: Script, cuts: readonly Cut[], onTrace?: (line: string) => void) {
    this.#script = script;
    this.#cuts = cuts;
    const limits = { maxFrame: 16_384, maxMeta: 2048, items: 2, sessionBytes: 20_494, messages: 4 };
    this.world = new World(new Random(1), {
      network: {
        latency: () => 1,
        chunk: (available) => available,
        capacity: Infinity,
        room: Infinity,
        takesAtOnce: true,
      },
      dialer: { limits },
      listener: { limits },
    });
    const { world } = this;
    world.onTrace = onTrace;
    world.onLink = (link, index) => this.#onLink(link, index);
    world.onReady = (end) => this.#onReady(end);
    world.onPending = (session) => session.accept(Buffer.from(`welcome to ${session.name}`));
    world.onDelivery = (delivery) => this.#onDelivery(delivery);
    world.onFrame = (way, frame) => this.types[way].add(frameName(frame.type));
  }

  /** @throws if a promise is broken, or if the exchange does not end. */
  run(): void {
    const { world } = this;
    this.#begin();
    world.connect();
    world.time.endTick();
    while (!this.#isOver()) {
      if (!world.time.step() || world.now() > 1_000_000 + PATIENCE) {
        throw new Error(
          `It does not end: ${[...this.#letters.values()].map(outcomeOf).join(', ')}.`,
        );
      }
      this.#proceed();
    }
  }

  /** The octets of each side that the other side has read on the first socket. */
  get octets(): readonly [number, number] {
    const [link] = this.world.links;
    return [link?.delivered(0) ?? 0, link?.delivered(1) ?? 0];
  }

  /** What the applications saw, as text. */
  get history(): string {
    for (const letter of this.#letters.values()) {
      const taken = letter.items.map(String);
      this.#note(`letter ${letter.payload.subarray(0, 2).toString()}`, letter.outcome, ...taken);
    }
    for (const session of [this.#sessionA, this.#sessionB]) {
      const { opened, closed } = session?.channel ?? {};
      const end = closed === undefined ? 'open' : (closed.failure?.kind ?? 'closed');
      this.#note(`session ${session?.name}`, String(opened), end);
    }
    const lines = [...this.#history].map(([key, values]) => `${key}: ${values.join(' | ')}`);
    return lines.toSorted().join('\n');
  }

  #begin(): void {
    const { dialer } = this.world;
    const { held, large } = this.#script;
    const a = dialer.open('a', Buffer.from('who I am'), 60_000);
    this.#sessionA = a;
    this.#send(a, 'A1', 20, { metadata: 'v', timeout: 60_000 });
    this.#send(a, 'A0', held);
    this.#send(a, 'A2', large);
    this.#send(a, 'A3', 8, { oneWay: true });
    this.#send(a, 'A4', 4);
    this.#send(a, 'A5', 4);
    this.#send(a, 'A6', 2, { items: items('i', 4), takesItems: true });
    this.#send(a, 'A7', 2, { oneWay: true });
    this.#send(a, 'A8', 2);
  }

  #onReady(end: End): void {
    const { driver } = end.continuity;
    driver?.machine.ping(undefined, this.world.now());
    if (end.role === 'dialer') return;
    // The dialer may never have learned of an earlier connection. Drop the messages of that connection.
    for (const name of this.#letters.keys()) if (name.startsWith('B')) this.#letters.delete(name);
    const b = end.open('b', EMPTY, 60_000);
    this.#sessionB = b;
    this.#send(b, 'B1', 6);
    this.#send(b, 'B2', 2, { takesItems: true, items: items('j', 3) });
    this.#send(b, 'B3', 2);
    this.#send(b, 'B4', 30);
  }

  #onDelivery(delivery: Delivery): void {
    const { letter } = delivery.attempt;
    const name = letter.payload.subarray(0, 2).toString();
    // A message of a connection that the dialer never learned of.
    if (this.#letters.get(name) !== letter) return;
    this.#note(`handlers of ${letter.session.name}`, name);
    delivery.reads = true;
    delivery.read();
    switch (name) {
      case 'A0':
        // The handler holds credit, so that the next message leaves in fragments.
        this.#onLarge = () => delivery.settle(undefined, EMPTY);
        return;
      case 'A2':
        this.#onLarge?.();
        return delivery.settle(undefined, bytes('re', this.#script.answer));
      case 'A4':
      case 'B3':
        return delivery.settle(Code.FAILED, Buffer.from('no'));
      case 'A5':
      case 'A8':
        // The handler ends when its message is cancelled.
        return;
      case 'A6':
      case 'B2':
        return delivery.stream(items('r', 4), () => delivery.settle(undefined, Buffer.from('end')));
      default:
        return delivery.settle(undefined, Buffer.from(`to ${name}`));
    }
  }

  /** The further actions of the applications, which depend on what they have seen. */
  #proceed(): void {
    const { world } = this;
    for (const name of ['A5', 'A8']) {
      const letter = this.#letters.get(name);
      const [delivery] = letter?.deliveries ?? [];
      if (delivery === undefined || letter === undefined) continue;
      if (!letter.isCancelled) letter.cancel();
      if (delivery.aborted === undefined || delivery.hasEnded) continue;
      this.#note(`handler of ${name}`, delivery.aborted);
      delivery.settle(Code.FAILED, Buffer.from('stopped'));
    }
    const ready = [...this.#letters.values()].every(({ oneWay, result, deliveries }) => {
      return result !== undefined && (oneWay || deliveries.every(({ hasEnded }) => hasEnded));
    });
    const hasBoth = this.#letters.has('B1') && this.#letters.get('A7')?.deliveries.length === 1;
    if (ready && hasBoth) {
      if (this.#sessionA?.hasEnded === false) this.#sessionA.close();
      if (this.#sessionB?.hasEnded === false) this.#sessionB.close();
      const areClosed = [this.#sessionA, this.#sessionB].every(
        (session) => session?.channel.closed !== undefined && session.channel.peer?.closed,
      );
      if (areClosed && !this.#isDraining) {
        this.#isDraining = true;
        world.dialer.drain();
      }
    }
    world.time.endTick();
  }

  #isOver(): boolean {
    const { dialer, time } = this.world;
    if (dialer.closed === undefined) return false;
    // Octets on their way may still arrive.
    time.advance(5000);
    return true;
  }

  #onLink(link: VirtualLink, index: number): void {
    const cut = this.#cuts[index];
    if (cut === undefined) return;
    link.listenerNotices = cut.noticed === 'both' ? 0 : undefined;
    link.cutAfter(cut.side, cut.octets);
  }

  #send(
    session: AppSession,
    name: string,
    size: number,
    options: Parameters<AppSession['send']>[1] = {},
  ): void {
    this.#letters.set(name, session.send(bytes(name, size), options));
  }

  #note(key: string, ...values: string[]): void {
    const list = this.#history.get(key);
    if (list === undefined) this.#history.set(key, values);
    else list.push(...values);
  }
}

/** Octets that begin with this name. */
function bytes(name: string, size: number): Buffer {
  const payload = Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz');
  payload.write(name);
  return payload;
}

function items(name: string, count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => Buffer.from(`${name}${index}`));
}

function outcomeOf(letter: Letter): string {
  return `${letter.payload.subarray(0, 2).toString()} ${letter.outcome}`;
}

const PATIENCE = 60_000;
