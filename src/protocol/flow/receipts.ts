/**
 * Sequenced frames of the other side, and when to acknowledge them. The other side keeps what is not
 * acknowledged, and waits with more when it has kept too much.
 */
import { MAX_ID } from '../../wire/index.js';

export class Receipts {
  #received: number;
  /** Frames, and octets of their bodies, that have arrived since the last acknowledgement. */
  #frames = 0;
  #octets = 0;
  #dueAt = Infinity;

  /** `received`: 0 but in tests of the wrap. */
  constructor(received = 0) {
    this.#received = received;
  }

  /** Frames in all, modulo 2^31. */
  get received(): number {
    return this.#received;
  }

  /** Whether frames have arrived that are not acknowledged. */
  get isOwing(): boolean {
    return this.#dueAt !== Infinity;
  }

  /** When to acknowledge at the latest. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** Whether frames have arrived that are not acknowledged. */
  get isDue(): boolean {
    return this.#frames > 0;
  }

  /** A frame has taken effect. Returns true where that is to be acknowledged now. */
  count(octets: number, now: number): boolean {
    // [IC-17.4]
    this.#received = (this.#received + 1) & MAX_ID;
    this.#frames += 1;
    this.#octets += octets;
    if (this.#dueAt === Infinity) this.#dueAt = now + ACKNOWLEDGE_WITHIN;
    // [IC-17.7]
    return this.#frames >= ACKNOWLEDGE_FRAMES || this.#octets >= ACKNOWLEDGE_OCTETS;
  }

  /** They are acknowledged; returns how many. */
  acknowledge(): number {
    this.#frames = this.#octets = 0;
    this.#dueAt = Infinity;
    return this.#received;
  }
}

const ACKNOWLEDGE_FRAMES = 64;
const ACKNOWLEDGE_OCTETS = 64 * 1024;
/** Milliseconds. */
const ACKNOWLEDGE_WITHIN = 100;
