/**
 * A unit of the output: a request, an item, a settlement, or a frame of the session itself (OPEN, END …).
 * The output encodes and copies a unit only when it writes the unit. A small unit leaves as one frame. A large unit
 * leaves in fragments, and takes turns with the other large units.
 *
 * A written unit is kept until the peer has acknowledged it, and may be written again: its fields and its payload
 * must not change before `onAcknowledged`.
 */
import { FrameType } from '../../wire/index.js';
import type { SendWindow } from '../flow/windows.js';

export abstract class Unit {
  type: number;
  flags: number;
  sessionId = 0;
  id = 0;
  /** The encoded metadata fields without DEADLINE and TOTAL. The output adds these two. */
  meta: Buffer;
  payload: Buffer;
  /** Octets of the payload that are written already. */
  written = 0;
  /** True once the first frame has been written. */
  started = false;
  /** The unit was given up before its first frame was written: no octet of it may leave. */
  isRevoked = false;
  /** The session's byte credit, if the unit uses it. */
  window: SendWindow | undefined = undefined;

  constructor(type: number, flags: number, meta: Buffer, payload: Buffer) {
    this.type = type;
    this.flags = flags;
    this.meta = meta;
    this.payload = payload;
  }

  /** Whether the unit must leave a reserve of credit to settlements: requests and items must. */
  get leavesReserve(): boolean {
    return this.type === FrameType.SEND || this.type === FrameType.ITEM;
  }

  /** Milliseconds for the field DEADLINE at `now`; 0 = the unit has no such field. */
  remaining(_now: number): number {
    return 0;
  }

  /** The first frame is about to be written, for the first time. `isWhole`: no other frame follows. */
  onStart(_now: number, _isWhole: boolean): void {
    // Most units have nothing to do here.
  }

  /** The last octet has been handed to the socket, for the first time. */
  abstract onWritten(): void;

  /** The peer has acknowledged the last frame of the unit. */
  abstract onAcknowledged(): void;
}

/** A frame whose writing has no effect on other objects, such as END or CANCEL. */
export class ControlUnit extends Unit {
  constructor(type: number, sessionId: number, id: number, meta: Buffer, payload: Buffer) {
    super(type, 0, meta, payload);
    this.sessionId = sessionId;
    this.id = id;
  }

  onWritten(): void {
    // No object waits for this.
  }

  onAcknowledged(): void {
    // Nothing to release.
  }
}

/** Milliseconds for the field DEADLINE: at least 1, or 0 if the deadline is `Infinity`. [IC-10.1] */
export function remainingUntil(deadline: number, now: number): number {
  return deadline === Infinity ? 0 : Math.max(1, Math.ceil(deadline - now));
}
