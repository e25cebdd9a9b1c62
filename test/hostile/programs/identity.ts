/** Identity: tokens, TLS and resumes of those who are not who they say. */
import { randomBytes } from 'node:crypto';
import { codeName, FrameType } from '../../../src/wire/index.js';
import type { HostilePeer } from '../hostile-peer.js';
import { atMost, CORE, NEST, type Program, type Scene } from '../program.js';
import { eachSocket } from './strangers.js';

const TLS = { ...NEST, tls: 'server', handshakeTimeout: 800 } as const;
const MUTUAL = { ...CORE, tls: 'mutual', handshakeTimeout: 800 } as const;
const HONEST = { data: 'honest' };
const ALPN = ['intc/1'];
/** A refusal can take several forms: an alert of TLS, a reset, or no octet at all. */
const REFUSED = /^(DROP|LOST)$/;

/** What WELCOME or CLOSE said. */
function greetingOf(peer: HostilePeer): string {
  const welcome = peer.newest.get(FrameType.WELCOME);
  if (welcome === undefined) return peer.reaction;
  return `WELCOME(${codeName(welcome.meta.code ?? 0)})`;
}

/** A dialer with TLS that does the handshake of the protocol as well, and what became of it. */
async function withTls(scene: Scene, tls: object): Promise<string> {
  const peer = await scene.open({}, { tls: { rejectUnauthorized: false, ...tls } });
  const greeting = greetingOf(peer);
  return greeting.startsWith('WELCOME') ? greeting : peer.reactionWithin(2000);
}

async function guess(scene: Scene, count: number): Promise<string> {
  const seen = new Set<string>();
  while (!scene.isOver) {
    const peers = await Promise.all(
      Array.from({ length: count }, () => scene.open({}, { data: randomBytes(9).toString('hex') })),
    );
    for (const peer of peers) {
      if (peer.count(FrameType.WELCOME) > 0) seen.add('WELCOME');
      peer.socket.destroy();
    }
  }
  return seen.size === 0 ? 'refused' : 'let in';
}

export const identity: readonly Program[] = [
  {
    name: 'brute-force',
    about: 'guesses a token, 20 at a time',
    victim: { ...NEST, authenticate: 'token' },
    honest: HONEST,
    expect: 'refused',
    judge: atMost({ hooks: 200, mostHooks: 64 }),
    attack: (scene) => guess(scene, 20),
  },
  {
    name: 'hook-concurrency',
    about: '1000 handshakes at once, whose judgement takes a second',
    victim: { ...NEST, authenticate: 'slow' },
    honest: HONEST,
    budget: 32,
    expect: 'served',
    judge: atMost({ mostHooks: 80 }),
    attack: async (scene) => {
      const peers = await Promise.all(
        Array.from({ length: 1000 }, (_, index) =>
          scene.dial({ from: `127.0.1.${1 + (index % 100)}` }),
        ),
      );
      for (const peer of peers) peer.greet();
      await peers[0]?.reactionWithin(scene.left);
      return 'served';
    },
  },
  {
    name: 'resume-guess',
    about: 'resumes with tokens that nobody gave',
    victim: NEST,
    budget: 32,
    expect: /^(WELCOME\(RESUME_UNKNOWN\)|CLOSE\(OVERLOADED\))(, then (CLOSE\(OVERLOADED\)|DROP))?$/,
    attack: (scene) =>
      eachSocket(scene, async (peer) => {
        peer.greet({ meta: { caps: 1, resume: { token: randomBytes(32), received: 0 } } });
        await Promise.race([peer.frame(FrameType.WELCOME), peer.reactionWithin(2000)]);
        const greeting = greetingOf(peer);
        peer.socket.destroy();
        return greeting;
      }),
  },
  {
    name: 'evict-resumes',
    about:
      'connects and resets from one address, as often as it can, while an honest client must resume',
    victim: NEST,
    budget: 128,
    honest: { losesSockets: true },
    expect: 'served',
    attack: async (scene) => {
      while (!scene.isOver) {
        const peers = await Promise.all(Array.from({ length: 40 }, () => scene.open({ caps: 1 })));
        for (const peer of peers) peer.socket.resetAndDestroy();
      }
      return 'served';
    },
  },
  {
    name: 'tls-mute',
    about: 'holds 200 sockets at a TLS port, and says nothing',
    victim: TLS,
    budget: 16,
    expect: 'DROP',
    attack: async (scene) => {
      const peers = await Promise.all(Array.from({ length: 200 }, () => scene.dial()));
      const reactions = await Promise.all(peers.map((peer) => peer.reactionWithin(5000)));
      return [...new Set(reactions)].join(', ');
    },
  },
  {
    name: 'tls-half',
    about: 'holds 100 sockets at a TLS port with half a ClientHello',
    victim: TLS,
    budget: 16,
    expect: REFUSED,
    attack: async (scene) => {
      const peers = await Promise.all(Array.from({ length: 100 }, () => scene.dial()));
      for (const peer of peers) peer.write(Buffer.from('16030100c8010000c40303', 'hex'));
      const reactions = await Promise.all(peers.map((peer) => peer.reactionWithin(5000)));
      return [...new Set(reactions)].join(', ');
    },
  },
  {
    name: 'tls-trickle',
    about: 'sends a ClientHello octet by octet',
    victim: TLS,
    expect: REFUSED,
    attack: async (scene) => {
      const peer = await scene.dial();
      const octets = Buffer.from(`16030100c8010000c40303${'00'.repeat(60)}`, 'hex');
      for (let at = 0; at < octets.length && !peer.isGone; at++) {
        peer.write(octets.subarray(at, at + 1));
        await peer.reactionWithin(50);
      }
      return peer.reactionWithin(3000);
    },
  },
  {
    name: 'tls-plain',
    about: 'speaks the protocol without TLS at a TLS port',
    victim: TLS,
    expect: 'DROP',
    attack: (scene) =>
      eachSocket(scene, (peer) => {
        peer.greet();
        return peer.reactionWithin(3000);
      }),
  },
  {
    name: 'tls-1.2',
    about: 'offers TLS 1.2 only',
    victim: TLS,
    expect: REFUSED,
    attack: (scene) => withTls(scene, { maxVersion: 'TLSv1.2', ALPNProtocols: ALPN }),
  },
  {
    name: 'tls-no-alpn',
    about: 'offers no ALPN',
    victim: TLS,
    expect: REFUSED,
    attack: (scene) => withTls(scene, {}),
  },
  {
    name: 'tls-alpn-other',
    about: 'offers another protocol by ALPN',
    victim: TLS,
    expect: REFUSED,
    attack: (scene) => withTls(scene, { ALPNProtocols: ['h2'] }),
  },
  {
    name: 'tls-no-certificate',
    about: 'has no certificate where one is asked for',
    victim: MUTUAL,
    expect: REFUSED,
    attack: (scene) => withTls(scene, { ALPNProtocols: ALPN }),
  },
  {
    name: 'tls-strange-certificate',
    about: 'has a certificate of another authority with the name of a client',
    victim: MUTUAL,
    expect: REFUSED,
    attack: (scene) => withTls(scene, { ALPNProtocols: ALPN, ...scene.certificates.strangeClient }),
  },
  {
    name: 'tls-own-certificate',
    about: 'has a certificate, which is good: the counterpart of those that are refused',
    victim: MUTUAL,
    expect: 'WELCOME(OK)',
    attack: (scene) => withTls(scene, { ALPNProtocols: ALPN, ...scene.certificates.client }),
  },
];
