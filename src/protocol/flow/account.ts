/**
 * The memory that connections hold: one account for each connection, and one budget for all connections of a thread.
 *
 * Flow control counts the octets of frames. A peer can fill memory with few octets: with empty messages, with many
 * metadata entries, with sessions. So an account counts octets as memory takes them: payload, fields, and a fixed price
 * for each object. Each place that keeps something of a message takes from the account, and gives back when it lets go.
 * Both are additions of integers, because every message passes here.
 *
 * An account reacts in steps, each of which spares honest peers longer than the next one:
 *
 * 1. `isTight`: no credit for further messages and sessions is granted.
 * 2. `isFull`: a message that arrives is refused with BUSY, so that the peer can send the message again.
 * 3. `check` throws: the connection ends with CALM.
 *
 * If all connections of the thread together hold more than the budget, the largest holder among them ends with CALM.
 */
import { Code, ProtocolError } from '../../wire/index.js';

// The prices are what Node 20 takes for the objects, rounded up.
/** Octets that a message costs beside its payload and its metadata: its object, its place in tables and queues. */
export const MESSAGE_PRICE = 512;
/** Octets that an item costs beside its payload. */
export const ITEM_PRICE = 128;
/** Octets that a stream costs beside its message and its items: its state, its credit, its queue. */
export const STREAM_PRICE = 512;
/** Octets that a metadata entry costs beside its text: two strings, and the array that holds them. */
export const ENTRY_PRICE = 100;
/** Octets that a session costs beside the data of its OPEN: two halves, their windows, tables and queues. */
export const SESSION_PRICE = 4096;

/** A connection, as the budget of its thread sees it. */
export interface AccountEffects {
  /** Whether no socket carries the connection. */
  readonly isDetached: boolean;
  /** Refuses the messages of which only a part has arrived. */
  dropUnfinished(): void;
  /** The thread has memory again: grant the credit that was withheld. */
  onEased(): void;
  /** Ends the connection, and lets go of all that it holds. `error` tells both sides why. */
  overload(error: ProtocolError): void;
}

/** What a budget asks of the thread that it belongs to. */
export interface BudgetEffects {
  /** The connections hold too much: call `freeMemory`, but not from within the call of a connection. */
  exceeded(): void;
}

/** What all connections of a thread may hold together. */
export class ThreadBudget {
  /** The owner of the budget sets it. */
  effects: BudgetEffects = { exceeded: () => undefined };
  #limit = Infinity;
  /** Octets above which the budget counts as tight. */
  #tight = Infinity;
  /** Octets above which the budget counts as nearly full. */
  #full = Infinity;
  #held = 0;
  #isTight = false;
  #isTold = false;
  readonly #accounts = new Set<Account>();

  /** `limit`: in octets. */
  constructor(limit = Infinity) {
    this.limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  set limit(octets: number) {
    this.#limit = octets;
    this.#tight = octets / 2;
    this.#full = (octets / 4) * 3;
    this.#check();
  }

  /** Octets that all connections hold. */
  get held(): number {
    return this.#held;
  }

  /** Whether the connections hold more than half of the budget, or have held it and still hold a quarter. */
  get isTight(): boolean {
    return this.#isTight;
  }

  /** Whether the connections hold three quarters of the budget. */
  get isNearlyFull(): boolean {
    return this.#held > this.#full;
  }

  /** The octets that each connection may hold when memory is short. */
  get share(): number {
    return this.#limit / Math.max(LEAST_SHARERS, this.#accounts.size);
  }

  add(account: Account): void {
    this.#accounts.add(account);
  }

  /** A connection is over: what it still holds is no longer in the budget. */
  remove(account: Account): void {
    if (this.#accounts.delete(account)) this.give(account.held);
  }

  take(octets: number): void {
    this.#held += octets;
    if (this.#held > this.#tight) this.#check();
  }

  give(octets: number): void {
    this.#held -= octets;
    if (this.#isTight && this.#held < this.#tight / 2) this.#ease();
  }

  /**
   * The connections hold more than the budget: frees memory. Connections without a socket lose their unfinished messages
   * first. Then the largest holders end, until the others fit into the budget.
   */
  freeMemory(): void {
    this.#isTold = false;
    for (const { effects } of this.#accounts) {
      if (this.#held <= this.#limit) return;
      if (effects.isDetached) effects.dropUnfinished();
    }
    while (this.#held > this.#limit) {
      const largest = this.#largest();
      if (largest === undefined) return;
      const { held, effects } = largest;
      const all = this.#held;
      largest.close();
      effects.overload(overloaded(held, all, this.#limit));
    }
  }

  #largest(): Account | undefined {
    let largest: Account | undefined;
    for (const account of this.#accounts) {
      if (largest === undefined || account.held > largest.held) largest = account;
    }
    return largest;
  }

  #check(): void {
    if (this.#held > this.#tight) this.#isTight = true;
    if (this.#held <= this.#limit || this.#isTold) return;
    this.#isTold = true;
    this.effects.exceeded();
  }

  #ease(): void {
    this.#isTight = false;
    for (const { effects } of this.#accounts) effects.onEased();
  }
}

/** The octets of memory that one connection holds. */
export class Account {
  readonly effects: AccountEffects;
  readonly #budget: ThreadBudget;
  /** What the peer makes this side hold. */
  #own = 0;
  /** The answers of this side's handlers, and the answers to this side's calls. Other limits bound these. */
  #answers = 0;
  /** The part of `#answers` that is of unfinished answers to this side's calls. */
  #unfinished = 0;
  #isOver = false;
  #isTight = false;
  readonly #window: number;
  readonly #eased: number;
  readonly #tight: number;
  readonly #full: number;
  readonly #most: number;

  /** `window`: the octets of messages that the connection grants. A peer that keeps to the limits may fill it. */
  constructor(effects: AccountEffects, budget: ThreadBudget, window: number) {
    this.effects = effects;
    this.#budget = budget;
    this.#window = window;
    this.#eased = window;
    this.#tight = window + BESIDE / 4;
    this.#full = window + BESIDE / 2;
    this.#most = window + BESIDE;
    budget.add(this);
  }

  /** Octets that the connection holds. */
  get held(): number {
    return this.#own + this.#answers;
  }

  /** Whether the connection should grant no credit for further messages. */
  get isTight(): boolean {
    if (this.#isTight) return true;
    return this.#budget.isTight && this.held > this.#budget.share;
  }

  /** Whether a message that arrives should be refused. */
  get isFull(): boolean {
    if (this.#own > this.#full) return true;
    return this.#budget.isNearlyFull && this.held > this.#budget.share;
  }

  /** The connection keeps `octets` more. */
  take(octets: number): void {
    this.#own += octets;
    if (this.#own > this.#tight) this.#isTight = true;
    if (!this.#isOver) this.#budget.take(octets);
  }

  /** The connection lets go of `octets`. */
  give(octets: number): void {
    this.#own -= octets;
    if (this.#isTight && this.#own < this.#eased) this.#ease();
    if (!this.#isOver) this.#budget.give(octets);
  }

  /** An answer keeps `octets` more; fewer if the number is negative. */
  addAnswer(octets: number): void {
    this.#answers += octets;
    if (this.#isOver) return;
    if (octets > 0) this.#budget.take(octets);
    else this.#budget.give(-octets);
  }

  /** An answer to a call of this side has `octets` more, and is not whole; it has fewer if the number is negative. */
  addUnfinished(octets: number): void {
    this.#unfinished += octets;
    this.addAnswer(octets);
  }

  /** Octets of unfinished answers to this side's calls. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** Whether unfinished answers hold more than the window. A single one always fits. */
  get hasTooManyUnfinished(): boolean {
    return this.#unfinished > this.#window;
  }

  /** @throws ProtocolError CALM if the connection holds too much, whatever the windows say. */
  check(): void {
    if (this.#own > this.#most && !this.#isOver) throw overdrawn(this.#own, this.#most);
  }

  /** The connection is over. Handlers that still run give back later, and that changes nothing for the thread. */
  close(): void {
    this.#isOver = true;
    this.#budget.remove(this);
  }

  #ease(): void {
    this.#isTight = false;
    this.effects.onEased();
  }
}

function overdrawn(held: number, most: number): ProtocolError {
  return new ProtocolError(
    Code.CALM,
    `The connection holds ${held} bytes of memory, and may hold ${most}: too many unsettled messages, items or ` +
      `unacknowledged frames.`,
  );
}

function overloaded(held: number, all: number, limit: number): ProtocolError {
  return new ProtocolError(
    Code.CALM,
    `All connections hold ${all} bytes of memory, and may hold ${limit} (memoryLimit). This one holds ${held}, the most.`,
  );
}

/** Octets that a connection may hold beside its window: objects, kept frames, sessions. */
const BESIDE = 64 * 1024 * 1024;
/** One connection alone may hold a quarter of the budget before anything is refused for the sake of others. */
const LEAST_SHARERS = 4;
