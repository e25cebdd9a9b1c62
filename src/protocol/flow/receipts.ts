/**
 * The receipts: counts the frames of the peer, and decides when to acknowledge them. The peer keeps a frame until it
 * is acknowledged. A peer that has kept too much writes no new frames.
 */
import { MAX_ID } from '../../wire/index.js';

export class Receipts {
  #received: number;
  /** Frames that have arrived since the last acknowledgement, and the octets of their bodies. */
  #frames = 0;
  #octets = 0;
  #dueAt = Infinity;

  /** `received`: only tests of the wrap give another value than 0. */
  constructor(received = 0) {
    this.#received = received;
  }

  /** Number of frames that have arrived in all, modulo 2^31. */
  get received(): number {
    return this.#received;
  }

  /** Whether some of the arrived frames are not acknowledged. */
  get isOwing(): boolean {
    return this.#dueAt !== Infinity;
  }

  /** The latest instant at which to acknowledge; `Infinity` = there is no frame to acknowledge. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** A frame has arrived. Returns true if the frames must be acknowledged now. */
  count(octets: number, now: number): boolean {
    // [IC-17.4]
    this.#received = (this.#received + 1) & MAX_ID;
    this.#frames += 1;
    this.#octets += octets;
    if (this.#dueAt === Infinity) this.#dueAt = now + ACKNOWLEDGE_WITHIN;
    // [IC-17.7]
    return this.#frames >= ACKNOWLEDGE_FRAMES || this.#octets >= ACKNOWLEDGE_OCTETS;
  }

  /** All frames are acknowledged now. Returns their number, modulo 2^31. */
  acknowledge(): number {
    this.#frames = this.#octets = 0;
    this.#dueAt = Infinity;
    return this.#received;
  }
}

const ACKNOWLEDGE_FRAMES = 64;
const ACKNOWLEDGE_OCTETS = 64 * 1024;
/** In milliseconds. */
const ACKNOWLEDGE_WITHIN = 100;
