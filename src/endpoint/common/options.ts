/**
 * The options of dialers and listeners. They are checked once, before a socket exists, and each error names the option.
 */
import {
  DEFAULT_LIMITS,
  DEFAULT_QUEUE_LIMITS,
  type Limits,
  type QueueLimits,
  type ThreadBudget,
} from '../../protocol/index.js';
import { MAX_AGENT } from '../../wire/index.js';
import { type Clock, systemClock } from './clock.js';
import { unsendableIn } from './bytes.js';
import { optionError } from './errors.js';
import { checkNetwork, type Network } from './network.js';
import { EndpointClock } from './endpoint-clock.js';
import { OUTSIDE, type Scope } from './scope.js';
import { checkInteger, checkObject } from './checks.js';
import { budgetFor } from './memory.js';

/** The limits that this side sets for the other side and for itself. Each limit has a default. None can be switched off. */
export interface EndpointLimits {
  /** Bytes of one frame's body, 16 KiB … 1 MiB. Larger messages are sent in fragments. Default 64 KiB. */
  maxFrameSize?: number | undefined;
  /** Bytes of one message that this side receives. Default 16 MiB. */
  maxMessageSize?: number | undefined;
  /** Sessions that the other side may have open at once. Default 1024. */
  maxSessions?: number | undefined;
  /** Messages per session that the other side may have unsettled. Default 256. */
  maxUnsettled?: number | undefined;
  /**
   * Items under way in one stream: the source is ahead of the reader by at most this number. Default 32.
   */
  maxItems?: number | undefined;
  /** Bytes under way in one session, 64 KiB … 1 GiB. Default 4 MiB. */
  sessionWindow?: number | undefined;
  /**
   * Bytes that one connection holds for handlers: from the first byte of a message until it is settled.
   * Default 64 MiB, or twice `maxMessageSize` if that is more.
   */
  connectionWindow?: number | undefined;
  /**
   * The number of messages of this side that may wait. A message waits if the other side gives no credit, or if 1 MiB
   * already waits because the other side does not read. Beyond this limit, a send fails with `IC_ERR_QUEUE_FULL`. Default
   * 16,384.
   */
  maxQueuedMessages?: number | undefined;
  /** Bytes of the messages that may wait. Default 64 MiB. */
  maxQueuedBytes?: number | undefined;
}

/** The options that dialers and listeners share. Durations are in milliseconds. */
export interface EndpointOptions extends EndpointLimits {
  /**
   * Bytes of memory that all connections of this thread may hold together, whichever listener or dialer they belong to;
   * at least `connectionWindow`. If they hold more, the connection that holds most is closed with `Code.CALM`. The
   * newest value that a listener or a dialer of the thread was given counts for all. Default: a quarter of V8's heap
   * limit, or the largest `connectionWindow` if that is more.
   */
  memoryLimit?: number | undefined;
  /** Milliseconds until a connection must be established. Default 10,000. */
  handshakeTimeout?: number | undefined;
  /**
   * Milliseconds until a session must be accepted or rejected, counted from the moment in which its OPEN is written to
   * a socket. Default 5,000; 0 = no limit.
   */
  sessionTimeout?: number | undefined;
  /**
   * Milliseconds until a message must be settled, or its streamed response must begin. Default 60,000; 0 = no limit.
   */
  messageTimeout?: number | undefined;
  /** Milliseconds of silence after which the other side counts as lost. Default 30,000; 0 = never; 1 to 999 count as 1000. */
  idleTimeout?: number | undefined;
  /** The name of this side, for the other side's logs; at most 128 bytes. */
  agent?: string | undefined;
  /** The source of sockets, instead of an address: a `MemoryNetwork`, for tests. */
  network?: Network | undefined;
  /** @internal A test's budget, instead of that of the thread. */
  budget?: ThreadBudget | undefined;
  /** @internal The clock of a test. */
  clock?: Clock | undefined;
  /** @internal The async scope of everything that lives longer than one call. */
  scope?: Scope | undefined;
}

/** @internal Options with every default filled in. */
export interface Settings {
  readonly limits: Limits;
  readonly queue: QueueLimits;
  /** What all connections of the thread may hold together. */
  readonly budget: ThreadBudget;
  readonly handshakeTimeout: number;
  readonly sessionTimeout: number;
  readonly messageTimeout: number;
  readonly agent: string;
  /** Undefined: the network of the system. */
  readonly network?: Network | undefined;
  readonly clock: EndpointClock;
  /** The async scope of everything that lives longer than one call. The clock's timers already run in this scope. */
  readonly scope: Scope;
}

/**
 * @internal `scope`: the async scope, unless the options have one.
 * @throws IC_ERR_OPTION naming the option, its value and its range.
 */
export function resolveOptions(options: EndpointOptions, scope: Scope = OUTSIDE): Settings {
  checkObject('The options', options);
  const { network } = options;
  if (network !== undefined) checkNetwork(network, options);
  const integer = (name: keyof EndpointOptions, fallback: number, from: number, to: number) =>
    checkInteger(name, options[name] ?? fallback, from, to);
  const maxMessage = integer('maxMessageSize', DEFAULT_LIMITS.maxMessage, 1, MAX_MESSAGE);
  const limits: Limits = {
    maxFrame: integer('maxFrameSize', DEFAULT_LIMITS.maxFrame, 16 * KIB, 1024 * KIB),
    maxMeta: DEFAULT_LIMITS.maxMeta,
    maxMessage,
    idle: integer('idleTimeout', DEFAULT_LIMITS.idle, 0, MAX_MILLISECONDS),
    sessions: integer('maxSessions', DEFAULT_LIMITS.sessions, 1, 2 ** 20),
    messages: integer('maxUnsettled', DEFAULT_LIMITS.messages, 1, 2 ** 20),
    sessionBytes: integer('sessionWindow', DEFAULT_LIMITS.sessionBytes, 64 * KIB, MAX_BYTES),
    connectionBytes: integer(
      'connectionWindow',
      Math.min(MAX_BYTES, Math.max(DEFAULT_LIMITS.connectionBytes, 2 * maxMessage)),
      64 * KIB,
      MAX_BYTES,
    ),
    items: integer('maxItems', DEFAULT_LIMITS.items, 1, 2 ** 20),
  };
  checkWindows(limits);
  const agent = options.agent ?? '';
  if (typeof agent !== 'string' || Buffer.byteLength(agent) > MAX_AGENT || unsendableIn(agent)) {
    throw optionError(
      `agent must be a string of at most ${MAX_AGENT} bytes without U+0000 and halves of surrogate pairs.`,
    );
  }
  return {
    limits,
    queue: {
      messages: integer('maxQueuedMessages', DEFAULT_QUEUE_LIMITS.messages, 0, 2 ** 30),
      bytes: integer('maxQueuedBytes', DEFAULT_QUEUE_LIMITS.bytes, 0, 2 ** 40),
    },
    budget: budgetFor(options, limits.connectionBytes),
    handshakeTimeout: integer('handshakeTimeout', 10_000, 1, MAX_MILLISECONDS),
    sessionTimeout: integer('sessionTimeout', 5_000, 0, MAX_MILLISECONDS),
    messageTimeout: integer('messageTimeout', 60_000, 0, MAX_MILLISECONDS),
    agent,
    network,
    clock: new EndpointClock(options.clock ?? systemClock, options.scope ?? scope),
    scope: options.scope ?? scope,
  };
}

/**
 * @internal Returns the deadline for a timeout in milliseconds; 0 = no limit. `fallback` counts if there is no timeout.
 * @throws IC_ERR_OPTION
 */
export function deadlineOf(timeout: number | undefined, fallback: number, now: number): number {
  if (timeout === undefined) return fallback === 0 ? Infinity : now + fallback;
  checkInteger('timeout', timeout, 0, MAX_MILLISECONDS);
  return timeout === 0 ? Infinity : now + timeout;
}

function checkWindows({ maxFrame, maxMessage, sessionBytes, connectionBytes }: Limits): void {
  if (sessionBytes < maxFrame) {
    throw optionError(
      `sessionWindow (${sessionBytes}) must be at least maxFrameSize (${maxFrame}), or a frame never fits.`,
    );
  }
  const beside = Math.max(maxFrame, BESIDE_MESSAGE);
  if (connectionBytes < maxMessage + beside) {
    throw optionError(
      `connectionWindow (${connectionBytes}) must be at least ${maxMessage + beside}, which is ` +
        `maxMessageSize (${maxMessage}) and ${beside} more: a message is held until it is whole.`,
    );
  }
}

const KIB = 1024;
const MAX_BYTES = 2 ** 30;
/** Bytes that a window needs beside a message, for the message's fields and a small settlement. */
const BESIDE_MESSAGE = 32 * KIB;
/** The largest value of maxMessageSize: a window must hold a message and one more frame. */
const MAX_MESSAGE = MAX_BYTES - 1024 * KIB;
const MAX_MILLISECONDS = 2 ** 31 - 1;
