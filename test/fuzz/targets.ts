/** The targets of the fuzzer. For a new target, add an entry. */
import { invalidFrames, invalidHeaders, validFrames } from '../vectors/vectors.js';
import { runDecoder } from './decoder-target.js';
import { octets } from './input.js';
import { machine } from './machine-target.js';
import type { Target } from './target.js';

const PREFACE = Buffer.from('f1494e54430d0a01', 'hex');

function decoder(): Target {
  return {
    name: 'decoder',
    mutator: { parity: 1, hasActs: false, hasFloods: false, lastId: () => 0 },
    seeds: (random) => [
      ...[...validFrames, ...invalidFrames, ...invalidHeaders].map(({ bytes }) => ({
        scene: random.bytes(1),
        parts: [octets(PREFACE), octets(bytes)],
      })),
      ...['GET / HTTP/1.1', 'HTTP/1.1 400', 'SSH-2.0-x', 'AMQP', '\x16\x03\x01'].map((text) => ({
        scene: Buffer.alloc(1),
        parts: [octets(Buffer.from(text, 'latin1'))],
      })),
    ],
    run: runDecoder,
  };
}

export const targets: readonly Target[] = [
  decoder(),
  machine('handshake', 'either', { isGreeted: false }),
  machine('listener', 'listener', {}),
  machine('dialer', 'dialer', {}),
  machine('listener-application', 'listener', { hasActs: true }),
  machine('dialer-application', 'dialer', { hasActs: true }),
];
