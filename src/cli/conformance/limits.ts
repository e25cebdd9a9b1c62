/** What one side announced in HELLO or WELCOME. */
import type { Meta } from '../../wire/index.js';

/** The fields, with what counts for those that are absent. */
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
  /** L of PROTOCOL.md, §5.1: a body of that size always has room, now or later. */
  readonly small: number;
  /** The largest unit that it takes: PROTOCOL.md, §5.1. */
  readonly effectiveMaxMessage: number;
}

/** Reads the fields of a HELLO or WELCOME that has those it needs. */
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

/** What the suite announces where a case does not say otherwise: enough for everything, and no IDLE. */
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

/** The least that a side may announce: frames of 16 KiB, and twice that as credit. */
export const NARROW: Meta = {
  ...GENEROUS,
  maxFrame: 16_384,
  connectionCredit: { opens: 1024, bytes: 2 ** 28 },
  sessionCredit: { messages: 1024, bytes: 32_768, items: 1024 },
};
