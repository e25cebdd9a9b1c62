/**
 * Checks the output of a machine with the naive codec, for any input: each flush has complete, legal frames within
 * the other side's limits, CLOSE is the last frame, and no message is settled twice.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import { type Frame, type FrameLimits, FrameType, isSequenced } from '../../src/wire/index.js';
import { naiveDecode } from '../support/codec/naive-codec.js';

const PREFACE = Buffer.from('f1494e54430d0a01', 'hex');
const HEADER = 16;
/** The limits that hold for each reader before the handshake is over. */
const GREETING_LIMITS: FrameLimits = { maxFrame: 16_384, maxMeta: 8192 };
const REPLY = 0x02;

export class OutputCheck {
  #hasPreface = false;
  #isClosed = false;
  readonly #settled = new Set<string>();
  /** Sequenced frames, and octets of their payloads. A frame that is written again counts once. */
  #frames = 0;
  #octets = 0;
  #hasRenewed = false;
  /** Whether message ids wrap around. If so, an id may be settled again. */
  readonly #idsWrap: boolean;

  constructor(idsWrap: boolean) {
    this.#idsWrap = idsWrap;
  }

  /**
   * Begins another socket. The last `missing` written frames are written again, unless they are acknowledged. Returns
   * the number of frames that have arrived.
   */
  renew(missing: number, acknowledged: number): number {
    this.#frames = Math.max(Math.min(this.#frames, acknowledged), this.#frames - missing);
    this.#hasPreface = this.#isClosed = false;
    this.#hasRenewed = true;
    return this.#frames;
  }

  /** An upper bound, in octets of heap, for keeping the frames after the first `acknowledged` ones. */
  keptAfter(acknowledged: number): number {
    return acknowledged >= this.#frames ? 0 : 1000 * (this.#frames - acknowledged) + this.#octets;
  }

  /** `limits`: the limits of the reader, if they are known. @throws Error if the output breaks a rule */
  push(chunks: readonly Buffer[], limits: FrameLimits = GREETING_LIMITS): void {
    let bytes = Buffer.concat(chunks);
    if (bytes.length === 0) return;
    if (!this.#hasPreface) {
      if (!bytes.subarray(0, 8).equals(PREFACE)) throw new Error('It wrote no preface first.');
      bytes = bytes.subarray(8);
      this.#hasPreface = true;
    }
    const { frames, fault } = naiveDecode(bytes, limits.maxFrame, limits.maxMeta);
    if (fault !== undefined) {
      throw new Error(`It wrote a frame that is refused with 0x${fault.toString(16)}.`);
    }
    let end = 0;
    for (const frame of frames) {
      end += HEADER + bytes.readUInt32BE(end + 4);
      this.#onFrame(frame);
    }
    if (end !== bytes.length) throw new Error('It wrote a part of a frame.');
  }

  #onFrame({ type, flags, session, id, payload }: Frame): void {
    if (isSequenced(type)) {
      this.#frames += 1;
      this.#octets += payload.length;
    }
    if (this.#isClosed) throw new Error(`It wrote a frame of type ${type} after CLOSE.`);
    if (type === FrameType.CLOSE) this.#isClosed = true;
    if ((type !== FrameType.ACCEPT && type !== FrameType.REJECT) || this.#idsWrap) return;
    // A frame that is written again does not settle its message again.
    if (this.#hasRenewed) return;
    if ((flags & REPLY) === 0) throw new Error('It wrote a settlement without REPLY.');
    const key = `${session} ${id}`;
    if (this.#settled.has(key)) throw new Error(`It settled message ${id} of ${session} twice.`);
    this.#settled.add(key);
  }
}

/** @throws Error if two readings of the same octets differ */
export function expectSame(what: string, real: unknown, naive: unknown): void {
  if (isDeepStrictEqual(real, naive)) return;
  const show = (value: unknown): string => inspect(value, { depth: 5 }).slice(0, 300);
  throw new Error(`${what}: ${show(real)}, and the naive codec says ${show(naive)}.`);
}
