/**
 * What this side allows the other anew, from when it is due until it is written: the three forms of CREDIT.
 * Limits are absolute, so that what was due twice is written once.
 */
import { creditPayload, FrameType, EMPTY } from '../../wire/index.js';
import { FrameHead, type FrameWriter } from '../output/frame-writer.js';
import type { ItemReceiver } from '../stream/item-receiver.js';
import type { CreditSource } from '../session/half-context.js';

export class Grants {
  /** The connection's is due: sessions and octets, and the acknowledgement of what has arrived. */
  isConnectionDue = false;
  #isAnnounced = false;
  readonly #sessions = new Set<CreditSource>();
  readonly #streams = new Set<ItemReceiver>();

  addSession(receiver: CreditSource): void {
    this.#sessions.add(receiver);
  }

  addStream(items: ItemReceiver): void {
    this.#streams.add(items);
  }

  forgetSession(receiver: CreditSource): void {
    this.#sessions.delete(receiver);
  }

  forgetStream(items: ItemReceiver): void {
    this.#streams.delete(items);
  }

  /** The connection's is due although it may say nothing new: the socket is another. */
  announceConnection(): void {
    this.isConnectionDue = this.#isAnnounced = true;
  }

  /** What is due of the connection's is due no longer. Returns false if it is not worth a frame. */
  takeConnection(isNews: boolean): boolean {
    const isWorthIt = isNews || this.#isAnnounced;
    this.isConnectionDue = this.#isAnnounced = false;
    return isWorthIt;
  }

  clear(): void {
    this.#sessions.clear();
    this.#streams.clear();
    this.isConnectionDue = this.#isAnnounced = false;
  }

  /** Writes those of sessions and streams. */
  flush(writer: FrameWriter): void {
    for (const receiver of this.#sessions) {
      const { messages, bytes } = receiver.grant();
      write(writer, 0, receiver.sessionId, 0, creditPayload(messages, bytes));
    }
    this.#sessions.clear();
    if (this.#streams.size === 0) return;
    for (const items of this.#streams) {
      write(writer, items.flags, items.sessionId, items.id, creditPayload(items.grant()));
    }
    this.#streams.clear();
  }

  /** Writes the connection's. */
  writeConnection(writer: FrameWriter, opens: number, bytes: number, received: number): void {
    write(writer, 0, 0, received, creditPayload(opens, bytes));
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
