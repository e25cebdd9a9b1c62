/**
 * The sessions of one connection, and the limits on their number. The dialer numbers its sessions 1, 3, 5 …,
 * the listener 2, 4, 6 …. A number is never used again.
 */
import { Code, frameName, MAX_ID, ProtocolError } from '../../wire/index.js';
import type { SessionMachine } from '../session/session.js';
import { RevocableQueue } from '../output/revocable-queue.js';

export class SessionTable {
  readonly #sessions = new Map<number, SessionMachine>();
  /** Sessions of this side that wait until the peer allows one more. */
  readonly #waiting = new RevocableQueue<SessionMachine>();
  /** False if the clocks of all sessions in `#waiting` have started. */
  #hasUnclocked = false;
  /** Whether this side opens no further sessions: the connection is over, or the peer drains. */
  #isStopped = false;
  /** The parity of this side's numbers. */
  readonly #own: 0 | 1;
  #nextOwn: number;
  #lastTheirs = 0;
  /** How many sessions this side has opened since the connection began. */
  #opened = 0;
  /** How many sessions this side may open in all. */
  #mayOpen = 0;
  /** How many sessions the peer has opened since the connection began. */
  #theirs = 0;
  /** How many sessions the peer may open in all, as this side has told it. */
  #granted: number;
  /** Sessions of the peer that have ended, and whose places this side has not granted again. */
  #freed = 0;
  readonly #size: number;

  /** `granted`: how many sessions the peer may have open at once. */
  constructor(role: 'dialer' | 'listener', granted: number) {
    this.#own = role === 'dialer' ? 1 : 0;
    this.#nextOwn = role === 'dialer' ? 1 : 2;
    this.#granted = granted;
    this.#size = granted;
  }

  get(id: number): SessionMachine | undefined {
    return this.#sessions.get(id);
  }

  /** Returns a copy, since sessions may end while the caller walks it. */
  all(): SessionMachine[] {
    return [...this.#sessions.values(), ...this.#waiting];
  }

  addOwn(session: SessionMachine): void {
    this.#waiting.push(session);
    this.#hasUnclocked = true;
    this.#start();
  }

  /** Adds a session of the peer. Returns true if a CREDIT should tell the peer that it may open more sessions. */
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
    // The peer never hears of this session: its place goes to the next session, but its number stays unused. [IC-4.5]
    this.#opened -= 1;
    this.#start();
  }

  /** A socket can take frames: the clock of each session that waits for a place starts now. */
  startClocks(now: number): void {
    if (!this.#hasUnclocked) return;
    this.#hasUnclocked = false;
    for (const session of this.#waiting) session.startClock(now);
  }

  /** The connection is over, or the peer drains: no further session gets a number. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Frees the place of a session. Returns true if a CREDIT should tell the peer that it may open more. [IC-8.12] */
  vacate(session: SessionMachine): boolean {
    if (session.id === 0 || this.#isOwn(session.id)) return false;
    this.#freed += 1;
    return this.#isDue;
  }

  /** Whether places are free that this side has not granted to the peer yet. */
  get hasFreed(): boolean {
    return this.#freed > 0;
  }

  /** The peer allows `mayOpen` sessions in all. Returns false if that is no more than before. */
  raise(mayOpen: number): boolean {
    if (mayOpen <= this.#mayOpen) return false;
    this.#mayOpen = mayOpen;
    this.#start();
    return true;
  }

  /** Returns how many sessions the peer may open in all. If `raise`, this grants the free places first. */
  grant(raise: boolean): number {
    if (!raise) return this.#granted;
    this.#granted += this.#freed;
    this.#freed = 0;
    return this.#granted;
  }

  /** @throws ProtocolError if the peer may not open a session with this number. */
  checkOpen(id: number): void {
    if (this.#isOwn(id)) {
      const rule = this.#own === 1 ? 'a listener opens even numbers' : 'a dialer opens odd numbers';
      throw new ProtocolError(Code.PROTOCOL, `Session ${id} has a wrong number: ${rule}.`);
    }
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

  /** @throws ProtocolError if no session ever had this number. A frame for a session that has ended is late, but legal. */
  checkKnown(id: number, type: number): void {
    const last = this.#isOwn(id) ? this.#nextOwn - 2 : this.#lastTheirs;
    if (id > last) {
      throw new ProtocolError(Code.PROTOCOL, `${frameName(type)} for session ${id}, never opened.`);
    }
  }

  /** Whether a CREDIT is due: it would at least double the number of sessions that the peer may still open. */
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
      // [IC-6.20]
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
