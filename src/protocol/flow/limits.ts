/** The limits of one side. HELLO or WELCOME announces them once, and they hold for the whole connection. */
import { Code, DEADLINE_LENGTH, type Meta, ProtocolError, TOTAL_LENGTH } from '../../wire/index.js';
import { MAX_WINDOW } from './windows.js';

/**
 * Octets of the largest payload of a small unit. The frame writer copies such a payload into its slab. The output
 * writes small units in the order of their sending. The windows keep a reserve for one small unit.
 */
export const LARGEST_SMALL_PAYLOAD = 8 * 1024;

export interface Limits {
  /** Octets of one frame's body. */
  readonly maxFrame: number;
  /** Octets of one frame's metadata fields. */
  readonly maxMeta: number;
  /** Octets of one message's payload. */
  readonly maxMessage: number;
  /** Milliseconds of silence after which this side gives the peer up; 0 = never. */
  readonly idle: number;
  /** Sessions that the peer may have open at once. */
  readonly sessions: number;
  /** Octets of messages that this side holds for its handlers, over all sessions. */
  readonly connectionBytes: number;
  /** Unsettled messages in one session. */
  readonly messages: number;
  /** Octets on their way in one session. */
  readonly sessionBytes: number;
  /** Items on their way in one stream. */
  readonly items: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxFrame: 64 * 1024,
  maxMeta: 8 * 1024,
  maxMessage: 16 * 1024 * 1024,
  idle: 30_000,
  sessions: 1024,
  connectionBytes: 64 * 1024 * 1024,
  messages: 256,
  sessionBytes: 4 * 1024 * 1024,
  items: 32,
};

export function limitsToMeta(limits: Limits): Meta {
  return {
    maxFrame: limits.maxFrame,
    maxMessage: limits.maxMessage,
    idle: limits.idle,
    connectionCredit: { opens: limits.sessions, bytes: limits.connectionBytes },
    sessionCredit: {
      messages: limits.messages,
      bytes: limits.sessionBytes,
      items: limits.items,
    },
    maxMeta: limits.maxMeta,
  };
}

/** Reads the peer's limits. A limit that the peer leaves out has its default. @throws ProtocolError META */
export function limitsFromMeta(meta: Meta): Limits {
  const { connectionCredit, sessionCredit, maxFrame } = meta;
  if (connectionCredit === undefined || sessionCredit === undefined || maxFrame === undefined) {
    throw new ProtocolError(Code.META, 'The handshake lacks MAX_FRAME or the initial credit.');
  }
  const maxMeta = meta.maxMeta ?? DEFAULT_LIMITS.maxMeta;
  const frame = { maxFrame, maxMeta };
  checkCredit(sessionCredit, frame);
  checkWindow(connectionCredit.bytes, frame);
  const maxMessage = meta.maxMessage ?? DEFAULT_LIMITS.maxMessage;
  const fields = maxMeta + TOTAL_LENGTH;
  return {
    maxFrame,
    maxMeta,
    // The receiver holds a message until it is whole. A message that does not fit beside the reserve must not begin.
    maxMessage: Math.min(maxMessage, connectionCredit.bytes - largestSmall(frame) - fields),
    idle: meta.idle ?? 0,
    sessions: connectionCredit.opens,
    connectionBytes: connectionCredit.bytes,
    messages: sessionCredit.messages,
    sessionBytes: sessionCredit.bytes,
    items: sessionCredit.items,
  };
}

type SessionCredit = NonNullable<Meta['sessionCredit']>;

/** @throws ProtocolError META if the credit is too small for a frame, or a value of it is too large. */
export function checkCredit(credit: SessionCredit, peer: FrameSize): void {
  checkWindow(credit.bytes, peer);
  checkCeiling(credit);
}

/** @throws ProtocolError META if a value is larger than serial arithmetic can compare. [IC-6.6] */
export function checkCeiling(credit: SessionCredit): void {
  for (const [unit, value] of Object.entries(credit)) {
    if (value <= MAX_WINDOW) continue;
    const text = `A SESSION_CREDIT of ${value} ${unit} exceeds the largest one, ${MAX_WINDOW}.`;
    throw new ProtocolError(Code.META, text);
  }
}

/**
 * Octets of a byte credit that requests leave to settlements. A request holds its credit until it is settled. If
 * requests held all credit, no response with data could leave. Two sides that wait for each other's responses would
 * then wait for ever.
 */
export function reserveOf(bytes: number, peer: Limits): number {
  const largest = largestSmall(peer);
  return Math.min(largest, bytes - largest);
}

/** Octets of the largest body of a small frame. */
function largestSmall({ maxFrame, maxMeta }: FrameSize): number {
  return Math.min(maxFrame, LARGEST_SMALL_PAYLOAD + maxMeta + DEADLINE_LENGTH);
}

/** The reserve of the connection's byte credit, which must also have room for a whole message. */
export function connectionReserveOf(peer: Limits): number {
  const message = peer.maxMessage + peer.maxMeta + TOTAL_LENGTH;
  return Math.min(reserveOf(peer.connectionBytes, peer), peer.connectionBytes - message);
}

/** Checks that a window has room for the largest frame, and for two small ones: a request and a settlement. */
function checkWindow(bytes: number, peer: FrameSize): void {
  const least = Math.max(peer.maxFrame, 2 * largestSmall(peer));
  // [IC-6.5]
  if (bytes < least || bytes > MAX_WINDOW) {
    throw new ProtocolError(
      Code.META,
      `A credit of ${bytes} bytes must be at least ${least} with frames of ${peer.maxFrame}, and at ` +
        `most ${MAX_WINDOW}.`,
    );
  }
}

type FrameSize = Pick<Limits, 'maxFrame' | 'maxMeta'>;
