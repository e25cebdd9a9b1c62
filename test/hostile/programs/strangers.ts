/** Strangers: sockets that do not speak the protocol, or stop before they are connections. */
import { encodePreface, FrameType } from '../../../src/wire/index.js';
import { frame, GREETING, rawFrame, type HostilePeer } from '../hostile-peer.js';
import { CORE, NEST, type Program, type Scene, type ServerSetting } from '../program.js';

/** Strangers of one kind, each on a socket of its own, one after the other. */
const MOST_SOCKETS = 300;
const HASTY: ServerSetting = { ...NEST, handshakeTimeout: 700 };

type Words = (scene: Scene) => Buffer | string;

const WORDS: readonly (readonly [name: string, about: string, words: Words, expect?: string])[] = [
  ['stranger-http', 'sends a request of HTTP', () => 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  [
    'stranger-tls',
    'begins TLS at a port without it',
    () => Buffer.from('16030100c8010000c40303', 'hex'),
  ],
  ['stranger-ssh', 'sends the banner of SSH', () => 'SSH-2.0-OpenSSH_9.6\r\n'],
  ['stranger-amqp', 'sends the header of AMQP', () => 'AMQP\0\x01\0\0'],
  [
    'stranger-proxy',
    'claims another address by a PROXY header',
    () => 'PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n',
  ],
  [
    'stranger-random',
    'sends random octets',
    (scene) => Buffer.from(Array.from({ length: 512 }, () => scene.random(240))),
  ],
  ['stranger-cr', 'sends a preface without its CR', () => Buffer.from('f1494e54430a01', 'hex')],
  ['version-0', 'offers version 0', () => encodePreface(0), 'CLOSE(VERSION)'],
  [
    'hello-large',
    'announces a HELLO of 16 MiB',
    () =>
      Buffer.concat([
        encodePreface(),
        rawFrame({ type: FrameType.HELLO, metaLength: 0, bodyLength: 0xffffff }),
      ]),
    'CLOSE(FRAME_SIZE)',
  ],
  [
    'hello-empty',
    'sends a HELLO without a field',
    () => Buffer.concat([encodePreface(), rawFrame({ type: FrameType.HELLO })]),
    'CLOSE(META)',
  ],
  [
    'hello-small-credit',
    'announces less credit than a frame needs',
    () =>
      Buffer.concat([
        encodePreface(),
        frame({
          type: FrameType.HELLO,
          meta: { ...GREETING, connectionCredit: { opens: 1, bytes: 1 } },
        }),
      ]),
    'CLOSE(META)',
  ],
  [
    'ping-first',
    'sends PING instead of HELLO',
    () => Buffer.concat([encodePreface(), frame({ type: FrameType.PING, id: 1 })]),
    'CLOSE(STATE)',
  ],
];

/** Opens sockets until the time is over, and says the reaction of all of them, or the first that differs. */
export async function eachSocket(
  scene: Scene,
  talk: (peer: HostilePeer) => Promise<string>,
  most = MOST_SOCKETS,
): Promise<string> {
  let first: string | undefined;
  for (let count = 0; count < most && !scene.isOver; count++) {
    const reaction = await talk(await scene.dial());
    first ??= reaction;
    if (reaction !== first) return `${first}, then ${reaction}`;
  }
  return first ?? 'no socket';
}

/** Many sockets at once that say nothing more, and the reaction that they have in common. */
async function silent(scene: Scene, count: number, ...words: Buffer[]): Promise<string> {
  const peers = await Promise.all(Array.from({ length: count }, () => scene.dial()));
  for (const peer of peers) peer.write(...words);
  const reactions = await Promise.all(peers.map((peer) => peer.reactionWithin(5000)));
  return [...new Set(reactions)].join(', ');
}

const PREFACE = encodePreface();
const HALF_HELLO = frame({ type: FrameType.HELLO, meta: GREETING }).subarray(0, 30);

export const strangers: readonly Program[] = [
  ...WORDS.map(([name, about, words, expect = 'DROP']): Program => ({
    name,
    about,
    victim: name.startsWith('stranger') ? CORE : NEST,
    expect,
    attack: (scene) =>
      eachSocket(scene, (peer) => {
        peer.write(words(scene));
        return peer.reactionWithin(3000);
      }),
  })),
  {
    name: 'scan',
    about: 'opens sockets and resets them, as a port scan does',
    victim: NEST,
    expect: 'served',
    attack: async (scene) => {
      for (let count = 0; count < 2000 && !scene.isOver; count++) {
        const peer = await scene.dial();
        peer.socket.resetAndDestroy();
      }
      return 'served';
    },
  },
  {
    name: 'mute-sockets',
    about: 'holds 300 sockets, and says nothing',
    victim: HASTY,
    expect: 'DROP',
    attack: (scene) => silent(scene, 300),
  },
  {
    name: 'half-preface',
    about: 'holds 300 sockets with half a preface',
    victim: HASTY,
    expect: 'DROP',
    attack: (scene) => silent(scene, 300, PREFACE.subarray(0, 4)),
  },
  {
    name: 'half-hello',
    about: 'holds 200 sockets with half a HELLO',
    victim: HASTY,
    expect: 'CLOSE(HANDSHAKE_TIMEOUT)',
    attack: (scene) => silent(scene, 200, PREFACE, HALF_HELLO),
  },
  {
    name: 'trickle-preface',
    about: 'sends a preface and a HELLO octet by octet',
    victim: HASTY,
    expect: /^(DROP|CLOSE\(HANDSHAKE_TIMEOUT\))$/,
    attack: async (scene) => {
      const peer = await scene.dial();
      const octets = Buffer.concat([PREFACE, HALF_HELLO]);
      for (let at = 0; at < octets.length && !peer.isGone; at++) {
        peer.write(octets.subarray(at, at + 1));
        await peer.reactionWithin(60);
      }
      return peer.reactionWithin(3000);
    },
  },
  {
    name: 'exhaust-mute',
    about: 'opens 5000 sockets from one address, and says nothing',
    victim: NEST,
    budget: 64,
    expect: 'served',
    attack: (scene) => exhaust(scene, 5000, () => undefined),
  },
  {
    name: 'exhaust-handshake',
    about: 'begins 5000 handshakes from one address, and finishes none',
    victim: NEST,
    budget: 64,
    expect: 'served',
    attack: (scene) => exhaust(scene, 5000, (peer) => peer.write(PREFACE)),
  },
  {
    name: 'exhaust-idle',
    about: 'makes 5000 connections from one address, and opens no session',
    victim: NEST,
    budget: 64,
    expect: 'served',
    attack: (scene) => exhaust(scene, 5000, (peer) => peer.greet()),
  },
];

/** Opens sockets in rounds of 50. Takes longer than other attacks on a slow machine: the count is what matters. */
async function exhaust(
  scene: Scene,
  count: number,
  talk: (peer: HostilePeer) => void,
): Promise<string> {
  for (let made = 0; made < count && scene.left > -LONGER; made += 50) {
    const peers = await Promise.all(Array.from({ length: 50 }, () => scene.dial()));
    for (const peer of peers) talk(peer);
  }
  // Newcomers come each quarter of a second. They need a chance to be refused.
  await new Promise((resolve) => setTimeout(resolve, 600));
  return 'served';
}

/** Milliseconds. */
const LONGER = 6000;
