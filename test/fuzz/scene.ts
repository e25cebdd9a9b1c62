/**
 * The scene of a machine's life, decoded from the first octets of an input: the limits of both sides, the kind of
 * application, and its actions before the first octet arrives.
 */
import type { Limits } from '../../src/protocol/index.js';
import { MAX_ID } from '../../src/wire/index.js';

export const SCENE_LENGTH = 8;

export interface Scene {
  readonly own: Partial<Limits>;
  readonly peer: Limits;
  /** The id before the id of the first message. */
  readonly lastId: number;
  readonly queue: { readonly messages: number; readonly bytes: number };
  /** `sessions`: sessions that the machine opens at once. `sends`: the messages that it sends in each of them. */
  readonly sessions: number;
  readonly sends: readonly { readonly size: number; readonly oneWay: boolean }[];
  /** Milliseconds until the messages time out. */
  readonly timeout: number;
  /** Whether the connection can outlive its sockets. */
  readonly canResume: boolean;
  readonly ending: 'lose' | 'close' | 'time' | 'close with data';
  /** Whether a flooding peer reads none of the output. */
  readonly isDeaf: boolean;
  /** The side under test, if the target leaves it open. */
  readonly role: 'dialer' | 'listener';
  /** The application's decision about HELLO, if the input contains HELLO. */
  readonly judgement: 'accept' | 'refuse' | 'wait' | 'close';
}

export function sceneOf(bytes: Buffer): Scene {
  const at = (index: number): number => bytes[index] ?? 0;
  const sends = SENDS.slice(0, at(5) % (SENDS.length + 1));
  return {
    own: limitsOf(at(0), at(1)),
    peer: limitsOf(at(2), at(3)),
    lastId: lastIdOf(bytes),
    queue: (at(4) & 1) === 0 ? { messages: 1000, bytes: 1_000_000 } : { messages: 2, bytes: 9000 },
    sessions: at(6) % 4,
    sends,
    timeout: at(5) > 127 ? 40 : Infinity,
    canResume: (at(6) & 64) !== 0,
    ending: ENDINGS[at(7) & 3]!,
    isDeaf: (at(7) & 32) !== 0,
    role: (at(7) & 4) === 0 ? 'listener' : 'dialer',
    judgement: JUDGEMENTS[(at(7) >> 3) & 3]!,
  };
}

/** In some scenes, message ids wrap around. */
export function lastIdOf(bytes: Buffer): number {
  const octet = bytes[4] ?? 0;
  return octet < 224 ? 0 : MAX_ID - (octet & 3);
}

function limitsOf(first: number, second: number): Limits {
  const maxFrame = [16_384, 65_536, 20_000, 1_000_000][first & 3]!;
  const maxMessage = [50_000, 1000, 150_000, 16 * 1024 * 1024][(first >> 2) & 3]!;
  return {
    maxFrame,
    maxMeta: [8192, 2048][(first >> 4) & 1]!,
    maxMessage,
    idle: [0, 30_000, 3000, 60_000][(first >> 5) & 3]!,
    sessions: [8, 1, 3, 1024][second & 3]!,
    messages: [8, 1, 3, 256][(second >> 2) & 3]!,
    sessionBytes: 2 * maxFrame * (1 + ((second >> 4) & 3)),
    connectionBytes: maxMessage + maxFrame * (2 + ((second >> 6) & 3)),
    items: 4,
  };
}

const SENDS = [
  { size: 4, oneWay: false },
  { size: 0, oneWay: false },
  { size: 20_000, oneWay: false },
  { size: 8192, oneWay: true },
  { size: 40_000, oneWay: true },
  { size: 8193, oneWay: false },
] as const;
const ENDINGS = ['lose', 'close', 'time', 'close with data'] as const;
const JUDGEMENTS = ['accept', 'refuse', 'wait', 'close'] as const;
