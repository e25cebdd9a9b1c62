/**
 * The sessions of one connection, and how many there may be. The dialer numbers its sessions 1, 3, 5 …,
 * the listener 2, 4, 6 …; a number is never used again.
 */
import { Code, frameName, MAX_ID, ProtocolError } from '../../wire/index.js';
import type { SessionMachine } from '../session/session.js';
import { RevocableQueue } from '../output/revocable-queue.js';

export class SessionTable {
  readonly #sessions = new Map<number, SessionMachine>();
  /** Own sessions that wait until the other side allows one more. */
  readonly #waiting = new RevocableQueue<SessionMachine>();
  /** Whether some of them may not be on the clock. */
  #hasUnclocked = false;
  /** Whether no session of this side gets a number any more. */
  #isStopped = false;
  /** The parity of this side's numbers. */
  readonly #own: 0 | 1;
  #nextOwn: number;
  #lastTheirs = 0;
  /** How many sessions this side has opened, and may open, since the connection began. */
  #opened = 0;
  #mayOpen = 0;
  /** The same for the other side. */
  #theirs = 0;
  #granted: number;
  #freed = 0;
  readonly #size: number;

  /** `granted`: how many sessions the other side may open at once. */
  constructor(role: 'dialer' | 'listener', granted: number) {
    this.#own = role === 'dialer' ? 1 : 0;
    this.#nextOwn = role === 'dialer' ? 1 : 2;
    this.#granted = granted;
    this.#size = granted;
  }

  get(id: number): SessionMachine | undefined {
    return this.#sessions.get(id);
  }

  /** A copy: sessions may end while it is walked. */
  all(): SessionMachine[] {
    return [...this.#sessions.values(), ...this.#waiting];
  }

  addOwn(session: SessionMachine): void {
    this.#waiting.push(session);
    this.#hasUnclocked = true;
    this.#start();
  }

  /** Returns true where the other side should be told that it may open more. */
  addTheirs(session: SessionMachine): boolean {
    this.#sessions.set(session.id, session);
    this.#lastTheirs = session.id;
    this.#theirs += 1;
    return this.#isDue;
  }

  delete(session: SessionMachine): void {
    const { id } = session;
    this.#sessions.delete(id);
    if (!session.isUnwritten || this.#isStopped) return;
    if (id === 0) return this.#waiting.onRevoked();
    // The other side never hears of this session: its place goes to the next one, its number to none. [IC-4.5]
    this.#opened -= 1;
    this.#start();
  }

  /** A socket takes what is written: from here on, sessions that wait for a place are on the clock. */
  startClocks(now: number): void {
    if (!this.#hasUnclocked) return;
    this.#hasUnclocked = false;
    for (const session of this.#waiting) session.startClock(now);
  }

  /** The connection is over, or the other side takes nothing new: no further session gets a number. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Its place is free. Returns true where the other side should be told that it may open more. [IC-8.12] */
  vacate(session: SessionMachine): boolean {
    if (session.id === 0 || this.#isOwn(session.id)) return false;
    this.#freed += 1;
    return this.#isDue;
  }

  /** Whether places are free that the other side does not know of. */
  get hasFreed(): boolean {
    return this.#freed > 0;
  }

  /** The other side allows so many sessions in all. False where that is not more than before. */
  raise(mayOpen: number): boolean {
    if (mayOpen <= this.#mayOpen) return false;
    this.#mayOpen = mayOpen;
    this.#start();
    return true;
  }

  /** How many sessions the other side may open in all; no more than before where `raise` is false. */
  grant(raise: boolean): number {
    if (!raise) return this.#granted;
    this.#granted += this.#freed;
    this.#freed = 0;
    return this.#granted;
  }

  /** @throws ProtocolError where the other side may not open a session of this number. */
  checkOpen(id: number): void {
    if (this.#isOwn(id))
      throw new ProtocolError(Code.PROTOCOL, `Session ${id} is not theirs to open.`);
    // [IC-4.5]
    if (id <= this.#lastTheirs) {
      throw new ProtocolError(Code.PROTOCOL, `Session ${id} follows session ${this.#lastTheirs}.`);
    }
    if (this.#theirs >= this.#granted) {
      throw new ProtocolError(
        Code.FLOW,
        `Session ${id} is beyond the limit of ${this.#size} sessions.`,
      );
    }
  }

  /** A frame for a session that has ended is late and ignored; one that never was is an error. */
  checkKnown(id: number, type: number): void {
    const last = this.#isOwn(id) ? this.#nextOwn - 2 : this.#lastTheirs;
    if (id > last) {
      throw new ProtocolError(Code.PROTOCOL, `${frameName(type)} for session ${id}, never opened.`);
    }
  }

  /** At least twice what is left, however many sessions stay. */
  get #isDue(): boolean {
    return this.#freed > 0 && this.#freed >= this.#granted - this.#theirs;
  }

  #isOwn(id: number): boolean {
    return (id & 1) === this.#own;
  }

  #start(): void {
    for (;;) {
      const session = this.#waiting.peek();
      if (session === undefined || this.#isStopped) return;
      // [IC-6.16]
      if (this.#opened >= this.#mayOpen || this.#nextOwn >= MAX_ID) return;
      this.#waiting.shift();
      this.#opened += 1;
      const id = this.#nextOwn;
      this.#nextOwn += 2;
      this.#sessions.set(id, session);
      session.start(id);
    }
  }
}
