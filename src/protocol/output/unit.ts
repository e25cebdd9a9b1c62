/**
 * One thing on its way out: a request, a settlement, or a frame of the session's own (OPEN, END …).
 * A unit is data until the moment it is written: nothing is encoded, and so nothing copied, before the
 * output has room for it. Small units leave as one frame; large ones in fragments, taking turns.
 *
 * What is written is kept until the other side has acknowledged it, and may be written again: fields and
 * payload do not change before `onAcknowledged`.
 */
import { FrameType } from '../../wire/index.js';
import type { SendWindow } from '../flow/windows.js';

export abstract class Unit {
  type: number;
  flags: number;
  sessionId = 0;
  id = 0;
  /** Metadata fields but DEADLINE and TOTAL, which are written with the frame. */
  meta: Buffer;
  payload: Buffer;
  /** Octets of the payload that are written already. */
  written = 0;
  /** True once the first frame has been written. */
  started = false;
  /** The unit was given up before its first frame was written: no octet of it may leave. */
  isRevoked = false;
  /** The session's byte credit, for units that consume it. */
  window: SendWindow | undefined = undefined;

  constructor(type: number, flags: number, meta: Buffer, payload: Buffer) {
    this.type = type;
    this.flags = flags;
    this.meta = meta;
    this.payload = payload;
  }

  /** Whether it asks for something: then it leaves a reserve of credit to settlements, which end something. */
  get leavesReserve(): boolean {
    return this.type === FrameType.SEND || this.type === FrameType.ITEM;
  }

  /** Milliseconds for DEADLINE as of `now`; 0 where the unit bears none. */
  remaining(_now: number): number {
    return 0;
  }

  /** The first frame is written next, for the first time. `isWhole`: no other frame follows. */
  onStart(_now: number, _isWhole: boolean): void {
    // Only some units wait for that.
  }

  /** The last octet has been handed to the socket, for the first time. */
  abstract onWritten(): void;

  /** The other side has all of it. */
  abstract onAcknowledged(): void;
}

/** A frame that nobody waits for. */
export class ControlUnit extends Unit {
  constructor(type: number, sessionId: number, id: number, meta: Buffer, payload: Buffer) {
    super(type, 0, meta, payload);
    this.sessionId = sessionId;
    this.id = id;
  }

  onWritten(): void {
    // Nobody waits for it.
  }

  onAcknowledged(): void {
    // Nothing to release: the frame is its own.
  }
}

/** Milliseconds for DEADLINE: at least 1; 0 where there is none. [IC-10.1] */
export function remainingUntil(deadline: number, now: number): number {
  return deadline === Infinity ? 0 : Math.max(1, Math.ceil(deadline - now));
}
