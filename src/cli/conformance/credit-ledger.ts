/** The credit that the implementation under test has given, and the part that the suite has used. */
import { type Frame, FrameType, HEADER_LENGTH, isSequenced, readCredit } from '../../wire/index.js';
import type { Limits } from './limits.js';

interface Used {
  bytes: number;
  messages: number;
}

/** Counts the frames of the suite, and reads CREDIT. No case writes enough octets to wrap the byte counters. */
export class CreditLedger {
  /** Sequenced frames that the suite has written. */
  written = 0;
  /** The newest limits of the connection. */
  opens: number;
  bytes: number;
  usedBytes = 0;
  readonly #limits: Limits;
  readonly #granted = new Map<number, Used>();
  readonly #used = new Map<number, Used>();

  constructor(limits: Limits) {
    this.#limits = limits;
    this.opens = limits.opens;
    this.bytes = limits.bytes;
  }

  /** The suite has written a whole frame. */
  onWrite(octets: Buffer): void {
    const type = octets[0] ?? 0;
    if (octets.length < HEADER_LENGTH || !isSequenced(type)) return;
    this.written += 1;
    if (type < FrameType.SEND) return;
    const session = octets.readUInt32BE(8);
    const body = octets.length - HEADER_LENGTH;
    this.usedBytes += body;
    const used = this.#usedIn(session);
    used.bytes += body;
    if (type === FrameType.SEND) used.messages = octets.readUInt32BE(12);
  }

  /** The suite has read a CREDIT. */
  onCredit({ session, id, payload }: Frame): void {
    if (session !== 0 && id !== 0) return;
    const { count, bytes } = readCredit(payload, 0, payload.length);
    if (session === 0) {
      this.opens = Math.max(this.opens, count);
      this.bytes = Math.max(this.bytes, bytes >>> 0);
      return;
    }
    const granted = this.grantedIn(session);
    this.#granted.set(session, {
      messages: Math.max(granted.messages, count),
      bytes: Math.max(granted.bytes, bytes >>> 0),
    });
  }

  /** The newest limits of a session. */
  grantedIn(session: number): Readonly<Used> {
    const { messages, sessionBytes } = this.#limits;
    return this.#granted.get(session) ?? { messages, bytes: sessionBytes };
  }

  /**
   * Whether a SEND or a FRAG whose body has this many octets is within the credit of the connection and of the
   * session.
   */
  fits(session: number, body: number, isSend: boolean): boolean {
    const granted = this.grantedIn(session);
    const used = this.#usedIn(session);
    if (isSend && used.messages >= granted.messages) return false;
    return used.bytes + body <= granted.bytes && this.usedBytes + body <= this.bytes;
  }

  #usedIn(session: number): Used {
    let used = this.#used.get(session);
    if (used === undefined) this.#used.set(session, (used = { bytes: 0, messages: 0 }));
    return used;
  }
}
