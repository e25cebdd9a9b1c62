/** The limits that one side announces in HELLO or WELCOME. */
import type { Meta } from '../../wire/index.js';

/** The limits. Absent fields have their default values. */
export interface Limits {
  readonly maxFrame: number;
  readonly maxMeta: number;
  readonly maxMessage: number;
  readonly idle: number;
  readonly opens: number;
  readonly bytes: number;
  readonly messages: number;
  readonly sessionBytes: number;
  /** Items per stream. */
  readonly items: number;
  /** L of PROTOCOL.md, §5.1. The receiver must, now or later, have credit for a body of L octets. */
  readonly small: number;
  /** The largest payload that the side accepts in one message: PROTOCOL.md, §5.1. */
  readonly effectiveMaxMessage: number;
}

/** Reads a HELLO or WELCOME that has all required fields. */
export function limitsOf(meta: Meta): Limits {
  const { maxFrame = 0, maxMeta = 8192, maxMessage = 16_777_216, idle = 0 } = meta;
  const { opens = 0, bytes = 0 } = meta.connectionCredit ?? {};
  const { messages = 0, bytes: sessionBytes = 0, items = 0 } = meta.sessionCredit ?? {};
  const small = Math.min(maxFrame, 8192 + maxMeta + 7);
  const effectiveMaxMessage = Math.min(maxMessage, bytes - small - maxMeta - 11);
  return {
    maxFrame,
    maxMeta,
    maxMessage,
    idle,
    opens,
    bytes,
    messages,
    sessionBytes,
    items,
    small,
    effectiveMaxMessage,
  };
}

/**
 * The limits that the suite announces unless a case says otherwise: large enough for every case, and without IDLE.
 */
export const GENEROUS: Meta = {
  maxFrame: 65_536,
  maxMessage: 16_777_216,
  idle: 0,
  caps: 0,
  connectionCredit: { opens: 1024, bytes: 2 ** 28 },
  sessionCredit: { messages: 1024, bytes: 2 ** 26, items: 1024 },
  agent: 'interconnect conformance',
  maxMeta: 8192,
};

/** The least frame size and the least session credit that a side may announce: 16 KiB, and twice that size. */
export const NARROW: Meta = {
  ...GENEROUS,
  maxFrame: 16_384,
  connectionCredit: { opens: 1024, bytes: 2 ** 28 },
  sessionCredit: { messages: 1024, bytes: 32_768, items: 1024 },
};
