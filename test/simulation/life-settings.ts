/** Chooses the network, the limits and the times of a random life. */
import type { Limits } from '../../src/protocol/index.js';
import { MAX_ID } from '../../src/wire/index.js';
import type { Random } from '../support/random.js';
import type { Network } from './virtual-socket.js';
import type { WorldSettings } from './world.js';

/** Octets of messages that may wait for credit at each end. */
export const QUEUE_BYTES = 400_000;

export function randomSettings(random: Random): WorldSettings {
  return {
    network: randomNetwork(random),
    dialer: { limits: randomLimits(random), queue: randomQueue(random) },
    listener: { limits: randomLimits(random), queue: randomQueue(random) },
    resumeTimeout: random.chance(0.15) ? random.integer(20, 3000) : 100_000,
    handshakeTimeout: 5000,
    // In some lives, message ids wrap around.
    lastId: random.chance(0.1) ? MAX_ID - random.integer(0, 5) : 0,
    reconnect: {
      minDelay: random.integer(1, 60),
      maxDelay: random.pick([60, 60, 1000])!,
      attempts: random.chance(0.1) ? random.integer(1, 4) : Infinity,
      firstAttempts: random.chance(0.1) ? random.integer(1, 4) : Infinity,
      comesBack: random.chance(0.97),
      startDelay: random.chance(0.1) ? random.integer(1, 50) : 0,
    },
    whenOffline: random.pick([Infinity, Infinity, 0, 100, 1000])!,
    providing: () => (random.chance(0.9) ? 0 : random.integer(1, 40)),
    judging: () => (random.chance(0.8) ? 0 : random.integer(1, 40)),
  };
}

function randomNetwork(random: Random): Network {
  const slow = random.pick([0, 1, 10, 60])!;
  const largest = random.pick([1, 40, 1500, 70_000])!;
  return {
    latency: () => random.next() * slow,
    chunk: (available) =>
      // Chunks of one octet would take too long if many octets are available.
      largest < 1500 && available > 400 ? random.integer(1, available) : random.integer(1, largest),
    capacity: random.pick([2000, 20_000, Infinity])!,
    room: random.pick([1, 5000, Infinity, Infinity])!,
    takesAtOnce: random.chance(0.5),
  };
}

function randomLimits(random: Random): Partial<Limits> {
  const maxFrame = 16_384;
  const maxMessage = random.pick([1000, 9000, 30_000])!;
  return {
    maxFrame,
    items: random.integer(1, 6),
    maxMeta: 2048,
    maxMessage,
    idle: random.pick([0, 900, 5000])!,
    sessions: random.integer(1, 5),
    messages: random.integer(1, 6),
    sessionBytes: random.pick([22_000, 65_536])!,
    connectionBytes: maxMessage + maxFrame * random.integer(2, 6),
  };
}

function randomQueue(random: Random): { messages: number; bytes: number } {
  return { messages: random.pick([4, 1000])!, bytes: QUEUE_BYTES };
}
