/**
 * The CREDITs that are due and not written: for the connection, for sessions, and for streams. A CREDIT bears
 * absolute limits. So one frame is enough, however often the CREDIT became due.
 */
import { creditPayload, FrameType, EMPTY } from '../../wire/index.js';
import { FrameHead, type FrameWriter } from '../output/frame-writer.js';
import type { ItemReceiver } from '../stream/item-receiver.js';
import type { CreditSource } from '../session/half-context.js';

export class Grants {
  /** Whether the connection's CREDIT is due. It limits sessions and octets, and it acknowledges the frames that arrived. */
  isConnectionDue = false;
  /** Whether the connection's CREDIT must be written even if it says nothing new. */
  #isAnnounced = false;
  readonly #sessions = new DueList<CreditSource>();
  readonly #streams = new DueList<ItemReceiver>();

  addSession(receiver: CreditSource): void {
    this.#sessions.add(receiver);
  }

  addStream(items: ItemReceiver): void {
    this.#streams.add(items);
  }

  forgetSession(receiver: CreditSource): void {
    this.#sessions.remove(receiver);
  }

  forgetStream(items: ItemReceiver): void {
    this.#streams.remove(items);
  }

  /** A new socket carries the connection: its CREDIT is due, even if it says nothing new. */
  announceConnection(): void {
    this.isConnectionDue = this.#isAnnounced = true;
  }

  /**
   * Returns whether to write the connection's CREDIT, which is no longer due then. `isNews`: the CREDIT would change
   * something.
   */
  takeConnection(isNews: boolean): boolean {
    const isWorthIt = isNews || this.#isAnnounced;
    this.isConnectionDue = this.#isAnnounced = false;
    return isWorthIt;
  }

  clear(): void {
    this.#sessions.take();
    this.#streams.take();
    this.isConnectionDue = this.#isAnnounced = false;
  }

  /** Writes the due CREDITs of sessions and streams. */
  flush(writer: FrameWriter): void {
    for (const receiver of this.#sessions.take()) {
      const { messages, bytes } = receiver.grant();
      write(writer, 0, receiver.sessionId, 0, creditPayload(messages, bytes));
    }
    for (const items of this.#streams.take()) {
      write(writer, items.flags, items.sessionId, items.id, creditPayload(items.grant()));
    }
  }

  /** Writes the connection's CREDIT. */
  writeConnection(writer: FrameWriter, opens: number, bytes: number, received: number): void {
    write(writer, 0, 0, received, creditPayload(opens, bytes));
  }
}

/**
 * The sessions or streams whose CREDIT is due, each once. A flag of each one says whether it is in the list. A `Set`
 * would be slower: `add` is called for most frames, and a set makes a new table each time it is emptied.
 */
class DueList<T extends { isCreditDue: boolean }> {
  #all: T[] = [];

  add(source: T): void {
    if (source.isCreditDue) return;
    source.isCreditDue = true;
    this.#all.push(source);
  }

  remove(source: T): void {
    if (!source.isCreditDue) return;
    source.isCreditDue = false;
    this.#all.splice(this.#all.indexOf(source), 1);
  }

  /** Empties the list, and returns what was in it. */
  take(): readonly T[] {
    const all = this.#all;
    if (all.length === 0) return all;
    this.#all = [];
    for (const source of all) source.isCreditDue = false;
    return all;
  }
}

function write(
  writer: FrameWriter,
  flags: number,
  session: number,
  id: number,
  payload: Buffer,
): void {
  HEAD.flags = flags;
  HEAD.session = session;
  HEAD.id = id;
  writer.frame(HEAD, EMPTY, payload, 0, payload.length);
}

/** One head for all CREDIT frames: the writer does not keep it. */
const HEAD = new FrameHead();
HEAD.type = FrameType.CREDIT;
